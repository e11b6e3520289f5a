//! What is told of a commit whose answer was lost: looked up as long as somebody answers, however long it waited for its
//! turn before; told as not known when nobody does; and refused for good where the database gives up what takes too
//! long.

use super::until;
use crate::support::mongodb::TestDatabase;
use crate::support::proxy::{Mishap, ReplicaSet};
use mongodb::bson::{Document, doc};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vesta::base::{ResourceId, TenantId};
use vesta::definitions::Definitions;
use vesta::store::mongodb::MongoStore;
use vesta::store::{Store, StoreError};

const TENANT: TenantId = TenantId(0);

fn opened() -> Option<(TestDatabase, ReplicaSet, Arc<MongoStore>, tokio::runtime::Runtime)> {
    let database = TestDatabase::new()?;
    let set = ReplicaSet::before(database.uri())?;
    let store = Arc::new(super::store(&set.uri(database.uri())));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    Some((database, set, store, runtime.expect("a runtime")))
}

/// Whether a resource is there, as another client of the database sees it.
async fn is_there(database: &TestDatabase, n: usize) -> bool {
    let store = super::store(database.uri());
    let basic = Definitions::core().resource("Basic").expect("a type");
    let snapshot = store.snapshot(TENANT).await.expect("a snapshot");
    let id = ResourceId::new(&format!("b{n}")).expect("an id");
    snapshot.read(basic, &id).await.expect("read").is_some()
}

/// Holds the counter of the tenant for a while, as another process does whose transaction takes long.
async fn hold_the_counter(database: &TestDatabase, time: Duration) {
    let client = mongodb::Client::with_uri_str(database.uri()).await.expect("a client");
    let tenants = client.default_database().expect("a database").collection::<Document>("tenants");
    let mut session = client.start_session().await.expect("a session");
    session.start_transaction().await.expect("begun");
    let taken = tenants.update_one(doc! { "_id": 0_i64 }, doc! { "$set": { "held": true } });
    taken.session(&mut session).await.expect("taken");
    tokio::time::sleep(time).await;
    session.abort_transaction().await.expect("ended");
}

#[test]
fn a_lost_answer_is_looked_up_though_the_commit_waited_long_for_its_turn() {
    let Some((database, set, store, runtime)) = opened() else { return };
    runtime.block_on(async {
        store.commit(TENANT, super::bounds::of(0..1)).await.expect("committed");
        let mut n = 0;
        for mishap in [Mishap::DoneAndForgotten, Mishap::EndedAndForgotten, Mishap::DoneAndCut] {
            // On a busy machine patience may be at its end: that must be told as it is, and is then tried once more.
            let mut committed = false;
            while !committed {
                n += 1;
                assert!(n <= 15, "{mishap:?}: never committed");
                let before = set.happened();
                set.befall(&[mishap]);
                let began = Instant::now();
                let (writing, ()) = tokio::join!(
                    async {
                        tokio::time::sleep(Duration::from_millis(300)).await;
                        store.commit(TENANT, super::bounds::of(n..n + 1)).await
                    },
                    hold_the_counter(&database, Duration::from_secs(6)),
                );
                assert!(began.elapsed() > Duration::from_secs(6));
                let there = is_there(&database, n).await;
                match writing {
                    Ok(_) => {
                        assert!(there && set.happened() == before + 1, "{mishap:?}: {there}");
                        committed = true;
                    }
                    Err(StoreError::Unavailable(why)) => assert!(!there, "{mishap:?}: stored, and told as not: {why}"),
                    Err(StoreError::Undecided(why)) => println!("{mishap:?}: {why} ({there})"),
                    Err(error) => panic!("{mishap:?}: {error}"),
                }
                set.forget_mishaps();
            }
        }
    });
    assert!(store.looked_up() >= 2, "{}", store.looked_up());
}

#[test]
fn an_outcome_that_cannot_be_looked_up_is_told_as_not_known() {
    let Some((database, set, store, runtime)) = opened() else { return };
    runtime.block_on(async {
        store.commit(TENANT, super::bounds::of(0..1)).await.expect("committed");
        set.befall(&[Mishap::DoneAndGone]);
        let began = Instant::now();
        let told = store.commit(TENANT, super::bounds::of(1..2)).await;
        assert!(matches!(told, Err(StoreError::Undecided(_))), "{told:?}");
        println!("told as not known after {:?}", began.elapsed());
        assert!(is_there(&database, 1).await, "it was done");
        set.reachable(true);
    });
    until("it answers again", Duration::from_secs(30), || store.writable().is_ok());
    runtime.block_on(async {
        store.commit(TENANT, super::bounds::of(2..3)).await.expect("committed");
        assert!(is_there(&database, 2).await);
    });
}

#[test]
fn a_large_transaction_that_the_database_gives_up_is_refused_and_not_tried_for_ever() {
    let Some((database, set, store, runtime)) = opened() else { return };
    runtime.block_on(async {
        set.outlive(Duration::from_millis(15_500));
        let told = store.commit(TENANT, super::bounds::of(0..300)).await;
        let Err(StoreError::TooLarge(why)) = told else { panic!("not refused: {told:?}") };
        assert!(why.contains("batch") && why.contains("vesta import"), "{why}");
        assert_eq!(set.happened(), 1);
        assert!(!is_there(&database, 0).await);
        // A small one is tried again: it is not at fault.
        set.outlive(Duration::from_millis(500));
        store.commit(TENANT, super::bounds::of(0..1)).await.expect("committed");
        assert_eq!(set.happened(), 2);
        // And so is a large one that was ended early, for another reason.
        set.outlive(Duration::from_millis(500));
        store.commit(TENANT, super::bounds::of(10..310)).await.expect("committed");
        assert!(is_there(&database, 309).await);
    });
}
