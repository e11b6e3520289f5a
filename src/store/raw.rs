//! The raw door of the contract: a whole store read as it is, and written as it was elsewhere, with all numbers,
//! instants and hashes. Used by `moving` (copy, backup, restore) and by nobody else: what comes in here is not checked
//! against guards, expectations or the clock, and gets no record in the audit trail; the commit that ends it does.

use super::{Hash, Item, Method, StoreError, Transaction};
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use async_trait::async_trait;

/// Collection of the item that says that a store is an unfinished copy. It belongs to that store: it is neither copied
/// nor cleared with the others.
pub const UNFINISHED: &str = "moving";

/// A version as it is stored, of a tenant's own log or of its audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawVersion {
    /// Place in its log; dense, from 1.
    pub number: u64,
    /// Number of the first version of the same commit.
    pub commit: u64,
    /// Resource type.
    pub kind: TypeId,
    /// Logical id.
    pub id: ResourceId,
    /// Version id.
    pub version: u64,
    /// When it was committed.
    pub last_updated: Timestamp,
    /// What it came from.
    pub method: Method,
    /// The body; none if it is a delete.
    pub body: Option<Vec<u8>>,
    /// Its hash of the chain; in audit trails only.
    pub hash: Option<Hash>,
}

/// An item as it is stored, also one that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawItem {
    /// Whose.
    pub tenant: TenantId,
    /// Which sort of thing it is.
    pub collection: String,
    /// Key, revision, value, end.
    pub item: Item,
}

/// A part of what a store is at one moment.
#[derive(Clone, Debug)]
pub enum Still {
    /// A log that is not empty (of a tenant, or of its audit trail: [`TenantId::is_trail`]), and its last version.
    End(TenantId, RawVersion),
    /// An item.
    Item(RawItem),
}

/// Takes parts one after the other; an error ends it.
pub type Taker<'t> = dyn FnMut(Still) -> Result<(), StoreError> + Send + 't;

/// A store that can be read as it is.
#[async_trait]
pub trait RawStore: Send + Sync {
    /// The store at one moment: the ends of all logs, in order of their tenants, then all items. Logs only grow, so
    /// that what [`RawStore::raw_versions`] gives up to these ends is of the same moment, whenever it is read.
    async fn still(&self, each: &mut Taker<'_>) -> Result<(), StoreError>;

    /// Versions of a log after a number, up to and including another that it has: as many as are convenient, at least
    /// one unless `after` is not below `up_to`. One that is missing or damaged is an error.
    async fn raw_versions(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError>;
}

/// A store that can be written as another was. Nobody else writes to it meanwhile.
#[async_trait]
pub trait RawTarget: RawStore {
    /// Appends versions to a log, all or none, durable when it returns. The first follows the last that is there, each
    /// follows the one before it, and each is the next version of its resource; anything else is refused as broken.
    async fn replay(&self, log: TenantId, versions: Vec<RawVersion>) -> Result<(), StoreError>;

    /// Puts items, each in the place of what is there under its key.
    async fn replay_items(&self, items: Vec<RawItem>) -> Result<(), StoreError>;

    /// Takes away the items of a collection, or, where none is named, all but those of [`UNFINISHED`].
    async fn clear_items(&self, collection: Option<&str>) -> Result<(), StoreError>;

    /// Ends the filling by an ordinary commit of the first tenant, which follows what was replayed.
    async fn finish(&self, last: Transaction) -> Result<(), StoreError>;
}

/// What is wrong with versions that do not follow what is there.
pub(super) fn not_next(log: TenantId, found: &RawVersion, expected: u64) -> StoreError {
    let (tenant, number) = (log.0, found.number);
    StoreError::Broken(format!("version {number} of log {tenant} was to be replayed where version {expected} is next"))
}

/// What is wrong with a version that is not the next of its resource.
pub(super) fn not_next_of_resource(log: TenantId, found: &RawVersion, newest: u64) -> StoreError {
    let RawVersion { number, id, version, .. } = found;
    StoreError::Broken(format!(
        "version {number} of log {} is version {version} of {id}, of which version {newest} is the newest",
        log.0
    ))
}
