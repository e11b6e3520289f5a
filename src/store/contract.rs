//! The contract that every engine keeps.

use super::{AuditRecord, Body, Budget, Head, Item, ItemWrite, Limit, Link, Notices};
use crate::base::{Failure, ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use crate::index::{Condition, Terms};
use async_trait::async_trait;

/// What a version came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// create (POST)
    Create,
    /// update (PUT)
    Update,
    /// patch (PATCH)
    Patch,
    /// delete (DELETE)
    Delete,
}

/// What must be true of a resource for a write on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Anything.
    Any,
    /// There is no version of it, not even a deleted one.
    Absent,
    /// Its newest version is this one and it is not deleted.
    Version(u64),
    /// Its newest version is this one, deleted or not.
    Newest(u64),
}

/// The content of a new version.
#[derive(Clone, Debug)]
pub struct Content {
    /// The body.
    pub body: Body,
    /// What it is found by, without `_id` and `_lastUpdated`, which the store adds.
    pub terms: Terms,
    /// [`Vocabulary::schema`](super::Vocabulary::schema) of when the terms were found: a store finds them again where
    /// it is another by the time of the commit.
    pub schema: u64,
}

/// One create, update, patch or delete.
#[derive(Clone, Debug)]
pub struct Write {
    /// Resource type.
    pub kind: TypeId,
    /// Logical id.
    pub id: ResourceId,
    /// What it is.
    pub method: Method,
    /// What must be true before.
    pub expect: Expect,
    /// The new content; none for a delete.
    pub content: Option<Content>,
}

/// A promise that a search made at `as_of` still tells the truth: no version of the type that was committed since
/// (by others) fulfils the condition. Makes conditional forms safe under parallel writers.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The type that was searched.
    pub kind: TypeId,
    /// The criteria.
    pub condition: Condition,
    /// Position of the snapshot in which they were tried.
    pub as_of: u64,
}

/// A commit: all or nothing.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    /// Writes; each resource at most once.
    pub writes: Vec<Write>,
    /// Guards, checked against what was there before the writes.
    pub guards: Vec<Guard>,
    /// Changes of items; each item at most once.
    pub items: Vec<ItemWrite>,
    /// Records for the tenant's audit trail, appended in this order if all else holds.
    pub audit: Vec<AuditRecord>,
}

impl Transaction {
    /// Refuses a transaction of a wrong shape: a defect of the caller, which every engine finds alike.
    pub fn check_shape(&self, tenant: TenantId) -> Result<(), StoreError> {
        if tenant.is_trail() {
            return Err(StoreError::Broken("an audit trail is written by no other way than `audit`".into()));
        }
        let mut seen = std::collections::HashSet::new();
        for write in &self.writes {
            if !seen.insert((write.kind, write.id.as_str())) {
                return Err(StoreError::Broken(format!("{} is written twice in one transaction", write.id)));
            }
            if (write.method == Method::Delete) != write.content.is_none() {
                return Err(StoreError::Broken("a write has content unless it is a delete".into()));
            }
        }
        let mut items = std::collections::HashSet::new();
        for item in &self.items {
            item.check_shape()?;
            if !items.insert((item.collection, item.key.as_str())) {
                return Err(StoreError::Broken(format!("an item of '{}' is written twice", item.collection)));
            }
        }
        Ok(())
    }
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A new resource, or one brought back after a delete.
    Created,
    /// A new version of an existing resource.
    Updated,
    /// It is deleted now.
    Deleted,
    /// A delete of something that is not there: nothing was written.
    Nothing,
}

/// What became of one write.
#[derive(Clone, Copy, Debug)]
pub struct Committed {
    /// What it did.
    pub effect: Effect,
    /// Version id of the newest version now (0 if there is none).
    pub version: u64,
    /// When it was committed.
    pub last_updated: Timestamp,
    /// Its place in the change log.
    pub number: u64,
}

/// One version of a resource.
#[derive(Clone, Debug)]
pub struct Version {
    /// Place in the change log; dense, in commit order, from 1, per tenant.
    pub number: u64,
    /// Resource type.
    pub kind: TypeId,
    /// Logical id.
    pub id: ResourceId,
    /// Version id.
    pub version: u64,
    /// When it was committed; never before that of an earlier number.
    pub last_updated: Timestamp,
    /// What it came from.
    pub method: Method,
    /// Whether it is the newest of its resource at the snapshot's position.
    pub newest: bool,
    /// The body; none if it is a delete.
    pub body: Option<Vec<u8>>,
}

impl Version {
    /// The whole resource as JSON; `None` for a delete.
    pub fn to_json(&self, kind: &str) -> Option<Vec<u8>> {
        let body = self.body.as_ref()?;
        let mut out = Vec::new();
        Body::write_resource(body, kind, self.id.as_str(), self.version, self.last_updated, &mut out);
        Some(out)
    }

