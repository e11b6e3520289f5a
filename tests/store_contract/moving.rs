//! Moving a store: copied between all engines, both ways, it is the same store; an ended copy is gone on with.

use super::world::*;
use async_trait::async_trait;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use vesta::base::{SystemClock, TenantId, Timestamp};
use vesta::store::embedded::EmbeddedReader;
use vesta::store::moving::{self, CopyReport, Filled};
use vesta::store::{
    AuditRecord, Expect, HistoryQuery, HistoryScope, ItemWrite, Place, RawItem, RawStore, RawTarget, RawVersion, Still,
    Store, StoreError, Taker, Transaction,
};

/// How an engine is had.
type Open = fn() -> Option<Engine>;

const ENGINES: [Open; 4] = [|| Some(memory()), || Some(sealing(40)), || Some(encrypted()), mongodb];

/// Writes of two tenants: versions, deletes, commits of several, records, items (some of them over).
pub async fn fill(engine: &Engine) {
    let mut dice = Dice(11);
    for n in 0..120_i64 {
        engine.clock.set(1_000_000 + n * 1_000);
        let tenant = *dice.pick(&[TENANT, TENANT, TenantId(9)]);
        let mut writes = Vec::new();
        for slot in 0..1 + dice.below(4) {
            let name = format!("p{slot}-{}", dice.below(6));
            let tag = term(20, format!("tag{}", dice.below(3)).as_bytes());
            let kind = *dice.pick(&[PATIENT, OBSERVATION]);
            let write = match dice.below(5) {
                0 => delete(kind, &name),
                1 => put(kind, &name, &[tag, refers_to(PATIENT, "p0-1")]),
                _ => put(kind, &name, &[tag]),
            };
            writes.push(write);
        }
        let audit = vec![record(&[term(22, n.to_string().as_bytes())], &format!("r{n}")); 1 + dice.below(2) as usize];
        let name = format!("i{}", dice.below(9));
        let items = match engine.store.item(tenant, "sessions", &name).await.expect("read") {
            Some(there) if dice.below(4) == 0 => vec![ItemWrite::delete("sessions", &there)],
            Some(there) => vec![ItemWrite::replace("sessions", &there, vec![n as u8; 5])],
            None => vec![ItemWrite::create("sessions", name, vec![0, n as u8]).until(Timestamp(1_000_000 + n * 1_500))],
        };
        engine.store.commit(tenant, Transaction { writes, audit, items, guards: vec![] }).await.expect("committed");
    }
    let account = ItemWrite::create("users", "amy", b"a secret".to_vec());
    let last = Transaction { items: vec![account], ..Transaction::default() };
    engine.store.commit(TENANT, last).await.expect("committed");
}

/// Everything that is in a store, as it is.
pub async fn everything(store: &dyn RawStore) -> (Vec<(TenantId, RawVersion)>, Vec<RawItem>) {
    let (mut ends, mut items, mut versions) = (Vec::new(), Vec::new(), Vec::new());
    let mut take = |part: Still| {
        match part {
            Still::End(log, last) => ends.push((log, last.number)),
            Still::Item(item) => items.push(item),
        }
        Ok(())
    };
    store.still(&mut take).await.expect("a moment");
    for (log, end) in ends {
        let mut after = 0;
        while after < end {
            let some = store.raw_versions(log, after, end).await.expect("versions");
            after += some.len() as u64;
            versions.extend(some.into_iter().map(|raw| (log, raw)));
        }
        assert_eq!(versions.last().map(|(_, raw)| raw.number), Some(end));
    }
    items.sort_by(|a, b| (a.tenant, &a.collection, &a.item.key).cmp(&(b.tenant, &b.collection, &b.item.key)));
    (versions, items)
}

async fn copy(from: &dyn RawStore, to: &dyn RawTarget) -> Result<CopyReport, StoreError> {
    copy_telling(from, to, Vec::new()).await
}

async fn copy_telling(
    from: &dyn RawStore,
    to: &dyn RawTarget,
    told: Vec<AuditRecord>,
) -> Result<CopyReport, StoreError> {
    let filled = Filled { store: to, name: "the target", told };
    moving::copy(from, "the source", filled, &World, &mut |_, _, _| {}).await
}

