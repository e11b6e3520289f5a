//! PATCH in every way it can be written, and `$fhirpath`.

use super::SERVER;
use serde_json::{Value, json};

fn patched(id: &str, content_type: &str, body: &str) -> crate::support::Answer {
    SERVER.send("PATCH", &format!("Patient/{id}"), &[("content-type", content_type)], Some(body.as_bytes()))
}

#[test]
fn every_format() {
    let id = SERVER.create(&json!({"resourceType": "Patient", "gender": "male"}));
    let operation = |value: &str| {
        format!(
            r#"{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[{{"name":"type","valueCode":"replace"}},{{"name":"path","valueString":"Patient.gender"}},{{"name":"value","valueCode":"{value}"}}]}}]}}"#
        )
    };
    let xml = r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/><part><name value="type"/><valueCode value="replace"/></part><part><name value="path"/><valueString value="Patient.gender"/></part><part><name value="value"/><valueCode value="unknown"/></part></parameter></Parameters>"#;
    let diff = r#"<?xml version="1.0" encoding="UTF-8"?><diff xmlns:fhir="http://hl7.org/fhir"><replace sel="fhir:Patient/fhir:gender/@value">female</replace></diff>"#;
    for (content_type, body, gender) in [
        ("application/fhir+json", operation("other").as_str(), "other"),
        ("application/json", &operation("male"), "male"),
        ("application/fhir+xml", xml, "unknown"),
        ("application/xml-patch+xml", diff, "female"),
        ("application/json-patch+json", r#"[{"op":"replace","path":"/gender","value":"male"}]"#, "male"),
        ("application/merge-patch+json", r#"{"gender":"other"}"#, "other"),
    ] {
        let answer = patched(&id, content_type, body);
        assert_eq!(answer.is(200).json()["gender"], gender, "{content_type}");
    }
    let refused = patched(&id, "application/fhir+json", &operation("purple")).is(422).json();
    assert_eq!(refused["issue"][0]["expression"][0], "Patient.gender");
}

#[test]
fn an_expression_is_evaluated() {
    let parameters = |expression: &str| {
        json!({"resourceType": "Parameters", "parameter": [
            {"name": "expression", "valueString": expression},
            {"name": "resource", "resource": {"resourceType": "Patient", "birthDate": "2000-01", "name": [{"family": "A"}],
                "contact": [{"gender": "male"}]}},
        ]})
    };
    let results = |expression: &str| {
        let answer = SERVER.put("POST", "$fhirpath", &parameters(expression)).is(200).json();
        answer["parameter"][1]["part"].clone()
    };
    assert_eq!(results("Patient.birthDate"), json!([{"name": "date", "valueDate": "2000-01"}]));
    assert_eq!(results("name"), json!([{"name": "HumanName", "valueHumanName": {"family": "A"}}]));
    assert_eq!(results("1.50 + 1"), json!([{"name": "decimal", "valueDecimal": 2.5}]));
    assert_eq!(results("contact")[0]["extension"][0]["valueString"], r#"{"gender":"male"}"#);
    assert_eq!(results("gender"), Value::Null);
    // Thousands of patterns would take minutes to compile.
    let patterns = "(1).repeat(iif($this < 5000, $this + 1, {})).where('x'.matches('\\\\w{' & $this.toString() & '}'))";
    let refused = [("Patient.(", 400), ("(1).repeat($this + 1)", 422), ("name + 1", 422), (patterns, 422)];
    for (expression, status) in refused {
        SERVER.put("POST", "$fhirpath", &parameters(expression)).is(status);
    }
    SERVER.put("POST", "$fhirpath", &json!({"resourceType": "Parameters"})).is(400);
    let id = SERVER.create(&json!({"resourceType": "Patient", "gender": "male"}));
    let stored = SERVER.get(&format!("Patient/{id}/$fhirpath?expression=gender")).is(200).json();
    assert_eq!(stored["parameter"][1]["part"], json!([{"name": "code", "valueCode": "male"}]));
    SERVER.get("Patient/nobody-here/$fhirpath?expression=gender").is(404);
}

#[test]
fn expressions_know_what_the_server_knows() {
    let bundle = json!({"resourceType": "Bundle", "type": "collection", "entry": [
        {"fullUrl": "http://x.test/fhir/Patient/a", "resource": {"resourceType": "Patient", "id": "a", "gender": "male",
            "contained": [{"resourceType": "Organization", "id": "o", "name": "Inside"}],
            "managingOrganization": {"reference": "#o"},
            "text": {"status": "generated", "div": format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{}</div>", "x".repeat(3_000))}}},
        {"fullUrl": "http://x.test/fhir/Observation/b", "resource": {"resourceType": "Observation", "id": "b",
            "status": "final", "code": {"text": "x"}, "subject": {"reference": "Patient/a"}}},
    ]});
    let ask = |expression: &str, context: Option<&str>| {
        let mut parameters = json!({"resourceType": "Parameters", "parameter": [
            {"name": "expression", "valueString": expression}, {"name": "resource", "resource": bundle}]});
        if let Some(context) = context {
            let all = parameters["parameter"].as_array_mut().expect("parameters");
            all.push(json!({"name": "context", "valueString": context}));
        }
        SERVER.put("POST", "$fhirpath", &parameters)
    };
    let results = |expression: &str| ask(expression, None).is(200).json()["parameter"][1]["part"].clone();
    let male = json!([{"name": "code", "valueCode": "male"}]);
    assert_eq!(results("Bundle.entry.resource.subject.resolve().gender"), male);
    assert_eq!(results("Bundle.entry.resource.managingOrganization.resolve().name")[0]["valueString"], "Inside");
    assert_eq!(results("entry[0].resource.gender.memberOf(%`vs-administrative-gender`)")[0]["valueBoolean"], true);
    assert_eq!(results("entry[1].resource.status.memberOf(%`vs-administrative-gender`)")[0]["valueBoolean"], false);
    let profile = "http://hl7.org/fhir/StructureDefinition/vitalsigns";
    assert_eq!(results(&format!("entry[1].resource.conformsTo('{profile}')"))[0]["valueBoolean"], false);
    assert_eq!(results("entry[0].resource.text.`div`.htmlChecks()")[0]["valueBoolean"], true);
    let traced = results("entry.resource.trace('ids', id).count()");
    assert_eq!(traced[0]["valueInteger"], 2);
    let ids: Vec<_> = traced[1]["part"].as_array().expect("parts").iter().map(|p| p["valueString"].clone()).collect();
    assert_eq!((&ids[0], traced[1]["part"][1]["valueId"].as_str()), (&json!("ids"), Some("a")));

    // All contexts together have the steps of one request, and their results one bound.
    let many = |n: u32| format!("(1).repeat(iif($this < {n}, $this + 1, {{}}))");
    ask("1", Some(&many(1_000))).is(200);
    ask(&format!("{}.count()", many(1_000)), Some(&many(1_000))).is(422);
    ask("{}", Some(&many(10_500))).refuses(422, "too-costly");
    // Sixteen megabytes at most, however small the request.
    ask("%resource", Some(&many(1_000))).is(200);
    ask("%resource", Some(&many(9_000))).refuses(422, "too-costly");
    let traces = ask(&format!("{}.trace('x', %resource).first()", many(300)), Some(&many(100)));
    traces.is(200);
    assert!(traces.text().len() < 20_000_000, "{}", traces.text().len());
}

/// What the FHIRPath Patches of a bundle take is counted together.
#[test]
fn the_patches_of_a_bundle_share_their_steps() {
    let ids: Vec<String> =
        (0..40).map(|_| SERVER.create(&json!({"resourceType": "Patient", "gender": "male"}))).collect();
    let path = "Patient.where((1).repeat(iif($this < 1000, $this + 1, {})).count() > 0).gender";
    let operation = json!({"name": "operation", "part": [{"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": path}, {"name": "value", "valueCode": "female"}]});
    let patch =
        |operations: usize| json!({"resourceType": "Parameters", "parameter": vec![operation.clone(); operations]});
    let bundle = |kind: &str, entries: usize, operations: usize| {
        let entry = |id: &String| {
            json!({"resource": patch(operations),
            "request": {"method": "PATCH", "url": format!("Patient/{id}")}})
        };
        json!({"resourceType": "Bundle", "type": kind, "entry": ids.iter().take(entries).map(entry).collect::<Vec<_>>()})
    };
    SERVER.put("POST", "", &bundle("batch", 2, 2)).is(200);
    SERVER.put("POST", "", &bundle("transaction", 2, 2)).is(200);
    SERVER.put("POST", "", &bundle("transaction", 40, 20)).is(422);
    let batch = SERVER.put("POST", "", &bundle("batch", 40, 20)).is(200).json();
    let status = |entry: &Value| entry["response"]["status"].as_str().unwrap_or_default().to_owned();
    let all: Vec<String> = batch["entry"].as_array().expect("entries").iter().map(status).collect();
    // The entries of a batch are worked on side by side: which of them come first is open.
    let done = all.iter().filter(|status| status.starts_with("200")).count();
    let refused = all.iter().filter(|status| status.starts_with("422")).count();
    assert!((1..40).contains(&done) && done + refused == 40, "{all:?}");
}
