//! The sealed segments of the embedded engine: whatever happens to their files, the answers stay the same, and the
//! truth is all that is needed to make them again.

use super::differential::{LARGE, SMALL, Size, commits, question};
use super::world::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vesta::base::{ResourceId, TenantId, Timestamp};
use vesta::definitions::TypeId;
use vesta::index::{Condition, Term, Terms};
use vesta::json::Value;
use vesta::store::embedded::{EmbeddedStore, Options, check_directory};
use vesta::store::{ItemWrite, Store, Transaction, Vocabulary, Write};

/// A world in a directory, and the naive engine with the same.
struct Twins {
    naive: Engine,
    directory: tempfile::TempDir,
    history: Vec<Vec<Write>>,
    size: Size,
    seed: u64,
}

impl Twins {
    fn new(seed: u64, size: Size) -> Twins {
        let directory = tempfile::tempdir().expect("a directory");
        Twins { naive: memory(), directory, history: commits(seed, size), size, seed }
    }

    fn index(&self) -> PathBuf {
        self.directory.path().join("index")
    }

    fn open(&self, options: &Options) -> EmbeddedStore {
        open_with(self.directory.path(), self.naive.clock.clone(), options).expect("opened")
    }

    /// Commits some of the history to both.
    async fn write(&self, store: &EmbeddedStore, commits: std::ops::Range<usize>) {
        for i in commits {
            self.naive.clock.set(i as i64 * 10);
            commit(&*self.naive.store, self.history[i].clone()).await.expect("committed");
            commit(store, self.history[i].clone()).await.expect("committed");
        }
    }

    /// Asks both the same.
    async fn compare(&self, store: &EmbeddedStore, questions: u64) {
        let last = now(&*self.naive.store).await.position();
        assert_eq!(now(store).await.position(), last);
        let mut dice = Dice(self.seed ^ 0x5E6);
        for _ in 0..questions {
            let position = if dice.below(2) == 0 { last } else { dice.below(last + 1) };
            let query = question(&mut dice, self.size, position);
            let naive = self.naive.store.snapshot_at(TENANT, position).await.expect("a snapshot");
            let other = store.snapshot_at(TENANT, position).await.expect("a snapshot");
            let (naive, other) =
                (naive.search(&query).await.expect("found"), other.search(&query).await.expect("found"));
            assert_eq!(format!("{naive:?}"), format!("{other:?}"), "at {position}: {query:?}");
        }
        let report = store.check(&mut |_, _| {}).expect("checked");
        assert!(report.is_sound(), "{report:?}");
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).map(|e| e.flatten().map(|e| e.path()).collect::<Vec<_>>());
    let mut files = entries.unwrap_or_default();
    files.sort();
    files
}

#[test]
fn a_store_that_is_closed_and_opened_again_and_again_answers_as_before() {
    for seed in 0..6 {
        let twins = Twins::new(seed, SMALL);
        wait(async {
            for (round, seal_after) in [3, 40, 1, 16_384, 11, 2].into_iter().enumerate() {
                let store = twins.open(&sealed_after(seal_after));
                twins.compare(&store, 15).await;
                twins.write(&store, round * 20..round * 20 + 20).await;
                twins.compare(&store, 15).await;
            }
            let store = twins.open(&Options::default());
            twins.compare(&store, 60).await;
        });
        assert!(!files(&twins.index()).is_empty(), "there are segments");
    }
}

#[test]
fn segments_are_merged_and_old_ones_removed() {
    let twins = Twins::new(31, LARGE);
    wait(async {
        let store = twins.open(&sealed_after(50));
        twins.write(&store, 0..40).await;
        twins.compare(&store, 20).await;
        // Sealing and merging go on beside; some time later there are few files.
        let until = Instant::now() + Duration::from_secs(30);
        while files(&twins.index()).len() > 12 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(files(&twins.index()).len() <= 12, "{:?}", files(&twins.index()));
        twins.compare(&store, 40).await;
        drop(store);
        twins.compare(&twins.open(&sealed_after(50)), 40).await;
    });
}

/// A world whose versions are in a few segments, closed.
fn sealed_world() -> Twins {
    let twins = Twins::new(9, SMALL);
    wait(async {
        for round in 0..3 {
            let store = twins.open(&sealed_after(60));
            twins.write(&store, round * 40..round * 40 + 40).await;
        }
    });
    assert!(files(&twins.index()).len() > 1, "{:?}", files(&twins.index()));
    twins
}

#[test]
fn a_missing_segment_is_made_again() {
    let twins = sealed_world();
    for i in 0..files(&twins.index()).len() {
        let Some(path) = files(&twins.index()).get(i).cloned() else { break };
        std::fs::remove_file(path).expect("removed");
        wait(async { twins.compare(&twins.open(&sealed_after(60)), 30).await });
    }
    std::fs::remove_dir_all(twins.index()).expect("removed");
    wait(async { twins.compare(&twins.open(&sealed_after(60)), 30).await });
    assert!(!files(&twins.index()).is_empty());
}

