//! The raw door of the store in memory.

use super::{Entry, MemoryStore};
use crate::base::TenantId;
use crate::index::Terms;
use crate::json::{Document, Limits};
use crate::store::raw::{not_next, not_next_of_resource};
use crate::store::{
    Body, Item, Method, RawItem, RawStore, RawTarget, RawVersion, Still, Store, StoreError, Taker, Transaction,
    UNFINISHED,
};
use crate::store::{Hash, Version};
use async_trait::async_trait;
use std::sync::Arc;

/// Versions that are given at once.
const BATCH: u64 = 500;

fn raw(entry: &Entry, hash: Option<&Hash>) -> RawVersion {
    let Version { number, kind, id, version, last_updated, method, body, .. } = entry.version.clone();
    RawVersion { number, commit: entry.commit, kind, id, version, last_updated, method, body, hash: hash.copied() }
}

impl MemoryStore {
    /// A version of a log.
    fn raw_version(&self, log: TenantId, number: u64) -> Option<RawVersion> {
        let (logs, hashes) = (self.logs.read(), self.hashes.read());
        let at = usize::try_from(number.checked_sub(1)?).ok()?;
        let hash = log.owner().and_then(|owner| hashes.get(&owner)?.get(at));
        Some(raw(logs.get(&log)?.get(at)?, hash))
    }

    /// What a version is found by.
    fn raw_terms(&self, raw: &RawVersion) -> Result<Terms, StoreError> {
        let Some(body) = &raw.body else { return Ok(Terms::default()) };
        let mut text = Vec::new();
        let name = self.vocabulary.name(raw.kind);
        Body::write_resource(body, name, raw.id.as_str(), raw.version, raw.last_updated, &mut text);
        let document = Document::parse(&text, &Limits::NONE).map_err(|e| StoreError::Broken(e.to_string()))?;
        let mut terms = self.vocabulary.extract(raw.kind, document.root());
        self.vocabulary.stamp(&mut terms, raw.kind, &raw.id, raw.last_updated);
        Ok(terms)
    }
}

#[async_trait]
impl RawStore for MemoryStore {
    async fn still(&self, each: &mut Taker<'_>) -> Result<(), StoreError> {
        // Both are held to the end: one moment.
        let logs = self.logs.read();
        let (items, hashes) = (self.items.read(), self.hashes.read());
        let mut tenants: Vec<_> = logs.keys().copied().collect();
        tenants.sort();
        for tenant in tenants {
            let hash = tenant.owner().and_then(|owner| hashes.get(&owner)?.last());
            if let Some(last) = logs.get(&tenant).and_then(|log| log.last()) {
                each(Still::End(tenant, raw(last, hash)))?;
            }
        }
        for (tenant, own) in &*items {
            for ((collection, _), item) in own {
                let (tenant, collection, item) = (*tenant, collection.clone(), item.clone());
                each(Still::Item(RawItem { tenant, collection, item }))?;
            }
        }
        Ok(())
    }

    async fn raw_versions(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError> {
        let numbers = after + 1..=up_to.min(after + BATCH);
        let missing = |number| StoreError::Broken(format!("version {number} of log {} is missing", log.0));
        numbers.map(|number| self.raw_version(log, number).ok_or_else(|| missing(number))).collect()
    }
}

#[async_trait]
impl RawTarget for MemoryStore {
    async fn replay(&self, log: TenantId, versions: Vec<RawVersion>) -> Result<(), StoreError> {
        let terms = versions.iter().map(|raw| self.raw_terms(raw)).collect::<Result<Vec<_>, _>>()?;
        let (mut logs, mut hashes) = (self.logs.write(), self.hashes.write());
        let entries = logs.entry(log).or_default();
        let mut added: Vec<Arc<Entry>> = Vec::new();
        for (raw, terms) in versions.iter().zip(terms) {
            let expected = (entries.len() + added.len()) as u64 + 1;
            if raw.number != expected {
                return Err(not_next(log, raw, expected));
            }
            let same = |e: &&Arc<Entry>| e.version.kind == raw.kind && e.version.id == raw.id;
            let newest = added.iter().rev().find(same).or_else(|| entries.iter().rev().find(same));
            let newest = newest.map_or(0, |e| e.version.version);
            if raw.version != newest + 1 || (raw.method == Method::Delete) != raw.body.is_none() {
                return Err(not_next_of_resource(log, raw, newest));
            }
            let RawVersion { number, commit, kind, id, version, last_updated, method, body, .. } = raw.clone();
            let version = Version { number, kind, id, version, last_updated, method, newest: true, body };
            added.push(Arc::new(Entry { version, terms, commit }));
        }
        Arc::make_mut(entries).extend(added);
        if let Some(owner) = log.owner() {
            hashes.entry(owner).or_default().extend(versions.iter().map(|raw| raw.hash.unwrap_or_default()));
        }
        Ok(())
    }

    async fn replay_items(&self, items: Vec<RawItem>) -> Result<(), StoreError> {
        let mut all = self.items.write();
        for RawItem { tenant, collection, item } in items {
            all.entry(tenant).or_default().insert((collection, item.key.clone()), item);
        }
        Ok(())
    }

    async fn clear_items(&self, collection: Option<&str>) -> Result<(), StoreError> {
        let goes = |name: &str| collection.map_or(name != UNFINISHED, |wanted| wanted == name);
        self.items.write().values_mut().for_each(|own| own.retain(|(name, _), _: &mut Item| !goes(name)));
        Ok(())
    }

    async fn finish(&self, last: Transaction) -> Result<(), StoreError> {
        self.commit(TenantId::default(), last).await.map(drop)
    }
}
