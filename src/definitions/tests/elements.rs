//! Structures, elements, bindings and invariants.

use crate::definitions::{BindingStrength, Definitions, Element, ElementType, Structure, StructureKind};
use crate::primitive::Primitive;
use crate::xml::{ChildKind, Schema, TypeNumber};

/// The structure and the element of a path.
fn find<'d>(d: &'d Definitions, path: &str) -> (&'d Structure, &'d Element) {
    let (structure, name) = path.rsplit_once('.').expect("a path");
    let structure = d.structure(d.type_named(structure).expect(path));
    (structure, structure.element(name).expect(path))
}

/// Cardinality, flags, type, targets and binding, in one line.
fn line(path: &str) -> String {
    let d = Definitions::core();
    let (structure, e) = find(&d, path);
    let min = e.choice.map_or(e.min, |c| structure.choices[c as usize].min);
    let mut line = format!("{min}..{} ", if e.many { '*' } else { '1' });
    for (set, letter) in [(e.summary, 'S'), (e.modifier, 'M'), (e.attribute, 'A'), (e.choice.is_some(), 'C')] {
        if set {
            line.push(letter);
        }
    }
    let kind = match e.kind {
        ElementType::Complex(id) => d.name(id).to_owned(),
        ElementType::Primitive(p) => format!("{p:?}"),
        ElementType::Resource => "any resource".to_owned(),
    };
    line += &format!(" {} {kind}", e.type_name);
    if !e.targets.is_empty() {
        line += &format!(" ({})", e.targets.iter().map(|t| d.name(*t)).collect::<Vec<_>>().join("|"));
    }
    if let Some(binding) = &e.binding {
        line += &format!(" {:?} {}", binding.strength, binding.value_set.rsplit('/').next().unwrap_or_default());
    }
    line
}

#[test]
fn elements_are_as_specified() {
    for (path, expected) in [
        ("Patient.id", "0..1 S id Id"),
        ("Patient.meta", "0..1 S Meta Meta"),
        ("Patient.implicitRules", "0..1 SM uri Uri"),
        ("Patient.language", "0..1  code Code Preferred languages"),
        ("Patient.contained", "0..*  Resource any resource"),
        ("Patient.modifierExtension", "0..* M Extension Extension"),
        ("Patient.gender", "0..1 S code Code Required administrative-gender"),
        ("Patient.deceasedDateTime", "0..1 SMC dateTime DateTime"),
        ("Patient.contact", "0..*  BackboneElement Patient.contact"),
        ("Patient.contact.id", "0..1 A string String"),
        ("Patient.contact.modifierExtension", "0..* SM Extension Extension"),
        ("Patient.generalPractitioner", "0..*  Reference Reference (Organization|Practitioner|PractitionerRole)"),
        ("Patient.link.other", "1..1 S Reference Reference (Patient|RelatedPerson)"),
        ("Observation.status", "1..1 SM code Code Required observation-status"),
        ("Observation.valueQuantity", "0..1 SC Quantity Quantity"),
        ("Observation.focus", "0..* S Reference Reference"),
        ("Observation.component.referenceRange", "0..*  BackboneElement Observation.referenceRange"),
        ("MedicationRequest.medicationReference", "1..1 SC Reference Reference (Medication) Example medication-codes"),
        ("Bundle.entry.resource", "0..1 S Resource any resource"),
        ("Bundle.entry.link", "0..* S BackboneElement Bundle.link"),
        ("Questionnaire.item.item", "0..*  BackboneElement Questionnaire.item"),
        ("Questionnaire.item.answerValueSet", "0..1  canonical Canonical (ValueSet)"),
        ("Extension.url", "1..1 A uri Uri"),
        ("Extension.valueAddress", "0..1 C Address Address"),
        ("Narrative.div", "1..1  xhtml Xhtml"),
        ("Timing.repeat", "0..1 S Element Timing.repeat"),
        ("Timing.repeat.boundsDuration", "0..1 SC Duration Duration"),
        ("Age.value", "0..1 S decimal Decimal"),
        ("Dosage.doseAndRate.doseQuantity", "0..1 SC Quantity Quantity"),
        ("Parameters.parameter.part", "0..* S BackboneElement Parameters.parameter"),
        ("Binary.data", "0..1  base64Binary Base64Binary"),
    ] {
        assert_eq!(line(path), expected, "{path}");
    }
}

#[test]
fn inherited_elements_stand_first() {
    let d = Definitions::core();
    let names = |name: &str| {
        let structure = d.structure(d.type_named(name).expect(name));
        structure.elements.iter().map(|e| e.name.to_string()).take(10).collect::<Vec<_>>().join(" ")
    };
    let domain = "id meta implicitRules language text contained extension modifierExtension";
    assert_eq!(names("Patient"), format!("{domain} identifier active"));
    assert_eq!(names("DomainResource"), domain);
    assert_eq!(names("Binary"), "id meta implicitRules language contentType securityContext data");
    assert_eq!(names("Patient.link"), "id extension modifierExtension other type");
    assert!(names("Timing.repeat").starts_with("id extension boundsDuration "));
    assert_eq!(names("Element"), "id extension");
}

#[test]
fn open_choices_have_all_types() {
    let d = Definitions::core();
    let types = |structure: &str, choice: &str| {
        let structure = d.structure(d.type_named(structure).expect(structure));
        let of = structure.elements.iter().filter(|e| e.choice.is_some() && &*e.fhirpath == choice);
        of.map(|e| (e.type_name.to_string(), e.order)).collect::<Vec<_>>()
    };
    let extension = types("Extension", "value");
    assert_eq!(extension.len(), 50);
    assert!(extension.iter().all(|(_, order)| *order == extension[0].1), "the types of a choice share their place");
    for (structure, choice) in [
        ("Parameters.parameter", "value"),
        ("Task.input", "value"),
        ("Task.output", "value"),
        ("ElementDefinition", "fixed"),
        ("ElementDefinition", "pattern"),
        ("ElementDefinition", "defaultValue"),
    ] {
        let types = types(structure, choice).into_iter().map(|t| t.0);
        assert!(types.eq(extension.iter().map(|t| t.0.clone())), "{structure}.{choice}");
    }
}

