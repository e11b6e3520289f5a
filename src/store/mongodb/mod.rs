//! The engine on a MongoDB replica set or sharded cluster, for several server processes on one database.
//!
//! `database` connects and knows concerns, indexes and errors, `pulse` whether it answers; `document` is how versions
//! look; `writer` and `group` commit; `snapshot` answers questions with the help of `filter` and `resolve`; `items`
//! keeps what is no resource, `trail` the audit trail; `notices` learns what other processes have changed.
//! `lead` is what versions carry besides their terms and how searches are led by it, `fill` fills it in.
//! `terms` keeps the vocabulary at the search parameters that are stored, `reindex` indexes again by them and `progress`
//! remembers how far that is.
//! `raw` is the raw door (copy, backup, restore), `check` verifies.
//! Every version is one document, written once and only marked when it is superseded (and found again where
//! search parameters are added), so that a search of an earlier
//! position finds what was current then. Everything runs on a runtime of its own.

mod check;
mod database;
mod document;
mod fill;
mod filter;
mod group;
mod indexes;
mod items;
mod lead;
mod notices;
mod progress;
mod pulse;
mod queue;
mod raw;
mod reindex;
mod resolve;
mod snapshot;
mod terms;
mod trail;
mod writer;

pub use indexes::{Found, INDEXES, Index};

use crate::base::{Clock, TenantId};
use crate::definitions::Definitions;
use crate::index::Extractor;
use crate::store::{
    ChangeLog, Committed, Crier, FhirVocabulary, Head, Indexing, Item, Link, Notices, Snapshot, Store, StoreError,
    Transaction, Vocabulary,
};
use async_trait::async_trait;
use database::{Collections, Missing};
use document::version_of;
use futures_util::TryStreamExt;
use lead::Mark;
use mongodb::bson::doc;
use queue::{Job, Prepared, Ticket};
use snapshot::MongoSnapshot;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::{mpsc, oneshot, watch};

/// Transactions that may wait; more callers wait outside.
const QUEUE: usize = 1024;
/// How long a store that is closed waits for a step of indexing again.
const CLOSING: Duration = Duration::from_secs(3);

/// What all parts of an open store share.
pub(super) struct Shared {
    collections: Collections,
    vocabulary: Arc<dyn Vocabulary>,
    clock: Arc<dyn Clock>,
    handle: Handle,
    /// The name of this process among those on the database.
    process: String,
    /// Whether a primary answered when it was last asked.
    answering: watch::Sender<bool>,
    /// Whether it has been asked for so long that what has no answer either may be given up.
    doubtful: watch::Sender<bool>,
    /// How often the outcome of a commit was looked up.
    looked_up: AtomicU64,
    /// Where transactions wait.
    queue: mpsc::WeakSender<Job>,
    /// What was read of the stored search parameters last.
    learned: terms::Learned,
    reindexing: Arc<reindex::Reindexing>,
}

impl Deref for Shared {
    type Target = Collections;

    fn deref(&self) -> &Collections {
        &self.collections
    }
}

impl Shared {
    /// Waits for so long, by the clock of the store's own runtime.
    fn after(&self, length: Duration) -> std::pin::Pin<Box<tokio::time::Sleep>> {
        let _within = self.handle.enter();
        Box::pin(tokio::time::sleep(length))
    }

