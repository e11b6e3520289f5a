//! Several server processes on one database, each a program of its own, asked over HTTP. They run where
//! `VESTA_TEST_MONGODB_URI` names a replica set.

mod at_once;
mod bounds;
mod faults;
mod in_step;
mod indexing;
mod judging;
mod outcomes;
mod plans;
mod promises;
mod recorded;
mod search_parameters;
mod starting;

use crate::support::mongodb::TestDatabase;
use crate::support::processes::Process;
use crate::support::proxy::ReplicaSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use vesta::base::{SystemClock, TenantId};
use vesta::definitions::Definitions;
use vesta::index::Extractor;
use vesta::store::mongodb::MongoStore;
use vesta::store::{Notice, Store};

/// Three processes on a database; the first has started alone, and its greeting has the first token.
pub struct Three {
    pub a: Process,
    pub b: Process,
    pub c: Process,
    pub database: TestDatabase,
    /// What the processes were told to connect to.
    pub uri: String,
}

impl Three {
    /// Starts them, where there is a server to test with.
    pub fn start(arguments: &[&str]) -> Option<Three> {
        let database = TestDatabase::new()?;
        let uri = database.uri().to_owned();
        Some(Three::on(database, uri, arguments))
    }

    /// Starts them behind a proxy that makes the server look like a set of three.
    pub fn behind_a_proxy(arguments: &[&str]) -> Option<(Three, ReplicaSet)> {
        let database = TestDatabase::new()?;
        let set = ReplicaSet::before(database.uri())?;
        let uri = set.uri(database.uri());
        Some((Three::on(database, uri, arguments), set))
    }

    fn on(database: TestDatabase, uri: String, arguments: &[&str]) -> Three {
        let a = Process::start(&uri, arguments);
        let b = Process::start(&uri, arguments);
        let c = Process::start(&uri, arguments);
        Three { a, b, c, database, uri }
    }

    /// Asserts that the change log has every number once and goes forward in time.
    pub fn is_gapless(&self) {
        let store = store(self.database.uri());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let log = runtime.block_on(store.changes(TenantId::default(), 0, usize::MAX)).expect("a log without gaps");
        let pairs = log.versions.windows(2);
        assert!(pairs.into_iter().all(|w| w[0].number + 1 == w[1].number && w[0].last_updated <= w[1].last_updated));
        println!("{} versions in the change log", log.versions.len());
    }

    pub fn all(&self) -> [&Process; 3] {
        [&self.a, &self.b, &self.c]
    }
}

/// The store of a database, opened by this process.
pub fn store(uri: &str) -> MongoStore {
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
    MongoStore::open(uri, definitions, extractor, Arc::new(SystemClock)).expect("opened")
}

/// Does something that writes a patient and waits until a store has told of it; says how long that took.
pub fn listening(runtime: &tokio::runtime::Runtime, store: &MongoStore, write: impl FnOnce()) -> Duration {
    let mut notices = store.notices().expect("others may write");
    let patient = Definitions::core().resource("Patient").expect("a type");
    write();
    let began = Instant::now();
    runtime.block_on(async {
        let told = async {
            loop {
                match notices.next().await.expect("the store is open") {
                    Notice::Resources(_, kind) if kind == patient => return,
                    Notice::Everything => return,
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), told).await.expect("told");
    });
    began.elapsed()
}

/// Waits until something is so; says how long it took.
#[track_caller]
pub fn until(what: &str, limit: Duration, mut so: impl FnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < limit, "not so after {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
    began.elapsed()
}
