//! Slices of slices: a profile divides again what its base has divided. And slices of which it is not known whether a value
//! belongs to them.

use super::{errors, knowing, of_patient, profile, told};
use crate::base::Severity;
use serde_json::{Value, json};

/// A profile that divides identifiers by their system.
fn base(rules: &str) -> Value {
    of_patient(
        "base",
        json!([
            {"id": "Patient.identifier", "path": "Patient.identifier",
             "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": rules}},
            {"id": "Patient.identifier:a", "path": "Patient.identifier", "sliceName": "a", "min": 1, "max": "3"},
            {"id": "Patient.identifier:a.system", "path": "Patient.identifier.system", "fixedUri": "urn:a"},
            {"id": "Patient.identifier:b", "path": "Patient.identifier", "sliceName": "b"},
            {"id": "Patient.identifier:b.system", "path": "Patient.identifier.system", "fixedUri": "urn:b"},
        ]),
    )
}

/// One that divides those of the slice `a` again, by their use.
fn again(name: &str, slicing: Value) -> Value {
    let mut slicing = slicing;
    slicing["discriminator"] = json!([{"type": "value", "path": "use"}]);
    profile(
        name,
        "Patient",
        "base",
        json!([
            {"id": "Patient.identifier:a", "path": "Patient.identifier", "sliceName": "a", "slicing": slicing},
            {"id": "Patient.identifier:a/official", "path": "Patient.identifier", "sliceName": "a/official",
             "min": 1, "max": "1"},
            {"id": "Patient.identifier:a/official.use", "path": "Patient.identifier.use", "fixedCode": "official"},
            {"id": "Patient.identifier:a/old", "path": "Patient.identifier", "sliceName": "a/old"},
            {"id": "Patient.identifier:a/old.use", "path": "Patient.identifier.use", "fixedCode": "old"},
            {"id": "Patient.identifier:a/old.value", "path": "Patient.identifier.value", "min": 1},
        ]),
    )
}

/// A patient with identifiers, each as its system and use, and its value.
fn patient(identifiers: &[&str]) -> Value {
    let identifier = |text: &&str| {
        let mut parts = text.split(' ');
        let mut made = json!({"system": format!("urn:{}", parts.next().unwrap_or_default())});
        if let Some(usage) = parts.next() {
            made["use"] = json!(usage);
        }
        if let Some(value) = parts.next() {
            made["value"] = json!(value);
        }
        made
    };
    match identifiers {
        [] => json!({"resourceType": "Patient"}),
        some => json!({"resourceType": "Patient", "identifier": some.iter().map(identifier).collect::<Vec<_>>()}),
    }
}

#[track_caller]
fn check(profiles: &[Value], name: &str, identifiers: &[&str], expected: &[&str]) {
    assert_eq!(errors(&knowing(profiles), &patient(identifiers), Some(name)), expected, "{name} {identifiers:?}");
}

#[test]
fn a_slice_is_divided_again() {
    let all = [base("open"), again("p", json!({"rules": "closed"}))];
    let check = |identifiers: &[&str], expected: &[&str]| check(&all, "p", identifiers, expected);
    check(&["a official"], &[]);
    check(&["a old 1", "c", "a official", "b temp"], &[]);
    // Each has its number: the slice, and the slice within.
    check(&[], &["required Patient.identifier", "required Patient.identifier"]);
    check(&["a old 1"], &["required Patient.identifier"]);
    check(&["a official", "a official"], &["structure Patient.identifier"]);
    check(&["a official", "a old 1", "a old 2", "a old 3"], &["structure Patient.identifier"]);
    // Both sets of rules hold, and the slice is closed for what is in it only.
    check(&["a official", "b", "a old"], &["required Patient.identifier[2].value"]);
    check(&["b temp", "a official", "a temp"], &["structure Patient.identifier[2]"]);
}

#[test]
fn a_slice_within_has_an_order_of_its_own() {
    let all = [
        base("open"),
        again("ordered", json!({"rules": "open", "ordered": true})),
        again("end", json!({"rules": "openAtEnd"})),
    ];
    check(&all, "ordered", &["b", "a official", "c", "a temp", "b", "a old 1"], &[]);
    check(&all, "ordered", &["b", "a old 1", "b", "a official"], &["structure Patient.identifier[3]"]);
    check(&all, "end", &["c", "a old 1", "c", "a official", "a temp"], &[]);
    check(&all, "end", &["c", "a official", "a temp", "b", "a old 1"], &["structure Patient.identifier[2]"]);
}

