//! The embedded engine: the truth in LMDB, the index derived from it: the newest part in memory, the rest in sealed
//! segments, which are mapped. One process per directory.
//!
//! `truth`, `record`, `items`, `types` and `dictionary` are what is on the disk; `writer` and `group` are the only ones that
//! write; `index`, `type_index`, `part`, `memory`, `segment` and `postings` are the index; `keeper`, `seal`, `load` and
//! `rebuild` make it; `evaluate`, `node`, `chain`, `dated`, `order`, `merged` and `history` answer questions; `check`
//! compares everything with everything; `raw` and `replay` are the raw door (copy, backup, restore); `mapping` gives
//! memory back.

mod chain;
mod check;
mod cipher;
mod coding;
mod collector;
mod convert;
mod dated;
mod dictionary;
mod evaluate;
mod group;
mod history;
mod index;
mod items;
mod keeper;
mod learn;
mod load;
mod lock;
mod mapping;
mod memory;
mod merged;
mod meter;
mod node;
mod order;
mod part;
mod postings;
mod raw;
mod rebuild;
mod record;
mod reindex;
mod replay;
mod runs;
mod seal;
mod segment;
mod snapshot;
mod trail;
mod truth;
mod type_index;
mod types;
mod writer;

pub use cipher::MasterKey;
pub use convert::{convert, rotate};
pub use lock::{IN_USE, is_free};
pub use raw::EmbeddedReader;

use crate::base::{Clock, SystemClock, TenantId};
use crate::definitions::{Definitions, TypeId};
use crate::index::Extractor;
use crate::store::{
    AuditRecord, ChangeLog, CheckReport, Committed, FhirVocabulary, Head, Indexing, Item, Link, Snapshot, Store,
    StoreError, Transaction, Vocabulary,
};
use async_trait::async_trait;
use dictionary::Codec;
use index::Index;
use keeper::Keeper;
use lock::DirectoryLock;
use parking_lot::Mutex;
use seal::Background;
use snapshot::EmbeddedSnapshot;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{mpsc, oneshot};
use truth::{MetaRow, Truth, damaged};
use types::Types;
use writer::{Job, Order, Prepared, PreparedContent, PreparedRecord};

/// What can be set. The defaults are meant for a server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address space for the data file, which grows as it is filled; doubled when it is used up.
    pub map_size: usize,
    /// Level of zstd.
    pub level: i32,
    /// Bodies of a type after which its last dictionary is trained, the first after a tenth of them; 0: never.
    pub train_after: usize,
    /// Transactions that may wait; more callers wait outside.
    pub queue: usize,
    /// Writes of one flush, roughly, at most.
    pub group: usize,
    /// Threads that extract terms at the start.
    pub threads: usize,
    /// Versions of a tenant in memory after which they are sealed into a segment.
    pub seal_after: usize,
    /// Bytes that a segment may have: a larger one is treated as on a full disk.
    pub segment_room: u64,
    /// Whether segments are written to the data directory. Otherwise they are held in memory and every start makes
    /// them again.
    pub segment_files: bool,
    /// The key of an encrypted store; with it a new store is encrypted.
    pub key: Option<MasterKey>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            map_size: 256 << 30,
            level: 3,
            train_after: 1000,
            queue: 1024,
            group: 4096,
            threads: 2,
            seal_after: 16_384,
            segment_room: u64::MAX,
            segment_files: true,
            key: None,
        }
    }
}

/// What all parts of an open store share.
struct Shared {
    truth: Truth,
    types: Types,
    codec: Codec,
    index: Index,
    keeper: Keeper,
    vocabulary: Arc<dyn Vocabulary>,
    clock: Arc<dyn Clock>,
    /// A commit failed: nothing is written any more.
    poisoned: AtomicBool,
    trails: trail::Trails,
    // The last to go: the directory is free when everything is closed, snapshots included.
    _lock: DirectoryLock,
}

/// The embedded store.
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    queue: Option<mpsc::Sender<Order>>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
    background: Mutex<Option<Background>>,
}

impl Shared {
    fn open(
        directory: &Path,
        vocabulary: Arc<dyn Vocabulary>,
        clock: Arc<dyn Clock>,
        options: &Options,
        changing: bool,
    ) -> Result<Shared, StoreError> {
        std::fs::create_dir_all(directory).map_err(|e| {
            StoreError::Unavailable(format!("the data directory {} cannot be made: {e}", directory.display()))
        })?;
        let lock = DirectoryLock::take(directory)?;
        let truth = Truth::open(&directory.join("truth"), options.map_size, options.key.as_ref())?;
        let rows = truth.read()?.all_meta()?;
        let types = Types::load(&rows, &*vocabulary)?;
        let codec = Codec::new(options.level, options.train_after);
        load_dictionaries(&truth, &rows, &types, &codec)?;
        learn::learn(&truth, &*vocabulary)?;
        let (index, poisoned) = (Index::default(), AtomicBool::new(false));
        let (segments, schema) = (directory.join("index"), vocabulary.schema());
        let keeper = match changing {
            true => {
                let segments = options.segment_files.then_some(&*segments);
                Keeper::new(segments, schema, options.seal_after, options.segment_room)
            }
            false => Keeper::reading(&segments, schema, options.seal_after),
        };
        let trails = trail::Trails::default();
        Ok(Shared { truth, types, codec, index, keeper, vocabulary, clock, poisoned, trails, _lock: lock })
    }
}

