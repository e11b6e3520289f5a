//! The wiring: opens the engine and puts the service on top of it. The only file above the interactions that names
//! the store.

use super::fault::Fault;
use super::settings::Settings;
use crate::base::{RandomIds, SystemClock, TenantId};
use crate::definitions::{Definitions, OperationDefinition};
use crate::interaction::Service;
use crate::store::{ChangeLog, Committed, Snapshot, Store, StoreError, Transaction};
use async_trait::async_trait;
use std::sync::Arc;

/// The parts of a running Vesta.
pub struct Wired {
    /// Answers interactions.
    pub service: Arc<Service>,
    /// The definitions.
    pub definitions: Arc<Definitions>,
}

/// Opens the data directory.
pub fn open(settings: &Settings) -> Result<Wired, Fault> {
    let definitions = Definitions::core();
    let service = Service::new(
        Arc::new(Absent),
        definitions.clone(),
        Arc::new(SystemClock),
        Arc::new(RandomIds),
        settings.interactions(),
    );
    Ok(Wired { service: Arc::new(service), definitions })
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
