//! Backups: whole and on top of one another, restored to the end and to a point in time, in every engine; what is torn,
//! of another store or out of order is refused by name.

use super::moving::{everything, fill};
use super::world::*;
use std::path::{Path, PathBuf};
use vesta::base::{TenantId, Timestamp};
use vesta::store::moving::{self, Filled, RestoreReport, Sealing, Summary, Until};
use vesta::store::{RawStore, RawTarget, RawVersion, StoreError, Transaction};

fn sealing() -> Sealing {
    key(5).for_backups()
}

async fn save(from: &dyn RawStore, file: &Path, base: Option<&Summary>, now: i64) -> Result<Summary, StoreError> {
    let out = std::fs::File::create(file).expect("a file");
    let sealing = sealing();
    let done = moving::backup(from, out, Some(&sealing), base, Timestamp(now), &World, &mut |_, _, _| {}).await?;
    Ok(done.1.summary)
}

async fn restore(files: &[PathBuf], to: &dyn RawTarget, until: Option<Until>) -> Result<RestoreReport, StoreError> {
    let filled = Filled { store: to, name: "the target", told: Vec::new() };
    moving::restore(files, Some(&sealing()), filled, until, &World, &mut |_, _, _| {}).await
}

/// A little more in a store.
async fn more(engine: &Engine, at: i64) {
    engine.clock.set(at);
    for n in 0..5_i64 {
        let writes = vec![put(PATIENT, &format!("more{n}"), &[]), put(ENCOUNTER, "e", &[term(20, b"tag1")])];
        let audit = vec![record(&[], "more")];
        engine.store.commit(TENANT, Transaction { writes, audit, ..Transaction::default() }).await.expect("committed");
    }
    write(&*engine.store, delete(PATIENT, "more2")).await;
}

fn engines() -> Vec<Engine> {
    let mut engines = vec![memory(), embedded(), encrypted()];
    engines.extend(mongodb());
    engines
}

#[test]
fn what_was_saved_is_restored_in_every_engine() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = |name: &str| folder.path().join(name);
    for from in engines() {
        eprintln!("from {}", from.name);
        wait(async {
            fill(&from).await;
            let first = save(&*from.raw, &file("first"), None, 2_000_000).await.expect("saved");
            let at_first = everything(&*from.raw).await;
            more(&from, 3_000_000).await;
            let second = save(&*from.raw, &file("second"), Some(&first), 4_000_000).await.expect("saved");
            more(&from, 5_000_000).await;
            save(&*from.raw, &file("third"), Some(&second), 6_000_000).await.expect("saved");
            let sizes = ["first", "second"].map(|name| std::fs::metadata(file(name)).expect("there").len());
            assert!(sizes[1] < sizes[0] / 2, "{sizes:?}");
            for to in engines() {
                let report = restore(&[file("first")], &*to.raw, None).await.expect("restored");
                assert_eq!((report.versions + report.records) as usize, at_first.0.len());
                assert_eq!(everything(&*to.raw).await, at_first, "to {}", to.name);
                assert!(trail_faults(&*to.store).await.0.is_empty());
                let refused = restore(&[file("first")], &*to.raw, None).await.expect_err("it is not empty");
                assert!(refused.to_string().contains("not empty"), "{refused}");
            }
            let to = memory();
            restore(&[file("first"), file("second"), file("third")], &*to.raw, None).await.expect("restored");
            assert_eq!(everything(&*to.raw).await, everything(&*from.raw).await);
        });
    }
}

