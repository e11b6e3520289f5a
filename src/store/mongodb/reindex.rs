//! Indexes again, beside everything else, what was indexed by another list of added search parameters. Of the processes
//! that take part one does it; how far it is stands in an item that is written with every step, in the same transaction
//! as the step and only in the revision that was read. So whoever takes the job over goes on where it was left, and one
//! that was only slow cannot do harm any more. A job is left when its item has stood still for the length of a lease.
//!
//! Tenant after tenant: first the mark of the list is put into the tenant's counter, so that no commit from then on is
//! found by a list of before (see `terms`); then every version up to there is found again, batch by batch.

use super::document::{damaged, terms_array, terms_of, version_key, version_of};
use super::items::key_of;
use super::queue::{Job, Ticket, answer};
use super::terms::Found;
use super::{Shared, database};
use crate::base::TenantId;
use crate::store::{Indexing, StoreError};
use database::{is_transient, transaction_options};
use futures_util::TryStreamExt;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::sync::Weak;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

/// Where it stands how far the job is: an item of the tenant 0.
const PLACE: (&str, &str) = ("reindex", "progress");
/// Versions of a batch at most.
const BATCH: i64 = 200;
/// Bytes after which a batch ends, of compressed bodies; and after which a command ends, of terms.
const BYTES: usize = 4 << 20;
/// How long a step is tried while others write the same.
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

    fn show(&self, progress: &Progress) {
        let mut indexing = self.indexing.lock();
        indexing.running = !progress.ended && progress.failed.is_none();
        (indexing.done, indexing.all) = (progress.done, progress.all);
        indexing.failed = progress.failed.clone();
    }
}

/// How far the job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The list that it indexes by.
    mark: u64,
    /// The process that does it.
    holder: String,
    /// The tenant that it is at.
    tenant: Option<u32>,
    /// The number that it has reached there,
    after: u64,
    /// of those up to this one.
    to: u64,
    /// Versions that are done,
    done: u64,
    /// of so many.
    all: u64,
    ended: bool,
    failed: Option<String>,
}

/// The item as it was read: its revision, and what it says.
type Stored = Option<(u64, Progress)>;

/// Whether all is indexed by the list of a mark.
fn covers(stored: &Stored, mark: u64) -> bool {
    match stored {
        Some((_, progress)) => progress.ended && progress.mark == mark,
        None => mark == 0,
    }
}

/// Since when the item has stood still, by the own clock.
#[derive(Default)]
struct Still(Option<(u64, Instant)>);

