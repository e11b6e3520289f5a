//! `_include` and `_revinclude` (R4 search.html#include): which references of which resources are followed. Follows
//! none itself.

use crate::definitions::TypeId;

/// References to follow: from a match to what it refers to (`_include`), or from other resources to a match
/// (`_revinclude`). A wildcard is given as one of these for each type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The type that has the reference: for `_include` the type of the match, for `_revinclude` of what is added.
    pub source: TypeId,
    /// Numbers of the reference parameters; at least one.
    pub parameters: Vec<u16>,
    /// Only references to this type. For `_revinclude` always a type that the references can point to, or none.
    pub target: Option<TypeId>,
    /// Followed from added resources as well, again and again (`:iterate`).
    pub iterate: bool,
}
