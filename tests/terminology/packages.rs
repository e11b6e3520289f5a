//! Value sets, code systems and concept maps of packages: there for operations and searches once a package is added, and
//! gone with it.

use crate::support::{TestServer, shared_data};
use serde_json::{Value, json};

const SYSTEM: &str = "http://pack.example/CodeSystem/fruit";
const SET: &str = "http://pack.example/ValueSet/pome";
const MAP: &str = "http://pack.example/ConceptMap/trees";

fn package(resources: &[Value]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, value: &Value| {
        let text = value.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, format!("package/{name}.json"), text.as_bytes()).expect("added");
    };
    add("package", &json!({"name": "example.fruit", "version": "1.0.0"}));
    for (i, resource) in resources.iter().enumerate() {
        add(&format!("resource-{i}"), resource);
    }
    archive.into_inner().expect("an archive")
}

fn fruit() -> Vec<u8> {
    package(&[
        json!({"resourceType": "CodeSystem", "url": SYSTEM, "version": "1", "name": "Fruit", "status": "active",
            "content": "complete", "caseSensitive": true, "concept": [
                {"code": "pome", "display": "Pome", "concept": [
                    {"code": "apple", "display": "Apple"}, {"code": "pear", "display": "Pear"}]},
                {"code": "plum", "display": "Plum"}]}),
        json!({"resourceType": "CodeSystem", "url": "http://pack.example/CodeSystem/obst", "version": "1",
            "status": "active", "content": "supplement", "supplements": SYSTEM, "concept": [
                {"code": "pear", "designation": [{"language": "de", "value": "Birne"}]}]}),
        json!({"resourceType": "ValueSet", "url": SET, "version": "1", "status": "active", "compose": {"include": [
            {"system": SYSTEM, "filter": [{"property": "concept", "op": "is-a", "value": "pome"}]}]}}),
        json!({"resourceType": "ConceptMap", "url": MAP, "version": "1", "status": "active", "group": [
            {"source": SYSTEM, "target": "http://pack.example/CodeSystem/tree", "element": [
                {"code": "pear", "target": [{"code": "pear-tree", "equivalence": "relatedto"}]}]}]}),
    ])
}

fn send(server: &TestServer, package: &[u8]) {
    server.send("POST", "$package-add", &[("content-type", "application/octet-stream")], Some(package)).is(200);
}

