//! The wiring: opens the engine and puts the service on top of it. The only file above the interactions that names
//! the store.

pub mod moving;

use super::fault::Fault;
use super::key_source;
use super::settings::Settings;
use crate::audit::Event;
use crate::authorization::Authorization;
use crate::base::{RandomIds, SystemClock, TenantId};
use crate::definitions::Definitions;
use crate::index::Extractor;
use crate::interaction::{Context, Records, Service};
use crate::store::Store;
use crate::store::embedded::{self, EmbeddedStore, MasterKey, Options};
use crate::store::memory::MemoryStore;
#[cfg(feature = "mongodb")]
use crate::store::mongodb::{self, MongoStore};
use crate::store::moving::unfinished;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;

/// The parts of a running Vesta.
pub struct Wired {
    /// Answers interactions.
    pub service: Arc<Service>,
    /// The definitions.
    pub definitions: Arc<Definitions>,
    /// The authorization server, unless access control is off.
    pub authorization: Option<Arc<Authorization>>,
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

/// Verifies everything that is stored, also in a directory that cannot be opened for use because of damage.
/// `progress` is told how much of how much is done.
pub fn check(settings: &Settings, progress: &mut (dyn FnMut(u64, u64) + Send)) -> Result<Checked, Fault> {
    keyless_database(settings)?;
    let found = match settings.database() {
        Some(uri) => moving::check_database(settings, uri, progress)?,
        None => embedded::check_directory(settings.data(), moving::vocabulary(settings), key(settings)?, progress),
    };
    let found = found.map_err(|e| Fault::Store(e.to_string()))?;
    let (versions, resources, faults) = (found.versions, found.resources, found.faults);
    Ok(Checked { versions, resources, faults, listed: found.listed })
}

/// The key of the store, where one is named.
fn key(settings: &Settings) -> Result<Option<MasterKey>, Fault> {
    settings.encryption_key.as_deref().map(|source| key_source::read(source).map(MasterKey::new)).transpose()
}

fn needed(settings: &Settings) -> Result<MasterKey, Fault> {
    key(settings)?.ok_or_else(|| Fault::Settings("name the key with --encryption-key".into()))
}

/// What is said of a key of the store where that is a database.
pub const KEY_FOR_DIRECTORIES: &str =
    "the key of a store (--encryption-key) is for directories; encryption of a database is the database's own business";

/// Refuses the key of a directory where the data are in a database: nothing would be encrypted with it.
fn keyless_database(settings: &Settings) -> Result<(), Fault> {
    if settings.database().is_some() && settings.encryption_key.is_some() {
        return Err(Fault::Settings(KEY_FOR_DIRECTORIES.into()));
    }
    Ok(())
}

/// Refuses a database, for commands that work on a directory.
pub fn is_directory(settings: &Settings) -> Result<(), Fault> {
    match settings.database() {
        Some(_) => {
            let (place, why) = (settings.place(), KEY_FOR_DIRECTORIES);
            Err(Fault::Settings(format!("{place} is a database: {why}; name a directory with --data alone")))
        }
        None => Ok(()),
    }
}

/// Encrypts or decrypts the data directory; gives the number of versions.
pub fn convert(settings: &Settings, encrypt: bool, progress: &mut dyn FnMut(u64, u64)) -> Result<u64, Fault> {
    let key = needed(settings)?;
    let (from, to) = if encrypt { (None, Some(&key)) } else { (Some(&key), None) };
    embedded::convert(settings.data(), from, to, progress).map_err(|e| Fault::Store(e.to_string()))
}

/// Gives the store another key; gives the fingerprint of that.
pub fn rotate(settings: &Settings, new: &str) -> Result<String, Fault> {
    let (old, new) = (needed(settings)?, MasterKey::new(key_source::read(new)?));
    embedded::rotate(settings.data(), &old, &new).map_err(|e| Fault::Store(e.to_string()))?;
    Ok(new.fingerprint())
}

/// Refuses a data directory that is not there or empty, and a database in which nothing is, for commands that are of no
/// use without data: a mistyped name is no reason to make a new one.
pub fn filled(settings: &Settings) -> Result<(), Fault> {
    let folder = settings.data();
    keyless_database(settings)?;
    #[cfg(feature = "mongodb")]
    if let Some(uri) = settings.database() {
        return mongodb::is_there(uri).map_err(|e| Fault::Store(format!("{}: {e}", settings.place())));
    }
    #[cfg(not(feature = "mongodb"))]
    if settings.database().is_some() {
        return Ok(());
    }
    if std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        return Ok(());
    }
    Err(Fault::Store(format!("there are no data in {}; name their directory with --data", folder.display())))
}

