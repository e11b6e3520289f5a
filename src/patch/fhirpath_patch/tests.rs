//! The published cases of FHIRPath Patch, and ours for primitives with extensions, choices and refusals.

use super::fhirpath_patch;
use crate::definitions::Definitions;
use crate::fhirpath::eval::STEPS;
use crate::json::{Document, Limits, Tree};

fn patched(resource: &str, patch: &str) -> Result<String, String> {
    let resource = Tree::parse(resource.as_bytes()).expect("JSON");
    let document = Document::parse(patch.as_bytes(), &Limits::default()).expect("JSON");
    fhirpath_patch(&resource, document.root(), &Definitions::core(), 0, &mut { STEPS })
        .map(|t| t.to_json())
        .map_err(|f| f.to_string())
}

fn operation(parts: &str) -> String {
    let parts = parts.replace("'", "\"");
    format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"operation","part":[{parts}]}}]}}"#)
}

fn part(kind: &str, path: &str, rest: &str) -> String {
    operation(&format!("{{'name':'type','valueCode':'{kind}'}},{{'name':'path','valueString':\"{path}\"}}{rest}"))
}

#[test]
fn published_cases() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/patch/fhir-patch-tests.dev.json");
    let Ok(text) = std::fs::read(path) else {
        crate::base::skipped(format_args!("{path} is missing"));
        return;
    };
    let cases = Tree::parse(&text).expect("JSON");
    let sorted = |json: &str| serde_json::from_str::<serde_json::Value>(json).expect("JSON");
    for case in cases.items() {
        let part = |name: &str| case.get(name).expect(name).to_json();
        let got = patched(&part("input"), &part("diff")).map(|json| sorted(&json));
        assert_eq!(got, Ok(sorted(&part("output"))), "{}", part("name"));
    }
    println!("FHIRPath Patch: {} cases", cases.items().len());
    assert!(cases.items().len() >= 23);
}