#[test]
fn a_point_in_time_is_restored_whole_commits_only() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = |name: &str| folder.path().join(name);
    wait(async {
        let from = embedded();
        fill(&from).await;
        let first = save(&*from.raw, &file("first"), None, 2_000_000).await.expect("saved");
        more(&from, 3_000_000).await;
        save(&*from.raw, &file("second"), Some(&first), 4_000_000).await.expect("saved");
        let (all, items) = everything(&*from.raw).await;
        let files = [file("first"), file("second")];
        for until in [999_999, 1_030_000, 1_060_500, 2_999_999, 3_000_002, 4_000_000] {
            let to = embedded();
            let report = restore(&files, &*to.raw, Some(Until::Instant(Timestamp(until)))).await.expect("restored");
            let there = |(log, raw): &&(TenantId, RawVersion)| log.is_trail() || raw.last_updated.0 <= until;
            let expected: Vec<_> = all.iter().filter(there).cloned().collect();
            assert_eq!(everything(&*to.raw).await, (expected.clone(), items.clone()), "until {until}");
            assert_eq!(report.cut as usize, all.len() - expected.len());
            assert!(trail_faults(&*to.store).await.0.is_empty(), "what happened stays told");
            if until == 1_060_500 {
                // It is a store like any other.
                to.clock.set(8_000_000);
                more(&to, 8_000_000).await;
            }
        }
        let beyond = restore(&files, &*memory().raw, Some(Until::Instant(Timestamp(4_000_001)))).await;
        assert!(beyond.expect_err("too late").to_string().contains("does not reach"));
    });
    // By number, of the first tenant: a commit that is not within as a whole is not there.
    wait(async {
        let from = memory();
        for n in 0..4_i64 {
            from.clock.set(1_000 * (n + 1));
            let writes = (0..3).map(|i| put(PATIENT, &format!("p{i}"), &[])).collect();
            from.store.commit(TenantId(0), Transaction { writes, ..Transaction::default() }).await.expect("committed");
            write(&*from.store, put(PATIENT, "other", &[])).await;
        }
        save(&*from.raw, &file("numbers"), None, 9_000).await.expect("saved");
        for (number, left) in [(0, 0), (2, 0), (3, 3), (5, 3), (6, 6), (12, 12)] {
            let to = memory();
            restore(&[file("numbers")], &*to.raw, Some(Until::Commit(number))).await.expect("restored");
            let position = |tenant| {
                let store = to.store.clone();
                async move { store.snapshot(tenant).await.expect("a snapshot").position() }
            };
            assert_eq!(position(TenantId(0)).await, left, "until {number}");
            // The other tenant is as it was then: its commit follows at once, with the clock standing still.
            assert_eq!(position(TENANT).await, left / 3, "until {number}");
        }
        let beyond = restore(&[file("numbers")], &*memory().raw, Some(Until::Commit(13))).await;
        assert!(beyond.expect_err("too far").to_string().contains("ends with 12 and does not reach 13"));
    });
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = |name: &str| folder.path().join(name);
    wait(async {
        let (from, other) = (memory(), memory());
        fill(&from).await;
        let first = save(&*from.raw, &file("first"), None, 2_000_000).await.expect("saved");
        more(&from, 3_000_000).await;
        let second = save(&*from.raw, &file("second"), Some(&first), 4_000_000).await.expect("saved");
        save(&*from.raw, &file("third"), Some(&second), 4_000_000).await.expect("saved");
        write(&*other.store, put(PATIENT, "x", &[])).await;
        let refused = save(&*other.raw, &file("wrong"), Some(&first), 4_000_000).await.expect_err("another store");
        assert!(refused.to_string().contains("of another store"), "{refused}");

        let whole = std::fs::read(file("first")).expect("readable");
        std::fs::write(file("torn"), &whole[..whole.len() - 20]).expect("written");
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        std::fs::write(file("changed"), changed).expect("written");
        for (names, why) in [
            (&["second"][..], "name that one before it"),
            (&["first", "third"], "not taken on top of"),
            (&["first", "first"], "whole backup: nothing can come before it"),
            (&["torn"], "torn: the file is torn"),
            (&["changed"], "changed: block 0 was changed"),
            (&["first", "missing"], "missing"),
        ] {
            let to = memory();
            let files: Vec<_> = names.iter().map(|name| file(name)).collect();
            let refused = restore(&files, &*to.raw, None).await.expect_err(why).to_string();
            assert!(refused.contains(why), "{refused}");
            assert_eq!(everything(&*to.raw).await, (vec![], vec![]));
        }
    });
}

#[test]
fn a_restore_that_was_ended_goes_on() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("file");
    wait(async {
        let from = embedded();
        fill(&from).await;
        save(&*from.raw, &file, None, 2_000_000).await.expect("saved");
        for to in engines() {
            let mut ended = 0;
            for steps in 0.. {
                let dying = super::moving::Dying::after(&*to.raw, steps);
                if restore(std::slice::from_ref(&file), &dying, None).await.is_ok() {
                    break;
                }
                ended += 1;
                if steps > 0 {
                    assert!(moving::unfinished(&*to.store).await.expect("asked").is_some());
                }
            }
            assert!(ended > 4, "{ended} were ended");
            assert_eq!(moving::unfinished(&*to.store).await, Ok(None));
            assert_eq!(everything(&*to.raw).await, everything(&*from.raw).await, "{}", to.name);
        }
    });
}