    /// Whether it is a delete.
    pub fn is_deleted(&self) -> bool {
        self.body.is_none()
    }
}

/// A sort key: of the terms in a range, the smallest (ascending) or the largest (descending), compared from byte
/// `skip` on. Resources without such a term come last in both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// First term that counts.
    pub from: Box<[u8]>,
    /// First term that does not count any more.
    pub to: Box<[u8]>,
    /// Bytes of the term that do not take part in the comparison.
    pub skip: usize,
    /// Largest first.
    pub descending: bool,
}

/// A search over the current resources of a snapshot.
#[derive(Clone, Debug)]
pub struct Query {
    /// Resource types to look in; at least one.
    pub kinds: Vec<TypeId>,
    /// What is asked.
    pub condition: Condition,
    /// Order; ties, and all if empty, in order of `number`.
    pub sort: Vec<Sort>,
    /// Only rows with a greater number; meant for an empty `sort`: goes on after the last row of a page.
    pub after: Option<u64>,
    /// Rows to leave out at the beginning (after `after`).
    pub skip: u64,
    /// Rows to give at most.
    pub limit: usize,
    /// Whether to count all matches (not regarding `after`, `skip` and `limit`).
    pub total: bool,
    /// What the search may cost: engines spend from it for the rows they look at and stop where it ends, with
    /// [`StoreError::Exceeded`].
    pub budget: Budget,
}

/// What a search or a history gives.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The rows, in order.
    pub rows: Vec<Version>,
    /// Number of all matches, if asked for.
    pub total: Option<u64>,
    /// Whether there are rows after these; before them, where a history was asked for those above a number.
    pub more: bool,
}

/// What a history is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryScope {
    /// One resource.
    Instance(TypeId, ResourceId),
    /// All resources of a type.
    Type(TypeId),
    /// All resources.
    System,
}

/// Which rows of a history are on a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// The newest.
    #[default]
    Newest,
    /// The newest of those with a number below this: goes on after the last row of a page.
    Below(u64),
    /// The oldest of those with a number above this: goes back before the first row of a page.
    Above(u64),
}

impl Place {
    /// Whether a number is on this page or beyond it.
    pub fn holds(self, number: u64) -> bool {
        match self {
            Place::Newest => true,
            Place::Below(bound) => number < bound,
            Place::Above(bound) => number > bound,
        }
    }
}

/// A page of history, newest first.
#[derive(Clone, Debug)]
pub struct HistoryQuery {
    /// What it is of.
    pub scope: HistoryScope,
    /// Only versions made at this moment or later (`_since`).
    pub since: Option<Timestamp>,
    /// Only versions that were current at some moment from the first up to, not including, the second (`_at`).
    pub current_during: Option<(Timestamp, Timestamp)>,
    /// Which of them.
    pub place: Place,
    /// Rows at most.
    pub limit: usize,
    /// Whether to count all, not only those of the page.
    pub total: bool,
    /// What it may cost: its time, and whether somebody waits for it still.
    pub budget: Budget,
}

/// Why the store could not do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// An [`Expect`] does not hold: the index of the write, and the newest version there is (`None`: none).
    VersionConflict {
        /// Index into [`Transaction::writes`].
        write: usize,
        /// Newest version id.
        current: Option<u64>,
    },
    /// A [`Guard`] does not hold any more: search again. Its index.
    GuardFailed(usize),
    /// What an item's write expects is not so: its index in [`Transaction::items`], and the revision there is.
    ItemConflict {
        /// Index into [`Transaction::items`].
        item: usize,
        /// The revision now; none where there is no such item.
        current: Option<u64>,
    },
    /// No room left.
    Full,
    /// Not now (closing, overloaded, database away); nothing was written.
    Unavailable(String),
    /// The store does not say whether it was committed: whoever asked has to look before trying again.
    Undecided(String),
    /// Larger than the engine can commit at once; says the bound.
    TooLarge(String),
    /// The budget of a query is used up.
    Exceeded(Limit),
    /// Refused by what stands in front of an engine; engines never give it.
    Refused(Box<Failure>),
    /// A position that is not readable (any more, or not yet).
    UnknownPosition,
    /// Stored data are damaged or the engine failed. For the log, not for the client.
    Broken(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StoreError::VersionConflict { write, current } => {
                write!(f, "write {write} expected another version; the newest is {current:?}")
            }
            StoreError::GuardFailed(guard) => write!(f, "guard {guard} does not hold any more"),
            StoreError::ItemConflict { item, current } => {
                write!(f, "item {item} is in another state than expected; its revision is {current:?}")
            }
            StoreError::Full => f.write_str("no room left in the store"),
            StoreError::Unavailable(why)
            | StoreError::Undecided(why)
            | StoreError::TooLarge(why)
            | StoreError::Broken(why) => f.write_str(why),
            StoreError::Exceeded(limit) => write!(f, "the budget of the query is used up: {limit:?}"),
            StoreError::Refused(failure) => failure.fmt(f),
            StoreError::UnknownPosition => f.write_str("this position is not readable"),
        }
    }
}

