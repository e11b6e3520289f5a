//! The code systems and value sets of the core package, from one compressed table of `fhir-schemas/`. It is unpacked
//! when it is first asked for; a code system is made when it is first named.

use super::{CodeSystem, ConceptMap, Library, ValueSet};
use crate::json::Tree;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

static TABLE: &[u8] = include_bytes!("../../fhir-schemas/terminology.ndjson.zst");
static CORE: LazyLock<Core> = LazyLock::new(Core::open);

/// Text of the table, where each resource stands, and those that were made.
#[derive(Default)]
pub(super) struct Core {
    text: String,
    places: FxHashMap<(bool, Box<str>), Range<usize>>,
    systems: RwLock<FxHashMap<Box<str>, Arc<CodeSystem>>>,
    sets: RwLock<FxHashMap<Box<str>, Arc<ValueSet>>>,
}

/// The library of the core package.
pub(super) fn core() -> &'static Core {
    &CORE
}

impl Core {
    fn open() -> Core {
        let mut core = Core::default();
        match zstd::decode_all(TABLE).map(String::from_utf8) {
            Ok(Ok(text)) => core.text = text,
            _ => {
                tracing::error!("the table of terminology cannot be read");
                return core;
            }
        }
        let mut at = 0;
        for line in core.text.split_inclusive('\n') {
            // Each line begins with the kind and the canonical, both without escapes.
            let is_system = line.starts_with(r#"{"resourceType":"CodeSystem""#);
            let url = line.split_once(r#""url":""#).and_then(|(_, rest)| rest.split_once('"')).map(|(url, _)| url);
            if let Some(url) = url {
                core.places.insert((is_system, url.into()), at..at + line.trim_end().len());
            }
            at += line.len();
        }
        core
    }

    fn resource(&self, is_system: bool, url: &str) -> Option<Tree> {
        let place = self.places.get(&(is_system, Box::from(url)))?;
        Tree::parse(self.text.get(place.clone())?.as_bytes()).ok()
    }
}

impl Library for Core {
    fn code_systems(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        if let Some(known) = self.systems.read().get(url) {
            return vec![known.clone()];
        }
        let Some(resource) = self.resource(true, url) else { return Vec::new() };
        let made = Arc::new(CodeSystem::of(&resource));
        self.systems.write().insert(url.into(), made.clone());
        vec![made]
    }

    fn value_sets(&self, url: &str) -> Vec<Arc<ValueSet>> {
        if let Some(known) = self.sets.read().get(url) {
            return vec![known.clone()];
        }
        let Some(resource) = self.resource(false, url) else { return Vec::new() };
        let made = Arc::new(ValueSet::of(&resource));
        self.sets.write().insert(url.into(), made.clone());
        vec![made]
    }

    fn supplements(&self, _url: &str) -> Vec<Arc<CodeSystem>> {
        Vec::new()
    }

    fn concept_maps(&self) -> Vec<Arc<ConceptMap>> {
        Vec::new()
    }
}
