//! Search by number and by quantity (R4 search.html#number, #quantity): a point or an interval against the search
//! value. `eq` and `ne` take the range that the precision of the search value implies, the others its exact value.
//! Quantities with a unit of UCUM are compared in base units.

use super::super::encode::{HIGHEST, IN_BASE, INTERVAL, LOWEST, POINT, Side, after, push_bound, push_text};
use super::super::{Range, Test};
use super::Comparator;
use super::pattern::{Pattern, behind};
use crate::primitive::Decimal;
use crate::ucum;

/// What a search value stands for.
pub(super) struct Asked {
    exact: Decimal,
    /// As precisely as it is written.
    implied: (Decimal, Decimal),
    /// For `ap`.
    around: (Decimal, Decimal),
}

impl Asked {
    /// As it is written.
    pub(super) fn of(value: &Decimal) -> Asked {
        Asked { exact: value.clone(), implied: value.implied_range(), around: value.around_tenth() }
    }

    /// The same in the base units of UCUM, with these; `None` where the code is no unit.
    fn in_base(&self, code: &str) -> Option<(Asked, String)> {
        let (exact, unit) = ucum::canonical(&self.exact, code)?;
        let both = |(low, high): &(Decimal, Decimal)| Some((unit_of(low, code)?, unit_of(high, code)?));
        Some((Asked { exact, implied: both(&self.implied)?, around: both(&self.around)? }, unit.base().to_owned()))
    }
}

fn unit_of(value: &Decimal, code: &str) -> Option<Decimal> {
    ucum::canonical(value, code).map(|(value, _)| value)
}

/// Numbers that compare so with the value.
pub(super) fn number(comparator: Comparator, value: &Decimal) -> Vec<Pattern> {
    compare(comparator, &Asked::of(value))
}

fn compare(comparator: Comparator, value: &Asked) -> Vec<Pattern> {
    let at = |side| bound(&value.exact, side);
    let least = || vec![LOWEST];
    let most = || vec![HIGHEST + 1];
    match comparator {
        Comparator::Eq | Comparator::Ne => {
            let (low, high) = (bound(&value.implied.0, Side::At), bound(&value.implied.1, Side::At));
            if comparator == Comparator::Eq {
                return vec![points(low.clone(), high.clone()), intervals((low, most()), Some((least(), high)))];
            }
            vec![
                points(least(), low.clone()),
                points(high.clone(), most()),
                intervals((least(), low.clone()), None),
                intervals((low, most()), Some((high, most()))),
            ]
        }
        Comparator::Gt => {
            vec![points(at(Side::Above), most()), intervals((least(), most()), Some((at(Side::Above), most())))]
        }
        Comparator::Ge => {
            vec![points(at(Side::At), most()), intervals((least(), most()), Some((at(Side::At), most())))]
        }
        Comparator::Lt => vec![points(least(), at(Side::At)), intervals((least(), at(Side::At)), None)],
        Comparator::Le => vec![points(least(), at(Side::Above)), intervals((least(), at(Side::Above)), None)],
        Comparator::Sa => vec![points(at(Side::Above), most()), intervals((at(Side::Above), most()), None)],
        Comparator::Eb => {
            vec![points(least(), at(Side::At)), intervals((least(), at(Side::At)), Some((least(), at(Side::At))))]
        }
        Comparator::Ap => overlapping(bound(&value.around.0, Side::At), bound(&value.around.1, Side::Above)),
        Comparator::Po => overlapping(bound(&value.implied.0, Side::At), bound(&value.implied.1, Side::At)),
    }
}

/// Points from a bound up to another, and intervals that have something there.
fn overlapping(low: Vec<u8>, high: Vec<u8>) -> Vec<Pattern> {
    let (least, most) = (vec![LOWEST], vec![HIGHEST + 1]);
    vec![points(low.clone(), high.clone()), intervals((least, high), Some((low, most)))]
}

/// The same numbers in the base units of UCUM, what [`super::super::encode::CANONICAL`] has, or with the byte that
/// stands before them in composites; `None` where the code is no unit of UCUM.
pub(super) fn in_base(comparator: Comparator, value: &Decimal, code: &str, composite: bool) -> Option<Vec<Pattern>> {
    let (value, base) = Asked::of(value).in_base(code)?;
    let mut unit = if composite { vec![IN_BASE] } else { Vec::new() };
    push_text(&base, &mut unit);
    unit.push(0);
    let narrowed = |pattern: Pattern| Pattern::Range(behind(pattern.into_range(), &unit));
    Some(compare(comparator, &value).into_iter().map(narrowed).collect())
}

/// The same numbers in this unit: what [`super::super::encode::UNIT`] has.
pub(super) fn of_unit(numbers: Vec<Pattern>, system: Option<&str>, code: &str) -> Vec<Pattern> {
    let mut unit = Vec::with_capacity(code.len() + 1);
    push_text(code, &mut unit);
    unit.push(0);
    let suffix = system.map(|system| {
        let mut suffix = vec![0];
        push_text(system, &mut suffix);
        Test::EndsWith(suffix.into())
    });
    let narrowed = |pattern: Pattern| {
        let mut range = behind(pattern.into_range(), &unit);
        range.test = both(range.test, suffix.clone());
        Pattern::Range(range)
    };
    numbers.into_iter().map(narrowed).collect()
}

/// The same numbers in this unit, as a component of a composite.
pub(super) fn with_unit(numbers: Vec<Pattern>, system: Option<&str>, code: &str) -> Vec<Pattern> {
    let bytes = |text: &str| {
        let mut bytes = Vec::with_capacity(text.len());
        push_text(text, &mut bytes);
        bytes.into()
    };
    let test = Test::Unit { system: system.map(bytes), code: bytes(code) };
    let narrowed = |pattern: Pattern| {
        let mut range = pattern.into_range();
        range.test = both(range.test, Some(test.clone()));
        Pattern::Range(range)
    };
    numbers.into_iter().map(narrowed).collect()
}

fn both(first: Option<Test>, second: Option<Test>) -> Option<Test> {
    match (first, second) {
        (Some(first), Some(second)) => Some(Test::All(vec![first, second])),
        (first, second) => first.or(second),
    }
}

fn bound(value: &Decimal, side: Side) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    push_bound(value, side, &mut bytes);
    bytes
}

/// Points from a bound up to another.
fn points(from: Vec<u8>, below: Vec<u8>) -> Pattern {
    Pattern::Range(Range {
        from: [&[POINT][..], &from].concat().into(),
        to: [&[POINT][..], &below].concat().into(),
        test: None,
    })
}

/// Intervals whose lower bound is from a bound up to another, and the upper bound likewise.
fn intervals(lower: (Vec<u8>, Vec<u8>), upper: Option<(Vec<u8>, Vec<u8>)>) -> Pattern {
    let (from, below) = lower;
    let below = if below.is_empty() { after(&[INTERVAL]).into_vec() } else { [&[INTERVAL][..], &below].concat() };
    let test = upper.map(|(from, below)| Test::Upper { skip: 1, from: from.into(), below: below.into() });
    Pattern::Range(Range { from: [&[INTERVAL][..], &from].concat().into(), to: below.into(), test })
}
