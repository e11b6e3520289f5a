//! How a program comes to a database: a sharded cluster, one whose indexes somebody made by hand, one that a newer
//! version has changed, and one whose name was mistyped.

use crate::support::mongodb::TestDatabase;
use crate::support::processes::{Process, refused, run};
use crate::support::proxy::ReplicaSet;
use mongodb::bson::{Document, doc};
use mongodb::{Database, IndexModel};
use serde_json::json;
use std::sync::Arc;
use vesta::base::SystemClock;
use vesta::definitions::Definitions;
use vesta::index::Extractor;
use vesta::store::FhirVocabulary;
use vesta::store::mongodb::{INDEXES, MongoStore};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

async fn of(database: &TestDatabase) -> Database {
    let client = mongodb::Client::with_uri_str(database.uri()).await.expect("a client");
    client.default_database().expect("a database")
}

/// The indexes of `versions`, and whether each is unique.
async fn indexes(of: &Database) -> Vec<(String, bool)> {
    let mut rows = of.collection::<Document>("versions").list_indexes().await.expect("indexes");
    let mut found = Vec::new();
    while rows.advance().await.expect("read") {
        let options = rows.deserialize_current().expect("an index").options.expect("options");
        found.push((options.name.expect("a name"), options.unique.unwrap_or(false)));
    }
    found.sort();
    found
}

#[test]
fn a_sharded_cluster_gets_indexes_that_are_not_unique() {
    let Some(database) = TestDatabase::new() else { return };
    let Some(set) = ReplicaSet::before(database.uri()) else { return };
    let uri = set.as_router(database.uri());
    let process = Process::start(&uri, &["--auth", "off", "--validation", "off"]);
    process.create(&json!({"resourceType": "Patient", "name": [{"family": "Shaw"}]}));
    assert_eq!(process.get("Patient?name=shaw").is(200).json()["total"], 1);
    drop(process);
    let runtime = runtime();
    let found = runtime.block_on(async { indexes(&of(&database).await).await });
    assert!(found.contains(&("log".into(), false)) && found.contains(&("instance".into(), false)), "{found:?}");
    // The second start finds them, and asks for nothing.
    let process = Process::start(&uri, &["--auth", "off", "--validation", "off"]);
    assert_eq!(process.get("Patient?name=shaw").is(200).json()["total"], 1);
    let listed = String::from_utf8(run(&uri, &["store", "indexes"]).stdout).expect("text");
    assert!(listed.lines().any(|l| l.contains("\tlog\t") && l.ends_with("there, not unique")), "{listed}");
}

/// As they would be made by hand before a collection is sharded.
#[test]
fn indexes_that_are_there_are_taken() {
    let Some(database) = TestDatabase::new() else { return };
    let runtime = runtime();
    let before = runtime.block_on(async {
        let of = of(&database).await;
        for index in INDEXES.iter().filter(|index| index.collection == "versions") {
            let keys: Document = index.keys.iter().map(|(key, order)| ((*key).to_owned(), (*order).into())).collect();
            let model = IndexModel::builder().keys(keys).build();
            of.collection::<Document>("versions").create_index(model).await.expect("made");
        }
        indexes(&of).await
    });
    let store = super::store(database.uri());
    let after = runtime.block_on(async { indexes(&of(&database).await).await });
    assert_eq!(before, after);
    drop(store);
}

#[test]
fn data_of_a_newer_form_are_refused() {
    let Some(database) = TestDatabase::new() else { return };
    let runtime = runtime();
    drop(super::store(database.uri()));
    // What is there and known is opened again.
    drop(super::store(database.uri()));
    runtime.block_on(async {
        let tenants = of(&database).await.collection::<Document>("tenants");
        let form = tenants.find_one(doc! { "_id": "form" }).await.expect("read").expect("noted");
        let newer = doc! { "$set": { "v": form.get_i64("v").expect("a number") + 1 } };
        tenants.update_one(doc! { "_id": "form" }, newer).await.expect("written");
    });
    for command in [&["check"][..], &["serve", "--bind", "127.0.0.1:0"], &["user", "list"]] {
        let told = refused(database.uri(), command);
        assert!(told.contains("newer version of Vesta"), "{command:?}: {told}");
    }
}

#[test]
fn a_mistyped_database_is_refused_and_not_made() {
    let Some(database) = TestDatabase::new() else { return };
    let folder = tempfile::tempdir().expect("a directory");
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (file, to) = (path("file"), path("to"));
    let commands = [
        &["check"][..],
        &["backup", &file],
        &["audit", "verify"],
        &["export", &to],
        &["store", "copy", database.uri(), &to],
    ];
    for command in commands {
        let told = refused(database.uri(), command);
        assert!(told.contains("there are no data"), "{command:?}: {told}");
    }
    let listed = String::from_utf8(run(database.uri(), &["store", "indexes"]).stdout).expect("text");
    assert!(listed.lines().all(|line| line.ends_with("missing")), "{listed}");
    let made = runtime().block_on(async { of(&database).await.list_collection_names().await.expect("names") });
    assert!(made.is_empty(), "{made:?}");
    assert!(!std::path::Path::new(&file).exists());
}

/// Who only reads makes no index, also where one is missing.
#[test]
fn a_check_changes_nothing() {
    let Some(database) = TestDatabase::new() else { return };
    let runtime = runtime();
    drop(super::store(database.uri()));
    runtime.block_on(async {
        let versions = of(&database).await.collection::<Document>("versions");
        versions.drop_index("kind").await.expect("dropped");
    });
    run(database.uri(), &["check"]);
    let (of, found) = runtime.block_on(async {
        let of = of(&database).await;
        let found = indexes(&of).await;
        (of, found)
    });
    assert!(!found.iter().any(|(name, _)| name == "kind"), "{found:?}");
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
    let vocabulary = Arc::new(FhirVocabulary::new(definitions, extractor));
    MongoStore::open_existing(database.uri(), vocabulary, Arc::new(SystemClock)).expect("opened");
    let listed = String::from_utf8(run(database.uri(), &["store", "indexes"]).stdout).expect("text");
    assert!(listed.lines().any(|l| l.starts_with("versions\tkind\t") && l.ends_with("missing")), "{listed}");
    // One that is somebody else's is told.
    runtime.block_on(async {
        let model = IndexModel::builder().keys(doc! { "w": 1 }).build();
        of.collection::<Document>("versions").create_index(model).await.expect("made");
    });
    let listed = String::from_utf8(run(database.uri(), &["store", "indexes"]).stdout).expect("text");
    assert!(listed.lines().any(|l| l.contains("\tw\t") && l.ends_with("not made by Vesta")), "{listed}");
    let own = |l: &str| l.starts_with("versions\t_id_\t_id") && l.ends_with("there, made by the database");
    assert!(listed.lines().any(own), "{listed}");
    assert!(listed.contains("versions\tdated\tt, k, y, l (descending), n, s, z, a\tthere\n"), "{listed}");
    // Of seven one is missing and one is somebody else's.
    let declared = INDEXES.iter().filter(|index| index.collection == "versions").count();
    assert!(listed.contains(&format!("versions\t{} in all, of the 64", declared + 1)), "{listed}");
    // A start makes what is missing.
    drop(super::store(database.uri()));
    let found = runtime.block_on(indexes(&of));
    assert!(found.iter().any(|(name, _)| name == "kind"), "{found:?}");
}
