//! Declared equals true, for what the documents say of all types and of the whole server at once: conditional forms,
//! formats, patches, headers, and who is asked for a token.

use super::declared::{Failures, SERVER, ok, resource, statement};
use crate::support::TestServer;
use serde_json::{Value, json};
use vesta::cli::settings::{Auth, Settings};

const JSON: (&str, &str) = ("content-type", "application/fhir+json");

/// What `rest.resource` says beside its interactions and parameters.
#[test]
fn every_conditional_form_of_every_type() {
    let rest = statement();
    let mut failures = Failures::default();
    for declared in rest["resource"].as_array().expect("types") {
        let kind = declared["type"].as_str().expect("a type");
        let id = format!("form-{}", kind.to_lowercase());
        let path = format!("{kind}/{id}");
        let sent = resource(kind, Some(&id));
        let is = |name: &str, value: Value| assert_eq!(declared[name], value, "{kind}.{name}");
        is("updateCreate", json!(true));
        is("conditionalCreate", json!(true));
        is("conditionalUpdate", json!(true));
        is("conditionalRead", json!("full-support"));
        is("conditionalDelete", json!("single"));
        is("readHistory", json!(true));
        is("versioning", json!("versioned"));
        failures.want(&format!("updateCreate {kind}"), &SERVER.put("PUT", &path, &sent), |s| s == 201);
        let body = sent.to_string();
        let criteria = format!("_id={id}");
        let exists = [JSON, ("if-none-exist", criteria.as_str())];
        let answer = SERVER.send("POST", kind, &exists, Some(body.as_bytes()));
        failures.want(&format!("conditionalCreate {kind}"), &answer, |s| s == 200);
        let answer = SERVER.send("POST", &format!("{kind}?{criteria}"), &[JSON], Some(body.as_bytes()));
        failures.want(&format!("create with criteria in the address {kind}"), &answer, |s| s == 200);
        for condition in [("if-none-match", "W/\"1\""), ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")] {
            for place in [path.clone(), format!("{path}/_history/1")] {
                let answer = SERVER.get_with(&place, &[("accept", "application/fhir+json"), condition]);
                failures.want(&format!("conditionalRead {place} {condition:?}"), &answer, |s| s == 304);
            }
        }
        let answer = SERVER.put("PUT", &format!("{kind}?{criteria}"), &sent);
        failures.want(&format!("conditionalUpdate {kind}"), &answer, |s| s == 200);
        let answer = SERVER.send("DELETE", &format!("{kind}?{criteria}"), &[], None);
        failures.want(&format!("conditionalDelete {kind}"), &answer, ok);
        failures.want(&format!("deleted {kind}"), &SERVER.get(&path), |s| s == 410);
        let before = SERVER.get_with(&format!("{path}/_history/1"), &[("accept", "application/fhir+json")]);
        failures.want(&format!("readHistory {kind}"), &before, |s| s == 200);
    }
    failures.none();
}

#[test]
fn every_format() {
    let statement = SERVER.get("metadata").is(200).json();
    let formats = statement["format"].as_array().expect("formats");
    assert!(formats.len() > 3);
    SERVER.put("PUT", "Patient/formats", &resource("Patient", Some("formats"))).is(201);
    for format in formats.iter().filter_map(Value::as_str) {
        let form = format.rsplit(['/', '+']).next().expect("a name");
        let mut answers = vec![SERVER.get(&format!("Patient/formats?_format={}", format.replace('+', "%2B")))];
        answers.push(SERVER.get(&format!("Patient?_id=formats&_format={}", format.replace('+', "%2B"))));
        if format.contains('/') {
            answers.push(SERVER.get_with("Patient/formats", &[("accept", format)]));
        }
        for answer in answers {
            answer.is(200);
            let content_type = answer.header("content-type");
            assert!(content_type.starts_with(&format!("application/fhir+{form}")), "{format}: {content_type}");
            assert!(answer.text().contains("formats"), "{format}: {}", answer.text());
        }
    }
}

