//! `lowBoundary()`, `highBoundary()` and `precision()`: the least and largest value that a written one may stand for.

use crate::fhirpath::eval::moment::days;
use crate::fhirpath::eval::{Item, Moment, MomentKind, Number, Quantity};

/// The boundary; none where that precision makes no sense.
pub(super) fn boundary<'d>(item: &Item<'d>, high: bool, digits: Option<i64>) -> Option<Item<'d>> {
    Some(match item {
        Item::Integer(i) => Item::Decimal(of_number(Number::whole(*i), high, digits)?),
        Item::Decimal(n) => Item::Decimal(of_number(*n, high, digits)?),
        Item::Quantity(q) => Item::Quantity(Quantity { value: of_number(q.value, high, digits)?, ..q.clone() }),
        Item::Moment(m) => Item::Moment(of_moment(m, high, digits)?),
        _ => return None,
    })
}

fn of_number(value: Number, high: bool, digits: Option<i64>) -> Option<Number> {
    let digits = u32::try_from(digits.unwrap_or(8)).ok().filter(|d| *d <= 28)?;
    let half = Number { mantissa: 5, scale: value.scale + 1 };
    let edge = if high { value.plus(half)? } else { value.subtract(half)? };
    if edge.scale <= digits {
        return Some(Number {
            mantissa: edge.mantissa.checked_mul(10i128.checked_pow(digits - edge.scale)?)?,
            scale: digits,
        });
    }
    let unit = 10i128.checked_pow(edge.scale - digits)?;
    let down = edge.mantissa.div_euclid(unit);
    let mantissa = match high {
        true if edge.mantissa.rem_euclid(unit) != 0 => down + 1,
        _ => down,
    };
    Some(Number { mantissa, scale: digits })
}

fn of_moment(moment: &Moment, high: bool, digits: Option<i64>) -> Option<Moment> {
    let time = moment.kind == MomentKind::Time;
    let most = match moment.kind {
        MomentKind::Date => 8,
        MomentKind::DateTime => 17,
        MomentKind::Time => 9,
    };
    let count = match (digits.unwrap_or(most), time) {
        (4, false) => 1,
        (6, false) => 2,
        (8, false) => 3,
        (10, false) | (2, true) => 4,
        (12, false) | (4, true) => 5,
        (14, false) | (6, true) => 6,
        (17, false) | (9, true) => 7,
        _ => return None,
    };
    let mut parts = moment.parts.clone();
    while parts.len() < count {
        let (year, month) = (parts.first().copied()?, parts.get(1).copied().unwrap_or(1));
        parts.push(match (parts.len(), high) {
            (1, true) => 12,
            (2, true) => days(year, month),
            (1 | 2, false) => 1,
            (_, false) => 0,
            (3, true) => 23,
            (4 | 5, true) => 59,
            _ => 999,
        });
    }
    parts.truncate(count);
    let zone = match moment.zone {
        _ if count <= 3 || time => None,
        None => Some(if high { -720 } else { 840 }),
        zone => zone,
    };
    Some(Moment { kind: moment.kind, parts, zone })
}

/// How many digits were written.
pub(super) fn precision(item: &Item<'_>) -> Option<i64> {
    Some(match item {
        Item::Integer(_) => 0,
        Item::Decimal(n) => i64::from(n.scale),
        Item::Moment(m) => {
            let lengths = [4, 2, 2, 2, 2, 2, 3];
            let from = if m.kind == MomentKind::Time { 3 } else { 0 };
            lengths.iter().take(m.parts.len()).skip(from).sum()
        }
        _ => return None,
    })
}
