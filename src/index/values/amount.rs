//! Numbers and quantities (R4 search.html#number, #quantity): points, or intervals where there is a comparator or a
//! Range.

use super::super::Position;
use super::super::encode::{self, HIGHEST, IN_BASE, INTERVAL, LOWEST, POINT, Side, UCUM, push_bound, push_text};
use super::super::sink::Sink;
use crate::json::Value;
use crate::primitive::Decimal;
use crate::ucum;
use std::borrow::Cow;

/// The system of currencies.
const CURRENCIES: &str = "urn:iso:std:iso:4217";

fn text<'d>(of: Value<'d>, key: &str) -> Cow<'d, str> {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn decimal(value: Value<'_>) -> Option<Decimal> {
    Decimal::parse(value.as_number()?)
}

fn point(number: &Decimal, out: &mut Vec<u8>) {
    out.push(POINT);
    push_bound(number, Side::At, out);
}

fn interval(low: Option<(&Decimal, Side)>, high: Option<(&Decimal, Side)>, out: &mut Vec<u8>) {
    out.push(INTERVAL);
    match low {
        Some((number, side)) => push_bound(number, side, out),
        None => out.push(LOWEST),
    }
    match high {
        Some((number, side)) => push_bound(number, side, out),
        None => out.push(HIGHEST),
    }
}

pub(super) fn number(value: Value<'_>, form: u8, sink: &mut Sink) {
    if let Some(number) = decimal(value) {
        sink.put(form, |out| point(&number, out));
    }
}

pub(super) fn number_of_quantity(value: Value<'_>, sink: &mut Sink) {
    if let Some((number, _)) = quantity_bytes(value) {
        sink.put(encode::NUMBER, |out| out.extend_from_slice(&number));
    }
}

pub(super) fn number_range(value: Value<'_>, sink: &mut Sink) {
    if let Some(bytes) = range_bytes(value) {
        sink.put(encode::NUMBER, |out| out.extend_from_slice(&bytes));
    }
}

fn range_bytes(range: Value<'_>) -> Option<Vec<u8>> {
    let (low, high) = ends(range);
    ends_bytes(low, high)
}

fn ends(range: Value<'_>) -> (Option<Decimal>, Option<Decimal>) {
    let end = |name| range.get(name).and_then(|end| end.get("value")).and_then(decimal);
    (end("low"), end("high"))
}

fn ends_bytes(low: Option<Decimal>, high: Option<Decimal>) -> Option<Vec<u8>> {
    if low.is_none() && high.is_none() {
        return None;
    }
    let mut bytes = Vec::with_capacity(48);
    let at = |number| (number, Side::At);
    interval(low.as_ref().map(at), high.as_ref().map(at), &mut bytes);
    Some(bytes)
}

/// The number of a Quantity, and its system, code and human unit.
fn quantity_bytes(quantity: Value<'_>) -> Option<(Vec<u8>, [Cow<'_, str>; 3])> {
    let (number, comparator, unit) = quantity_parts(quantity)?;
    Some((compared(&number, &comparator), unit))
}