#[test]
fn every_form_of_a_patch() {
    let statement = SERVER.get("metadata").is(200).json();
    let fhirpath = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "Patient.language"},
        {"name": "value", "valueCode": "fr"}]}]});
    let formats = statement["patchFormat"].as_array().expect("formats");
    assert!(formats.len() > 4);
    for (i, format) in formats.iter().filter_map(Value::as_str).enumerate() {
        let path = format!("Patient/patched-{i}");
        SERVER.put("PUT", &path, &resource("Patient", Some(&format!("patched-{i}")))).is(201);
        let patch = match format {
            "application/json-patch+json" => r#"[{"op":"replace","path":"/language","value":"fr"}]"#.to_owned(),
            "application/merge-patch+json" => r#"{"language":"fr"}"#.to_owned(),
            "application/xml-patch+xml" => {
                r#"<diff xmlns:f="http://hl7.org/fhir"><replace sel="f:Patient/f:language/@value">fr</replace></diff>"#
                    .to_owned()
            }
            "application/fhir+json" => fhirpath.to_string(),
            "application/fhir+xml" => concat!(
                r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>"#,
                r#"<part><name value="type"/><valueCode value="replace"/></part>"#,
                r#"<part><name value="path"/><valueString value="Patient.language"/></part>"#,
                r#"<part><name value="value"/><valueCode value="fr"/></part></parameter></Parameters>"#
            )
            .to_owned(),
            other => panic!("patchFormat declares {other}"),
        };
        SERVER.send("PATCH", &path, &[("content-type", format)], Some(patch.as_bytes())).is(200);
        assert_eq!(SERVER.get(&path).json()["language"], "fr", "{format}");
    }
}

/// Each operation of the OpenAPI document on some addresses: method, address with something in its gaps, and what the
/// document says of it, references followed.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let about_one = ["/Observation", "/Binary", "/Patient/{"].iter().any(|start| path.starts_with(start));
        if !about_one && path.matches('/').count() > 1 || path.contains("/$") {
            continue;
        }
        for (method, operation) in item.as_object().expect("operations") {
            let concrete = path.replace("{id}", "nobody").replace("{vid}", "1").replace("{type}", "Observation");
            let mut operation = operation.clone();
            for parameter in operation["parameters"].as_array_mut().into_iter().flatten() {
                let place = parameter["$ref"].as_str().expect("a reference").trim_start_matches('#');
                *parameter = document.pointer(place).unwrap_or_else(|| panic!("{place} is missing")).clone();
            }
            all.push((method.to_uppercase(), concrete.trim_start_matches('/').to_owned(), operation));
        }
    }
    assert!(all.len() > 150, "{}", all.len());
    all
}

fn of_observations(path: &str) -> bool {
    path.split('/').next() == Some("Observation")
}

fn names_of(operation: &Value, place: &str) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let here = parameters.filter(|p| p["in"] == place).filter_map(|p| p["name"].as_str());
    here.map(str::to_owned).collect()
}

#[test]
fn every_reference_in_openapi_leads_somewhere() {
    let document = SERVER.get("/openapi.json").is(200).json();
    fn look(value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(place)) = members.get("$ref") {
                    assert!(document.pointer(place.trim_start_matches('#')).is_some(), "{place} is missing");
                }
                members.values().for_each(|member| look(member, document));
            }
            Value::Array(items) => items.iter().for_each(|item| look(item, document)),
            _ => {}
        }
    }
    look(&document, &document);
}

