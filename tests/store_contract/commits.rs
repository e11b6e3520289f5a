//! Commits: all or nothing, versions that count, what is expected before, deletes.

use super::world::*;
use vesta::store::{Effect, Expect, StoreError, Transaction, Write};

#[test]
fn versions_count_from_one_and_stay_readable() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        for v in 1..=40 {
            let done =
                write(store, Write { content: Some(content(&[], &format!("v{v}"))), ..put(PATIENT, "p", &[]) }).await;
            let effect = if v == 1 { Effect::Created } else { Effect::Updated };
            assert_eq!((done.effect, done.version, done.number), (effect, v, v));
        }
        let snapshot = now(store).await;
        for v in 1..=40 {
            let found = snapshot.version(PATIENT, &id("p"), v).await.expect("read").expect("there");
            assert_eq!((found.version, found.number, found.newest), (v, v, v == 40));
            let text = String::from_utf8(found.to_json("Patient").expect("a body")).expect("text");
            assert!(text.contains(&format!("\"text\":\"v{v}\"")), "{text}");
            assert!(text.starts_with(&format!(r#"{{"resourceType":"Patient","id":"p","meta":{{"versionId":"{v}""#)));
        }
        assert!(snapshot.version(PATIENT, &id("p"), 0).await.expect("read").is_none());
        assert!(snapshot.version(PATIENT, &id("p"), 41).await.expect("read").is_none());
        assert!(snapshot.version(PATIENT, &id("q"), 1).await.expect("read").is_none());
        assert!(snapshot.read(OBSERVATION, &id("p")).await.expect("read").is_none(), "another type");
        assert_eq!(snapshot.read(PATIENT, &id("p")).await.expect("read").expect("there").version, 40);
    });
}

#[test]
fn what_fails_leaves_no_trace() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        write(store, put(PATIENT, "a", &[term(20, b"x")])).await;
        let refused = commit(
            store,
            vec![
                put(PATIENT, "b", &[term(20, b"x")]),
                put(OBSERVATION, "o", &[]),
                expecting(Expect::Version(2), put(PATIENT, "a", &[])),
                delete(PATIENT, "a"),
            ],
        )
        .await;
        // Written twice: a defect of the caller, found before anything else.
        assert!(matches!(refused, Err(StoreError::Broken(_))), "{refused:?}");
        let refused = commit(
            store,
            vec![
                put(PATIENT, "b", &[term(20, b"x")]),
                put(OBSERVATION, "o", &[]),
                expecting(Expect::Version(2), put(PATIENT, "a", &[])),
            ],
        )
        .await;
        assert_eq!(refused.map(|_| ()), Err(StoreError::VersionConflict { write: 2, current: Some(1) }));
        assert_eq!(found(store, PATIENT, has(20, "x")).await, ["a"]);
        assert!(now(store).await.read(OBSERVATION, &id("o")).await.expect("read").is_none());
        assert_eq!(now(store).await.position(), 1);
        let headless = Write { content: None, ..put(PATIENT, "c", &[]) };
        assert!(matches!(commit(store, vec![headless]).await, Err(StoreError::Broken(_))));
    });
}

#[test]
fn a_transaction_is_seen_as_a_whole() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        let writes = (0..50).map(|i| put(*[PATIENT, OBSERVATION].get(i % 2).expect("two"), &format!("r{i}"), &[]));
        let done = commit(store, writes.collect()).await.expect("committed");
        assert_eq!(done.iter().map(|d| d.number).collect::<Vec<_>>(), (1..=50).collect::<Vec<_>>());
        assert!(done.iter().all(|d| d.last_updated == done[0].last_updated));
        assert_eq!(now(store).await.position(), 50);
    });
}

