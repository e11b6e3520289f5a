//! An expansion as it is shown: the value set with its concepts as a list or a tree, their properties and other names, and
//! what was used to make it. How it is put together is in `expand`.

use super::display::supplements;
use super::expand::parameter;
use super::tree::{each, split, text};
use super::value_set::Named;
use super::{CodeSystem, Library, Rules, ValueSet};
use crate::json::Tree;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Holds the properties of an expanded concept, which R4 has no element for.
const PROPERTY: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property";
/// The same for what the properties are.
const PROPERTY_DEFINITION: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.property";
/// A concept of an expansion.
#[derive(Clone)]
pub struct Item {
    /// Its code system.
    pub system: Box<str>,
    /// The version of it; empty without one.
    pub version: Box<str>,
    /// Its code.
    pub code: Box<str>,
    /// Its display.
    pub display: Option<Box<str>>,
    pub(super) source: Option<(Arc<CodeSystem>, u32)>,
    pub(super) named: Option<Named>,
    pub(super) nested: bool,
}

/// An expansion.
pub struct Expansion {
    /// The concepts (of the page).
    pub items: Vec<Item>,
    /// How many there are in all.
    pub total: usize,
    pub(super) used: BTreeSet<(&'static str, String)>,
    pub(super) many_versions: bool,
    pub(super) supplements: Vec<Box<str>>,
    pub(super) language: Option<String>,
    pub(super) nested: bool,
}

impl Expansion {
    /// The value set with its expansion. `identifier` and `timestamp` are its own.
    pub fn resource(
        &self,
        library: &dyn Library,
        set: &ValueSet,
        rules: &Rules,
        with_definition: bool,
        identifier: &str,
        timestamp: &str,
    ) -> Tree {
        let mut resource = set.resource.clone();
        for gone in ["meta", "text", "contained", "expansion"] {
            resource.remove(gone);
        }
        if !with_definition {
            for gone in ["extension", "compose", "description", "purpose", "copyright"] {
                resource.remove(gone);
            }
        }
        let mut expansion = Tree::object([
            ("identifier", Tree::string(identifier)),
            ("timestamp", Tree::string(timestamp)),
            ("total", Tree::Number(self.total.to_string())),
        ]);
        if rules.count.is_some() || rules.offset > 0 {
            expansion.set("offset", Tree::Number(rules.offset.to_string()));
        }
        let mut parameters = rules.echo.clone();
        if let Some(language) = self.language.as_deref().filter(|_| rules.language.is_none()) {
            parameters
                .push(Tree::object([("name", Tree::string("displayLanguage")), ("valueCode", Tree::string(language))]));
        }
        if parameter(set, "versionsMatch").as_deref() == Some("true") {
            parameters
                .push(Tree::object([("name", Tree::string("versionsMatch")), ("valueBoolean", Tree::Bool(true))]));
        }
        for (name, value) in &self.used {
            parameters.push(Tree::object([("name", Tree::string(*name)), ("valueUri", Tree::string(value))]));
        }
        if !parameters.is_empty() {
            expansion.set("parameter", Tree::Array(parameters));
        }
        let mut defined: Vec<(String, String)> = Vec::new();
        let shown: Vec<Tree> = self.items.iter().map(|i| self.shown(library, i, rules, &mut defined)).collect();
        let shown = if self.nested { self.nest(shown) } else { shown };
        if !shown.is_empty() {
            expansion.set("contains", Tree::Array(shown));
        }
        let mut extensions = Vec::new();
        for (_, fragment) in self.used.iter().filter(|(name, _)| *name == "used-fragment") {
            let url = split(fragment).0;
            let text = format!("This extension is based on a fragment of the code system {url}");
            let base = "http://hl7.org/fhir/StructureDefinition/valueset-unclosed";
            extensions.push(Tree::object([("url", Tree::string(base)), ("valueBoolean", Tree::Bool(true))]));
            let reason = Tree::string(format!("{base}-reason"));
            extensions.push(Tree::object([("url", reason), ("valueString", Tree::String(text))]));
        }
        if !defined.is_empty() {
            let definitions = defined.iter().map(|(code, uri)| {
                let mut parts = vec![Tree::object([("url", Tree::string("code")), ("valueCode", Tree::string(code))])];
                if !uri.is_empty() {
                    parts.push(Tree::object([("url", Tree::string("uri")), ("valueUri", Tree::string(uri))]));
                }
                Tree::object([("url", Tree::string(PROPERTY_DEFINITION)), ("extension", Tree::Array(parts))])
            });
            extensions.extend(definitions);
        }
        if !extensions.is_empty() {
            expansion.set("extension", Tree::Array(extensions));
        }
        // `compose.inactive` and the like are what the value set says; the expansion stands at the end.
        resource.set("expansion", expansion);
        resource
    }

