//! Definitions that resources will be held against (StructureDefinition, CodeSystem, ValueSet): can they be used at all?
//! Expressions that cannot be read, elements that there are not, what contradicts itself, what would loosen its base and
//! what goes round in a circle are told where they stand. And rules on search parameters and on those that a
//! CapabilityStatement names.

use super::place::Place;
use super::walk::{Walk, shown};
use crate::base::{IssueCode, Severity};
use crate::definitions::SearchKind;
use crate::fhirpath::parse;
use crate::json::{Tree, Value};
use rustc_hash::FxHashMap;

impl<'d> Walk<'_, 'd> {
    pub(super) fn definition(&mut self, definition: Value<'d>, place: &Place<'_>) {
        let text = |name: &str| definition.get(name).and_then(Value::as_str).unwrap_or_default();
        let (url, version) = (text("url"), text("version"));
        let canonical = if version.is_empty() { url.into_owned() } else { format!("{url}|{version}") };
        for (i, rule) in definition.get("contextInvariant").into_iter().flat_map(Value::items).enumerate() {
            self.readable(rule, "context", &canonical, &place.child("contextInvariant").item(i));
        }
        for list in ["snapshot", "differential"] {
            let at = place.child(list);
            for (i, element) in elements(definition, list).enumerate() {
                let at = at.child("element").item(i);
                for (j, constraint) in element.get("constraint").into_iter().flat_map(Value::items).enumerate() {
                    let key = constraint.get("key").and_then(Value::as_str).unwrap_or_default();
                    let Some(expression) = constraint.get("expression") else { continue };
                    let at = at.child("constraint").item(j);
                    self.readable(expression, &key, &canonical, &at.child("expression"));
                }
            }
        }
        let Some(fault) = self.validator.fault_of(definition) else { return };
        let message = match &*fault.element {
            "" => format!("the profile {canonical} cannot be used: {}", fault.why),
            element => format!("the profile {canonical} cannot be used, {element}: {}", fault.why),
        };
        for list in ["differential", "snapshot"] {
            let mut all = elements(definition, list);
            let named = |e: &Value<'_>| {
                ["id", "path"].iter().any(|n| e.get(n).and_then(Value::as_str).as_deref() == Some(&*fault.element))
            };
            if let Some(i) = all.position(|e| named(&e)) {
                let at = place.child(list);
                return self.report(IssueCode::Invalid, &at.child("element").item(i), message);
            }
        }
        self.report(IssueCode::Invalid, place, message);
    }

    /// A code system or value set: its concepts and imports do not go round in a circle, as nothing could be asked of it.
    pub(super) fn vocabulary(&mut self, resource: Value<'d>, place: &Place<'_>) {
        // Only an import leads back to a value set, and only a property to a concept: the others need no look.
        let sets = ["include", "exclude"].map(|list| resource.get("compose").and_then(|compose| compose.get(list)));
        let imports = sets.into_iter().flatten().flat_map(Value::items).any(|set| set.get("valueSet").is_some());
        let mut concepts = resource.get("concept").into_iter();
        if !imports && !concepts.any(|all| all.raw().contains("\"valueCode\"")) {
            return;
        }
        let Some(unfit) = self.validator.codes.circle(&Tree::from(resource)) else { return };
        match unfit.place.as_deref().and_then(|at| at.split_once('.')) {
            Some((_, within)) => self.report(unfit.code, &place.child(within), &*unfit.why),
            None => self.report(unfit.code, place, &*unfit.why),
        }
    }

    /// A search parameter that is derived from one of the specification is for no other types than that.
    pub(super) fn search_parameter(&mut self, parameter: Value<'d>, place: &Place<'_>) {
        let Some(canonical) = parameter.get("derivedFrom").and_then(Value::as_str) else { return };
        let (url, _) = crate::definitions::split_canonical(&canonical);
        let Some(from) = self.definitions().search_parameters.iter().find(|p| &*p.url == url) else { return };
        let abstracts = |base: &str| matches!(base, "Resource" | "DomainResource");
        for (i, base) in parameter.get("base").into_iter().flat_map(Value::items).enumerate() {
            let Some(base) = base.as_str() else { continue };
            if !from.bases.iter().any(|b| **b == *base || abstracts(b)) {
                let message = format!("{url}, from which this is derived, is not for {}", shown(&base));
                self.report(IssueCode::BusinessRule, &place.child("base").item(i), message);
            }
        }
    }

    /// A search parameter that a CapabilityStatement names has the type of its definition. Only a warning: official
    /// examples give it others.
    pub(super) fn search_parameters_of(&mut self, statement: Value<'d>, place: &Place<'_>) {
        let list = |of: Value<'d>, name: &str| of.get(name).into_iter().flat_map(Value::items).enumerate();
        let definitions = self.definitions();
        let kinds: FxHashMap<&str, SearchKind> =
            definitions.search_parameters.iter().map(|p| (&*p.url, p.kind)).collect();
        let wrong = |parameter: Value<'d>| {
            let text = |name: &str| parameter.get(name).and_then(Value::as_str);
            let (canonical, stated) = (text("definition")?, text("type")?);
            let (url, _) = crate::definitions::split_canonical(&canonical);
            let kind = kinds.get(url)?.code();
            (kind != &*stated).then(|| format!("the type of {url} is {kind}, not {}", shown(&stated)))
        };
        for (i, rest) in list(statement, "rest") {
            let rests = place.child("rest").item(i);
            for (k, why) in list(rest, "searchParam").filter_map(|(k, p)| Some((k, wrong(p)?))) {
                let at = rests.child("searchParam").item(k);
                self.note(Severity::Warning, IssueCode::Invalid, &at.child("type"), why);
            }
            for (j, resource) in list(rest, "resource") {
                let resources = rests.child("resource").item(j);
                for (k, why) in list(resource, "searchParam").filter_map(|(k, p)| Some((k, wrong(p)?))) {
                    let at = resources.child("searchParam").item(k);
                    self.note(Severity::Warning, IssueCode::Invalid, &at.child("type"), why);
                }
            }
        }
    }

    fn readable(&mut self, expression: Value<'d>, key: &str, canonical: &str, place: &Place<'_>) {
        let Some(text) = expression.as_str() else { return };
        if let Err(why) = parse(&text) {
            let message = format!("the expression of the rule {key} of {canonical} cannot be read: {why}");
            self.report(IssueCode::Invalid, place, message);
        }
    }
}

fn elements<'d>(definition: Value<'d>, list: &str) -> impl Iterator<Item = Value<'d>> {
    definition.get(list).and_then(|l| l.get("element")).into_iter().flat_map(Value::items)
}
