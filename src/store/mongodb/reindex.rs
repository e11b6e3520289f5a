//! Indexes again, beside everything else, what was indexed by another list of added search parameters. Of the processes
//! that take part one does it; how far it is stands in an item that is written with every step, in the same transaction
//! as the step and only in the revision that was read. So whoever takes the job over goes on where it was left, and one
//! that was only slow cannot do harm any more. A job is left when its item has stood still for the length of a lease.
//!
//! Tenant after tenant: first the mark of the list is put into the tenant's counter, so that no commit from then on is
//! found by a list of before (see `terms`); then every version up to there is found again, batch by batch.

use super::Shared;
use super::document::{between, damaged, numbered, terms_array, terms_of, version_of};
use super::lead;
use super::progress::{Progress, Session, Still, Stored, covers};
use super::queue::{Job, Ticket, WAITING, answer};
use super::terms::Found;
use crate::base::TenantId;
use crate::store::{Indexing, StoreError};
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use parking_lot::Mutex;
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

/// Versions of a batch at most.
const BATCH: i64 = 200;
/// Bytes after which a batch ends, of compressed bodies.
const BYTES: usize = 4 << 20;
/// How long a batch is tried while the vocabulary is taught another list.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked how far it is, while somebody waits for it.
const POLL: Duration = Duration::from_millis(250);
/// How often otherwise.
const IDLE: Duration = Duration::from_secs(20);
/// When a job that failed is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long whoever asks waits to hear that nothing is to be done.
const ASKING: Duration = Duration::from_secs(3);

/// What this process knows of the job and has to do with it.
pub struct Reindexing {
    indexing: Mutex<Indexing>,
    /// Counts how often it was asked for.
    asks: AtomicU64,
    takes_part: AtomicBool,
    /// The store is being closed: no step is begun any more.
    stopping: AtomicBool,
    /// After so long without a step the job is left.
    lease: Mutex<Duration>,
    /// The session of the steps.
    pub session: Session,
    wake: Notify,
}

impl Default for Reindexing {
    fn default() -> Reindexing {
        Reindexing {
            indexing: Mutex::default(),
            asks: AtomicU64::new(0),
            takes_part: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            lease: Mutex::new(Duration::from_secs(30)),
            session: Session::default(),
            wake: Notify::new(),
        }
    }
}

impl Reindexing {
    /// How it stands, as it was last seen.
    pub fn indexing(&self) -> Indexing {
        self.indexing.lock().clone()
    }

    /// This process may do it from now on.
    pub fn take_part(&self) {
        self.takes_part.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// No step is begun any more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    pub fn set_lease(&self, length: Duration) {
        *self.lease.lock() = length;
    }

    /// Somebody waits until all is indexed by what the vocabulary was taught by now.
    fn ask(&self) {
        let mut indexing = self.indexing.lock();
        indexing.asked = true;
        self.asks.fetch_add(1, Ordering::AcqRel);
    }

    /// This is how far it is.
    pub fn show(&self, progress: &Progress) {
        let mut indexing = self.indexing.lock();
        indexing.running = !progress.ended && progress.failed.is_none();
        (indexing.done, indexing.all) = (progress.done, progress.all);
        indexing.failed = progress.failed.clone();
    }
}

/// Looks after the job until the store is closed.
pub async fn run(shared: Weak<Shared>) {
    let mut still = Still::default();
    while let Some(shared) = shared.upgrade().filter(|shared| !shared.reindexing.is_stopping()) {
        let pause = shared.tend(&mut still).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "indexing again waits");
            Duration::from_secs(1)
        });
        let reindexing = shared.reindexing.clone();
        drop(shared);
        // What comes in between is noticed at the next turn.
        let _ = timeout(pause, reindexing.wake.notified()).await;
    }
}

/// The documents of a batch that have other terms now, and how far it goes.
struct Batch {
    updates: Vec<Document>,
    last: u64,
    count: u64,
}

impl Shared {
    /// Asks for it; waits a moment for the word that there is nothing to do.
    pub async fn ask_to_reindex(&self) {
        self.reindexing.ask();
        if !matches!(timeout(ASKING, self.look()).await, Ok(Ok(_))) {
            tracing::debug!("whether everything is indexed is not known yet");
        }
        self.reindexing.wake.notify_one();
    }

    /// Whether all is indexed by the list that the vocabulary was taught, and that is known and not assumed.
    pub async fn is_indexed(&self) -> Result<bool, StoreError> {
        let stored = self.progress().await?;
        Ok(stored.is_some() && covers(&stored, self.vocabulary.taught().0))
    }

