//! The writer: one thread that takes all waiting transactions, checks each against what was before it, writes them in
//! one LMDB transaction with one flush, adds them to the index, publishes the position and answers. A transaction
//! that fails leaves no trace and does not touch the others of its group. What a group has in common is in `group`.

use super::Shared;
use super::dictionary::Samples;
use super::group::Group;
use super::replay::{Replay, replay};
use super::truth::{Fault, meta};
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::store::{Committed, Expect, Guard, Hash, ItemWrite, Method, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{mpsc, oneshot};

/// A write whose body is compressed already.
pub struct Prepared {
    pub kind: TypeId,
    pub id: ResourceId,
    pub method: Method,
    pub expect: Expect,
    pub content: Option<PreparedContent>,
}

/// Terms, dictionary and compressed body.
pub struct PreparedContent {
    pub schema: u64,
    pub terms: Terms,
    pub dictionary: u32,
    pub body: Vec<u8>,
}

/// A record of an audit trail whose body is compressed already.
pub struct PreparedRecord {
    pub kind: TypeId,
    pub digest: Hash,
    pub dictionary: u32,
    pub body: Vec<u8>,
}

/// A transaction that waits.
pub struct Job {
    pub tenant: TenantId,
    pub writes: Vec<Prepared>,
    pub guards: Vec<Guard>,
    pub items: Vec<ItemWrite>,
    pub audit: Vec<PreparedRecord>,
    pub answer: oneshot::Sender<Result<Vec<Committed>, StoreError>>,
}

/// What the writer is asked to do.
pub enum Order {
    /// Commit.
    Commit(Job),
    /// Store a dictionary that was trained.
    Dictionary(TypeId, Vec<u8>),
    /// Take away items that are over.
    Sweep { tenant: TenantId, limit: usize, answer: oneshot::Sender<Result<usize, StoreError>> },
    /// Write what was written elsewhere.
    Replay(Replay, oneshot::Sender<Result<(), StoreError>>),
}

/// Starts the writer. It ends when all senders are gone.
pub fn start(
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Order>,
    group: usize,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new().name("store-writer".into()).spawn(move || run(&shared, queue, group))
}

fn run(shared: &Shared, mut queue: mpsc::Receiver<Order>, most: usize) {
    let mut jobs = Vec::new();
    let mut room = shared.truth.keep_room(0);
    let mut expected = 0;
    while let Some(order) = queue.blocking_recv() {
        let mut next = Some(order);
        let mut writes = 0;
        let mut patience = PATIENCE;
        while let Some(order) = next {
            match order {
                Order::Commit(job) => {
                    writes += job.writes.len() + job.items.len() + job.audit.len();
                    jobs.push(job);
                }
                Order::Dictionary(kind, bytes) => store_dictionary(shared, kind, bytes),
                Order::Sweep { tenant, limit, answer } => {
                    let _ = answer.send(sweep(shared, tenant, limit));
                }
                Order::Replay(what, answer) => {
                    let _ = answer.send(replay(shared, &what));
                }
            }
            next = if writes < most { queue.try_recv().ok() } else { None };
            while next.is_none() && jobs.len() < expected && patience > 0 {
                patience -= 1;
                std::thread::sleep(PAUSE);
                next = queue.try_recv().ok();
            }
        }
        // Those who were answered together are likely to come again together.
        expected = jobs.len() * 3 / 4;
        commit(shared, &mut jobs);
        room = shared.truth.keep_room(room);
    }
}

/// A flush takes some hundred microseconds. Where the last one served many, the next waits about as long for them to
/// come again, in pauses; a single client is never waited for.
const PATIENCE: u32 = 4;
const PAUSE: std::time::Duration = std::time::Duration::from_micros(50);

impl Shared {
    /// What became of a write. After a failed flush nothing more is written until the store is opened again, whatever was
    /// written: what is on the disk then cannot be known, and trying again could lose what was promised.
    pub(super) fn noted<T>(&self, done: Result<T, Fault>) -> Result<T, Fault> {
        if let Err(Fault::Flush(why)) = &done {
            tracing::error!(%why, "a commit failed; nothing more is written until the store is opened again");
            self.poisoned.store(true, Ordering::Release);
        }
        done
    }
}

/// Commits a group and answers all of it.
fn commit(shared: &Shared, jobs: &mut Vec<Job>) {
    if jobs.is_empty() {
        return;
    }
    match shared.noted(write_growing(shared, jobs)) {
        Ok(answers) => {
            for (job, answer) in jobs.drain(..).zip(answers) {
                // A caller that went away does not hear the answer; its commit stands.
                let _ = job.answer.send(answer);
            }
        }
        Err(Fault::Flush(why)) => refuse(jobs, &StoreError::Broken(format!("the commit failed: {why}"))),
        Err(_) if jobs.len() > 1 => {
            // One of them is at fault, or only all together are too much: each for itself.
            for job in std::mem::take(jobs) {
                commit(shared, &mut vec![job]);
            }
        }
        Err(fault) => {
            tracing::error!(?fault, "a commit was refused");
            refuse(jobs, &fault.into());
        }
    }
}

/// Writes a group, with a larger map if need be.
fn write_growing(shared: &Shared, jobs: &[Job]) -> Result<Answers, Fault> {
    loop {
        if shared.poisoned.load(Ordering::Acquire) {
            return Ok(jobs.iter().map(|_| Err(poisoned())).collect());
        }
        match write(shared, jobs) {
            Err(Fault::MapFull) => shared.truth.grow()?,
            other => return other,
        }
    }
}

/// The refusal after a failed flush.
pub fn poisoned() -> StoreError {
    StoreError::Unavailable("an earlier commit failed; nothing is written until the store is opened again".into())
}

fn refuse(jobs: &mut Vec<Job>, error: &StoreError) {
    for job in jobs.drain(..) {
        let _ = job.answer.send(Err(error.clone()));
    }
}

/// One result for each transaction of a group.
type Answers = Vec<Result<Vec<Committed>, StoreError>>;

/// Writes a group, makes it durable, then visible.
fn write(shared: &Shared, jobs: &[Job]) -> Result<Answers, Fault> {
    let mut group = Group::new(shared)?;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(group.add(job)?);
    }
    group.commit()?;
    Ok(answers)
}

