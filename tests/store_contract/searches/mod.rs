//! Generated resources, generated searches over every feature: the embedded engine, or the one on MongoDB where only that
//! is asked for, answers as the naive one does, page by page, at every position, whether its versions are in memory or
//! sealed into segments. A failing case is made small before it is told.
//!
//! `VESTA_SEARCH_CASES` says how many searches are tried; without it 10,000 are, and 500 on MongoDB.

mod asker;
mod maker;
mod services;

use super::world::{Hands, TENANT, only_mongodb, wait};
use asker::Place;
use async_trait::async_trait;
use maker::Maker;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vesta::base::{ResourceId, TenantId, Timestamp};
use vesta::definitions::{Definitions, TypeId};
use vesta::index::{Extracted, Extractor};
use vesta::json::{Document, Limits};
use vesta::search::{Codes, CodesOf, Handling, Options, Plan, Reached, Scope, pairs, plan};
use vesta::store::embedded::{self, EmbeddedStore};
use vesta::store::memory::MemoryStore;
use vesta::store::{
    Body, Budget, Content, Expect, HistoryQuery, Method, Page, Query, Snapshot, Store, StoreError, Transaction,
    Version, Write,
};

const BASE: &str = "http://here/fhir";
/// What the differences of a store with itself are marked with.
const FAULT: &str = "DIFFERS";

/// A write: type, id, and the resource, or nothing for a delete.
#[derive(Clone, Debug)]
pub struct Change {
    pub kind: &'static str,
    pub id: String,
    pub json: Option<String>,
}

/// A search.
#[derive(Clone, Debug)]
pub struct Question {
    pub place: Place,
    pub parameters: Vec<(String, String)>,
}

/// How many searches are tried.
fn cases() -> u64 {
    let asked = std::env::var("VESTA_SEARCH_CASES").ok().and_then(|n| n.parse().ok());
    asked.unwrap_or(if only_mongodb() { 500 } else { 10_000 })
}

/// What the naive engine is compared with.
#[derive(Clone, Copy, Debug)]
enum Other {
    /// The embedded engine, all versions in memory.
    InMemory,
    /// The embedded engine, sealed after so many versions; closed and opened again before it is asked.
    Sealed(usize, bool),
    /// The engine on MongoDB, in a database of its own.
    Database,
    /// The naive engine, which leaves the last row out in every state before this position.
    Liar(u64),
}

impl Other {
    /// Every second world has segments.
    fn of(seed: u64) -> Other {
        match seed % 2 {
            _ if only_mongodb() => Other::Database,
            0 => Other::InMemory,
            _ => Other::Sealed(1 + (seed % 37) as usize, seed % 4 == 1),
        }
    }
}

struct Words {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
    codes: Arc<Codes>,
}

/// Both engines with the same changes.
struct Pair {
    stores: [Arc<dyn Store>; 2],
    clock: Arc<Hands>,
    _directory: tempfile::TempDir,
    _database: Database,
}

/// The database of a pair, which is dropped with it.
#[cfg(feature = "mongodb")]
type Database = Option<crate::support::mongodb::TestDatabase>;
#[cfg(not(feature = "mongodb"))]
type Database = Option<()>;

/// How many segments there are in a directory.
fn segments(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries
        .map(|path| match path.is_dir() {
            true => segments(&path),
            false => usize::from(path.extension().is_some_and(|e| e == "segment")),
        })
        .sum()
}