    /// Runs on the store's own runtime, whatever runtime the caller has; refuses and breaks off while no primary
    /// answers.
    async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        if !self.answers() {
            return Err(database::away());
        }
        let mut task = Task(self.handle.spawn(work));
        let done = self.while_it_answers(&mut task.0).await?;
        done.map_err(|_| StoreError::Broken("a task of the store has ended before its time".into()))?
    }

    async fn position(&self, tenant: TenantId) -> Result<u64, StoreError> {
        Ok(self.stands(tenant).await?.0)
    }

    /// The position of a tenant, and how far its versions have what leads to them.
    async fn stands(&self, tenant: TenantId) -> Result<(u64, Mark), StoreError> {
        let mut fields = doc! { "n": 1 };
        fields.insert(lead::MARK, 1);
        let found = self.tenants.find_one(doc! { "_id": i64::from(tenant.0) }).projection(fields).await?;
        let position = found.as_ref().and_then(|f| f.get_i64("n").ok()).unwrap_or(0) as u64;
        Ok((position, Mark::of(found.as_ref())))
    }

    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<ChangeLog, StoreError> {
        let position = self.position(tenant).await?;
        if after > position {
            return Err(StoreError::UnknownPosition);
        }
        let mut log = ChangeLog { versions: Vec::new(), position: after };
        let find = self.versions.find(document::between(tenant, after, position)).sort(doc! { "_id": 1 });
        let mut rows = find.projection(doc! { "x": 0 }).await?;
        while let Some(found) = rows.try_next().await? {
            let head = document::Head::of(&found)?;
            if head.number != log.position + 1 {
                return Err(StoreError::Broken(format!("version {} is missing", log.position + 1)));
            }
            if log.versions.len() >= limit && head.commit == head.number {
                break;
            }
            log.versions.push(version_of(&found, &*self.vocabulary, position)?);
            log.position = head.number;
        }
        Ok(log)
    }
}

/// A runtime for a store.
fn runtime() -> Result<Runtime, StoreError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("store-mongodb")
        .enable_all()
        .build()
        .map_err(|e| StoreError::Unavailable(format!("no threads for the store: {e}")))
}

/// Waits for something on a thread of its own: the caller's may be one of another runtime, which must not wait.
fn wait_on<T: Send>(
    runtime: &Runtime,
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    let done = std::thread::scope(|scope| scope.spawn(|| runtime.block_on(work)).join());
    done.map_err(|_| StoreError::Broken("opening the store has panicked".into()))?
}

/// The indexes that a database has; none where it has no collections. Makes nothing.
pub fn indexes(uri: &str) -> Result<Vec<Found>, StoreError> {
    let runtime = runtime()?;
    let found = wait_on(&runtime, database::indexes_of(uri));
    runtime.shutdown_background();
    found
}

/// Refuses a database in which there are no data of Vesta. Makes nothing.
pub fn is_there(uri: &str) -> Result<(), StoreError> {
    let runtime = runtime()?;
    let opened = wait_on(&runtime, database::open(uri, Missing::Refused)).map(drop);
    runtime.shutdown_background();
    opened
}

