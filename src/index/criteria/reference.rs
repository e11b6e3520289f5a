//! Search by reference (R4 search.html#reference).

use super::super::encode::push_text;
use super::pattern::Pattern;
use super::text::{UriMatch, uri};

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
    /// A resource elsewhere, a canonical (also `url|version`), a URN, or one version of a resource of this server
    /// (`Patient/1/_history/2`).
    Url(&'t str),
    /// A canonical and what lies below it, by segments of the url or parts of the version (`1` has `1.2` below it).
    Below(&'t str),
    /// A canonical and what lies above it.
    Above(&'t str),
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
        ReferenceMatch::Below(url) if url.contains('|') => {
            push_text(url, &mut bytes);
            let parts = [&bytes, &b"."[..]].concat();
            vec![Pattern::Exact(bytes), Pattern::prefix(parts)]
        }
        ReferenceMatch::Below(url) => uri(url, UriMatch::Below),
        ReferenceMatch::Above(url) => match url.split_once('|') {
            Some((base, version)) => {
                let parts = version.match_indices('.').map(|(at, _)| version.get(..at).unwrap_or_default()).take(64);
                let exact = |version: &str| {
                    let mut bytes = Vec::new();
                    push_text(&format!("{base}|{version}"), &mut bytes);
                    Pattern::Exact(bytes)
                };
                parts.chain([version]).map(exact).collect()
            }
            None => uri(url, UriMatch::Above),
        },
    }
}
