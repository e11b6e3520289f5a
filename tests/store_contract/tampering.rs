//! Whoever can write to the files can change what they hold; the chain of the audit trail tells that it was done. The
//! checksums are made right again here, as somebody would who knows the form.

use super::world::*;
use heed::types::Bytes;
use heed::{CommitOrAbort, Database, EnvOpenOptions, RwTxn};
use std::path::Path;
use std::sync::Arc;
use vesta::base::SystemClock;
use vesta::store::embedded::{EmbeddedStore, Options};
use vesta::store::{Chain, Head, Store, Transaction};

type Rows = Database<'static, Bytes, Bytes>;

/// Changes the file of a store that is closed.
fn tamper(directory: &Path, change: impl FnOnce(&mut RwTxn, Rows, Rows)) {
    let path = directory.join("truth");
    // SAFETY: the store is closed; nobody else has the file open.
    #[allow(unsafe_code)]
    let env = unsafe { EnvOpenOptions::new().map_size(1 << 30).max_dbs(8).open(path) }.expect("opened");
    let txn = env.write_txn().expect("a transaction");
    let opened = env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
        let versions = opener.create_database::<Bytes, Bytes>(txn, Some("versions"))?;
        let meta = opener.create_database::<Bytes, Bytes>(txn, Some("meta"))?;
        Ok(CommitOrAbort::<_, ()>::Commit((versions, meta)))
    });
    let CommitOrAbort::Commit((versions, meta)) = opened.expect("opened") else { panic!("not opened") };
    let mut txn = env.write_txn().expect("a transaction");
    change(&mut txn, versions, meta);
    txn.commit().expect("committed");
}

fn key_of(number: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&TENANT.trail().0.to_be_bytes());
    key[4..].copy_from_slice(&number.to_be_bytes());
    key
}

/// What is stored of a record, without its checksum.
fn rest(txn: &RwTxn, versions: Rows, number: u64) -> Vec<u8> {
    versions.get(txn, &key_of(number)).expect("read").expect("there")[4..].to_vec()
}

/// Stores a record with a right checksum for its place.
fn store(txn: &mut RwTxn, versions: Rows, number: u64, rest: &[u8]) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&key_of(number));
    hasher.update(rest);
    let whole = [&hasher.finalize().to_le_bytes(), rest].concat();
    versions.put(txn, &key_of(number), &whole).expect("written");
}

fn opened(directory: &Path) -> EmbeddedStore {
    // Bodies stay without a dictionary, so that their text can be changed in place.
    let options = Options { train_after: 0, level: 1, ..Options::default() };
    open_with(directory, Arc::new(SystemClock), &options).expect("opened")
}

async fn append(store: &EmbeddedStore, text: &str) {
    let audit = vec![record(&[], text)];
    store.commit(TENANT, Transaction { audit, ..Transaction::default() }).await.expect("appended");
}

/// A store with ten records in its trail, and where that ended.
fn filled() -> (tempfile::TempDir, Head) {
    let directory = tempfile::tempdir().expect("a directory");
    let head = wait(async {
        let store = opened(directory.path());
        write(&store, put(PATIENT, "p", &[])).await;
        for n in 0..10 {
            append(&store, &format!("event {n}")).await;
        }
        assert_eq!(trail_faults(&store).await, (vec![], 10));
        store.audit_head(TENANT).await.expect("a head")
    });
    (directory, head)
}

/// What is found after a change.
fn faults(change: impl FnOnce(&mut RwTxn, Rows, Rows)) -> Vec<String> {
    let (directory, _) = filled();
    tamper(directory.path(), change);
    wait(async {
        let store = opened(directory.path());
        let (faults, _) = trail_faults(&store).await;
        let report = store.check(&mut |_, _| {}).expect("checked");
        assert_eq!(report.is_sound(), faults.is_empty(), "vesta check says the same: {report:?}");
        assert!(store.snapshot(TENANT.trail()).await.is_ok(), "the rest can still be looked at");
        faults
    })
}

#[test]
fn a_changed_record_is_found() {
    let found = faults(|txn: &mut RwTxn, versions, _| {
        let mut changed = rest(txn, versions, 4);
        let at = memchr::memmem::find(&changed, b"event 3").expect("the text is there");
        changed[at..at + 7].copy_from_slice(b"nothing");
        store(txn, versions, 4, &changed);
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("record 4"), "{found:?}");
}

#[test]
fn a_removed_record_is_found() {
    let found = faults(|txn: &mut RwTxn, versions, _| {
        versions.delete(txn, &key_of(6)).expect("deleted");
    });
    assert_eq!(found, ["record 6 is missing"]);
    let found = faults(|txn: &mut RwTxn, versions, _| {
        for number in 1..=3 {
            versions.delete(txn, &key_of(number)).expect("deleted");
        }
    });
    assert_eq!(found, ["the records 1 to 3 are missing"]);
}

#[test]
fn records_that_changed_places_are_found() {
    let found = faults(|txn: &mut RwTxn, versions, _| {
        let (two, three) = (rest(txn, versions, 2), rest(txn, versions, 3));
        store(txn, versions, 2, &three);
        store(txn, versions, 3, &two);
    });
    assert!(found.len() >= 2 && found[0].contains("record 2"), "{found:?}");
}

#[test]
fn a_forged_record_at_the_end_is_found() {
    let found = faults(|txn: &mut RwTxn, versions, _| {
        let last = rest(txn, versions, 10);
        store(txn, versions, 11, &last);
    });
    assert!(found.iter().any(|f| f.contains("record 11")), "{found:?}");
}

fn cut(txn: &mut RwTxn, versions: Rows) {
    for number in 8..=10 {
        versions.delete(txn, &key_of(number)).expect("deleted");
    }
}

#[test]
fn a_trail_that_was_cut_off_is_found() {
    let found = faults(|txn: &mut RwTxn, versions, _| cut(txn, versions));
    assert_eq!(found, ["the records after 7 are missing; the last was 10"]);
}

#[test]
fn a_checkpoint_finds_a_trail_that_was_cut_off_with_all_traces() {
    let (directory, checkpoint) = filled();
    tamper(directory.path(), |txn: &mut RwTxn, versions, meta| {
        cut(txn, versions);
        let note = [&b"a"[..], &TENANT.0.to_be_bytes()].concat();
        assert!(meta.delete(txn, &note).expect("deleted"));
    });
    wait(async {
        let store = opened(directory.path());
        assert_eq!(trail_faults(&store).await, (vec![], 7), "the store itself cannot know");
        let mut chain = Chain::of(TENANT);
        for link in store.audit_links(TENANT, 0, 100).await.expect("links") {
            assert_eq!(chain.follow(&link), None);
        }
        assert_eq!(chain.ends(&checkpoint).as_deref(), Some("the records after 7 are missing; the last was 10"));
        // The trail goes on behind what is left, and the checkpoint still does not fit.
        for n in 0..5 {
            append(&store, &format!("later {n}")).await;
        }
        assert_eq!(trail_faults(&store).await, (vec![], 12));
        let tenth = &store.audit_links(TENANT, 9, 1).await.expect("links")[0];
        assert_ne!(tenth.content.as_ref().expect("readable").hash, checkpoint.hash);
    });
}
