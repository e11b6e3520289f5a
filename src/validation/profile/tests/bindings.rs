//! Bindings of a profile beside those of its base: to fewer codes, not to others, and as firmly at least.

use super::{errors, knowing, of_patient, profile};
use serde_json::{Value, json};

fn set(name: &str, codes: &[&str]) -> Value {
    let concepts: Vec<Value> = codes.iter().map(|code| json!({"code": code})).collect();
    json!({"resourceType": "ValueSet", "url": format!("urn:x:{name}"), "status": "active",
           "compose": {"include": [{"system": "urn:s", "concept": concepts}]}})
}

fn bound(element: &str, strength: &str, set: &str) -> Value {
    let set = if set.contains(':') { set.to_owned() } else { format!("urn:x:{set}") };
    json!([{"id": format!("Patient.{element}"), "path": format!("Patient.{element}"),
            "binding": {"strength": strength, "valueSet": set}}])
}

#[test]
fn a_binding_is_narrowed_but_not_widened() {
    let over =
        |name: &str, strength: &str, set: &str| profile(name, "Patient", "base", bound("maritalStatus", strength, set));
    let large = json!({"resourceType": "ValueSet", "url": "urn:x:large", "status": "active",
                       "compose": {"include": [{"system": "urn:s:large"}]}});
    let system = json!({"resourceType": "CodeSystem", "url": "urn:s", "status": "active", "content": "complete",
                        "concept": [{"code": "a"}, {"code": "b"}, {"code": "c"}]});
    let all = [
        set("ab", &["a", "b"]),
        set("a", &["a"]),
        set("ac", &["a", "c"]),
        large,
        system,
        of_patient("base", bound("maritalStatus", "required", "ab")),
        over("narrow", "required", "a"),
        over("wide", "required", "ac"),
        over("unknown", "required", "large"),
        over("weak", "extensible", "ab"),
        of_patient("gender", bound("gender", "required", "a")),
        of_patient("weaker", bound("gender", "preferred", "http://hl7.org/fhir/ValueSet/administrative-gender")),
        of_patient("firmer", bound("maritalStatus", "required", "http://hl7.org/fhir/ValueSet/marital-status")),
    ];
    let validator = knowing(&all);
    let married = |code: &str| json!({"resourceType": "Patient", "maritalStatus": {"coding": [{"system": "urn:s", "code": code}]}});
    let wrong = ["code-invalid Patient.maritalStatus"];
    for (name, right) in [("base", "ab"), ("narrow", "a"), ("wide", "a"), ("weak", "ab")] {
        for code in ["a", "b", "c"] {
            let found = errors(&validator, &married(code), Some(name));
            let expected = if right.contains(code) { &[][..] } else { &wrong[..] };
            assert_eq!(found.iter().take(1).collect::<Vec<_>>(), expected, "{name} {code}: {found:?}");
        }
    }
    // What the base requires holds, also where nobody knows the codes of the profile's own set: those of another system are
    // surely none of them.
    assert_eq!(errors(&validator, &married("c"), Some("unknown")), [wrong[0]; 2]);
    // Who stores such a definition is told where, as far as it is known.
    let told: Vec<&str> = all
        .iter()
        .filter(|definition| {
            let found = errors(&validator, definition, None);
            found.contains(&"invalid StructureDefinition.differential.element[0]".to_owned())
        })
        .filter_map(|definition| definition["name"].as_str())
        .collect();
    assert_eq!(told, ["wide", "weak", "gender", "weaker"]);
}