#[test]
fn what_is_derived_from_it_says_more() {
    let value = json!([{"id": "Patient.identifier:a/official.value", "path": "Patient.identifier.value", "min": 1}]);
    // Without ids the place follows from path and name.
    let nameless = json!([
        {"path": "Patient.identifier", "sliceName": "a/official"},
        {"path": "Patient.identifier.value", "min": 1},
        {"path": "Patient.identifier", "sliceName": "a/older", "max": "0"},
        {"path": "Patient.identifier.use", "fixedCode": "temp"},
    ]);
    let all = [
        base("open"),
        again("p", json!({"rules": "open"})),
        profile("more", "Patient", "p", value),
        profile("nameless", "Patient", "p", nameless),
    ];
    for name in ["more", "nameless"] {
        check(&all, name, &["a official 1", "b official"], &[]);
        check(&all, name, &["b", "a official"], &["required Patient.identifier[1].value"]);
    }
    check(&all, "nameless", &["a official 1", "a temp"], &["structure Patient.identifier"]);
}

#[test]
fn a_snapshot_says_it_too() {
    let mut whole = again("p", json!({"rules": "closed"}));
    let mut elements = vec![json!({"id": "Patient", "path": "Patient", "min": 0, "max": "*"})];
    let base = base("open");
    elements.extend(base["differential"]["element"].as_array().expect("elements").iter().take(3).cloned());
    elements[2]["slicing"] = whole["differential"]["element"][0]["slicing"].clone();
    elements.extend(whole["differential"]["element"].as_array().expect("elements").iter().skip(1).cloned());
    elements.extend(base["differential"]["element"].as_array().expect("elements").iter().skip(3).cloned());
    whole["snapshot"] = json!({"element": elements});
    let all = [base, whole];
    check(&all, "p", &["a old 1", "c", "a official", "b temp"], &[]);
    check(&all, "p", &["a temp", "a official"], &["structure Patient.identifier[0]"]);
    check(&all, "p", &["b"], &["required Patient.identifier", "required Patient.identifier"]);
}

#[test]
fn without_a_word_on_how_it_is_by_what_divides_the_element() {
    let elements = json!([
        {"id": "Patient.identifier", "path": "Patient.identifier", "slicing": {"rules": "open", "discriminator": [
            {"type": "value", "path": "system"}, {"type": "value", "path": "use"}]}},
        {"id": "Patient.identifier:a/official", "path": "Patient.identifier", "sliceName": "a/official", "max": "1"},
        {"id": "Patient.identifier:a/official.use", "path": "Patient.identifier.use", "fixedCode": "official"},
        {"id": "Patient.identifier:a/official.value", "path": "Patient.identifier.value", "min": 1},
    ]);
    let all = [base("open"), profile("p", "Patient", "base", elements)];
    check(&all, "p", &["a", "a official 1", "a temp", "b official", "b official"], &[]);
    check(&all, "p", &["a official"], &["required Patient.identifier[0].value"]);
    check(&all, "p", &["a official 1", "a official 2"], &["structure Patient.identifier"]);
}

