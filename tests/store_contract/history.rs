//! History of an instance, a type and the system; since, at, pages, counts.

use super::world::*;
use vesta::base::Timestamp;
use vesta::store::{Budget, HistoryQuery, HistoryScope, Limit, Place, Snapshot, StoreError, Version};

fn asked(scope: HistoryScope) -> HistoryQuery {
    HistoryQuery {
        scope,
        since: None,
        current_during: None,
        place: Place::Newest,
        limit: 1000,
        total: true,
        budget: Budget::default(),
    }
}

fn numbers(rows: &[Version]) -> Vec<u64> {
    rows.iter().map(|v| v.number).collect()
}

/// Twelve versions, each made at ten times its number:
/// Patient a at 1, 4, deleted 6, back 9; Patient b at 2, 11; Observation o at 3, 5, deleted 12; Encounter at 7, 8, 10.
async fn fill(e: &Engine) {
    let writes = [
        put(PATIENT, "a", &[]),
        put(PATIENT, "b", &[]),
        put(OBSERVATION, "o", &[]),
        put(PATIENT, "a", &[]),
        put(OBSERVATION, "o", &[]),
        delete(PATIENT, "a"),
        put(ENCOUNTER, "e", &[]),
        put(ENCOUNTER, "f", &[]),
        put(PATIENT, "a", &[]),
        put(ENCOUNTER, "e", &[]),
        put(PATIENT, "b", &[]),
        delete(OBSERVATION, "o"),
    ];
    for (i, w) in writes.into_iter().enumerate() {
        e.clock.set((i as i64 + 1) * 10);
        assert_eq!(write(&*e.store, w).await.number, i as u64 + 1);
    }
}

async fn history(snapshot: &dyn Snapshot, query: &HistoryQuery) -> (Vec<u64>, Option<u64>, bool) {
    let page = snapshot.history(query).await.expect("a history");
    (numbers(&page.rows), page.total, page.more)
}

#[test]
fn scopes_and_moments() {
    on_every_engine(|e| async move {
        fill(&e).await;
        let snapshot = now(&*e.store).await;
        let a = || HistoryScope::Instance(PATIENT, id("a"));
        let all = |n: &[u64]| (n.to_vec(), Some(n.len() as u64), false);
        assert_eq!(history(&*snapshot, &asked(a())).await, all(&[9, 6, 4, 1]));
        assert_eq!(history(&*snapshot, &asked(HistoryScope::Type(PATIENT))).await, all(&[11, 9, 6, 4, 2, 1]));
        let system: Vec<u64> = (1..=12).rev().collect();
        assert_eq!(history(&*snapshot, &asked(HistoryScope::System)).await, all(&system));
        let unknown = asked(HistoryScope::Instance(PATIENT, id("unknown")));
        assert_eq!(history(&*snapshot, &unknown).await, all(&[]));

        let since = |scope, t| HistoryQuery { since: Some(Timestamp(t)), ..asked(scope) };
        assert_eq!(history(&*snapshot, &since(a(), 40)).await, all(&[9, 6, 4]));
        assert_eq!(history(&*snapshot, &since(a(), 41)).await, all(&[9, 6]));
        assert_eq!(history(&*snapshot, &since(HistoryScope::Type(OBSERVATION), 50)).await, all(&[12, 5]));
        assert_eq!(history(&*snapshot, &since(HistoryScope::System, 115)).await, all(&[12]));
        assert_eq!(history(&*snapshot, &since(HistoryScope::System, 500)).await, all(&[]));

        let at =
            |scope, from, to| HistoryQuery { current_during: Some((Timestamp(from), Timestamp(to))), ..asked(scope) };
        assert_eq!(history(&*snapshot, &at(a(), 40, 41)).await, all(&[4]));
        assert_eq!(history(&*snapshot, &at(a(), 39, 40)).await, all(&[1]));
        assert_eq!(history(&*snapshot, &at(a(), 39, 41)).await, all(&[4, 1]));
        assert_eq!(history(&*snapshot, &at(a(), 60, 90)).await, all(&[6]), "a delete is a version");
        assert_eq!(history(&*snapshot, &at(a(), 0, 10)).await, all(&[]));
        assert_eq!(history(&*snapshot, &at(a(), 50, 50)).await, all(&[]));
        assert_eq!(history(&*snapshot, &at(HistoryScope::System, 55, 56)).await, all(&[5, 4, 2]));
        assert_eq!(history(&*snapshot, &at(HistoryScope::Type(PATIENT), 100, 1000)).await, all(&[11, 9, 2]));
    });
}

