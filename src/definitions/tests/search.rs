//! Search parameters, compartments and operations.

use crate::definitions::{Definitions, SearchKind};

#[test]
fn parameters_are_found_by_code() {
    let d = Definitions::core();
    for (on, code, url, kind) in [
        ("Patient", "name", "Patient-name", SearchKind::String),
        ("Patient", "gender", "individual-gender", SearchKind::Token),
        ("Patient", "_id", "Resource-id", SearchKind::Token),
        ("Patient", "_lastUpdated", "Resource-lastUpdated", SearchKind::Date),
        ("Patient", "_text", "DomainResource-text", SearchKind::String),
        ("Condition", "subject", "Condition-subject", SearchKind::Reference),
        ("Observation", "code", "clinical-code", SearchKind::Token),
        ("Observation", "code-value-quantity", "Observation-code-value-quantity", SearchKind::Composite),
        ("Location", "near", "Location-near", SearchKind::Special),
        ("RiskAssessment", "probability", "RiskAssessment-probability", SearchKind::Number),
        ("ValueSet", "url", "conformance-url", SearchKind::Uri),
        ("Bundle", "_profile", "Resource-profile", SearchKind::Uri),
    ] {
        let id = d.resource(on).expect(on);
        let parameter = d.search_parameter(id, code).unwrap_or_else(|| panic!("{on} has no {code}"));
        assert_eq!(&*parameter.url, format!("http://hl7.org/fhir/SearchParameter/{url}"), "{on}?{code}");
        assert_eq!(parameter.kind, kind, "{on}?{code}");
    }
    let bundle = d.resource("Bundle").expect("Bundle");
    assert!(d.search_parameter(bundle, "_text").is_none(), "a Bundle is no DomainResource");
    assert!(d.search_parameter(bundle, "name").is_none());
}

#[test]
fn parameters_hold_together() {
    let d = Definitions::core();
    assert_eq!(d.search_parameters.iter().filter(|p| p.bases.is_empty()).count(), 10);
    for (number, p) in d.search_parameters.iter().enumerate() {
        assert_eq!(p.number as usize, number);
        assert_eq!(p.kind == SearchKind::Composite, !p.components.is_empty(), "{}", p.url);
        assert!(p.kind == SearchKind::Reference || p.targets.is_empty(), "{}", p.url);
        for base in &p.bases {
            assert!(d.type_named(base).is_some(), "{}: {base}", p.url);
        }
        for component in &p.components {
            assert!(d.search_parameter_by_url(&component.definition).is_some(), "{}", component.definition);
        }
    }
    let by_url = |name: &str| {
        let url = format!("http://hl7.org/fhir/SearchParameter/{name}");
        d.search_parameters.iter().find(|p| *p.url == url).expect("a parameter")
    };
    let names =
        |p: &crate::definitions::SearchParameter| p.targets.iter().map(|t| d.name(*t)).collect::<Vec<_>>().join(" ");
    assert_eq!(names(by_url("Observation-subject")), "Group Device Patient Location");
    assert_eq!(by_url("List-item").targets.len(), 145);
    let composite = by_url("Observation-code-value-quantity");
    assert_eq!(&*composite.components[1].expression, "value.as(Quantity)");
    assert_eq!(composite.multiple_or, Some(false));
    assert_eq!(by_url("individual-birthdate").comparators.len(), 9);
    assert!(by_url("clinical-code").expression.contains("| (MedicationRequest.medication as CodeableConcept) |"));
    assert_eq!(by_url("Resource-content").expression.len(), 0);
}

#[test]
fn compartments_are_as_specified() {
    let d = Definitions::core();
    let codes = |compartment: &str, kind: &str| {
        let compartment = d.compartment(compartment).expect(compartment);
        compartment.members.get(&d.resource(kind).expect(kind)).map(|codes| codes.join(" "))
    };
    assert_eq!(codes("Patient", "Observation").as_deref(), Some("subject performer"));
    assert_eq!(codes("Patient", "Patient").as_deref(), Some("link"));
    assert_eq!(codes("Patient", "Organization"), None);
    assert_eq!(codes("Encounter", "Encounter"), None, "only {{def}}");
    assert_eq!(codes("Device", "AuditEvent").as_deref(), Some("agent"));
    let sizes: Vec<_> = d.compartments.iter().map(|c| (&*c.name, c.members.len())).collect();
    assert_eq!(
        sizes,
        [("Device", 32), ("Encounter", 24), ("Patient", 66), ("Practitioner", 58), ("RelatedPerson", 31)]
    );
    for compartment in &d.compartments {
        for (kind, codes) in &compartment.members {
            for code in codes {
                let parameter = d.search_parameter(*kind, code);
                assert!(parameter.is_some(), "{}: {} has no {code}", compartment.name, d.name(*kind));
            }
        }
    }
}

#[test]
fn operations_are_found() {
    let d = Definitions::core();
    let url = |code: &str, on: Option<&str>| {
        d.operation(code, on).map(|o| o.url.rsplit('/').next().unwrap_or_default().to_owned())
    };
    assert_eq!(url("everything", Some("Patient")).as_deref(), Some("Patient-everything"));
    assert_eq!(url("everything", Some("Encounter")).as_deref(), Some("Encounter-everything"));
    assert_eq!(url("everything", None), None);
    assert_eq!(url("validate", Some("Observation")).as_deref(), Some("Resource-validate"));
    assert_eq!(url("meta", None).as_deref(), Some("Resource-meta"));
    assert_eq!(url("nope", Some("Patient")), None);
    let meta_add = d.operation("meta-add", Some("Patient")).expect("meta-add");
    assert!(meta_add.affects_state && meta_add.on_instance && !meta_add.on_type && !meta_add.system);
}
