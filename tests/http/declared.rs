//! Declared equals true: everything that the CapabilityStatement and the OpenAPI document declare is tried, and both
//! documents are those that are committed.

use crate::support::{Answer, TestServer};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::LazyLock;
use vesta::cli::settings::{Settings, Validation};
use vesta::definitions::Definitions;

/// These tests write many resources: a server of their own, which does not judge contents, so that one form of
/// resource will do for all types.
pub static SERVER: LazyLock<TestServer> =
    LazyLock::new(|| TestServer::with(Settings { validation: Some(Validation::Off), ..Settings::default() }));

fn compare(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let first = kept.lines().zip(made.lines()).position(|(a, b)| a != b);
    assert!(
        kept.trim_end() == made.trim_end(),
        "{file} is not what this version declares (first difference in line {:?}); make it anew with\n  \
         cargo run -- openapi > openapi/vesta.json; cargo run -- capabilities > conformance/capability-statement.json",
        first.map(|line| line + 1)
    );
}

#[test]
fn the_committed_documents_are_current() {
    compare("openapi/vesta.json", &vesta::cli::documents::openapi_document(&Settings::default()));
    let statement = vesta::cli::documents::capability_statement(&Settings::default()).expect("a statement");
    compare("conformance/capability-statement.json", &statement);
}

/// Collects what failed, so that one run shows all of it.
#[derive(Default)]
pub struct Failures(Vec<String>);

impl Failures {
    pub fn want(&mut self, what: &str, answer: &Answer, good: impl Fn(u16) -> bool) {
        if !good(answer.status) {
            let text: String = answer.text().chars().take(200).collect();
            self.0.push(format!("{what}: {} {text}", answer.status));
        }
    }

    pub fn none(self) {
        let number = self.0.len();
        let shown: Vec<_> = self.0.into_iter().take(40).collect();
        assert!(number == 0, "{number} failures:\n{}", shown.join("\n"));
    }
}

pub fn ok(status: u16) -> bool {
    (200..300).contains(&status)
}

/// A resource of a type. For a Bundle and a Binary what they cannot be without.
pub fn resource(kind: &str, id: Option<&str>) -> Value {
    let mut resource = json!({"resourceType": kind, "language": "en"});
    match kind {
        "Bundle" => resource["type"] = json!("collection"),
        "Binary" => resource["contentType"] = json!("text/plain"),
        _ => {}
    }
    if let Some(id) = id {
        resource["id"] = json!(id);
    }
    resource
}

pub fn statement() -> Value {
    SERVER.get("metadata").is(200).json()["rest"][0].clone()
}

fn codes(of: &Value) -> Vec<&str> {
    of["interaction"].as_array().into_iter().flatten().filter_map(|i| i["code"].as_str()).collect()
}

#[test]
fn every_interaction_of_every_type() {
    let rest = statement();
    let kinds = rest["resource"].as_array().expect("types");
    assert_eq!(kinds.len(), 146);
    let mut failures = Failures::default();
    for declared in kinds {
        let kind = declared["type"].as_str().expect("a type");
        let id = format!("declared-{}", kind.to_lowercase());
        let path = format!("{kind}/{id}");
        failures.want(&format!("update {kind}"), &SERVER.put("PUT", &path, &resource(kind, Some(&id))), ok);
        for code in codes(declared) {
            let what = format!("{code} {kind}");
            let answer = match code {
                "read" => SERVER.get_with(&path, &[("accept", "application/fhir+json")]),
                "vread" => SERVER.get_with(&format!("{path}/_history/1"), &[("accept", "application/fhir+json")]),
                "update" => SERVER.put("PUT", &path, &resource(kind, Some(&id))),
                "patch" => {
                    let patch = br#"[{"op":"replace","path":"/language","value":"de"}]"#;
                    SERVER.send("PATCH", &path, &[("content-type", "application/json-patch+json")], Some(patch))
                }
                "delete" => {
                    let other = format!("{kind}/{id}-2");
                    failures.want(&what, &SERVER.put("PUT", &other, &resource(kind, Some(&format!("{id}-2")))), ok);
                    SERVER.send("DELETE", &other, &[], None)
                }
                "history-instance" => SERVER.get(&format!("{path}/_history")),
                "history-type" => SERVER.get(&format!("{kind}/_history?_count=2")),
                "create" => SERVER.put("POST", kind, &resource(kind, None)),
                "search-type" => SERVER.get(&format!("{kind}?_count=2")),
                other => panic!("{kind} declares {other}"),
            };
            failures.want(&what, &answer, ok);
        }
        let form = ("content-type", "application/x-www-form-urlencoded");
        let answer = SERVER.send("POST", &format!("{kind}/_search"), &[form], Some(b"_count=1"));
        failures.want(&format!("search by POST {kind}"), &answer, ok);
    }
    failures.none();
}