/// Opens the engine that the settings name; says how far it is if that takes a while.
fn engine(
    settings: &Settings,
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
    clock: Arc<SystemClock>,
) -> Result<Arc<dyn Store>, Fault> {
    let failed = |e: crate::store::StoreError| Fault::Store(e.to_string());
    keyless_database(settings)?;
    #[cfg(feature = "mongodb")]
    if let Some(uri) = settings.database() {
        let store = MongoStore::open(uri, definitions, extractor, clock).map_err(failed)?;
        store.set_job_lease(settings.job_lease());
        return whole(settings, Arc::new(store));
    }
    #[cfg(not(feature = "mongodb"))]
    if settings.database().is_some() {
        let place = settings.place();
        return Err(Fault::Settings(format!("this program was built without MongoDB, which {place} needs")));
    }
    let bar = progress();
    let mut told = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let options = Options { key: key(settings)?, ..Options::default() };
    let store = EmbeddedStore::open(settings.data(), definitions, extractor, clock, &options, &mut told);
    bar.finish_and_clear();
    whole(settings, Arc::new(store.map_err(failed)?))
}

/// Refuses a store that is being filled: half of the data is worse than none.
fn whole(settings: &Settings, store: Arc<dyn Store>) -> Result<Arc<dyn Store>, Fault> {
    match wait(unfinished(&*store))?.map_err(|e| Fault::Store(e.to_string()))? {
        None => Ok(store),
        Some(from) => Err(Fault::Store(format!(
            "{} is an unfinished copy of {from}: end it with the command that began it, or remove it",
            settings.place()
        ))),
    }
}

/// The indexes of a database: collection, name and keys of each; and whether it is there, where the settings name a
/// database. That is asked then, and has those on `_id` and may have others, too. At the end how many each collection has.
#[cfg(feature = "mongodb")]
pub fn indexes(settings: &Settings) -> Result<Vec<[String; 4]>, Fault> {
    use crate::store::mongodb::{Found, INDEXES, Index};
    let key = |name: &str, order: &str| match order {
        "1" => name.to_owned(),
        "-1" => format!("{name} (descending)"),
        kind => format!("{name} ({kind})"),
    };
    let keys = |keys: Vec<String>, unique: bool| keys.join(", ") + if unique { " (unique)" } else { "" };
    let found = settings.database().map(mongodb::indexes).transpose();
    let found = found.map_err(|e| Fault::Store(format!("{}: {e}", settings.place())))?;
    let row = |index: &Index| {
        let there = found.as_ref().map(|found| found.iter().find(|found| found.is(index)));
        let state = match there {
            None => "",
            Some(None) => "missing",
            Some(Some(found)) if index.unique && !found.unique => "there, not unique",
            Some(Some(_)) => "there",
        };
        let names = index.keys.iter().map(|(name, order)| key(name, &order.to_string())).collect();
        [index.collection.to_owned(), index.name.to_owned(), keys(names, index.unique), state.to_owned()]
    };
    let is_other = |found: &&Found| !INDEXES.iter().any(|index| found.is(index));
    let other = |found: &Found| {
        let names = found.keys.iter().map(|(name, order)| key(name, order)).collect();
        let state = if found.name == "_id_" { "there, made by the database" } else { "not made by Vesta" };
        [found.collection.clone(), found.name.clone(), keys(names, found.unique), state.to_owned()]
    };
    let others = found.iter().flatten().filter(is_other).map(other);
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    found.iter().flatten().for_each(|found| *counts.entry(&found.collection).or_default() += 1);
    let count = |(collection, count): (&str, usize)| {
        let told = format!("{count} in all, of the 64 that a collection may have");
        [collection.to_owned(), told, String::new(), String::new()]
    };
    Ok(INDEXES.iter().map(row).chain(others).chain(counts.into_iter().map(count)).collect())
}

/// Without the engine.
#[cfg(not(feature = "mongodb"))]
pub fn indexes(_: &Settings) -> Result<Vec<[String; 4]>, Fault> {
    Err(Fault::Settings("this program was built without MongoDB; the embedded store has no such indexes".into()))
}

