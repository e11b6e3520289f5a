//! Search by reference (R4 search.html#reference).

use super::super::encode::push_text;
use super::pattern::Pattern;
use crate::primitive::Reference;

/// What a reference search asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReferenceMatch<'t> {
    /// A resource of this server; without a type: of any type.
    Id {
        /// Resource type.
        kind: Option<&'t str>,
        /// Logical id.
        id: &'t str,
    },
    /// A resource elsewhere, a canonical (also `url|version`), or a URN.
    Url(&'t str),
}

impl<'t> ReferenceMatch<'t> {
    /// Reads the value of a reference search: `id`, `Type/id` or a URL; URLs under one of the `bases` (without the
    /// last slash) are the same as `Type/id`. Versions do not count.
    pub fn parse(text: &'t str, bases: &[String]) -> ReferenceMatch<'t> {
        match Reference::parse(text) {
            Reference::Relative { kind, id, .. } => ReferenceMatch::Id { kind: Some(kind), id },
            Reference::Absolute { base, kind, id, .. } if bases.iter().any(|b| b == base) => {
                ReferenceMatch::Id { kind: Some(kind), id }
            }
            Reference::Absolute { version: Some(version), .. } => {
                ReferenceMatch::Url(&text[..text.len() - version.len() - "/_history/".len()])
            }
            Reference::Other(text) if !text.contains(':') && !text.contains('/') => {
                ReferenceMatch::Id { kind: None, id: text }
            }
            _ => ReferenceMatch::Url(text),
        }
    }
}

/// References like this.
pub(super) fn patterns(value: &ReferenceMatch<'_>) -> Vec<Pattern> {
    let mut bytes = Vec::new();
    match value {
        ReferenceMatch::Id { kind, id } => {
            push_text(id, &mut bytes);
            bytes.push(0);
            match kind {
                Some(kind) => {
                    push_text(kind, &mut bytes);
                    vec![Pattern::Exact(bytes)]
                }
                None => vec![Pattern::prefix(bytes)],
            }
        }
        ReferenceMatch::Url(url) => {
            push_text(url, &mut bytes);
            vec![Pattern::Exact(bytes)]
        }
    }
}