#[test]
fn a_damaged_segment_is_not_trusted_and_made_again() {
    let twins = sealed_world();
    let whole: Vec<_> =
        files(&twins.index()).into_iter().map(|p| (p.clone(), std::fs::read(&p).expect("read"))).collect();
    let mut dice = Dice(5);
    for round in 0..40_u64 {
        for old in files(&twins.index()) {
            std::fs::remove_file(old).expect("removed");
        }
        whole.iter().for_each(|(path, bytes)| std::fs::write(path, bytes).expect("written"));
        let (path, bytes) = dice.pick(&whole);
        let at = dice.below(bytes.len() as u64) as usize;
        let mut damaged = bytes.clone();
        match round % 4 {
            0 => damaged.truncate(at),
            1 => damaged[at..].fill(0),
            // The form of another program, or of another time.
            2 => damaged[14] = b'0',
            _ => damaged[at] ^= 1 << dice.below(8),
        }
        std::fs::write(path, &damaged).expect("written");
        wait(async { twins.compare(&twins.open(&sealed_after(60)), 6).await });
        assert!(files(&twins.index()).iter().all(|p| std::fs::read(p).expect("read") != damaged) || damaged == *bytes);
    }
}

#[test]
fn a_segment_of_other_data_or_other_terms_is_not_used() {
    let twins = sealed_world();
    let other = sealed_world();
    // The same numbers, other resources.
    let changed = Twins::new(10, SMALL);
    wait(async {
        let store = changed.open(&sealed_after(60));
        changed.write(&store, 0..120).await;
    });
    for old in files(&changed.index()) {
        std::fs::remove_file(old).expect("removed");
    }
    for path in files(&other.index()) {
        std::fs::copy(&path, changed.index().join(path.file_name().expect("a name"))).expect("copied");
    }
    wait(async { changed.compare(&changed.open(&sealed_after(60)), 30).await });

    // Terms that changed, said or not.
    for schema in [0, 1] {
        let found = |store: &EmbeddedStore| {
            wait(async { found(store, OBSERVATION, Condition::Term(term(99, b"new"))).await.len() })
        };
        let before = wait(async { found_all(&twins.open(&sealed_after(60))).await });
        let vocabulary = Wider::new(schema, true);
        let clock = twins.naive.clock.clone();
        let options = sealed_after(60);
        let store = EmbeddedStore::open_with(twins.directory.path(), vocabulary, clock, &options, &mut |_, _| {});
        assert_eq!(found(&store.expect("opened")), before, "schema {schema}");
        wait(async { twins.compare(&twins.open(&sealed_after(60)), 10).await });
    }
}

async fn found_all(store: &EmbeddedStore) -> usize {
    found(store, OBSERVATION, Condition::Everything).await.len()
}

/// The same world, but resources have one more term, from the beginning or from some time on.
struct Wider {
    schema: AtomicU64,
    wide: AtomicBool,
    /// What was shown to it at the start.
    learned: Mutex<Vec<String>>,
}

impl Wider {
    fn new(schema: u64, wide: bool) -> Arc<Wider> {
        let (schema, wide) = (AtomicU64::new(schema), AtomicBool::new(wide));
        Arc::new(Wider { schema, wide, learned: Mutex::default() })
    }
}

impl Vocabulary for Wider {
    fn name(&self, kind: TypeId) -> &str {
        World.name(kind)
    }

    fn kind(&self, name: &str) -> Option<TypeId> {
        World.kind(name)
    }

    fn extract(&self, kind: TypeId, resource: Value<'_>) -> Terms {
        let mut terms = World.extract(kind, resource);
        if self.wide.load(Ordering::SeqCst) {
            terms.insert(term(99, b"new"));
        }
        terms
    }

    fn stamp(&self, terms: &mut Terms, kind: TypeId, id: &ResourceId, updated: Timestamp) {
        World.stamp(terms, kind, id, updated);
    }

    fn id_term(&self, kind: TypeId, id: &str) -> Term {
        World.id_term(kind, id)
    }

    fn id_of<'t>(&self, term: &'t Term) -> Option<&'t str> {
        World.id_of(term)
    }

    fn reference_term(&self, parameter: u16, target: TypeId, id: &str) -> Term {
        World.reference_term(parameter, target, id)
    }

    fn target_of<'t>(&self, term: &'t Term) -> Option<(TypeId, &'t str)> {
        World.target_of(term)
    }

    fn schema(&self) -> u64 {
        self.schema.load(Ordering::SeqCst)
    }

    fn defined_by(&self) -> Option<(&'static str, &'static str)> {
        Some(("definition", "terms"))
    }

    fn learn(&self, item: &[u8]) {
        let text = std::str::from_utf8(item).expect("text");
        self.learned.lock().expect("no panic").push(text.to_owned());
    }
}

