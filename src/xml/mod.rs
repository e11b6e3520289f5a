//! Floor 1: resources as XML (R4 xml.html), read to JSON text and written from it without loss. What the types are is
//! asked of a [`Schema`], so that no type table is known here; whether a resource is legal is not judged.

mod schema;

pub use schema::{Child, ChildKind, Schema, TypeNumber};
