//! The wiring: opens the engine and puts the service on top of it. The only file above the interactions that names
//! the store.

use super::fault::Fault;
use super::settings::Settings;
use crate::base::{RandomIds, ResourceId, SystemClock, Timestamp};
use crate::definitions::{Definitions, TypeId};
use crate::index::{self, Extractor, Term, Terms};
use crate::interaction::Service;
use crate::json::Value;
use crate::store::Vocabulary;
use crate::store::embedded::{EmbeddedStore, Options};
use crate::store::memory::MemoryStore;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;

/// The parts of a running Vesta.
pub struct Wired {
    /// Answers interactions.
    pub service: Arc<Service>,
    /// The definitions.
    pub definitions: Arc<Definitions>,
    store: Arc<EmbeddedStore>,
}

/// What a check found.
pub struct Checked {
    /// Versions that were looked at.
    pub versions: u64,
    /// Resources, deleted ones included.
    pub resources: u64,
    /// Number of faults.
    pub faults: u64,
    /// The first of them.
    pub listed: Vec<String>,
}

impl Wired {
    /// Verifies everything that is stored. `progress` is told how much of how much is done.
    pub fn check(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<Checked, Fault> {
        let found = self.store.check(progress).map_err(|e| Fault::Store(e.to_string()))?;
        let (versions, resources, faults) = (found.versions, found.resources, found.faults);
        Ok(Checked { versions, resources, faults, listed: found.listed })
    }
}

/// Opens the data directory; says how far it is if that takes a while.
pub fn open(settings: &Settings) -> Result<Wired, Fault> {
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), settings.bases()));
    let clock = Arc::new(SystemClock);
    let words = Arc::new(Words { definitions: definitions.clone(), extractor: extractor.clone() });
    let bar = progress();
    let store =
        EmbeddedStore::open_with(settings.data(), words, clock.clone(), &Options::default(), &mut |done, all| {
            bar.set_length(all);
            bar.set_position(done);
        })
        .map_err(|e| Fault::Store(e.to_string()))?;
    bar.finish_and_clear();
    let store = Arc::new(store);
    let service = Service::new(
        store.clone(),
        definitions.clone(),
        extractor,
        clock,
        Arc::new(RandomIds),
        settings.interactions(),
    );
    Ok(Wired { service: Arc::new(service), definitions, store })
}

/// A service that has no data directory, for what can be said without one.
pub fn without_data(settings: &Settings) -> Service {
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), settings.bases()));
    let clock = Arc::new(SystemClock);
    let words = Arc::new(Words { definitions: definitions.clone(), extractor: extractor.clone() });
    let store = Arc::new(MemoryStore::with(words, clock.clone()));
    Service::new(store, definitions, extractor, clock, Arc::new(RandomIds), settings.interactions())
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("reading the data: {bar:30} {pos} of {len} versions, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What the store asks of definitions and index.
struct Words {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
}

impl Vocabulary for Words {
    fn name(&self, kind: TypeId) -> &str {
        self.definitions.name(kind)
    }

    fn kind(&self, name: &str) -> Option<TypeId> {
        self.definitions.resource(name)
    }

    fn extract(&self, kind: TypeId, resource: Value<'_>) -> Terms {
        self.extractor.extract(kind, resource)
    }

    fn stamp(&self, terms: &mut Terms, kind: TypeId, id: &ResourceId, updated: Timestamp) {
        self.extractor.stamp(terms, kind, id, updated);
    }

    fn id_term(&self, kind: TypeId, id: &str) -> Term {
        index::id_term(self.definitions.search_parameter(kind, "_id").map_or(0, |p| p.number), id)
    }

    fn id_of<'t>(&self, term: &'t Term) -> Option<&'t str> {
        index::id_of(term)
    }

    fn reference_term(&self, parameter: u16, target: TypeId, id: &str) -> Term {
        index::reference_term(parameter, self.definitions.name(target), id)
    }

    fn target_of<'t>(&self, term: &'t Term) -> Option<(TypeId, &'t str)> {
        let (kind, id) = index::target_of(term)?;
        Some((self.definitions.resource(kind)?, id))
    }
}
