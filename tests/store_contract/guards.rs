//! Guards: conditional forms are safe under parallel writers.

use super::world::*;
use vesta::index::Condition;
use vesta::store::{Effect, Expect, Guard, Method, Store, StoreError, Transaction, Write};

fn guarded(writes: Vec<Write>, condition: Condition, as_of: u64) -> Transaction {
    Transaction { writes, guards: vec![Guard { kind: PATIENT, condition, as_of }], ..Transaction::default() }
}

/// A conditional create as the interaction does it: search, then create under a guard, and again if it fails.
async fn create_once(store: &dyn Store, name: &str) -> bool {
    loop {
        let snapshot = now(store).await;
        let criteria = has(20, "the one");
        if snapshot.search(&query(PATIENT, criteria.clone())).await.expect("found").total != Some(0) {
            return false;
        }
        let write = Write {
            method: Method::Create,
            expect: Expect::Absent,
            ..put(PATIENT, name, &[term(20, b"the one"), term(21, name.as_bytes())])
        };
        match store.commit(TENANT, guarded(vec![write], criteria, snapshot.position())).await {
            Ok(done) => {
                assert_eq!(done[0].effect, Effect::Created);
                return true;
            }
            Err(StoreError::GuardFailed(0)) => continue,
            Err(other) => panic!("{other}"),
        }
    }
}

#[test]
fn of_64_parallel_conditional_creates_one_creates() {
    for round in 0..8 {
        on_every_engine(|e| async move {
            // Other writers come in between.
            let noise = e.store.clone();
            let noise = tokio::spawn(async move {
                for i in 0..50 {
                    write(&*noise, put(PATIENT, &format!("n{i}"), &[term(20, b"another")])).await;
                }
            });
            let tasks: Vec<_> = (0..64)
                .map(|i| {
                    let store = e.store.clone();
                    tokio::spawn(async move { create_once(&*store, &format!("p{i}")).await })
                })
                .collect();
            let mut created = 0;
            for task in tasks {
                created += u32::from(task.await.expect("no panic"));
            }
            noise.await.expect("no panic");
            assert_eq!(created, 1, "round {round} on {}", e.name);
            assert_eq!(found(&*e.store, PATIENT, has(20, "the one")).await.len(), 1);
        });
    }
}

#[test]
fn a_guard_sees_only_what_came_after_and_still_is() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        let x = || has(20, "x");
        let mut n = 0;
        let mut attempt = async |as_of| {
            n += 1;
            let writes = vec![put(OBSERVATION, &format!("o{n}"), &[])];
            store.commit(TENANT, guarded(writes, x(), as_of)).await.map(|_| ())
        };
        let failed = Err(StoreError::GuardFailed(0));
        let a = write(store, put(PATIENT, "a", &[term(20, b"x")])).await.number;
        assert_eq!(attempt(a).await, Ok(()), "what was there before does not count");
        assert_eq!(attempt(0).await, failed, "what came after does");
        write(store, put(PATIENT, "a", &[term(20, b"y")])).await;
        assert_eq!(attempt(0).await, Ok(()), "it does not match any more");
        write(store, put(OBSERVATION, "b", &[term(20, b"x")])).await;
        assert_eq!(attempt(0).await, Ok(()), "another type");
        write(store, put(PATIENT, "a", &[term(20, b"x")])).await;
        assert_eq!(attempt(a).await, failed, "it matches again");
        write(store, delete(PATIENT, "a")).await;
        assert_eq!(attempt(0).await, Ok(()), "deleted");
        // A transaction's own writes do not break its guards.
        let position = now(store).await.position();
        let own = guarded(vec![put(PATIENT, "c", &[term(20, b"x")])], x(), position);
        assert!(store.commit(TENANT, own).await.is_ok());
    });
}

#[test]
fn a_guard_that_asks_about_other_resources_fails_after_any_commit() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        write(store, put(OBSERVATION, "o", &[])).await;
        let chain = || Condition::Chain {
            parameter: SUBJECT,
            targets: vec![OBSERVATION],
            condition: Box::new(Condition::Everything),
        };
        let writes = || vec![put(PATIENT, "p", &[])];
        let refused = store.commit(TENANT, guarded(writes(), chain(), 0)).await;
        assert_eq!(refused.map(|_| ()), Err(StoreError::GuardFailed(0)));
        assert!(store.commit(TENANT, guarded(writes(), chain(), 1)).await.is_ok());
    });
}
