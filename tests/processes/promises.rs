//! What every question and every write to the database says of how sure it has to be, and how a version lies there. Read
//! from what goes over the wire and from the database itself.

use crate::support::mongodb::TestDatabase;
use crate::support::processes::Process;
use crate::support::proxy::ReplicaSet;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Bson, Document, doc};
use serde_json::json;

/// Whether it is acknowledged by a majority, in the journal.
fn is_sure(command: &Document) -> bool {
    command
        .get_document("writeConcern")
        .is_ok_and(|c| c.get_str("w").is_ok_and(|v| v == "majority") && c.get_bool("j").is_ok_and(|v| v))
}

fn reads_at(command: &Document) -> Option<&str> {
    command.get_document("readConcern").ok()?.get_str("level").ok()
}

/// Whether it is for the primary, as it is where nothing is said.
fn is_for_the_primary(command: &Document) -> bool {
    command.get_document("$readPreference").map_or(true, |p| p.get_str("mode").is_ok_and(|v| v == "primary"))
}

#[test]
fn every_write_is_sure_and_every_read_is_of_what_is_sure() {
    let Some(database) = TestDatabase::new() else { return };
    let Some(set) = ReplicaSet::before(database.uri()) else { return };
    // What the string says otherwise is overruled.
    let uri = set.uri(database.uri());
    let uri = format!("{uri}&w=1&journal=false&readConcernLevel=local&readPreference=secondaryPreferred");
    let process = Process::start(&uri, &["--audit", "all"]);
    let token = process.first_token();
    set.record();
    let one = json!({"resourceType": "Patient", "id": "one", "name": [{"family": "Shaw"}]});
    process.with_token("PUT", "Patient/one", &token, Some(&one)).is(201);
    process.with_token("PUT", "Patient/one", &token, Some(&one)).is(200);
    process.with_token("GET", "Patient/one", &token, None).is(200);
    process.with_token("GET", "Patient?name=shaw&_sort=family&_total=accurate", &token, None).is(200);
    process.with_token("GET", "Patient/one/_history", &token, None).is(200);
    process.with_token("DELETE", "Patient/one", &token, None);
    let asked = set.recorded();
    let (mut commits, mut begun, mut reads) = (0, 0, 0);
    for command in &asked {
        let name = command.keys().next().map(String::as_str).unwrap_or_default();
        let within = command.contains_key("autocommit");
        // The next rows come from where the first ones came from, whatever is said of the preference.
        assert!(name == "getMore" || is_for_the_primary(command), "{command}");
        match name {
            "commitTransaction" => {
                assert!(is_sure(command), "{command}");
                commits += 1;
            }
            _ if command.get_bool("startTransaction").is_ok_and(|begins| begins) => {
                assert_eq!(reads_at(command), Some("snapshot"), "{command}");
                begun += 1;
            }
            // Within a transaction the concern is that of its first command.
            _ if within => {}
            "find" | "aggregate" => {
                assert_eq!(reads_at(command), Some("majority"), "{command}");
                reads += 1;
            }
            "insert" | "update" | "delete" | "findAndModify" => assert!(is_sure(command), "{command}"),
            _ => {}
        }
    }
    println!("{begun} transactions begun, {commits} committed, {reads} reads besides");
    assert!(commits >= 3 && begun >= 3 && reads >= 3);
}

/// What a search or a history may take is told to the database, which ends it then.
#[test]
fn a_search_tells_the_database_how_long_it_may_take() {
    let Some(database) = TestDatabase::new() else { return };
    let Some(set) = ReplicaSet::before(database.uri()) else { return };
    let uri = set.uri(database.uri());
    let process = Process::start(&uri, &["--auth", "off", "--validation", "off", "--query-time", "20s"]);
    process
        .put("PUT", "Patient/one", &json!({"resourceType": "Patient", "id": "one", "birthDate": "2000-01-01"}))
        .is(201);
    let observation = json!({"resourceType": "Observation", "id": "o", "subject": {"reference": "Patient/one"}});
    process.put("PUT", "Observation/o", &observation).is(201);
    for search in [
        "Patient?birthdate=gt1990",
        "Patient?birthdate=gt1990&_summary=count",
        "Patient?birthdate=gt1990&_sort=birthdate",
        "Observation?patient.birthdate=gt1990",
        "Patient?_has:Observation:patient:_id=o",
        "Patient/one/_history",
        "Patient/_history?_count=1",
        "_history?_since=2020-01-01",
    ] {
        set.record();
        process.get(search).is(200);
        let asked = set.recorded();
        let of_versions =
            |c: &&Document| ["find", "aggregate"].iter().any(|n| c.get_str(n).is_ok_and(|v| v == "versions"));
        let asked: Vec<_> = asked.iter().filter(of_versions).collect();
        assert!(!asked.is_empty(), "{search}");
        for command in asked {
            let time = command.get("maxTimeMS").and_then(|t| t.as_i64().or(t.as_i32().map(i64::from)));
            assert!(time.is_some_and(|time| (1..=20_000).contains(&time)), "{search}: {command}");
        }
    }
}

/// One document for each version, whose body is bytes and not a document.
#[test]
fn a_version_is_one_document_with_its_body_as_bytes() {
    let Some(database) = TestDatabase::new() else { return };
    let process = Process::start(database.uri(), &["--auth", "off", "--validation", "off"]);
    let family = "Shaw".repeat(20);
    let one = json!({"resourceType": "Patient", "id": "one", "name": [{"family": &family}]});
    process.put("PUT", "Patient/one", &one).is(201);
    process.put("PUT", "Patient/one", &one).is(200);
    process.put("PUT", "Patient/two", &json!({"resourceType": "Patient", "id": "two"})).is(201);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (count, found) = runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(database.uri()).await.expect("a client");
        let versions = client.default_database().expect("a database").collection::<Document>("versions");
        let count = versions.count_documents(doc! { "k": "Patient" }).await.expect("counted");
        let filter = doc! { "k": "Patient", "i": "one", "v": 2_i64 };
        (count, versions.find_one(filter).await.expect("read").expect("there"))
    });
    assert_eq!(count, 3);
    let Some(Bson::Binary(body)) = found.get("b") else { panic!("no bytes: {found}") };
    assert_eq!(body.subtype, BinarySubtype::Generic);
    let text = zstd::decode_all(&body.bytes[..]).expect("zstd");
    let text = String::from_utf8(text).expect("text");
    assert!(text.contains(&family) && !text.contains("versionId"), "{text}");
    for (name, value) in &found {
        assert!(!matches!(value, Bson::Document(_)), "{name} is a document in a document");
    }
}