/// What searches, reads, histories and the change log answer.
async fn answers(store: &dyn Store) -> Vec<String> {
    let mut all = Vec::new();
    for tenant in [TENANT, TenantId(9)] {
        for position in [10, 40, u64::MAX] {
            let snapshot = match position {
                u64::MAX => store.snapshot(tenant).await.expect("a snapshot"),
                earlier => store.snapshot_at(tenant, earlier).await.expect("a snapshot"),
            };
            for kind in [PATIENT, OBSERVATION] {
                for condition in [has(20, "tag1"), refers_to_any()] {
                    all.push(format!("{:?}", snapshot.search(&query(kind, condition)).await.expect("found")));
                }
            }
            let scope = HistoryScope::System;
            let history = HistoryQuery {
                scope,
                since: None,
                current_during: None,
                place: Place::Newest,
                limit: 500,
                total: true,
                budget: Default::default(),
            };
            all.push(format!("{:?}", snapshot.history(&history).await.expect("history")));
        }
        all.push(format!("{:?}", store.changes(tenant, 0, 1000).await.expect("a log")));
        all.push(format!("{:?}", store.changes(tenant, 3, 1).await.expect("a log")));
        let trail = store.snapshot(tenant.trail()).await.expect("a snapshot");
        all.push(format!("{:?}", trail.search(&query(ENCOUNTER, has(22, "17"))).await.expect("found")));
    }
    all
}

fn refers_to_any() -> vesta::index::Condition {
    vesta::index::Condition::Term(refers_to(PATIENT, "p0-1"))
}

#[test]
fn a_copy_is_the_same_store_in_every_engine() {
    for from in ENGINES {
        for to in ENGINES {
            let Some((from, to)) = from().zip(to()) else { continue };
            eprintln!("{} to {}", from.name, to.name);
            wait(async {
                fill(&from).await;
                let before = everything(&*from.raw).await;
                let report = copy(&*from.raw, &*to.raw).await.expect("copied");
                assert_eq!((report.versions + report.records) as usize, before.0.len());
                assert_eq!((report.items as usize, report.kept), (before.1.len(), 0));
                assert!(before.0.iter().any(|(_, raw)| raw.commit != raw.number) && before.1.len() > 5);
                assert_eq!(everything(&*to.raw).await, before);
                assert_eq!(everything(&*from.raw).await, before, "the source is as it was");
                assert_eq!(answers(&*to.store).await, answers(&*from.store).await);
                let (faults, records) = trail_faults(&*to.store).await;
                assert!(faults.is_empty() && records > 50, "{faults:?}");
                // Both go on alike: the next version, number and record.
                for engine in [&from, &to] {
                    engine.clock.set(9_000_000);
                    let audit = vec![record(&[], "after")];
                    let writes = vec![put(PATIENT, "p0-1", &[]), put(ENCOUNTER, "new", &[])];
                    let more = Transaction { writes, audit, ..Transaction::default() };
                    engine.store.commit(TENANT, more).await.expect("committed");
                    assert!(trail_faults(&*engine.store).await.0.is_empty());
                }
                assert_eq!(everything(&*to.raw).await, everything(&*from.raw).await);
                let refused = copy(&*from.raw, &*to.raw).await.expect_err("it is not empty");
                assert!(refused.to_string().contains("the target is not empty"), "{refused}");
            });
        }
    }
}

#[test]
fn a_whole_copy_has_been_told_of_and_one_that_cannot_be_told_of_is_not_whole() {
    for engine in ENGINES {
        let Some((from, to)) = engine().zip(engine()) else { continue };
        wait(async {
            fill(&from).await;
            let before = everything(&*from.raw).await;
            let told = || vec![record(&[], "copied")];
            let mut steps = 0;
            while copy_telling(&*from.raw, &Dying::after(&*to.raw, steps), told()).await.is_err() {
                let note = moving::unfinished(&*to.store).await.expect("answers");
                let untold = everything(&*to.raw).await.0.len() <= before.0.len();
                assert!(untold && (note.is_some() || steps == 0), "{} after {steps}", to.name);
                steps += 1;
            }
            assert_eq!(moving::unfinished(&*to.store).await.expect("answers"), None);
            let mut after = everything(&*to.raw).await;
            // The first tenant's, whoever else has data there.
            let trail = TenantId::default().trail();
            let end = after.0.iter().rposition(|(log, _)| *log == trail).expect("a trail");
            let (_, last) = after.0.remove(end);
            let is_of_trail = |(log, _): &&(TenantId, RawVersion)| *log == trail;
            assert_eq!(last.number as usize, before.0.iter().filter(is_of_trail).count() + 1, "{}", to.name);
            assert!(after == before, "{}: all else is the same", to.name);
            assert!(trail_faults(&*to.store).await.0.is_empty());
        });
    }
}

