//! Profiles, each laid down in a test: slicing in all its ways (slices of slices in `reslicing`), what is derived from what,
//! and what no profile may do.

mod bindings;
mod reslicing;

use super::super::{Asked, Validator};
use crate::base::{Issue, Severity};
use crate::definitions::{Conformance, Definitions, PackageInfo, Registry};
use crate::json::{Document, Limits};
use serde_json::{Value, json};
use std::sync::Arc;

const BASE: &str = "http://hl7.org/fhir/StructureDefinition/";

/// A profile with a differential, called `name`.
fn profile(name: &str, about: &str, base: &str, elements: Value) -> Value {
    let base = if base.contains(':') { base.to_owned() } else { format!("urn:x:{base}") };
    let kind = if about == "HumanName" { "complex-type" } else { "resource" };
    json!({"resourceType": "StructureDefinition", "url": format!("urn:x:{name}"), "name": name, "status": "active",
           "kind": kind, "abstract": false, "type": about, "derivation": "constraint",
           "baseDefinition": base, "differential": {"element": elements}})
}

/// A profile of Patient.
fn of_patient(name: &str, elements: Value) -> Value {
    profile(name, "Patient", &format!("{BASE}Patient"), elements)
}

fn knowing(resources: &[Value]) -> Validator {
    let made = resources.iter().map(|resource| {
        let of = |name: &str| resource[name].as_str().unwrap_or_default();
        let text = resource.to_string();
        Conformance::new(of("resourceType"), of("url"), of("version"), of("type"), "x#1".into(), text.as_bytes())
    });
    let info = PackageInfo { name: "x".into(), version: "1".into(), resources: 0, guides: vec![] };
    Validator::new(Definitions::core()).over(Arc::new(Registry::core().with(info, made.collect())))
}

fn told(validator: &Validator, resource: &Value, profile: Option<&str>) -> Vec<Issue> {
    let text = resource.to_string();
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
    let profiles = profile.map(|name| format!("urn:x:{name}")).into_iter().collect();
    validator.judge(None, document.root(), &Asked { profiles, other_than_measure: Severity::Error, ..Asked::full() })
}

/// Code and place of the errors.
fn errors(validator: &Validator, resource: &Value, profile: Option<&str>) -> Vec<String> {
    let all = told(validator, resource, profile);
    let shown = |i: &Issue| format!("{} {}", i.code.code(), i.expression.as_deref().unwrap_or_default());
    all.iter().filter(|i| i.is_error()).map(shown).collect()
}

fn patient(identifiers: &[(&str, Option<&str>)]) -> Value {
    let identifier = |(system, value): &(&str, Option<&str>)| match value {
        Some(value) => json!({"system": system, "value": value}),
        None => json!({"system": system}),
    };
    json!({"resourceType": "Patient", "identifier": identifiers.iter().map(identifier).collect::<Vec<_>>()})
}

fn sliced(slicing: Value) -> Validator {
    knowing(&[of_patient(
        "p",
        json!([
            {"id": "Patient.identifier", "path": "Patient.identifier", "slicing": slicing},
            {"id": "Patient.identifier:a", "path": "Patient.identifier", "sliceName": "a"},
            {"id": "Patient.identifier:a.system", "path": "Patient.identifier.system", "fixedUri": "urn:a"},
            {"id": "Patient.identifier:b", "path": "Patient.identifier", "sliceName": "b"},
            {"id": "Patient.identifier:b.system", "path": "Patient.identifier.system", "fixedUri": "urn:b"},
        ]),
    )])
}

#[test]
fn slices_in_their_order() {
    let by_system = json!([{"type": "value", "path": "system"}]);
    let ordered = sliced(json!({"discriminator": by_system, "rules": "open", "ordered": true}));
    let free = sliced(json!({"discriminator": by_system, "rules": "open"}));
    let (right, wrong) =
        (patient(&[("urn:a", None), ("urn:c", None), ("urn:b", None)]), patient(&[("urn:b", None), ("urn:a", None)]));
    assert_eq!(errors(&ordered, &right, Some("p")), [""; 0]);
    assert_eq!(errors(&ordered, &wrong, Some("p")), ["structure Patient.identifier[1]"]);
    assert_eq!(errors(&free, &wrong, Some("p")), [""; 0]);
}