/// Takes away items that are over.
fn sweep(shared: &Shared, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
    if shared.poisoned.load(Ordering::Acquire) {
        return Err(poisoned());
    }
    let over = shared.truth.read()?.items_over(tenant, shared.clock.now(), limit)?;
    if over.is_empty() {
        return Ok(0);
    }
    let mut writing = shared.truth.write()?;
    over.iter().try_for_each(|key| writing.delete_item(key))?;
    shared.noted(writing.commit())?;
    Ok(over.len())
}

/// Stores a dictionary, then uses it. If it cannot be stored, the next start tries again.
fn store_dictionary(shared: &Shared, kind: TypeId, bytes: Vec<u8>) {
    if shared.poisoned.load(Ordering::Acquire) {
        return;
    }
    let Some(stored_type) = shared.types.stored(kind) else { return };
    let mut value = stored_type.to_be_bytes().to_vec();
    value.extend_from_slice(&bytes);
    let stored = shared.truth.write().and_then(|mut writing| {
        writing.put_dictionary(&meta::dictionary(shared.codec.len() + 1), &value)?;
        writing.commit()
    });
    match shared.noted(stored) {
        Ok(()) => {
            let number = shared.codec.add(kind, bytes);
            tracing::debug!(kind = shared.vocabulary.name(kind), number, "a dictionary was trained");
        }
        Err(fault) => tracing::warn!(?fault, "a dictionary could not be stored"),
    }
}

/// Trains a dictionary beside everything else.
pub fn train(samples: Samples, queue: mpsc::WeakSender<Order>) {
    let kind = samples.kind;
    let spawned = std::thread::Builder::new().name("store-dictionary".into()).spawn(move || {
        if let Some(bytes) = samples.train()
            && let Some(queue) = queue.upgrade()
        {
            let _ = queue.blocking_send(Order::Dictionary(kind, bytes));
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "no thread to train a dictionary");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Clock, SystemClock, Timestamp};
    use crate::definitions::Definitions;
    use crate::index::Extractor;
    use crate::store::embedded::{EmbeddedStore, Options};
    use crate::store::{Body, Content, Store, Transaction, Write};

    /// Whatever is written last: a flush that fails is the last one.
    #[tokio::test]
    async fn after_a_failed_flush_nothing_more_is_written() {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
        let (clock, tenant) = (Arc::new(SystemClock), TenantId(0));
        let kind = definitions.resource("Patient").expect("a type");
        let item = |key: &str| ItemWrite::create("code", key, vec![1]).until(Timestamp(clock.now().0 - 1));
        let of = |items| Transaction { items, ..Transaction::default() };
        let content = Content { body: Body(b"}".to_vec()), terms: Terms::default(), schema: extractor.fingerprint() };
        let patient = Write {
            kind,
            id: ResourceId::new("a").expect("an id"),
            method: Method::Create,
            expect: Expect::Absent,
            content: Some(content),
        };
        for way in ["sweep", "dictionary", "replay", "commit"] {
            let directory = tempfile::tempdir().expect("a directory");
            let (definitions, extractor, options) = (definitions.clone(), extractor.clone(), Options::default());
            let path = directory.path();
            let store = EmbeddedStore::open(path, definitions, extractor, clock.clone(), &options, &mut |_, _| {});
            let store = store.expect("opens");
            let first = Transaction { writes: vec![patient.clone()], ..of(vec![item("a")]) };
            store.commit(tenant, first).await.expect("committed");
            store.shared.truth.flush_fails.store(true, Ordering::Relaxed);
            match way {
                "sweep" => assert!(store.sweep_items(tenant, 10).await.is_err()),
                "dictionary" => store_dictionary(&store.shared, kind, vec![1, 2, 3]),
                "replay" => assert!(replay(&store.shared, &Replay::Clear(None)).is_err()),
                _ => assert!(store.commit(tenant, of(vec![item("b")])).await.is_err()),
            }
            // The disk is as good as new, but what is on it is not known.
            store.shared.truth.flush_fails.store(false, Ordering::Relaxed);
            assert!(store.writable().is_err(), "{way}");
            assert!(store.sweep_items(tenant, 10).await.is_err(), "{way}");
            assert!(store.commit(tenant, of(vec![item("c")])).await.is_err(), "{way}");
        }
    }
}
