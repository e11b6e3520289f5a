//! Dates (R4 search.html#date): every value is an interval, as precise as it is written.

use super::super::encode::{self, push_date};
use super::super::sink::Sink;
use crate::json::Value;
use crate::primitive::DateTime;

fn interval(start: i64, end: i64, sink: &mut Sink) {
    // Conditions rely on it that no interval is empty; an end before the start counts as the moment of the start.
    sink.put(encode::DATE, |out| push_date(start, end.max(start.saturating_add(1)), out));
}

fn read(value: Value<'_>) -> Option<DateTime> {
    DateTime::parse(&value.as_str()?)
}

pub(super) fn moment(value: Value<'_>, sink: &mut Sink) {
    if let Some(moment) = read(value) {
        interval(moment.start(), moment.end(), sink);
    }
}

/// Start and end; a side that is not given is open.
fn limits(period: Value<'_>) -> Option<(i64, i64)> {
    let start = period.get("start").and_then(read);
    let end = period.get("end").and_then(read);
    if start.is_none() && end.is_none() {
        return None;
    }
    Some((start.map_or(i64::MIN, |start| start.start()), end.map_or(i64::MAX, |end| end.end())))
}

pub(super) fn period(value: Value<'_>, sink: &mut Sink) {
    if let Some((start, end)) = limits(value) {
        interval(start, end, sink);
    }
}

/// Only the outer limits of a Timing count.
pub(super) fn timing(value: Value<'_>, sink: &mut Sink) {
    let events = value.get("event").into_iter().flat_map(Value::items).filter_map(read);
    let bounds = value.get("repeat").and_then(|repeat| repeat.get("boundsPeriod")).and_then(limits);
    let all = events.map(|event| (event.start(), event.end())).chain(bounds);
    if let Some((start, end)) = all.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) {
        interval(start, end, sink);
    }
}
