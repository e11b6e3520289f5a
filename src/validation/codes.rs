//! Value sets as far as packages list their codes: compose with codes, whole code systems, hierarchies, imports and
//! exclusions. What cannot be told from that is not guessed; a terminology that knows more answers in its place.

use crate::definitions::{Codes, Conformance, Definitions, Registry, split_canonical};
use crate::json::{Document, Limits, Value};
use parking_lot::RwLock;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Value sets that import one another at most.
const DEEPEST: usize = 20;

/// The codes of a value set.
#[derive(Default)]
struct Expanded {
    codes: FxHashMap<Box<str>, Vec<Box<str>>>,
    /// Systems that are in it with all of their codes.
    whole: FxHashSet<Box<str>>,
    /// Systems of which some codes are in it, nobody knows here which.
    unknown: FxHashSet<Box<str>>,
    /// Whether nothing can be said of codes that are not listed.
    open: bool,
}

/// Answers from the packages alone.
pub struct PackagedCodes {
    definitions: Arc<Definitions>,
    registry: Arc<Registry>,
    known: RwLock<FxHashMap<Box<str>, Arc<Expanded>>>,
}

impl PackagedCodes {
    /// Over some packages.
    pub fn new(definitions: Arc<Definitions>, registry: Arc<Registry>) -> Self {
        PackagedCodes { definitions, registry, known: RwLock::default() }
    }

    fn expanded(&self, canonical: &str) -> Arc<Expanded> {
        if let Some(known) = self.known.read().get(canonical) {
            return known.clone();
        }
        let expanded = Arc::new(self.expand(canonical, &mut Vec::new()));
        self.known.write().insert(canonical.into(), expanded.clone());
        expanded
    }

    fn expand(&self, canonical: &str, open: &mut Vec<String>) -> Expanded {
        let nothing = || Expanded { open: true, ..Expanded::default() };
        // A value set that includes itself is not known; who imports it says so by not deciding.
        if open.len() >= DEEPEST || open.iter().any(|o| o == canonical) {
            return nothing();
        }
        let Some(found) = self.registry.find("ValueSet", canonical) else {
            let Some(set) = self.definitions.value_sets.get(split_canonical(canonical).0) else { return nothing() };
            let mut out = Expanded { open: !set.complete, ..Expanded::default() };
            for (code, systems) in &set.codes {
                out.codes.insert(code.clone(), systems.iter().map(|s| (&**s).into()).collect());
            }
            return out;
        };
        open.push(canonical.to_owned());
        let out = read(found, |root| {
            let Some(compose) = root.get("compose") else { return self.listed(root) };
            let mut out = Expanded::default();
            for part in compose.get("include").into_iter().flat_map(Value::items) {
                out.join(self.part(part, open));
            }
            for part in compose.get("exclude").into_iter().flat_map(Value::items) {
                let part = self.part(part, open);
                out.open |= part.open || !part.unknown.is_empty();
                for (code, systems) in &part.codes {
                    if let Some(own) = out.codes.get_mut(code) {
                        own.retain(|s| !systems.contains(s));
                    }
                }
                // Codes of a system that is in it whole are no longer all in it.
                for system in part.codes.values().flatten().chain(&part.whole) {
                    if out.whole.remove(system) {
                        out.unknown.insert(system.clone());
                    }
                }
            }
            out
        });
        open.pop();
        out.unwrap_or_else(nothing)
    }

    /// Only an expansion is given.
    fn listed(&self, root: Value<'_>) -> Expanded {
        let mut out = Expanded::default();
        match root.get("expansion").and_then(|e| e.get("contains")) {
            Some(contains) => contains.items().for_each(|c| contained(c, &mut out)),
            None => out.open = true,
        }
        out
    }

    fn part(&self, part: Value<'_>, open: &mut Vec<String>) -> Expanded {
        let system = part.get("system").and_then(Value::as_str);
        let mut own = system.map(|system| {
            let mut own = Expanded::default();
            let system: Box<str> = system.as_ref().into();
            let filters: Vec<Value<'_>> = part.get("filter").into_iter().flat_map(Value::items).collect();
            if let Some(concepts) = part.get("concept") {
                for code in concepts.items().filter_map(|c| c.get("code")?.as_str()) {
                    own.codes.entry(code.into()).or_default().push(system.clone());
                }
                return own;
            }
            match self.system(&system, &filters) {
                Some(codes) => {
                    for code in codes {
                        own.codes.entry(code).or_default().push(system.clone());
                    }
                }
                None if filters.is_empty() => {
                    own.whole.insert(system);
                }
                None => {
                    own.unknown.insert(system);
                }
            }
            own
        });
        for url in part.get("valueSet").into_iter().flat_map(Value::items).filter_map(Value::as_str) {
            let imported = self.expand(&url, open);
            own = Some(match own {
                None => imported,
                Some(own) => own.and(imported),
            });
        }
        own.unwrap_or_default()
    }

