//! Bindings and `memberOf()` on what is not held here: the outside terminology server decides, learns codes only, and is
//! missed without harm.

use super::between::{Between, learned};
use super::elsewhere::{asking, knows_fruit};
use crate::support::{Answer, TestServer};
use serde_json::{Value, json};

const FRUIT: &str = "http://away.example/fruit";
const SWEET: &str = "http://away.example/sweet";
const OWN: &str = "http://here.example/own";

/// The canonical of a profile of Basic that is stored here.
fn profile(name: &str) -> String {
    format!("http://here.example/{name}")
}

/// Stores a profile of Basic that says something of `code`.
fn store(server: &TestServer, name: &str, says: &Value) {
    let mut element = says.clone();
    element["id"] = json!("Basic.code");
    element["path"] = json!("Basic.code");
    let definition = json!({"resourceType": "StructureDefinition", "url": profile(name), "name": "Fruity",
        "status": "active", "kind": "resource", "abstract": false, "type": "Basic", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Basic", "differential": {"element": [element]}});
    server.put("POST", "StructureDefinition", &definition).is(201);
}

fn binding(strength: &str, set: &str) -> Value {
    json!({"binding": {"strength": strength, "valueSet": set}})
}

/// A server with profiles that bind to what only the outside server knows; what stands between them is quiet.
fn scene() -> (TestServer, Between, TestServer) {
    let outside = knows_fruit();
    let between = Between::before(&outside.base);
    let server = asking(&between.base);
    store(&server, "required", &binding("required", SWEET));
    store(&server, "extensible", &binding("extensible", SWEET));
    store(&server, "held", &binding("required", OWN));
    let rule = json!({"constraint": [{"key": "sweet", "severity": "error", "human": "only sweet ones",
        "expression": format!("coding.all(memberOf('{SWEET}'))")}]});
    store(&server, "rule", &rule);
    let own = json!({"resourceType": "ValueSet", "url": OWN, "status": "active", "publisher": "Nobody's business",
        "compose": {"include": [{"system": FRUIT, "filter": [{"property": "concept", "op": "is-a", "value": "fruit"}]}]}});
    server.put("POST", "ValueSet", &own).is(201);
    between.heard();
    (outside, between, server)
}

/// A resource about somebody, with a code.
fn basic(name: &str, code: &str) -> Value {
    json!({"resourceType": "Basic", "meta": {"profile": [profile(name)]}, "created": "2024-02-03",
        "identifier": [{"system": "http://here.example/people", "value": "4711"}], "subject": {"display": "Jane Doe"},
        "code": {"text": "of Jane Doe", "coding": [{"system": FRUIT, "code": code, "display": "secret of Jane Doe"}]}})
}

/// Creates it and asks for the warnings.
fn post(server: &TestServer, resource: &Value) -> Answer {
    let body = serde_json::to_vec(resource).expect("JSON");
    let headers = [("content-type", "application/fhir+json"), ("prefer", "return=OperationOutcome")];
    server.send("POST", "Basic", &headers, Some(&body))
}

/// Severity, code and place of the issues on codes.
fn issues(answer: &Answer) -> Vec<String> {
    let outcome = answer.json();
    let shown = |i: &Value| {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        format!("{} {} {}", text(&i["severity"]), text(&i["code"]), text(&i["expression"][0]))
    };
    outcome["issue"].as_array().into_iter().flatten().map(shown).filter(|i| i.contains("Basic.code")).collect()
}

#[test]
fn a_binding_that_only_others_can_judge_is_judged_by_them() {
    let (_outside, between, server) = scene();
    assert_eq!(issues(post(&server, &basic("required", "pear")).is(201)), Vec::<String>::new());
    let heard = between.heard();
    let paths: Vec<&str> = heard.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths.len(), 2, "{heard:?}");
    assert!(paths.contains(&"/fhir/ValueSet/$validate-code") && paths.contains(&"/fhir/CodeSystem/$validate-code"));
    let expected = ["Parameters", "code", "coding", FRUIT, SWEET, "pear", "url"];
    assert!(learned(&heard).iter().all(|text| expected.contains(&text.as_str())), "{heard:?}");

    let refused = post(&server, &basic("required", "apple"));
    assert_eq!(issues(refused.is(422)), ["error code-invalid Basic.code"]);
    assert!(refused.text().contains("says the outside terminology server"), "{}", refused.text());
    // What is no code of the system at all is said as well.
    let refused = post(&server, &basic("required", "plum"));
    let all = issues(refused.is(422));
    assert!(all.contains(&"error code-invalid Basic.code".to_owned()), "{all:?}");
    assert!(all.contains(&"warning code-invalid Basic.code.coding[0].code".to_owned()), "{all:?}");

    // Every question once: the answers are kept, good and bad.
    between.heard();
    post(&server, &basic("required", "pear")).is(201);
    post(&server, &basic("required", "apple")).is(422);
    assert_eq!(between.heard(), []);

    assert_eq!(issues(post(&server, &basic("extensible", "pear")).is(201)), Vec::<String>::new());
    assert_eq!(issues(post(&server, &basic("extensible", "apple")).is(201)), ["warning code-invalid Basic.code"]);
    assert_eq!(issues(post(&server, &basic("rule", "pear")).is(201)), Vec::<String>::new());
    assert_eq!(issues(post(&server, &basic("rule", "apple")).is(422)), ["error invariant Basic.code"]);

    // A value set that is held here goes along, cut down.
    between.heard();
    post(&server, &basic("held", "apple")).is(201);
    assert_eq!(issues(post(&server, &basic("held", "stone")).is(422)), ["error code-invalid Basic.code"]);
    let learned = learned(&between.heard());
    assert!(learned.iter().any(|text| text == "is-a") && !learned.iter().any(|text| text.contains("Nobody")));
    assert!(!learned.iter().any(|text| text.contains("Jane") || text.contains("4711")), "{learned:?}");

    // What is decided here is asked nowhere.
    let known = json!({"resourceType": "Basic", "code": {"coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/basic-resource-type", "code": "consent"}]}});
    post(&server, &known).is(201);
    assert_eq!(between.heard(), []);
}

