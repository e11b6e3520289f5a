//! What the one who runs the server does on the machine itself, without a token: reads everything. Nothing that
//! answers a request may come here.

use crate::base::{Failure, TenantId};
use crate::interaction::{Service, outcome};
use crate::store::Snapshot;

impl Service {
    /// The present state of a tenant, whole: for the commands on the server's own machine.
    pub(in crate::interaction) async fn everything(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, Failure> {
        self.gate.store.snapshot(tenant).await.map_err(outcome::of_store)
    }
}
