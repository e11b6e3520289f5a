//! The JSON Schemas, as the `jsonschema` crate sees them.

use super::shared;
use crate::definitions::Definitions;
use jsonschema::Registry;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;

fn schema(name: &str) -> Value {
    serde_json::from_str(Definitions::core().json_schema(name).expect(name)).expect("JSON")
}

/// Checks resources, each against the schema of its type, and gives the faults of those that are refused.
fn refused(resources: &[(String, Value)]) -> BTreeMap<String, Vec<String>> {
    let registry = Registry::new().add("json-schema:///datatypes.json", schema("datatypes")).expect("address");
    let registry = registry.prepare().expect("the data types");
    let mut by_type: BTreeMap<&str, Vec<&(String, Value)>> = BTreeMap::new();
    for resource in resources {
        by_type.entry(resource.1["resourceType"].as_str().expect("a type")).or_default().push(resource);
    }
    let mut faults = BTreeMap::new();
    for (kind, resources) in by_type {
        let schema = schema(kind);
        let options = jsonschema::options().offline().with_registry(&registry);
        let validator = options.with_base_uri(format!("json-schema:///{kind}.json")).build(&schema).expect(kind);
        for (name, resource) in resources {
            let found: Vec<String> =
                validator.iter_errors(resource).map(|e| format!("{}: {e}", e.instance_path())).collect();
            if !found.is_empty() {
                faults.insert(name.clone(), found);
            }
        }
    }
    faults
}

#[test]
fn there_is_one_for_each_type_and_it_compiles() {
    let d = Definitions::core();
    let empty = |id| (d.name(id).to_owned(), json!({"resourceType": d.name(id), "unheardOf": 1}));
    let resources: Vec<_> = d.resources.iter().map(|id| empty(*id)).collect();
    let faults = refused(&resources);
    assert_eq!(faults.len(), 146, "every type refuses an element that it does not have");
    assert!(faults.values().flatten().any(|f| f.contains("unheardOf")));
    assert!(d.json_schema("HumanName").is_none());
}

#[test]
fn legal_and_illegal_resources() {
    let observation = |change: Value| {
        let mut resource = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
        for (name, value) in change.as_object().expect("an object") {
            match value {
                Value::Null => resource.as_object_mut().expect("an object").shift_remove(name),
                value => resource.as_object_mut().expect("an object").insert(name.clone(), value.clone()),
            };
        }
        resource
    };
    for (change, legal) in [
        (json!({}), true),
        (json!({"status": "finally"}), false),
        (json!({"status": null}), false),
        (json!({"status": null, "_status": {"extension": [{"url": "urn:x", "valueCode": "y"}]}}), true),
        (json!({"code": null}), false),
        (json!({"valueQuantity": {"value": 1.50}}), true),
        (json!({"valueQuantity": {"value": "1.50"}}), false),
        (json!({"valueInteger": 1.5}), false),
        (json!({"value": 1}), false),
        (json!({"valueInteger": 1, "valueString": "1"}), false),
        (json!({"category": {"text": "not in a list"}}), false),
        (json!({"category": []}), false),
        (json!({"issued": "2020-01-01"}), false),
        (json!({"effectiveDateTime": "2020-01"}), true),
        (json!({"component": [{"code": {"text": "y"}, "valueString": "ä\u{a0}\u{1f600}"}]}), true),
        (json!({"component": [{"valueString": "without a code"}]}), false),
        (json!({"contained": [{"resourceType": "Patient"}]}), true),
        (json!({"contained": [{"resourceType": "DomainResource"}]}), false),
        (json!({"id": "a/b"}), false),
    ] {
        let faults = refused(&[("it".to_owned(), observation(change.clone()))]);
        assert_eq!(faults.is_empty(), legal, "{change}: {faults:?}");
    }
    let patient = |given: Value, extensions: Value| json!({"resourceType": "Patient", "name": [{"given": given, "_given": extensions}]});
    let both = patient(json!(["A", null]), json!([null, {"id": "b"}]));
    assert!(refused(&[("it".to_owned(), both)]).is_empty());
}

#[test]
fn official_examples_are_accepted() {
    let Some(path) = shared("r4-examples/r4-examples-dev.tar.zst") else {
        return;
    };
    let mut decoder = zstd::Decoder::new(std::fs::File::open(path).expect("file")).expect("zstd");
    decoder.window_log_max(27).expect("window");
    let mut resources = Vec::new();
    for entry in tar::Archive::new(decoder).entries().expect("archive") {
        let mut entry = entry.expect("entry");
        let name = entry.path().expect("path").to_string_lossy().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        resources.push((name, serde_json::from_str::<Value>(&text).expect("JSON")));
    }
    assert_eq!(resources.len(), 566);
    let faults = refused(&resources);
    // An item without linkId, which is mandatory.
    let known = ["Questionnaire-qs1.json"];
    assert!(faults.keys().eq(known.iter()), "{faults:?}");
}

#[test]
fn single_faults_are_refused() {
    let Some(path) = shared("mutants/mutants.dev.json.zst") else {
        return;
    };
    let mut decoder = zstd::Decoder::new(std::fs::File::open(path).expect("file")).expect("zstd");
    decoder.window_log_max(27).expect("window");
    let mutants: Vec<Value> = serde_json::from_reader(decoder).expect("JSON");
    let text = |mutant: &Value, name: &str| mutant[name].as_str().expect("text").to_owned();
    let resources: Vec<_> = mutants.iter().map(|m| (text(m, "id"), m["resource"].clone())).collect();
    let faults = refused(&resources);
    let accepted: Vec<_> = resources.iter().map(|r| &r.0).filter(|id| !faults.contains_key(*id)).collect();
    assert_eq!(mutants.len(), 862);
    assert!(accepted.is_empty(), "{accepted:?}");
}
