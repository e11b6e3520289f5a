//! Encryption at rest: nothing of what is stored can be read on the disk, no other key opens the store, the key can be
//! changed, and a plain store becomes an encrypted one and the other way round.

use super::world::*;
use std::path::Path;
use std::sync::Arc;
use vesta::base::SystemClock;
use vesta::store::embedded::{EmbeddedStore, MasterKey, Options, check_directory, convert, rotate};
use vesta::store::{ItemWrite, Store, StoreError, Transaction, Write};

/// What must not be found on the disk.
const SECRET: &str = "Wilhelmina-has-asthma";

fn opened(directory: &Path, key: Option<MasterKey>) -> Result<EmbeddedStore, StoreError> {
    let options = Options { train_after: 100, seal_after: 64, key, ..Options::default() };
    open_with(directory, Arc::new(SystemClock), &options)
}

/// Enough for dictionaries and segments.
async fn fill(store: &dyn Store) {
    for i in 0..300 {
        let text = format!("{SECRET}-{i}");
        let content = Some(content(&[term(20, text.as_bytes())], &text));
        let transaction = Transaction {
            writes: vec![Write { content, ..put(PATIENT, &format!("p{i}"), &[]) }],
            items: vec![ItemWrite::create("codes", format!("k{i}"), text.clone().into_bytes())],
            audit: vec![record(&[term(21, text.as_bytes())], &text)],
            ..Transaction::default()
        };
        store.commit(TENANT, transaction).await.expect("committed");
    }
    // Trails are sealed when somebody looks.
    store.snapshot(TENANT.trail()).await.expect("a snapshot");
}

async fn whole(store: &dyn Store) {
    let text = format!("{SECRET}-123");
    assert_eq!(found(store, PATIENT, has(20, &text)).await, ["p123"]);
    let item = store.item(TENANT, "codes", "k123").await.expect("read").expect("there");
    assert_eq!(item.value, text.as_bytes());
    let trail = store.snapshot(TENANT.trail()).await.expect("a snapshot");
    assert_eq!(ids(&trail.search(&query(ENCOUNTER, has(21, &text))).await.expect("found").rows), ["124"]);
    assert_eq!(trail_faults(store).await, (vec![], 300));
    assert_eq!(now(store).await.position(), 300);
}

/// How many files below a folder hold the secret, as text or as the hexadecimal digits that the tests keep terms in.
fn told(folder: &Path) -> usize {
    let hex: String = SECRET.bytes().map(|b| format!("{b:02x}")).collect();
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("readable").flatten() {
        let path = entry.path();
        if path.is_dir() {
            count += told(&path);
        } else {
            let bytes = std::fs::read(&path).expect("readable");
            let holds = |what: &[u8]| memchr::memmem::find(&bytes, what).is_some();
            count += usize::from(holds(SECRET.as_bytes()) || holds(hex.as_bytes()));
        }
    }
    count
}

#[test]
fn nothing_can_be_read_on_the_disk() {
    for (key, expected) in [(None, true), (Some(key(7)), false)] {
        let directory = tempfile::tempdir().expect("a directory");
        wait(async {
            let store = opened(directory.path(), key.clone()).expect("opened");
            fill(&store).await;
            whole(&store).await;
            drop(store);
            let segments = std::fs::read_dir(directory.path().join("index")).expect("segments").count();
            assert!(segments > 1, "{segments}");
            assert_eq!(told(directory.path()) > 0, expected, "encrypted: {}", key.is_some());
            let store = opened(directory.path(), key.clone()).expect("opened again");
            whole(&store).await;
            drop(store);
            let report = check_directory(directory.path(), Arc::new(World), key, &mut |_, _| {}).expect("checked");
            assert!(report.is_sound(), "{report:?}");
        });
    }
}

fn refusal(directory: &Path, key: Option<MasterKey>) -> String {
    match opened(directory, key) {
        Err(StoreError::Unavailable(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("opened"),
    }
}

#[test]
fn no_other_key_opens_the_store() {
    let directory = tempfile::tempdir().expect("a directory");
    drop(opened(directory.path(), Some(key(7))).expect("made"));
    assert!(refusal(directory.path(), None).contains("--encryption-key"));
    let why = refusal(directory.path(), Some(key(8)));
    assert!(why.contains(&key(7).fingerprint()) && why.contains(&key(8).fingerprint()), "{why}");
    opened(directory.path(), Some(key(7))).expect("opened");
    let plain = tempfile::tempdir().expect("a directory");
    let store = opened(plain.path(), None).expect("made");
    wait(write(&store, put(PATIENT, "p", &[])));
    drop(store);
    assert!(refusal(plain.path(), Some(key(7))).contains("vesta encryption on"));
}

#[test]
fn the_key_is_changed_without_touching_the_data() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = opened(directory.path(), Some(key(7))).expect("made");
    wait(fill(&store));
    drop(store);
    assert!(rotate(directory.path(), &key(9), &key(8)).is_err(), "the old key is needed");
    rotate(directory.path(), &key(7), &key(8)).expect("changed");
    refusal(directory.path(), Some(key(7)));
    wait(whole(&opened(directory.path(), Some(key(8))).expect("opened")));
}

#[test]
fn a_store_is_encrypted_and_decrypted() {
    let directory = tempfile::tempdir().expect("a directory");
    let store = opened(directory.path(), None).expect("made");
    wait(fill(&store));
    drop(store);
    assert!(told(directory.path()) > 0);
    assert_eq!(convert(directory.path(), None, Some(&key(7)), &mut |_, _| {}), Ok(600));
    assert_eq!(told(directory.path()), 0);
    let store = opened(directory.path(), Some(key(7))).expect("opened");
    wait(whole(&store));
    wait(write(&store, put(PATIENT, "p0", &[])));
    drop(store);
    assert!(convert(directory.path(), None, Some(&key(7)), &mut |_, _| {}).is_err(), "it is encrypted already");
    assert_eq!(convert(directory.path(), Some(&key(7)), None, &mut |_, _| {}), Ok(601));
    let store = opened(directory.path(), None).expect("opened");
    wait(async {
        assert_eq!(found(&store, PATIENT, has(20, &format!("{SECRET}-5"))).await, ["p5"]);
        assert_eq!(trail_faults(&store).await, (vec![], 300));
    });
    assert!(store.check(&mut |_, _| {}).expect("checked").is_sound());
}

#[test]
fn a_conversion_that_was_cut_off_is_ended_or_was_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let below = |name: &str| directory.path().join(name);
    let store = opened(directory.path(), None).expect("made");
    wait(fill(&store));
    drop(store);
    // Half of a copy.
    std::fs::create_dir(below("truth.new")).expect("made");
    wait(whole(&opened(directory.path(), None).expect("opened")));
    assert_eq!(convert(directory.path(), None, Some(&key(7)), &mut |_, _| {}), Ok(600));
    // Between the last two steps.
    std::fs::rename(below("truth"), below("truth.new")).expect("renamed");
    std::fs::create_dir(below("truth.old")).expect("made");
    wait(whole(&opened(directory.path(), Some(key(7))).expect("opened")));
}
