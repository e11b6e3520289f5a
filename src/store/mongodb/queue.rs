//! Which transactions are committed next, and which are too large. Small ones share a transaction of the database; a
//! large one has it alone, and between two large ones all small ones that wait have their turn, so that nobody waits
//! for more than one large transaction. What waits too long all the same is taken back.

use super::database::away;
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::store::{AuditRecord, Committed, Expect, Guard, ItemWrite, Method, StoreError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Writes of one transaction of the database, roughly, at most, where several share it.
const GROUP: usize = 500;
/// Bytes of one transaction of the database, roughly, at most, where several share it.
const BYTES: usize = 24 << 20;
/// Entries of indexes of one transaction of the database, roughly, at most, where several share it.
const ENTRIES: usize = 40_000;
/// A transaction with more writes,
const LARGE: usize = 200;
/// or more bytes,
const LARGE_BYTES: usize = 4 << 20;
/// or more entries of indexes, is a large one.
const LARGE_ENTRIES: usize = 20_000;
/// Transactions that are taken out of the channel, at most.
const HELD: usize = 4096;

/// Writes of one transaction at most: they have to be done within the minute that the database gives a transaction.
pub const MOST: usize = 20_000;
/// Bytes of one transaction at most: bodies as compressed, and what they are found by.
pub const MOST_BYTES: usize = 64 << 20;
/// Bytes of one resource at most, the same way: a document of the database has 16 MB.
pub const MOST_ONE: usize = 15 << 20;
/// Entries of indexes of one transaction at most: writing them is what takes the time, and nobody else of the tenant
/// writes meanwhile.
pub const MOST_ENTRIES: usize = 400_000;
/// How long a transaction waits for its turn: longer than a large one may take (`writer::FILLING`), so that who waits
/// behind one has its turn.
pub const WAITING: Duration = Duration::from_secs(40);

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
    /// Entries of indexes that it makes: one for each term, two for each digest.
    pub entries: usize,
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

    fn entries(&self) -> usize {
        self.writes.iter().map(|write| write.entries).sum()
    }

    /// Whether it has a transaction of the database alone.
    pub fn is_large(&self) -> bool {
        self.writes.len() > LARGE || self.entries() > LARGE_ENTRIES || self.bytes() > LARGE_BYTES
    }

    /// Begins it, unless it was withdrawn or nobody waits for it any more.
    fn begin(&self) -> bool {
        !self.answer.is_closed() && self.ticket.begin()
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
        let entries = self.entries();
        if entries > MOST_ENTRIES {
            return Err(StoreError::TooLarge(format!(
                "the database commits at most {MOST_ENTRIES} entries of indexes at once, and this makes {entries} (one \
                 for each term that a resource is found by, and two for each patient, code and pair of both): \
                 {what_to_do}"
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
            let jobs: Vec<Job> = jobs.into_iter().filter(Job::begin).collect();
            if let Some(first) = jobs.first() {
                return Some((first.tenant, jobs));
            }
        }
    }

    /// Small ones of one tenant, in the order in which they came.
    fn group(&mut self) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        let (mut writes, mut bytes, mut entries) = (0, 0, 0);
        let mut rest = VecDeque::new();
        while let Some(job) = self.small.pop_front() {
            let fits = writes + job.writes.len() <= GROUP
                && bytes + job.bytes() <= BYTES
                && entries + job.entries() <= ENTRIES;
            if jobs.first().is_none_or(|first| first.tenant == job.tenant && fits) {
                writes += job.writes.len();
                bytes += job.bytes();
                entries += job.entries();
                jobs.push(job);
            } else {
                rest.push_back(job);
            }
        }
        self.small = rest;
        jobs
    }
}

/// Waits for the answer to a transaction; what has not been begun is taken back as soon as the database is away, or when
/// it has waited too long.
pub async fn answer(
    ticket: &Ticket,
    mut result: oneshot::Receiver<Result<Vec<Committed>, StoreError>>,
    gone: impl Future<Output = ()>,
    too_long: impl Future<Output = ()>,
) -> Result<Vec<Committed>, StoreError> {
    let stopped = || StoreError::Unavailable("the store is closing".into());
    let why = tokio::select! {
        biased;
        done = &mut result => return done.map_err(|_| stopped())?,
        () = gone => away(),
        () = too_long => busy(),
    };
    if ticket.withdraw() {
        return Err(why);
    }
    result.await.map_err(|_| stopped())?
}

/// What is said to whoever has waited too long for the turn.
pub fn busy() -> StoreError {
    StoreError::Unavailable("too much waits to be written; nothing of this was; try again".into())
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
            entries: 0,
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
            assert!(sender.try_send(job).is_ok(), "room");
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

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_begun() {
        let (sender, waiting) = mpsc::channel(16);
        let mut queue = Queue::new(waiting);
        let (gone, _) = job(1);
        let (withdrawn, _heard) = job(2);
        assert!(withdrawn.ticket.withdraw());
        let (stays, _heard) = job(3);
        for job in [gone, withdrawn, stays] {
            assert!(sender.try_send(job).is_ok(), "room");
        }
        assert_eq!(next(&mut queue).await, [3]);
    }

    #[tokio::test]
    async fn what_waits_too_long_is_taken_back() {
        let never = std::future::pending::<()>;
        let (waiting, result) = job(1);
        let done = answer(&waiting.ticket, result, never(), async {}).await;
        assert!(matches!(done, Err(why) if why == busy()));
        assert!(!waiting.begin());
        // What was begun is waited for, however long it takes.
        let (begun, result) = job(1);
        assert!(begun.begin());
        let ticket = begun.ticket.clone();
        assert!(begun.answer.send(Ok(Vec::new())).is_ok(), "heard");
        assert!(answer(&ticket, result, never(), async {}).await.is_ok());
    }

    #[test]
    fn entries_of_indexes_have_a_bound() {
        let (mut large, _) = job(2);
        large.writes[0].entries = MOST_ENTRIES;
        assert!(large.is_large() && large.check_size().is_ok());
        large.writes[1].entries = 1;
        let Err(StoreError::TooLarge(why)) = large.check_size() else { panic!("not refused") };
        assert!(why.contains("400000") && why.contains("400001") && why.contains("vesta import"), "{why}");
    }
}
