//! The terms that joins need in both directions: the logical id of a resource, and the target of a reference.

use super::Term;
use super::encode::{ID, LOCAL, URL, head};
use crate::primitive::Reference;

/// The term of the parameter `_id`.
pub fn id_term(parameter: u16, id: &str) -> Term {
    Term([&head(parameter, ID), id.as_bytes()].concat().into())
}

/// The id in a term that [`id_term`] made.
pub fn id_of(term: &Term) -> Option<&str> {
    std::str::from_utf8(after_head(term, ID)?).ok()
}

/// The term that a reference to `kind/id` on this server gives.
pub fn reference_term(parameter: u16, kind: &str, id: &str) -> Term {
    Term([&head(parameter, LOCAL), id.as_bytes(), &[0], kind.as_bytes()].concat().into())
}

/// Type and id in a term that [`reference_term`] made.
pub fn target_of(term: &Term) -> Option<(&str, &str)> {
    let (id, kind) = std::str::from_utf8(after_head(term, LOCAL)?).ok()?.split_once('\0')?;
    Some((kind, id))
}

/// Type, id and version in the term of a reference to a version of a resource of this server.
pub(super) fn version_of(term: &Term) -> Option<(&str, &str, u64)> {
    let text = std::str::from_utf8(after_head(term, URL)?).ok()?;
    match Reference::parse(text) {
        Reference::Relative { kind, id, version: Some(version) } => Some((kind, id, version.parse().ok()?)),
        _ => None,
    }
}

fn after_head(term: &Term, form: u8) -> Option<&[u8]> {
    if term.0.get(2) == Some(&form) { term.0.get(3..) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!(id_of(&id_term(7, "a-1")), Some("a-1"));
        assert_eq!(target_of(&reference_term(7, "Patient", "a-1")), Some(("Patient", "a-1")));
        assert_eq!(target_of(&id_term(7, "a-1")), None);
        assert_eq!(id_of(&reference_term(7, "Patient", "a-1")), None);
    }
}