/// A target that fails after so many writes, as if the process had ended there.
pub struct Dying<'t>(&'t dyn RawTarget, AtomicUsize);

impl<'t> Dying<'t> {
    pub fn after(to: &'t dyn RawTarget, steps: usize) -> Dying<'t> {
        Dying(to, AtomicUsize::new(steps))
    }

    fn step(&self) -> Result<(), StoreError> {
        let left = self.1.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        left.map(|_| ()).map_err(|_| StoreError::Unavailable("killed".into()))
    }
}

#[async_trait]
impl RawStore for Dying<'_> {
    async fn still(&self, each: &mut Taker<'_>) -> Result<(), StoreError> {
        self.0.still(each).await
    }

    async fn raw_versions(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError> {
        self.0.raw_versions(log, after, up_to).await
    }
}

#[async_trait]
impl RawTarget for Dying<'_> {
    async fn replay(&self, log: TenantId, versions: Vec<RawVersion>) -> Result<(), StoreError> {
        self.step()?;
        // A smaller piece than was asked for is there: the process may have ended between any two.
        let half = versions.len().div_ceil(2);
        let (first, second) = versions.split_at(half);
        self.0.replay(log, first.to_vec()).await?;
        self.step()?;
        self.0.replay(log, second.to_vec()).await
    }

    async fn replay_items(&self, items: Vec<RawItem>) -> Result<(), StoreError> {
        self.step()?;
        self.0.replay_items(items).await
    }

    async fn clear_items(&self, collection: Option<&str>) -> Result<(), StoreError> {
        self.step()?;
        self.0.clear_items(collection).await
    }

    async fn finish(&self, last: Transaction) -> Result<(), StoreError> {
        self.step()?;
        self.0.finish(last).await
    }
}

#[test]
fn an_ended_copy_is_gone_on_with_and_is_no_whole_store_meanwhile() {
    for to in ENGINES {
        let Some(to) = to() else { continue };
        eprintln!("to {}", to.name);
        let from = embedded();
        wait(async {
            fill(&from).await;
            let mut ended = 0;
            for steps in 0.. {
                let done = copy(&*from.raw, &Dying::after(&*to.raw, steps)).await;
                if done.is_ok_and(|report| report.kept > 0) {
                    break;
                }
                ended += 1;
                if steps > 0 {
                    let note = moving::unfinished(&*to.store).await.expect("asked");
                    assert_eq!(note.as_deref(), Some("the source"), "after {steps} steps");
                }
                if steps > 3 {
                    // Another store does not get into it, nor it into another.
                    let other = memory();
                    other
                        .store
                        .commit(TENANT, Transaction { writes: vec![put(PATIENT, "x", &[])], ..Transaction::default() })
                        .await
                        .expect("committed");
                    let refused = copy(&*other.raw, &*to.raw).await;
                    if !everything(&*to.raw).await.0.is_empty() {
                        let why = refused.expect_err("another store").to_string();
                        assert!(why.contains("unfinished copy of the source, which is not the same"), "{why}");
                        let why = copy(&*to.raw, &*memory().raw).await.expect_err("not whole").to_string();
                        assert!(why.contains("finish that first"), "{why}");
                    }
                }
            }
            assert!(ended > 4, "{ended} copies were ended");
            assert_eq!(moving::unfinished(&*to.store).await, Ok(None));
            assert_eq!(everything(&*to.raw).await, everything(&*from.raw).await);
        });
    }
}

