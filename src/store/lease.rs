//! Leases: of several server processes on one store one does a job, and another takes it over when that one is gone.
//! A lease is an item that ends by itself, changed by compare-and-set; who holds it renews it. Whether a moment has
//! come is judged by each process's own clock: clocks that differ by more than the length of a lease break it, and then
//! a job may run twice. Jobs must bear that.

use super::{ItemWrite, Store, StoreError, Transaction};
use crate::base::{Clock, TenantId, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// The collection of the leases.
const COLLECTION: &str = "lease";

/// The right to do a job, for one who asks for it again and again.
pub struct Lease {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    tenant: TenantId,
    job: String,
    holder: String,
    length: Duration,
}

impl Lease {
    /// On a job of this name. `holder` is who asks, different for each process; `length` is how long the job is left to
    /// one who does not renew the lease.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        tenant: TenantId,
        job: impl Into<String>,
        holder: impl Into<String>,
        length: Duration,
    ) -> Lease {
        Lease { store, clock, tenant, job: job.into(), holder: holder.into(), length }
    }

    /// Takes or renews it: whether the job is the caller's from now on for the length of the lease. A store that only
    /// this process has open is not asked.
    ///
    /// # Errors
    /// What the store says; then the job is nobody's to begin with, and the caller's only as long as it was before.
    pub async fn hold(&self) -> Result<bool, StoreError> {
        if !self.store.is_shared() {
            return Ok(true);
        }
        let end =
            Timestamp(self.clock.now().0.saturating_add(i64::try_from(self.length.as_micros()).unwrap_or(i64::MAX)));
        let write = match self.store.item(self.tenant, COLLECTION, &self.job).await? {
            None => ItemWrite::create(COLLECTION, self.job.clone(), self.holder.clone().into_bytes()),
            Some(item) if item.value == self.holder.as_bytes() => {
                ItemWrite::replace(COLLECTION, &item, self.holder.clone().into_bytes())
            }
            Some(_) => return Ok(false),
        };
        self.write(write.until(end)).await
    }

    /// Gives it back, if it is held, so that another need not wait for its end.
    pub async fn release(&self) -> Result<(), StoreError> {
        if self.store.is_shared()
            && let Some(item) = self.store.item(self.tenant, COLLECTION, &self.job).await?
            && item.value == self.holder.as_bytes()
        {
            self.write(ItemWrite::delete(COLLECTION, &item)).await?;
        }
        Ok(())
    }

    /// Who holds the lease on a job now.
    pub async fn holder(store: &dyn Store, tenant: TenantId, job: &str) -> Result<Option<String>, StoreError> {
        let item = store.item(tenant, COLLECTION, job).await?;
        Ok(item.map(|item| String::from_utf8_lossy(&item.value).into_owned()))
    }

    async fn write(&self, write: ItemWrite) -> Result<bool, StoreError> {
        let transaction = Transaction { items: vec![write], ..Transaction::default() };
        match self.store.commit(self.tenant, transaction).await {
            Ok(_) => Ok(true),
            Err(StoreError::ItemConflict { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }
}
