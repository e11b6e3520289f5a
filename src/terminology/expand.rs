//! What a value set comes to: its concepts in order, without those that are excluded, or a page of them, and what was
//! used to make it.

use super::display::{Names, own, supplements};
use super::expansion::{Expansion, Item};
use super::library::newest;
use super::member::{Trail, leading};
use super::problem::{broken_check, unknown_system};
use super::tree::{canonical, each, split, text};
use super::value_set::{ConceptSet, Named};
use super::{CodeSystem, Content, Library, Problem, Rules, ValueSet, filter};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Languages of an expansion in the value set itself.
const EXPANSION_PARAMETER: [&str; 2] = [
    "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter",
    "http://hl7.org/fhir/tools/StructureDefinition/valueset-expansion-param",
];

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

/// Whether each of the words begins a word of the display or the code. A word begins after anything that is no letter
/// and no digit, so that `mm[Hg` and `2339-0` are found whole and `hg` is found in `mm[Hg]`.
fn matches(item: &Item, words: &str) -> bool {
    let text = format!("{} {}", item.display.as_deref().unwrap_or_default(), item.code).to_lowercase();
    let begins = |at: usize| text[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
    words.to_lowercase().split_whitespace().all(|word| text.match_indices(word).any(|(at, _)| begins(at)))
}

/// A concept whose code system is not here: what the value set says of it is all there is.
fn by_name(set: &ConceptSet, named: &Named) -> Item {
    Item {
        system: set.system.clone(),
        version: set.version.clone(),
        code: named.code.clone(),
        display: named.display.clone(),
        source: None,
        named: Some(named.clone()),
        nested: false,
    }
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
        for (number, url) in set.value_sets.iter().enumerate() {
            let other = set.value_set(self.library, url, self.rules)?;
            if !url.starts_with('#') {
                self.used.insert(("used-valueset", other.canonical()));
            }
            self.note("ValueSet", &other.status, &other.standards_status, other.experimental, &other.canonical());
            let theirs = self.all_of(&other).map_err(|problem| leading(problem, set, number))?;
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
        let all = set.code_systems(self.library);
        let versions: Vec<String> = all.iter().map(|s| s.version.to_string()).collect();
        let Some(system) = newest(all, version) else {
            if versions.is_empty() && !set.concepts.is_empty() && set.filters.is_empty() {
                return Ok(set.concepts.iter().map(|named| by_name(set, named)).collect());
            }
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
        if set.concepts.is_empty() {
            system.sound().map_err(|problem| problem.at(&set.place))?;
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
