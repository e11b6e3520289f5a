//! References, canonicals and uris (R4 search.html#reference, #uri). A literal reference with a version is found with
//! and without it; references to contained resources are not found by search.

use super::super::encode::{self, push_text, push_token};
use super::super::sink::Sink;
use crate::json::Value;
use crate::primitive::Reference;

/// The absolute bases of this server: a reference below one of them is the same as a relative one.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Bases(Vec<String>);

impl Bases {
    /// From URLs, with or without a slash at the end.
    pub(in super::super) fn new(bases: Vec<String>) -> Bases {
        Bases(bases.into_iter().map(|base| base.trim_end_matches('/').to_owned()).collect())
    }

    /// Type and id, if a literal reference points to a resource of this server.
    pub(in super::super) fn local<'t>(&self, reference: &Reference<'t>) -> Option<(&'t str, &'t str)> {
        match *reference {
            Reference::Relative { kind, id, .. } => Some((kind, id)),
            Reference::Absolute { base, kind, id, .. } if self.0.iter().any(|own| own == base) => Some((kind, id)),
            _ => None,
        }
    }
}

fn local(kind: &str, id: &str, sink: &mut Sink) {
    sink.put(encode::LOCAL, |out| {
        push_text(id, out);
        out.push(0);
        push_text(kind, out);
    });
}

fn url(text: &str, sink: &mut Sink) {
    if !text.is_empty() {
        sink.put(encode::URL, |out| push_text(text, out));
    }
}

fn literal(bases: &Bases, text: &str, sink: &mut Sink) {
    let reference = Reference::parse(text);
    if let Some((kind, id)) = bases.local(&reference) {
        local(kind, id, sink);
        if let Reference::Relative { version: Some(version), .. } | Reference::Absolute { version: Some(version), .. } =
            reference
        {
            url(&format!("{kind}/{id}/_history/{version}"), sink);
        }
        return;
    }
    match reference {
        Reference::Fragment(_) | Reference::Conditional { .. } => {}
        Reference::Absolute { version: Some(version), .. } => {
            url(text, sink);
            url(text.strip_suffix(version).and_then(|text| text.strip_suffix("/_history/")).unwrap_or(text), sink)
        }
        Reference::Canonical { url: own, version } => {
            literal_url(bases, own, sink);
            if version.is_some() {
                url(text, sink);
            }
        }
        _ => url(text, sink),
    }
}

/// The url of a canonical, without its version.
fn literal_url(bases: &Bases, text: &str, sink: &mut Sink) {
    match bases.local(&Reference::parse(text)) {
        Some((kind, id)) => local(kind, id, sink),
        None => url(text, sink),
    }
}

pub(super) fn reference(bases: &Bases, value: Value<'_>, sink: &mut Sink) {
    if let Some(text) = value.get("reference").and_then(Value::as_str) {
        literal(bases, &text, sink);
    }
    if let Some(identifier) = value.get("identifier")
        && !sink.is_component()
    {
        let part = |key| identifier.get(key).and_then(Value::as_str).unwrap_or_default();
        let (system, value) = (part("system"), part("value"));
        if !value.is_empty() {
            sink.put(encode::IDENTIFIER, |out| push_token(&system, &value, out));
        }
    }
}

pub(super) fn canonical(bases: &Bases, value: Value<'_>, sink: &mut Sink) {
    if let Some(text) = value.as_str() {
        literal(bases, &text, sink);
    }
}

/// A resource that stands where a reference to it could.
pub(super) fn resource(value: Value<'_>, sink: &mut Sink) {
    let part = |key| value.get(key).and_then(Value::as_str);
    if let (Some(kind), Some(id)) = (part("resourceType"), part("id")) {
        local(&kind, &id, sink);
    }
}

pub(super) fn uri(value: Value<'_>, sink: &mut Sink) {
    if let Some(text) = value.as_str() {
        url(&text, sink);
    }
}

/// A canonical is found with and without its version.
pub(super) fn canonical_uri(value: Value<'_>, sink: &mut Sink) {
    let Some(text) = value.as_str() else { return };
    url(&text, sink);
    if let Some((own, _)) = text.split_once('|') {
        url(own, sink);
    }
}
