//! Search by string and by uri (R4 search.html#string, #uri).

use super::super::Range;
use super::super::Test;
use super::super::encode::{LONGEST, after, cut, push_text};
use super::super::fold::folded_part;
use super::pattern::Pattern;

/// How a string is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringMatch {
    /// It begins with the value, both folded.
    Starts,
    /// It is the value (modifier `:exact`).
    Exact,
    /// It contains the value, both folded (modifier `:contains`).
    Contains,
    /// It is the value, both folded (`eq` of `_filter`).
    Equals,
    /// It ends with the value, both folded (`ew` of `_filter`).
    Ends,
}

/// How a uri is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriMatch {
    /// It is the value.
    Exact,
    /// It is the value or lies below it, by segments of the path (modifier `:below`).
    Below,
    /// It is the value or lies above it (modifier `:above`).
    Above,
    /// It begins with the value (`sw` of `_filter`).
    Starts,
    /// It contains the value (`co` of `_filter`).
    Contains,
    /// It ends with the value (`ew` of `_filter`).
    Ends,
}

/// Strings like this.
pub(super) fn string(value: &str, how: StringMatch) -> Vec<Pattern> {
    let folded = folded_part(value);
    let separated = || [folded.as_bytes(), &[0]].concat();
    match how {
        StringMatch::Equals => vec![Pattern::prefix(separated())],
        // No text has a NUL, so that this is the end of the folded one.
        StringMatch::Ends => {
            let needle = separated().into();
            vec![any_text(Some(Test::Contains { skip: 0, until_nul: false, needle }))]
        }
        StringMatch::Starts if folded.is_empty() => vec![any_text(None)],
        StringMatch::Starts => vec![Pattern::prefix(folded.into_bytes())],
        StringMatch::Exact => {
            let mut bytes = folded.into_bytes();
            bytes.push(0);
            push_text(value, &mut bytes);
            vec![Pattern::Exact(bytes)]
        }
        StringMatch::Contains => {
            vec![any_text(Some(Test::Contains { skip: 0, until_nul: true, needle: folded.into_bytes().into() }))]
        }
    }
}

/// Texts that go with a token and begin with this, folded.
pub(super) fn label(value: &str) -> Vec<Pattern> {
    let folded = folded_part(value);
    if folded.is_empty() { vec![any_text(None)] } else { vec![Pattern::prefix(folded.into_bytes())] }
}

/// Uris like this.
pub(super) fn uri(value: &str, how: UriMatch) -> Vec<Pattern> {
    let mut whole = Vec::with_capacity(value.len());
    push_text(value, &mut whole);
    match how {
        UriMatch::Exact => vec![Pattern::Exact(whole)],
        UriMatch::Starts => vec![Pattern::prefix(cut(value, LONGEST - 32).as_bytes().to_vec())],
        UriMatch::Contains => {
            vec![any_text(Some(Test::Contains { skip: 0, until_nul: false, needle: value.as_bytes().into() }))]
        }
        UriMatch::Ends => vec![any_text(Some(Test::EndsWith(value.as_bytes().into())))],
        UriMatch::Below if value.is_empty() => vec![any_text(None)],
        UriMatch::Below => {
            let stem = value.trim_end_matches('/');
            let below = cut(&format!("{stem}/"), LONGEST - 32).as_bytes().to_vec();
            let itself = if stem.len() == value.len() { Some(Pattern::Exact(whole)) } else { None };
            itself.into_iter().chain([Pattern::prefix(below)]).collect()
        }
        UriMatch::Above => above(value, whole),
    }
}

/// The value and what lies above it; of the first two slashes of `http://` nothing is cut away.
fn above(value: &str, whole: Vec<u8>) -> Vec<Pattern> {
    let root = value.find("://").map_or(value.len(), |scheme| scheme + 3);
    let mut patterns = vec![Pattern::Exact(whole)];
    for (slash, _) in value.match_indices('/').filter(|(at, _)| *at >= root).take(64) {
        for end in [slash, slash + 1] {
            if end < value.len() && end > root {
                let mut bytes = Vec::with_capacity(end);
                push_text(&value[..end], &mut bytes);
                patterns.push(Pattern::Exact(bytes));
            }
        }
    }
    patterns
}

/// Any text. No text has the byte `FF`.
fn any_text(test: Option<Test>) -> Pattern {
    Pattern::Range(Range { from: [].into(), to: after(&[0xFE]), test })
}