#[test]
fn what_is_in_no_slice_stands_at_the_end() {
    let by_system = json!([{"type": "value", "path": "system"}]);
    let at_end = sliced(json!({"discriminator": by_system, "rules": "openAtEnd"}));
    assert_eq!(errors(&at_end, &patient(&[("urn:b", None), ("urn:a", None), ("urn:c", None)]), Some("p")), [""; 0]);
    let between = patient(&[("urn:a", None), ("urn:c", None), ("urn:b", None)]);
    assert_eq!(errors(&at_end, &between, Some("p")), ["structure Patient.identifier[1]"]);
    let closed = sliced(json!({"discriminator": by_system, "rules": "closed"}));
    assert_eq!(errors(&closed, &between, Some("p")), ["structure Patient.identifier[1]"]);
}

#[test]
fn slices_by_what_is_there() {
    let validator = knowing(&[of_patient(
        "p",
        json!([
            {"id": "Patient.identifier", "path": "Patient.identifier",
             "slicing": {"discriminator": [{"type": "exists", "path": "value"}], "rules": "closed"}},
            {"id": "Patient.identifier:with", "path": "Patient.identifier", "sliceName": "with", "max": "1"},
            {"id": "Patient.identifier:with.value", "path": "Patient.identifier.value", "min": 1},
            {"id": "Patient.identifier:without", "path": "Patient.identifier", "sliceName": "without", "min": 1},
            {"id": "Patient.identifier:without.value", "path": "Patient.identifier.value", "max": "0"},
        ]),
    )]);
    let check = |identifiers: &[(&str, Option<&str>)], expected: &[&str]| {
        assert_eq!(errors(&validator, &patient(identifiers), Some("p")), expected, "{identifiers:?}");
    };
    check(&[("urn:a", Some("1")), ("urn:a", None)], &[]);
    check(&[("urn:a", Some("1"))], &["required Patient.identifier"]);
    check(&[("urn:a", Some("1")), ("urn:a", Some("2")), ("urn:a", None)], &["structure Patient.identifier"]);
}

#[test]
fn nothing_is_laxer_than_its_base() {
    let base = of_patient(
        "base",
        json!([
            {"id": "Patient.name", "path": "Patient.name", "min": 1, "max": "1"},
            {"id": "Patient.gender", "path": "Patient.gender", "patternCode": "female"},
            {"id": "Patient.maritalStatus", "path": "Patient.maritalStatus",
             "patternCodeableConcept": {"coding": [{"system": "urn:s"}]}},
        ]),
    );
    let over = |name: &str, elements: Value| profile(name, "Patient", "base", elements);
    let lax = over("lax", json!([{"id": "Patient.name", "path": "Patient.name", "min": 0, "max": "*"}]));
    let more = over(
        "more",
        json!([{"id": "Patient.maritalStatus", "path": "Patient.maritalStatus",
                "patternCodeableConcept": {"text": "x"}}]),
    );
    let other = over("other", json!([{"id": "Patient.gender", "path": "Patient.gender", "patternCode": "male"}]));
    let fixed = over("fixed", json!([{"id": "Patient.gender", "path": "Patient.gender", "fixedCode": "male"}]));
    let spec = of_patient("spec", json!([{"id": "Patient.link.other", "path": "Patient.link.other", "min": 0}]));
    let all = [base, lax, more, other, fixed, spec];
    let validator = knowing(&all);
    let named = |names: usize| {
        let mut patient = json!({"resourceType": "Patient", "gender": "female"});
        if names > 0 {
            patient["name"] = json!(vec![json!({"text": "x"}); names]);
        }
        patient
    };
    assert_eq!(errors(&validator, &named(1), Some("lax")), [""; 0]);
    assert_eq!(errors(&validator, &named(0), Some("lax")), ["required Patient.name"]);
    assert_eq!(errors(&validator, &named(2), Some("lax")), ["structure Patient.name"]);
    // Two patterns hold both.
    let mut married = named(1);
    married["maritalStatus"] = json!({"text": "x"});
    assert_eq!(errors(&validator, &married, Some("more")), ["value Patient.maritalStatus"]);
    married["maritalStatus"]["coding"] = json!([{"system": "urn:s", "code": "c"}]);
    assert_eq!(errors(&validator, &married, Some("more")), [""; 0]);
    for name in ["other", "fixed"] {
        assert_eq!(errors(&validator, &named(1), Some(name)), ["processing Patient"], "{name}");
    }
    // Who stores such a definition is told where.
    let places: Vec<_> = all.iter().map(|definition| errors(&validator, definition, None)).collect();
    let at = vec!["invalid StructureDefinition.differential.element[0]".to_owned()];
    assert_eq!(places, [vec![], at.clone(), vec![], at.clone(), at.clone(), at]);
}