#[test]
fn a_server_that_is_away_refuses_nothing_and_makes_nothing_valid() {
    let (_outside, between, server) = scene();
    post(&server, &basic("required", "apple")).is(422);
    between.hangs_up(true);
    for name in ["required", "extensible"] {
        let answer = post(&server, &basic(name, "stone"));
        let all = issues(answer.is(201));
        assert!(all.contains(&"warning not-found Basic.code".to_owned()), "{all:?}");
        assert!(answer.text().contains("the outside terminology server does not answer"), "{}", answer.text());
    }
    let answer = post(&server, &basic("rule", "stone"));
    answer.is(201);
    assert!(
        answer.text().contains("the rule sweet of ") && answer.text().contains("was not judged"),
        "{}",
        answer.text()
    );
    // What was answered before still holds.
    post(&server, &basic("required", "apple")).is(422);
    let validated = server.put("POST", "Basic/$validate", &basic("required", "pear"));
    assert!(issues(validated.is(200)).contains(&"warning not-found Basic.code".to_owned()), "{}", validated.text());
}

/// Two things that are not known can differ: nothing is concluded from taking them for the same. And text that is no code
/// is asked of nobody.
#[test]
fn what_hangs_on_several_unknown_things_is_not_judged_and_text_stays_here() {
    let (_outside, between, server) = scene();
    let rule = |key: &str, expression: &str| json!({"constraint": [{"key": key, "severity": "error", "human": "a rule", "expression": expression}]});
    let [one, other] = ["http://nowhere.example/a", "http://nowhere.example/b"];
    for (name, operator) in [("both", "and"), ("either", "xor")] {
        let not = if name == "both" { ".not()" } else { "" };
        let expression = format!("coding[0].memberOf('{one}') {operator} coding[0].memberOf('{other}'){not}");
        store(&server, name, &rule(name, &expression));
        let answer = post(&server, &basic(name, "pear"));
        answer.is(201);
        assert!(answer.text().contains(&format!("the rule {name} of ")), "{}", answer.text());
        assert!(answer.text().contains("was not judged"), "{}", answer.text());
    }
    store(&server, "text", &rule("text", &format!("text.memberOf('{SWEET}')")));
    between.heard();
    let answer = post(&server, &basic("text", "pear"));
    assert!(answer.is(201).text().contains("was not judged"), "{}", answer.text());
    let heard = between.heard();
    assert!(!learned(&heard).iter().any(|text| text.contains("Jane")), "{heard:?}");
}

