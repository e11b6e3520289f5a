//! The operations as clients call them, by GET and POST, on the type and on the instance.

use crate::support::TestServer;
use serde_json::{Value, json};
use std::sync::LazyLock;

static SERVER: LazyLock<TestServer> = LazyLock::new(TestServer::start);

fn parameter(answer: &Value, name: &str) -> Value {
    let all = answer["parameter"].as_array().expect("parameters");
    let found = all.iter().find(|p| p["name"] == name).and_then(|p| p.as_object());
    found.and_then(|p| p.iter().find(|(k, _)| k.starts_with("value"))).map(|(_, v)| v.clone()).unwrap_or_default()
}

#[test]
fn the_core_package_is_known() {
    let expanded = SERVER.get("ValueSet/$expand?url=http://hl7.org/fhir/ValueSet/administrative-gender").is(200).json();
    assert_eq!(expanded["expansion"]["total"], 4);
    let looked = "CodeSystem/$lookup?system=http://terminology.hl7.org/CodeSystem/v3-RoleCode&code=MTH";
    assert_eq!(parameter(&SERVER.get(looked).is(200).json(), "display"), "mother");
    let subsumes = "CodeSystem/$subsumes?system=http://terminology.hl7.org/CodeSystem/v3-RoleCode&codeA=PRN&codeB=MTH";
    assert_eq!(parameter(&SERVER.get(subsumes).is(200).json(), "outcome"), "subsumes");
    let unit =
        "ValueSet/$validate-code?url=http://hl7.org/fhir/ValueSet/ucum-units&system=http://unitsofmeasure.org&code=";
    assert_eq!(parameter(&SERVER.get(&format!("{unit}mg/dL")).is(200).json(), "result"), true);
    assert_eq!(parameter(&SERVER.get(&format!("{unit}mgg")).is(200).json(), "result"), false);
    for unknown in [
        "ValueSet/$expand?url=http://nowhere/vs",
        "CodeSystem/$lookup?system=http://nowhere/cs&code=a",
        "CodeSystem/$lookup?system=http://hl7.org/fhir/administrative-gender&code=purple",
    ] {
        SERVER.get(unknown).is(404);
    }
    for bad in
        ["ValueSet/$expand", "CodeSystem/$lookup?code=a", "ConceptMap/$translate", "ValueSet/$validate-code?url=x"]
    {
        SERVER.get(bad).is(if bad.ends_with("url=x") { 404 } else { 400 });
    }
}

#[test]
fn what_is_stored_takes_effect_at_once() {
    let system = |codes: &[&str]| {
        let concepts: Vec<Value> = codes.iter().map(|c| json!({"code": c, "display": c.to_uppercase()})).collect();
        json!({"resourceType": "CodeSystem", "id": "colours", "url": "http://test/colours", "status": "active",
            "content": "complete", "concept": concepts})
    };
    let set = json!({"resourceType": "ValueSet", "id": "colours", "url": "http://test/vs/colours", "status": "active",
        "compose": {"include": [{"system": "http://test/colours"}]}});
    let map = json!({"resourceType": "ConceptMap", "id": "colours", "url": "http://test/map", "status": "active",
        "group": [{"source": "http://test/colours", "target": "http://test/tones",
            "element": [{"code": "red", "target": [{"code": "warm", "equivalence": "wider"}]}]}]});
    SERVER.put("PUT", "CodeSystem/colours", &system(&["red"])).is(201);
    SERVER.put("PUT", "ValueSet/colours", &set).is(201);
    SERVER.put("PUT", "ConceptMap/colours", &map).is(201);
    let validate = "ValueSet/colours/$validate-code?system=http://test/colours&code=blue";
    assert_eq!(parameter(&SERVER.get(validate).is(200).json(), "result"), false);
    SERVER.put("PUT", "CodeSystem/colours", &system(&["red", "blue"])).is(200);
    let answer = SERVER.get(validate).is(200).json();
    assert_eq!((parameter(&answer, "result"), parameter(&answer, "display")), (json!(true), json!("BLUE")));
    let page = SERVER.get("ValueSet/colours/$expand?offset=1&count=1").is(200).json();
    assert_eq!(
        page["expansion"]["contains"],
        json!([{"system": "http://test/colours", "code": "blue", "display": "BLUE"}])
    );
    assert_eq!((&page["expansion"]["total"], &page["expansion"]["offset"]), (&json!(2), &json!(1)));
    let filtered = SERVER.get("ValueSet/colours/$expand?filter=re").is(200).json();
    assert_eq!(filtered["expansion"]["total"], 1);
    let there = SERVER.get("ConceptMap/$translate?system=http://test/colours&code=red&targetsystem=http://test/tones");
    assert_eq!(there.is(200).json()["parameter"][1]["part"][0]["valueCode"], "wider");
    let back = SERVER.get("ConceptMap/colours/$translate?system=http://test/tones&code=warm&reverse=true");
    assert_eq!(back.is(200).json()["parameter"][1]["part"][0]["valueCode"], "narrower");
    SERVER.send("DELETE", "CodeSystem/colours", &[], None);
    assert_eq!(parameter(&SERVER.get(validate).is(200).json(), "result"), false);
}

