//! Floor 1: JSON documents. One reader that borrows from the text and keeps every lexeme; an owned tree for
//! editing; writing, minifying and NDJSON. Knows nothing of FHIR.

mod document;
#[cfg(test)]
mod properties;
mod reader;
mod tree;
mod write;

pub use document::{Document, Entries, Items, Kind, Limits, SyntaxError, Value};
pub use tree::Tree;
pub use write::{escape_into, minify_into, pretty, unescape};