#[test]
fn pages_join_without_gap() {
    on_every_engine(|e| async move {
        fill(&e).await;
        let snapshot = now(&*e.store).await;
        // What happens later is not seen.
        write(&*e.store, put(PATIENT, "a", &[])).await;
        for scope in [HistoryScope::System, HistoryScope::Type(PATIENT), HistoryScope::Instance(PATIENT, id("a"))] {
            for during in [None, Some((Timestamp(20), Timestamp(95)))] {
                let whole = HistoryQuery { current_during: during, ..asked(scope.clone()) };
                let (all, total, _) = history(&*snapshot, &whole).await;
                assert_eq!(total, Some(all.len() as u64));
                for limit in 1..5 {
                    let mut seen = Vec::new();
                    let mut place = Place::Newest;
                    loop {
                        let page = HistoryQuery { limit, place, ..whole.clone() };
                        let (rows, total, more) = history(&*snapshot, &page).await;
                        assert_eq!(total, Some(all.len() as u64), "the total is that of all pages");
                        place = Place::Below(rows.last().copied().expect("a row"));
                        seen.extend(rows);
                        if !more {
                            break;
                        }
                    }
                    assert_eq!(seen, all, "{scope:?} by {limit} on {}", e.name);
                    let (mut back, mut above) = (Vec::new(), 0);
                    loop {
                        let page = HistoryQuery { limit, place: Place::Above(above), ..whole.clone() };
                        let (rows, total, more) = history(&*snapshot, &page).await;
                        assert_eq!(total, Some(all.len() as u64), "the total is that of all pages");
                        above = rows.first().copied().expect("a row");
                        back.splice(0..0, rows);
                        if !more {
                            break;
                        }
                    }
                    assert_eq!(back, all, "{scope:?} back by {limit} on {}", e.name);
                }
            }
        }
    });
}

#[test]
fn rows_say_whether_they_are_the_newest() {
    on_every_engine(|e| async move {
        fill(&e).await;
        let early = e.store.snapshot_at(TENANT, 6).await.expect("a snapshot");
        let page = early.history(&asked(HistoryScope::System)).await.expect("a history");
        let newest: Vec<_> = page.rows.iter().filter(|v| v.newest).map(|v| v.number).collect();
        assert_eq!(numbers(&page.rows), [6, 5, 4, 3, 2, 1]);
        assert_eq!(newest, [6, 5, 2]);
    });
}

#[test]
fn what_a_write_brought_back_is_known() {
    on_every_engine(|e| async move {
        fill(&e).await;
        write(&*e.store, put(OBSERVATION, "o", &[])).await;
        write(&*e.store, put(OBSERVATION, "o", &[])).await;
        write(&*e.store, delete(OBSERVATION, "o")).await;
        let snapshot = now(&*e.store).await;
        let page = snapshot.history(&asked(HistoryScope::System)).await.expect("a history");
        let mut back = Vec::new();
        for version in &page.rows {
            if snapshot.follows_delete(version).await.expect("an answer") {
                back.push(version.number);
            }
        }
        assert_eq!(back, [13, 9], "on {}", e.name);
    });
}

#[test]
fn a_history_ends_with_its_budget() {
    on_every_engine(|engine| async move {
        let store = &*engine.store;
        write(store, put(PATIENT, "a", &[])).await;
        let snapshot = now(store).await;
        for scope in [HistoryScope::System, HistoryScope::Type(PATIENT), HistoryScope::Instance(PATIENT, id("a"))] {
            let with = |budget: Budget| HistoryQuery { budget, ..asked(scope.clone()) };
            let free = Budget::new(Some(std::time::Duration::from_secs(60)), None);
            assert_eq!(snapshot.history(&with(free)).await.expect("in time").rows.len(), 1);
            let over = Budget::new(Some(std::time::Duration::ZERO), None);
            let refused = snapshot.history(&with(over)).await.map(|page| page.rows.len());
            assert_eq!(refused, Err(StoreError::Exceeded(Limit::Time)));
            let gone = Budget::default();
            gone.cancel();
            let refused = snapshot.history(&with(gone)).await.map(|page| page.rows.len());
            assert_eq!(refused, Err(StoreError::Exceeded(Limit::Cancelled)));
        }
    });
}