#[test]
fn what_has_other_terms_is_indexed_again_beside_everything_else() {
    let twins = Twins::new(21, SMALL);
    let vocabulary = Wider::new(1, false);
    let open = || {
        let clock = twins.naive.clock.clone();
        let options = sealed_after(60);
        EmbeddedStore::open_with(twins.directory.path(), vocabulary.clone(), clock, &options, &mut |_, _| {})
            .expect("opened")
    };
    let new = || Condition::Term(term(99, b"new"));
    wait(async {
        let store = open();
        twins.write(&store, 0..100).await;
        assert!(found(&store, OBSERVATION, new()).await.is_empty());
        assert!(store.indexing().is_done());
        vocabulary.schema.store(2, Ordering::SeqCst);
        vocabulary.wide.store(true, Ordering::SeqCst);
        store.reindex().expect("asked");
        // Whoever writes meanwhile has the new terms already.
        for n in 0.. {
            let name = format!("later{n}");
            write(&store, put(OBSERVATION, &name, &[term(20, b"x"), term(99, b"new")])).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
            if store.indexing().is_done() {
                break;
            }
        }
        let indexing = store.indexing();
        assert!(indexing.all > 100 && indexing.done == indexing.all, "{indexing:?}");
        let all = found_all(&store).await;
        assert_eq!(found(&store, OBSERVATION, new()).await.len(), all);
        let report = store.check(&mut |_, _| {}).expect("checked");
        assert!(report.is_sound(), "{report:?}");
        let items = vec![ItemWrite::create("definition", "terms", b"wide".to_vec())];
        store.commit(TenantId::default(), Transaction { items, ..Transaction::default() }).await.expect("committed");
        drop(store);
        let before: Vec<_> =
            files(&twins.index()).iter().map(|p| p.metadata().expect("a file").modified().ok()).collect();
        let store = open();
        let after: Vec<_> =
            files(&twins.index()).iter().map(|p| p.metadata().expect("a file").modified().ok()).collect();
        assert!(before == after, "nothing was made again");
        assert_eq!(found(&store, OBSERVATION, new()).await.len(), all);
        assert_eq!(*vocabulary.learned.lock().expect("no panic"), ["wide"], "shown once it was there");
    });
}

#[test]
fn a_full_disk_harms_nothing() {
    let twins = Twins::new(12, SMALL);
    wait(async {
        // Room for small segments, not for merged ones; for none; no directory at all.
        for (round, room) in [6_000, 0, 100, u64::MAX].into_iter().enumerate() {
            let options = Options { segment_room: room, ..sealed_after(7) };
            let store = twins.open(&options);
            twins.write(&store, round * 20..round * 20 + 20).await;
            twins.compare(&store, 20).await;
            drop(store);
            let sizes = files(&twins.index()).into_iter().map(|p| p.metadata().map_or(0, |m| m.len()));
            assert!(round > 0 || sizes.max().unwrap_or(0) <= room, "larger than there is room");
            assert!(files(&twins.index()).iter().all(|p| p.extension().is_some_and(|e| e == "segment")));
            twins.compare(&twins.open(&options), 20).await;
        }
        std::fs::remove_dir_all(twins.index()).expect("removed");
        std::fs::write(twins.index(), "no directory").expect("written");
        let store = twins.open(&sealed_after(7));
        twins.write(&store, 80..120).await;
        twins.compare(&store, 20).await;
    });
}

#[test]
fn without_files_nothing_is_written() {
    let twins = Twins::new(13, SMALL);
    let options = Options { segment_files: false, ..sealed_after(7) };
    wait(async {
        let store = twins.open(&options);
        twins.write(&store, 0..60).await;
        twins.compare(&store, 20).await;
        drop(store);
        twins.compare(&twins.open(&options), 20).await;
    });
    assert!(!twins.index().exists());
}

#[test]
fn a_check_reads_segments_and_writes_nothing() {
    let twins = sealed_world();
    let before: Vec<_> = files(&twins.index()).into_iter().map(|p| std::fs::read(p).expect("read")).collect();
    let first = files(&twins.index()).remove(0);
    let report = check_directory(twins.directory.path(), Arc::new(World), None, &mut |_, _| {}).expect("checked");
    assert!(report.is_sound() && report.versions > 100, "{report:?}");
    let after: Vec<_> = files(&twins.index()).into_iter().map(|p| std::fs::read(p).expect("read")).collect();
    assert!(before == after, "the check changed the index");
    std::fs::write(&first, "damaged").expect("written");
    let report = check_directory(twins.directory.path(), Arc::new(World), None, &mut |_, _| {}).expect("checked");
    assert!(report.listed.iter().any(|f| f.contains("segment")), "{report:?}");
    assert_eq!(std::fs::read(&first).expect("read"), b"damaged");
}
