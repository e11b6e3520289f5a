//! The audit trail of a store: appended in the commits of what it tells about, numbered without gaps, chained, found
//! like resources, and apart from the log of the tenant.

use super::world::*;
use std::sync::Arc;
use vesta::base::{SystemClock, TenantId};
use vesta::store::{Chain, Expect, Head, HistoryQuery, HistoryScope, Place, Store, StoreError, Transaction};

async fn append(store: &dyn Store, texts: &[&str]) {
    let audit = texts.iter().map(|t| record(&[term(20, t.as_bytes())], t)).collect();
    store.commit(TENANT, Transaction { audit, ..Transaction::default() }).await.expect("appended");
}

#[test]
fn records_are_numbered_and_chained_in_commit_order() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        assert_eq!(store.audit_head(TENANT).await, Ok(Head::NONE));
        append(store, &["a", "b"]).await;
        append(store, &["c"]).await;
        let links = store.audit_links(TENANT, 0, 10).await.expect("links");
        assert_eq!(links.iter().map(|l| l.number).collect::<Vec<_>>(), [1, 2, 3]);
        let last = links[2].content.as_ref().expect("readable");
        let head = store.audit_head(TENANT).await.expect("a head");
        assert_eq!((head.number, head.hash, head.last_updated), (3, last.hash, last.last_updated));
        assert_eq!(store.audit_links(TENANT, 1, 1).await.expect("links")[0], links[1]);
        assert_eq!(trail_faults(store).await, (vec![], 3));
        // The same records under another tenant have other hashes.
        let mut other = Chain::of(TenantId(8));
        assert!(other.follow(&links[0]).is_some());
    });
}

#[test]
fn records_are_found_and_read_like_resources() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        append(store, &["a", "b", "a"]).await;
        let trail = store.snapshot(TENANT.trail()).await.expect("a snapshot");
        assert_eq!(trail.position(), 3);
        let page = trail.search(&query(ENCOUNTER, has(20, "a"))).await.expect("found");
        assert_eq!(ids(&page.rows), ["1", "3"]);
        let read = trail.read(ENCOUNTER, &id("2")).await.expect("read").expect("there");
        assert_eq!((read.number, read.version, read.newest), (2, 1, true));
        assert!(
            String::from_utf8(read.to_json("Encounter").expect("a body")).expect("text").contains("\"text\":\"b\"")
        );
        for unknown in ["0", "02", "4", "x"] {
            assert!(trail.read(ENCOUNTER, &id(unknown)).await.expect("read").is_none(), "{unknown}");
        }
        assert!(trail.read(PATIENT, &id("2")).await.expect("read").is_none(), "another type");
        assert!(trail.version(ENCOUNTER, &id("2"), 1).await.expect("read").is_some());
        assert!(trail.version(ENCOUNTER, &id("2"), 2).await.expect("read").is_none());
        let scope = HistoryScope::Instance(ENCOUNTER, id("3"));
        let history = HistoryQuery {
            scope,
            since: None,
            current_during: None,
            place: Place::Newest,
            limit: 10,
            total: true,
            budget: Default::default(),
        };
        assert_eq!(ids(&trail.history(&history).await.expect("history").rows), ["3"]);
        append(store, &["a"]).await;
        let page = trail.search(&query(ENCOUNTER, has(20, "a"))).await.expect("found");
        assert_eq!(ids(&page.rows), ["1", "3"], "a snapshot shows one moment");
        let later = store.snapshot(TENANT.trail()).await.expect("a snapshot");
        assert_eq!(later.search(&query(ENCOUNTER, has(20, "a"))).await.expect("found").total, Some(3));
    });
}

#[test]
fn a_trail_does_not_touch_the_log_of_its_tenant() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        write(store, put(PATIENT, "p", &[])).await;
        append(store, &["a"]).await;
        assert_eq!(now(store).await.position(), 1);
        assert_eq!(store.changes(TENANT, 0, 10).await.expect("a log").versions.len(), 1);
        assert!(now(store).await.read(ENCOUNTER, &id("1")).await.expect("read").is_none());
        let wrong = Transaction { writes: vec![put(ENCOUNTER, "1", &[])], ..Transaction::default() };
        assert!(matches!(store.commit(TENANT.trail(), wrong).await, Err(StoreError::Broken(_))));
    });
}

#[test]
fn records_and_writes_hold_or_fail_together() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        let refused = Transaction {
            writes: vec![expecting(Expect::Version(3), put(PATIENT, "p", &[]))],
            audit: vec![record(&[], "never")],
            ..Transaction::default()
        };
        assert!(matches!(store.commit(TENANT, refused).await, Err(StoreError::VersionConflict { .. })));
        assert_eq!(store.audit_head(TENANT).await, Ok(Head::NONE));
        let accepted = Transaction {
            writes: vec![put(PATIENT, "p", &[]), delete(PATIENT, "never-there")],
            audit: vec![record(&[], "one"), record(&[], "two")],
            ..Transaction::default()
        };
        store.commit(TENANT, accepted).await.expect("committed");
        assert_eq!(trail_faults(store).await, (vec![], 2));
    });
}

#[test]
fn parallel_records_form_one_chain() {
    on_every_engine(|engine| async move {
        let tasks: Vec<_> = (0..32)
            .map(|i| {
                let store = engine.store.clone();
                tokio::spawn(async move {
                    for n in 0..10 {
                        append(&*store, &[&format!("{i}-{n}")]).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("ran");
        }
        assert_eq!(trail_faults(&*engine.store).await, (vec![], 320));
        let trail = engine.store.snapshot(TENANT.trail()).await.expect("a snapshot");
        assert_eq!(trail.search(&query(ENCOUNTER, has(20, "7-3"))).await.expect("found").total, Some(1));
    });
}

#[test]
fn a_trail_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    wait(async {
        for round in 1..=3_u64 {
            let store = open(directory.path(), Arc::new(SystemClock)).expect("opened");
            // More than it takes to train a dictionary.
            for n in 0..150 {
                append(&store, &[&format!("{round}-{n}")]).await;
            }
            write(&store, put(PATIENT, "p", &[])).await;
            assert_eq!(trail_faults(&store).await, (vec![], round * 150));
            let report = store.check(&mut |_, _| {}).expect("checked");
            assert!(report.is_sound(), "{report:?}");
            let trail = store.snapshot(TENANT.trail()).await.expect("a snapshot");
            let first = trail.search(&query(ENCOUNTER, has(20, "1-77"))).await.expect("found");
            assert_eq!(ids(&first.rows), ["78"]);
        }
    });
}
