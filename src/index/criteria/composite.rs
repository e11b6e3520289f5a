//! Search by composite (R4 search.html#composite): one term holds all components of one repetition. Where the first
//! part is one exact value, the second narrows the range further; the rest is tested on the term.

use super::super::encode::{self, after, head};
use super::super::{Range, Test};
use super::pattern::{Pattern, behind, one_of};
use super::{
    Comparator, Condition, ReferenceMatch, StringMatch, SystemMatch, UnitMatch, UriMatch, date, number, reference,
    text, token,
};
use crate::base::Timestamp;
use crate::definitions::SearchParameter;
use crate::primitive::{DateTime, Decimal};

/// What is asked of one component, by the type of the component's parameter.
#[derive(Clone, Debug)]
pub enum CompositePart<'t> {
    /// A token; without a code any of the system.
    Token(SystemMatch<'t>, Option<&'t str>),
    /// A string.
    String(&'t str, StringMatch),
    /// A date; the moment is what `ap` measures the distance to.
    Date(Comparator, DateTime, Timestamp),
    /// A number.
    Number(Comparator, Decimal),
    /// A quantity.
    Quantity(Comparator, Decimal, UnitMatch<'t>),
    /// A uri.
    Uri(&'t str, UriMatch),
    /// A reference.
    Reference(ReferenceMatch<'t>),
}

impl CompositePart<'_> {
    /// Whether no encoding of its values is the beginning of another.
    fn is_self_delimiting(&self) -> bool {
        matches!(self, CompositePart::Date(..) | CompositePart::Number(..) | CompositePart::Quantity(..))
    }

    fn patterns(&self) -> Vec<Pattern> {
        match self {
            CompositePart::Token(system, code) => token::component(*system, *code),
            CompositePart::String(value, how) => text::string(value, *how),
            CompositePart::Date(comparator, value, now) => date::date(*comparator, value.start(), value.end(), *now),
            CompositePart::Number(comparator, value) => number::number(*comparator, value),
            CompositePart::Quantity(comparator, value, UnitMatch::Any) => number::number(*comparator, value),
            CompositePart::Quantity(comparator, value, UnitMatch::Is { system, code }) => {
                let ucum = *system == Some(encode::UCUM);
                if let Some(base) = ucum.then(|| number::in_base(*comparator, value, code, true)).flatten() {
                    return base;
                }
                number::with_unit(number::number(*comparator, value), *system, code)
            }
            CompositePart::Uri(value, how) => text::uri(value, *how),
            CompositePart::Reference(value) => reference::patterns(value),
        }
    }
}

/// That one repetition has all parts.
pub(super) fn condition(parameter: &SearchParameter, parts: &[CompositePart<'_>]) -> Condition {
    let head = head(parameter.number, encode::COMPOSITE);
    let patterns: Vec<Vec<Pattern>> = parts.iter().map(CompositePart::patterns).collect();
    let ranges = |any: &Vec<Pattern>| any.iter().cloned().map(Pattern::into_range).collect();
    let test = Test::Parts { skip: head.len(), parts: patterns.iter().map(ranges).collect() };
    // Where two parts are told apart by order alone, the components need not be looked at one by one.
    let ordered = parts.len() == 2 && parts[1].is_self_delimiting();
    let narrowed = spans(&patterns).into_iter().map(|span| {
        let by_order = ordered && span.first_is_exact && !span.range.test.as_ref().is_some_and(Test::looks_at_end);
        let range = behind(span.range, &head);
        Condition::Range(if by_order { range } else { Range { test: Some(test.clone()), ..range } })
    });
    one_of(narrowed.collect())
}

/// A range of whole terms, in which all that fulfil the patterns lie.
struct Span {
    range: Range,
    /// Whether the first component is exactly that of the pattern, and the second in its range, by order alone.
    first_is_exact: bool,
}

fn spans(patterns: &[Vec<Pattern>]) -> Vec<Span> {
    let [first, second, ..] = patterns else { return Vec::new() };
    let mut spans = Vec::new();
    for pattern in first {
        match pattern {
            Pattern::Exact(bytes) => {
                let prefix = [bytes, &[0][..]].concat();
                let narrowed =
                    |second: &Pattern| Span { range: behind(open(second.clone()), &prefix), first_is_exact: true };
                spans.extend(second.iter().map(narrowed));
            }
            Pattern::Range(range) => {
                let range = Range { test: None, ..range.clone() };
                spans.push(Span { range, first_is_exact: false });
            }
        }
    }
    spans
}

/// The range of a component behind which more may follow.
fn open(pattern: Pattern) -> Range {
    match pattern {
        Pattern::Exact(bytes) => Range { to: after(&bytes), from: bytes.into(), test: None },
        Pattern::Range(range) => range,
    }
}