/// A value that a parameter of this type can have.
fn plausible(kind: &str, code: &str) -> &'static str {
    match kind {
        "number" => "1",
        "date" => "2020-01-01",
        "quantity" => "5.4|http://unitsofmeasure.org|mg",
        "reference" => "Patient/1",
        "uri" => "http://example.org/x",
        "special" if code == "near" => "42.25|-83.6|3|km",
        "special" => "_id%20eq%20x",
        _ => "x",
    }
}

/// A value that a parameter of a type can have; that of a composite is put together from its components.
fn value_of(definitions: &Definitions, kind: &str, code: &str, form: &str) -> String {
    if form != "composite" {
        return plausible(form, code).to_owned();
    }
    let kind = definitions.resource(kind).expect("a type");
    let parameters = definitions.search_parameters_of(kind);
    let composite = parameters.iter().find(|p| &*p.code == code).expect("a parameter");
    let component = |url: &str| definitions.search_parameters.iter().find(|p| &*p.url == url).expect("a component");
    let values = composite.components.iter().map(|part| component(&part.definition));
    values.map(|part| plausible(part.kind.code(), &part.code)).collect::<Vec<_>>().join("$")
}

#[test]
fn every_search_parameter_of_every_type() {
    let rest = statement();
    let definitions = Definitions::core();
    let mut failures = Failures::default();
    let mut tried = 0;
    for declared in rest["resource"].as_array().expect("types") {
        let kind = declared["type"].as_str().expect("a type");
        for parameter in declared["searchParam"].as_array().expect("parameters") {
            let code = parameter["name"].as_str().expect("a name");
            let form = parameter["type"].as_str().expect("a type");
            let path = format!("{kind}?{code}={}&_summary=count", value_of(&definitions, kind, code, form));
            failures.want(&path, &SERVER.get_with(&path, &[("prefer", "handling=strict")]), ok);
            tried += 1;
        }
        for (name, list) in [("_include", "searchInclude"), ("_revinclude", "searchRevInclude")] {
            for include in declared[list].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let path = format!("{kind}?{name}={include}&_count=1");
                failures.want(&path, &SERVER.get_with(&path, &[("prefer", "handling=strict")]), ok);
            }
        }
    }
    assert!(tried > 2_000, "{tried}");
    failures.none();
}

#[test]
fn everything_of_the_system() {
    let rest = statement();
    let mut failures = Failures::default();
    for code in codes(&rest) {
        let bundle = |kind: &str| SERVER.put("POST", "", &json!({"resourceType": "Bundle", "type": kind}));
        let answer = match code {
            "transaction" | "batch" => bundle(code),
            "history-system" => SERVER.get("_history?_count=1"),
            "search-system" => SERVER.get("?_type=Patient,Observation&_count=1"),
            other => panic!("the system declares {other}"),
        };
        failures.want(code, &answer, ok);
    }
    let common = rest["searchParam"].as_array().expect("parameters");
    assert!(common.len() > 5, "{common:?}");
    for parameter in common {
        let (code, form) = (parameter["name"].as_str().expect("a name"), parameter["type"].as_str().expect("a type"));
        let path = format!("?_type=Patient,Observation&{code}={}&_summary=count", plausible(form, code));
        failures.want(&path, &SERVER.get_with(&path, &[("prefer", "handling=strict")]), ok);
    }
    for compartment in rest["compartment"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        let name = compartment.rsplit('/').next().expect("a name");
        let kind = ["Patient", "Encounter", "RelatedPerson", "Practitioner", "Device"]
            .into_iter()
            .find(|kind| kind.eq_ignore_ascii_case(name))
            .expect("a compartment of R4");
        let id = SERVER.create(&resource(kind, None));
        failures.want(compartment, &SERVER.get(&format!("{kind}/{id}/Observation")), ok);
        failures.want(compartment, &SERVER.get(&format!("{kind}/{id}/*?_count=1")), ok);
        let strict = [("prefer", "handling=strict")];
        failures.want(compartment, &SERVER.get_with(&format!("{kind}/{id}/*?_type=Observation"), &strict), ok);
    }
    failures.none();
}

