//! What a value set comes to: its concepts in order, without those that are excluded, as a list or a tree, a page of
//! them, and what was used to make it.

use super::display::{Names, own, supplements};
use super::library::{self, newest};
use super::member::Trail;
use super::tree::{canonical, each, split, text};
use super::value_set::{ConceptSet, Named};
use super::{CodeSystem, Content, Library, Problem, Rules, ValueSet, filter};
use crate::json::Tree;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Holds the properties of an expanded concept, which R4 has no element for.
const PROPERTY: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property";
/// The same for what the properties are.
const PROPERTY_DEFINITION: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.property";
/// Languages of an expansion in the value set itself.
const EXPANSION_PARAMETER: [&str; 2] = [
    "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter",
    "http://hl7.org/fhir/tools/StructureDefinition/valueset-expansion-param",
];

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
    source: Option<(Arc<CodeSystem>, u32)>,
    named: Option<Named>,
    nested: bool,
}

/// An expansion.
pub struct Expansion {
    /// The concepts (of the page).
    pub items: Vec<Item>,
    /// How many there are in all.
    pub total: usize,
    used: BTreeSet<(&'static str, String)>,
    many_versions: bool,
    supplements: Vec<Box<str>>,
    language: Option<String>,
    nested: bool,
}

struct Making<'m> {
    library: &'m dyn Library,
    rules: &'m Rules,
    trail: Trail,
    used: BTreeSet<(&'static str, String)>,
    /// The versions of each code system that the includes name.
    versions: FxHashMap<Box<str>, BTreeSet<Box<str>>>,
    work: usize,
}

/// Puts a value set together.
pub fn expand(library: &dyn Library, set: &ValueSet, rules: &Rules) -> Result<Expansion, Problem> {
    let language = rules.language.clone().or_else(|| parameter(set, "displayLanguage"));
    let wanted: Vec<Box<str>> =
        rules.supplements.iter().map(|s| s.as_str().into()).chain(set.supplements.iter().cloned()).collect();
    missing_supplement(library, &wanted)?;
    let mut making = Making {
        library,
        rules,
        trail: Trail::default(),
        used: BTreeSet::new(),
        versions: FxHashMap::default(),
        work: 0,
    };
    making.note("ValueSet", &set.status, &set.standards_status, set.experimental, &set.canonical());
    let mut items = making.all_of(set)?;
    let without_inactive = rules.active_only || set.inactive == Some(false);
    items.retain(|item| {
        let concept = item.source.as_ref().and_then(|(s, n)| s.concept(*n).map(|c| (s, c)));
        concept
            .is_none_or(|(s, c)| !(without_inactive && s.is_inactive(c) || rules.exclude_abstract && s.is_abstract(c)))
    });
    let words = rules.filter.as_deref().filter(|f| !f.trim().is_empty());
    let paged = rules.count.is_some() || rules.offset > 0;
    // Names are looked up for what is shown, unless they decide what that is or which supplements were of use.
    let early = words.is_some() || !wanted.is_empty();
    if early {
        making.name(&mut items, &wanted, language.as_deref());
    }
    if let Some(words) = words {
        items.retain(|item| matches(item, words));
    }
    let many_versions = making.versions.iter().any(|(_, said)| said.len() > 1);
    let total = items.len();
    if total > rules.limit && !paged {
        return Err(too_costly(set, rules.limit));
    }
    if paged {
        items = items.into_iter().skip(rules.offset).take(rules.count.unwrap_or(usize::MAX)).collect();
    }
    if !early {
        making.name(&mut items, &wanted, language.as_deref());
    }
    let nested = !rules.flat && !paged && rules.filter.is_none() && items.iter().all(|i| i.nested);
    Ok(Expansion { items, total, used: making.used, many_versions, supplements: wanted, language, nested })
}

fn too_costly(set: &ValueSet, limit: usize) -> Problem {
    let text = format!("The value set '{}' expansion has too many codes to display (>{limit})", set.canonical());
    Problem::error("too-costly", "", "VALUESET_TOO_COSTLY", text)
}

/// A parameter for the expansion that stands in the value set.
pub(super) fn parameter(set: &ValueSet, name: &str) -> Option<String> {
    let compose = set.resource.get("compose")?;
    each(compose, "extension").iter().filter(|e| EXPANSION_PARAMETER.contains(&text(e, "url"))).find_map(|e| {
        let part = |url: &str| {
            let found = each(e, "extension").iter().find(|p| text(p, "url") == url)?;
            ["valueCode", "valueString", "valueUri"].iter().find_map(|k| found.get(k)?.as_str())
        };
        (part("name") == Some(name)).then(|| part("value").map(str::to_owned))?
    })
}

/// The error where a supplement is needed that is not there.
pub(super) fn missing_supplement(library: &dyn Library, wanted: &[Box<str>]) -> Result<(), Problem> {
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|w| {
            let (url, version) = split(w);
            let all = library.code_systems(url);
            !all.iter().any(|s| s.content == Content::Supplement && (version.is_empty() || *s.version == *version))
        })
        .map(|w| &**w)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let (one, text) = (missing.len() == 1, missing.join(", "));
    let words = if one { "Required supplement not found: " } else { "Required supplements not found: " };
    Err(Problem::error("not-found", "not-found", "VALUESET_SUPPLEMENT_MISSING", format!("{words}{text}")))
}

