//! Invariants judged by a function and not by their expression: those that stand on nearly every element, and those
//! whose expression takes time that grows with the square of the document.

use super::walk::Scope;
use crate::json::{Kind, Value};
use std::borrow::Cow;
use std::collections::HashSet;

/// Whether a rule holds for an object.
pub(super) type Swift = for<'s, 'd> fn(Value<'d>, Scope<'s, 'd>) -> bool;

/// The function for a rule.
pub(super) fn of(key: &str) -> Option<Swift> {
    let swift: Swift = match key {
        "ext-1" => |extension, _| has(extension, "extension") != has_choice(extension, "value"),
        "ref-1" => |reference, scope| fragment_resolves(reference, scope),
        "qty-3" => |quantity, _| !has(quantity, "code") || has(quantity, "system"),
        "dom-3" => |resource, scope| scope.contained || contained_are_used(resource),
        // The expression of 4.0.1 says "more than two"; its words, and those of `enableBehavior`, say "more than one".
        "que-12" => |item, _| !conditions_are_several(item) || has(item, "enableBehavior"),
        "obs-7" => |observation, _| no_component_of_same_code(observation),
        _ => return None,
    };
    Some(swift)
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

fn conditions_are_several(item: Value<'_>) -> bool {
    item.get("enableWhen").is_some_and(|conditions| conditions.items().nth(1).is_some())
}

fn text<'d>(object: Value<'d>, name: &str) -> Option<Cow<'d, str>> {
    object.get(name)?.as_str()
}

fn fragment_resolves(reference: Value<'_>, scope: Scope<'_, '_>) -> bool {
    let Some(reference) = text(reference, "reference") else { return true };
    // '#' alone is the resource that holds the contained one (R4 references.html#contained).
    reference.strip_prefix('#').is_none_or(|id| id.is_empty() || scope.container.contains(id))
}

fn contained_are_used(resource: Value<'_>) -> bool {
    let Some(contained) = resource.get("contained").filter(|c| c.kind() == Kind::Array) else { return true };
    let mut fragments = HashSet::new();
    collect_fragments(resource, &mut fragments);
    contained.items().all(|one| {
        let used = text(one, "id").is_some_and(|id| fragments.contains(&*id));
        used || {
            let mut own = HashSet::new();
            collect_fragments(one, &mut own);
            own.contains("")
        }
    })
}

/// What stands behind the `#` of strings that begin with one.
fn collect_fragments<'d>(value: Value<'d>, into: &mut HashSet<Cow<'d, str>>) {
    match value.kind() {
        Kind::Object => value.entries().for_each(|(_, value)| collect_fragments(value, into)),
        Kind::Array => value.items().for_each(|value| collect_fragments(value, into)),
        Kind::String if value.raw().starts_with("\"#") => match value.as_str() {
            Some(Cow::Borrowed(text)) => {
                into.insert(Cow::Borrowed(&text[1..]));
            }
            Some(Cow::Owned(text)) => {
                into.insert(Cow::Owned(text[1..].to_owned()));
            }
            None => {}
        },
        _ => {}
    }
}

fn no_component_of_same_code(observation: Value<'_>) -> bool {
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
