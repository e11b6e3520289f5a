//! A server whose store indexes again only when the test says so: what happens meanwhile can be looked at.

use crate::support::TestServer;
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vesta::base::{RandomIds, SystemClock, TenantId};
use vesta::definitions::Definitions;
use vesta::http::Options;
use vesta::index::Extractor;
use vesta::interaction::{Service, Settings};
use vesta::store::memory::MemoryStore;
use vesta::store::{ChangeLog, Committed, Head, Indexing, Item, Link, Snapshot, Store, StoreError, Transaction};

/// The naive store, which indexes again when it is let.
pub struct HeldStore {
    inner: MemoryStore,
    waiting: AtomicBool,
}

impl HeldStore {
    /// Lets it index again what it was asked for.
    pub fn release(&self) {
        self.inner.reindex().expect("indexed");
        self.waiting.store(false, Ordering::SeqCst);
    }

    /// Whether it was asked.
    pub fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Store for HeldStore {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        self.inner.snapshot(tenant).await
    }

    async fn snapshot_at(&self, tenant: TenantId, position: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        self.inner.snapshot_at(tenant, position).await
    }

    async fn commit(&self, tenant: TenantId, transaction: Transaction) -> Result<Vec<Committed>, StoreError> {
        self.inner.commit(tenant, transaction).await
    }

    async fn item(&self, tenant: TenantId, collection: &'static str, key: &str) -> Result<Option<Item>, StoreError> {
        self.inner.item(tenant, collection, key).await
    }

    async fn items(
        &self,
        tenant: TenantId,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.inner.items(tenant, collection, after, limit).await
    }

    async fn sweep_items(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.inner.sweep_items(tenant, limit).await
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        self.inner.audit_head(tenant).await
    }

    async fn audit_links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.inner.audit_links(tenant, after, limit).await
    }

    fn reindex(&self) -> Result<(), StoreError> {
        self.waiting.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn indexing(&self) -> Indexing {
        let waiting = self.is_waiting();
        Indexing { running: waiting, done: 1, all: if waiting { 2 } else { 1 }, ..Indexing::default() }
    }

    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<ChangeLog, StoreError> {
        self.inner.changes(tenant, after, limit).await
    }
}

/// A server over such a store, and the store.
pub fn server() -> (TestServer, Arc<HeldStore>) {
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
    let clock = Arc::new(SystemClock);
    let inner = MemoryStore::new(definitions.clone(), extractor.clone(), clock.clone());
    let store = Arc::new(HeldStore { inner, waiting: AtomicBool::new(false) });
    let (held, data) = (store.clone(), tempfile::tempdir().expect("a directory"));
    let options = Options { bind: ([127, 0, 0, 1], 0).into(), workers: 2, ..Options::default() };
    let server = TestServer::over(options, data, move || {
        let ids = Arc::new(RandomIds);
        let service = Service::new(held, definitions.clone(), extractor, clock, ids, Settings::default());
        (Arc::new(service), None, definitions)
    });
    (server, store)
}
