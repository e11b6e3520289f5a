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

/// A code system with a code that is not in use, and names in two languages.
fn tongues() -> Value {
    json!({"resourceType": "CodeSystem", "id": "tongues", "url": "http://test/tongues", "version": "2", "status": "active",
        "content": "complete", "language": "en", "concept": [
            {"code": "meal", "display": "Meal", "concept": [
                {"code": "bread", "display": "Bread", "designation": [{"language": "de", "value": "Brot"}]},
                {"code": "gruel", "display": "Gruel", "property": [{"code": "inactive", "valueBoolean": true}]}]},
            {"code": "wine", "display": "Wine", "designation": [{"language": "de-AT", "value": "Wein"}]}]})
}

#[test]
fn expansions_leave_out_what_is_inactive_and_speak_languages() {
    let server = TestServer::start();
    server.put("PUT", "CodeSystem/tongues", &tongues()).is(201);
    let set = json!({"resourceType": "ValueSet", "id": "tongues", "url": "http://test/vs/tongues", "status": "active",
        "compose": {"include": [{"system": "http://test/tongues"}]}});
    server.put("PUT", "ValueSet/tongues", &set).is(201);
    let names = |answer: &Value| {
        let mut open: Vec<Value> = answer["expansion"]["contains"].as_array().cloned().unwrap_or_default();
        let mut names = Vec::new();
        while let Some(one) = open.pop() {
            names.push(format!("{}={}", one["code"].as_str().expect("a code"), one["display"].as_str().unwrap_or("-")));
            open.extend(one["contains"].as_array().cloned().unwrap_or_default());
        }
        names.sort();
        names.join(" ")
    };
    let expand = |query: &str| server.get(&format!("ValueSet/tongues/$expand?{query}")).is(200).json();
    let all = expand("");
    assert_eq!(names(&all), "bread=Bread gruel=Gruel meal=Meal wine=Wine");
    assert!(all.to_string().contains(r#""inactive":true"#), "{all}");
    let active = expand("activeOnly=true");
    assert_eq!(
        (names(&active).as_str(), &active["expansion"]["total"]),
        ("bread=Bread meal=Meal wine=Wine", &json!(3))
    );
    assert_eq!(names(&expand("activeOnly=false")), names(&all));
    // A language also means its regions; what has no name in it keeps its own.
    let german = "bread=Brot gruel=Gruel meal=Meal wine=Wein";
    assert_eq!(names(&expand("displayLanguage=de")), german);
    let answer = server.get_with("ValueSet/tongues/$expand", &[("accept-language", "de, en;q=0.5")]);
    assert_eq!(names(&answer.is(200).json()), german);
    // A parameter says more than the header.
    let answer = server.get_with("ValueSet/tongues/$expand?displayLanguage=en", &[("accept-language", "de")]);
    assert_eq!(names(&answer.is(200).json()), names(&all));
    let sent = json!({"resourceType": "Parameters", "parameter": [
        {"name": "url", "valueUri": "http://test/vs/tongues"}, {"name": "activeOnly", "valueBoolean": true},
        {"name": "displayLanguage", "valueCode": "de"}, {"name": "filter", "valueString": "br"}]});
    let posted = server.put("POST", "ValueSet/$expand", &sent).is(200).json();
    assert_eq!(names(&posted), "bread=Brot");
    let shown = posted["expansion"]["parameter"].as_array().expect("parameters");
    assert!(shown.contains(&json!({"name": "activeOnly", "valueBoolean": true})), "{posted}");
    assert!(shown.contains(&json!({"name": "displayLanguage", "valueCode": "de"})), "{posted}");
    // The words of a filter are beginnings of words.
    assert_eq!(names(&expand("filter=rea")), "");
}

#[test]
fn code_systems_are_asked_on_the_instance() {
    let server = TestServer::start();
    server.put("PUT", "CodeSystem/tongues", &tongues()).is(201);
    for (a, b, outcome) in [
        ("meal", "bread", "subsumes"),
        ("bread", "meal", "subsumed-by"),
        ("bread", "bread", "equivalent"),
        ("bread", "wine", "not-subsumed"),
    ] {
        let answer = server.get(&format!("CodeSystem/tongues/$subsumes?codeA={a}&codeB={b}")).is(200).json();
        assert_eq!(parameter(&answer, "outcome"), outcome, "{a} {b}");
    }
    let coding =
        |name: &str, code: &str| json!({"name": name, "valueCoding": {"system": "http://test/tongues", "code": code}});
    let sent =
        json!({"resourceType": "Parameters", "parameter": [coding("codingA", "meal"), coding("codingB", "gruel")]});
    let answer = server.put("POST", "CodeSystem/tongues/$subsumes", &sent).is(200).json();
    assert_eq!(parameter(&answer, "outcome"), "subsumes");
    server.get("CodeSystem/tongues/$subsumes?codeA=meal&codeB=none").is(404);
    server.get("CodeSystem/tongues/$subsumes?codeA=meal").is(400);
    server.get("CodeSystem/nothing/$subsumes?codeA=meal&codeB=bread").is(404);

    let looked = server.get("CodeSystem/tongues/$lookup?code=gruel").is(200).json();
    let shown = ["name", "version", "display", "abstract"].map(|name| parameter(&looked, name));
    assert_eq!(shown, [json!("http://test/tongues"), json!("2"), json!("Gruel"), json!(false)]);
    let properties: Vec<&Value> =
        looked["parameter"].as_array().expect("parameters").iter().filter(|p| p["name"] == "property").collect();
    let has = |code: &str, key: &str, value: Value| {
        properties.iter().any(|p| p["part"][0]["valueCode"] == code && p["part"][1][key] == value)
    };
    assert!(has("inactive", "valueBoolean", json!(true)) && has("parent", "valueCode", json!("meal")), "{looked}");
    let german = server.get("CodeSystem/tongues/$lookup?code=bread&displayLanguage=de").is(200).json();
    assert_eq!(parameter(&german, "display"), "Brot");
    let sent = json!({"resourceType": "Parameters", "parameter": [coding("coding", "wine")]});
    let posted = server.put("POST", "CodeSystem/tongues/$lookup", &sent).is(200).json();
    assert_eq!(parameter(&posted, "display"), "Wine");
    server.get("CodeSystem/tongues/$lookup?code=none").is(404);
    server.get("CodeSystem/tongues/$lookup").is(400);
    server.get("CodeSystem/nothing/$lookup?code=wine").is(404);
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

#[test]
fn a_value_set_finds_what_it_contains() {
    let set = json!({"resourceType": "ValueSet", "id": "holding", "url": "http://test/vs/holding", "status": "active",
        // Whatever is contained has to be referred to (dom-3), and a system is named by its canonical.
        "extension": [{"url": "http://test/holds", "valueUri": "#s"}],
        "contained": [
            {"resourceType": "CodeSystem", "id": "s", "url": "http://test/own", "status": "active", "content": "complete",
             "concept": [{"code": "x", "display": "Ex"}, {"code": "y"}]},
            {"resourceType": "ValueSet", "id": "v", "status": "active",
             "compose": {"include": [{"system": "http://test/own", "concept": [{"code": "x"}]}]}}],
        "compose": {"include": [{"valueSet": ["#v"]}]}});
    SERVER.put("PUT", "ValueSet/holding", &set).is(201);
    let importing = json!({"resourceType": "ValueSet", "id": "importing", "url": "http://test/vs/importing",
        "status": "active", "compose": {"include": [{"valueSet": ["http://test/vs/holding"]}]}});
    SERVER.put("PUT", "ValueSet/importing", &importing).is(201);
    for at in ["holding", "importing"] {
        let instance = SERVER.get(&format!("ValueSet/{at}/$expand")).is(200).json();
        let by_url = SERVER.get(&format!("ValueSet/$expand?url=http://test/vs/{at}")).is(200).json();
        for expanded in [instance, by_url] {
            let one = json!([{"system": "http://test/own", "code": "x", "display": "Ex"}]);
            assert_eq!(expanded["expansion"]["contains"], one, "{at}");
        }
        for (code, is) in [("x", true), ("y", false)] {
            let asked = format!("ValueSet/$validate-code?url=http://test/vs/{at}&system=http://test/own&code={code}");
            assert_eq!(parameter(&SERVER.get(&asked).is(200).json(), "result"), is, "{at} {code}");
        }
    }
    // A search means the same codes.
    let observation = |code: &str| {
        json!({"resourceType": "Observation", "status": "final",
               "code": {"coding": [{"system": "http://test/own", "code": code}]}})
    };
    for code in ["x", "y"] {
        SERVER.create(&observation(code));
    }
    let found = SERVER.get("Observation?code:in=http://test/vs/importing").is(200).json();
    assert_eq!(found["total"], 1, "{found}");
}