#[test]
fn a_snapshot_is_laid_over_its_base_too_when_it_is_stored() {
    let base = of_patient("base", json!([{"id": "Patient.name", "path": "Patient.name", "min": 1}]));
    let mut lax = profile("lax", "Patient", "base", json!([{"id": "Patient.name", "path": "Patient.name", "min": 0}]));
    lax["snapshot"] = json!({"element": [{"id": "Patient", "path": "Patient", "min": 0, "max": "*"},
                                         {"id": "Patient.name", "path": "Patient.name", "min": 0, "max": "*"}]});
    let validator = knowing(&[base]);
    let found = errors(&validator, &lax, None);
    assert!(found.contains(&"invalid StructureDefinition.differential.element[0]".to_owned()), "{found:?}");
    lax["differential"]["element"][0]["min"] = json!(1);
    let found = errors(&validator, &lax, None);
    assert!(!found.iter().any(|e| e.contains("differential")), "{found:?}");
}

#[test]
fn a_rule_with_the_key_of_another_counts() {
    let rule = |expression: &str, source: Option<&str>| {
        let mut rule = json!({"key": "pat-1", "severity": "error", "human": "x", "expression": expression});
        if let Some(source) = source {
            rule["source"] = json!(format!("{BASE}{source}"));
        }
        json!([{"id": "Patient", "path": "Patient", "constraint": [rule]}])
    };
    let validator = knowing(&[
        of_patient("own", rule("active.exists()", None)),
        of_patient("copied", rule("active.exists()", Some("Patient"))),
    ]);
    let nobody = json!({"resourceType": "Patient", "gender": "male"});
    assert_eq!(errors(&validator, &nobody, Some("own")), ["invariant Patient"]);
    assert_eq!(errors(&validator, &nobody, Some("copied")), [""; 0]);
}

/// A rule that takes all steps.
fn endless(key: &str) -> Value {
    json!([{"id": "HumanName", "path": "HumanName", "constraint": [{"key": key, "severity": "error", "human": "x",
            "expression": "(1).repeat(iif($this < 100000000, $this + 1, {})).exists()"}]}])
}

#[test]
fn what_uses_up_the_steps_while_it_is_tried_is_told() {
    let name = format!("{BASE}HumanName");
    let validator = knowing(&[
        profile("one", "HumanName", &name, endless("x-1")),
        profile("two", "HumanName", &name, endless("x-2")),
        of_patient(
            "p",
            json!([{"id": "Patient.name", "path": "Patient.name",
                    "type": [{"code": "HumanName", "profile": ["urn:x:one", "urn:x:two"]}]}]),
        ),
        of_patient(
            "q",
            json!([{"id": "Patient", "path": "Patient", "constraint": [{"key": "q-1", "severity": "error", "human": "x",
                    "expression": "name.all(conformsTo('urn:x:one') or true)"}]}]),
        ),
    ]);
    let resource = json!({"resourceType": "Patient", "name": [{"text": "x"}]});
    for profile in ["p", "q"] {
        let found = errors(&validator, &resource, Some(profile));
        assert!(found.iter().any(|e| e.starts_with("too-costly ")), "{profile}: {found:?}");
    }
}

#[test]
fn a_context_that_uses_up_the_steps_is_told() {
    let mut extension = profile("e", "Extension", &format!("{BASE}Extension"), json!([]));
    extension["kind"] = json!("complex-type");
    extension["context"] = json!([{"type": "fhirpath",
        "expression": "(1).repeat(iif($this < 100000000, $this + 1, {})).where(false) | Patient"}]);
    let resource = json!({"resourceType": "Patient", "extension": [{"url": "urn:x:e", "valueString": "x"}]});
    assert_eq!(errors(&knowing(&[extension]), &resource, None), ["too-costly Patient.extension[0]"]);
}

