//! The invariants that clients break most, by hand: a table of rule, structure and function. It stands in for the
//! evaluation of all invariants with FHIRPath and is to be removed when that is there. Not in the table: rules that
//! the walk keeps anyway (ele-1, dom-2, dom-4, dom-5, txt-1, txt-2).

use super::place::Place;
use super::walk::{Scope, Walk};
use crate::base::IssueCode;
use crate::json::Value;
use crate::primitive::DateTime;
use std::borrow::Cow;
use std::collections::HashSet;

/// A rule on the objects of one structure.
pub(super) struct Invariant {
    /// The key of the specification.
    key: &'static str,
    on: &'static str,
    /// The element that the issue names; empty: the object itself.
    place: &'static str,
    message: &'static str,
    holds: fn(Value<'_>, Scope<'_, '_>) -> bool,
}

#[rustfmt::skip]
const TABLE: &[Invariant] = &[
    rule("per-1", "Period", "", "a period does not end before it starts", period_in_order),
    rule("ext-1", "Extension", "", "an extension has either a value or extensions", extension_has_one),
    rule("ref-1", "Reference", "reference", "no contained resource has the id that this fragment names", fragment_resolves),
    rule("qty-3", "Quantity", "", "a unit code needs a system", coded_unit),
    rule("qty-3", "Age", "", "a unit code needs a system", coded_unit),
    rule("qty-3", "Count", "", "a unit code needs a system", coded_unit),
    rule("qty-3", "Distance", "", "a unit code needs a system", coded_unit),
    rule("qty-3", "Duration", "", "a unit code needs a system", coded_unit),
    rule("cpt-2", "ContactPoint", "", "a value needs a system", |v, _| !has(v, "value") || has(v, "system")),
    rule("att-1", "Attachment", "", "data needs a contentType", |v, _| !has(v, "data") || has(v, "contentType")),
    rule("pat-1", "Patient.contact", "", "a contact has a name, telecom, address or organization", |v, _| {
        ["name", "telecom", "address", "organization"].iter().any(|n| has(v, n))
    }),
    rule("obs-3", "Observation.referenceRange", "", "a reference range has low, high or text", |v, _| {
        ["low", "high", "text"].iter().any(|n| has(v, n))
    }),
    rule("obs-6", "Observation", "dataAbsentReason", "there is no dataAbsentReason beside a value", |v, _| {
        !has(v, "dataAbsentReason") || !has_choice(v, "value")
    }),
    rule("obs-7", "Observation", "value", "there is no value where a component has the code of the observation", no_component_of_same_code),
    rule("ait-1", "AllergyIntolerance", "clinicalStatus", "clinicalStatus is mandatory unless it was entered in error", |v, _| {
        has(v, "clinicalStatus") || coded(v, "verificationStatus", "entered-in-error")
    }),
    rule("ait-2", "AllergyIntolerance", "clinicalStatus", "there is no clinicalStatus if it was entered in error", |v, _| {
        !has(v, "clinicalStatus") || !coded(v, "verificationStatus", "entered-in-error")
    }),
    rule("con-5", "Condition", "clinicalStatus", "there is no clinicalStatus if it was entered in error", |v, _| {
        !has(v, "clinicalStatus") || !coded(v, "verificationStatus", "entered-in-error")
    }),
    rule("bdl-1", "Bundle", "total", "only the results of a search or history have a total", |v, _| {
        !has(v, "total") || bundle_type(v, &["searchset", "history"])
    }),
    rule("bdl-2", "Bundle", "entry", "only entries of search results have 'search'", |v, _| {
        bundle_type(v, &["searchset"]) || entries(v, |e| !has(e, "search"))
    }),
    rule("bdl-3", "Bundle", "entry", "every entry of a batch, transaction or history has a request, no other has one", |v, _| {
        let wanted = bundle_type(v, &["batch", "transaction", "history"]);
        entries(v, |e| has(e, "request") == wanted)
    }),
    rule("bdl-4", "Bundle", "entry", "every entry of a batch or transaction response or of a history has a response, no other has one", |v, _| {
        let wanted = bundle_type(v, &["batch-response", "transaction-response", "history"]);
        entries(v, |e| has(e, "response") == wanted)
    }),
    rule("bdl-5", "Bundle.entry", "", "an entry has a resource, a request or a response", |v, _| {
        ["resource", "request", "response"].iter().any(|n| has(v, n))
    }),
    rule("bdl-7", "Bundle", "entry", "a fullUrl stands once, or with different meta.versionId", full_urls_once),
    rule("bdl-8", "Bundle.entry", "fullUrl", "a fullUrl does not name a version", |v, _| {
        v.get("fullUrl").and_then(Value::as_str).is_none_or(|url| !url.contains("/_history/"))
    }),
    rule("bdl-11", "Bundle", "entry", "a document begins with a Composition", |v, _| begins_with(v, "document", "Composition")),
    rule("bdl-12", "Bundle", "entry", "a message begins with a MessageHeader", |v, _| begins_with(v, "message", "MessageHeader")),
];

const fn rule(
    key: &'static str,
    on: &'static str,
    place: &'static str,
    message: &'static str,
    holds: fn(Value<'_>, Scope<'_, '_>) -> bool,
) -> Invariant {
    Invariant { key, on, place, message, holds }
}

/// The rules on a structure.
pub(super) fn on(structure: &str) -> Vec<&'static Invariant> {
    TABLE.iter().filter(|rule| rule.on == structure).collect()
}

impl Walk<'_> {
    pub(super) fn invariant(&mut self, rule: &Invariant, object: Value<'_>, place: &Place<'_>, scope: Scope<'_, '_>) {
        if !(rule.holds)(object, scope) {
            let message = format!("{} ({})", rule.message, rule.key);
            if rule.place.is_empty() {
                self.report(IssueCode::Invariant, place, message);
            } else {
                self.report(IssueCode::Invariant, &place.child(rule.place), message);
            }
        }
    }
}

