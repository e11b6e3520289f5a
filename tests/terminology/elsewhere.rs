//! An outside terminology server: asked for what is not held here, and for nothing else.

use crate::support::TestServer;
use serde_json::json;
use vesta::cli::settings::Settings;

fn asking(base: &str) -> TestServer {
    TestServer::with(Settings { terminology_server: Some(base.to_owned()), ..Settings::default() })
}

fn result(answer: &serde_json::Value) -> serde_json::Value {
    let all = answer["parameter"].as_array().expect("parameters");
    all.iter().find(|p| p["name"] == "result").expect("a result")["valueBoolean"].clone()
}

#[test]
fn what_is_not_held_here_is_asked_elsewhere() {
    let outside = TestServer::start();
    let system = json!({"resourceType": "CodeSystem", "url": "http://away.example/fruit", "version": "3", "name": "Fruit",
        "status": "active", "content": "complete", "caseSensitive": true,
        "concept": [{"code": "apple", "display": "Apple"}, {"code": "pear", "display": "Pear"}]});
    outside.put("POST", "CodeSystem", &system).is(201);
    let set = json!({"resourceType": "ValueSet", "url": "http://away.example/all", "status": "active",
        "compose": {"include": [{"system": "http://away.example/fruit"}]}});
    outside.put("POST", "ValueSet", &set).is(201);

    let server = asking(&outside.base);
    let looked = server.get("CodeSystem/$lookup?system=http://away.example/fruit&code=pear").is(200).json();
    assert!(
        looked["parameter"].as_array().is_some_and(|all| all.iter().any(|p| p["valueString"] == "Pear")),
        "{looked}"
    );
    let expanded = server.get("ValueSet/$expand?url=http://away.example/all&count=1").is(200).json();
    assert_eq!(expanded["expansion"]["total"], 2);
    let validate = "CodeSystem/$validate-code?url=http://away.example/fruit&code=";
    assert_eq!(result(&server.get(&format!("{validate}apple")).is(200).json()), true);
    assert_eq!(result(&server.get(&format!("{validate}stone")).is(200).json()), false);
    let body = json!({"resourceType": "Parameters", "parameter": [
        {"name": "url", "valueUri": "http://away.example/all"},
        {"name": "coding", "valueCoding": {"system": "http://away.example/fruit", "code": "pear"}}]});
    assert_eq!(result(&server.put("POST", "ValueSet/$validate-code", &body).is(200).json()), true);

    // A map that is not held here, by GET and by POST.
    let map = json!({"resourceType": "ConceptMap", "url": "http://away.example/map", "status": "active",
        "group": [{"source": "http://away.example/fruit", "target": "http://away.example/trees",
            "element": [{"code": "pear", "target": [{"code": "pear-tree", "equivalence": "relatedto"}]}]}]});
    outside.put("POST", "ConceptMap", &map).is(201);
    let query = "ConceptMap/$translate?url=http://away.example/map&system=http://away.example/fruit&code=";
    let translated = server.get(&format!("{query}pear")).is(200).json();
    assert!(result(&translated) == true && translated.to_string().contains("pear-tree"), "{translated}");
    assert_eq!(result(&server.get(&format!("{query}stone")).is(200).json()), false);
    let body = json!({"resourceType": "Parameters", "parameter": [{"name": "coding",
        "valueCoding": {"system": "http://away.example/fruit", "code": "pear"}},
        {"name": "targetsystem", "valueUri": "http://away.example/trees"}]});
    assert_eq!(result(&server.put("POST", "ConceptMap/$translate", &body).is(200).json()), true);
    // A map that is held here says what it says, also where it says nothing.
    let mut other = map.clone();
    other["group"][0]["element"][0]["code"] = json!("apple");
    server.put("POST", "ConceptMap", &other).is(201);
    assert_eq!(result(&server.get(&format!("{query}pear")).is(200).json()), false);

    // What is held here is not asked there, even where it is held differently.
    let other = json!({"resourceType": "CodeSystem", "url": "http://away.example/fruit", "version": "4", "name": "Fruit",
        "status": "active", "content": "complete", "caseSensitive": true, "concept": [{"code": "stone"}]});
    server.put("POST", "CodeSystem", &other).is(201);
    assert_eq!(result(&server.get(&format!("{validate}stone")).is(200).json()), true);
    server.get("CodeSystem/$lookup?system=http://away.example/fruit&code=pear").is(404);
    // Neither knows it: the own answer stands.
    let neither = server.get("CodeSystem/$lookup?system=http://nowhere.example/x&code=a").is(404).json();
    assert_eq!(neither["resourceType"], "OperationOutcome");
}

#[test]
fn an_outside_server_that_is_away_is_said() {
    // Nothing listens on a port that was just let go.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port();
    let server = asking(&format!("http://127.0.0.1:{port}/fhir"));
    let answer = server.get("CodeSystem/$lookup?system=http://nowhere.example/x&code=a").is(503).json();
    assert_eq!(answer["issue"][0]["code"], "transient");
    let known = "CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=male";
    server.get(known).is(200);
}
