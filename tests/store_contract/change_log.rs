//! The change log: one order, whole commits, nothing missed.

use super::world::*;
use vesta::store::{Method, StoreError};

#[test]
fn whole_commits_in_order() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        assert_eq!(store.changes(TENANT, 0, 10).await.expect("a log").position, 0);
        commit(store, vec![put(PATIENT, "a", &[]), put(PATIENT, "b", &[])]).await.expect("committed");
        commit(store, vec![put(PATIENT, "c", &[]), put(PATIENT, "d", &[]), delete(PATIENT, "a")])
            .await
            .expect("committed");
        write(store, put(PATIENT, "e", &[])).await;
        let log = async |after, limit| {
            let log = store.changes(TENANT, after, limit).await.expect("a log");
            (ids(&log.versions).join(""), log.position)
        };
        assert_eq!(log(0, 1).await, ("ab".into(), 2));
        assert_eq!(log(0, 2).await, ("ab".into(), 2));
        assert_eq!(log(0, 3).await, ("abcda".into(), 5));
        assert_eq!(log(2, 1).await, ("cda".into(), 5));
        assert_eq!(log(2, 100).await, ("cdae".into(), 6));
        assert_eq!(log(6, 100).await, (String::new(), 6));
        assert!(matches!(store.changes(TENANT, 7, 1).await, Err(StoreError::UnknownPosition)));
        let all = store.changes(TENANT, 0, 100).await.expect("a log").versions;
        assert_eq!(all.iter().map(|v| v.newest).collect::<Vec<_>>(), [false, true, true, true, true, true]);
        assert_eq!((all[4].method, all[4].version, all[4].body.is_none()), (Method::Delete, 2, true));
    });
}

#[test]
fn a_follower_misses_nothing() {
    on_every_engine(|e| async move {
        let writers: Vec<_> = (0..8)
            .map(|w| {
                let store = e.store.clone();
                tokio::spawn(async move {
                    for i in 0..50 {
                        let writes = (0..=i % 3).map(|k| put(PATIENT, &format!("w{w}-{}", (i + k) % 7), &[]));
                        commit(&*store, writes.collect()).await.expect("committed");
                    }
                })
            })
            .collect();
        let mut position = 0;
        let mut idle = 0;
        while idle < 3 {
            let finished = writers.iter().all(|w| w.is_finished());
            let log = e.store.changes(TENANT, position, 10).await.expect("a log");
            for version in &log.versions {
                position += 1;
                assert_eq!(version.number, position, "on {}", e.name);
            }
            assert_eq!(log.position, position);
            idle = if log.versions.is_empty() && finished { idle + 1 } else { 0 };
            tokio::task::yield_now().await;
        }
        for writer in writers {
            writer.await.expect("no panic");
        }
        assert_eq!(position, now(&*e.store).await.position());
        assert_eq!(position, 8 * (0..50).map(|i| i % 3 + 1).sum::<u64>());
    });
}