    fn shown(&self, library: &dyn Library, item: &Item, rules: &Rules, defined: &mut Vec<(String, String)>) -> Tree {
        let mut tree = Tree::object([("system", Tree::string(&*item.system))]);
        let concept = item.source.as_ref().and_then(|(s, n)| s.concept(*n).map(|c| (s, c)));
        if let Some((system, concept)) = concept {
            let mut properties: Vec<(String, Box<str>, Tree)> = Vec::new();
            for wanted in &rules.properties {
                if wanted == "definition" {
                    let definition = concept.definition.clone();
                    properties.extend(definition.map(|d| (wanted.clone(), "valueString".into(), Tree::string(d))));
                }
                for property in concept.properties.iter().filter(|p| *p.code == **wanted) {
                    properties.push((wanted.clone(), property.key.clone(), property.value.clone()));
                }
            }
            // The status of a concept that is not simply in use is always shown.
            let status = system.status_code();
            if !rules.properties.iter().any(|p| **p == *status) {
                let stated = concept.properties.iter().filter(|p| *p.code == *status && p.text() != "active");
                properties.extend(stated.map(|p| ("status".to_owned(), p.key.clone(), p.value.clone())));
            }
            let extensions = properties.into_iter().map(|(code, key, value)| {
                if !defined.iter().any(|(c, _)| *c == code) {
                    let declared = system.properties.iter().find(|p| *p.code == *code);
                    let standard = format!("http://hl7.org/fhir/concept-properties#{code}");
                    let uri = declared.map_or_else(
                        || if matches!(code.as_str(), "definition" | "status") { standard } else { String::new() },
                        |p| p.uri.to_string(),
                    );
                    defined.push((code.clone(), uri));
                }
                let parts = vec![
                    Tree::object([("url", Tree::string("code")), ("valueCode", Tree::string(code))]),
                    Tree::Object(vec![("url".into(), Tree::string("value")), (key.into(), value)]),
                ];
                Tree::object([("url", Tree::string(PROPERTY)), ("extension", Tree::Array(parts))])
            });
            let mut extensions: Vec<Tree> = extensions.collect();
            extensions.extend(item.named.iter().flat_map(|n| each(&n.whole, "extension")).cloned());
            if !extensions.is_empty() {
                tree.set("extension", Tree::Array(extensions));
            }
            if system.is_abstract(concept) {
                tree.set("abstract", Tree::Bool(true));
            }
            if system.is_inactive(concept) {
                tree.set("inactive", Tree::Bool(true));
            }
        }
        if self.many_versions && !item.version.is_empty() {
            tree.set("version", Tree::string(&*item.version));
        }
        tree.set("code", Tree::string(&*item.code));
        if let Some(display) = &item.display {
            tree.set("display", Tree::string(&**display));
        }
        if rules.designations
            && let Some((system, concept)) = concept
        {
            let designations = self.designations(library, item, system, concept, rules);
            if !designations.is_empty() {
                tree.set("designation", Tree::Array(designations));
            }
        }
        tree
    }

    /// All other names of a concept.
    fn designations(
        &self,
        library: &dyn Library,
        item: &Item,
        system: &CodeSystem,
        concept: &super::Concept,
        rules: &Rules,
    ) -> Vec<Tree> {
        let mut all: Vec<Tree> = Vec::new();
        let mut put = |tree: Tree| {
            let wanted = rules.designation.is_empty()
                || rules.designation.iter().any(|w| {
                    let purpose = tree.get("use");
                    let (system, code) = w.split_once('|').unwrap_or((w, ""));
                    purpose.is_some_and(|u| text(u, "system") == system && text(u, "code") == code)
                        || text(&tree, "language") == code && system == "urn:ietf:bcp:47"
                });
            if wanted && !all.contains(&tree) {
                all.push(tree);
            }
        };
        // The display of the code system is one of the names where another is shown.
        if let Some(display) = concept.display.as_deref().filter(|d| Some(*d) != item.display.as_deref()) {
            let purpose = Tree::object([
                ("system", Tree::string("http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra")),
                ("code", Tree::string("preferredForLanguage")),
                ("display", Tree::string("Preferred For Language")),
            ]);
            let mut tree = Tree::Object(Vec::new());
            if let Some(language) = &system.language {
                tree.set("language", Tree::string(&**language));
            }
            tree.set("use", purpose);
            tree.set("value", Tree::string(display));
            put(tree);
        }
        // One that is shown as the display need not be said again.
        let chosen = item.display.as_deref().filter(|d| Some(*d) != concept.display.as_deref());
        for designation in concept.designations.iter().filter(|d| Some(&*d.value) != chosen) {
            put(designation.whole.clone());
        }
        for supplement in supplements(library, system, &self.supplements) {
            let concept = supplement.find(&concept.code).and_then(|n| supplement.concept(n));
            for designation in concept.into_iter().flat_map(|c| &c.designations) {
                put(designation.whole.clone());
            }
        }
        if let Some(named) = &item.named {
            for designation in each(&named.whole, "designation") {
                put(designation.clone());
            }
        }
        all
    }

    /// Puts concepts under those that they are below, where those are there.
    fn nest(&self, shown: Vec<Tree>) -> Vec<Tree> {
        let mut place: FxHashMap<(&str, &str, u32), usize> = FxHashMap::default();
        for (i, item) in self.items.iter().enumerate() {
            if let Some((system, number)) = &item.source {
                place.insert((&system.url, &system.version, *number), i);
            }
        }
        let mut below: Vec<Vec<usize>> = vec![Vec::new(); shown.len()];
        let mut top = Vec::new();
        for (i, item) in self.items.iter().enumerate() {
            let parent = item.source.as_ref().and_then(|(system, number)| {
                let parents = &system.concept(*number)?.parents;
                parents.iter().find_map(|p| place.get(&(&*system.url, &*system.version, *p)).copied())
            });
            match parent {
                Some(parent) => below[parent].push(i),
                None => top.push(i),
            }
        }
        let mut shown: Vec<Option<Tree>> = shown.into_iter().map(Some).collect();
        // From the last to the first visited: children are whole before their parents take them.
        let mut order = Vec::new();
        let mut open: Vec<usize> = top.clone();
        while let Some(at) = open.pop() {
            order.push(at);
            open.extend(&below[at]);
        }
        for at in order.into_iter().rev() {
            let children: Vec<Tree> = below[at].iter().filter_map(|c| shown[*c].take()).collect();
            if let Some(tree) = shown[at].as_mut().filter(|_| !children.is_empty()) {
                tree.set("contains", Tree::Array(children));
            }
        }
        top.into_iter().filter_map(|t| shown[t].take()).collect()
    }
}
