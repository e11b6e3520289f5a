//! Records: the narrow door through which the floors above keep what is no resource (accounts, clients, keys, codes,
//! sessions). They are the store's items of one tenant; what is in them is not known here.

use super::outcome;
use crate::base::{Clock, Failure, TenantId};
use crate::store::{AuditRecord, Lease, Store, StoreError, Transaction};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

pub use crate::store::{Item, ItemExpect, ItemWrite};

/// The items of one tenant.
#[derive(Clone)]
pub struct Records {
    store: Arc<dyn Store>,
    tenant: TenantId,
    /// Records of the audit trail that wait for the next commit.
    waiting: Option<Arc<Mutex<Vec<AuditRecord>>>>,
}

impl Records {
    /// The items of a tenant in a store.
    pub fn new(store: Arc<dyn Store>, tenant: TenantId) -> Records {
        Records { store, tenant, waiting: None }
    }

    /// The same; the first commit that succeeds takes these records of the audit trail along, so that what is done and
    /// that it was done are both there or neither.
    pub(crate) fn telling(&self, told: Vec<AuditRecord>) -> Records {
        Records { waiting: Some(Arc::new(Mutex::new(told))), ..self.clone() }
    }

    /// Whether a commit has taken the records of the audit trail along, or there were none to take.
    pub fn have_told(&self) -> bool {
        self.waiting.as_ref().is_none_or(|waiting| waiting.lock().is_empty())
    }

    /// Whose they are.
    pub fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// An item as it is now.
    pub async fn get(&self, collection: &'static str, key: &str) -> Result<Option<Item>, Failure> {
        self.store.item(self.tenant, collection, key).await.map_err(outcome::of_store)
    }

    /// Items of a collection in order of their keys, those after a key, as many as asked for at most.
    pub async fn list(
        &self,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, Failure> {
        self.store.items(self.tenant, collection, after, limit).await.map_err(outcome::of_store)
    }

    /// Writes all of the changes or none. A failure of the kind `Conflict` says that an expectation did not hold.
    pub async fn commit(&self, items: Vec<ItemWrite>) -> Result<(), Failure> {
        self.write(items).await.map_err(outcome::of_store)
    }

    async fn write(&self, items: Vec<ItemWrite>) -> Result<(), StoreError> {
        let audit = self.waiting.as_ref().map(|waiting| std::mem::take(&mut *waiting.lock())).unwrap_or_default();
        let kept = audit.clone();
        let transaction = Transaction { items, audit, ..Transaction::default() };
        let done = self.store.commit(self.tenant, transaction).await.map(|_| ());
        if let (Err(_), Some(waiting)) = (&done, &self.waiting) {
            waiting.lock().extend(kept);
        }
        done
    }

    /// Writes all of the changes, or none where an expectation does not hold: then the answer is no.
    pub async fn try_commit(&self, items: Vec<ItemWrite>) -> Result<bool, Failure> {
        match self.write(items).await {
            Ok(()) => Ok(true),
            Err(StoreError::ItemConflict { .. }) => Ok(false),
            Err(other) => Err(outcome::of_store(other)),
        }
    }

    /// The lease on a job that one process does for all; `holder` is different for each process.
    pub fn lease(&self, clock: Arc<dyn Clock>, job: &str, holder: &str, length: Duration) -> Lease {
        Lease::new(self.store.clone(), clock, self.tenant, job, holder, length)
    }

    /// Takes away items that are over, as many as asked for at most; says how many.
    pub async fn sweep(&self, limit: usize) -> Result<usize, Failure> {
        self.store.sweep_items(self.tenant, limit).await.map_err(outcome::of_store)
    }
}