/// Whether all words begin a word of the display or the code.
fn matches(item: &Item, words: &str) -> bool {
    let text = format!("{} {}", item.display.as_deref().unwrap_or_default(), item.code).to_lowercase();
    words.to_lowercase().split_whitespace().all(|word| text.contains(word))
}

impl Making<'_> {
    /// Notes a resource whose status is worth knowing.
    fn note(&mut self, kind: &str, status: &str, standards: &str, experimental: bool, canonical: &str) {
        let what = match (standards, status) {
            ("withdrawn", _) => "warning-withdrawn",
            ("deprecated", _) => "warning-deprecated",
            (_, "retired") => "warning-retired",
            _ if experimental => "warning-experimental",
            ("draft", _) => "warning-draft",
            (_, "draft") if kind == "CodeSystem" => "warning-draft",
            _ => return,
        };
        self.used.insert((what, canonical.to_owned()));
    }

    /// Gives the items their displays.
    fn name(&mut self, items: &mut [Item], wanted: &[Box<str>], language: Option<&str>) {
        // Those of one code system stand together.
        let mut of: Option<(Arc<CodeSystem>, Vec<Arc<CodeSystem>>)> = None;
        for item in items {
            let Some((system, number)) = &item.source else { continue };
            let Some(concept) = system.concept(*number) else { continue };
            if of.as_ref().is_none_or(|(known, _)| !Arc::ptr_eq(known, system)) {
                let added = supplements(self.library, system, wanted);
                self.used.extend(added.iter().map(|s| ("used-supplement", s.canonical())));
                of = Some((system.clone(), added));
            }
            let added = of.as_ref().map_or(&[][..], |(_, added)| added);
            let names = Names::of(system, concept, added, item.named.as_ref());
            let own = item.named.as_ref().and_then(own).filter(|_| language.is_none());
            item.display = own.or_else(|| names.best(language).map(Box::from));
        }
    }

    fn all_of(&mut self, set: &ValueSet) -> Result<Vec<Item>, Problem> {
        if let Some(expanded) = &set.expanded {
            let item = |[system, version, code, display]: &[Box<str>; 4]| Item {
                system: system.clone(),
                version: version.clone(),
                code: code.clone(),
                display: Some(display.clone()).filter(|d| !d.is_empty()),
                source: None,
                named: None,
                nested: false,
            };
            return Ok(expanded.iter().map(item).collect());
        }
        self.trail.enter(set)?;
        // Whether a code is the same whatever the version: if it is not said, only where codes are excluded.
        let versions_match = parameter(set, "versionsMatch");
        let mut items: Vec<Item> = Vec::new();
        let mut known: FxHashSet<(Box<str>, Box<str>, Box<str>)> = FxHashSet::default();
        // The codes of one code system differ.
        let differ = |one: &ConceptSet| one.concepts.is_empty() && one.value_sets.is_empty();
        let alone = matches!(set.include.as_slice(), [one] if differ(one));
        for include in &set.include {
            let part = self.part(include)?;
            if alone {
                items = part;
                continue;
            }
            for item in part {
                let version =
                    if versions_match.as_deref() == Some("true") { Box::default() } else { item.version.clone() };
                if known.insert((item.system.clone(), version, item.code.clone())) {
                    items.push(item);
                }
            }
        }
        let mut without: FxHashSet<(Box<str>, Box<str>, Box<str>)> = FxHashSet::default();
        for exclude in &set.exclude {
            let any_version = exclude.version.is_empty() || versions_match.as_deref() != Some("false");
            for item in self.part(exclude)? {
                let version = if any_version { Box::default() } else { item.version };
                without.insert((item.system, version, item.code));
            }
        }
        if !without.is_empty() {
            items.retain(|i| {
                let key = |version: &str| (i.system.clone(), version.into(), i.code.clone());
                !without.contains(&key("")) && !without.contains(&key(&i.version))
            });
            // What is left may have lost what it was nested in; the writer brings it up.
        }
        self.trail.leave();
        Ok(items)
    }

    fn spend(&mut self, count: usize) -> Result<(), Problem> {
        self.work += count;
        if self.work > 20 * self.rules.limit.max(100_000) {
            let text = "The value set takes too much work to put together";
            return Err(Problem::error("too-costly", "", "VALUESET_TOO_COSTLY", text));
        }
        Ok(())
    }

    fn part(&mut self, set: &ConceptSet) -> Result<Vec<Item>, Problem> {
        let mut items = match set.system.is_empty() {
            true => None,
            false => Some(self.of_system(set)?),
        };
        for url in &set.value_sets {
            let other = library::value_set(self.library, url, self.rules)?;
            if !url.starts_with('#') {
                self.used.insert(("used-valueset", other.canonical()));
            }
            self.note("ValueSet", &other.status, &other.standards_status, other.experimental, &other.canonical());
            let theirs = self.all_of(&other)?;
            items = Some(match items {
                None => theirs,
                Some(mut ours) => {
                    let keys: FxHashSet<(&str, &str)> = theirs.iter().map(|i| (&*i.system, &*i.code)).collect();
                    ours.retain(|i| keys.contains(&(&*i.system, &*i.code)));
                    ours
                }
            });
        }
        Ok(items.unwrap_or_default())
    }

    fn of_system(&mut self, set: &ConceptSet) -> Result<Vec<Item>, Problem> {
        let (version, rule) = self.rules.version_and_rule(&set.system, &set.version);
        if let Some(name) = rule {
            self.used.insert((name, canonical(&set.system, version)));
        }
        let all = self.library.code_systems(&set.system);
        let versions: Vec<String> = all.iter().map(|s| s.version.to_string()).collect();
        let Some(system) = newest(all, version) else {
            return Err(unknown_system(&set.system, version, versions, "expanded"));
        };
        if system.content == Content::Supplement {
            let text = format!(
                "CodeSystem {} is a supplement, so can't be used as a code system in a value set",
                system.canonical()
            );
            return Err(Problem::error("invalid", "invalid-data", "CODESYSTEM_CS_NO_SUPPLEMENT", text).at(&set.place));
        }
        if let Some(wanted) = self.rules.broken_check(&set.system, &system.version) {
            return Err(broken_check(&system, wanted));
        }
        self.versions.entry(set.system.clone()).or_default().insert(set.version.clone());
        self.used.insert(("used-codesystem", system.canonical()));
        self.note("CodeSystem", &system.status, &system.standards_status, system.experimental, &system.canonical());
        self.spend(system.concepts.len())?;
        if !system.faults.is_empty() && set.concepts.is_empty() {
            let text =
                format!("The code system {} cannot be relied on: {}", system.canonical(), system.faults.join("; "));
            return Err(Problem::error("processing", "vs-invalid", "CODESYSTEM_FAULTY", text).at(&set.place));
        }
        let item = |number: u32, named: Option<&Named>, nested: bool| {
            let concept = system.concept(number)?;
            Some(Item {
                system: system.url.clone(),
                version: system.version.clone(),
                code: concept.code.clone(),
                display: None,
                source: Some((system.clone(), number)),
                named: named.cloned(),
                nested,
            })
        };
        if !set.concepts.is_empty() {
            let passing = filter::passing(&system, set)?;
            let named = set.concepts.iter().filter_map(|named| {
                let number = system.find(&named.code)?;
                passing.get(number as usize).filter(|p| **p)?;
                item(number, Some(named), false)
            });
            return Ok(named.collect());
        }
        if matches!(system.content, Content::NotPresent | Content::Example) {
            let text = format!(
                "The code system definition for {} has no content, so this expansion is not possible without specifying filters or concepts",
                system.canonical()
            );
            return Err(Problem::error("not-supported", "vs-invalid", "CODESYSTEM_NO_CONTENT", text).at(&set.place));
        }
        if system.content == Content::Fragment {
            self.used.insert(("used-fragment", system.canonical()));
        }
        let passing = filter::passing(&system, set)?;
        let numbers = passing.iter().enumerate().filter(|(_, p)| **p);
        Ok(numbers.filter_map(|(n, _)| item(n as u32, None, true)).collect())
    }
}

