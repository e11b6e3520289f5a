//! Rules of Bundles that no invariant has (R4 bundle.html): what a fullUrl says of its resource, and links that stand
//! once.

use super::place::Place;
use super::walk::{Scope, Walk, shown};
use crate::base::{IssueCode, Severity};
use crate::json::Value;
use std::collections::HashSet;

impl<'d> Walk<'_, 'd> {
    pub(super) fn bundle(&mut self, bundle: Value<'d>, place: &Place<'_>) {
        let mut relations = HashSet::new();
        for (i, link) in bundle.get("link").into_iter().flat_map(Value::items).enumerate() {
            let Some(relation) = link.get("relation").and_then(Value::as_str) else { continue };
            let once = matches!(&*relation, "self" | "first" | "last" | "next" | "previous" | "prev");
            if once && !relations.insert(relation.clone()) {
                let message = format!("there is one link of the relation '{relation}' only");
                self.report(IssueCode::Invalid, &place.child("link").item(i), message);
            }
        }
        for (i, entry) in bundle.get("entry").into_iter().flat_map(Value::items).enumerate() {
            let Some(url) = entry.get("fullUrl").and_then(Value::as_str) else { continue };
            let at = place.child("entry").item(i);
            if !url.contains(':') {
                let message = format!("a fullUrl is absolute, not '{}'", shown(&url));
                self.report(IssueCode::Invalid, &at.child("fullUrl"), message);
                continue;
            }
            let Some(resource) = entry.get("resource") else { continue };
            let (Some((kind, id)), true) = (restful(&url), url.starts_with("http")) else { continue };
            if self.definitions().resource(kind).is_none() {
                continue;
            }
            let own_kind = resource.get("resourceType").and_then(Value::as_str).unwrap_or_default();
            let own_id = resource.get("id").and_then(Value::as_str).unwrap_or_default();
            if own_kind != kind || own_id != id {
                let message = format!(
                    "this fullUrl names {kind}/{}, but the resource is {own_kind}/{}",
                    shown(id),
                    shown(&own_id)
                );
                self.report(IssueCode::Invalid, &at.child("fullUrl"), message);
            }
        }
    }

    /// A relative reference against the entries around it (R4 bundle.html#references): where it names another type than
    /// what stands under its id, and in a document where it leads nowhere though its target is there.
    pub(super) fn reference_in_bundle(&mut self, reference: Value<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        if self.root.get("resourceType").and_then(Value::as_plain) != Some("Bundle") {
            return;
        }
        let Some(text) = reference.get("reference").and_then(Value::as_str) else { return };
        let Some((kind, id)) = text.split_once('/').filter(|(kind, _)| self.definitions().resource(kind).is_some())
        else {
            return;
        };
        if id.contains('/') || self.entries().resolve(&text, scope, self.definitions()).is_some() {
            return;
        }
        let at = place.child("reference");
        let other = self.entries().at(&format!("urn:uuid:{id}")).and_then(|r| r.get("resourceType")?.as_str());
        if let Some(other) = other.filter(|other| **other != *kind) {
            let message = format!("'{}' names a {kind}, but a {other} stands under this id", shown(&text));
            return self.report(IssueCode::Invalid, &at, message);
        }
        let document = self.root.get("type").and_then(Value::as_plain) == Some("document");
        if document && self.entries().holds(&text) {
            let message = format!(
                "'{}' leads to no entry: one has this type and id, but its fullUrl is of another base",
                shown(&text)
            );
            // Only a warning: published documents do it, and whoever reads them finds what is meant.
            self.note(Severity::Warning, IssueCode::Invalid, &at, message);
        }
    }

    /// The size of an attachment is that of its data.
    pub(super) fn attachment_size(&mut self, attachment: Value<'d>, place: &Place<'_>) {
        let stated = attachment.get("size").and_then(Value::as_number).and_then(|n| n.parse::<usize>().ok());
        let (Some(stated), Some(data)) = (stated, attachment.get("data").and_then(Value::as_str)) else { return };
        let digits = data.bytes().filter(|b| !b.is_ascii_whitespace() && *b != b'=').count();
        let real = digits * 3 / 4;
        if stated != real {
            let message = format!("the size is stated as {stated} bytes, the data have {real}");
            self.report(IssueCode::Invalid, &place.child("size"), message);
        }
    }
}

/// Type and id at the end of an address.
fn restful(url: &str) -> Option<(&str, &str)> {
    let mut parts = url.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    let word = kind.starts_with(|c: char| c.is_ascii_uppercase()) && kind.bytes().all(|b| b.is_ascii_alphabetic());
    word.then_some((kind, id))
}