#[test]
fn structures_hold_together() {
    let d = Definitions::core();
    let of = |kind| d.structures.iter().filter(|s: &&Structure| s.kind == kind).count();
    assert_eq!(of(StructureKind::Resource), 146);
    assert_eq!(of(StructureKind::AbstractResource), 2);
    for (number, structure) in d.structures.iter().enumerate() {
        assert_eq!(structure.id.0 as usize, number);
        assert_eq!(d.type_named(&structure.name), Some(structure.id));
        assert_eq!(structure.by_name.len(), structure.elements.len(), "{}: a property twice", structure.name);
        for (i, e) in structure.elements.iter().enumerate() {
            assert_eq!(structure.by_name.get(&e.name), Some(&(i as u16)));
            assert!(e.choice.is_none() || e.min == 0);
            assert!(i == 0 || structure.elements[i - 1].order <= e.order);
        }
    }
    assert!(d.resources.is_sorted_by_key(|id| d.name(*id)));
    assert!(d.resource("Resource").is_none() && d.resource("HumanName").is_none() && d.resource("Nope").is_none());
}

#[test]
fn invariants_are_handed_down() {
    let d = Definitions::core();
    let keys = |name: &str| {
        let structure = d.structure(d.type_named(name).expect(name));
        structure.invariants.iter().map(|(key, _, _)| &**key).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(keys("Patient"), "dom-2 dom-3 dom-4 dom-5 dom-6");
    assert_eq!(keys("Patient.contact"), "ele-1 pat-1");
    assert_eq!(keys("Observation"), "dom-2 dom-3 dom-4 dom-5 dom-6 obs-6 obs-7");
    assert_eq!(keys("Age"), "ele-1 qty-3 age-1");
    assert_eq!(keys("Binary"), "");
    assert_eq!(find(&d, "Range.low").1.invariants, [("sqty-1".into(), true, "comparator.empty()".into())]);
    let probability = find(&d, "RiskAssessment.prediction.probabilityRange").1;
    assert_eq!(&*probability.invariants[0].0, "ras-1");
    let warning = d.structure(d.resource("Patient").expect("Patient")).invariants.iter().find(|i| &*i.0 == "dom-6");
    assert_eq!(warning.map(|i| i.1), Some(false));
}

#[test]
fn required_bindings_are_complete_but_few() {
    let d = Definitions::core();
    let mut incomplete: Vec<&str> = d.value_sets.values().filter(|v| !v.complete).map(|v| &*v.url).collect();
    incomplete.sort_unstable();
    let hl7 = "http://hl7.org/fhir/ValueSet/";
    let expected = [format!("{hl7}currencies"), format!("{hl7}mimetypes"), format!("{hl7}ucum-units")];
    assert_eq!(incomplete[..3], expected);
    assert_eq!(incomplete[3..], ["http://loinc.org/vs/LL379-9"]);
    let required = d.structures.iter().flat_map(|s| &s.elements).filter_map(|e| e.binding.as_ref());
    for binding in required.filter(|b| b.strength == BindingStrength::Required) {
        let set = d.value_sets.get(&binding.value_set).expect("the value set of a required binding");
        assert!(!set.complete || !set.codes.is_empty(), "{}", set.url);
    }
    let set = |name: &str| &d.value_sets[format!("{hl7}{name}").as_str()];
    assert!(set("administrative-gender").contains(Some("http://hl7.org/fhir/administrative-gender"), "other"));
    assert!(!set("administrative-gender").contains(None, "Other"));
    assert!(!set("administrative-gender").contains(Some("http://example.org"), "other"));
    assert!(set("item-type").contains(None, "open-choice"), "a code below another");
    assert!(!set("item-type").contains(None, "question"), "a code that only groups others");
    for id in &d.resources {
        for name in ["resource-types", "defined-types", "all-types"] {
            assert!(set(name).contains(None, d.name(*id)), "{} in {name}", d.name(*id));
        }
    }
    assert!(set("all-types").contains(None, "Any") && set("all-types").contains(None, "dateTime"));
}

#[test]
fn xml_is_answered() {
    let d = Definitions::core();
    let patient = d.resource_type("Patient").expect("Patient");
    assert!(d.resource_type("DomainResource").is_none() && d.resource_type("HumanName").is_none());
    let id = d.child(patient, "id").expect("id");
    assert_eq!((id.kind, id.attribute, id.many, id.order), (ChildKind::Primitive(Primitive::Id), false, false, 0));
    let element = d.element_type().expect("Element");
    assert!(d.child(element, "id").is_some_and(|id| id.attribute));
    let extension = d.type_named("Extension").map(|id| TypeNumber(id.0)).expect("Extension");
    assert_eq!(Schema::name(&*d, extension), "Extension");
    let url = d.child(extension, "url").expect("url");
    assert!(url.attribute && !url.many);
    let value = d.child(extension, "valueReference").expect("valueReference");
    assert_eq!(value.fhirpath, "value");
    assert!(matches!(value.kind, ChildKind::Complex(_)));
    assert_eq!(d.child(patient, "contained").map(|c| (c.kind, c.many)), Some((ChildKind::Resource, true)));
    assert!(d.child(patient, "nope").is_none());
}