impl Words {
    fn new() -> Words {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), vec![BASE.to_owned()]));
        let list = |codes: &[(&str, &str)]| Ok(codes.iter().map(|(s, c)| ((*s).to_owned(), (*c).to_owned())).collect());
        let known = [
            (CodesOf::ValueSet, "http://v/1", list(&[("http://s/1", "a"), ("http://s/2", "b"), ("", "c")])),
            (CodesOf::ValueSet, "http://v/none", list(&[])),
            (CodesOf::Below, "http://s/1|a", list(&[("http://s/1", "a"), ("http://s/1", "b")])),
            (CodesOf::Below, "http://s/2|b", list(&[("http://s/2", "b")])),
            (CodesOf::Below, "c", list(&[("http://s/1", "c"), ("http://s/2", "A")])),
            (CodesOf::Above, "http://s/1|a", list(&[("http://s/1", "a")])),
            (CodesOf::Above, "http://s/2|b", list(&[("http://s/2", "b"), ("http://s/2", "A")])),
            (CodesOf::Above, "c", list(&[("http://s/1", "c"), ("http://s/1", "a"), ("http://s/2", "c")])),
        ];
        let codes = Codes::of(known.into_iter().map(|(of, what, codes)| ((of, what.to_owned()), codes)));
        Words { definitions, extractor, codes: Arc::new(codes) }
    }

    fn open(&self, other: Other, directory: &Path, clock: &Arc<Hands>) -> (Arc<dyn Store>, Database) {
        let (definitions, extractor, clock) = (self.definitions.clone(), self.extractor.clone(), clock.clone());
        let options = match other {
            Other::InMemory => embedded::Options::default(),
            Other::Sealed(after, _) => embedded::Options { seal_after: after, ..embedded::Options::default() },
            Other::Liar(before) => {
                return (Arc::new(Liar(MemoryStore::new(definitions, extractor, clock), before)), None);
            }
            #[cfg(feature = "mongodb")]
            Other::Database => {
                let database = crate::support::mongodb::TestDatabase::new();
                let database = database.expect("VESTA_TEST_MONGODB_URI names a set");
                let store = vesta::store::mongodb::MongoStore::open(database.uri(), definitions, extractor, clock);
                return (Arc::new(store.expect("opened")), Some(database));
            }
            #[cfg(not(feature = "mongodb"))]
            Other::Database => panic!("without the engine on MongoDB"),
        };
        let store = EmbeddedStore::open(directory, definitions, extractor, clock, &options, &mut |_, _| {});
        (Arc::new(store.expect("opened")), None)
    }

    async fn build(&self, changes: &[Change], other: Other) -> Pair {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = Arc::new(Hands::default());
        let naive = MemoryStore::new(self.definitions.clone(), self.extractor.clone(), clock.clone());
        let (compared, _database) = self.open(other, directory.path(), &clock);
        let mut stores: [Arc<dyn Store>; 2] = [Arc::new(naive), compared];
        for store in &stores {
            // In one go: the order is that of the list, whatever the group.
            for (moment, group) in changes.chunks(8).enumerate() {
                clock.set(moment as i64 * 10_000);
                let mut seen = HashSet::new();
                let mut writes = Vec::new();
                for change in group.iter().filter(|c| seen.insert((c.kind, c.id.clone()))) {
                    writes.push(self.write(change));
                }
                let transaction = Transaction { writes, ..Transaction::default() };
                store.commit(TENANT, transaction).await.expect("committed");
            }
        }
        if let Other::Sealed(after, again) = other {
            let last = stores[0].snapshot(TENANT).await.expect("a snapshot").position();
            let began = Instant::now();
            while last > after as u64 && segments(directory.path()) == 0 {
                assert!(began.elapsed() < Duration::from_secs(30), "no segment after {last} versions");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if again {
                let [naive, sealed] = stores;
                drop(sealed);
                stores = [naive, self.open(other, directory.path(), &clock).0];
            }
        }
        Pair { stores, clock, _directory: directory, _database }
    }

    fn write(&self, change: &Change) -> Write {
        let kind = self.definitions.resource(change.kind).expect("a type");
        let id = ResourceId::new(&change.id).expect("an id");
        let content = change.json.as_ref().map(|json| {
            let document =
                Document::parse(json.as_bytes(), &Limits::default()).unwrap_or_else(|e| panic!("{json}: {e:?}"));
            let Extracted { terms, schema, cut } = self.extractor.extract_marked(kind, document.root());
            assert!(cut.is_empty(), "{cut:?}");
            Content { body: Body::of(document.root()), terms, schema }
        });
        let method = if content.is_some() { Method::Update } else { Method::Delete };
        Write { kind, id, method, expect: Expect::Any, content }
    }

    fn scope(&self, place: &Place) -> Scope {
        let kind = |name: &str| self.definitions.resource(name).expect("a type");
        match place {
            Place::Type(name) => Scope::Type(kind(name)),
            Place::System => Scope::System,
            Place::Compartment(id, inside) => Scope::Compartment {
                compartment: kind("Patient"),
                id: ResourceId::new(id).expect("an id"),
                kind: inside.map(kind),
            },
        }
    }

    fn plan(&self, place: &Place, parameters: &[(String, String)]) -> Result<Plan, String> {
        let options = Options {
            handling: Handling::Strict,
            bases: vec![BASE.to_owned()],
            now: Timestamp(1_600_000_000_000_000),
            codes: self.codes.clone(),
            ..Options::default()
        };
        plan(&self.definitions, &self.scope(place), parameters, &options).map_err(|e| e.to_string())
    }

    /// One page at a position, as text, and its links.
    async fn page(
        &self,
        store: &dyn Store,
        question: &Question,
        asked: &[(String, String)],
        at: u64,
    ) -> (String, vesta::search::Links) {
        let plan = self.plan(&question.place, asked).unwrap_or_else(|e| panic!("{question:?}: {e}"));
        let snapshot = store.snapshot_at(TENANT, at).await.expect("a snapshot");
        let page = snapshot.search(&plan.query(Budget::default())).await.expect("an answer");
        let total = plan.cursor.and_then(|c| c.total).or(page.total);
        let rows: Vec<_> =
            page.rows.iter().map(|v| format!("{}:{}/{}v{}", v.number, v.kind.0, v.id, v.version)).collect();
        let reached = Reached {
            position: snapshot.position(),
            rows: page.rows.len(),
            last: page.rows.last().map(|v| v.number),
            more: page.more,
            total,
        };
        (format!("{total:?} {} {}", page.more, rows.join(" ")), plan.links(&reached))
    }

    /// What both say: pages, one after the other, as text, at most ten; then one page back, and the last.
    async fn answers(&self, pair: &Pair, question: &Question, at: Option<u64>) -> [String; 2] {
        let mut texts = [String::new(), String::new()];
        for (store, text) in pair.stores.iter().zip(&mut texts) {
            let last = store.snapshot(TENANT).await.expect("a snapshot").position();
            let at = at.unwrap_or(last).min(last);
            let mut pages = Vec::new();
            let mut asked = question.parameters.clone();
            let links = loop {
                let (page, links) = self.page(&**store, question, &asked, at).await;
                pages.push(page);
                match &links.next {
                    Some(next) if pages.len() < 10 => asked = pairs(next).expect("a link"),
                    _ => break links,
                }
            };
            let whole = links.next.is_none();
            // The way back leads over the same pages.
            let mut back = links.previous.clone();
            for place in (0..pages.len().saturating_sub(1)).rev().take(1) {
                let Some(previous) = back.take() else {
                    let _ = writeln!(text, "{FAULT}: no way back to page {place}");
                    break;
                };
                let (page, links) = self.page(&**store, question, &pairs(&previous).expect("a link"), at).await;
                if page != pages[place] {
                    let _ = writeln!(text, "{FAULT}: page {place} on the way back: {page}");
                }
                back = links.previous;
            }
            if let Some(last) = links.last.filter(|_| whole) {
                let (page, _) = self.page(&**store, question, &pairs(&last).expect("a link"), at).await;
                if Some(&page) != pages.last() {
                    let _ = writeln!(text, "{FAULT}: the last page by its link: {page}");
                }
            }
            let _ = writeln!(text, "{}", pages.join("\n"));
        }
        texts
    }

    async fn differs(
        &self,
        changes: &[Change],
        other: Other,
        question: &Question,
        at: Option<u64>,
    ) -> Option<[String; 2]> {
        let pair = self.build(changes, other).await;
        let texts = self.answers(&pair, question, at).await;
        differ(&texts).then_some(texts)
    }

    /// Takes away what is not needed for the difference; gives what is left, in words, and the changes.
    async fn shrink(
        &self,
        mut changes: Vec<Change>,
        other: Other,
        mut question: Question,
        mut at: Option<u64>,
    ) -> (String, Vec<Change>) {
        if at.is_some() && self.differs(&changes, other, &question, None).await.is_some() {
            at = None;
        }
        let mut i = 0;
        while i < question.parameters.len() {
            let mut fewer = question.clone();
            fewer.parameters.remove(i);
            let legal = self.plan(&fewer.place, &fewer.parameters).is_ok();
            match legal && self.differs(&changes, other, &fewer, at).await.is_some() {
                true => question = fewer,
                false => i += 1,
            }
        }
        let mut step = changes.len() / 2;
        while step > 0 {
            let mut start = 0;
            while start < changes.len() {
                let end = (start + step).min(changes.len());
                let fewer: Vec<_> = changes[..start].iter().chain(&changes[end..]).cloned().collect();
                match self.differs(&fewer, other, &question, at).await {
                    Some(_) => changes = fewer,
                    None => start = end,
                }
            }
            step /= 2;
        }
        let left = self.differs(&changes, other, &question, at).await;
        let told: Vec<_> =
            changes.iter().map(|c| format!("{} {} {}", c.kind, c.id, c.json.as_deref().unwrap_or("deleted"))).collect();
        (format!("{other:?} at {at:?}: {question:?}\n{}\n{left:#?}", told.join("\n")), changes)
    }
}