fn parameter(answer: &Value, name: &str) -> Value {
    let found = answer["parameter"].as_array().expect("parameters").iter().find(|p| p["name"] == name);
    let found = found.and_then(|p| p.as_object()?.iter().find(|(key, _)| key.starts_with("value")));
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn ids(server: &TestServer, query: &str) -> Vec<String> {
    let found = server.get(&format!("Observation?{query}")).is(200).json();
    let ids = found["entry"].as_array().cloned().unwrap_or_default();
    ids.iter().map(|entry| entry["resource"]["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn what_a_package_brings_is_known_as_long_as_it_is_there() {
    let server = TestServer::start();
    for code in ["pear", "plum"] {
        let observation = json!({"resourceType": "Observation", "id": code, "status": "final",
            "code": {"coding": [{"system": SYSTEM, "code": code}]}});
        server.put("PUT", &format!("Observation/{code}"), &observation).is(201);
    }
    let expand = format!("ValueSet/$expand?url={SET}");
    let validate = format!("ValueSet/$validate-code?url={SET}&system={SYSTEM}&code=");
    let lookup = format!("CodeSystem/$lookup?system={SYSTEM}&code=pear");
    let subsumes = format!("CodeSystem/$subsumes?system={SYSTEM}&codeA=pome&codeB=pear");
    let translate = format!("ConceptMap/$translate?url={MAP}&system={SYSTEM}&code=pear");
    let (inside, below) = (format!("code:in={SET}"), format!("code:below={SYSTEM}%7Cpome"));
    let none = |server: &TestServer| {
        for query in [&expand, &format!("{validate}pear"), &lookup, &subsumes] {
            server.get(query).is(404);
        }
        assert_eq!(parameter(&server.get(&translate).is(200).json(), "result"), false);
        for query in [&inside, &below] {
            server.get(&format!("Observation?{query}")).is(400);
        }
    };
    none(&server);
    send(&server, &fruit());
    assert_eq!(server.get(&expand).is(200).json()["expansion"]["total"], 3);
    assert_eq!(parameter(&server.get(&format!("{validate}pear")).is(200).json(), "result"), true);
    assert_eq!(parameter(&server.get(&format!("{validate}plum")).is(200).json(), "result"), false);
    assert_eq!(parameter(&server.get(&lookup).is(200).json(), "display"), "Pear");
    let german = format!("{lookup}&displayLanguage=de&useSupplement=http://pack.example/CodeSystem/obst");
    assert_eq!(parameter(&server.get(&german).is(200).json(), "display"), "Birne");
    assert_eq!(parameter(&server.get(&subsumes).is(200).json(), "outcome"), "subsumes");
    let translated = server.get(&translate).is(200).json();
    assert_eq!(parameter(&translated, "result"), true);
    assert!(translated.to_string().contains("pear-tree"), "{translated}");
    assert_eq!(ids(&server, &inside), ["pear"]);
    assert_eq!(ids(&server, &below), ["pear"]);

    // What is stored under the same canonical and version comes first; it goes, and the package's is there again.
    let narrower = json!({"resourceType": "ValueSet", "id": "pome", "url": SET, "version": "1", "status": "active",
        "compose": {"include": [{"system": SYSTEM, "concept": [{"code": "apple"}]}]}});
    server.put("PUT", "ValueSet/pome", &narrower).is(201);
    assert_eq!(server.get(&expand).is(200).json()["expansion"]["total"], 1);
    server.send("DELETE", "ValueSet/pome", &[], None).is(204);
    assert_eq!(server.get(&expand).is(200).json()["expansion"]["total"], 3);

    let nothing = json!({"resourceType": "Parameters"});
    server.put("POST", "$package-remove?name=example.fruit&version=1.0.0", &nothing).is(200);
    none(&server);
}

#[test]
fn value_sets_of_us_core_are_known() {
    let Some(data) = shared_data("value sets of US Core") else { return };
    let server = TestServer::start();
    send(&server, &std::fs::read(data.join("us-core/us-core-6.1.0-definitions.tar.zst")).expect("readable"));
    let set = "http://hl7.org/fhir/us/core/ValueSet/us-core-simple-observation-category";
    let expanded = server.get(&format!("ValueSet/$expand?url={set}")).is(200).json();
    let codes: Vec<&str> = expanded["expansion"]["contains"]
        .as_array()
        .expect("codes")
        .iter()
        .filter_map(|c| c["code"].as_str())
        .collect();
    assert!(codes.contains(&"sdoh") && codes.contains(&"vital-signs"), "{codes:?}");
    let system = "http://hl7.org/fhir/us/core/CodeSystem/us-core-category";
    let looked = server.get(&format!("CodeSystem/$lookup?system={system}&code=sdoh")).is(200).json();
    assert_eq!(parameter(&looked, "display"), "SDOH");
    let validate = format!("ValueSet/$validate-code?url={set}&system={system}&code=");
    assert_eq!(parameter(&server.get(&format!("{validate}sdoh")).is(200).json(), "result"), true);
    assert_eq!(parameter(&server.get(&format!("{validate}nothing")).is(200).json(), "result"), false);
    // Codes that a value set names need no code system to be listed.
    let notes = "http://hl7.org/fhir/us/core/ValueSet/us-core-clinical-note-type";
    let expanded = server.get(&format!("ValueSet/$expand?url={notes}")).is(200).json();
    assert_eq!(expanded["expansion"]["total"], 5);
    let note = json!({"resourceType": "DocumentReference", "id": "note", "status": "current",
        "type": {"coding": [{"system": "http://loinc.org", "code": "11506-3"}]},
        "content": [{"attachment": {"url": "http://pack.example/note"}}]});
    server.put("PUT", "DocumentReference/note", &note).is(201);
    let found = server.get(&format!("DocumentReference?type:in={notes}")).is(200).json();
    assert_eq!(found["total"], 1, "{found}");
    // What it imports from elsewhere is not in it, and that is said by name.
    let race = "ValueSet/$expand?url=http://hl7.org/fhir/us/core/ValueSet/omb-race-category";
    assert!(server.get(race).is(404).text().contains("http://cts.nlm.nih.gov/fhir/ValueSet/"));
}