/// Whether a property is there, be it only with extensions.
fn has(object: Value<'_>, name: &str) -> bool {
    object.entries().any(|(key, _)| key.strip_prefix('_').unwrap_or(&key) == name)
}

/// Whether one of the types of a choice element is there.
fn has_choice(object: Value<'_>, name: &str) -> bool {
    object.entries().any(|(key, _)| {
        let rest = key.strip_prefix('_').unwrap_or(&key).strip_prefix(name);
        rest.is_some_and(|r| r.starts_with(|c: char| c.is_ascii_uppercase()))
    })
}

/// Whether a CodeableConcept has a coding with this code.
fn coded(object: Value<'_>, name: &str, code: &str) -> bool {
    let codings = object.get(name).and_then(|concept| concept.get("coding"));
    codings.is_some_and(|c| c.items().any(|coding| text(coding, "code").is_some_and(|c| c == code)))
}

fn text<'d>(object: Value<'d>, name: &str) -> Option<Cow<'d, str>> {
    object.get(name)?.as_str()
}

fn extension_has_one(extension: Value<'_>, _: Scope<'_, '_>) -> bool {
    has(extension, "extension") != has_choice(extension, "value")
}

fn coded_unit(quantity: Value<'_>, _: Scope<'_, '_>) -> bool {
    !has(quantity, "code") || has(quantity, "system")
}

fn period_in_order(period: Value<'_>, _: Scope<'_, '_>) -> bool {
    /// Nobody knows the zone of a date without one: it may be this much earlier or later than in UTC.
    const UNKNOWN_ZONE: i64 = 14 * 3_600_000_000;
    let (Some(start), Some(end)) = (text(period, "start"), text(period, "end")) else { return true };
    if start == end {
        return true;
    }
    let (Some(from), Some(to)) = (DateTime::parse(&start), DateTime::parse(&end)) else { return true };
    let slack = if (start.len() > 10) == (end.len() > 10) { 0 } else { UNKNOWN_ZONE };
    from.start() < to.end().saturating_add(slack)
}

fn fragment_resolves(reference: Value<'_>, scope: Scope<'_, '_>) -> bool {
    let Some(reference) = text(reference, "reference") else { return true };
    // '#' alone is the resource that holds the contained one (R4 references.html#contained).
    reference.strip_prefix('#').is_none_or(|id| id.is_empty() || scope.container.contains(id))
}

fn no_component_of_same_code(observation: Value<'_>, _: Scope<'_, '_>) -> bool {
    let (Some(components), Some(code)) = (observation.get("component"), observation.get("code")) else { return true };
    if !has_choice(observation, "value") {
        return true;
    }
    let own: HashSet<_> = codings(code).collect();
    !components.items().filter_map(|c| c.get("code")).flat_map(codings).any(|coding| own.contains(&coding))
}

/// System, version, code and display of the codings of a concept.
fn codings<'d>(concept: Value<'d>) -> impl Iterator<Item = [Option<Cow<'d, str>>; 4]> {
    let codings = concept.get("coding");
    codings.into_iter().flat_map(Value::items).map(|c| ["system", "version", "code", "display"].map(|n| text(c, n)))
}

fn bundle_type(bundle: Value<'_>, types: &[&str]) -> bool {
    text(bundle, "type").is_some_and(|t| types.contains(&&*t))
}

fn entries(bundle: Value<'_>, holds: impl Fn(Value<'_>) -> bool) -> bool {
    bundle.get("entry").is_none_or(|entry| entry.items().all(holds))
}

fn begins_with(bundle: Value<'_>, kind: &str, first: &str) -> bool {
    if !bundle_type(bundle, &[kind]) {
        return true;
    }
    let entry = bundle.get("entry").and_then(|e| e.items().next());
    entry.and_then(|e| e.get("resource")).and_then(|r| text(r, "resourceType")).is_some_and(|t| t == first)
}

fn full_urls_once(bundle: Value<'_>, _: Scope<'_, '_>) -> bool {
    if bundle_type(bundle, &["history"]) {
        return true;
    }
    let mut seen = HashSet::new();
    entries_with_url(bundle).all(|entry| seen.insert(entry))
}

fn entries_with_url(bundle: Value<'_>) -> impl Iterator<Item = (Cow<'_, str>, Option<Cow<'_, str>>)> {
    let entries = bundle.get("entry");
    entries.into_iter().flat_map(Value::items).filter_map(|entry| {
        let version = entry.get("resource").and_then(|r| text(r.get("meta")?, "versionId"));
        Some((text(entry, "fullUrl")?, version))
    })
}