/// Whether an operation is there: it may refuse what it is called with, but it has to know what it is.
fn served(status: u16) -> bool {
    status < 500 && !matches!(status, 404 | 405)
}

#[test]
fn every_operation() {
    let document = SERVER.get("/openapi.json").is(200).json();
    let mut failures = Failures::default();
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let Some((before, name)) = path.split_once('$') else { continue };
        let kind = before.trim_matches('/').split('/').next().unwrap_or_default();
        let id = format!("operation-{}", kind.to_lowercase());
        if path.contains("{id}") {
            let answer = SERVER.put("PUT", &format!("{kind}/{id}"), &resource(kind, Some(&id)));
            failures.want(&format!("update {kind}"), &answer, ok);
        }
        let path = path.trim_start_matches('/').replace("{id}", &id);
        if item["get"].is_object() {
            failures.want(&format!("GET {path}"), &SERVER.get(&path), served);
        }
        if item["post"].is_object() {
            let input = match name {
                "validate" => {
                    json!({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": resource(kind, None)}]})
                }
                "meta-add" | "meta-delete" => {
                    json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]})
                }
                _ => json!({"resourceType": "Parameters"}),
            };
            failures.want(&format!("POST {path}"), &SERVER.put("POST", &path, &input), served);
        }
        tried += 1;
    }
    let declared = statement();
    let on_kinds = declared["resource"].as_array().into_iter().flatten().filter_map(|r| r["operation"].as_array());
    let names: std::collections::BTreeSet<_> = on_kinds
        .flatten()
        .chain(declared["operation"].as_array().into_iter().flatten())
        .map(|o| &o["name"])
        .map(Value::to_string)
        .collect();
    for name in &names {
        let name = name.trim_matches('"');
        let has = |path: &String| path.ends_with(&format!("${name}"));
        assert!(document["paths"].as_object().expect("paths").keys().any(has), "OpenAPI lacks ${name}");
    }
    assert!(tried > 100, "{tried}");
    failures.none();
}

#[test]
fn every_address_of_openapi_is_routed() {
    let document = SERVER.get("/openapi.json").is(200).json();
    let mut failures = Failures::default();
    for (path, item) in document["paths"].as_object().expect("paths") {
        // One type for all: the others were tried above.
        if path.contains('$')
            || !(path.starts_with("/Observation") || path.starts_with("/_") || !path[1..].contains('/'))
        {
            continue;
        }
        for (method, operation) in item.as_object().expect("operations") {
            let concrete = path.replace("{id}", "routed").replace("{vid}", "1").replace("{type}", "Observation");
            let headers: &[(&str, &str)] = &[("content-type", "application/fhir+json"), ("prefer", "handling=strict")];
            let body: Option<&[u8]> =
                if matches!(method.as_str(), "post" | "put" | "patch") { Some(b"{}") } else { None };
            let answer = SERVER.send(&method.to_uppercase(), concrete.trim_start_matches('/'), headers, body);
            let what = operation["operationId"].as_str().unwrap_or(path);
            failures.want(what, &answer, |status| status < 500 && status != 405);
            let unknown = answer.status == 404 && answer.text().contains("no address");
            assert!(!unknown, "{what} is not routed");
        }
    }
    failures.none();
}
