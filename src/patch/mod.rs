//! Floor 4: how to change a resource: JSON Patch (RFC 6902) and JSON merge patch (RFC 7396) on JSON trees. Numbers
//! keep the digits they were written with. Whether the result is legal FHIR is judged by `validation`.

mod json_patch;
mod measure;
mod merge_patch;
mod pointer;

pub use json_patch::json_patch;
pub use merge_patch::merge_patch;
