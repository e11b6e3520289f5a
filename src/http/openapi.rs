//! The OpenAPI document. (Comes with the next commit.)

use crate::definitions::Definitions;

/// The document as JSON.
pub fn document(_definitions: &Definitions, _base_path: &str) -> Vec<u8> {
    b"{}".to_vec()
}