/// Value, comparator, and system, code and human unit of a Quantity.
fn quantity_parts(quantity: Value<'_>) -> Option<(Decimal, Cow<'_, str>, [Cow<'_, str>; 3])> {
    let (mut value, mut comparator, mut unit) = (None, Cow::default(), [const { Cow::Borrowed("") }; 3]);
    for (key, part) in quantity.entries() {
        match &*key {
            "value" => value = decimal(part),
            "comparator" => comparator = part.as_str().unwrap_or_default(),
            "system" => unit[0] = part.as_str().unwrap_or_default(),
            "code" => unit[1] = part.as_str().unwrap_or_default(),
            "unit" => unit[2] = part.as_str().unwrap_or_default(),
            _ => {}
        }
    }
    Some((value?, comparator, unit))
}

/// A point, or an interval where there is a comparator.
fn compared(number: &Decimal, comparator: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(48);
    match comparator {
        "<" => interval(None, Some((number, Side::Below)), &mut bytes),
        "<=" => interval(None, Some((number, Side::At)), &mut bytes),
        ">" => interval(Some((number, Side::Above)), None, &mut bytes),
        ">=" => interval(Some((number, Side::At)), None, &mut bytes),
        _ => point(number, &mut bytes),
    }
    bytes
}

pub(super) fn quantity(value: Value<'_>, sink: &mut Sink) {
    let Some((number, comparator, [system, code, unit])) = quantity_parts(value) else { return };
    put(&compared(&number, &comparator), &system, &code, &unit, sink);
    if let Some((number, base)) = in_base(&number, &system, &code) {
        put_in_base(&compared(&number, &comparator), base.base(), sink);
    }
}

/// The number in the base units of UCUM, if its unit is one.
fn in_base(number: &Decimal, system: &str, code: &str) -> Option<(Decimal, std::sync::Arc<ucum::Unit>)> {
    if system == UCUM { ucum::canonical(number, code) } else { None }
}

fn put_in_base(number: &[u8], base: &str, sink: &mut Sink) {
    let component = sink.is_component();
    sink.put(encode::CANONICAL, |out| {
        if component {
            out.push(IN_BASE);
        }
        push_text(base, out);
        out.push(0);
        out.extend_from_slice(number);
    });
}

/// A latitude and a longitude in degrees.
pub(super) fn position(value: Value<'_>, sink: &mut Sink) {
    let degrees = |key| value.get(key).and_then(Value::as_number).and_then(|text| text.parse::<f64>().ok());
    if let Some(place) = degrees("latitude").zip(degrees("longitude")).and_then(|(n, e)| Position::new(n, e)) {
        sink.put(encode::POSITION, |out| place.push(out));
    }
}

pub(super) fn money(value: Value<'_>, sink: &mut Sink) {
    let Some(number) = value.get("value").and_then(decimal) else { return };
    let mut bytes = Vec::with_capacity(24);
    point(&number, &mut bytes);
    let currency = text(value, "currency");
    put(&bytes, CURRENCIES, &currency, &currency, sink);
}

pub(super) fn range(value: Value<'_>, sink: &mut Sink) {
    let Some(bytes) = range_bytes(value) else { return };
    let unit_of = value.get("low").or(value.get("high")).unwrap_or(value);
    let (system, code) = (text(unit_of, "system"), text(unit_of, "code"));
    put(&bytes, &system, &code, &text(unit_of, "unit"), sink);
    let (low, high) = ends(value);
    let base = |number: &Option<Decimal>| number.as_ref().map(|number| in_base(number, &system, &code));
    let (low, high) = match (base(&low), base(&high)) {
        (Some(None), _) | (_, Some(None)) => return,
        (low, high) => (low.flatten(), high.flatten()),
    };
    let Some(unit) = low.as_ref().or(high.as_ref()).map(|(_, unit)| unit.clone()) else { return };
    if let Some(bytes) = ends_bytes(low.map(|(number, _)| number), high.map(|(number, _)| number)) {
        put_in_base(&bytes, unit.base(), sink);
    }
}

fn put(number: &[u8], system: &str, code: &str, unit: &str, sink: &mut Sink) {
    if sink.is_component() {
        return sink.put(encode::QUANTITY, |out| {
            out.extend_from_slice(number);
            for text in [system, code, unit] {
                out.push(0);
                push_text(text, out);
            }
        });
    }
    sink.put(encode::QUANTITY, |out| out.extend_from_slice(number));
    let mut by_unit = |unit: &str, system: &str| {
        sink.put(encode::UNIT, |out| {
            push_text(unit, out);
            out.push(0);
            out.extend_from_slice(number);
            out.push(0);
            push_text(system, out);
        });
    };
    if !code.is_empty() {
        by_unit(code, system);
    }
    // A search without a system also finds the human unit; with a system never.
    if !unit.is_empty() && unit != code {
        by_unit(unit, "");
    }
}
