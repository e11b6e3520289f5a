//! Conversion functions (FHIRPath N1, section 5.5): `toInteger()` and its like; `convertsTo…` asks whether they give
//! anything.

use super::operators::number;
use super::quantity::is_calendar;
use super::{Item, Moment, MomentKind, Number, Quantity};
use std::rc::Rc;

/// Converts to the System type of this name, a quantity to a unit where one is wanted; none where that is not possible.
pub(super) fn convert<'d>(item: &Item<'d>, to: &str, unit: Option<&str>) -> Option<Item<'d>> {
    if let Some(unit) = unit {
        let Item::Quantity(quantity) = convert(item, to, None)? else { return None };
        return quantity.converted(unit).map(Item::Quantity);
    }
    match to {
        "Boolean" => boolean(item).map(Item::Boolean),
        "Integer" => match item {
            Item::Integer(i) => Some(Item::Integer(*i)),
            Item::Boolean(b) => Some(Item::Integer(i64::from(*b))),
            Item::String(s) => s.parse::<i32>().ok().map(|i| Item::Integer(i64::from(i))),
            _ => None,
        },
        "Decimal" => match item {
            Item::Boolean(b) => Some(Item::Decimal(Number::whole(i64::from(*b)))),
            Item::String(s) if !s.contains(['e', 'E']) => Number::parse(s).map(Item::Decimal),
            other => number(other).map(Item::Decimal),
        },
        "String" => match item {
            Item::Node(_) | Item::Type(..) => None,
            other => text(other).map(Item::String),
        },
        "Date" => match item {
            Item::String(s) => Moment::date_time(s).map(|m| Item::Moment(m.to(MomentKind::Date))),
            Item::Moment(m) if m.kind != MomentKind::Time => Some(Item::Moment(m.to(MomentKind::Date))),
            _ => None,
        },
        "DateTime" => match item {
            Item::String(s) => Moment::date_time(s).map(Item::Moment),
            Item::Moment(m) if m.kind != MomentKind::Time => Some(Item::Moment(m.to(MomentKind::DateTime))),
            _ => None,
        },
        "Time" => match item {
            Item::String(s) => Moment::time(s).map(Item::Moment),
            Item::Moment(m) if m.kind == MomentKind::Time => Some(item.clone()),
            _ => None,
        },
        "Quantity" => match item {
            Item::Quantity(_) => Some(item.clone()),
            Item::Boolean(b) => Some(Item::Quantity(Quantity::of(Number::whole(i64::from(*b)), "1"))),
            Item::String(s) => quantity(s).map(Item::Quantity),
            other => number(other).map(|n| Item::Quantity(Quantity::of(n, "1"))),
        },
        _ => None,
    }
}

fn boolean(item: &Item<'_>) -> Option<bool> {
    match item {
        Item::Boolean(b) => Some(*b),
        Item::String(s) => match s.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        other => match number(other) {
            Some(n) if n == Number::whole(1) => Some(true),
            Some(n) if n == Number::whole(0) => Some(false),
            _ => None,
        },
    }
}

fn text(item: &Item<'_>) -> Option<Rc<str>> {
    Some(match item {
        Item::Boolean(b) => b.to_string().into(),
        Item::Integer(i) => i.to_string().into(),
        Item::Decimal(n) => n.to_string().into(),
        Item::String(s) => s.clone(),
        Item::Moment(m) => m.to_string().into(),
        Item::Quantity(q) => q.to_string().into(),
        Item::Node(_) | Item::Type(..) => return None,
    })
}

fn quantity(text: &str) -> Option<Quantity> {
    let end = text.find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '-' | '+')).unwrap_or(text.len());
    let (value, unit) = text.split_at(end);
    let value = Number::parse(value)?;
    if unit.is_empty() {
        return Some(Quantity::of(value, "1"));
    }
    let trimmed = unit.trim_start();
    if let Some(code) = trimmed.strip_prefix('\'').and_then(|u| u.strip_suffix('\'')) {
        return Some(Quantity::of(value, code));
    }
    (trimmed.len() < unit.len() && is_calendar(trimmed)).then(|| Quantity {
        value,
        unit: trimmed.into(),
        calendar: true,
    })
}
