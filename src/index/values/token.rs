//! Tokens (R4 search.html#token).

use super::super::encode::{self, FOLDED, push_text, push_token};
use super::super::fold::{fold, part};
use super::super::sink::{Omitted, Sink};
use crate::definitions::Definitions;
use crate::json::Value;
use std::borrow::Cow;

/// The system of booleans, implicit in the specification.
const SPECIAL_VALUES: &str = "http://terminology.hl7.org/CodeSystem/special-values";

fn text<'d>(of: Value<'d>, key: &str) -> Cow<'d, str> {
    of.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn token(system: &str, code: &str, sink: &mut Sink) {
    if !code.is_empty() {
        sink.put(encode::TOKEN, |out| push_token(system, code, out));
    }
    sink.put_system(system);
}

/// What `:text` looks in. (Components of composites have no modifiers.)
fn label(text: &str, sink: &mut Sink) {
    if !text.is_empty() && !sink.is_component() {
        let (folded, whole) = part(text);
        if !whole {
            sink.leave_out(Omitted::Rest);
        }
        sink.put(encode::TEXT, |out| push_text(&folded, out));
    }
}

pub(super) fn coding(value: Value<'_>, sink: &mut Sink) {
    let (mut system, mut code) = (Cow::default(), Cow::default());
    for (key, part) in value.entries() {
        match &*key {
            "system" => system = part.as_str().unwrap_or_default(),
            "code" => code = part.as_str().unwrap_or_default(),
            "display" => label(&part.as_str().unwrap_or_default(), sink),
            _ => {}
        }
    }
    if !code.is_empty() || !system.is_empty() {
        token(&system, &code, sink);
    }
}

pub(super) fn codeable_concept(value: Value<'_>, sink: &mut Sink) {
    for one in value.get("coding").into_iter().flat_map(Value::items) {
        coding(one, sink);
    }
    label(&text(value, "text"), sink);
}

pub(super) fn identifier(value: Value<'_>, sink: &mut Sink) {
    let (system, code) = (text(value, "system"), text(value, "value"));
    if !code.is_empty() || !system.is_empty() {
        token(&system, &code, sink);
    }
    if let Some(kind) = value.get("type")
        && !sink.is_component()
    {
        label(&text(kind, "text"), sink);
        for one in kind.get("coding").into_iter().flat_map(Value::items) {
            label(&text(one, "display"), sink);
            of_type(&code, one, sink);
        }
    }
}

/// What `:of-type` looks for.
fn of_type(value: &str, kind: Value<'_>, sink: &mut Sink) {
    let (system, code) = (text(kind, "system"), text(kind, "code"));
    if !value.is_empty() && !code.is_empty() {
        sink.put(encode::OF_TYPE, |out| {
            push_text(value, out);
            out.push(0);
            push_token(&system, &code, out);
        });
    }
}

/// The system of a ContactPoint is not one of tokens; it is part of the path where it counts (`phone`, `email`).
pub(super) fn contact_point(value: Value<'_>, sink: &mut Sink) {
    if let Some(value) = value.get("value") {
        folded(value, sink);
    }
}

pub(super) fn code(definitions: &Definitions, value_set: Option<&str>, value: Value<'_>, sink: &mut Sink) {
    let Some(code) = value.as_str() else { return };
    let codes = value_set.and_then(|url| definitions.value_sets.get(url)).map(|set| &set.codes);
    match codes.and_then(|codes| codes.get(&*code)).map(Vec::as_slice) {
        None | Some([]) => token("", &code, sink),
        Some(systems) => systems.iter().for_each(|system| token(system, &code, sink)),
    }
}

pub(super) fn folded(value: Value<'_>, sink: &mut Sink) {
    let Some(text) = value.as_str() else { return };
    sink.put(encode::TOKEN, |out| {
        push_text(&fold(&text), out);
        out.extend_from_slice(&[0, FOLDED]);
    });
}

pub(super) fn plain(value: Value<'_>, sink: &mut Sink) {
    let code = value.as_str().unwrap_or(Cow::Borrowed(value.raw()));
    token("", &code, sink);
}

pub(super) fn boolean(truth: bool, sink: &mut Sink) {
    token(SPECIAL_VALUES, if truth { "true" } else { "false" }, sink);
}