    /// Sees how far it is.
    async fn look(&self) -> Result<Stored, StoreError> {
        let asks = self.reindexing.asks.load(Ordering::Acquire);
        let (mark, _) = self.vocabulary.taught();
        let stored = self.progress().await?;
        if let Some((_, progress)) = &stored {
            self.reindexing.show(progress);
        }
        let mut indexing = self.reindexing.indexing.lock();
        if covers(&stored, mark) && self.reindexing.asks.load(Ordering::Acquire) == asks {
            indexing.asked = false;
        }
        drop(indexing);
        Ok(stored)
    }

    /// Looks, and does the job if it is to be done and nobody does it; says when to look again.
    async fn tend(&self, still: &mut Still) -> Result<Duration, StoreError> {
        let stored = self.look().await?;
        let pause = if self.reindexing.indexing().asked { POLL } else { IDLE };
        if !self.reindexing.takes_part.load(Ordering::Acquire) || self.reindexing.is_stopping() {
            return Ok(pause);
        }
        let Some(mark) = self.stored_mark().await?.filter(|mark| !covers(&stored, *mark)) else { return Ok(pause) };
        if let Some((revision, progress)) = &stored
            && !progress.ended
        {
            let lease = *self.reindexing.lease.lock();
            let wait = match &progress.failed {
                Some(_) if progress.mark == mark => AGAIN,
                None if progress.holder != self.process => lease,
                _ => Duration::ZERO,
            };
            if !wait.is_zero() && !still.is_for(*revision, wait) {
                return Ok(POLL.min(wait / 4));
            }
        }
        self.reindex(stored, mark).await?;
        self.look().await?;
        Ok(Duration::from_millis(10))
    }

    /// Takes the job, or goes on with it, until it is done, somebody else has it or another list is stored.
    async fn reindex(&self, stored: Stored, mark: u64) -> Result<(), StoreError> {
        let holder = self.process.clone();
        let (revision, progress) = match stored {
            Some((revision, left)) if left.mark == mark && !left.ended => {
                (Some(revision), Progress { holder, failed: None, ..left })
            }
            other => {
                let all = self.versions_to_index().await?;
                let (revision, ready) = other.map(|(revision, left)| (revision, left.ready)).unzip();
                let ready = ready.unwrap_or_default();
                (revision, Progress { mark, holder, all, ready, ..Progress::default() })
            }
        };
        let begun = Instant::now();
        let Progress { done, all, .. } = progress;
        let Some(revision) = self.step(revision, &progress, &[]).await? else { return Ok(()) };
        tracing::info!(done, versions = all, "indexing again by other search parameters");
        let mut at = At { revision, progress, written: Instant::now() };
        match self.go_on(&mut at).await {
            Ok(true) => {
                let (versions, seconds) = (at.progress.done, begun.elapsed().as_secs_f32());
                tracing::info!(versions, seconds, "everything is indexed again");
                Ok(())
            }
            Ok(false) => {
                tracing::info!("indexing again is left: somebody else goes on, or another list is stored");
                Ok(())
            }
            Err(error @ (StoreError::Unavailable(_) | StoreError::Undecided(_))) => Err(error),
            Err(error) => {
                tracing::error!(%error, "indexing again has failed");
                let failed = Progress { failed: Some(error.to_string()), ..at.progress };
                self.step(Some(at.revision), &failed, &[]).await.map(drop)
            }
        }
    }

    /// Goes on to the end; false where it is not this process that has to any more.
    async fn go_on(&self, at: &mut At) -> Result<bool, StoreError> {
        loop {
            if self.reindexing.is_stopping() || self.stored_mark().await? != Some(at.progress.mark) {
                return Ok(false);
            }
            let mut next = at.progress.clone();
            let mut updates = Vec::new();
            match next.tenant.map(TenantId) {
                Some(tenant) if next.after < next.to => {
                    let batch = self.batch(tenant, next.after, next.to).await?;
                    (next.after, next.done) = (batch.last, next.done + batch.count);
                    updates = batch.updates;
                }
                tenant => match self.next_tenant(tenant).await? {
                    Some(tenant) => {
                        next.to = self.fence(tenant, next.mark).await?;
                        (next.tenant, next.after) = (Some(tenant.0), 0);
                    }
                    None => {
                        next.ready = self.numbers_of(next.mark).await?;
                        next.ended = true;
                    }
                },
            }
            next.all = next.all.max(next.done);
            // Where nothing is changed not every step is written down: to do it twice is no harm.
            let within = next.tenant == at.progress.tenant && !next.ended;
            let fresh = at.written.elapsed() < *self.reindexing.lease.lock() / 8;
            if updates.is_empty() && within && fresh {
                self.reindexing.show(&next);
                at.progress = next;
                continue;
            }
            let Some(revision) = self.step(Some(at.revision), &next, &updates).await? else { return Ok(false) };
            *at = At { revision, progress: next, written: Instant::now() };
            if at.progress.ended {
                return Ok(true);
            }
        }
    }