/// The error for a code system that is not there.
pub(super) fn unknown_system(url: &str, version: &str, mut versions: Vec<String>, what: &str) -> Problem {
    let consequence = match what {
        "expanded" => "so the value set cannot be expanded",
        _ => "so the code cannot be validated",
    };
    versions.retain(|v| !v.is_empty());
    versions.sort_by(|a, b| super::tree::newer(a, b));
    let expanded = what == "expanded";
    let (id, text) = match (version.is_empty(), versions.is_empty()) {
        (true, _) => (
            if expanded { "UNKNOWN_CODESYSTEM_EXP" } else { "UNKNOWN_CODESYSTEM" },
            format!("A definition for CodeSystem '{url}' could not be found, {consequence}"),
        ),
        (false, true) => (
            if expanded { "UNKNOWN_CODESYSTEM_VERSION_EXP_NONE" } else { "UNKNOWN_CODESYSTEM_VERSION_NONE" },
            format!(
                "A definition for CodeSystem '{url}' version '{version}' could not be found, {consequence}. No versions of this code system are known"
            ),
        ),
        (false, false) => (
            if expanded { "UNKNOWN_CODESYSTEM_VERSION_EXP" } else { "UNKNOWN_CODESYSTEM_VERSION" },
            format!(
                "A definition for CodeSystem '{url}' version '{version}' could not be found, {consequence}. Valid versions: {}",
                choices(&versions)
            ),
        ),
    };
    Problem {
        unknown: Some(canonical(url, version).into_boxed_str()),
        ..Problem::error("not-found", "not-found", id, text)
    }
}

fn choices(versions: &[String]) -> String {
    match versions {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => versions.join(""),
    }
}

pub(super) fn broken_check(system: &CodeSystem, wanted: &str) -> Problem {
    let text = format!(
        "The version '{}' is not allowed for system '{}': required to be '{wanted}' by a version-check parameter",
        system.version, system.url
    );
    Problem::error("exception", "version-error", "VALUESET_VERSION_CHECK", text)
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
            let status = system.code_of("status");
            if !rules.properties.iter().any(|p| **p == *status) {
                let stated = concept.properties.iter().filter(|p| p.code == status);
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