#[test]
fn what_is_expected_is_checked() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        let attempt = async |expect, write: Write| {
            commit(store, vec![expecting(expect, write)]).await.map(|d| (d[0].effect, d[0].version))
        };
        let conflict = |current| Err(StoreError::VersionConflict { write: 0, current });
        for expect in [Expect::Version(1), Expect::Newest(1), Expect::Version(0)] {
            assert_eq!(attempt(expect, put(PATIENT, "p", &[])).await, conflict(None));
        }
        assert_eq!(attempt(Expect::Absent, put(PATIENT, "p", &[])).await, Ok((Effect::Created, 1)));
        assert_eq!(attempt(Expect::Absent, put(PATIENT, "p", &[])).await, conflict(Some(1)));
        assert_eq!(attempt(Expect::Absent, put(OBSERVATION, "p", &[])).await, Ok((Effect::Created, 1)));
        assert_eq!(attempt(Expect::Version(1), put(PATIENT, "p", &[])).await, Ok((Effect::Updated, 2)));
        assert_eq!(attempt(Expect::Version(1), put(PATIENT, "p", &[])).await, conflict(Some(2)));
        assert_eq!(attempt(Expect::Version(1), delete(PATIENT, "p")).await, conflict(Some(2)));
        assert_eq!(attempt(Expect::Newest(2), delete(PATIENT, "p")).await, Ok((Effect::Deleted, 3)));
        assert_eq!(attempt(Expect::Version(3), put(PATIENT, "p", &[])).await, conflict(Some(3)));
        assert_eq!(attempt(Expect::Absent, put(PATIENT, "p", &[])).await, conflict(Some(3)));
        assert_eq!(attempt(Expect::Newest(3), put(PATIENT, "p", &[])).await, Ok((Effect::Created, 4)));
        assert_eq!(attempt(Expect::Any, put(PATIENT, "p", &[])).await, Ok((Effect::Updated, 5)));
    });
}

#[test]
fn deletes_are_versions_and_happen_once() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        let nothing = write(store, delete(PATIENT, "p")).await;
        assert_eq!((nothing.effect, nothing.version, nothing.number), (Effect::Nothing, 0, 0));
        write(store, put(PATIENT, "p", &[term(20, b"x")])).await;
        let gone = write(store, delete(PATIENT, "p")).await;
        assert_eq!((gone.effect, gone.version, gone.number), (Effect::Deleted, 2, 2));
        let again = write(store, delete(PATIENT, "p")).await;
        assert_eq!((again.effect, again.version, again.number), (Effect::Nothing, 2, 2));
        assert_eq!(again.last_updated, gone.last_updated);
        let read = now(store).await.read(PATIENT, &id("p")).await.expect("read").expect("there");
        assert!(read.is_deleted() && read.newest && read.to_json("Patient").is_none());
        assert!(found(store, PATIENT, has(20, "x")).await.is_empty());
        assert!(found(store, PATIENT, vesta::index::Condition::Everything).await.is_empty());
        let back = write(store, put(PATIENT, "p", &[term(20, b"x")])).await;
        assert_eq!((back.effect, back.version), (Effect::Created, 3));
        assert_eq!(found(store, PATIENT, has(20, "x")).await, ["p"]);
    });
}

#[test]
fn tenants_know_nothing_of_each_other() {
    on_every_engine(|e| async move {
        use vesta::base::TenantId;
        let store = &*e.store;
        for (tenant, text) in [(0, "x"), (1, "y"), (u32::MAX >> 1, "z")] {
            let writes = vec![put(PATIENT, "p", &[term(20, text.as_bytes())])];
            let done = store.commit(TenantId(tenant), Transaction { writes, ..Transaction::default() }).await;
            assert_eq!(done.expect("committed")[0].number, 1);
        }
        let snapshot = store.snapshot(TenantId(1)).await.expect("a snapshot");
        assert_eq!(snapshot.search(&query(PATIENT, has(20, "y"))).await.expect("found").total, Some(1));
        assert_eq!(snapshot.search(&query(PATIENT, has(20, "x"))).await.expect("found").total, Some(0));
        let none = store.snapshot(TenantId(5)).await.expect("a snapshot");
        assert_eq!(none.position(), 0);
        assert!(none.read(PATIENT, &id("p")).await.expect("read").is_none());
    });
}

#[test]
fn time_never_goes_back() {
    on_every_engine(|e| async move {
        e.clock.set(1_000_000);
        let first = write(&*e.store, put(PATIENT, "a", &[])).await;
        e.clock.set(5);
        let second = write(&*e.store, put(PATIENT, "b", &[])).await;
        assert!(first.last_updated.0 == 1_000_000 && second.last_updated > first.last_updated);
        e.clock.set(2_000_000);
        assert_eq!(write(&*e.store, put(PATIENT, "c", &[])).await.last_updated.0, 2_000_000);
    });
}

#[test]
fn parallel_updates_of_one_resource_all_count() {
    on_every_engine(|e| async move {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let store = e.store.clone();
                tokio::spawn(async move { write(&*store, put(PATIENT, "p", &[])).await.version })
            })
            .collect();
        let mut versions = Vec::new();
        for task in tasks {
            versions.push(task.await.expect("no panic"));
        }
        versions.sort_unstable();
        assert_eq!(versions, (1..=64).collect::<Vec<_>>(), "{}", e.name);
    });
}