/// Verifies the store in a directory, also one that cannot be opened for use because records are damaged.
pub fn check_directory(
    directory: &Path,
    vocabulary: Arc<dyn Vocabulary>,
    key: Option<MasterKey>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<CheckReport, StoreError> {
    let options = Options { key, ..Options::default() };
    let shared = Shared::open(directory, vocabulary, Arc::new(SystemClock), &options, false)?;
    load::load(&shared, options.threads, rebuild::Damage::LeaveOut, &mut |_, _| {})?;
    let mut report = check::check(&shared, progress)?;
    shared.keeper.refused().into_iter().for_each(|why| report.fault(|| why));
    Ok(report)
}

impl EmbeddedStore {
    /// Opens the store of FHIR resources in a directory, which is made if it is not there. Rebuilds the index;
    /// `progress` is told how many versions of how many are done.
    pub fn open(
        directory: &Path,
        definitions: Arc<Definitions>,
        extractor: Arc<Extractor>,
        clock: Arc<dyn Clock>,
        options: &Options,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<EmbeddedStore, StoreError> {
        let vocabulary = Arc::new(FhirVocabulary::new(definitions, extractor));
        EmbeddedStore::open_with(directory, vocabulary, clock, options, progress)
    }

    /// The same with another vocabulary.
    pub fn open_with(
        directory: &Path,
        vocabulary: Arc<dyn Vocabulary>,
        clock: Arc<dyn Clock>,
        options: &Options,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<EmbeddedStore, StoreError> {
        let shared = Arc::new(Shared::open(directory, vocabulary, clock, options, true)?);
        load::load(&shared, options.threads, rebuild::Damage::Refuse, progress)?;
        shared.keeper.tidy();
        let background = Background::start(&shared)
            .map_err(|e| StoreError::Unavailable(format!("no threads for the index: {e}")))?;
        let (queue, orders) = mpsc::channel(options.queue.max(1));
        let writer = writer::start(shared.clone(), orders, options.group.max(1))
            .map_err(|e| StoreError::Unavailable(format!("no thread for the writer: {e}")))?;
        let (writer, background) = (Mutex::new(Some(writer)), Mutex::new(Some(background)));
        Ok(EmbeddedStore { shared, queue: Some(queue), writer, background })
    }

    /// Bytes of the data file.
    pub fn file_size(&self) -> u64 {
        self.shared.truth.file_size()
    }

    /// Verifies everything that is stored and compares it with the index. Commits that happen meanwhile are not
    /// looked at.
    pub fn check(&self, progress: &mut dyn FnMut(u64, u64)) -> Result<CheckReport, StoreError> {
        check::check(&self.shared, progress)
    }

    /// Makes sure that a trail shows what was appended to it.
    fn shown(&self, tenant: TenantId) -> Result<(), StoreError> {
        match tenant.owner() {
            Some(owner) => self.shared.catch_up(owner),
            None => Ok(()),
        }
    }

    /// Compresses a body; gives it to those that make a dictionary where one is still to come.
    fn compress(&self, kind: TypeId, body: &[u8]) -> Result<(u32, Vec<u8>), StoreError> {
        let (dictionary, packed) = self.shared.codec.compress(kind, body)?;
        if let Some(samples) = self.shared.codec.sample(kind, body)
            && let Some(queue) = &self.queue
        {
            writer::train(samples, queue.downgrade());
        }
        Ok((dictionary, packed))
    }

    /// The same for records of the audit trail.
    fn prepare_records(&self, records: Vec<AuditRecord>) -> Result<Vec<PreparedRecord>, StoreError> {
        let prepare = |record: AuditRecord| {
            let (dictionary, body) = self.compress(record.kind, &record.body.0)?;
            Ok(PreparedRecord { kind: record.kind, digest: record.digest(), dictionary, body })
        };
        records.into_iter().map(prepare).collect()
    }

    /// Compresses what can be compressed before the writer's turn.
    fn prepare(&self, writes: Vec<crate::store::Write>) -> Result<Vec<Prepared>, StoreError> {
        let mut prepared = Vec::with_capacity(writes.len());
        for write in writes {
            let content = match write.content {
                None => None,
                Some(content) => {
                    let (dictionary, body) = self.compress(write.kind, &content.body.0)?;
                    Some(PreparedContent { terms: content.terms, schema: content.schema, dictionary, body })
                }
            };
            let crate::store::Write { kind, id, method, expect, .. } = write;
            prepared.push(Prepared { kind, id, method, expect, content });
        }
        Ok(prepared)
    }
}

fn closing() -> StoreError {
    StoreError::Unavailable("the store is closing".into())
}

fn stopped() -> StoreError {
    StoreError::Broken("the writer has stopped".into())
}

fn load_dictionaries(truth: &Truth, rows: &[MetaRow], types: &Types, codec: &Codec) -> Result<(), StoreError> {
    for (key, value) in rows.iter().filter(|(key, _)| key.first() == Some(&b'd')) {
        let next = codec.len() + 1;
        let missing = || StoreError::Broken(format!("dictionary {next} is missing or damaged"));
        let value = truth.opened(key, value).map_err(|_| missing())?;
        let in_order = value.split_first_chunk::<2>().filter(|_| *key == truth::meta::dictionary(next));
        let (stored_type, bytes) = in_order.ok_or_else(missing)?;
        codec.add(types.kind(u16::from_be_bytes(*stored_type))?, bytes.to_vec());
    }
    Ok(())
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        self.shown(tenant)?;
        let index = self.shared.index.tenant(tenant);
        let position = index.position();
        Ok(Box::new(EmbeddedSnapshot { shared: self.shared.clone(), tenant, index, position }))
    }

    async fn snapshot_at(&self, tenant: TenantId, position: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        self.shown(tenant)?;
        let index = self.shared.index.tenant(tenant);
        if position > index.position() {
            return Err(StoreError::UnknownPosition);
        }
        Ok(Box::new(EmbeddedSnapshot { shared: self.shared.clone(), tenant, index, position }))
    }

    async fn commit(&self, tenant: TenantId, transaction: Transaction) -> Result<Vec<Committed>, StoreError> {
        transaction.check_shape(tenant)?;
        if self.shared.poisoned.load(Ordering::Acquire) {
            return Err(writer::poisoned());
        }
        let queue = self.queue.as_ref().ok_or_else(closing)?;
        let Transaction { writes, guards, items, audit } = transaction;
        let writes = self.prepare(writes)?;
        let audit = self.prepare_records(audit)?;
        let (answer, result) = oneshot::channel();
        let job = Job { tenant, writes, guards, items, audit, answer };
        queue.send(Order::Commit(job)).await.map_err(|_| closing())?;
        result.await.map_err(|_| stopped())?
    }

    fn writable(&self) -> Result<(), StoreError> {
        if self.shared.poisoned.load(Ordering::Acquire) {
            return Err(writer::poisoned());
        }
        // The writer ends before the store only by a panic.
        match &self.queue {
            Some(queue) if !queue.is_closed() => Ok(()),
            _ => Err(StoreError::Unavailable("the writer has stopped".into())),
        }
    }

    async fn item(&self, tenant: TenantId, collection: &'static str, key: &str) -> Result<Option<Item>, StoreError> {
        let found = self.shared.truth.read()?.item(tenant, collection, key)?;
        let now = self.shared.clock.now();
        Ok(found.filter(|item| item.is_alive(now)))
    }

    async fn items(
        &self,
        tenant: TenantId,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let now = self.shared.clock.now();
        let reading = self.shared.truth.read()?;
        let rows = reading.items(tenant, collection, after)?;
        rows.filter(|row| row.as_ref().map_or(true, |item| item.is_alive(now))).take(limit).collect()
    }

    async fn sweep_items(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        let queue = self.queue.as_ref().ok_or_else(closing)?;
        let (answer, result) = oneshot::channel();
        queue.send(Order::Sweep { tenant, limit, answer }).await.map_err(|_| closing())?;
        result.await.map_err(|_| stopped())?
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        self.shared.head(tenant)
    }

    async fn audit_links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.shared.links(tenant, after, limit)
    }

    fn reindex(&self) -> Result<(), StoreError> {
        if self.shared.keeper.ask_to_index() { Ok(()) } else { Err(closing()) }
    }

    fn indexes_at_start(&self) -> bool {
        true
    }

    fn indexing(&self) -> Indexing {
        self.shared.keeper.indexing()
    }

    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<ChangeLog, StoreError> {
        self.shown(tenant)?;
        let index = self.shared.index.tenant(tenant);
        let position = index.position();
        if after > position {
            return Err(StoreError::UnknownPosition);
        }
        let mut log = ChangeLog { versions: Vec::new(), position: after };
        let reading = self.shared.truth.read()?;
        for record in reading.records(tenant, after + 1, position)? {
            let (number, record) = record?;
            let (header, body) =
                record::Header::decode(tenant, number, record).ok_or_else(|| damaged(tenant, number, "is damaged"))?;
            if number != log.position + 1 {
                return Err(damaged(tenant, log.position + 1, "is missing"));
            }
            if log.versions.len() >= limit && header.commit == number {
                break;
            }
            let newest = self.shared.is_newest(&index, tenant, &header, position)?;
            log.versions.push(self.shared.version(tenant, header, body, newest)?);
            log.position = number;
        }
        Ok(log)
    }
}

impl Drop for EmbeddedStore {
    /// Waits until everything that was accepted is written.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.lock().take()
            && writer.join().is_err()
        {
            tracing::error!("the writer of the store has panicked");
        }
        if let Some(background) = self.background.lock().take() {
            for tenant in self.shared.index.tenants() {
                self.shared.keeper.look_after_at_end(tenant, &self.shared.index.tenant(tenant));
            }
            self.shared.keeper.stop();
            background.end();
        }
    }
}
