//! Strings (R4 search.html#string): each part of a name or an address stands on its own.

use super::super::encode::{self, push_text};
use super::super::fold::part;
use super::super::sink::{Omitted, Sink};
use crate::json::Value;

pub(super) fn text(value: Value<'_>, sink: &mut Sink) {
    let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { return };
    let (folded, whole) = part(&text);
    if !whole {
        sink.leave_out(Omitted::Rest);
    }
    sink.put(encode::STRING, |out| {
        push_text(&folded, out);
        out.push(0);
        push_text(&text, out);
    });
}

/// The text and the displays of the codings.
pub(super) fn texts(value: Value<'_>, sink: &mut Sink) {
    let codings = value.get("coding").into_iter().flat_map(Value::items);
    let displays = codings.filter_map(|coding| coding.get("display"));
    value.get("text").into_iter().chain(displays).for_each(|part| text(part, sink));
}

pub(super) fn human_name(value: Value<'_>, sink: &mut Sink) {
    parts(value, &["family", "given", "prefix", "suffix", "text"], sink);
}

pub(super) fn address(value: Value<'_>, sink: &mut Sink) {
    parts(value, &["line", "city", "district", "state", "postalCode", "country", "text"], sink);
}

fn parts(value: Value<'_>, names: &[&str], sink: &mut Sink) {
    for (_, part) in value.entries().filter(|(key, _)| names.contains(&&**key)) {
        part.each().for_each(|item| text(item, sink));
    }
}