#[test]
fn what_the_other_does_not_know_either_stays_open() {
    let (_outside, between, server) = scene();
    store(&server, "nowhere", &binding("required", "http://nowhere.example/set"));
    let answer = post(&server, &basic("nowhere", "pear"));
    assert!(issues(answer.is(201)).contains(&"warning not-found Basic.code".to_owned()), "{}", answer.text());
    assert!(answer.text().contains("the outside terminology server has no answer either"), "{}", answer.text());
    let mut stranger = basic("held", "pear");
    stranger["code"]["coding"][0]["system"] = json!("http://nowhere.example/system");
    // Not in the value set, as is known here; that nobody knows the system is only said.
    let refused = post(&server, &stranger);
    let all = issues(refused.is(422));
    assert!(all.contains(&"error code-invalid Basic.code".to_owned()), "{all:?}");
    assert!(all.contains(&"information not-found Basic.code.coding[0].system".to_owned()), "{all:?}");
    between.heard();
    post(&server, &basic("nowhere", "pear")).is(201);
    assert_eq!(between.heard(), []);
}

#[test]
fn validate_asks_too() {
    let (_outside, between, server) = scene();
    let validate = |resource: &Value| issues(server.put("POST", "Basic/$validate", resource).is(200));
    assert_eq!(validate(&basic("required", "pear")), Vec::<String>::new());
    assert_eq!(validate(&basic("required", "apple")), ["error code-invalid Basic.code"]);
    assert_eq!(between.heard().len(), 4);
    // And on what is stored.
    let id = server.create(&basic("required", "pear"));
    let stored = server.send("POST", &format!("Basic/{id}/$validate"), &[], None).is(200).text();
    assert!(!stored.contains("Basic.code"), "{stored}");
}

#[test]
fn a_transaction_asks_once_for_all_its_entries() {
    let (_outside, between, server) = scene();
    let transaction = |codes: &[&str]| {
        let entry =
            |code: &&str| json!({"request": {"method": "POST", "url": "Basic"}, "resource": basic("required", code)});
        let entries: Vec<Value> = codes.iter().map(entry).collect();
        server.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}))
    };
    transaction(&["pear", "pear", "pear"]).is(200);
    assert_eq!(between.heard().len(), 2);
    let refused = transaction(&["pear", "pear", "apple"]);
    let issue = refused.is(422).json()["issue"][0].clone();
    assert_eq!(issue["code"], "code-invalid");
    assert!(issue["expression"].to_string().contains("Bundle.entry[2]"), "{issue}");
    assert_eq!(between.heard().len(), 2);

    // A patch in a transaction is judged by what it leaves.
    let id = server.create(&basic("required", "pear"));
    let patch = |code: &str| {
        let patch = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
            {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Basic.code.coding[0].code"},
            {"name": "value", "valueCode": code}]}]});
        let entry = json!({"request": {"method": "PATCH", "url": format!("Basic/{id}")}, "resource": patch});
        server.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
    };
    patch("fruit").is(422);
    assert_eq!(between.heard().len(), 2);
    patch("pear").is(200);
    // So is a patch by itself.
    let alone = json!([{"op": "replace", "path": "/code/coding/0/code", "value": "stone"}]);
    let body = serde_json::to_vec(&alone).expect("JSON");
    let headers = [("content-type", "application/json-patch+json")];
    server.send("PATCH", &format!("Basic/{id}"), &headers, Some(&body)).is(422);
    assert_eq!(between.heard().len(), 2);
}

#[test]
fn one_request_asks_so_much_and_no_more() {
    let (outside, between, server) = scene();
    let numbers = "http://away.example/numbers";
    let concepts: Vec<Value> = (0..400).map(|n| json!({"code": format!("c{n}")})).collect();
    let system = json!({"resourceType": "CodeSystem", "url": numbers, "status": "active", "content": "complete",
        "concept": concepts});
    outside.put("POST", "CodeSystem", &system).is(201);
    let many = |from: usize| {
        let coding = |n: usize| json!({"system": numbers, "code": format!("c{n}")});
        json!({"resourceType": "Basic", "code": {"coding": (from..from + 120).map(coding).collect::<Vec<_>>()}})
    };
    let answer = post(&server, &many(0));
    assert_eq!(issues(answer.is(201)), ["information not-found Basic.code.coding[100].system"]);
    assert!(answer.text().contains("is asked about 100 codes at most"), "{}", answer.text());
    assert_eq!(between.heard().len(), 100);
    // The next request asks about the others.
    assert_eq!(issues(post(&server, &many(0)).is(201)), Vec::<String>::new());
    assert_eq!(between.heard().len(), 20);
    // The entries of a batch share what may be asked.
    let entry = |from: usize| json!({"request": {"method": "POST", "url": "Basic"}, "resource": many(from)});
    let batch = json!({"resourceType": "Bundle", "type": "batch", "entry": [entry(120), entry(240)]});
    server.put("POST", "", &batch).is(200);
    assert_eq!(between.heard().len(), 100);
}
