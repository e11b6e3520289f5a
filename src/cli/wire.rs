//! The wiring: opens the engine and puts the service on top of it. The only file above the interactions that names
//! the store.

use super::fault::Fault;
use super::settings::Settings;
use crate::base::{RandomIds, SystemClock, TenantId};
use crate::definitions::{Definitions, OperationDefinition, TypeId};
use crate::index::Condition;
use crate::interaction::Service;
use crate::store::{ChangeLog, Committed, Query, Snapshot, Store, StoreError, Transaction};
use async_trait::async_trait;
use std::sync::Arc;

/// The parts of a running Vesta.
pub struct Wired {
    /// Answers interactions.
    pub service: Arc<Service>,
    /// The definitions.
    pub definitions: Arc<Definitions>,
    store: Arc<dyn Store>,
}

/// One consistent state of the store, for reading everything.
pub struct Moment {
    snapshot: Box<dyn Snapshot>,
    definitions: Arc<Definitions>,
}

/// What a check found.
pub struct Checked {
    /// Versions that were looked at.
    pub versions: u64,
    /// Resources, deleted ones included.
    pub resources: u64,
    /// Number of faults.
    pub faults: u64,
    /// The first of them.
    pub listed: Vec<String>,
}

impl Wired {
    /// Verifies everything that is stored.
    pub fn check(&self, _progress: &mut dyn FnMut(u64, u64)) -> Result<Checked, Fault> {
        Err(Fault::Store("there is no store yet".into()))
    }

    /// The present state.
    pub fn moment(&self) -> Result<Moment, Fault> {
        let snapshot = wait(self.store.snapshot(TenantId::default()))?;
        Ok(Moment { snapshot, definitions: self.definitions.clone() })
    }
}

impl Moment {
    /// Every current resource of a type, as JSON.
    pub fn each(&self, kind: TypeId, take: &mut dyn FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut query =
            Query { kinds: vec![kind], condition: Condition::Everything, sort: Vec::new(), after: None, skip: 0, limit: 1000, total: false };
        loop {
            let page = wait(self.snapshot.search(&query))?;
            for row in &page.rows {
                if let Some(json) = row.to_json(self.definitions.name(kind)) {
                    take(&json)?;
                }
            }
            query.after = page.rows.last().map(|row| row.number);
            if !page.more || query.after.is_none() {
                return Ok(());
            }
        }
    }
}

/// Waits for the store on a thread that may block.
fn wait<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Fault::Server)?;
    runtime.block_on(work).map_err(|e| Fault::Store(e.to_string()))
}

/// Opens the data directory.
pub fn open(settings: &Settings) -> Result<Wired, Fault> {
    let definitions = Definitions::core();
    let store: Arc<dyn Store> = Arc::new(Absent);
    let service = Service::new(
        store.clone(),
        definitions.clone(),
        Arc::new(SystemClock),
        Arc::new(RandomIds),
        settings.interactions(),
    );
    Ok(Wired { service: Arc::new(service), definitions, store })
}

/// The operations that are served.
pub fn operations(_definitions: &Definitions) -> Vec<&OperationDefinition> {
    Vec::new()
}

/// Stands in until the embedded engine is there.
struct Absent;

#[async_trait]
impl Store for Absent {
    async fn snapshot(&self, _: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        Err(StoreError::Unavailable("there is no store yet".into()))
    }

    async fn snapshot_at(&self, _: TenantId, _: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        Err(StoreError::Unavailable("there is no store yet".into()))
    }

    async fn commit(&self, _: TenantId, _: Transaction) -> Result<Vec<Committed>, StoreError> {
        Err(StoreError::Unavailable("there is no store yet".into()))
    }

    async fn changes(&self, _: TenantId, _: u64, _: usize) -> Result<ChangeLog, StoreError> {
        Err(StoreError::Unavailable("there is no store yet".into()))
    }
}