#[test]
fn what_later_versions_say() {
    const R5: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition";
    const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";
    let active = |extension: Value| json!([{"id": "Patient.active", "path": "Patient.active", "min": 1, "extension": [extension]}]);
    let languages = |code: &str| {
        json!([{"id": "Patient.text", "path": "Patient.text", "extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/narrative-language-control", "valueCode": code}]}])
    };
    let additional = json!([{"id": "Patient.maritalStatus", "path": "Patient.maritalStatus",
        "binding": {"strength": "extensible", "valueSet": "http://hl7.org/fhir/ValueSet/marital-status", "extension": [
            {"url": "http://hl7.org/fhir/tools/StructureDefinition/additional-binding", "extension": [
                {"url": "purpose", "valueCode": "required"},
                {"url": "valueSet", "valueCanonical": "http://hl7.org/fhir/ValueSet/administrative-gender"}]}]}}]);
    let validator = knowing(&[
        of_patient("value", active(json!({"url": format!("{R5}.mustHaveValue"), "valueBoolean": true}))),
        of_patient("or", active(json!({"url": format!("{R5}.valueAlternatives"), "valueCanonical": ABSENT}))),
        of_patient("sections", languages("_yes")),
        of_patient("none", languages("_no")),
        of_patient("own", languages("_resource")),
        of_patient("german", languages("de")),
        of_patient("additional", additional),
    ]);
    let check = |resource: Value, expected: &[(&str, &[&str])]| {
        for (profile, expected) in expected {
            assert_eq!(errors(&validator, &resource, Some(profile)), *expected, "{profile}: {resource}");
        }
    };
    let absent =
        json!({"resourceType": "Patient", "_active": {"extension": [{"url": ABSENT, "valueCode": "unknown"}]}});
    let wrong = json!({"resourceType": "Patient", "_active": {"extension": [
        {"url": "http://hl7.org/fhir/StructureDefinition/iso21090-nullFlavor", "valueCode": "MSK"}]}});
    let missing: &[&str] = &["required Patient.active"];
    check(json!({"resourceType": "Patient", "active": true}), &[("value", &[]), ("or", &[])]);
    check(absent, &[("value", missing), ("or", &[])]);
    check(wrong, &[("value", missing), ("or", missing)]);
    let text = |sections: &str| {
        let div = format!("<div xmlns=\"http://www.w3.org/1999/xhtml\">{sections}</div>");
        json!({"resourceType": "Patient", "language": "en", "text": {"status": "generated", "div": div}})
    };
    let bad: &[&str] = &["structure Patient.text.div"];
    check(text("<p>x</p>"), &[("sections", bad), ("none", &[]), ("own", bad), ("german", bad)]);
    let both = "<div lang='en'>x</div><div xml:lang='de'>y</div>";
    check(text(both), &[("sections", &[]), ("none", bad), ("own", &[]), ("german", &[])]);
    check(text("<div lang='de'>y</div>"), &[("sections", &[]), ("own", bad), ("german", &[])]);
    let married = |system: &str, code: &str| json!({"resourceType": "Patient", "maritalStatus": {"coding": [{"system": system, "code": code}]}});
    check(
        married("http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "M"),
        &[("additional", &["code-invalid Patient.maritalStatus"])],
    );
    check(married("http://hl7.org/fhir/administrative-gender", "male"), &[("additional", &[])]);
}

