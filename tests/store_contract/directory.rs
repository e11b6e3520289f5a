//! The embedded engine and its directory: closing and opening, one process, damage, a map that grows.

use super::world::*;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use vesta::base::SystemClock;
use vesta::index::Condition;
use vesta::store::embedded::{EmbeddedStore, Options, check_directory};
use vesta::store::{Store, StoreError};

fn opened(directory: &Path) -> EmbeddedStore {
    open(directory, Arc::new(SystemClock)).expect("opened")
}

fn sound(store: &EmbeddedStore) {
    let report = store.check(&mut |_, _| {}).expect("checked");
    assert!(report.is_sound(), "{report:?}");
}

#[test]
fn everything_is_there_after_closing_and_opening() {
    let directory = tempfile::tempdir().expect("a directory");
    wait(async {
        let mut expected = Vec::new();
        for round in 0..3 {
            let store = opened(directory.path());
            for i in 0..300 {
                let n = format!("n{}", i % 150);
                write(&store, put(PATIENT, &n, &[term(20, b"x"), term(21, round.to_string().as_bytes())])).await;
                if i % 7 == 0 {
                    write(&store, delete(PATIENT, &n)).await;
                }
            }
            sound(&store);
            let now = now(&store).await;
            let all = now.search(&query(PATIENT, has(20, "x"))).await.expect("found");
            expected = ids(&all.rows).into_iter().map(str::to_owned).collect();
            assert_eq!(found(&store, PATIENT, has(21, &round.to_string())).await, expected);
            let last = now.position();
            // A snapshot keeps the directory.
            drop((store, now));
            let store = opened(directory.path());
            sound(&store);
            assert_eq!(store.snapshot(TENANT).await.expect("a snapshot").position(), last);
            assert_eq!(found(&store, PATIENT, has(20, "x")).await, expected);
            assert!(write(&store, delete(PATIENT, "unknown")).await.number == 0);
        }
        assert!(!expected.is_empty());
    });
}

#[test]
fn a_page_link_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    wait(async {
        let store = opened(directory.path());
        for i in 0..10 {
            write(&store, put(PATIENT, &format!("p{i}"), &[term(20, b"x")])).await;
        }
        write(&store, delete(PATIENT, "p3")).await;
        write(&store, put(PATIENT, "p5", &[])).await;
        drop(store);
        let store = opened(directory.path());
        let page = store.snapshot_at(TENANT, 10).await.expect("a snapshot").search(&query(PATIENT, has(20, "x"))).await;
        assert_eq!(page.expect("found").total, Some(10));
        assert_eq!(found(&store, PATIENT, has(20, "x")).await.len(), 8);
    });
}

#[test]
fn a_second_store_on_the_directory_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let first = opened(directory.path());
    match open(directory.path(), Arc::new(SystemClock)) {
        Err(StoreError::Unavailable(why)) => assert!(why.contains(&directory.path().display().to_string()), "{why}"),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened twice"),
    }
    let child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "store_contract::directory::child_that_opens", "--nocapture"])
        .env("VESTA_TEST_OPEN", directory.path())
        .output()
        .expect("started");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains("refused: the data directory") && said.contains(&std::process::id().to_string()), "{said}");
    drop(first);
    opened(directory.path());
}

/// Not a test of its own: the second process of the one above.
#[test]
fn child_that_opens() {
    let Some(directory) = std::env::var_os("VESTA_TEST_OPEN") else { return };
    match open(Path::new(&directory), Arc::new(SystemClock)) {
        Ok(_) => println!("opened"),
        Err(error) => println!("refused: {error}"),
    }
}

