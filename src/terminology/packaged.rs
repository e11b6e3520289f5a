//! The terminology of packages of implementation guides: code systems, value sets and concept maps of a registry, each
//! made when it is first asked for. Which packages there are is the business of the registry.

use super::tree::split;
use super::{CodeSystem, ConceptMap, Content, Library, ValueSet};
use crate::definitions::{Conformance, Registry};
use crate::json::Tree;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::{Arc, OnceLock};

/// What was made, by canonical: all versions.
type Made<T> = RwLock<FxHashMap<Box<str>, Vec<Arc<T>>>>;

/// The terminology of a set of packages.
#[derive(Default)]
pub struct Packaged {
    registry: Arc<Registry>,
    systems: Made<CodeSystem>,
    sets: Made<ValueSet>,
    /// By the code system that they supplement. Only their content tells what they are, so all are looked at at once.
    supplements: OnceLock<FxHashMap<Box<str>, Vec<Arc<CodeSystem>>>>,
    maps: OnceLock<Vec<Arc<ConceptMap>>>,
}

impl Packaged {
    /// That of the packages of a registry.
    pub fn of(registry: Arc<Registry>) -> Packaged {
        Packaged { registry, ..Packaged::default() }
    }

    /// All versions of a resource. Only what is there is kept, as names come from outside.
    fn made<T>(&self, kept: &Made<T>, kind: &str, url: &str, make: impl Fn(&Tree) -> T) -> Vec<Arc<T>> {
        if let Some(known) = kept.read().get(url) {
            return known.clone();
        }
        let found = self.registry.versions(kind, url);
        let all: Vec<Arc<T>> = found.filter_map(|one| read(&one.json())).map(|tree| Arc::new(make(&tree))).collect();
        if !all.is_empty() {
            kept.write().insert(url.into(), all.clone());
        }
        all
    }

    /// The resources of a type in an order that is always the same.
    fn in_order<'p>(&'p self, kind: &'p str) -> Vec<&'p Arc<Conformance>> {
        let mut all: Vec<&Arc<Conformance>> = self.registry.of_packages(kind).collect();
        all.sort_by(|a, b| (&a.url, &a.version).cmp(&(&b.url, &b.version)));
        all
    }

    fn all_supplements(&self) -> FxHashMap<Box<str>, Vec<Arc<CodeSystem>>> {
        let mut found: FxHashMap<Box<str>, Vec<Arc<CodeSystem>>> = FxHashMap::default();
        for one in self.in_order("CodeSystem") {
            let json = one.json();
            // Few are supplements, and those that are not need not be parsed to see it.
            if memchr::memmem::find(&json, b"\"supplement\"").is_none() {
                continue;
            }
            let Some(system) = read(&json).map(|tree| CodeSystem::of(&tree)) else { continue };
            if system.content == Content::Supplement {
                let of = system.supplements.as_deref().map(|s| split(s).0).unwrap_or_default();
                found.entry(of.into()).or_default().push(Arc::new(system));
            }
        }
        found
    }
}

fn read(json: &[u8]) -> Option<Tree> {
    Tree::parse(json).ok()
}

impl Library for Packaged {
    fn code_systems(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        self.made(&self.systems, "CodeSystem", url, CodeSystem::of)
    }

    fn value_sets(&self, url: &str) -> Vec<Arc<ValueSet>> {
        self.made(&self.sets, "ValueSet", url, ValueSet::of)
    }

    fn supplements(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        self.supplements.get_or_init(|| self.all_supplements()).get(url).cloned().unwrap_or_default()
    }

    fn concept_maps(&self) -> Vec<Arc<ConceptMap>> {
        let make = || {
            let all = self.in_order("ConceptMap");
            all.into_iter().filter_map(|one| read(&one.json())).map(|tree| Arc::new(ConceptMap::of(&tree))).collect()
        };
        self.maps.get_or_init(make).clone()
    }
}