    /// The codes of a system that pass some filters; none where that cannot be told.
    fn system(&self, system: &str, filters: &[Value<'_>]) -> Option<Vec<Box<str>>> {
        let found = self.registry.find("CodeSystem", system)?;
        read(found, |root| {
            if root.get("content").and_then(Value::as_plain) != Some("complete") {
                return None;
            }
            let mut all = Vec::new();
            let concepts = root.get("concept");
            for filter in filters {
                let of = |name: &str| filter.get(name).and_then(Value::as_str);
                let (property, op, value) = (of("property")?, of("op")?, of("value")?);
                if property != "concept" && property != "code" {
                    return None;
                }
                let mut codes: Vec<Box<str>> = Vec::new();
                match &*op {
                    "is-a" | "descendent-of" => {
                        collect(concepts, Some(&value), false, &mut codes);
                        if op == "descendent-of" {
                            codes.retain(|c| **c != *value);
                        }
                    }
                    "=" => codes.push((&*value).into()),
                    "in" => codes.extend(value.split(',').map(|c| c.trim().into())),
                    _ => return None,
                }
                all.push(codes);
            }
            let mut codes = Vec::new();
            collect(concepts, None, true, &mut codes);
            codes.retain(|c| all.iter().all(|a| a.contains(c)));
            Some(codes)
        })?
    }
}

fn read<T>(found: &Conformance, with: impl FnOnce(Value<'_>) -> T) -> Option<T> {
    let json = found.json();
    let document = Document::parse(&json, &Limits::NONE).ok()?;
    Some(with(document.root()))
}

fn contained(concept: Value<'_>, out: &mut Expanded) {
    let of = |name: &str| concept.get(name).and_then(Value::as_str);
    if let (Some(system), Some(code)) = (of("system"), of("code")) {
        out.codes.entry(code.into()).or_default().push(system.into());
    }
    concept.get("contains").into_iter().flat_map(Value::items).for_each(|c| contained(c, out));
}

fn collect(concepts: Option<Value<'_>>, below: Option<&str>, inside: bool, out: &mut Vec<Box<str>>) {
    for concept in concepts.into_iter().flat_map(Value::items) {
        let Some(code) = concept.get("code").and_then(Value::as_str) else { continue };
        let inside = inside || below == Some(&*code);
        if inside {
            out.push(code.as_ref().into());
        }
        collect(concept.get("concept"), below, inside, out);
    }
}

impl Expanded {
    fn join(&mut self, other: Expanded) {
        for (code, systems) in other.codes {
            self.codes.entry(code).or_default().extend(systems);
        }
        self.whole.extend(other.whole);
        self.unknown.extend(other.unknown);
        self.open |= other.open;
    }

    /// What is in both.
    fn and(self, other: Expanded) -> Expanded {
        let mut out = Expanded { open: self.open && other.open, ..Expanded::default() };
        for (code, systems) in &self.codes {
            for system in systems {
                match other.contains(Some(system), code) {
                    Some(true) => out.codes.entry(code.clone()).or_default().push(system.clone()),
                    Some(false) => {}
                    None => {
                        out.unknown.insert(system.clone());
                    }
                }
            }
        }
        for system in self.whole.iter().chain(&self.unknown) {
            out.unknown.insert(system.clone());
        }
        out
    }

    fn contains(&self, system: Option<&str>, code: &str) -> Option<bool> {
        let listed = self.codes.get(code);
        match system {
            Some(system) => {
                if listed.is_some_and(|l| l.iter().any(|s| **s == *system)) || self.whole.contains(system) {
                    return Some(true);
                }
                (!self.open && !self.unknown.contains(system)).then_some(false)
            }
            None => {
                if listed.is_some_and(|l| !l.is_empty()) {
                    return Some(true);
                }
                (!self.open && self.unknown.is_empty() && self.whole.is_empty()).then_some(false)
            }
        }
    }
}

impl Codes for PackagedCodes {
    fn contains(&self, value_set: &str, system: Option<&str>, _version: Option<&str>, code: &str) -> Option<bool> {
        self.expanded(value_set).contains(system, code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::PackageInfo;

    fn codes(resources: &[(&str, &str, &str)]) -> PackagedCodes {
        let of = |(kind, url, json): &(&str, &str, &str)| {
            Conformance::new(kind, url, "1", "", "p#1".into(), json.as_bytes())
        };
        let info = PackageInfo { name: "p".into(), version: "1".into(), resources: resources.len(), guides: vec![] };
        let registry = Registry::default().with(info, resources.iter().map(of).collect());
        PackagedCodes::new(Definitions::core(), Arc::new(registry))
    }

    #[test]
    fn composed() {
        let system = r#"{"content":"complete","concept":[{"code":"a","concept":[{"code":"b"}]},{"code":"c"}]}"#;
        let below = r#"{"compose":{"include":[{"system":"s","filter":[{"property":"concept","op":"is-a","value":"a"}]}],
            "exclude":[{"system":"s","concept":[{"code":"b"}]}]}}"#;
        let large = r#"{"compose":{"include":[{"system":"big"},{"valueSet":["below"]}]}}"#;
        let own = r#"{"compose":{"include":[{"valueSet":["own"]}]}}"#;
        let codes = codes(&[
            ("CodeSystem", "s", system),
            ("ValueSet", "below", below),
            ("ValueSet", "large", large),
            ("ValueSet", "own", own),
        ]);
        let ask = |set: &str, system: &str, code: &str| codes.contains(set, Some(system), None, code);
        assert_eq!(ask("below", "s", "a"), Some(true));
        assert_eq!(ask("below", "s", "b"), Some(false));
        assert_eq!(ask("below", "s", "c"), Some(false));
        assert_eq!(ask("large", "big", "x"), Some(true));
        assert_eq!(ask("large", "other", "x"), Some(false));
        // What includes itself decides nothing.
        assert_eq!(ask("own", "s", "a"), None);
        assert_eq!(ask("missing", "s", "a"), None);
        assert_eq!(codes.contains("http://hl7.org/fhir/ValueSet/administrative-gender", None, None, "x"), Some(false));
    }
}
