//! The data of this repository, made by us: a small clinic as one transaction. The main paths run on it anywhere.

use crate::support::{TestServer, json};
use std::process::Command;

const CLINIC: &str = include_str!("../data/clinic.json");
const JSON: [(&str, &str); 1] = [("content-type", "application/fhir+json")];

fn clinic() -> TestServer {
    let server = TestServer::start();
    server.send("POST", "", &JSON, Some(CLINIC.as_bytes())).is(200);
    server
}

/// Total of a search.
#[track_caller]
fn total(server: &TestServer, query: &str) -> u64 {
    server.get(query).is(200).json()["total"].as_u64().expect("a total")
}

#[test]
fn one_transaction_makes_a_clinic() {
    let server = clinic();
    for (query, expected) in [
        ("Patient", 4),
        ("Encounter", 8),
        ("Observation", 24),
        ("Patient?name=lindstrom", 1),
        ("Patient?birthdate=lt2000", 3),
        ("Patient?birthdate=1990", 1),
        ("Patient?birthdate=ge2019", 1),
        ("Patient?organization.name=health", 4),
        ("Observation?code=http://loinc.org%7C8867-4", 8),
        ("Observation?code=8310-5&value-quantity=ge36%7Chttp://unitsofmeasure.org%7CCel", 8),
        ("Observation?subject:Patient.family=okafor", 6),
        ("Observation?date=2026-03", 12),
        ("Condition?code:not=http://snomed.info/sct%7C195967001", 3),
        ("Patient?_has:Immunization:patient:vaccine-code=03", 1),
        ("AllergyIntolerance?patient.identifier=urn:example:mrn%7Cmrn-0", 1),
        ("MedicationRequest?status=active&_lastUpdated=gt2020", 4),
        ("Encounter?length:missing=true", 8),
        ("?_type=Patient,Organization", 5),
    ] {
        assert_eq!(total(&server, query), expected, "{query}");
    }
    let patient =
        server.get("Patient?family=okafor&_include=Patient:organization&_revinclude=Condition:patient").json();
    let modes: Vec<_> = patient["entry"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|e| {
            (e["resource"]["resourceType"].as_str().expect("a type"), e["search"]["mode"].as_str().expect("a mode"))
        })
        .collect();
    assert_eq!(modes, [("Patient", "match"), ("Organization", "include"), ("Condition", "include")]);
    let id = patient["entry"][0]["resource"]["id"].as_str().expect("an id");
    let div = patient["entry"][0]["resource"]["text"]["div"].as_str().expect("a narrative");
    assert!(div.contains(&format!("href=\"Patient/{id}\"")), "{div}");
    let weight = server.get("Observation?code=8310-5&_count=1").text();
    let value = weight.split("\"value\":").nth(1).expect("a value");
    assert!(value.split(',').next().expect("a number").ends_with('0'), "digits are kept: {value}");
    // Sent again, the conditional creates find what is there.
    server.send("POST", "", &JSON, Some(CLINIC.as_bytes())).is(200);
    assert_eq!(total(&server, "Patient"), 4);
    assert_eq!(total(&server, "Organization"), 1);
}

#[test]
fn a_patient_is_read_changed_and_deleted() {
    let server = clinic();
    let found = server.get("Patient?identifier=urn:example:mrn%7Cmrn-3").json();
    let mut patient = found["entry"][0]["resource"].clone();
    let id = patient["id"].as_str().expect("an id").to_owned();
    let path = format!("Patient/{id}");
    patient["deceasedBoolean"] = json("true");
    let updated = server.put("PUT", &path, &patient);
    updated.is(200);
    assert_eq!(updated.header("etag"), "W/\"2\"");
    assert_eq!(total(&server, "Patient?deceased=true&_id:missing=false"), 1);
    server.send("DELETE", &path, &[], None).is(204);
    server.get(&path).refuses(410, "deleted");
    assert_eq!(total(&server, "Patient"), 3);
    let history = server.get(&format!("{path}/_history")).json();
    let methods: Vec<_> =
        history["entry"].as_array().expect("entries").iter().map(|e| e["request"]["method"].clone()).collect();
    assert_eq!(methods, ["DELETE", "PUT", "POST"]);
}

#[test]
fn the_file_is_imported_and_exported_by_command() {
    let work = tempfile::tempdir().expect("a temporary directory");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        command.args(arguments).arg("--data").arg(work.path().join("data"));
        let output = command.output().expect("the program runs");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/clinic.json");
    run(&["import", file]);
    run(&["check"]);
    let lines = run(&["export", "-"]);
    assert_eq!(lines.lines().count(), 48, "{lines}");
    assert_eq!(lines.lines().filter(|l| l.contains("\"resourceType\":\"Observation\"")).count(), 24);
}

#[test]
fn a_transaction_with_an_entry_that_cannot_be_answered_writes_nothing() {
    let server = clinic();
    let create =
        r#"{"resource":{"resourceType":"Basic","code":{"text":"x"}},"request":{"method":"POST","url":"Basic"}}"#;
    for (entry, status) in [
        (r#"{"request":{"method":"GET","url":"Patient?birthdate=yesterday"}}"#, 400),
        (r#"{"request":{"method":"GET","url":"Patient/none/_history"}}"#, 404),
        (
            r#"{"request":{"method":"DELETE","url":"Patient?identifier=urn:example:mrn|mrn-0","ifMatch":"W/\"7\""}}"#,
            412,
        ),
    ] {
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{create},{entry}]}}"#);
        let answer = server.send("POST", "", &JSON, Some(bundle.as_bytes()));
        answer.is(status);
        assert!(answer.text().contains("Bundle.entry[1]"), "{}", answer.text());
        assert_eq!(total(&server, "Basic"), 0, "{entry}");
    }
    assert_eq!(total(&server, "Patient"), 4);
    // What the transaction itself makes can be asked for in it.
    let bundle = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"resource":{"resourceType":"Basic","id":"b1","code":{"text":"x"}},"request":{"method":"PUT","url":"Basic/b1"}},
        {"request":{"method":"GET","url":"Basic/b1/_history"}},
        {"request":{"method":"GET","url":"Basic?_id=b1"}}]}"#;
    let answer = server.send("POST", "", &JSON, Some(bundle.as_bytes()));
    let answer = answer.is(200).json();
    assert_eq!(answer["entry"][1]["resource"]["total"], 1, "{answer}");
    assert_eq!(answer["entry"][2]["resource"]["total"], 1, "{answer}");
}