    async fn versions_to_index(&self) -> Result<u64, StoreError> {
        let logs = doc! { "_id": { "$lt": i64::from(TenantId(0).trail().0) } };
        let mut counters = self.tenants.find(logs).projection(doc! { "n": 1 }).await?;
        let mut all = 0;
        while let Some(counter) = counters.try_next().await? {
            all += counter.get_i64("n").unwrap_or(0).max(0) as u64;
        }
        Ok(all)
    }

    /// The tenant after another. Audit trails are found by the specification's parameters only.
    pub async fn next_tenant(&self, after: Option<TenantId>) -> Result<Option<TenantId>, StoreError> {
        let after = after.map_or(-1, |tenant| i64::from(tenant.0));
        let logs = doc! { "_id": { "$gt": after, "$lt": i64::from(TenantId(0).trail().0) } };
        let next = self.tenants.find_one(logs).sort(doc! { "_id": 1 }).projection(doc! { "_id": 1 }).await?;
        let id = |counter: Document| counter.get_i64("_id").ok().and_then(|id| u32::try_from(id).ok());
        Ok(next.and_then(id).map(TenantId))
    }

    /// Puts the mark into the counter of a tenant, in turn with what waits to be committed; the number up to which
    /// versions may have been written without regard to it.
    async fn fence(&self, tenant: TenantId, mark: u64) -> Result<u64, StoreError> {
        let closing = || StoreError::Unavailable("the store is closing".into());
        let (sender, result) = oneshot::channel();
        let ticket = Ticket::default();
        let job = Job {
            tenant,
            writes: Vec::new(),
            guards: Vec::new(),
            items: Vec::new(),
            audit: Vec::new(),
            fence: Some(mark),
            ticket: ticket.clone(),
            answer: sender,
        };
        let queue = self.queue.upgrade().ok_or_else(closing)?;
        self.while_it_answers(queue.send(job)).await?.map_err(|_| closing())?;
        drop(queue);
        answer(&ticket, result, self.until_away(), self.after(WAITING)).await?;
        self.position(tenant).await
    }

    /// Finds the next versions of a tenant again.
    async fn batch(&self, tenant: TenantId, after: u64, to: u64) -> Result<Batch, StoreError> {
        let find = self.versions.find(between(tenant, after, to)).sort(doc! { "_id": 1 }).limit(BATCH);
        let mut rows = find.projection(doc! { "w": 0, "h": 0 }).await?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while bytes < BYTES
            && let Some(row) = rows.try_next().await?
        {
            bytes += row.get_binary_generic("b").map_or(0, Vec::len);
            found.push(row);
        }
        let began = Instant::now();
        loop {
            let schema = self.learn(None).await?;
            if let Some(batch) = self.compare(tenant, &found, schema)? {
                return match batch.count {
                    0 => Err(StoreError::Broken(format!("version {} of log {} is missing", after + 1, tenant.0))),
                    _ => Ok(batch),
                };
            }
            // The vocabulary was taught another list meanwhile.
            if began.elapsed() > PATIENCE {
                return Err(StoreError::Unavailable("the search parameters are being changed".into()));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// What of some versions is found by other terms than it should; none if the vocabulary changes meanwhile.
    fn compare(&self, tenant: TenantId, found: &[Document], schema: u64) -> Result<Option<Batch>, StoreError> {
        let mut batch = Batch { updates: Vec::new(), last: 0, count: found.len() as u64 };
        for row in found {
            let version = version_of(row, &*self.vocabulary, u64::MAX >> 1)?;
            batch.last = version.number;
            let Some(body) = &version.body else { continue };
            let (kind, id) = (version.kind, &version.id);
            let of = Found { kind, id, version: version.version, last_updated: version.last_updated, body };
            let (terms, by) = self.found(&of).map_err(|_| damaged(row))?;
            if by != schema {
                return Ok(None);
            }
            if !terms_of(row).is_ok_and(|stored| stored == terms) {
                let query = numbered(tenant, version.number);
                let mut set = doc! { "x": terms_array(&terms) };
                let mut change = doc! {};
                // What was never filled in is left to that.
                if row.contains_key("y") {
                    let unset = lead::replacing(lead::fields(self.vocabulary.leads(kind), &terms), &mut set);
                    if !unset.is_empty() {
                        change.insert("$unset", unset);
                    }
                }
                change.insert("$set", set);
                batch.updates.push(doc! { "q": query, "u": change });
            }
        }
        Ok(Some(batch))
    }
}

/// Where a process is with the job.
struct At {
    revision: u64,
    progress: Progress,
    /// When that was last written down.
    written: Instant,
}
