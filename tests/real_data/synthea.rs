//! The Synthea set: 66,843 resources in transactions with conditional references and conditional creates.

use super::archive::json_files;
use crate::support::{Answer, TestServer, shared_data};
use std::process::Command;

const JSON: [(&str, &str); 1] = [("content-type", "application/fhir+json")];

/// Sends every bundle as a client would: hospitals and practitioners first, the patients name them.
fn load(server: &TestServer, files: &[(String, Vec<u8>)]) {
    let first = |name: &str| name.contains("hospital") || name.contains("practitioner");
    let (before, patients): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| first(name));
    for (name, bundle) in before.into_iter().chain(patients) {
        let answer = server.send("POST", "", &JSON, Some(bundle));
        assert_eq!(answer.status, 200, "{name}: {}", start_of(&answer));
        let failed = answer.json()["entry"]
            .as_array()
            .expect("entries")
            .iter()
            .find(|e| !e["response"]["status"].as_str().unwrap_or_default().starts_with('2'))
            .cloned();
        assert_eq!(failed, None, "{name}");
    }
}

fn start_of(answer: &Answer) -> String {
    answer.text().chars().take(2_000).collect()
}

/// Runs the searches and gives those whose total is another.
fn wrong_totals(server: &TestServer, expected: &serde_json::Value) -> (usize, Vec<String>) {
    let searches = expected.as_array().expect("searches");
    let mut wrong = Vec::new();
    for search in searches {
        let query = search["query"].as_str().expect("a query");
        // As a browser would encode it.
        let encoded = query.replace('|', "%7C").replace('{', "%7B").replace('}', "%7D").replace(' ', "%20");
        let answer = server.get(&encoded);
        let total = if answer.status == 200 { answer.json()["total"].as_u64() } else { None };
        if total != search["total"].as_u64() {
            wrong.push(format!("{query}: {} with total {total:?}, {} expected", answer.status, search["total"]));
        }
    }
    (searches.len(), wrong)
}

#[test]
fn transactions_load_and_every_search_gives_its_total() {
    let Some(data) = shared_data("the Synthea set") else { return };
    let files = json_files(&data.join("synthea/synthea-blaze.dev.tar.zst"));
    let server = TestServer::start();
    let begun = std::time::Instant::now();
    load(&server, &files);
    println!("{} bundles loaded over HTTP in {:.1} s", files.len(), begun.elapsed().as_secs_f64());
    let expected = std::fs::read(data.join("synthea/expected-search-totals.dev.json")).expect("readable");
    let expected = serde_json::from_slice(&expected).expect("JSON");
    let (all, wrong) = wrong_totals(&server, &expected);
    println!("{} of {all} searches give their total", all - wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn import_export_and_check_by_command() {
    let Some(data) = shared_data("import by command") else { return };
    let work = tempfile::tempdir().expect("a temporary directory");
    let bundles = work.path().join("bundles");
    std::fs::create_dir(&bundles).expect("a directory");
    let files = json_files(&data.join("synthea/synthea-small-5.tar.zst"));
    for (name, content) in &files {
        std::fs::write(bundles.join(name), content).expect("a file");
    }
    // With `VESTA_TEST_STORE=mongodb` on two databases, and without the command that is for the embedded store only.
    #[cfg(feature = "mongodb")]
    let databases: Vec<_> = match crate::support::mongodb::is_asked_for() {
        true => (0..2).filter_map(|_| crate::support::mongodb::TestDatabase::new()).collect(),
        false => Vec::new(),
    };
    #[cfg(feature = "mongodb")]
    let stores: Vec<String> = databases.iter().map(|database| database.uri().to_owned()).collect();
    #[cfg(not(feature = "mongodb"))]
    let stores: Vec<String> = Vec::new();
    let second = std::cell::Cell::new(0);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        if let Some(store) = stores.get(second.get()) {
            command.args(["--store", store]);
        }
        command.args(arguments).arg("--data").arg(work.path().join("store"));
        let output = command.output().expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {text}");
        text
    };
    let summary = run(&["import", bundles.to_str().expect("UTF-8")]);
    assert!(summary.contains("Patient"), "{summary}");
    if stores.is_empty() {
        run(&["check"]);
    }
    let out = work.path().join("out");
    run(&["export", out.to_str().expect("UTF-8")]);
    let lines = std::fs::read_to_string(out.join("Patient.ndjson")).expect("patients");
    assert_eq!(lines.lines().count(), 5);
    // What was exported can be imported again, under the same ids.
    let ids = |text: &str| -> Vec<String> {
        let id = |l: &str| serde_json::from_str::<serde_json::Value>(l).expect("JSON")["id"].to_string();
        text.lines().map(id).collect()
    };
    second.set(1);
    if stores.is_empty() {
        std::fs::remove_dir_all(work.path().join("store")).expect("removed");
    }
    run(&["import", out.to_str().expect("UTF-8")]);
    let again = work.path().join("again");
    run(&["export", again.to_str().expect("UTF-8")]);
    let mut before = ids(&lines);
    let mut after = ids(&std::fs::read_to_string(again.join("Patient.ndjson")).expect("patients"));
    before.sort();
    after.sort();
    assert_eq!(before, after);
}
