//! Floor 4: how to change a resource: JSON Patch (RFC 6902), JSON merge patch (RFC 7396) and FHIRPath Patch on JSON
//! trees, XML Patch (RFC 5261) on XML. Numbers keep the digits they were written with. Whether the result is legal FHIR
//! is judged by `validation`.

mod fhirpath_patch;
mod json_patch;
mod measure;
mod merge_patch;
mod pointer;
mod xml_patch;

pub use fhirpath_patch::fhirpath_patch;
pub use json_patch::json_patch;
pub use merge_patch::merge_patch;
pub use xml_patch::xml_patch;