impl std::error::Error for StoreError {}

impl From<Limit> for StoreError {
    fn from(limit: Limit) -> Self {
        StoreError::Exceeded(limit)
    }
}

/// One consistent state of one tenant.
#[async_trait]
pub trait Snapshot: Send + Sync {
    /// The number of the last version that it shows.
    fn position(&self) -> u64;

    /// The newest version of a resource, which may be a delete.
    async fn read(&self, kind: TypeId, id: &ResourceId) -> Result<Option<Version>, StoreError>;

    /// One version of a resource.
    async fn version(&self, kind: TypeId, id: &ResourceId, version: u64) -> Result<Option<Version>, StoreError>;

    /// Current resources that fulfil a condition.
    async fn search(&self, query: &Query) -> Result<Page, StoreError>;

    /// Versions, newest first. An instance that never was gives no rows.
    async fn history(&self, query: &HistoryQuery) -> Result<Page, StoreError>;

    /// Whether a version that it shows came after a delete: it brought its resource back.
    async fn follows_delete(&self, version: &Version) -> Result<bool, StoreError> {
        let before = self.version(version.kind, &version.id, version.version.saturating_sub(1)).await?;
        Ok(before.is_some_and(|before| before.is_deleted()))
    }
}

/// A piece of the change log.
#[derive(Clone, Debug, Default)]
pub struct ChangeLog {
    /// Versions in order of their number.
    pub versions: Vec<Version>,
    /// The position reached: where to go on.
    pub position: u64,
}

/// Whether and how far a store indexes again what was indexed with other terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexing {
    /// It was asked for and has not begun.
    pub asked: bool,
    /// It has begun and not ended.
    pub running: bool,
    /// Versions that are done,
    pub done: u64,
    /// of so many.
    pub all: u64,
    /// Why the last time did not come to its end.
    pub failed: Option<String>,
}

impl Indexing {
    /// Whether nothing is left to do and nothing went wrong.
    pub fn is_done(&self) -> bool {
        !self.asked && !self.running && self.failed.is_none()
    }
}

/// A store: what an engine has to do.
#[async_trait]
pub trait Store: Send + Sync {
    /// The present state of a tenant.
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError>;

    /// The state of a tenant at an earlier position (of a page link).
    async fn snapshot_at(&self, tenant: TenantId, position: u64) -> Result<Box<dyn Snapshot>, StoreError>;

    /// Commits; returns when it is durable. One result for each write, in order.
    async fn commit(&self, tenant: TenantId, transaction: Transaction) -> Result<Vec<Committed>, StoreError>;

    /// Whether other processes may commit to the same data, unseen by this one until it reads.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether a commit can succeed now, as far as the engine knows without trying; if not, why.
    fn writable(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Tells from now on what is changed, within a second or so, also by this process. None where only this process
    /// can change the store: whoever changes something then tells those who keep it in memory.
    fn notices(&self) -> Option<Notices> {
        None
    }

    /// An item as it is now.
    async fn item(&self, tenant: TenantId, collection: &'static str, key: &str) -> Result<Option<Item>, StoreError>;

    /// Items of a collection in order of their keys, those after a key, as many as asked for at most.
    async fn items(
        &self,
        tenant: TenantId,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError>;

    /// Takes away the items that are over, of all collections, as many as asked for at most; says how many.
    async fn sweep_items(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError>;

    /// The last record of a tenant's audit trail, as the store remembers it beside the records.
    async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError>;

    /// The records of a tenant's audit trail after a number, as they are stored: also those that were tampered with.
    async fn audit_links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError>;

    /// Asks that everything is indexed again that was indexed when resources had other terms than the vocabulary gives
    /// now: a search parameter was added or changed. It is done beside everything else, in any case by the next start;
    /// until [`Store::indexing`] says that it is done, searches answer by the terms of before.
    fn reindex(&self) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("this store does not index again".into()))
    }

    /// Whether all is indexed with the terms that resources have by what the vocabulary was shown at the start.
    fn indexes_at_start(&self) -> bool {
        false
    }

    /// Numbers of added search parameters by which all is indexed, whatever else is being indexed by now: known at the
    /// start without asking that everything is indexed again.
    async fn indexed_by(&self) -> Result<Vec<u16>, StoreError> {
        Ok(Vec::new())
    }

    /// Takes part from now on in the work that the processes on one database share, beside everything else: one of them
    /// does it. Servers do, commands that come and go do not.
    fn take_part(&self) {}

    /// Whether and how far it is indexed again.
    fn indexing(&self) -> Indexing {
        Indexing::default()
    }

    /// Versions after a position, in commit order; whole commits only.
    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<ChangeLog, StoreError>;
}