#[test]
fn what_does_not_follow_is_not_replayed() {
    for to in ENGINES {
        let (Some(to), from) = (to(), memory()) else { continue };
        wait(async {
            write(&*from.store, put(PATIENT, "a", &[])).await;
            write(&*from.store, put(PATIENT, "a", &[])).await;
            write(&*from.store, delete(PATIENT, "a")).await;
            let all = from.raw.raw_versions(TENANT, 0, 3).await.expect("versions");
            for wrong in
                [&all[1..], &[all[0].clone(), all[2].clone()][..], &[RawVersion { version: 2, ..all[0].clone() }][..]]
            {
                let refused = to.raw.replay(TENANT, wrong.to_vec()).await;
                assert!(matches!(refused, Err(StoreError::Broken(_))), "{}: {refused:?}", to.name);
            }
            assert_eq!(now(&*to.store).await.position(), 0, "all or none");
            to.raw.replay(TENANT, all[..1].to_vec()).await.expect("replayed");
            to.raw.replay(TENANT, all[1..].to_vec()).await.expect("replayed");
            assert_eq!(everything(&*to.raw).await, everything(&*from.raw).await);
            let refused = commit(&*to.store, vec![expecting(Expect::Absent, put(PATIENT, "a", &[]))]).await;
            assert!(matches!(refused, Err(StoreError::VersionConflict { current: Some(3), .. })), "{refused:?}");
        });
    }
}

#[test]
fn a_reader_sees_one_moment_beside_the_writer() {
    if !is_wanted("embedded") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let missing = EmbeddedReader::open(directory.path(), Arc::new(World), None).map(|_| ());
    assert!(matches!(missing, Err(StoreError::Unavailable(_))));
    // As another process: LMDB does not open a directory twice in one.
    if let Some(there) = std::env::var_os("VESTA_TEST_READER") {
        return read_beside(std::path::Path::new(&there));
    }
    let store = open(directory.path(), Arc::new(SystemClock)).expect("opened");
    let store = Arc::new(store);
    let output = wait(async {
        let stop = Arc::new(Mutex::new(false));
        let writing = tokio::spawn({
            let (store, stop) = (store.clone(), stop.clone());
            async move {
                for n in 0_u64.. {
                    if *stop.lock().expect("not poisoned") {
                        return n;
                    }
                    // The counter of the item tells how many commits there were.
                    let items = vec![ItemWrite {
                        collection: "count",
                        key: "n".into(),
                        expect: vesta::store::ItemExpect::Any,
                        value: Some((2 * (n + 1)).to_le_bytes().to_vec()),
                        expires: None,
                    }];
                    let writes = vec![put(PATIENT, &format!("a{n}"), &[]), put(OBSERVATION, &format!("b{n}"), &[])];
                    let audit = vec![record(&[], "x")];
                    store
                        .commit(TENANT, Transaction { writes, items, audit, guards: vec![] })
                        .await
                        .expect("committed");
                }
                0
            }
        });
        let path = directory.path().to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            std::process::Command::new(std::env::current_exe().expect("this program"))
                .args(["--exact", "store_contract::moving::a_reader_sees_one_moment_beside_the_writer", "--nocapture"])
                .env("VESTA_TEST_READER", path)
                .output()
                .expect("runs")
        });
        let output = reading.await.expect("ran");
        *stop.lock().expect("not poisoned") = true;
        assert!(writing.await.expect("ran") > 3);
        output
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("20 moments"), "{text}");
}

fn read_beside(directory: &std::path::Path) {
    wait(async {
        for _ in 0..20 {
            let reader = EmbeddedReader::open(directory, Arc::new(World), None).expect("opened");
            let (versions, items) = everything(&reader).await;
            let own = versions.iter().filter(|(log, _)| *log == TENANT).count() as u64;
            let counted = items.first().map_or(0, |raw| u64::from_le_bytes(raw.item.value[..].try_into().expect("8")));
            assert_eq!(own, counted, "items and logs are of one moment, and no commit is there by half");
            assert_eq!(versions.len() as u64 - own, own / 2, "and the trail is of the same");
        }
    });
    println!("20 moments");
}