#[test]
fn a_closure_table_grows() {
    let call = |codes: &[&str]| {
        let mut all = vec![json!({"name": "name", "valueString": "family"})];
        all.extend(codes.iter().map(|c| {
            let system = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
            json!({"name": "concept", "valueCoding": {"system": system, "code": c}})
        }));
        SERVER.put("POST", "$closure", &json!({"resourceType": "Parameters", "parameter": all})).is(200).json()
    };
    assert_eq!(call(&[])["group"], Value::Null);
    assert_eq!(call(&["MTH"])["group"], Value::Null);
    let grown = call(&["PRN", "SIB"]);
    assert_eq!((&grown["version"], grown["group"][0]["element"].as_array().map(Vec::len)), (&json!("2"), Some(1)));
    assert_eq!(
        grown["group"][0]["element"][0],
        json!({"code": "MTH", "target": [{"code": "PRN", "equivalence": "subsumes"}]})
    );
    let since = json!({"resourceType": "Parameters", "parameter": [
        {"name": "name", "valueString": "family"}, {"name": "version", "valueString": "1"}]});
    assert_eq!(SERVER.put("POST", "$closure", &since).is(200).json()["group"], grown["group"]);
}

#[test]
fn bad_ones_are_named() {
    for (id, compose) in [
        ("itself", json!({"include": [{"valueSet": ["http://test/vs/itself"]}]})),
        (
            "odd",
            json!({"include": [{"system": "http://hl7.org/fhir/administrative-gender",
            "filter": [{"property": "x", "op": "descendent-leaf", "value": "y"}]}]}),
        ),
    ] {
        let url = format!("http://test/vs/{id}");
        let set = json!({"resourceType": "ValueSet", "url": url, "status": "active", "compose": compose});
        let sent = json!({"resourceType": "Parameters", "parameter": [
            {"name": "tx-resource", "resource": set}, {"name": "url", "valueUri": url}]});
        let refused = SERVER.put("POST", "ValueSet/$expand", &sent).is(422).json();
        let issue = &refused["issue"][0];
        let text = issue["details"]["text"].as_str().expect("a text");
        assert!(text.contains("http://"), "{refused}");
        assert!(
            issue["expression"][0].as_str().is_some_and(|e| e.starts_with("ValueSet.compose.include")),
            "{refused}"
        );
    }
}

#[test]
fn searches_know_hierarchies_and_value_sets() {
    let roles = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
    for (id, code) in [("tx-mother", "MTH"), ("tx-sibling", "SIB")] {
        let relation = json!({"coding": [{"system": roles, "code": code}]});
        let person = json!({"resourceType": "RelatedPerson", "id": id, "patient": {"display": "somebody"},
            "relationship": [relation]});
        SERVER.put("PUT", &format!("RelatedPerson/{id}"), &person).is(201);
    }
    let parents = json!({"resourceType": "ValueSet", "id": "tx-parents", "url": "http://test/vs/parents", "status": "active",
        "compose": {"include": [{"system": roles, "filter": [{"property": "concept", "op": "is-a", "value": "PRN"}]}]}});
    SERVER.put("PUT", "ValueSet/tx-parents", &parents).is(201);
    let found = |query: &str| {
        let answer = SERVER.get(&format!("RelatedPerson?{query}")).is(200).json();
        let entries = answer["entry"].as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|e| e["resource"]["id"].as_str().map(str::to_owned)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found(&format!("relationship:below={roles}%7CPRN")), "tx-mother");
    assert_eq!(found(&format!("relationship:above={roles}%7CNMTH")), "tx-mother");
    assert_eq!(found("relationship:in=http://test/vs/parents"), "tx-mother");
    assert_eq!(found("relationship:in=ValueSet/tx-parents"), "tx-mother");
    assert_eq!(found("relationship:not-in=http://test/vs/parents"), "tx-sibling");
    SERVER.get("RelatedPerson?relationship:in=http://nowhere/vs").is(400);
}
