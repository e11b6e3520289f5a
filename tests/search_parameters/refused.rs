//! SearchParameters that cannot be are refused when they are written, with the place of what is wrong.

use super::held::server;
use super::{Status, parameter};
use serde_json::{Value, json};

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut parameter = parameter("x-test", "string", "Patient.name.family");
    change(&mut parameter);
    parameter
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let (server, store) = server();
    let cases: Vec<(Value, &str, &str)> = vec![
        (changed(|p| p["expression"] = json!("Patient.name.(")), "expression", "invalid"),
        (changed(|p| p["expression"] = json!("Patient.nothing")), "expression", "invalid"),
        (changed(|p| p["expression"] = json!("Observation.value")), "expression", "invalid"),
        (changed(|p| p["expression"] = json!("Patient.name.family.lower()")), "expression", "invalid"),
        (changed(|p| p["expression"] = json!("x".repeat(20_000))), "expression", "too-long"),
        (changed(|p| p["expression"] = json!(vec!["Patient.name.family"; 60].join(" | "))), "expression", "too-long"),
        // Whom an element is hidden from is decided by its name.
        (changed(|p| p["expression"] = json!("Patient.`tel\\u0065com`.value")), "expression", "not-supported"),
        (changed(|p| drop(p.as_object_mut().expect("an object").remove("expression"))), "expression", "required"),
        (changed(|p| p["base"] = json!(["Patient", "AuditEvent"])), "base[1]", "not-supported"),
        (changed(|p| p["type"] = json!("special")), "type", "not-supported"),
        (changed(|p| p["type"] = json!("date")), "type", "invalid"),
        (
            changed(|p| {
                p["code"] = json!("family");
                p["expression"] = json!("Patient.name.given");
            }),
            "code",
            "duplicate",
        ),
        (changed(|p| p["code"] = json!("_count")), "code", "business-rule"),
        (changed(|p| p["code"] = json!("x.y")), "code", "value"),
        (changed(|p| p["code"] = json!("x:y")), "code", "value"),
        (changed(|p| p["type"] = json!("composite")), "component", "required"),
        (changed(|p| p["url"] = json!("http://hl7.org/fhir/SearchParameter/Patient-link")), "url", "duplicate"),
        (
            changed(|p| {
                p["code"] = json!("gender");
                p["base"] = json!(["Patient", "Observation"]);
                p["expression"] = json!("Patient.gender | Observation.status");
                p["type"] = json!("token");
            }),
            "base",
            "duplicate",
        ),
    ];
    for (resource, place, code) in &cases {
        // The name on another type, or nothing at all, is no reason.
        let answer = server.put("POST", "SearchParameter", resource);
        assert_eq!(answer.status, 422, "{place}: {}", answer.text());
        let issue = &answer.json()["issue"][0];
        assert_eq!(issue["code"], *code, "{place}: {issue}");
        assert_eq!(issue["expression"][0], format!("SearchParameter.{place}"), "{issue}");
    }
    let entry = json!({"resource": cases[1].0, "request": {"method": "POST", "url": "SearchParameter"}});
    let whole = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
    let answer = server.put("POST", "", &whole);
    answer.refuses(422, "invalid");
    assert_eq!(answer.json()["issue"][0]["expression"][0], "Bundle.entry[0].resource.expression");
    for base in ["Nothing", "HumanName"] {
        let answer = server.put("POST", "SearchParameter", &changed(|p| p["base"] = json!([base])));
        assert_eq!(answer.status, 422, "{}", answer.text());
        assert!(answer.text().contains("SearchParameter.base[0]"), "{}", answer.text());
    }
    assert!(!store.is_waiting(), "nothing came of any of them");
    // What is no parameter in effect may be anything, and what the specification has is in effect.
    server.put("POST", "SearchParameter", &changed(|p| p["status"] = json!("draft"))).is(201);
    let known = changed(|p| {
        p["code"] = json!("family");
        p["url"] = json!("http://example.org/us-family");
    });
    server.put("POST", "SearchParameter", &known).is(201);
    assert!(!store.is_waiting() && Status::of(&server).ready("family").is_none());
}

#[test]
fn two_cannot_have_one_name_or_one_canonical() {
    let (server, store) = server();
    server.put("PUT", "SearchParameter/x-test", &changed(|_| ())).is(201);
    store.release();
    for (change, place) in [("url", "code"), ("code", "url")] {
        let other = changed(|p| {
            p[change] = json!(if change == "url" { "http://example.org/other" } else { "x-other" });
            p["expression"] = json!("Patient.name.given");
        });
        let answer = server.put("POST", "SearchParameter", &other);
        if place == "code" {
            answer.refuses(422, "duplicate");
            assert_eq!(answer.json()["issue"][0]["expression"][0], "SearchParameter.code");
        } else {
            // It may be the new form of the one that is there; as another resource it is not in effect.
            answer.is(201);
            assert!(Status::of(&server).left_out().iter().any(|l| l.contains("SearchParameter.url")));
        }
    }
    let elsewhere = changed(|p| {
        p["url"] = json!("http://example.org/elsewhere");
        p["base"] = json!(["Practitioner"]);
        p["expression"] = json!("Practitioner.name.family");
    });
    server.put("POST", "SearchParameter", &elsewhere).is(201);
    store.release();
    server.get_with("Practitioner?x-test=a", &[("prefer", "handling=strict")]).is(200);
}