/// Whether engines differ from each other, or one of them from itself.
fn differ(texts: &[String; 2]) -> bool {
    texts[0] != texts[1] || texts.iter().any(|text| text.contains(FAULT))
}

/// The changes of a world.
fn changes(maker: &mut Maker) -> Vec<Change> {
    let count = 60 + maker.dice.below(60);
    (0..count).map(|_| maker.change()).collect()
}

#[test]
fn engines_find_the_same() {
    let of_one_world = if only_mongodb() { 100 } else { 250 };
    let (cases, began) = (cases(), Instant::now());
    let words = Words::new();
    let (mut tried, mut refused, mut found) = (0, 0, 0);
    for seed in 0..cases.div_ceil(of_one_world) {
        wait(async {
            let mut maker = Maker::new(seed);
            let changes = changes(&mut maker);
            let other = Other::of(seed);
            let pair = words.build(&changes, other).await;
            let last = pair.stores[0].snapshot(TENANT).await.expect("a snapshot").position();
            for _ in 0..of_one_world.min(cases) {
                let question = maker.search();
                if let Err(why) = words.plan(&question.place, &question.parameters) {
                    // A generated value may break a rule; that must stay rare, or nothing is tried.
                    assert!(why.len() < 20_000);
                    refused += 1;
                    if refused < 5 {
                        println!("refused: {question:?}: {why}");
                    }
                    continue;
                }
                let at = (maker.dice.below(4) == 0).then(|| maker.dice.below(last + 1));
                let texts = words.answers(&pair, &question, at).await;
                tried += 1;
                found += u64::from(texts[0].contains('/'));
                if differ(&texts) {
                    let (told, _) = words.shrink(changes.clone(), other, question.clone(), at).await;
                    panic!("seed {seed} at {at:?}: {question:?}\n{texts:#?}\nmade small: {told}");
                }
            }
        });
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{tried} searches tried in {seconds:.1} s, {found} of them found something, {refused} were refused");
    assert!(tried * 10 > cases * 9, "{tried} of {cases} tried");
    assert!(found * 5 > tried, "{found} of {tried} found anything");
}

/// The naive engine, which leaves a row out in every state before a position.
struct Liar(MemoryStore, u64);

struct Lie(Box<dyn Snapshot>, u64);

#[async_trait]
impl Snapshot for Lie {
    fn position(&self) -> u64 {
        self.0.position()
    }

    async fn read(&self, kind: TypeId, id: &ResourceId) -> Result<Option<Version>, StoreError> {
        self.0.read(kind, id).await
    }

    async fn version(&self, kind: TypeId, id: &ResourceId, version: u64) -> Result<Option<Version>, StoreError> {
        self.0.version(kind, id, version).await
    }

    async fn search(&self, query: &Query) -> Result<Page, StoreError> {
        let mut page = self.0.search(query).await?;
        if self.0.position() < self.1 {
            page.rows.pop();
        }
        Ok(page)
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page, StoreError> {
        self.0.history(query).await
    }
}

#[async_trait]
impl Store for Liar {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(Lie(self.0.snapshot(tenant).await?, self.1)))
    }

    async fn snapshot_at(&self, tenant: TenantId, position: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(Lie(self.0.snapshot_at(tenant, position).await?, self.1)))
    }

    async fn commit(
        &self,
        tenant: TenantId,
        transaction: Transaction,
    ) -> Result<Vec<vesta::store::Committed>, StoreError> {
        self.0.commit(tenant, transaction).await
    }

    async fn item(
        &self,
        tenant: TenantId,
        collection: &'static str,
        key: &str,
    ) -> Result<Option<vesta::store::Item>, StoreError> {
        self.0.item(tenant, collection, key).await
    }

    async fn items(
        &self,
        tenant: TenantId,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<vesta::store::Item>, StoreError> {
        self.0.items(tenant, collection, after, limit).await
    }

    async fn sweep_items(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.0.sweep_items(tenant, limit).await
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<vesta::store::Head, StoreError> {
        self.0.audit_head(tenant).await
    }

    async fn audit_links(
        &self,
        tenant: TenantId,
        after: u64,
        limit: usize,
    ) -> Result<Vec<vesta::store::Link>, StoreError> {
        self.0.audit_links(tenant, after, limit).await
    }

    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<vesta::store::ChangeLog, StoreError> {
        self.0.changes(tenant, after, limit).await
    }
}

#[test]
fn a_store_that_lies_about_the_past_is_found_out() {
    let words = Words::new();
    wait(async {
        let changes = changes(&mut Maker::new(3));
        let other = Other::Liar(20);
        let parameters = [("_count", "1000"), ("_total", "none"), ("_id", "r0,r1,r2,r3,r4,r5")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let question = Question { place: Place::Type("Patient"), parameters };
        // It says the truth of the present; only the state that was asked for tells.
        assert!(words.differs(&changes, other, &question, None).await.is_none());
        assert!(words.differs(&changes, other, &question, Some(19)).await.is_some());
        let (told, left) = words.shrink(changes, other, question, Some(19)).await;
        assert!(told.contains("at Some(19)"), "{told}");
        assert!(!told.contains("_id") && !told.contains("_count"), "{told}");
        // The difference needs one Patient, and nothing else.
        let kinds: Vec<_> = left.iter().map(|change| change.kind).collect();
        assert_eq!(kinds, ["Patient"], "{told}");
    });
}