/// Opens the store and puts the service on top of it.
pub fn open(settings: &Settings) -> Result<Wired, Fault> {
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), settings.bases()));
    let clock = Arc::new(SystemClock);
    let store = engine(settings, definitions.clone(), extractor.clone(), clock.clone())?;
    let service = Service::new(
        store,
        definitions.clone(),
        extractor,
        clock.clone(),
        Arc::new(RandomIds),
        settings.interactions(),
    );
    let loaded = wait(async {
        service.look_at_trail().await?;
        service.load_packages().await?;
        service.load_releases().await?;
        service.load_search_parameters().await
    });
    loaded?.map_err(|e| Fault::Store(e.to_string()))?;
    let service = Arc::new(service);
    let guarded =
        settings.access_control().then(|| Authorization::new(service.clone(), clock, settings.authorization()));
    Ok(Wired { service, definitions, authorization: guarded.map(Arc::new) })
}

/// The same for commands that administer; while the server has the data directory, they say where to do it instead.
pub fn administered(settings: &Settings) -> Result<Wired, Fault> {
    open(settings).map_err(|fault| match fault {
        Fault::Store(why) if why.contains(embedded::IN_USE) => Fault::Store(format!(
            "{why}\nWhile the server runs, an administrator approves and disables apps, disables users, gives new \
             passwords and makes new signing keys at its page /auth/admin. For all else stop the server first."
        )),
        other => other,
    })
}

/// The authorization server of a data directory, for commands.
pub fn authorization(settings: &Settings) -> Result<Authorization, Fault> {
    let service = administered(settings)?.service;
    Ok(Authorization::new(service, Arc::new(SystemClock), settings.authorization()))
}

fn here(settings: &Settings) -> Context {
    Context::open(TenantId::default(), settings.bases().pop().unwrap_or_default())
}

fn by_command(event: Event) -> Event {
    event.detail("by", "command line")
}

/// Tells the audit trail what a command does or has done.
pub async fn record(service: &Service, settings: &Settings, event: Event) -> Result<(), Fault> {
    let told = service.record(&here(settings), by_command(event)).await;
    told.map_err(|failure| Fault::Store(failure.to_string()))
}

/// Records whose next commit tells the audit trail what the command does.
pub fn telling(service: &Service, settings: &Settings, event: Event) -> Records {
    service.records_telling(&here(settings), by_command(event))
}

/// Tells the audit trail what a command has done, unless a commit has told it already.
pub async fn told(service: &Service, settings: &Settings, records: &Records, event: Event) -> Result<(), Fault> {
    if records.have_told() { Ok(()) } else { record(service, settings, event).await }
}

/// Tells the audit trail what is about to be done, or was, to a whole store that nobody else has open.
pub fn record_at(settings: &Settings, event: Event) -> Result<(), Fault> {
    if !settings.audit_level().is_on() {
        return Ok(());
    }
    let service = open(settings)?.service;
    wait(record(&service, settings, event))?
}

/// Tells the audit trail that all of a store is about to leave, and for where; by way of the server, if one has the data
/// directory.
pub fn leaving(settings: &Settings, what: &str) -> Result<(), Fault> {
    // Whether there is a trail is the server's to say, where one has the directory.
    let recorded = match settings.database() {
        None if !settings.audit_level().is_on() => {
            embedded::is_free(settings.data()).map_err(|error| Fault::Store(error.to_string()))
        }
        _ => record_at(settings, Event::export(what)),
    };
    match recorded {
        Err(Fault::Store(why)) if why.contains(embedded::IN_USE) => {
            super::aside::tell(settings.data(), &format!("{what}, beside the server"))
        }
        other => other,
    }
}

/// Waits for something that a store does, on a thread of its own: the caller's may have a runtime at work already.
pub fn wait<T: Send>(work: impl Future<Output = T> + Send) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Server)?;
    let waited = std::thread::scope(|scope| scope.spawn(move || runtime.block_on(work)).join());
    waited.map_err(|_| Fault::Store("the thread that waits for the store panicked".into()))
}

/// A service that has no data directory, for what can be said without one.
pub fn without_data(settings: &Settings) -> Service {
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), settings.bases()));
    let clock = Arc::new(SystemClock);
    let store = Arc::new(MemoryStore::new(definitions.clone(), extractor.clone(), clock.clone()));
    Service::new(store, definitions, extractor, clock, Arc::new(RandomIds), settings.interactions())
}

fn progress() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("reading the data: {bar:30} {pos} of {len} versions, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
