//! A panic in a request is that request's 500; the server goes on and the client learns nothing of the inside.

use crate::support::TestServer;
use async_trait::async_trait;
use std::net::SocketAddr;
use std::sync::Arc;
use vesta::base::{RandomIds, SystemClock, TenantId};
use vesta::definitions::Definitions;
use vesta::http::Options;
use vesta::index::Extractor;
use vesta::interaction::{Policy, Service, Settings};
use vesta::store::{ChangeLog, Committed, Head, Item, Link, Snapshot, Store, StoreError, Transaction};

/// A store with a defect.
struct Broken;

#[async_trait]
impl Store for Broken {
    async fn snapshot(&self, _: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        panic!("a secret of the inside");
    }

    async fn snapshot_at(&self, _: TenantId, _: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        Err(StoreError::Broken("a secret of the inside".into()))
    }

    async fn commit(&self, _: TenantId, _: Transaction) -> Result<Vec<Committed>, StoreError> {
        Err(StoreError::Full)
    }

    fn writable(&self) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("a secret of the inside".into()))
    }

    async fn item(&self, _: TenantId, _: &'static str, _: &str) -> Result<Option<Item>, StoreError> {
        Ok(None)
    }

    async fn items(&self, _: TenantId, _: &'static str, _: Option<&str>, _: usize) -> Result<Vec<Item>, StoreError> {
        Ok(Vec::new())
    }

    async fn sweep_items(&self, _: TenantId, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }

    async fn audit_head(&self, _: TenantId) -> Result<Head, StoreError> {
        Ok(Head::NONE)
    }

    async fn audit_links(&self, _: TenantId, _: u64, _: usize) -> Result<Vec<Link>, StoreError> {
        Ok(Vec::new())
    }

    async fn changes(&self, _: TenantId, _: u64, _: usize) -> Result<ChangeLog, StoreError> {
        Err(StoreError::Unavailable("the store is closing".into()))
    }
}

fn server() -> TestServer {
    let options = Options { bind: SocketAddr::from(([127, 0, 0, 1], 0)), workers: 1, ..Options::default() };
    TestServer::over(options, tempfile::tempdir().expect("a directory"), || {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
        // Nothing is read before a write, so that it is the write that fails.
        let settings = Settings { validation: Policy::Structure, ..Settings::default() };
        let service = Service::new(Arc::new(Broken), definitions.clone(), extractor, clock, ids, settings);
        (Arc::new(service), None, definitions)
    })
}

#[test]
fn a_panic_is_a_500_and_the_server_goes_on() {
    let server = server();
    for path in ["Patient/1", "Patient?name=a", "Patient?_sort=name", "_history"] {
        let answer = server.get(path);
        answer.refuses(500, "exception");
        assert!(!answer.text().contains("secret") && !answer.text().contains(".rs"), "{}", answer.text());
        assert_eq!(answer.header("x-request-id").len(), 32);
    }
    server.get("metadata").is(200);
}

#[test]
fn a_full_store_is_507() {
    let server = server();
    let answer = server.put("POST", "Patient", &super::patient("Shaw"));
    answer.refuses(507, "no-store");
}

#[test]
fn a_store_that_takes_no_writes_is_not_ready() {
    let server = server();
    let answer = server.get("/health/ready");
    assert_eq!(answer.status, 503);
    assert!(!answer.text().contains("secret"));
    assert_eq!(server.get("/health/live").status, 200);
}
