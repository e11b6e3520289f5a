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