impl Still {
    /// Whether it has stood at this revision for so long.
    fn is_for(&mut self, revision: u64, length: Duration) -> bool {
        match self.0 {
            Some((seen, since)) if seen == revision => since.elapsed() >= length,
            _ => {
                self.0 = Some((revision, Instant::now()));
                false
            }
        }
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

    async fn progress(&self) -> Result<Stored, StoreError> {
        let (collection, key) = PLACE;
        let Some(item) = self.stored_item(TenantId::default(), collection, key, None).await? else { return Ok(None) };
        // What cannot be read is begun anew.
        let progress = serde_json::from_slice(&item.value).unwrap_or_default();
        Ok(Some((item.revision, progress)))
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
                (other.map(|(revision, _)| revision), Progress { mark, holder, all, ..Progress::default() })
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
            Err(error @ StoreError::Unavailable(_)) => Err(error),
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
                    None => next.ended = true,
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
    async fn next_tenant(&self, after: Option<TenantId>) -> Result<Option<TenantId>, StoreError> {
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
        answer(&ticket, result, self.until_away()).await?;
        self.position(tenant).await
    }

    /// Finds the next versions of a tenant again.
    async fn batch(&self, tenant: TenantId, after: u64, to: u64) -> Result<Batch, StoreError> {
        let range = doc! { "$gt": version_key(tenant, after), "$lte": version_key(tenant, to) };
        let find = self.versions.find(doc! { "_id": range }).sort(doc! { "_id": 1 }).limit(BATCH);
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
            if let Some(batch) = self.compare(&found, schema)? {
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
    fn compare(&self, found: &[Document], schema: u64) -> Result<Option<Batch>, StoreError> {
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
                let query = doc! { "_id": row.get_str("_id").map_err(|_| damaged(row))? };
                batch.updates.push(doc! { "q": query, "u": { "$set": { "x": terms_array(&terms) } } });
            }
        }
        Ok(Some(batch))
    }

    /// Writes down how far it is, and what was found again, if the item stands as it was read: its new revision; none
    /// if it does not.
    async fn step(
        &self,
        revision: Option<u64>,
        progress: &Progress,
        updates: &[Document],
    ) -> Result<Option<u64>, StoreError> {
        let value = serde_json::to_vec(progress).map_err(|e| StoreError::Broken(e.to_string()))?;
        let began = Instant::now();
        loop {
            match self.step_once(revision, &value, updates).await {
                Ok(Some(revision)) => {
                    self.reindexing.show(progress);
                    return Ok(Some(revision));
                }
                Ok(None) => return Ok(None),
                Err(error) if is_transient(&error) && began.elapsed() < PATIENCE && self.answers() => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(error) if is_transient(&error) || super::database::is_unknown(&error) => {
                    // What is stored says where to go on.
                    return Err(StoreError::Unavailable("others write at the same time".into()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn step_once(&self, revision: Option<u64>, value: &[u8], updates: &[Document]) -> Result<Option<u64>, Error> {
        let tenant = TenantId::default();
        let (collection, name) = PLACE;
        let key = key_of(tenant, collection, name);
        let value = Binary { subtype: BinarySubtype::Generic, bytes: value.to_vec() };
        let Some(revision) = revision else {
            let new =
                doc! { "_id": &key, "t": i64::from(tenant.0), "c": collection, "y": name, "r": 1_i64, "v": value };
            return match self.items.insert_one(new).await {
                Ok(_) => Ok(Some(1)),
                Err(error) if is_there_already(&error) => Ok(None),
                Err(error) => Err(error),
            };
        };
        let next = revision + 1;
        let stands = doc! { "_id": &key, "r": revision as i64 };
        let set = doc! { "$set": { "r": next as i64, "v": value } };
        if updates.is_empty() {
            let done = self.items.update_one(stands, set).await?;
            return Ok((done.matched_count == 1).then_some(next));
        }
        let mut session = self.client.start_session().await?;
        session.start_transaction().with_options(transaction_options()).await?;
        let filled = async {
            if self.items.update_one(stands, set).session(&mut session).await?.matched_count != 1 {
                return Ok(false);
            }
            for some in commands(updates) {
                let expected = some.len();
                let command = doc! { "update": "versions", "updates": some };
                let done = self.database.run_command(command).session(&mut session).await?;
                let count = done.get_i32("n").map(i64::from).or_else(|_| done.get_i64("n")).unwrap_or(-1);
                if done.contains_key("writeErrors") || count != expected as i64 {
                    let why = format!("of {expected} versions that were found again {count} were written");
                    return Err(Error::custom(StoreError::Broken(why)));
                }
            }
            Ok(true)
        };
        match filled.await {
            Ok(true) => session.commit_transaction().await.map(|()| Some(next)),
            Ok(false) => {
                session.abort_transaction().await?;
                Ok(None)
            }
            Err(error) => {
                // Whether it ends now or by itself: nothing of it is written.
                let _ = session.abort_transaction().await;
                Err(error)
            }
        }
    }
}

/// Where a process is with the job.
struct At {
    revision: u64,
    progress: Progress,
    /// When that was last written down.
    written: Instant,
}

/// Updates as they fit into commands.
fn commands(updates: &[Document]) -> Vec<Vec<Bson>> {
    let bytes = |update: &Document| {
        let terms = update.get_document("u").and_then(|u| u.get_document("$set")).and_then(|set| set.get_array("x"));
        terms.map_or(0, |terms| terms.iter().map(|t| t.as_str().map_or(0, str::len) + 16).sum::<usize>())
    };
    let mut all: Vec<Vec<Bson>> = Vec::new();
    let mut room = 0;
    for update in updates {
        let size = bytes(update);
        match all.last_mut().filter(|_| room >= size) {
            Some(command) => {
                room -= size;
                command.push(Bson::Document(update.clone()));
            }
            None => {
                room = BYTES.saturating_sub(size);
                all.push(vec![Bson::Document(update.clone())]);
            }
        }
    }
    all
}

fn is_there_already(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == 11000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_left_when_it_has_stood_still() {
        let mut still = Still::default();
        let short = Duration::from_millis(30);
        assert!(!still.is_for(1, short));
        std::thread::sleep(short);
        assert!(!still.is_for(2, short), "it has gone on meanwhile");
        std::thread::sleep(short);
        assert!(still.is_for(2, short));
    }

    #[test]
    fn what_was_never_begun_covers_the_list_of_before_any_was_added() {
        assert!(covers(&None, 0) && !covers(&None, 7));
        let ended = Progress { mark: 7, ended: true, ..Progress::default() };
        let left = Progress { ended: false, ..ended.clone() };
        assert!(covers(&Some((3, ended.clone())), 7) && !covers(&Some((3, ended)), 8));
        assert!(!covers(&Some((3, left)), 7));
    }

    #[test]
    fn commands_are_bounded() {
        let update = |size: usize| doc! { "q": { "_id": "a" }, "u": { "$set": { "x": ["t".repeat(size)] } } };
        let sizes = |of: &[Document]| commands(of).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&vec![update(10); 200]), [200]);
        assert_eq!(sizes(&[update(BYTES), update(10), update(10), update(BYTES)]), [1, 2, 1]);
        assert!(sizes(&[]).is_empty());
    }
}
