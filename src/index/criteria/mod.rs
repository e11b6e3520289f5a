//! Conditions for one value of one search parameter (R4 search.html#ptypes). One function for each type of
//! parameter; how terms are encoded stays private to the room. Does not read the query string: prefixes, escapes,
//! modifiers and OR are the searcher's.

mod composite;
mod date;
mod number;
mod pattern;
mod reference;
mod text;
mod token;

use super::encode::{self, head};
use super::{Condition, Range, Term, Test, id_term};
use crate::base::Timestamp;
use crate::definitions::SearchParameter;
use crate::primitive::{DateTime, Decimal};
pub use composite::CompositePart;
pub use reference::ReferenceMatch;
pub use text::{StringMatch, UriMatch};
pub use token::SystemMatch;

/// The prefixes of ordered values (R4 search.html#prefix).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparator {
    /// `eq`: within the range of the search value
    Eq,
    /// `ne`: not within it
    Ne,
    /// `gt`: reaches above it
    Gt,
    /// `lt`: reaches below it
    Lt,
    /// `ge`: `gt` or `eq`
    Ge,
    /// `le`: `lt` or `eq`
    Le,
    /// `sa`: starts after it
    Sa,
    /// `eb`: ends before it
    Eb,
    /// `ap`: approximately
    Ap,
}

/// The unit of a quantity search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitMatch<'t> {
    /// `5.4`: whatever the unit.
    Any,
    /// `5.4|system|code`; without a system (`5.4||mg`) code or human unit.
    Is {
        /// System of the code.
        system: Option<&'t str>,
        /// Code or human unit.
        code: &'t str,
    },
}

/// Whether a resource has no value for the parameter (modifier `:missing`).
pub fn missing(parameter: &SearchParameter, missing: bool) -> Condition {
    // No resource is without these two.
    if matches!(&*parameter.code, "_id" | "_lastUpdated") {
        return if missing { Condition::Nothing } else { Condition::Everything };
    }
    let from = head(encode::SHAPE, 0);
    let test = Some(Test::Lists { skip: from.len(), item: parameter.number.to_be_bytes() });
    let present = Condition::Range(Range { to: encode::after(&from), from: from.into(), test });
    if missing { Condition::Not(Box::new(present)) } else { present }
}

/// Search by string: compared after folding, or exactly.
pub fn string(parameter: &SearchParameter, value: &str, how: StringMatch) -> Condition {
    pattern::condition(parameter, encode::STRING, text::string(value, how))
}

/// Search by token.
pub fn token(parameter: &SearchParameter, system: SystemMatch<'_>, code: Option<&str>) -> Condition {
    if &*parameter.code == "_id" {
        return match (system, code) {
            (SystemMatch::Any | SystemMatch::None, Some(id)) => Condition::Term(id_term(parameter.number, id)),
            (SystemMatch::Any, None) => Condition::Everything,
            _ => Condition::Nothing,
        };
    }
    match code {
        Some(code) => pattern::condition(parameter, encode::TOKEN, token::code(system, code)),
        None => token::of_system(parameter, system),
    }
}

/// Search by date: `now` is what `ap` measures the distance to.
pub fn date(parameter: &SearchParameter, comparator: Comparator, value: &DateTime, now: Timestamp) -> Condition {
    pattern::condition(parameter, encode::DATE, date::date(comparator, value.start(), value.end(), now))
}

/// Search by number.
pub fn number(parameter: &SearchParameter, comparator: Comparator, value: &Decimal) -> Condition {
    pattern::condition(parameter, encode::NUMBER, number::number(comparator, value))
}

/// Search by quantity.
pub fn quantity(
    parameter: &SearchParameter,
    comparator: Comparator,
    value: &Decimal,
    unit: UnitMatch<'_>,
) -> Condition {
    let numbers = number::number(comparator, value);
    match unit {
        UnitMatch::Any => pattern::condition(parameter, encode::QUANTITY, numbers),
        UnitMatch::Is { system, code } => {
            pattern::condition(parameter, encode::UNIT, number::of_unit(numbers, system, code))
        }
    }
}

/// Search by uri.
pub fn uri(parameter: &SearchParameter, value: &str, how: UriMatch) -> Condition {
    pattern::condition(parameter, encode::URL, text::uri(value, how))
}

/// Search by reference.
pub fn reference(parameter: &SearchParameter, value: &ReferenceMatch<'_>) -> Condition {
    match value {
        ReferenceMatch::Id { .. } => pattern::condition(parameter, encode::LOCAL, reference::patterns(value)),
        ReferenceMatch::Url(_) => pattern::condition(parameter, encode::URL, reference::patterns(value)),
    }
}

/// Search by the identifier of a reference (modifier `:identifier`).
pub fn identifier(parameter: &SearchParameter, system: SystemMatch<'_>, code: Option<&str>) -> Condition {
    pattern::condition(parameter, encode::IDENTIFIER, token::component(system, code))
}

/// Search by composite: all parts are true of the same repetition. `None` where the number of parts is not the
/// number of components.
pub fn composite(parameter: &SearchParameter, parts: &[CompositePart<'_>]) -> Option<Condition> {
    let fits = parts.len() == parameter.components.len() && parts.len() >= 2;
    fits.then(|| composite::condition(parameter, parts))
}

/// The condition that one term is there.
fn term(parameter: u16, form: u8, value: &[u8]) -> Condition {
    Condition::Term(Term([&head(parameter, form), value].concat().into()))
}

/// The ranges of a date value, for tests on the bytes of one value.
#[cfg(test)]
pub(super) fn date_ranges(comparator: Comparator, start: i64, end: i64, now: Timestamp) -> Vec<Range> {
    date::date(comparator, start, end, now).into_iter().map(pattern::Pattern::into_range).collect()
}

/// The ranges of a number value, for tests on the bytes of one value.
#[cfg(test)]
pub(super) fn number_ranges(comparator: Comparator, value: &Decimal) -> Vec<Range> {
    number::number(comparator, value).into_iter().map(pattern::Pattern::into_range).collect()
}
