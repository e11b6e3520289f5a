//! Profiles, value sets, code systems and questionnaires that are stored as resources are what other resources are held
//! against, from the next request on and after a restart. And how strictly, as a request may ask.

use super::profiles::issues;
use crate::support::{Answer, TestServer};
use serde_json::{Value, json};
use vesta::cli::settings::{Settings, Validation};

const PROFILE: &str = "http://example.org/fhir/StructureDefinition/graded";
const GRADES: &str = "http://example.org/fhir/ValueSet/grades";
const SYSTEM: &str = "http://example.org/fhir/CodeSystem/grades";

/// A profile with nothing but a differential.
fn profile(url: &str, elements: Value) -> Value {
    json!({"resourceType": "StructureDefinition", "url": url, "name": "Graded", "status": "active", "kind": "resource",
           "abstract": false, "type": "Observation", "derivation": "constraint",
           "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
           "differential": {"element": elements}})
}

fn graded() -> Value {
    profile(
        PROFILE,
        json!([
            {"id": "Observation.value[x]", "path": "Observation.value[x]", "min": 1, "type": [{"code": "CodeableConcept"}],
             "binding": {"strength": "required", "valueSet": GRADES}},
            {"id": "Observation.subject", "path": "Observation.subject", "min": 1},
        ]),
    )
}

fn grades() -> [Value; 2] {
    [
        json!({"resourceType": "CodeSystem", "id": "grades", "url": SYSTEM, "status": "active", "content": "complete",
               "concept": [{"code": "one", "display": "First"}, {"code": "two", "display": "Second"}]}),
        json!({"resourceType": "ValueSet", "id": "grades", "url": GRADES, "status": "active",
               "compose": {"include": [{"system": SYSTEM}]}}),
    ]
}

fn observation(code: &str, display: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "grade"}, "meta": {"profile": [PROFILE]},
           "subject": {"display": "somebody"},
           "valueCodeableConcept": {"coding": [{"system": SYSTEM, "code": code, "display": display}]}})
}

fn post(server: &TestServer, path: &str, body: &Value) -> Answer {
    server.put("POST", path, body)
}

#[test]
fn stored_definitions_are_held_against() {
    let server = TestServer::start();
    assert_eq!(
        issues(post(&server, "Observation/$validate", &observation("x", "y")).is(200)),
        ["information not-found Observation.value.coding[0].system", "warning not-found Observation"]
    );
    post(&server, "StructureDefinition", &graded()).is(201);
    // The value set is not there yet: nothing is said of the code.
    post(&server, "Observation", &observation("x", "y")).is(201);
    for resource in grades() {
        let kind = resource["resourceType"].as_str().expect("a type").to_owned();
        server.put("PUT", &format!("{kind}/grades"), &resource).is(201);
    }
    let refused = post(&server, "Observation", &observation("x", "y"));
    assert_eq!(
        issues(refused.is(422)),
        ["warning code-invalid Observation.value.coding[0].code", "error code-invalid Observation.value"]
    );
    let told = post(&server, "Observation/$validate", &observation("two", "First"));
    assert_eq!(issues(told.is(200)), ["warning invalid Observation.value.coding[0].display"]);
    assert!(told.text().contains("Second"), "{}", told.text());
    let mut nobody = observation("two", "Second");
    nobody.as_object_mut().expect("an object").remove("subject");
    nobody.as_object_mut().expect("an object").remove("meta");
    let asked = post(&server, &format!("Observation/$validate?profile={PROFILE}"), &nobody);
    assert_eq!(issues(asked.is(200)), ["error required Observation.subject"]);
    post(&server, "Observation", &nobody).is(201);

    // A change counts from the next request on, and so does its end.
    let [mut system, _] = grades();
    system["concept"].as_array_mut().expect("concepts").push(json!({"code": "x", "display": "y"}));
    server.put("PUT", "CodeSystem/grades", &system).is(200);
    post(&server, "Observation", &observation("x", "y")).is(201);
    server.send("DELETE", "ValueSet/grades", &[], None).is(204);
    post(&server, "Observation", &observation("x", "y")).is(201);
    let outcome = post(&server, "Observation/$validate", &observation("x", "y"));
    assert_eq!(issues(outcome.is(200)), ["information informational "]);
}

