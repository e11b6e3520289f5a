//! A copy or restore that was broken off: `vesta check` does not pass what is there of it, and the same command goes on
//! right after the process that did it was killed.

use super::{err, out, vesta};
use crate::support::mongodb::TestDatabase;
use mongodb::bson::{Document, doc};
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};
use vesta::base::{SystemClock, TenantId};
use vesta::definitions::Definitions;
use vesta::index::Extractor;
use vesta::store::embedded::{EmbeddedStore, Options};
use vesta::store::mongodb::MongoStore;
use vesta::store::{Item, RawItem, RawTarget, UNFINISHED};

/// A directory with a patient in it.
fn filled(folder: &Path) {
    let file = folder.with_extension("json");
    std::fs::write(&file, r#"{"resourceType":"Patient","id":"one","active":true}"#).expect("written");
    let done = vesta(folder, &["import", file.to_str().expect("a name")]);
    assert!(done.status.success(), "{}{}", out(&done), err(&done));
}

fn copy(from: &Path, to: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
    command.args(["store", "copy"]).arg(from).arg(to).env_clear().output().expect("runs")
}

/// Writes what a store says of itself that is being filled.
fn note(store: &dyn RawTarget) {
    let item = Item { key: "from".into(), revision: 1, value: b"elsewhere".to_vec(), expires: None };
    let note = RawItem { tenant: TenantId::default(), collection: UNFINISHED.into(), item };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(store.replay_items(vec![note])).expect("written");
}

fn is_refused(checked: &Output) {
    assert_eq!(checked.status.code(), Some(1), "{}{}", out(checked), err(checked));
    assert!(out(checked).contains("1 faults\n  unfinished copy of elsewhere: end it"), "{}", out(checked));
}

#[test]
fn a_directory_that_is_an_unfinished_copy_is_told_by_check() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    filled(&data);
    assert!(vesta(&data, &["check"]).status.success());
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
    let clock = Arc::new(SystemClock);
    let store = EmbeddedStore::open(&data, definitions, extractor, clock, &Options::default(), &mut |_, _| {});
    note(&store.expect("opened"));
    is_refused(&vesta(&data, &["check"]));
}

#[test]
fn a_database_that_is_an_unfinished_copy_is_told_by_check() {
    let Some(database) = TestDatabase::new() else { return };
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        command.args(["--store", database.uri(), "check"]).env_clear().output().expect("runs")
    };
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
    let store = MongoStore::open(database.uri(), definitions, extractor, Arc::new(SystemClock)).expect("opened");
    let checked = check();
    assert!(checked.status.success(), "{}{}", out(&checked), err(&checked));
    note(&store);
    is_refused(&check());
}

/// What a process leaves that is killed in the midst: a transaction that holds the counter, for a minute at most. It is
/// held here for longer than anything else waits.
#[test]
fn a_copy_waits_for_what_a_killed_process_left() {
    const HELD: Duration = Duration::from_secs(34);
    let Some(database) = TestDatabase::new() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let from = folder.path().join("from");
    filled(&from);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (sender, taken) = std::sync::mpsc::channel();
    let uri = database.uri().to_owned();
    let dead = runtime.spawn(async move {
        let client = mongodb::Client::with_uri_str(&uri).await?;
        let tenants = client.default_database().expect("a name").collection::<Document>("tenants");
        tenants.insert_one(doc! { "_id": 0_i64 }).await?;
        let mut session = client.start_session().await?;
        session.start_transaction().await?;
        tenants.update_one(doc! { "_id": 0_i64 }, doc! { "$set": { "p.x": "y" } }).session(&mut session).await?;
        sender.send(()).expect("heard");
        tokio::time::sleep(HELD).await;
        session.abort_transaction().await
    });
    taken.recv_timeout(Duration::from_secs(30)).expect("the counter is taken");
    let began = Instant::now();
    let done = copy(&from, database.uri());
    println!("copied after {:?}", began.elapsed());
    assert!(done.status.success(), "{}{}", out(&done), err(&done));
    assert!(began.elapsed() > HELD - Duration::from_secs(5), "it did not have to wait: {}", err(&done));
    assert!(err(&done).contains("something else writes to this database"), "{}", err(&done));
    runtime.block_on(dead).expect("ran").expect("ended");
}
