//! An outside terminology server: asked for what is not held here, and for nothing else.

use super::between::{Between, learned};
use crate::support::TestServer;
use serde_json::json;
use vesta::cli::settings::Settings;

pub(super) fn asking(base: &str) -> TestServer {
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

/// A terminology server that knows fruit, and sweet fruit.
pub(super) fn knows_fruit() -> TestServer {
    let outside = TestServer::start();
    let system = json!({"resourceType": "CodeSystem", "url": "http://away.example/fruit", "status": "active",
        "content": "complete", "concept": [{"code": "fruit", "concept": [{"code": "apple"}, {"code": "pear"}]},
            {"code": "stone"}]});
    outside.put("POST", "CodeSystem", &system).is(201);
    let set = json!({"resourceType": "ValueSet", "url": "http://away.example/sweet", "status": "active",
        "compose": {"include": [{"system": "http://away.example/fruit", "concept": [{"code": "pear"}]}]}});
    outside.put("POST", "ValueSet", &set).is(201);
    outside
}

#[test]
fn searches_ask_for_what_is_not_held_here() {
    let outside = knows_fruit();
    let between = Between::before(&outside.base);
    let server = asking(&between.base);
    for code in ["fruit", "apple", "pear", "stone"] {
        server.create(&json!({"resourceType": "Basic", "language": "en-NZ", "code": {"text": "of a patient", "coding":
            [{"system": "http://away.example/fruit", "code": code, "display": "of a patient"}]}}));
    }
    // Value sets that are held here, of a code system that is not.
    let own = json!({"resourceType": "ValueSet", "id": "own", "url": "http://here.example/own", "status": "active",
        "publisher": "Nobody's business", "compose": {"include": [{"system": "http://away.example/fruit",
            "filter": [{"property": "concept", "op": "is-a", "value": "fruit"}]}]}});
    server.put("PUT", "ValueSet/own", &own).is(201);
    let over = json!({"resourceType": "ValueSet", "url": "http://here.example/over", "status": "active",
        "compose": {"include": [{"valueSet": ["http://here.example/own"]}],
            "exclude": [{"system": "http://away.example/fruit", "concept": [{"code": "apple", "display": "Apfel"}]}]}});
    server.put("POST", "ValueSet", &over).is(201);
    // So does a code system of which only the name is here.
    let name = json!({"resourceType": "CodeSystem", "url": "http://away.example/fruit", "status": "active",
        "content": "not-present"});
    server.put("POST", "CodeSystem", &name).is(201);
    between.heard();

    let found = |query: &str| {
        let bundle = server.get(&format!("Basic?{query}")).is(200).json();
        let all = bundle["entry"].as_array().cloned().unwrap_or_default();
        let code = |e: &serde_json::Value| e["resource"]["code"]["coding"][0]["code"].as_str().map(str::to_owned);
        let mut codes: Vec<String> = all.iter().filter_map(code).collect();
        codes.sort();
        codes.join(" ")
    };
    let questions = [
        ("code:in=http://away.example/sweet", "pear"),
        ("code:not-in=http://away.example/sweet", "apple fruit stone"),
        ("code:in=http://here.example/own", "apple fruit pear"),
        ("code:in=ValueSet/own", "apple fruit pear"),
        ("code:in=http://here.example/over", "fruit pear"),
        ("code:below=http://away.example/fruit|fruit", "apple fruit pear"),
        ("code:above=http://away.example/fruit|pear", "fruit pear"),
    ];
    for (query, expected) in questions {
        assert_eq!(found(query), expected, "{query}");
    }
    let heard = between.heard();
    // Two of the seven were asked before in other words.
    assert_eq!(heard.len(), 5, "{heard:?}");
    assert!(heard.iter().all(|(path, _)| path == "/fhir/ValueSet/$expand"), "{heard:?}");
    let known = [
        "http://away.example/fruit",
        "http://away.example/sweet",
        "http://here.example/own",
        "apple",
        "fruit",
        "http://here.example/over",
        "pear",
        "is-a",
        "generalizes",
        "concept",
        "Parameters",
        "ValueSet",
        "active",
        "url",
        "valueSet",
        "tx-resource",
        "count",
    ];
    let learned = learned(&heard);
    assert!(learned.iter().all(|text| known.contains(&text.as_str())), "{learned:?}");

    // Neither has it: a refusal with both reasons.
    let refused = server.get("Basic?code:in=http://nowhere.example/set").is(400).text();
    assert!(refused.contains("http://nowhere.example/set") && refused.contains("has no answer either"), "{refused}");
    server.get("Basic?code:below=http://away.example/fruit|plum").is(400);
    // What is wrong here is not asked there.
    between.heard();
    server.get("Basic?code:below=http://hl7.org/fhir/administrative-gender|plum").is(400);
    server.get("Basic?code:in=http://hl7.org/fhir/ValueSet/administrative-gender").is(200);
    assert_eq!(between.heard(), []);

    // What was answered is kept; that the server is away is said.
    between.hangs_up(true);
    for (query, expected) in questions {
        assert_eq!(found(query), expected, "{query}");
    }
    let refused = server.get("Basic?code:in=http://away.example/other").is(400).text();
    assert!(refused.contains("does not answer"), "{refused}");
}
