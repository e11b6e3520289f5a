//! What the tests share: a small vocabulary, the engines, and short ways to write and read.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use vesta::base::{Clock, ResourceId, TenantId, Timestamp};
use vesta::definitions::TypeId;
use vesta::index::{Condition, Term, Terms};
use vesta::json::{Document, Limits, Value};
use vesta::store::embedded::{EmbeddedStore, MasterKey, Options};
use vesta::store::memory::MemoryStore;
use vesta::store::{
    AuditRecord, Body, Budget, Chain, Committed, Content, Expect, Method, Query, RawTarget, Snapshot, Store,
    StoreError, Transaction, Version, Vocabulary, Write,
};

pub const TENANT: TenantId = TenantId(7);
pub const PATIENT: TypeId = TypeId(3);
pub const OBSERVATION: TypeId = TypeId(4);
pub const ENCOUNTER: TypeId = TypeId(9);
pub const KINDS: [(TypeId, &str); 3] = [(PATIENT, "Patient"), (OBSERVATION, "Observation"), (ENCOUNTER, "Encounter")];

const ID: u16 = 1;
const UPDATED: u16 = 2;
/// A reference parameter; terms of other parameters are made with [`term`].
pub const SUBJECT: u16 = 10;

/// Three types; a resource says in its body which terms it has.
pub struct World;

impl Vocabulary for World {
    fn name(&self, kind: TypeId) -> &str {
        KINDS.iter().find(|(k, _)| *k == kind).expect("a type of the tests").1
    }

    fn kind(&self, name: &str) -> Option<TypeId> {
        KINDS.iter().find(|(_, n)| *n == name).map(|(k, _)| *k)
    }

    fn extract(&self, _: TypeId, resource: Value<'_>) -> Terms {
        let list = resource.get("terms").expect("terms");
        Terms::new(list.items().map(|t| Term(unhex(t.as_plain().expect("hex")).into())).collect())
    }

    fn stamp(&self, terms: &mut Terms, kind: TypeId, id: &ResourceId, updated: Timestamp) {
        terms.insert(self.id_term(kind, id.as_str()));
        terms.insert(term(UPDATED, &updated.0.to_be_bytes()));
    }

    fn id_term(&self, _: TypeId, id: &str) -> Term {
        term(ID, id.as_bytes())
    }

    fn id_of<'t>(&self, term: &'t Term) -> Option<&'t str> {
        (term.parameter() == ID).then(|| std::str::from_utf8(&term.0[2..]).expect("text"))
    }

    fn reference_term(&self, parameter: u16, target: TypeId, id: &str) -> Term {
        term(parameter, format!("{id}\0{}", self.name(target)).as_bytes())
    }

    fn target_of<'t>(&self, term: &'t Term) -> Option<(TypeId, &'t str)> {
        let (id, kind) = std::str::from_utf8(term.0.get(2..)?).ok()?.split_once('\0')?;
        Some((self.kind(kind)?, id))
    }
}

pub fn term(parameter: u16, value: &[u8]) -> Term {
    Term([&parameter.to_be_bytes(), value].concat().into())
}

pub fn has(parameter: u16, value: &str) -> Condition {
    Condition::Term(term(parameter, value.as_bytes()))
}

