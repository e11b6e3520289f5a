//! Snapshots: one moment each; what was committed is seen at once; pages join whatever is written meanwhile.

use super::world::*;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vesta::index::Condition;
use vesta::store::{Page, Query, Sort, Store, StoreError};

#[test]
fn a_snapshot_does_not_change() {
    on_every_engine(|e| async move {
        let store = &*e.store;
        write(store, put(PATIENT, "a", &[term(20, b"x")])).await;
        write(store, put(PATIENT, "b", &[term(20, b"x")])).await;
        let before = now(store).await;
        write(store, put(PATIENT, "a", &[term(20, b"y")])).await;
        write(store, delete(PATIENT, "b")).await;
        write(store, put(PATIENT, "c", &[term(20, b"x")])).await;
        for snapshot in [before, store.snapshot_at(TENANT, 2).await.expect("a snapshot")] {
            assert_eq!(snapshot.position(), 2);
            let page = snapshot.search(&query(PATIENT, has(20, "x"))).await.expect("found");
            assert_eq!((ids(&page.rows), page.total), (vec!["a", "b"], Some(2)));
            let page = snapshot.search(&query(PATIENT, Condition::Not(Box::new(has(20, "y"))))).await.expect("found");
            assert_eq!((ids(&page.rows), page.total), (vec!["a", "b"], Some(2)));
            let a = snapshot.read(PATIENT, &id("a")).await.expect("read").expect("there");
            assert_eq!((a.version, a.newest), (1, true));
            assert!(snapshot.version(PATIENT, &id("a"), 2).await.expect("read").is_none());
            assert!(!snapshot.read(PATIENT, &id("b")).await.expect("read").expect("there").is_deleted());
            assert!(snapshot.read(PATIENT, &id("c")).await.expect("read").is_none());
        }
        assert_eq!(found(store, PATIENT, has(20, "x")).await, ["c"]);
        assert!(matches!(store.snapshot_at(TENANT, 6).await, Err(StoreError::UnknownPosition)));
        let first = store.snapshot_at(TENANT, 0).await.expect("a snapshot");
        assert_eq!(first.search(&query(PATIENT, Condition::Everything)).await.expect("found").total, Some(0));
    });
}

#[test]
fn what_was_committed_is_found_at_once() {
    on_every_engine(|e| async move {
        let tasks: Vec<_> = (0..16)
            .map(|w| {
                let store = e.store.clone();
                tokio::spawn(async move {
                    for i in 0..40 {
                        let (name, value) = (format!("p{w}"), format!("{w}.{i}"));
                        write(&*store, put(PATIENT, &name, &[term(20, value.as_bytes())])).await;
                        assert_eq!(found(&*store, PATIENT, has(20, &value)).await, [name]);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

/// As many resources as are paged through, each with a key of its own.
async fn fill(store: &dyn Store) {
    for chunk in 0..paged() / 100 {
        let writes = (0..100).map(|i| {
            let n = chunk * 100 + i;
            let key = format!("{:05}", (n * 7919) % paged());
            put(PATIENT, &format!("p{n}"), &[term(20, b"x"), term(21, key.as_bytes())])
        });
        commit(store, writes.collect()).await.expect("committed");
    }
}

/// Changes, deletes, and adds, until it is told to stop.
async fn disturb(store: Arc<dyn Store>, stop: Arc<AtomicBool>) -> u64 {
    let mut dice = Dice(1);
    let mut commits = 0;
    while !stop.load(Ordering::Relaxed) {
        let n = dice.below(paged() + paged() / 10);
        let name = format!("p{n}");
        let key = format!("{:05}", dice.below(paged()));
        let change = match dice.below(3) {
            0 => delete(PATIENT, &name),
            1 => put(PATIENT, &name, &[term(20, b"y")]),
            _ => put(PATIENT, &name, &[term(20, b"x"), term(21, key.as_bytes())]),
        };
        write(&*store, change).await;
        commits += 1;
    }
    commits
}

async fn all_pages(e: &Engine, position: u64, mut page: Query) -> Vec<(String, u64)> {
    let mut seen = Vec::new();
    loop {
        // As a page link does it: a new snapshot of the old position.
        let snapshot = e.store.snapshot_at(TENANT, position).await.expect("a snapshot");
        let Page { rows, total, more } = snapshot.search(&page).await.expect("found");
        assert_eq!(total, Some(paged()));
        assert_eq!(more, rows.len() == page.limit && ((seen.len() + rows.len()) as u64) < paged());
        if page.sort.is_empty() {
            page.after = rows.last().map(|v| v.number);
        } else {
            page.skip += rows.len() as u64;
        }
        seen.extend(rows.into_iter().map(|v| (v.id.as_str().to_owned(), v.version)));
        if !more {
            return seen;
        }
    }
}

#[test]
fn paging_through_ten_thousand_while_they_change() {
    on_every_engine(|e| async move {
        fill(&*e.store).await;
        let position = now(&*e.store).await.position();
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn(disturb(e.store.clone(), stop.clone()));
        // The naive engine looks at everything for every page: larger pages for it.
        let limit = if e.name == "memory" { 1711 } else { 97 };
        let plain = Query { limit, ..query(PATIENT, has(20, "x")) };
        let sort = |descending| Sort { from: [0, 21].into(), to: [0, 22].into(), skip: 2, descending };
        for sort in [vec![], vec![sort(false)], vec![sort(true)]] {
            let sorted = !sort.is_empty();
            let descending = sort.iter().any(|s| s.descending);
            let seen = all_pages(&e, position, Query { sort, ..plain.clone() }).await;
            assert_eq!(seen.len() as u64, paged(), "on {}", e.name);
            assert!(seen.iter().all(|(_, version)| *version == 1), "as of the start");
            let once: HashMap<_, _> = seen.iter().map(|(id, v)| (id, v)).collect();
            assert_eq!(once.len() as u64, paged(), "each once");
            if sorted {
                let keys: Vec<_> =
                    seen.iter().map(|(id, _)| id[1..].parse::<u64>().expect("a number") * 7919 % paged()).collect();
                assert!(keys.windows(2).all(|k| if descending { k[0] > k[1] } else { k[0] < k[1] }));
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(writer.await.expect("no panic") > 0);
    });
}
