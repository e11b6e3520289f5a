//! Patterns: what is asked of the bytes of one encoded value, without parameter and form. The same patterns serve a
//! value that stands alone and a component of a composite.

use super::super::encode::{after, head};
use super::{Condition, Range, term};
use crate::definitions::SearchParameter;

/// What is asked of the bytes of one value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pattern {
    /// They are these.
    Exact(Vec<u8>),
    /// They are in this range, and pass its test.
    Range(Range),
}

impl Pattern {
    /// The value begins with these bytes.
    pub(super) fn prefix(bytes: Vec<u8>) -> Pattern {
        Pattern::Range(Range { to: after(&bytes), from: bytes.into(), test: None })
    }

    /// The same as a range.
    pub(super) fn into_range(self) -> Range {
        match self {
            // Nothing lies between some bytes and the same with a NUL behind.
            Pattern::Exact(bytes) => {
                let to = [&bytes, &[0][..]].concat().into();
                Range { from: bytes.into(), to, test: None }
            }
            Pattern::Range(range) => range,
        }
    }
}

/// A range behind more bytes.
pub(super) fn behind(range: Range, prefix: &[u8]) -> Range {
    Range {
        from: [prefix, &range.from].concat().into(),
        to: [prefix, &range.to].concat().into(),
        test: range.test.map(|test| test.behind(prefix.len())),
    }
}

/// That a parameter has a value, under a form, of one of these patterns.
pub(super) fn condition(parameter: &SearchParameter, form: u8, patterns: Vec<Pattern>) -> Condition {
    let head = head(parameter.number, form);
    let conditions = patterns.into_iter().map(|pattern| match pattern {
        Pattern::Exact(bytes) => term(parameter.number, form, &bytes),
        Pattern::Range(range) => Condition::Range(behind(range, &head)),
    });
    one_of(conditions.collect())
}

/// One of several conditions, without a layer that is not needed.
pub(super) fn one_of(mut conditions: Vec<Condition>) -> Condition {
    match conditions.len() {
        0 => Condition::Nothing,
        1 => conditions.remove(0),
        _ => Condition::Or(conditions),
    }
}
