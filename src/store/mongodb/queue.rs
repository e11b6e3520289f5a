//! Which transactions are committed next, and which are too large. Small ones share a transaction of the database; a
//! large one has it alone, and between two large ones all small ones that wait have their turn, so that nobody waits
//! for more than one large transaction.

use super::database::away;
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::store::{AuditRecord, Committed, Expect, Guard, ItemWrite, Method, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::{mpsc, oneshot};

/// Writes of one transaction of the database, roughly, at most, where several share it.
const GROUP: usize = 500;
/// Bytes of one transaction of the database, roughly, at most, where several share it.
const BYTES: usize = 24 << 20;
/// A transaction with more writes,
const LARGE: usize = 200;
/// or more bytes, is a large one.
const LARGE_BYTES: usize = 4 << 20;
/// Transactions that are taken out of the channel, at most.
const HELD: usize = 4096;

/// Writes of one transaction at most: they have to be done within the minute that the database gives a transaction.
pub const MOST: usize = 20_000;
/// Bytes of one transaction at most: bodies as compressed, and what they are found by.
pub const MOST_BYTES: usize = 64 << 20;
/// Bytes of one resource at most, the same way: a document of the database has 16 MB.
pub const MOST_ONE: usize = 15 << 20;

/// A write whose body is compressed already.
pub struct Prepared {
    pub kind: TypeId,
    pub id: ResourceId,
    pub method: Method,
    pub expect: Expect,
    /// Body and terms; none for a delete.
    pub content: Option<(Vec<u8>, Terms)>,
    /// The schema by which the terms were found.
    pub schema: u64,
}

impl Prepared {
    fn bytes(&self) -> usize {
        // Bytes above 0x7F take two in the text of a term.
        let terms = |terms: &Terms| terms.as_slice().iter().map(|t| t.0.len() * 2 + 8).sum::<usize>();
        self.content.as_ref().map_or(0, |(body, of)| body.len() + terms(of)) + 256
    }
}

/// A transaction that waits.
pub struct Job {
    pub tenant: TenantId,
    pub writes: Vec<Prepared>,
    pub guards: Vec<Guard>,
    pub items: Vec<ItemWrite>,
    /// Records of the audit trail, with their bodies compressed.
    pub audit: Vec<(AuditRecord, Vec<u8>)>,
    /// The mark of the list that everything is about to be indexed by again: what is written from now on has to be.
    pub fence: Option<u64>,
    pub ticket: Ticket,
    pub answer: oneshot::Sender<Result<Vec<Committed>, StoreError>>,
}

impl Job {
    fn bytes(&self) -> usize {
        let items = self.items.iter().filter_map(|i| i.value.as_ref()).map(Vec::len).sum::<usize>();
        self.writes.iter().map(Prepared::bytes).sum::<usize>() + items
    }

    /// Whether it has a transaction of the database alone.
    pub fn is_large(&self) -> bool {
        self.writes.len() > LARGE || self.bytes() > LARGE_BYTES
    }

    /// Refuses what the database cannot take at once.
    pub fn check_size(&self) -> Result<(), StoreError> {
        let what_to_do = "send it as a batch, in several transactions, or load it with 'vesta import'";
        if let Some(write) = self.writes.iter().find(|write| write.bytes() > MOST_ONE) {
            let (id, megabytes) = (&write.id, MOST_ONE >> 20);
            return Err(StoreError::TooLarge(format!(
                "the resource with the id {id} takes more than the {megabytes} MB, compressed and with what it is \
                 found by, that the database can hold as one: split it, or put large attachments into resources of \
                 their own"
            )));
        }
        if self.writes.len() > MOST {
            let count = self.writes.len();
            return Err(StoreError::TooLarge(format!(
                "the database commits at most {MOST} writes at once, and these are {count}: {what_to_do}"
            )));
        }
        let bytes = self.bytes();
        if bytes > MOST_BYTES {
            return Err(StoreError::TooLarge(format!(
                "the database commits at most {} MB at once, compressed and with what resources are found by, and \
                 this is {} MB: {what_to_do}",
                MOST_BYTES >> 20,
                bytes.div_ceil(1 << 20),
            )));
        }
        Ok(())
    }
}

/// Whether a transaction has been begun or was withdrawn: one of the two happens.
#[derive(Clone, Default)]
pub struct Ticket(Arc<AtomicU8>);

impl Ticket {
    const WAITING: u8 = 0;
    const BEGUN: u8 = 1;
    const WITHDRAWN: u8 = 2;

    fn turn(&self, to: u8) -> bool {
        self.0.compare_exchange(Ticket::WAITING, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Takes it back, unless it has been begun.
    pub fn withdraw(&self) -> bool {
        self.turn(Ticket::WITHDRAWN)
    }

    fn begin(&self) -> bool {
        self.turn(Ticket::BEGUN)
    }
}

/// What waits.
pub struct Queue {
    waiting: mpsc::Receiver<Job>,
    small: VecDeque<Job>,
    large: VecDeque<Job>,
    /// Whether it is the turn of a large one.
    large_next: bool,
}

impl Queue {
    /// A queue of what comes through a channel.
    pub fn new(waiting: mpsc::Receiver<Job>) -> Queue {
        Queue { waiting, small: VecDeque::new(), large: VecDeque::new(), large_next: false }
    }

    fn take(&mut self, job: Job) {
        if job.is_large() { self.large.push_back(job) } else { self.small.push_back(job) }
    }

    /// The next transactions that are committed together; `None` when all senders are gone.
    pub async fn next(&mut self) -> Option<(TenantId, Vec<Job>)> {
        loop {
            if self.small.is_empty() && self.large.is_empty() {
                let first = self.waiting.recv().await?;
                self.take(first);
            }
            while self.small.len() + self.large.len() < HELD
                && let Ok(job) = self.waiting.try_recv()
            {
                self.take(job);
            }
            let large = self.small.is_empty() || (self.large_next && !self.large.is_empty());
            let jobs = if large { self.large.pop_front().into_iter().collect() } else { self.group() };
            // After a large one small ones come first, also those that come while it is under way.
            self.large_next = !large;
            let jobs: Vec<Job> = jobs.into_iter().filter(|job| job.ticket.begin()).collect();
            if let Some(first) = jobs.first() {
                return Some((first.tenant, jobs));
            }
        }
    }

    /// Small ones of one tenant, in the order in which they came.
    fn group(&mut self) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        let (mut writes, mut bytes) = (0, 0);
        let mut rest = VecDeque::new();
        while let Some(job) = self.small.pop_front() {
            let fits = writes + job.writes.len() <= GROUP && bytes + job.bytes() <= BYTES;
            if jobs.first().is_none_or(|first| first.tenant == job.tenant && fits) {
                writes += job.writes.len();
                bytes += job.bytes();
                jobs.push(job);
            } else {
                rest.push_back(job);
            }
        }
        self.small = rest;
        jobs
    }
}

/// Waits for the answer to a transaction; what has not been begun is taken back as soon as the database is away.
pub async fn answer(
    ticket: &Ticket,
    mut result: oneshot::Receiver<Result<Vec<Committed>, StoreError>>,
    gone: impl Future<Output = ()>,
) -> Result<Vec<Committed>, StoreError> {
    let stopped = || StoreError::Unavailable("the store is closing".into());
    tokio::select! {
        biased;
        done = &mut result => return done.map_err(|_| stopped())?,
        () = gone => {}
    }
    if ticket.withdraw() {
        return Err(away());
    }
    result.await.map_err(|_| stopped())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transaction of so many deletes, told apart by that number.
    fn job(writes: usize) -> (Job, oneshot::Receiver<Result<Vec<Committed>, StoreError>>) {
        let kind = crate::definitions::Definitions::core().resource("Basic").expect("a type");
        let write = || Prepared {
            kind,
            id: ResourceId::new("x").expect("an id"),
            method: Method::Delete,
            expect: Expect::Any,
            content: None,
            schema: 0,
        };
        let (answer, result) = oneshot::channel();
        let job = Job {
            tenant: TenantId::default(),
            writes: (0..writes).map(|_| write()).collect(),
            guards: Vec::new(),
            items: Vec::new(),
            audit: Vec::new(),
            fence: None,
            ticket: Ticket::default(),
            answer,
        };
        (job, result)
    }

    /// The numbers of writes of what comes next.
    async fn next(queue: &mut Queue) -> Vec<usize> {
        let (_, jobs) = queue.next().await.expect("something waits");
        jobs.iter().map(|job| job.writes.len()).collect()
    }

    #[tokio::test]
    async fn after_a_large_one_the_small_ones_come_first() {
        let (sender, waiting) = mpsc::channel(16);
        let mut queue = Queue::new(waiting);
        let mut results = Vec::new();
        let mut put = |writes: usize| {
            let (job, result) = job(writes);
            results.push(result);
            sender.try_send(job).ok().expect("room");
        };
        put(LARGE + 1);
        assert_eq!(next(&mut queue).await, [LARGE + 1]);
        // While that is under way.
        put(LARGE + 2);
        put(LARGE + 3);
        put(1);
        put(2);
        assert_eq!(next(&mut queue).await, [1, 2]);
        put(3);
        assert_eq!(next(&mut queue).await, [LARGE + 2], "large ones have their turn, too");
        assert_eq!(next(&mut queue).await, [3]);
        assert_eq!(next(&mut queue).await, [LARGE + 3]);
        put(4);
        assert_eq!(next(&mut queue).await, [4]);
    }
}