#[test]
fn stored_questionnaires_are_held_against() {
    let server = TestServer::start();
    let form = json!({"resourceType": "Questionnaire", "url": "http://example.org/fhir/Questionnaire/q", "status": "active",
                      "item": [{"linkId": "1", "type": "integer", "required": true}]});
    post(&server, "Questionnaire", &form).is(201);
    let response = |value: Value| {
        json!({"resourceType": "QuestionnaireResponse", "status": "completed",
               "questionnaire": "http://example.org/fhir/Questionnaire/q",
               "item": [{"linkId": "1", "answer": [value]}]})
    };
    post(&server, "QuestionnaireResponse", &response(json!({"valueInteger": 1}))).is(201);
    post(&server, "QuestionnaireResponse", &response(json!({"valueString": "x"}))).is(422);
}

#[test]
fn definitions_that_cannot_be_used_are_refused_with_the_place() {
    let server = TestServer::start();
    let refused = |elements: Value, place: &str| {
        let answer = post(&server, "StructureDefinition", &profile(PROFILE, elements));
        let found = issues(answer.is(422));
        assert!(found.iter().any(|i| i == place), "{found:?}");
        assert!(answer.text().contains(PROFILE), "{}", answer.text());
    };
    let constraint = json!([{"key": "x-1", "severity": "error", "human": "x", "expression": "value.exists( and"}]);
    refused(
        json!([{"id": "Observation", "path": "Observation", "constraint": constraint}]),
        "error invalid StructureDefinition.differential.element[0].constraint[0].expression",
    );
    refused(
        json!([{"id": "Observation", "path": "Observation"}, {"id": "Observation.foo", "path": "Observation.foo", "min": 1}]),
        "error invalid StructureDefinition.differential.element[1]",
    );
    refused(
        json!([{"id": "Observation.status", "path": "Observation.status", "max": "0"}]),
        "error invalid StructureDefinition.differential.element[0]",
    );
    // One over another: what the base makes mandatory is forbidden.
    post(&server, "StructureDefinition", &graded()).is(201);
    let mut other = profile(
        "http://example.org/fhir/StructureDefinition/other",
        json!([{"id": "Observation.subject", "path": "Observation.subject", "max": "0"}]),
    );
    other["baseDefinition"] = json!(PROFILE);
    let answer = post(&server, "StructureDefinition", &other);
    assert_eq!(issues(answer.is(422)), ["error invalid StructureDefinition.differential.element[0]"]);
    assert!(answer.text().contains("contradicts itself"), "{}", answer.text());
    // Nothing else is affected.
    post(&server, "Observation", &observation("one", "First")).is(201);
}

/// Definitions that came in when nothing was looked at affect nobody but those who declare them.
#[test]
fn what_cannot_be_used_is_named() {
    let lax = TestServer::with(Settings { validation: Some(Validation::Off), ..Settings::default() });
    let constraint = json!([{"key": "x-1", "severity": "error", "human": "x", "expression": "value.exists( and"}]);
    let broken = profile(PROFILE, json!([{"id": "Observation", "path": "Observation", "constraint": constraint}]));
    post(&lax, "StructureDefinition", &broken).is(201);
    let told = post(&lax, "Observation/$validate", &observation("one", "First"));
    assert_eq!(
        issues(told.is(200)),
        ["information not-found Observation.value.coding[0].system", "warning processing Observation"]
    );
    assert!(told.text().contains(PROFILE) && told.text().contains("x-1"), "{}", told.text());
    let contradiction = profile(
        "http://example.org/fhir/StructureDefinition/none",
        json!([{"id": "Observation.subject", "path": "Observation.subject", "min": 2, "max": "1"}]),
    );
    post(&lax, "StructureDefinition", &contradiction).is(201);
    let mut plain = observation("one", "First");
    plain.as_object_mut().expect("an object").remove("meta");
    let asked = "Observation/$validate?profile=http://example.org/fhir/StructureDefinition/none";
    let told = post(&lax, asked, &plain);
    assert!(issues(told.is(200)).contains(&"error processing Observation".to_owned()), "{}", told.text());
    assert!(told.text().contains("Observation.subject: it contradicts itself"), "{}", told.text());
}

