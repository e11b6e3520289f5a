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
        ["warning not-found Observation", "information not-found Observation.value.coding[0].system"]
    );
    post(&server, "StructureDefinition", &graded()).is(201);
    // The value set is not there yet: nothing is refused, and that is said.
    post(&server, "Observation", &observation("x", "y")).is(201);
    let outcome = post(&server, "Observation/$validate", &observation("x", "y"));
    assert_eq!(
        issues(outcome.is(200)),
        ["warning not-found Observation.value", "information not-found Observation.value.coding[0].system"]
    );
    assert!(outcome.text().contains(GRADES), "{}", outcome.text());
    for resource in grades() {
        let kind = resource["resourceType"].as_str().expect("a type").to_owned();
        server.put("PUT", &format!("{kind}/grades"), &resource).is(201);
    }
    let refused = post(&server, "Observation", &observation("x", "y"));
    assert_eq!(
        issues(refused.is(422)),
        ["error code-invalid Observation.value", "warning code-invalid Observation.value.coding[0].code"]
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
    assert_eq!(issues(outcome.is(200)), ["warning not-found Observation.value"]);
    // Once for a value set, however often it is asked.
    let mut twice = observation("x", "y");
    let coding = twice["valueCodeableConcept"]["coding"][0].clone();
    twice["valueCodeableConcept"]["coding"] = json!([coding, {"system": SYSTEM, "code": "one"}]);
    let bundle = json!({"resourceType": "Bundle", "type": "collection",
        "entry": [{"fullUrl": "urn:uuid:7f000000-0000-4000-8000-000000000001", "resource": twice},
                  {"fullUrl": "urn:uuid:7f000000-0000-4000-8000-000000000002", "resource": observation("x", "y")}]});
    let outcome = post(&server, "Bundle/$validate", &bundle);
    assert_eq!(issues(outcome.is(200)), ["warning not-found Bundle.entry[0].resource.value"]);
}

/// What goes round in a circle is told where it is written, and where it came in all the same it is named where it is used.
#[test]
fn terminology_that_goes_round_is_refused_and_named() {
    let set = |id: &str, version: &str, imports: &str| {
        json!({"resourceType": "ValueSet", "id": id, "url": format!("http://example.org/fhir/ValueSet/{id}"),
            "version": version, "status": "active",
            "compose": {"include": [{"system": SYSTEM}, {"valueSet": [imports]}]}})
    };
    let round = json!({"resourceType": "CodeSystem", "id": "round", "url": "http://example.org/fhir/CodeSystem/round",
        "status": "active", "content": "complete", "concept": [{"code": "z"},
        {"code": "x", "property": [{"code": "parent", "valueCode": "y"}]},
        {"code": "y", "property": [{"code": "parent", "valueCode": "x"}]}]});
    let server = TestServer::start();
    let refused = post(&server, "ValueSet", &set("one", "1", "http://example.org/fhir/ValueSet/one"));
    assert_eq!(issues(refused.is(422)), ["error processing ValueSet.compose.include[1].valueSet[0]"]);
    assert!(refused.text().contains("ValueSet/one|1' includes itself"), "{}", refused.text());
    let refused = post(&server, "CodeSystem", &round);
    assert_eq!(issues(refused.is(422)), ["error processing CodeSystem.concept[1]"]);
    assert!(refused.text().contains("CodeSystem/round") && refused.text().contains("'x'"), "{}", refused.text());
    // By way of another, which is there.
    server.put("PUT", "ValueSet/one", &set("one", "1", "http://example.org/fhir/ValueSet/two")).is(201);
    let refused = server.put("PUT", "ValueSet/two", &set("two", "1", "http://example.org/fhir/ValueSet/one"));
    assert_eq!(issues(refused.is(422)), ["error processing ValueSet.compose.include[1].valueSet[0]"]);
    // An older version of itself is no circle.
    server.put("PUT", "ValueSet/old", &set("old", "1", GRADES)).is(201);
    post(&server, "ValueSet", &set("old", "2", "http://example.org/fhir/ValueSet/old|1")).is(201);

    let lax = TestServer::with(Settings { validation: Some(Validation::Off), ..Settings::default() });
    post(&lax, "StructureDefinition", &graded()).is(201);
    let [system, mut grades] = grades();
    lax.put("PUT", "CodeSystem/grades", &system).is(201);
    grades["compose"]["include"] = json!([{"valueSet": [GRADES]}]);
    lax.put("PUT", "ValueSet/grades", &grades).is(201);
    let told = post(&lax, "Observation/$validate", &observation("one", "First"));
    assert!(issues(told.is(200)).contains(&"warning processing Observation.value".to_owned()), "{}", told.text());
    let place = "ValueSet.compose.include[0].valueSet[0]";
    assert!(told.text().contains(GRADES) && told.text().contains(place), "{}", told.text());
    let sent = [("prefer", "handling=strict")];
    let searched = lax.get_with(&format!("Observation?code:in={GRADES}"), &sent);
    assert!(searched.is(400).text().contains(place), "{}", searched.text());

    lax.put("PUT", "CodeSystem/round", &round).is(201);
    let below = json!({"resourceType": "ValueSet", "id": "below", "url": "http://example.org/fhir/ValueSet/below",
        "status": "active", "compose": {"include": [{"system": "http://example.org/fhir/CodeSystem/round",
            "filter": [{"property": "concept", "op": "is-a", "value": "x"}]}]}});
    lax.put("PUT", "ValueSet/below", &below).is(201);
    let system = "http://example.org/fhir/CodeSystem/round";
    let table = json!({"resourceType": "Parameters", "parameter": [{"name": "name", "valueString": "t"},
        {"name": "concept", "valueCoding": {"system": system, "code": "z"}}]});
    for (status, answer) in [
        (422, lax.get("ValueSet/below/$expand")),
        (422, lax.get(&format!("ValueSet/below/$validate-code?system={system}&code=y"))),
        (422, lax.get(&format!("CodeSystem/$lookup?system={system}&code=z"))),
        (422, lax.get("CodeSystem/round/$lookup?code=z")),
        (422, lax.get(&format!("CodeSystem/$subsumes?system={system}&codeA=z&codeB=y"))),
        (422, lax.get("CodeSystem/round/$subsumes?codeA=x&codeB=y")),
        (422, post(&lax, "$closure", &table)),
        (400, lax.get_with(&format!("Observation?code:below={system}%7Cz"), &sent)),
        (400, lax.get_with(&format!("Observation?code:above={system}%7Cz"), &sent)),
        (400, lax.get_with("Observation?code:in=http://example.org/fhir/ValueSet/below", &sent)),
    ] {
        let text = answer.is(status).text();
        assert!(text.contains(system) && text.contains("'x'"), "{text}");
    }
    // A code is one of the system all the same.
    lax.get(&format!("CodeSystem/$validate-code?url={system}&code=z")).is(200);
}