/// Work that ends when nobody waits for it any more. Commits are not of this kind.
struct Task<T>(tokio::task::JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The store on a database.
pub struct MongoStore {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Job>,
    crier: Crier,
    streaming: Arc<AtomicBool>,
    runtime: Option<Runtime>,
    /// What indexes again.
    worker: Option<tokio::task::JoinHandle<()>>,
}

impl MongoStore {
    /// Opens the store of FHIR resources that a connection string names. Makes collections and indexes that are not
    /// there.
    pub fn open(
        uri: &str,
        definitions: Arc<Definitions>,
        extractor: Arc<Extractor>,
        clock: Arc<dyn Clock>,
    ) -> Result<MongoStore, StoreError> {
        MongoStore::open_with(uri, Arc::new(FhirVocabulary::new(definitions, extractor)), clock)
    }

    /// The same with another vocabulary.
    pub fn open_with(
        uri: &str,
        vocabulary: Arc<dyn Vocabulary>,
        clock: Arc<dyn Clock>,
    ) -> Result<MongoStore, StoreError> {
        MongoStore::start(uri, vocabulary, clock, Missing::Made)
    }

    /// Opens a store that is there, to read it: makes nothing, and refuses a database without collections.
    pub fn open_existing(
        uri: &str,
        vocabulary: Arc<dyn Vocabulary>,
        clock: Arc<dyn Clock>,
    ) -> Result<MongoStore, StoreError> {
        MongoStore::start(uri, vocabulary, clock, Missing::Refused)
    }

    fn start(
        uri: &str,
        vocabulary: Arc<dyn Vocabulary>,
        clock: Arc<dyn Clock>,
        missing: Missing,
    ) -> Result<MongoStore, StoreError> {
        let runtime = runtime()?;
        let collections = wait_on(&runtime, database::open(uri, missing))?;
        let handle = runtime.handle().clone();
        let (queue, waiting) = mpsc::channel(QUEUE);
        let shared = Arc::new(Shared {
            collections,
            vocabulary,
            clock,
            handle,
            process: uuid::Uuid::new_v4().simple().to_string(),
            answering: watch::Sender::new(true),
            doubtful: watch::Sender::new(false),
            looked_up: AtomicU64::new(0),
            queue: queue.downgrade(),
            learned: terms::Learned::default(),
            reindexing: Arc::default(),
        });
        let reading = shared.clone();
        let read = async {
            let seen = notices::counts(&reading).await?;
            reading.learn(None).await?;
            Ok::<_, StoreError>(seen)
        };
        let seen = wait_on(&runtime, read)?;
        runtime.spawn(writer::run(shared.clone(), waiting));
        runtime.spawn(pulse::watch(Arc::downgrade(&shared)));
        let (crier, streaming) = (Crier::default(), Arc::new(AtomicBool::new(false)));
        let follower = notices::Follower::new(&shared, crier.clone(), seen, streaming.clone());
        runtime.spawn(follower.run());
        // Who only reads takes over no job.
        let works = missing == Missing::Made;
        let worker = works.then(|| runtime.spawn(reindex::run(Arc::downgrade(&shared))));
        if works {
            runtime.spawn(fill::run(Arc::downgrade(&shared)));
        }
        Ok(MongoStore { shared, queue, crier, streaming, runtime: Some(runtime), worker })
    }

    /// How long a job is left to a process that does not go on with it.
    pub fn set_job_lease(&self, length: Duration) {
        self.shared.reindexing.set_lease(length);
    }

    /// Whether what others change is told by a change stream at the moment; if not, by comparing twice a second.
    pub fn is_streaming(&self) -> bool {
        self.streaming.load(Ordering::Relaxed)
    }

    /// How often the outcome of a commit was not known and had to be looked up.
    pub fn looked_up(&self) -> u64 {
        self.shared.looked_up.load(Ordering::Relaxed)
    }

    /// Compresses the bodies of a transaction, before the writer's turn.
    fn prepare(&self, writes: Vec<crate::store::Write>) -> Result<Vec<Prepared>, StoreError> {
        let prepared = writes.into_iter().map(|write| {
            let entries = write.content.as_ref().map_or(0, |content| {
                let leads = self.shared.vocabulary.leads(write.kind);
                content.terms.as_slice().len() + 2 * leads.map_or(0, |leads| leads.digests(&content.terms).len())
            });
            let schema = write.content.as_ref().map_or(0, |content| content.schema);
            let content = match write.content {
                Some(content) => Some((document::pack(&content.body.0)?, content.terms)),
                None => None,
            };
            let crate::store::Write { kind, id, method, expect, .. } = write;
            Ok(Prepared { kind, id, method, expect, content, schema, entries })
        });
        prepared.collect()
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        let shared = self.shared.clone();
        let (position, mark) = self.shared.run(async move { shared.stands(tenant).await }).await?;
        Ok(Box::new(MongoSnapshot { shared: self.shared.clone(), tenant, position, mark }))
    }

    async fn snapshot_at(&self, tenant: TenantId, position: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        let shared = self.shared.clone();
        let (newest, mark) = self.shared.run(async move { shared.stands(tenant).await }).await?;
        if position > newest {
            return Err(StoreError::UnknownPosition);
        }
        Ok(Box::new(MongoSnapshot { shared: self.shared.clone(), tenant, position, mark }))
    }

    async fn commit(&self, tenant: TenantId, transaction: Transaction) -> Result<Vec<Committed>, StoreError> {
        transaction.check_shape(tenant)?;
        let Transaction { writes, guards, items, audit } = transaction;
        let packed = audit.into_iter().map(|record| Ok((document::pack(&record.body.0)?, record)));
        let audit = packed.map(|done: Result<_, StoreError>| done.map(|(body, record)| (record, body)));
        let audit = audit.collect::<Result<_, _>>()?;
        let writes = self.prepare(writes)?;
        let (answer, result) = oneshot::channel();
        let ticket = Ticket::default();
        let job = Job { tenant, writes, guards, items, audit, fence: None, ticket: ticket.clone(), answer };
        job.check_size()?;
        if !self.shared.answers() {
            return Err(database::away());
        }
        let mut too_long = self.shared.after(queue::WAITING);
        let sending = self.shared.while_it_answers(self.queue.send(job));
        let sent = tokio::select! {
            sent = sending => sent?,
            () = &mut too_long => return Err(queue::busy()),
        };
        sent.map_err(|_| StoreError::Unavailable("the store is closing".into()))?;
        queue::answer(&ticket, result, self.shared.until_away(), too_long).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn writable(&self) -> Result<(), StoreError> {
        if self.queue.is_closed() {
            return Err(StoreError::Unavailable("the writer has stopped".into()));
        }
        if self.shared.answers() { Ok(()) } else { Err(database::away()) }
    }

    fn notices(&self) -> Option<Notices> {
        Some(self.crier.listen())
    }

    async fn item(&self, tenant: TenantId, collection: &'static str, key: &str) -> Result<Option<Item>, StoreError> {
        let (shared, key) = (self.shared.clone(), key.to_owned());
        let found =
            self.shared.run(async move { Ok(shared.stored_item(tenant, collection, &key, None).await?) }).await?;
        let now = self.shared.clock.now();
        Ok(found.filter(|i| i.is_alive(now)))
    }

    async fn items(
        &self,
        tenant: TenantId,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let (shared, after) = (self.shared.clone(), after.map(str::to_owned));
        self.shared.run(async move { shared.list_items(tenant, collection, after.as_deref(), limit).await }).await
    }

    async fn sweep_items(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        let shared = self.shared.clone();
        self.shared.run(async move { shared.sweep(tenant, limit).await }).await
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        let shared = self.shared.clone();
        self.shared.run(async move { shared.audit_head(tenant).await }).await
    }

    async fn audit_links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        let shared = self.shared.clone();
        self.shared.run(async move { shared.audit_links(tenant, after, limit).await }).await
    }

    fn reindex(&self) -> Result<(), StoreError> {
        let (handle, shared) = (&self.shared.handle, &self.shared);
        // On a thread of its own: the caller's may be one of another runtime, which must not wait.
        let asked = std::thread::scope(|scope| scope.spawn(|| handle.block_on(shared.ask_to_reindex())).join());
        asked.map_err(|_| StoreError::Broken("asking to index again has panicked".into()))
    }

    async fn indexed_by(&self) -> Result<Vec<u16>, StoreError> {
        let shared = self.shared.clone();
        let progress = self.shared.run(async move { shared.progress().await }).await?;
        Ok(progress.map_or_else(Vec::new, |(_, progress)| progress.ready))
    }

    fn take_part(&self) {
        self.shared.reindexing.take_part();
    }

    fn indexing(&self) -> Indexing {
        self.shared.reindexing.indexing()
    }

    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<ChangeLog, StoreError> {
        let shared = self.shared.clone();
        self.shared.run(async move { shared.changes(tenant, after, limit).await }).await
    }
}

impl Drop for MongoStore {
    /// Ends at once. Nobody waits for a commit any more, as waiting needs the store; the database forgets what was not
    /// committed.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A step of indexing again is ended, for others would wait for what its transaction holds.
            self.shared.reindexing.stop();
            if let Some(worker) = self.worker.take() {
                let waiting = || runtime.block_on(async { tokio::time::timeout(CLOSING, worker).await.is_ok() });
                // On a thread of its own: the caller's may be one of another runtime, which must not wait.
                let ended = std::thread::scope(|scope| scope.spawn(waiting).join());
                if !matches!(ended, Ok(true)) {
                    tracing::warn!("a step of indexing again was broken off");
                }
            }
            runtime.shutdown_background();
        }
    }
}