#[test]
fn a_request_may_ask_for_more_and_never_for_less() {
    let wrong = json!({"resourceType": "Patient", "gender": "f"});
    let url = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
    let misplaced = json!({"resourceType": "Patient", "extension": [{"url": url, "valueString": "x"}]});
    let declared = json!({"resourceType": "Patient", "meta": {"profile": ["http://example.org/nobody-knows"]}});
    let bodies = [&wrong, &misplaced, &declared];
    let with = |policy: Option<Validation>| {
        let server = TestServer::with(Settings { validation: policy, ..Settings::default() });
        ["return=minimal", "validation=structure", "validation=full", "validation=strict"].map(|prefer| {
            bodies.map(|body| {
                let headers = [("content-type", "application/fhir+json"), ("prefer", prefer)];
                let alone = server.send("POST", "Patient", &headers, Some(body.to_string().as_bytes())).status;
                let bundle = json!({"resourceType": "Bundle", "type": "transaction",
                                    "entry": [{"resource": body, "request": {"method": "POST", "url": "Patient"}}]});
                let together = server.send("POST", "", &headers, Some(bundle.to_string().as_bytes())).status;
                assert_eq!(together == 200, alone == 201, "{prefer} {body}");
                alone
            })
        })
    };
    let (all, some, none) = ([422, 422, 422], [422, 422, 201], [201, 201, 201]);
    assert_eq!(with(Some(Validation::Off)), [none, [422, 201, 201], some, all]);
    assert_eq!(with(Some(Validation::Structure)), [[422, 201, 201], [422, 201, 201], some, all]);
    assert_eq!(with(None), [some, some, some, all]);
}

#[test]
fn definitions_and_packages_survive_a_restart() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let settings = Settings { data: Some(data.path().to_owned()), ..Settings::default() };
    let server = TestServer::again(settings.clone());
    post(&server, "StructureDefinition", &graded()).is(201);
    for resource in grades() {
        let kind = resource["resourceType"].as_str().expect("a type").to_owned();
        server.put("PUT", &format!("{kind}/grades"), &resource).is(201);
    }
    let headers = [("content-type", "application/octet-stream")];
    server.send("POST", "$package-add", &headers, Some(&super::profiles::package())).is(200);
    let named = json!({"resourceType": "Patient", "meta": {"profile": [super::profiles::PROFILE]}});
    let judge = |server: &TestServer| {
        assert_eq!(
            issues(post(server, "Observation", &observation("x", "y")).is(422)),
            ["warning code-invalid Observation.value.coding[0].code", "error code-invalid Observation.value"]
        );
        assert!(issues(post(server, "Patient", &named).is(422)).contains(&"error required Patient.name".to_owned()));
    };
    judge(&server);
    drop(server);
    let server = TestServer::again(settings);
    judge(&server);
    assert_eq!(server.get("$package-list").is(200).json()["parameter"][0]["part"][1]["valueString"], "1.0.0");
}

/// Two profiles on extensions that name each other twice at every level: the work doubles with each of them.
#[test]
fn profiles_that_explode_are_an_error_in_time() {
    let server = TestServer::start();
    let url = |n: u8| format!("http://example.org/fhir/StructureDefinition/deep-{n}");
    for (n, other) in [(1, 2), (2, 1)] {
        let definition = json!({"resourceType": "StructureDefinition", "url": url(n), "name": "Deep", "status": "active",
            "kind": "complex-type", "abstract": false, "type": "Extension", "derivation": "constraint",
            "context": [{"type": "element", "expression": "Element"}],
            "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
            "differential": {"element": [
                {"id": "Extension.extension", "path": "Extension.extension",
                 "slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "open"},
                 "type": [{"code": "Extension", "profile": [url(1)]}]},
                {"id": "Extension.extension:a", "path": "Extension.extension", "sliceName": "a",
                 "type": [{"code": "Extension", "profile": [url(other)]}]}]}});
        let answer = post(&server, "StructureDefinition", &definition);
        assert!(answer.status == 201, "{}", answer.text());
    }
    let mut nested = json!({"url": "x", "valueString": "end"});
    for _ in 0..36 {
        nested = json!({"url": "x", "extension": [nested]});
    }
    let patient = json!({"resourceType": "Patient", "extension": [{"url": url(1), "extension": [nested]}]});
    // Without a bound this would not end.
    let answer = post(&server, "Patient", &patient);
    assert_eq!(answer.status / 100, 4, "{}", answer.text());
    post(&server, "Patient", &json!({"resourceType": "Patient"})).is(201);
}

#[test]
fn a_stored_list_does_not_narrow_what_the_specification_leaves_open() {
    let server = TestServer::start();
    let system = json!({"resourceType": "CodeSystem", "url": "urn:ietf:bcp:13", "status": "active",
        "content": "complete", "concept": [{"code": "text/x-none"}]});
    post(&server, "CodeSystem", &system).is(201);
    let binary = json!({"resourceType": "Binary", "contentType": "text/plain", "data": "YQ=="});
    post(&server, "Binary", &binary).is(201);
}
