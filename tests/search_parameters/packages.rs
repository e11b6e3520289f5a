//! SearchParameters of packages: those of US Core are in effect once they are indexed; what the specification has is
//! passed over, and what collides is listed.

use super::process::Process;
use super::{Status, declared, ids, wait_until_ready};
use crate::support::{TestServer, shared_data};
use serde_json::{Value, json};
use std::process::Command;

const RACE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race";

/// A package with these SearchParameters.
pub fn archive(parameters: &[Value]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, value: &Value| {
        let text = value.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("package/{name}.json"), text.as_bytes()).expect("added");
    };
    add("package", &json!({"name": "example.parameters", "version": "1.0.0"}));
    for parameter in parameters {
        add(parameter["id"].as_str().expect("an id"), parameter);
    }
    archive.into_inner().expect("an archive")
}

#[test]
fn parameters_of_us_core_are_in_effect() {
    let Some(data) = shared_data("search parameters of US Core") else { return };
    let package = std::fs::read(data.join("us-core/us-core-6.1.0-definitions.tar.zst")).expect("readable");
    let server = TestServer::start();
    let patient = |id: &str, code: &str| {
        json!({"resourceType": "Patient", "id": id, "extension": [{"url": RACE, "extension": [
            {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": code}},
            {"url": "text", "valueString": "x"}
        ]}]})
    };
    server.put("PUT", "Patient/old", &patient("old", "2106-3")).is(201);
    let condition = json!({"resourceType": "Condition", "id": "c", "subject": {"reference": "Patient/old"},
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/condition-assertedDate", "valueDateTime": "2020-05-01"}]});
    server.put("PUT", "Condition/c", &condition).is(201);
    let headers = [("content-type", "application/octet-stream")];
    server.send("POST", "$package-add", &headers, Some(&package)).is(200);
    wait_until_ready(&server, &["race", "ethnicity", "asserted-date"]);
    server.put("PUT", "Patient/new", &patient("new", "2054-5")).is(201);
    assert_eq!(ids(&server, "Patient?race=2106-3"), ["old"]);
    assert_eq!(ids(&server, "Patient?race=2054-5,2106-3"), ["new", "old"]);
    assert_eq!(ids(&server, "Condition?asserted-date=2020-05"), ["c"]);
    let race = "http://hl7.org/fhir/us/core/SearchParameter/us-core-race".to_owned();
    assert!(declared(&server, "Patient").contains(&("race".to_owned(), race)));
    let status = Status::of(&server);
    // What US Core says again in its own words is the specification's.
    assert_eq!(status.ready("family"), None);
    assert_eq!(status.ready("birthdate"), None);
    println!("left out of US Core 6.1.0: {:#?}", status.left_out());
    server
        .put("POST", "$package-remove?name=hl7.fhir.us.core&version=6.1.0", &json!({"resourceType": "Parameters"}))
        .is(200);
    server.get_with("Patient?race=2106-3", &[("prefer", "handling=strict")]).refuses(400, "not-supported");
    assert_eq!(Status::of(&server).ready("race"), None);
}

#[test]
fn what_collides_is_listed() {
    let server = TestServer::start();
    let parameter = |id: &str, code: &str, status: &str, expression: &str| {
        json!({"resourceType": "SearchParameter", "id": id, "url": format!("http://example.org/{id}"), "name": id,
            "status": status, "description": "x", "code": code, "base": ["Patient"], "type": "string",
            "expression": expression})
    };
    let package = archive(&[
        parameter("a", "x-draft", "draft", "Patient.name.family"),
        parameter("b", "x-retired", "retired", "Patient.name.family"),
        parameter("c", "family", "active", "Patient.name.family"),
        parameter("d", "given", "active", "Patient.name.family"),
        parameter("e", "x-wrong", "active", "Patient.name.("),
        parameter("f", "x-draft", "active", "Patient.name.given"),
    ]);
    server.send("POST", "$package-add", &[("content-type", "application/octet-stream")], Some(&package)).is(200);
    wait_until_ready(&server, &["x-draft"]);
    let status = Status::of(&server);
    let left_out = status.left_out();
    assert_eq!(left_out.len(), 3, "{left_out:#?}");
    for (url, why) in [("d", "SearchParameter.code"), ("e", "SearchParameter.expression"), ("f", "x-draft")] {
        let of = format!("http://example.org/{url}\"");
        assert!(left_out.iter().any(|l| l.contains(&of) && l.contains(why)), "{url}: {left_out:#?}");
    }
    assert_eq!((status.ready("x-retired"), status.ready("family")), (None, None));
}

#[test]
fn a_package_that_was_added_by_command_is_in_effect_at_the_start() {
    let folder = tempfile::tempdir().expect("a directory");
    let (data, file) = (folder.path().join("data"), folder.path().join("package.tar"));
    let parameter = |id: &str, code: &str, expression: &str| {
        json!({"resourceType": "SearchParameter", "id": id, "url": format!("http://example.org/{id}"), "name": id,
            "status": "active", "description": "x", "code": code, "base": ["Patient"], "type": "string",
            "expression": expression})
    };
    let package =
        archive(&[parameter("a", "x-family", "Patient.name.family"), parameter("b", "given", "Patient.name.family")]);
    std::fs::write(&file, package).expect("written");
    let server = Process::start(&data);
    let patient = json!({"resourceType": "Patient", "id": "p", "name": [{"family": "Shaw"}]});
    server.client.put("PUT", "Patient/p", &patient).is(201);
    drop(server);
    let mut added = Command::new(env!("CARGO_BIN_EXE_vesta"));
    added.args(["package", "add", "--data"]).arg(&data).arg(&file);
    let added = added.output().expect("it runs");
    let told = String::from_utf8_lossy(&added.stdout).into_owned();
    assert!(added.status.success(), "{told}{}", String::from_utf8_lossy(&added.stderr));
    assert!(
        told.contains("added example.parameters#1.0.0") && told.contains("not in effect: http://example.org/b"),
        "{told}"
    );
    let mut listed = Command::new(env!("CARGO_BIN_EXE_vesta"));
    let trail = listed.args(["audit", "list", "--json", "--data"]).arg(&data).output().expect("it runs");
    let trail = String::from_utf8_lossy(&trail.stdout).into_owned();
    let told = "\"type\":\"package\",\"valueString\":\"example.parameters#1.0.0\"";
    assert_eq!(trail.matches(told).count(), 1, "{trail}");
    let server = Process::start(&data);
    assert_eq!(ids(&server.client, "Patient?x-family=shaw"), ["p"]);
}