#[test]
fn primitives_keep_their_extensions() {
    let patient = r#"{"resourceType":"Patient","name":[{"given":["A","B"],"_given":[null,{"id":"b"}]}],"birthDate":"2000","_birthDate":{"id":"x"}}"#;
    let insert =
        part("insert", "Patient.name.given", ",{'name':'index','valueInteger':1},{'name':'value','valueString':'N'}");
    assert!(
        patched(patient, &insert).expect("fits").contains(r#""given":["A","N","B"],"_given":[null,null,{"id":"b"}]"#)
    );
    let moved = part(
        "move",
        "Patient.name.given",
        ",{'name':'source','valueInteger':1},{'name':'destination','valueInteger':0}",
    );
    assert!(patched(patient, &moved).expect("fits").contains(r#""given":["B","A"],"_given":[{"id":"b"},null]"#));
    let gone = patched(patient, &part("delete", "Patient.birthDate", "")).expect("fits");
    assert!(!gone.contains("irthDate"), "{gone}");
    let last = patched(patient, &part("delete", "Patient.name.given[1]", "")).expect("fits");
    assert!(last.contains(r#""given":["A"]"#) && !last.contains("_given"), "{last}");
    let extended = operation(
        "{'name':'type','valueCode':'add'},{'name':'path','valueString':'Patient.birthDate'},{'name':'name','valueString':'extension'},{'name':'value','valueExtension':{'url':'http://u','valueBoolean':true}}",
    );
    let extended = patched(patient, &extended).expect("fits");
    assert!(
        extended.contains(r#""_birthDate":{"id":"x","extension":[{"url":"http://u","valueBoolean":true}]}"#),
        "{extended}"
    );
}

#[test]
fn choices_change_their_name() {
    let observation = r#"{"resourceType":"Observation","valueString":"x","status":"final"}"#;
    let replace = part("replace", "Observation.value", ",{'name':'value','valueQuantity':{'value':1.50}}");
    assert_eq!(
        patched(observation, &replace).as_deref(),
        Ok(r#"{"resourceType":"Observation","valueQuantity":{"value":1.50},"status":"final"}"#)
    );
    let add = part("add", "Observation", ",{'name':'name','valueString':'value'},{'name':'value','valueString':'y'}");
    assert!(patched(observation, &add).is_err_and(|e| e.contains("replace it instead")));
    let filtered =
        part("replace", "Observation.component.where(code.text = 'a').value", ",{'name':'value','valueString':'n'}");
    let two = r#"{"resourceType":"Observation","component":[{"code":{"text":"a"},"valueString":"1"},{"code":{"text":"b"},"valueString":"2"}]}"#;
    assert!(
        patched(two, &filtered.replace("\"a\"", "'a'")).expect("fits").contains(r#""text":"a"},"valueString":"n""#)
    );
}

#[test]
fn refused_with_the_place() {
    let patient = r#"{"resourceType":"Patient","name":[{"family":"A"},{"family":"B"}]}"#;
    for (patch, words) in [
        (operation("{'name':'type','valueCode':'burn'},{'name':'path','valueString':'Patient'}"), "'type' is one of"),
        (operation("{'name':'type','valueCode':'delete'}"), "needs a part 'path' (Parameters.parameter[0])"),
        (part("delete", "Patient.name.where(", ""), "no FHIRPath expression"),
        (part("delete", "Patient.name", ""), "finds several elements (Parameters.parameter[0])"),
        (part("replace", "Patient.gender", ",{'name':'value','valueCode':'male'}"), "finds no element"),
        (part("replace", "Patient.name.count()", ",{'name':'value','valueCode':'male'}"), "no element"),
        (
            part("add", "Patient", ",{'name':'name','valueString':'hair'},{'name':'value','valueCode':'male'}"),
            "has no element 'hair'",
        ),
        (
            part("insert", "Patient.name", ",{'name':'index','valueInteger':3},{'name':'value','valueHumanName':{}}"),
            "has 2 items",
        ),
        (
            part("move", "Patient.name", ",{'name':'source','valueInteger':0},{'name':'destination','valueInteger':2}"),
            "has 2 items",
        ),
        (r#"{"resourceType":"Parameters","parameter":[{"name":"op"}]}"#.to_owned(), "is called operation"),
        (r#"{"resourceType":"Patient"}"#.to_owned(), "is a Parameters resource"),
    ] {
        let refused = patched(patient, &patch).expect_err(&patch);
        assert!(refused.contains(words), "{patch}: {refused}");
    }
    // What is not there need not be deleted.
    assert_eq!(patched(patient, &part("delete", "Patient.gender", "")).as_deref(), Ok(patient));
}

/// The steps of all operations are counted together.
#[test]
fn many_costly_operations_are_refused() {
    let patient = r#"{"resourceType":"Patient","gender":"male"}"#;
    let path = "Patient.where((1).repeat(iif($this < 200, $this + 1, {})).count() > 0).gender";
    let replace = part("replace", path, ",{'name':'value','valueCode':'female'}");
    assert_eq!(patched(patient, &replace), Ok(r#"{"resourceType":"Patient","gender":"female"}"#.to_owned()));
    let one = replace.split_once('[').and_then(|(_, rest)| rest.rsplit_once(']')).expect("an operation").0;
    let all = vec![one; 1_000].join(",");
    let refused = patched(patient, &format!(r#"{{"resourceType":"Parameters","parameter":[{all}]}}"#));
    assert!(refused.as_ref().is_err_and(|why| why.contains("too many steps")), "{refused:?}");
}

#[test]
fn the_items_of_two_lists_are_no_list() {
    let patient = r#"{"resourceType":"Patient","name":[{"given":["A"]},{"given":["B"]}]}"#;
    let places = ",{'name':'source','valueInteger':0},{'name':'destination','valueInteger':0}";
    let refused = patched(patient, &part("move", "Patient.name.given", places));
    assert!(refused.is_err_and(|why| why.contains("one list")));
}