pub fn refers_to(kind: TypeId, id: &str) -> Term {
    World.reference_term(SUBJECT, kind, id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

pub fn id(text: &str) -> ResourceId {
    ResourceId::new(text).expect("a legal id")
}

/// A resource with these terms and some text.
pub fn content(terms: &[Term], text: &str) -> Content {
    let list: Vec<_> = terms.iter().map(|t| format!("\"{}\"", hex(&t.0))).collect();
    let json = format!(r#"{{"resourceType":"X","id":"x","terms":[{}],"text":"{text}"}}"#, list.join(","));
    let document = Document::parse(json.as_bytes(), &Limits::default()).expect("JSON");
    Content { body: Body::of(document.root()), terms: Terms::new(terms.to_vec()), schema: 0 }
}

pub fn put(kind: TypeId, name: &str, terms: &[Term]) -> Write {
    let content = Some(content(terms, name));
    Write { kind, id: id(name), method: Method::Update, expect: Expect::Any, content }
}

pub fn delete(kind: TypeId, name: &str) -> Write {
    Write { kind, id: id(name), method: Method::Delete, expect: Expect::Any, content: None }
}

pub fn expecting(expect: Expect, write: Write) -> Write {
    Write { expect, ..write }
}

/// A clock that stands still until it is moved.
#[derive(Default)]
pub struct Hands(AtomicI64);

impl Hands {
    pub fn set(&self, micros: i64) {
        self.0.store(micros, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

/// A store under test.
pub struct Engine {
    pub name: &'static str,
    pub store: Arc<dyn Store>,
    /// The same store by its raw door.
    pub raw: Arc<dyn RawTarget>,
    pub clock: Arc<Hands>,
    _directory: Option<tempfile::TempDir>,
    #[cfg(feature = "mongodb")]
    pub database: Option<crate::support::mongodb::TestDatabase>,
}

impl Engine {
    fn new<S: Store + RawTarget + 'static>(name: &'static str, store: Arc<S>, clock: Arc<Hands>) -> Engine {
        Engine {
            name,
            raw: store.clone(),
            store,
            clock,
            _directory: None,
            #[cfg(feature = "mongodb")]
            database: None,
        }
    }
}

pub fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<EmbeddedStore, StoreError> {
    open_with(directory, clock, &Options { train_after: 200, ..Options::default() })
}

pub fn open_with(directory: &Path, clock: Arc<dyn Clock>, options: &Options) -> Result<EmbeddedStore, StoreError> {
    EmbeddedStore::open_with(directory, Arc::new(World), clock, options, &mut |_, _| {})
}

pub fn memory() -> Engine {
    let clock = Arc::new(Hands::default());
    let store = Arc::new(MemoryStore::with(Arc::new(World), clock.clone()));
    Engine::new("memory", store, clock)
}

pub fn embedded() -> Engine {
    let clock = Arc::new(Hands::default());
    let directory = tempfile::tempdir().expect("a directory");
    let store = Arc::new(open(directory.path(), clock.clone()).expect("opened"));
    Engine { _directory: Some(directory), ..Engine::new("embedded", store, clock) }
}

/// Options with which versions are sealed after so few.
pub fn sealed_after(versions: usize) -> Options {
    Options { train_after: 200, seal_after: versions, ..Options::default() }
}

/// The embedded engine with so few versions in memory.
pub fn sealing(versions: usize) -> Engine {
    let clock = Arc::new(Hands::default());
    let directory = tempfile::tempdir().expect("a directory");
    let store = open_with(directory.path(), clock.clone(), &sealed_after(versions)).expect("opened");
    Engine { _directory: Some(directory), ..Engine::new("sealing", Arc::new(store), clock) }
}

/// The engine on MongoDB, in a database of its own, where there is a server to test with.
#[cfg(feature = "mongodb")]
pub fn mongodb() -> Option<Engine> {
    let database = crate::support::mongodb::TestDatabase::new()?;
    let clock = Arc::new(Hands::default());
    let store = vesta::store::mongodb::MongoStore::open_with(database.uri(), Arc::new(World), clock.clone());
    let store = Arc::new(store.expect("opened"));
    Some(Engine { database: Some(database), ..Engine::new("mongodb", store, clock) })
}

/// Without the engine on MongoDB.
#[cfg(not(feature = "mongodb"))]
pub fn mongodb() -> Option<Engine> {
    None
}

/// Whether this engine is asked for.
pub fn is_wanted(name: &str) -> bool {
    std::env::var("VESTA_TEST_STORE").map_or(true, |wanted| wanted == name)
}

/// How many resources are paged through: 10,000, or as many as `VESTA_PAGING_COUNT` says, in hundreds.
pub fn paged() -> u64 {
    let asked = std::env::var("VESTA_PAGING_COUNT").ok().and_then(|n| n.parse::<u64>().ok());
    asked.unwrap_or(10_000).div_ceil(200).max(1) * 200
}

/// Whether only the engine on MongoDB is asked for.
pub fn only_mongodb() -> bool {
    is_wanted("mongodb") && !is_wanted("embedded")
}

/// The embedded engine on an encrypted directory.
pub fn encrypted() -> Engine {
    let clock = Arc::new(Hands::default());
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options { train_after: 200, seal_after: 100, key: Some(key(7)), ..Options::default() };
    let store = Arc::new(open_with(directory.path(), clock.clone(), &options).expect("opened"));
    Engine { _directory: Some(directory), ..Engine::new("encrypted", store, clock) }
}

/// A master key.
pub fn key(byte: u8) -> MasterKey {
    MasterKey::new([byte; 32])
}

/// How an engine is had; none where it cannot be had here.
type Open = fn() -> Option<Engine>;

/// Runs a test on every engine that is asked for.
pub fn on_every_engine<F: Future<Output = ()>>(test: impl Fn(Engine) -> F) {
    let engines: [(&str, Open); 5] = [
        ("memory", || Some(memory())),
        ("embedded", || Some(embedded())),
        ("sealing", || Some(sealing(9))),
        ("encrypted", || Some(encrypted())),
        ("mongodb", mongodb),
    ];
    for (name, open) in engines {
        if is_wanted(name)
            && let Some(engine) = open()
        {
            eprintln!("on {name}");
            wait(test(engine));
        }
    }
}

/// Waits for a future on a runtime of its own.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

pub fn query(kind: TypeId, condition: Condition) -> Query {
    Query {
        kinds: vec![kind],
        condition,
        sort: Vec::new(),
        after: None,
        skip: 0,
        limit: 1000,
        total: true,
        budget: Budget::default(),
    }
}

/// What tests want of a row.
pub fn ids(rows: &[Version]) -> Vec<&str> {
    rows.iter().map(|v| v.id.as_str()).collect()
}

pub async fn commit(store: &dyn Store, writes: Vec<Write>) -> Result<Vec<Committed>, StoreError> {
    store.commit(TENANT, Transaction { writes, ..Transaction::default() }).await
}

/// A record for the audit trail.
pub fn record(terms: &[Term], text: &str) -> AuditRecord {
    AuditRecord { kind: ENCOUNTER, body: content(terms, text).body }
}

/// What is wrong with the audit trail, and how many records it has.
pub async fn trail_faults(store: &dyn Store) -> (Vec<String>, u64) {
    let mut chain = Chain::of(TENANT);
    let mut faults = Vec::new();
    loop {
        let links = store.audit_links(TENANT, chain.head().number, 7).await.expect("links");
        if links.is_empty() {
            break;
        }
        faults.extend(links.iter().filter_map(|link| chain.follow(link)));
    }
    faults.extend(chain.ends(&store.audit_head(TENANT).await.expect("a head")));
    (faults, chain.head().number)
}

/// Commits one write that must succeed.
pub async fn write(store: &dyn Store, write: Write) -> Committed {
    commit(store, vec![write]).await.expect("committed")[0]
}

pub async fn now(store: &dyn Store) -> Box<dyn Snapshot> {
    store.snapshot(TENANT).await.expect("a snapshot")
}

/// The ids that fulfil a condition now.
pub async fn found(store: &dyn Store, kind: TypeId, condition: Condition) -> Vec<String> {
    let page = now(store).await.search(&query(kind, condition)).await.expect("found");
    assert_eq!(page.total, Some(page.rows.len() as u64));
    ids(&page.rows).into_iter().map(str::to_owned).collect()
}

/// A small generator of numbers (splitmix64), the same everywhere for a seed.
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub fn pick<'l, T>(&mut self, list: &'l [T]) -> &'l T {
        &list[self.below(list.len() as u64) as usize]
    }
}
