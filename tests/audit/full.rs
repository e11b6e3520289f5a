//! If the trail cannot be written, the request fails, and nothing of the answer leaves.

use super::*;
use async_trait::async_trait;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vesta::audit::Level;
use vesta::base::{RandomIds, SystemClock, TenantId};
use vesta::definitions::Definitions;
use vesta::http::Options;
use vesta::index::Extractor;
use vesta::interaction::Service;
use vesta::store::memory::MemoryStore;
use vesta::store::{ChangeLog, Committed, Head, Item, Link, Snapshot, Store, StoreError, Transaction};

/// A store that takes nothing for the trail while the switch is on.
struct Full(MemoryStore, Arc<AtomicBool>);

#[async_trait]
impl Store for Full {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        self.0.snapshot(tenant).await
    }

    async fn snapshot_at(&self, tenant: TenantId, position: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        self.0.snapshot_at(tenant, position).await
    }

    async fn commit(&self, tenant: TenantId, transaction: Transaction) -> Result<Vec<Committed>, StoreError> {
        if self.1.load(Ordering::Relaxed) && !transaction.audit.is_empty() {
            return Err(StoreError::Full);
        }
        self.0.commit(tenant, transaction).await
    }

    async fn item(&self, tenant: TenantId, collection: &'static str, key: &str) -> Result<Option<Item>, StoreError> {
        self.0.item(tenant, collection, key).await
    }

    async fn items(
        &self,
        tenant: TenantId,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        self.0.items(tenant, collection, after, limit).await
    }

    async fn sweep_items(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        self.0.sweep_items(tenant, limit).await
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        self.0.audit_head(tenant).await
    }

    async fn audit_links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        self.0.audit_links(tenant, after, limit).await
    }

    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<ChangeLog, StoreError> {
        self.0.changes(tenant, after, limit).await
    }
}

#[test]
fn without_a_trail_nothing_is_done_and_nothing_is_told() {
    let switch = Arc::new(AtomicBool::new(false));
    let inner = switch.clone();
    let options = Options { bind: SocketAddr::from(([127, 0, 0, 1], 0)), workers: 1, ..Options::default() };
    let server = TestServer::over(options, tempfile::tempdir().expect("a directory"), move || {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
        let clock = Arc::new(SystemClock);
        let store = Full(MemoryStore::new(definitions.clone(), extractor.clone(), clock.clone()), inner);
        let settings = vesta::interaction::Settings { audit: Level::All, ..vesta::interaction::Settings::default() };
        let service =
            Service::new(Arc::new(store), definitions.clone(), extractor, clock, Arc::new(RandomIds), settings);
        (Arc::new(service), None, definitions)
    });
    let id = server.create(&patient("Secret"));
    let path = format!("Patient/{id}");
    switch.store(true, Ordering::Relaxed);
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": patient("New"), "request": {"method": "POST", "url": "Patient"}}]});
    let refused = [
        server.get(&path),
        server.get(&format!("{path}/_history/1")),
        server.get(&format!("{path}/_history")),
        server.get("Patient?name=secret"),
        server.get("Patient/unknown"),
        server.put("POST", "Patient", &patient("New")),
        server.put("PATCH", &path, &json!({"language": "en"})),
        server.send("DELETE", &path, &[], None),
        server.put("POST", "", &bundle),
    ];
    for answer in refused {
        answer.refuses(507, "no-store");
        assert!(!answer.text().contains("Secret"), "{}", answer.text());
    }
    let batch =
        json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": path}}]});
    let answer = server.put("POST", "", &batch);
    assert_eq!(answer.is(200).json()["entry"][0]["response"]["status"], "507 Insufficient Storage");
    assert!(!answer.text().contains("Secret"), "{}", answer.text());
    switch.store(false, Ordering::Relaxed);
    assert_eq!(server.get("Patient?_summary=count").is(200).json()["total"], 1);
    let still = server.get(&path).is(200).json();
    assert_eq!(still["meta"]["versionId"], "1", "nothing was written meanwhile");
}