#[test]
fn reports_are_held_against_their_measure() {
    let code = |code: &str| json!({"coding": [{"system": "urn:s", "code": code}]});
    let measure = json!({"resourceType": "Measure", "url": "urn:x:m", "status": "active",
        "scoring": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/measure-scoring", "code": "cohort"}]},
        "group": [{"code": code("g"), "population": [{"code": code("all"), "criteria": {"language": "text/cql", "expression": "x"}}]}]});
    let validator = knowing(&[measure]);
    let report = |kind: &str, groups: Value| {
        json!({"resourceType": "MeasureReport", "status": "complete", "type": kind, "measure": "urn:x:m",
               "period": {"start": "2020", "end": "2021"}, "group": groups})
    };
    let check = |resource: Value, expected: &[&str]| {
        assert_eq!(errors(&validator, &resource, None), expected, "{resource}");
    };
    let population = |name: &str| json!({"code": code(name), "count": 1});
    check(report("summary", json!([{"code": code("g"), "population": [population("all")]}])), &[]);
    check(report("summary", json!([{"population": [population("all")]}])), &[]);
    check(
        report("summary", json!([{"code": code("g"), "population": [population("all"), population("some")]}])),
        &["invalid MeasureReport.group[0].population[1].code"],
    );
    let other = report("summary", json!([{"code": code("other")}]));
    check(other.clone(), &["invalid MeasureReport.group[0]"]);
    let text = other.to_string();
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
    let on_write = validator.judge(None, document.root(), &Asked::full());
    let warned =
        |i: &Issue| i.severity == Severity::Warning && i.expression.as_deref() == Some("MeasureReport.group[0]");
    assert!(on_write.iter().any(warned) && !on_write.iter().any(Issue::is_error), "{on_write:?}");
    check(
        report("summary", json!([{"population": [population("all")]}, {"population": [population("all")]}])),
        &["invalid MeasureReport.group[0]", "invalid MeasureReport.group[1]"],
    );
    check(
        report("summary", json!([{"code": code("g"), "measureScore": {"value": 1}}])),
        &["invalid MeasureReport.group[0].measureScore"],
    );
    let mut listed = population("all");
    listed["subjectResults"] = json!({"reference": "List/1"});
    check(report("subject-list", json!([{"code": code("g"), "population": [listed]}])), &[]);
    check(
        report("summary", json!([{"code": code("g"), "population": [listed]}])),
        &["invalid MeasureReport.group[0].population[0].subjectResults"],
    );
    let mut unknown = report("summary", json!([{"code": code("other")}]));
    unknown["measure"] = json!("urn:x:nobody");
    check(unknown.clone(), &[]);
    let told = told(&validator, &unknown, None);
    assert!(told.iter().any(|i| i.expression.as_deref() == Some("MeasureReport.measure")), "{told:?}");
}

#[test]
fn a_statement_names_search_parameters_by_their_types() {
    let statement = |kind: &str| {
        json!({"resourceType": "CapabilityStatement", "status": "active", "date": "2020", "kind": "requirements",
               "description": "x", "fhirVersion": "4.0.1", "format": ["json"],
               "rest": [{"mode": "server", "resource": [{"type": "Patient", "searchParam": [
                   {"name": "own", "type": "string"},
                   {"name": "gender", "definition": "http://hl7.org/fhir/SearchParameter/individual-gender", "type": kind}]}]}]})
    };
    let validator = knowing(&[]);
    assert_eq!(errors(&validator, &statement("token"), None), [""; 0]);
    let told = told(&validator, &statement("date"), None);
    let place = Some("CapabilityStatement.rest[0].resource[0].searchParam[1].type");
    assert!(told.iter().any(|i| i.expression.as_deref() == place && !i.is_error()), "{told:?}");
}

#[test]
fn without_a_discriminator_a_slice_needs_something_fixed() {
    let sliced = |rules: &str, more: Value| {
        let mut elements = json!([
            {"id": "Patient.identifier", "path": "Patient.identifier", "slicing": {"rules": rules}},
            {"id": "Patient.identifier:a", "path": "Patient.identifier", "sliceName": "a", "min": 1, "max": "1"},
            {"id": "Patient.identifier:a.value", "path": "Patient.identifier.value", "min": 1}]);
        elements.as_array_mut().expect("a list").extend(more.as_array().cloned().unwrap_or_default());
        knowing(&[of_patient("p", elements)])
    };
    let one = patient(&[("s:a", None)]);
    // Nothing tells it apart: that is said, and nothing is concluded from it.
    for rules in ["open", "closed"] {
        let validator = sliced(rules, json!([]));
        assert_eq!(errors(&validator, &one, Some("p")), Vec::<String>::new(), "{rules}");
        let all = told(&validator, &one, Some("p"));
        let warning = all.iter().find(|issue| issue.diagnostics.contains("has no discriminator")).expect("a warning");
        assert_eq!(warning.severity, Severity::Warning);
        assert!(warning.diagnostics.contains("belongs to the slice 'a' of"), "{warning:?}");
    }
    // By what is fixed in it, it is told apart as before.
    let fixed = json!([{"id": "Patient.identifier:a.system", "path": "Patient.identifier.system", "fixedUri": "s:a"}]);
    let validator = sliced("closed", fixed);
    assert_eq!(errors(&validator, &one, Some("p")), ["required Patient.identifier[0].value"]);
    let all = errors(&validator, &patient(&[("s:b", Some("1"))]), Some("p"));
    assert_eq!(all, ["structure Patient.identifier[0]", "required Patient.identifier"]);
}