/// Answers are held against value sets by canonical and those that the Questionnaire contains.
#[test]
fn answers_are_held_against_value_sets() {
    let server = TestServer::start();
    for resource in grades() {
        let kind = resource["resourceType"].as_str().expect("a type").to_owned();
        server.put("PUT", &format!("{kind}/grades"), &resource).is(201);
    }
    let question = |link: &str, set: &str| json!({"linkId": link, "type": "choice", "answerValueSet": set});
    let form = json!({"resourceType": "Questionnaire", "url": "http://example.org/fhir/Questionnaire/q", "status": "active",
        "contained": [{"resourceType": "ValueSet", "id": "own", "status": "active",
            "compose": {"include": [{"system": SYSTEM, "concept": [{"code": "two"}]}]}}],
        "item": [question("1", GRADES), question("2", "#own"), question("3", "http://example.org/fhir/ValueSet/none"),
            question("4", "#none")]});
    post(&server, "Questionnaire", &form).is(201);
    let told = |link: &str, code: &str| {
        let response = json!({"resourceType": "QuestionnaireResponse", "status": "completed",
            "questionnaire": "http://example.org/fhir/Questionnaire/q",
            "item": [{"linkId": link, "answer": [{"valueCoding": {"system": SYSTEM, "code": code}}]}]});
        issues(post(&server, "QuestionnaireResponse/$validate", &response).is(200))
    };
    let place = "QuestionnaireResponse.item[0].answer[0].value";
    let fine = ["information informational ".to_owned()];
    assert_eq!(told("1", "one"), fine);
    assert_eq!(told("2", "two"), fine);
    assert_eq!(told("2", "one"), [format!("error code-invalid {place}")]);
    assert_eq!(told("3", "one"), [format!("warning not-found {place}")]);
    assert_eq!(told("4", "one"), [format!("warning not-found {place}")]);
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
        ["warning processing Observation", "information not-found Observation.value.coding[0].system"]
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
            ["error code-invalid Observation.value", "warning code-invalid Observation.value.coding[0].code"]
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
