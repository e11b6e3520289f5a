//! What stands behind the gate, for the few who answer no request with what they find there: the trail, which tells
//! what was done and has rules of its own for its readers, the search parameters, which are the
//! same for everybody, and the commands on the server's own machine, which have no token. `tests/architecture.rs` lists them.

use crate::base::{Failure, TenantId};
use crate::interaction::{Service, outcome};
use crate::store::{Snapshot, Store};
use std::sync::Arc;

impl Service {
    /// The store itself.
    pub(in crate::interaction) fn behind_the_gate(&self) -> &Arc<dyn Store> {
        &self.gate.store
    }

    /// The present state of a tenant, whole: for the commands on the server's own machine.
    pub(in crate::interaction) async fn everything(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, Failure> {
        self.gate.store.snapshot(tenant).await.map_err(outcome::of_store)
    }
}
