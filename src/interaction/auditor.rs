//! What an auditor does with the trail: verifying it, taking a checkpoint, looking through it in order. None of it needs
//! the index, so it works on a trail that was tampered with.

use super::{Context, Service, outcome};
use crate::audit::{self, Checkpoint, Event, SigningKey, Verified, hex};
use crate::base::{Failure, TenantId, Timestamp};
use crate::store::{ItemExpect, ItemWrite, Link, StoreError, Transaction};

/// Where the key is that signs checkpoints.
const COLLECTION: &str = "audit-keys";
const KEY: &str = "checkpoints";

/// A record of the trail as it is listed.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its number.
    pub number: u64,
    /// When it was committed, and the AuditEvent without its head; else why it cannot be read.
    pub content: Result<(Timestamp, Vec<u8>), String>,
}

impl Service {
    /// Verifies the audit trail, and that it holds what checkpoints vouch for.
    pub async fn verify_trail(
        &self,
        tenant: TenantId,
        checkpoints: &[Checkpoint],
        progress: &mut (dyn FnMut(u64, u64) + Send),
    ) -> Result<Verified, Failure> {
        let store = &**self.behind_the_gate();
        let mut found = audit::verify(store, tenant, checkpoints, progress).await.map_err(outcome::of_store)?;
        if !checkpoints.is_empty() {
            let key = self.signing_key(tenant).await?;
            for other in checkpoints.iter().filter(|c| c.key != key.public()) {
                let (theirs, ours) = (hex(&other.key), hex(key.public()));
                found.fault(format!("a checkpoint was signed with the key {theirs}; the key of this store is {ours}"));
            }
            for other in checkpoints.iter().filter(|c| c.tenant != tenant) {
                found.fault(format!("a checkpoint is of the tenant {}", other.tenant.0));
            }
        }
        Ok(found)
    }

    /// Vouches for the trail as it is now. Leaves a record of its own, if anything is recorded.
    pub async fn checkpoint(&self, context: &Context) -> Result<Checkpoint, Failure> {
        let key = self.signing_key(context.tenant).await?;
        self.record(context, Event::administration("create", "checkpoint", "")).await?;
        let head = self.behind_the_gate().audit_head(context.tenant).await.map_err(outcome::of_store)?;
        Ok(key.sign(context.tenant, head, self.clock.now()))
    }

    /// The number of the last record.
    pub async fn trail_length(&self, tenant: TenantId) -> Result<u64, Failure> {
        self.behind_the_gate().audit_head(tenant).await.map(|head| head.number).map_err(outcome::of_store)
    }

    /// Records after a number, in order.
    pub async fn trail_after(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Listed>, Failure> {
        let links = self.behind_the_gate().audit_links(tenant, after, limit).await.map_err(outcome::of_store)?;
        let listed = |link: Link| Listed {
            number: link.number,
            content: link.content.map(|content| (content.last_updated, content.body)),
        };
        Ok(links.into_iter().map(listed).collect())
    }

    /// The key that signs checkpoints; made when it is first needed.
    async fn signing_key(&self, tenant: TenantId) -> Result<SigningKey, Failure> {
        loop {
            let found = self.behind_the_gate().item(tenant, COLLECTION, KEY).await.map_err(outcome::of_store)?;
            if let Some(item) = found {
                return SigningKey::read(&item.value).map_err(Failure::internal);
            }
            let value = Some(SigningKey::generate().map_err(Failure::internal)?);
            let expect = ItemExpect::Absent;
            let write = ItemWrite { collection: COLLECTION, key: KEY.to_owned(), expect, value, expires: None };
            let transaction = Transaction { items: vec![write], ..Transaction::default() };
            match self.behind_the_gate().commit(tenant, transaction).await {
                // Somebody else made it at the same time: then it is that one.
                Ok(_) | Err(StoreError::ItemConflict { .. }) => {}
                Err(error) => return Err(outcome::of_store(error)),
            }
        }
    }
}
