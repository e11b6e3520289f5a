//! A database of its own for a test on MongoDB: at the server that `VESTA_TEST_MONGODB_URI` names. Dropped with the
//! test.

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Whether the tests are to run on it, and on nothing else.
pub fn is_asked_for() -> bool {
    std::env::var("VESTA_TEST_STORE").is_ok_and(|store| store == "mongodb")
}

/// A database that no other test uses.
pub struct TestDatabase {
    uri: String,
    name: String,
}

impl TestDatabase {
    /// A new one; none, with a word about it, where there is no server to test with.
    pub fn new() -> Option<TestDatabase> {
        static TOLD: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let Ok(server) = std::env::var("VESTA_TEST_MONGODB_URI") else {
            TOLD.call_once(|| {
                crate::support::skipped(format_args!("on mongodb: VESTA_TEST_MONGODB_URI names no replica set"))
            });
            return None;
        };
        let name = format!("vesta-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (hosts, options) = server.split_once('?').unwrap_or((&server, ""));
        let uri = format!("{}/{name}?{options}", hosts.trim_end_matches('/'));
        Some(TestDatabase { uri, name })
    }

    /// Its connection string.
    pub fn uri(&self) -> &str {
        &self.uri
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (uri, name) = (self.uri.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let client = mongodb::Client::with_uri_str(&uri).await?;
                client.database(&name).drop().await
            })
        });
        if !matches!(dropping.join(), Ok(Ok(()))) {
            eprintln!("the database {} of a test was not dropped", self.name);
        }
    }
}
