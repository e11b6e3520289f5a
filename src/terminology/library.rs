//! Where code systems, value sets and concept maps are found, by canonical and version.

use super::tree::{fits, newer, split};
use super::{CodeSystem, ConceptMap, Content, Problem, Rules, ValueSet};
use crate::json::Tree;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// What holds terminology.
pub trait Library: Send + Sync {
    /// The versions of a code system.
    fn code_systems(&self, url: &str) -> Vec<Arc<CodeSystem>>;

    /// The versions of a value set.
    fn value_sets(&self, url: &str) -> Vec<Arc<ValueSet>>;

    /// The supplements of a code system.
    fn supplements(&self, url: &str) -> Vec<Arc<CodeSystem>>;

    /// All concept maps.
    fn concept_maps(&self) -> Vec<Arc<ConceptMap>>;
}

/// A library in memory.
#[derive(Default)]
pub struct Shelf {
    code_systems: FxHashMap<Box<str>, Vec<Arc<CodeSystem>>>,
    value_sets: FxHashMap<Box<str>, Vec<Arc<ValueSet>>>,
    supplements: FxHashMap<Box<str>, Vec<Arc<CodeSystem>>>,
    concept_maps: Vec<Arc<ConceptMap>>,
}

impl Shelf {
    /// Puts a code system in.
    pub fn add_code_system(&mut self, system: Arc<CodeSystem>) {
        if system.content == Content::Supplement {
            let of = system.supplements.as_deref().map(|s| split(s).0).unwrap_or_default();
            self.supplements.entry(of.into()).or_default().push(system.clone());
        }
        self.code_systems.entry(system.url.clone()).or_default().push(system);
    }

    /// Puts a value set in.
    pub fn add_value_set(&mut self, set: Arc<ValueSet>) {
        self.value_sets.entry(set.url.clone()).or_default().push(set);
    }

    /// Gives a code system another name.
    pub(super) fn name_code_system(&mut self, name: &str, system: Arc<CodeSystem>) {
        let all = self.code_systems.entry(name.into()).or_default();
        if !all.iter().any(|one| Arc::ptr_eq(one, &system)) {
            all.push(system);
        }
    }

    /// Puts a value set in under a name.
    pub(super) fn name_value_set(&mut self, name: &str, set: Arc<ValueSet>) {
        self.value_sets.entry(name.into()).or_default().push(set);
    }

    /// Puts a concept map in.
    pub fn add_concept_map(&mut self, map: Arc<ConceptMap>) {
        self.concept_maps.push(map);
    }

    /// Puts a resource in, if it is one of terminology.
    pub fn add(&mut self, resource: &Tree) {
        match resource.get("resourceType").and_then(Tree::as_str) {
            Some("CodeSystem") => self.add_code_system(Arc::new(CodeSystem::of(resource))),
            Some("ValueSet") => self.add_value_set(Arc::new(ValueSet::of(resource))),
            Some("ConceptMap") => self.add_concept_map(Arc::new(ConceptMap::of(resource))),
            _ => {}
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.code_systems.is_empty() && self.value_sets.is_empty() && self.concept_maps.is_empty()
    }
}

impl Library for Shelf {
    fn code_systems(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        self.code_systems.get(url).cloned().unwrap_or_default()
    }

    fn value_sets(&self, url: &str) -> Vec<Arc<ValueSet>> {
        self.value_sets.get(url).cloned().unwrap_or_default()
    }

    fn supplements(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        self.supplements.get(url).cloned().unwrap_or_default()
    }

    fn concept_maps(&self) -> Vec<Arc<ConceptMap>> {
        self.concept_maps.clone()
    }
}

/// Two libraries: what the first holds under a canonical and version hides that of the second.
pub struct Both<'l>(pub &'l dyn Library, pub &'l dyn Library);

fn joined<T>(mut first: Vec<Arc<T>>, second: Vec<Arc<T>>, version: impl Fn(&T) -> &str) -> Vec<Arc<T>> {
    for other in second {
        if !first.iter().any(|one| version(one) == version(&other)) {
            first.push(other);
        }
    }
    first
}

impl Library for Both<'_> {
    fn code_systems(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        joined(self.0.code_systems(url), self.1.code_systems(url), |s| &s.version)
    }

    fn value_sets(&self, url: &str) -> Vec<Arc<ValueSet>> {
        joined(self.0.value_sets(url), self.1.value_sets(url), |s| &s.version)
    }

    fn supplements(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        let mut all = self.0.supplements(url);
        for other in self.1.supplements(url) {
            if !all.iter().any(|one| one.canonical() == other.canonical()) {
                all.push(other);
            }
        }
        all
    }

    fn concept_maps(&self) -> Vec<Arc<ConceptMap>> {
        let mut all = self.0.concept_maps();
        let known: FxHashSet<String> = all.iter().map(|map| map.canonical()).collect();
        // A map without a canonical is hidden by none and hides none.
        all.extend(
            self.1.concept_maps().into_iter().filter(|map| map.url.is_empty() || !known.contains(&map.canonical())),
        );
        all
    }
}

/// The newest of the versions that fit.
pub(super) fn newest(systems: Vec<Arc<CodeSystem>>, version: &str) -> Option<Arc<CodeSystem>> {
    systems
        .into_iter()
        .filter(|s| version.is_empty() || fits(&s.version, version))
        .max_by(|a, b| newer(&a.version, &b.version))
}

/// A value set by its canonical.
pub(super) fn value_set(library: &dyn Library, canonical: &str, rules: &Rules) -> Result<Arc<ValueSet>, Problem> {
    let (url, said) = split(canonical);
    let (version, pinned) = rules.value_set_version(url, said);
    let found = library.value_sets(url).into_iter().filter(|s| version.is_empty() || fits(&s.version, version));
    let stored = found.max_by(|a, b| newer(&a.version, &b.version));
    stored.or_else(|| super::implicit::value_set(library, url).map(Arc::new)).ok_or_else(|| {
        let canonical = super::tree::canonical(url, version);
        let text = format!("A definition for the value Set '{canonical}' could not be found");
        let id = if pinned { "VS_EXP_IMPORT_UNK_PINNED" } else { "Unable_to_resolve_value_Set_" };
        Problem::error("not-found", "not-found", id, text)
    })
}
