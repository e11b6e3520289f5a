//! Search by reference (R4 search.html#reference).

use super::super::encode::push_text;
use super::pattern::Pattern;

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