/// A precondition that does not hold is noticed wherever it is declared.
#[test]
fn preconditions_are_heeded_where_they_are_declared() {
    let document = SERVER.get("/openapi.json").is(200).json();
    let mut tried = 0;
    for (method, path, operation) in operations(&document) {
        if !of_observations(&path) || !names_of(&operation, "header").contains(&"If-Match".to_owned()) {
            continue;
        }
        let criteria = names_of(&operation, "query").contains(&"criteria".to_owned());
        SERVER.put("PUT", "Observation/same", &resource("Observation", Some("same")));
        let path = if criteria { "Observation?_id=same".to_owned() } else { path.replace("nobody", "same") };
        let body = match method.as_str() {
            "PATCH" => Some(r#"{"language":"fr"}"#.to_owned()),
            "PUT" => Some(resource("Observation", Some("same")).to_string()),
            _ => None,
        };
        let media = if method == "PATCH" { "application/merge-patch+json" } else { JSON.1 };
        for (name, value) in [("if-match", "W/\"999\""), ("if-none-match", "*")] {
            let headers = [("content-type", media), (name, value)];
            let answer = SERVER.send(&method, &path, &headers, body.as_deref().map(str::as_bytes));
            assert_eq!(answer.status, 412, "{method} {path} {name}: {}", answer.text());
            tried += 1;
        }
    }
    assert_eq!(tried, 12, "update, patch and delete, by id and by criteria");
}

/// A Provenance is stored by whatever declares the header.
#[test]
fn a_provenance_is_taken_where_it_is_declared() {
    let document = SERVER.get("/openapi.json").is(200).json();
    let provenance = json!({"resourceType": "Provenance", "recorded": "2026-11-26T08:00:00Z",
        "agent": [{"who": {"display": "test"}}], "target": []});
    let provenance = provenance.to_string();
    let count = || SERVER.get("Provenance?_summary=count").is(200).json()["total"].as_u64().expect("a number");
    let mut tried = 0;
    for (method, path, operation) in operations(&document) {
        let whole = path.is_empty();
        if !(of_observations(&path) || whole) || !names_of(&operation, "header").contains(&"X-Provenance".to_owned()) {
            continue;
        }
        SERVER.put("PUT", "Observation/proven", &resource("Observation", Some("proven")));
        let criteria = method != "POST" && names_of(&operation, "query").contains(&"criteria".to_owned());
        let path = if criteria { "Observation?_id=proven".to_owned() } else { path.replace("nobody", "proven") };
        let body = match method.as_str() {
            "PATCH" => Some(r#"{"language":"fr"}"#.to_owned()),
            "POST" if whole => Some(
                json!({"resourceType": "Bundle", "type": "transaction", "entry": [{"resource": resource("Observation", None),
                    "request": {"method": "POST", "url": "Observation"}}]})
                .to_string(),
            ),
            "POST" => Some(resource("Observation", None).to_string()),
            "PUT" => Some(resource("Observation", Some("proven")).to_string()),
            _ => None,
        };
        let media = if method == "PATCH" { "application/merge-patch+json" } else { JSON.1 };
        let before = count();
        let headers = [("content-type", media), ("x-provenance", provenance.as_str())];
        let answer = SERVER.send(&method, &path, &headers, body.as_deref().map(str::as_bytes));
        assert!(ok(answer.status), "{method} {path}: {}", answer.text());
        assert!(count() > before, "{method} {path} stores no Provenance");
        tried += 1;
    }
    assert_eq!(tried, 8, "create, update, patch and delete, by id and by criteria, and a Bundle");
}

/// What is given besides JSON and XML, and what is taken as it is.
#[test]
fn other_contents_are_as_declared() {
    let document = SERVER.get("/openapi.json").is(200).json();
    let content = |place: &str| document.pointer(place).and_then(Value::as_object).expect("contents").clone();
    for answer in ["resource", "bundle", "outcome", "binary"] {
        let declared = content(&format!("/components/responses/{answer}/content"));
        assert!(declared.contains_key("application/fhir+ndjson"), "{answer}");
        assert_eq!(declared.contains_key("*/*"), answer == "binary", "{answer}");
    }
    let refers = |pointer: &str| document.pointer(pointer).expect("a reference").as_str().expect("text").to_owned();
    assert!(refers("/paths/~1Binary/post/requestBody/$ref").ends_with("/binary"));
    assert!(refers("/paths/~1Binary~1{id}/get/responses/200/$ref").ends_with("/binary"));
    assert!(refers("/paths/~1Observation~1{id}/get/responses/200/$ref").ends_with("/resource"));
    assert!(refers("/paths/~1$package-add/post/requestBody/$ref").ends_with("/archive"));
    let headers = [("content-type", "image/png"), ("x-security-context", "Patient/1")];
    let id = SERVER.send("POST", "Binary", &headers, Some(b"\x89PNG")).is(201).json()["id"].clone();
    let raw = SERVER.get(&format!("Binary/{}", id.as_str().expect("an id")));
    assert_eq!((raw.header("content-type"), &raw.body[..]), ("image/png", &b"\x89PNG"[..]));
    assert_eq!(raw.header("x-security-context"), "Patient/1");
    let lines = SERVER.get_with("Patient/nobody-at-all", &[("accept", "application/fhir+ndjson")]);
    assert_eq!((lines.status, lines.text().lines().count()), (404, 1));
}

/// Where access control is on, exactly what is declared to be open is open.
#[test]
fn a_token_is_asked_for_where_it_is_declared() {
    let server = TestServer::with(Settings { auth: Some(Auth::On), ..Settings::default() });
    let document = server.get("/openapi.json").is(200).json();
    let schemes = document["components"]["securitySchemes"].as_object().expect("schemes");
    for requirement in document["security"].as_array().expect("requirements") {
        let mut names = requirement.as_object().expect("names").keys();
        assert!(names.all(|name| schemes.contains_key(name)), "{requirement}");
    }
    let discovered = server.get(".well-known/smart-configuration").is(200).json();
    let flow = &schemes["smart"]["flows"]["authorizationCode"];
    for (declared, told) in [("authorizationUrl", "authorization_endpoint"), ("tokenUrl", "token_endpoint")] {
        let told = discovered[told].as_str().expect("an address");
        assert!(told.ends_with(flow[declared].as_str().expect("an address")), "{declared}: {told}");
    }
    let mut open = Vec::new();
    for (method, path, operation) in operations(&document) {
        let body: Option<&[u8]> = matches!(&*method, "POST" | "PUT" | "PATCH").then_some(b"{}");
        let status = server.send(&method, &path, &[JSON], body).status;
        let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
        assert_eq!(status != 401, is_open, "{method} {path}: {status}");
        open.extend(is_open.then_some(path));
    }
    assert_eq!(open, ["metadata"]);
    assert!(SERVER.get("/openapi.json").json()["security"].is_null(), "without access control nothing is asked for");
}