#[test]
fn damage_is_found_and_told() {
    let directory = tempfile::tempdir().expect("a directory");
    wait(async {
        let store = opened(directory.path());
        for i in 0..50 {
            write(&store, put(PATIENT, &format!("p{i}"), &[term(20, b"x")])).await;
        }
        damage(directory.path(), 17);
        let report = store.check(&mut |_, _| {}).expect("checked");
        assert!(report.listed.iter().any(|f| f.contains("version 17 of tenant 7")), "{report:?}");
        let read = now(&store).await.read(PATIENT, &id("p16")).await;
        assert!(matches!(&read, Err(StoreError::Broken(why)) if why.contains("version 17")), "{read:?}");
        // The others are not concerned.
        assert!(now(&store).await.read(PATIENT, &id("p15")).await.expect("read").is_some());
        let refused = commit(&store, vec![put(PATIENT, "p16", &[])]).await;
        assert!(matches!(refused, Err(StoreError::Broken(_))));
        assert_eq!(write(&store, put(PATIENT, "p15", &[])).await.version, 2);
        drop(store);
        match open(directory.path(), Arc::new(SystemClock)) {
            Err(StoreError::Broken(why)) => assert!(why.contains("version 17 of tenant 7"), "{why}"),
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("a damaged store was opened"),
        }
        let report = check_directory(directory.path(), Arc::new(World), None, &mut |_, _| {}).expect("checked");
        assert_eq!(report.versions, 51);
        assert!(report.listed.iter().any(|f| f.contains("version 17 of tenant 7")), "{report:?}");
    });
}

/// Flips a bit in the middle of a record, past the engine.
fn damage(directory: &Path, number: u64) {
    let data = directory.join("truth/data.mdb");
    let bytes = std::fs::read(&data).expect("read");
    // The record's key stands before it: tenant and number, big-endian.
    let key = [&TENANT.0.to_be_bytes()[..], &number.to_be_bytes()].concat();
    let places: Vec<_> = memchr::memmem::find_iter(&bytes, &key).collect();
    assert!(!places.is_empty(), "the record is in the file");
    use std::os::unix::fs::FileExt;
    let file = std::fs::OpenOptions::new().write(true).open(&data).expect("opened");
    // Old pages may still hold the record: all copies are damaged.
    for place in places {
        let at = place + key.len() + 20;
        file.write_at(&[bytes[at] ^ 0x10], at as u64).expect("written");
    }
}

#[test]
fn the_map_grows_when_it_is_full() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options { map_size: 256 << 10, train_after: 0, ..Options::default() };
    let store = Arc::new(open_with(directory.path(), Arc::new(SystemClock), &options).expect("opened"));
    wait(async {
        let mut dice = Dice(3);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move {
                    for i in 0..3_000 {
                        let _ = now(&*store).await.read(PATIENT, &id(&format!("p{}", i % 300))).await.expect("read");
                    }
                })
            })
            .collect();
        for i in 0..300 {
            let noise: String = (0..1_500).map(|_| char::from(b'a' + dice.below(26) as u8)).collect();
            let content = Some(content(&[term(20, b"x")], &noise));
            write(&*store, vesta::store::Write { content, ..put(PATIENT, &format!("p{i}"), &[]) }).await;
        }
        for reader in readers {
            reader.await.expect("no panic");
        }
        sound(&store);
        assert!(store.file_size() > 256 << 10);
        assert_eq!(found(&*store, PATIENT, has(20, "x")).await.len(), 300);
    });
}

#[test]
fn dictionaries_are_trained_and_kept() {
    let directory = tempfile::tempdir().expect("a directory");
    wait(async {
        let text = |i: u32| format!("a sentence that is in every resource, as forms are, and the number {i}");
        let resource = |i: u32| {
            let content = Some(content(&[term(20, b"x")], &text(i)));
            vesta::store::Write { content, ..put(OBSERVATION, &format!("o{i}"), &[]) }
        };
        for round in 0..2 {
            let store = opened(directory.path());
            for i in 0..400 {
                write(&store, resource(round * 400 + i)).await;
            }
        }
        let store = opened(directory.path());
        sound(&store);
        let snapshot = now(&store).await;
        for i in [0, 199, 350, 799] {
            let version = snapshot.read(OBSERVATION, &id(&format!("o{i}"))).await.expect("read").expect("there");
            let json = String::from_utf8(version.to_json("Observation").expect("a body")).expect("text");
            assert!(json.contains(&text(i)), "{json}");
        }
        let all = snapshot.search(&query(OBSERVATION, Condition::Everything)).await.expect("found");
        assert_eq!(all.total, Some(800));
    });
}
