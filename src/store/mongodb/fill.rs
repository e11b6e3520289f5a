//! Gives versions that a program wrote that did not know of them the fields that lead to them (`lead`): after an upgrade
//! all there are, and while programs of before and after write side by side what those of before add. Beside everything
//! else, and harmless if several processes do it: each goes on from what the counter says.

use super::Shared;
use super::document::{between, damaged, name_of, numbered, terms_of};
use super::lead::{Mark, fields, has_too_many};
use crate::base::TenantId;
use crate::store::StoreError;
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use std::sync::Weak;
use std::time::Duration;
use tokio::time::sleep;

/// Versions of a batch.
const BATCH: i64 = 500;
/// How often it is looked whether something is lacking.
const EVERY: Duration = Duration::from_secs(30);

/// Looks after it until the store is closed.
pub async fn run(shared: Weak<Shared>) {
    loop {
        let Some(open) = shared.upgrade() else { return };
        drop(open);
        if let Err(error) = pass(&shared).await {
            tracing::warn!(%error, "what leads to versions is not filled in yet");
        }
        sleep(EVERY).await;
    }
}

/// Fills in what is lacking now, tenant after tenant.
async fn pass(shared: &Weak<Shared>) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let Some(open) = shared.upgrade() else { return Ok(()) };
        let Some(tenant) = open.next_tenant(after).await? else { return Ok(()) };
        let mut filled = 0;
        drop(open);
        while let Some(open) = shared.upgrade()
            && let Some(count) = open.fill(tenant).await?
        {
            filled += count;
        }
        if filled > 0 {
            tracing::info!(tenant = tenant.0, versions = filled, "what leads to versions was filled in");
        }
        after = Some(tenant);
    }
}

impl Shared {
    /// Fills in what the next versions of a tenant lack: how many were looked at; none if nothing is lacking.
    async fn fill(&self, tenant: TenantId) -> Result<Option<u64>, StoreError> {
        let key = doc! { "_id": i64::from(tenant.0) };
        let counter = self.tenants.find_one(key.clone()).projection(doc! { "n": 1, "y": 1 }).await?;
        let position = counter.as_ref().and_then(|c| c.get_i64("n").ok()).unwrap_or(0).max(0) as u64;
        let Some((after, to)) = Mark::of(counter.as_ref()).lacking(position) else { return Ok(None) };
        let find = self.versions.find(between(tenant, after, to)).sort(doc! { "_id": 1 }).limit(BATCH);
        let found: Vec<Document> =
            find.projection(doc! { "n": 1, "k": 1, "i": 1, "d": 1, "x": 1, "y": 1 }).await?.try_collect().await?;
        let Some(last) = found.last() else {
            return Err(StoreError::Broken(format!("version {} of log {} is missing", after + 1, tenant.0)));
        };
        let reached = last.get_i64("n").map_err(|_| damaged(last))?;
        let mut updates = Vec::new();
        let mut crowded = false;
        for found in found.iter().filter(|found| !found.get_bool("d").unwrap_or(false) && !found.contains_key("y")) {
            let (kind, _) = name_of(found, &*self.vocabulary)?;
            let fields = fields(self.vocabulary.leads(kind), &terms_of(found)?);
            crowded |= has_too_many(&fields);
            let number = found.get_i64("n").map_err(|_| damaged(found))?;
            let mut query = numbered(tenant, number as u64);
            query.insert("y", doc! { "$exists": false });
            updates.push(doc! { "q": query, "u": { "$set": fields } });
        }
        if !updates.is_empty() {
            let concern = doc! { "w": "majority", "j": true };
            let command = doc! { "update": "versions", "updates": updates, "writeConcern": concern };
            let done = self.database.run_command(command).await?;
            if done.contains_key("writeErrors") || done.contains_key("writeConcernError") {
                return Err(StoreError::Unavailable("others write at the same time".into()));
            }
        }
        let mut change = doc! { "$max": { "y.f": reached } };
        if crowded {
            // With the number up to which it is relied on, not after it.
            change.insert("$set", doc! { "y.o": true });
        }
        self.tenants.update_one(key, change).await?;
        Ok(Some(found.len() as u64))
    }
}