#[test]
fn a_stroke_in_a_name_divides_nothing() {
    let elements = json!([
        {"id": "Patient.identifier", "path": "Patient.identifier",
         "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "closed"}},
        {"id": "Patient.identifier:in/out", "path": "Patient.identifier", "sliceName": "in/out", "min": 1},
        {"id": "Patient.identifier:in/out.system", "path": "Patient.identifier.system", "fixedUri": "urn:a"},
    ]);
    let all = [of_patient("p", elements)];
    check(&all, "p", &["a"], &[]);
    check(&all, "p", &["a", "b"], &["structure Patient.identifier[1]"]);
}

/// A profile over `base` with its own slicing of the identifiers, and one more slice.
fn over(name: &str, slicing: Value, more: Value) -> Value {
    let mut elements = vec![json!({"id": "Patient.identifier", "path": "Patient.identifier", "slicing": slicing})];
    if more.is_object() {
        elements.push(json!({"id": "Patient.identifier:c", "path": "Patient.identifier", "sliceName": "c"}));
        elements.push(
            json!({"id": "Patient.identifier:c.system", "path": "Patient.identifier.system", "fixedUri": "urn:c"}),
        );
        for (key, value) in more.as_object().expect("an object") {
            elements[1][key] = value.clone();
        }
    }
    profile(name, "Patient", "base", json!(elements))
}

/// Where a definition that is stored is at fault.
fn faults(all: &[Value]) -> Vec<Option<String>> {
    let validator = knowing(all);
    all.iter()
        .map(|definition| {
            let found = errors(&validator, definition, None).into_iter();
            found.map(|e| e.trim_start_matches("invalid StructureDefinition.differential.").to_owned()).next()
        })
        .collect()
}

#[test]
fn a_slicing_is_closed_but_not_opened() {
    let by = |path: &str| json!([{"type": "value", "path": path}]);
    let first = Some("element[0]".to_owned());
    let all = [
        base("open"),
        over("closed", json!({"discriminator": by("system"), "rules": "closed", "ordered": true}), json!({})),
        // By something else: by both, as the slices of the base are there still.
        over("other", json!({"discriminator": by("value"), "rules": "closed"}), Value::Null),
    ];
    assert_eq!(faults(&all), [None, None, None]);
    check(&all, "closed", &["a", "b", "c"], &[]);
    check(&all, "closed", &["a", "d"], &["structure Patient.identifier[1]"]);
    check(&all, "closed", &["b", "a"], &["structure Patient.identifier[1]"]);
    check(&all, "other", &["a", "b", "c"], &["structure Patient.identifier[2]"]);

    let mut strict = base("closed");
    strict["differential"]["element"][0]["slicing"]["ordered"] = json!(true);
    let all = [
        strict,
        over("opened", json!({"discriminator": by("system"), "rules": "open"}), Value::Null),
        over("unordered", json!({"discriminator": by("system"), "rules": "closed", "ordered": false}), Value::Null),
        over("added", json!({"discriminator": by("system"), "rules": "closed"}), json!({})),
        over("asked", json!({"discriminator": by("system"), "rules": "closed"}), json!({"min": 1})),
        // A slice of a slice is none of the base's own.
        again("again", json!({"rules": "open"})),
    ];
    let second = Some("element[1]".to_owned());
    assert_eq!(faults(&all), [None, first.clone(), first, second.clone(), second, None]);
    check(&all, "opened", &["a", "c"], &["structure Patient.identifier[1]"]);
    check(&all, "opened", &["b", "a"], &["structure Patient.identifier[1]"]);
    check(&all, "unordered", &["b", "a"], &["structure Patient.identifier[1]"]);
    check(&all, "added", &["a", "c"], &["structure Patient.identifier"]);
    check(&all, "asked", &["a"], &["processing Patient"]);
    check(&all, "again", &["a official", "a temp"], &[]);
}

#[test]
fn slices_that_cannot_be_are_told() {
    let mut clash = again("clash", json!({"rules": "open"}));
    let elements = clash["differential"]["element"].as_array_mut().expect("elements");
    let system =
        json!({"id": "Patient.identifier:a/old.system", "path": "Patient.identifier.system", "fixedUri": "urn:b"});
    elements.push(system);
    let mut many = again("many", json!({"rules": "open"}));
    many["differential"]["element"][3]["min"] = json!(3);
    let all = [base("open"), clash, many];
    let found = faults(&all);
    assert_eq!(found, [None, Some("element[6]".to_owned()), Some("element[0]".to_owned())]);
    check(&all, "clash", &["a official"], &["processing Patient"]);
}

/// A profile whose slices are told apart by value sets, of one of which nobody here has the codes.
fn by_codes(rules: &str) -> Vec<Value> {
    let set = |name: &str, system: &str| {
        json!({"resourceType": "ValueSet", "url": format!("urn:x:{name}"), "status": "active",
               "compose": {"include": [{"system": system}]}})
    };
    let system = json!({"resourceType": "CodeSystem", "url": "urn:s:few", "status": "active", "content": "complete",
                        "concept": [{"code": "x"}]});
    let slice = |name: &str, min: u32| {
        json!({"id": format!("Patient.communication:{name}"), "path": "Patient.communication",
                                              "sliceName": name, "min": min, "max": "1"})
    };
    let bound = |name: &str, set: &str| {
        json!({"id": format!("Patient.communication:{name}.language"),
        "path": "Patient.communication.language", "binding": {"strength": "required", "valueSet": format!("urn:x:{set}")}})
    };
    let elements = json!([
        {"id": "Patient.communication", "path": "Patient.communication",
         "slicing": {"discriminator": [{"type": "value", "path": "language"}], "rules": rules}},
        slice("few", 0), bound("few", "few"), slice("large", 1), bound("large", "large"),
    ]);
    vec![of_patient("p", elements), set("few", "urn:s:few"), set("large", "urn:s:large"), system]
}

#[test]
fn what_cannot_be_decided_is_said_and_counts_for_nothing() {
    let speaking = |codes: &[(&str, &str)]| {
        let of = |(system, code): &(&str, &str)| json!({"language": {"coding": [{"system": system, "code": code}]}});
        json!({"resourceType": "Patient", "communication": codes.iter().map(of).collect::<Vec<_>>()})
    };
    for rules in ["open", "closed", "openAtEnd"] {
        let validator = knowing(&by_codes(rules));
        let check = |codes: &[(&str, &str)], wrong: &[&str], open: &[&str]| {
            let resource = speaking(codes);
            assert_eq!(errors(&validator, &resource, Some("p")), wrong, "{rules} {codes:?}");
            let all = told(&validator, &resource, Some("p"));
            let unclear =
                all.iter().filter(|i| i.severity == Severity::Warning && i.diagnostics.contains("the slice 'large'"));
            let places: Vec<_> = unclear.clone().filter_map(|i| i.expression.as_deref()).collect();
            assert_eq!(places, open, "{rules} {codes:?}");
            for issue in unclear {
                assert!(issue.diagnostics.contains("urn:x:large"), "{issue:?}");
                assert!(issue.diagnostics.contains("urn:s:large"), "{issue:?}");
            }
        };
        check(&[("urn:s:few", "x")], &["required Patient.communication"], &[]);
        // It may be what has to be there, and in the closed slicing.
        check(&[("urn:s:few", "x"), ("urn:s:large", "y")], &[], &["Patient.communication[1]"]);
        // Two may be one too many, which nobody knows. It is said once.
        check(&[("urn:s:large", "y"), ("urn:s:large", "z")], &[], &["Patient.communication[0]"]);
    }
    // Of what is known to be in neither, nothing is open.
    let validator = knowing(&by_codes("closed"));
    let found = errors(&validator, &speaking(&[("urn:s:other", "y")]), Some("p"));
    assert_eq!(found, ["structure Patient.communication[0]", "required Patient.communication"]);
}

#[test]
fn targets_that_are_elsewhere_leave_it_open() {
    let slice = |name: &str, target: &str| {
        json!([{"id": format!("Patient.generalPractitioner:{name}"), "path": "Patient.generalPractitioner", "sliceName": name,
                "min": 1, "type": [{"code": "Reference", "targetProfile": [target]}]}])
    };
    let by = |kind: &str, name: &str, target: &str| {
        let mut elements = vec![json!({"id": "Patient.generalPractitioner", "path": "Patient.generalPractitioner",
            "slicing": {"discriminator": [{"type": kind, "path": "resolve()"}], "rules": "closed"}})];
        elements.extend(slice("one", target).as_array().expect("a slice").iter().cloned());
        of_patient(name, json!(elements))
    };
    let named = "http://hl7.org/fhir/StructureDefinition/Practitioner";
    let practitioner = profile(
        "who",
        "Practitioner",
        named,
        json!([{"id": "Practitioner.name", "path": "Practitioner.name", "min": 1}]),
    );
    let validator = knowing(&[by("profile", "profile", "urn:x:who"), by("type", "type", named), practitioner]);
    let check = |reference: Value, profile: &str, expected: &[&str]| {
        let resource = json!({"resourceType": "Patient", "generalPractitioner": [reference],
            "contained": [{"resourceType": "Practitioner", "id": "with", "name": [{"text": "x"}]},
                          {"resourceType": "Practitioner", "id": "without", "active": true}]});
        let found = errors(&validator, &resource, Some(profile));
        let found: Vec<_> = found.iter().filter(|e| e.contains("generalPractitioner")).collect();
        assert_eq!(found, expected, "{profile} {resource}");
    };
    let closed = ["structure Patient.generalPractitioner[0]", "required Patient.generalPractitioner"];
    check(json!({"reference": "#with"}), "profile", &[]);
    check(json!({"reference": "#without"}), "profile", &closed);
    check(json!({"reference": "Practitioner/1"}), "profile", &[]);
    check(json!({"reference": "Organization/1"}), "profile", &closed);
    check(json!({"identifier": {"value": "1"}}), "profile", &[]);
    check(json!({"reference": "Practitioner/1"}), "type", &[]);
    check(json!({"identifier": {"value": "1"}, "type": "Practitioner"}), "type", &[]);
    check(json!({"identifier": {"value": "1"}, "type": "Organization"}), "type", &closed);
    check(json!({"identifier": {"value": "1"}}), "type", &[]);
}
