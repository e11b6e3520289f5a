//! Floor 1: resources as XML (R4 xml.html), read to JSON text and written from it without loss. What the types are is
//! asked of a [`Schema`], so that no type table is known here; whether a resource is legal is not judged.

mod locate;
mod markup;
mod narrative;
mod read;
mod schema;
mod source;
mod tree;
mod write;

pub use crate::json::Limits;
pub use read::{locate, to_json};
pub use schema::{Child, ChildKind, Schema, TypeNumber};
pub use tree::{XmlElement, XmlNode};
pub use write::{from_json, pretty_from_json};

/// The namespace of every element of FHIR.
const FHIR: &str = "http://hl7.org/fhir";
/// The namespace of narratives.
const XHTML: &str = "http://www.w3.org/1999/xhtml";
/// The namespace of `schemaLocation`, which is allowed and ignored.
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
