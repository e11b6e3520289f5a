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
use super::{Condition, Position, Range, Term, Test, id_term, position, words};
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
    /// `po` of `_filter`: has something in common with it
    Po,
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

/// Search by the text that goes with a token (modifier `:text`).
pub fn label(parameter: &SearchParameter, value: &str) -> Condition {
    pattern::condition(parameter, encode::TEXT, text::label(value))
}

/// Search by the type and the value of an identifier (modifier `:of-type`).
pub fn of_type(parameter: &SearchParameter, system: &str, code: &str, value: &str) -> Condition {
    let mut bytes = Vec::with_capacity(system.len() + code.len() + value.len() + 2);
    encode::push_text(value, &mut bytes);
    bytes.push(0);
    encode::push_token(system, code, &mut bytes);
    term(parameter.number, encode::OF_TYPE, &bytes)
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
            let base =
                (system == Some(encode::UCUM)).then(|| number::in_base(comparator, value, code, false)).flatten();
            match base {
                Some(base) => pattern::condition(parameter, encode::CANONICAL, base),
                None => pattern::condition(parameter, encode::UNIT, number::of_unit(numbers, system, code)),
            }
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
        _ => pattern::condition(parameter, encode::URL, reference::patterns(value)),
    }
}

/// Search by the identifier of a reference (modifier `:identifier`).
pub fn identifier(parameter: &SearchParameter, system: SystemMatch<'_>, code: Option<&str>) -> Condition {
    pattern::condition(parameter, encode::IDENTIFIER, token::component(system, code))
}

/// Search by place (`near`): not farther from the centre than so many metres.
pub fn near(parameter: &SearchParameter, centre: Position, metres: f64) -> Condition {
    position::near(parameter, centre, metres)
}

/// That one of the parameters (`_text` or `_content`) has all the words of a text; of a word that ends with a star only
/// its beginning. A text without words asks nothing.
pub fn has_words(parameters: &[u16], text: &str) -> Condition {
    let open: Vec<bool> = text.split_whitespace().map(|piece| piece.ends_with('*')).collect();
    let pieces = text.split_whitespace().zip(open).flat_map(|(piece, open)| {
        let mut all: Vec<_> = words::words(piece).into_iter().map(|word| (word, false)).collect();
        if let Some(last) = all.last_mut() {
            last.1 = open;
        }
        all
    });
    Condition::all(pieces.map(|(word, open)| {
        let each = parameters.iter().map(|parameter| {
            let mut bytes = head(*parameter, encode::WORD).to_vec();
            encode::push_text(&word, &mut bytes);
            if open {
                return Condition::Range(Range { to: encode::after(&bytes), from: bytes.into(), test: None });
            }
            Condition::Term(Term(bytes.into()))
        });
        Condition::any(each)
    }))
}

/// Search by composite: all parts are true of the same repetition. `None` where the number of parts is not the
/// number of components.
pub fn composite(parameter: &SearchParameter, parts: &[CompositePart<'_>]) -> Option<Condition> {
    let fits = parts.len() == parameter.components.len() && parts.len() >= 2;
    fits.then(|| composite::condition(parameter, parts))
}

/// That a parameter has a value beside those of a condition that is about its values alone; `None` where such values
/// cannot be told by their terms.
pub fn others(condition: &Condition) -> Option<Condition> {
    let mut taken = Vec::new();
    gather(condition, &mut taken)?;
    taken.sort();
    let form: [u8; 3] = taken.first()?.0.get(..3)?.try_into().ok()?;
    let mut from: Box<[u8]> = form.into();
    let mut ranges = Vec::new();
    for (start, end) in taken {
        if start.get(..3) != Some(&form[..]) {
            return None;
        }
        if from < start {
            ranges.push(Condition::Range(Range { from: from.clone(), to: start, test: None }));
        }
        from = from.max(end);
    }
    let end = encode::after(&form);
    if from < end {
        ranges.push(Condition::Range(Range { from, to: end, test: None }));
    }
    Some(Condition::any(ranges))
}

/// From a term up to another, which is out.
type Span = (Box<[u8]>, Box<[u8]>);

/// The ranges of terms that a condition asks for, without tests.
fn gather(condition: &Condition, taken: &mut Vec<Span>) -> Option<()> {
    match condition {
        Condition::Term(term) => taken.push((term.0.clone(), [&term.0[..], &[0]].concat().into())),
        Condition::Range(Range { from, to, test: None }) => taken.push((from.clone(), to.clone())),
        Condition::Or(any) => any.iter().try_for_each(|one| gather(one, taken))?,
        _ => return None,
    }
    Some(())
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
