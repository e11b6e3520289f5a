//! What of each resource type belongs to a patient (R4 compartmentdefinition-patient.html), and what somebody who
//! asks for one patient may see besides: the types that are nobody's. Knows nothing of scopes and roles.
//!
//! | type | what a patient's app sees of it |
//! |---|---|
//! | Patient | the patient; those that are linked to it are other patients |
//! | in the compartment by its definition | what refers to the patient under a parameter of the definition |
//! | Group | those of which the patient is the only member |
//! | in no compartment, but with a parameter `patient` or `subject` (Device, Task, …) | what refers to the patient under it |
//! | [`UNIVERSAL`] | everything, to read and to search |
//! | all others (Bundle, Linkage, MessageHeader, Subscription, …) | nothing |

use crate::definitions::{Definitions, SearchKind, TypeId};

/// The types that belong to no patient and say nothing of one: who and what there is to be treated by, and what FHIR
/// itself is defined by. Whoever may read or search them by a scope sees all of them.
pub const UNIVERSAL: &[&str] = &[
    "ActivityDefinition",
    "CapabilityStatement",
    "ChargeItemDefinition",
    "CodeSystem",
    "CompartmentDefinition",
    "ConceptMap",
    "DeviceDefinition",
    "EffectEvidenceSynthesis",
    "Endpoint",
    "EventDefinition",
    "Evidence",
    "EvidenceVariable",
    "ExampleScenario",
    "GraphDefinition",
    "HealthcareService",
    "ImplementationGuide",
    "InsurancePlan",
    "Library",
    "Location",
    "Measure",
    "Medication",
    "MedicationKnowledge",
    "MessageDefinition",
    "NamingSystem",
    "ObservationDefinition",
    "OperationDefinition",
    "Organization",
    "OrganizationAffiliation",
    "PlanDefinition",
    "Practitioner",
    "PractitionerRole",
    "Questionnaire",
    "ResearchDefinition",
    "ResearchElementDefinition",
    "RiskEvidenceSynthesis",
    "SearchParameter",
    "SpecimenDefinition",
    "StructureDefinition",
    "StructureMap",
    "Substance",
    "TerminologyCapabilities",
    "TestScript",
    "ValueSet",
];

/// How a type belongs to patients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is the patient.
    Itself,
    /// It refers to the patient under one of these parameters.
    Members(Vec<u16>),
    /// It refers, under this parameter, to the patient and to nobody else.
    Alone(u16),
    /// It belongs to nobody.
    Universal,
    /// It does not belong to patients, and is not for everybody.
    Nothing,
}

/// How a type belongs to patients.
pub fn reach(definitions: &Definitions, kind: TypeId) -> Reach {
    let name = definitions.name(kind);
    // What was added to the specification's parameters ties nothing to anybody.
    let number = |code: &str| definitions.core_search_parameter(kind, code).map(|p| p.number);
    match name {
        "Patient" => return Reach::Itself,
        "Group" => return number("member").map_or(Reach::Nothing, Reach::Alone),
        _ if UNIVERSAL.contains(&name) => return Reach::Universal,
        _ => {}
    }
    let members = definitions.compartment("Patient").and_then(|c| c.members.get(&kind));
    let mut parameters: Vec<u16> = match members {
        Some(codes) => codes.iter().filter_map(|code| number(code)).collect(),
        None => {
            let patient = definitions.resource("Patient");
            let refers = |code: &&str| {
                let parameter = definitions.core_search_parameter(kind, code);
                parameter.is_some_and(|p| {
                    p.kind == SearchKind::Reference && patient.is_some_and(|patient| p.targets.contains(&patient))
                })
            };
            ["patient", "subject"].into_iter().filter(refers).filter_map(number).collect()
        }
    };
    parameters.sort_unstable();
    parameters.dedup();
    if parameters.is_empty() { Reach::Nothing } else { Reach::Members(parameters) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definitions::{CustomParameter, CustomParameters};

    #[test]
    fn what_was_added_ties_nothing_to_anybody() {
        let core = Definitions::core();
        let added = CustomParameter {
            number: 0,
            origin: "SearchParameter/x".into(),
            url: "http://x/p".into(),
            code: "patient".into(),
            kind: SearchKind::Reference,
            bases: vec!["MessageHeader".into()],
            expression: "MessageHeader.focus".into(),
            targets: vec!["Patient".into()],
            components: Vec::new(),
        };
        let definitions = core.with_custom(&CustomParameters::default().renewed(vec![added]), |_| true);
        let kind = definitions.resource("MessageHeader").expect("a type");
        assert!(definitions.search_parameter(kind, "patient").is_some());
        assert_eq!(reach(&definitions, kind), Reach::Nothing);
    }

    #[test]
    fn every_type_has_its_place() {
        let definitions = Definitions::core();
        let of = |name: &str| reach(&definitions, definitions.resource(name).expect(name));
        assert_eq!(of("Patient"), Reach::Itself);
        assert!(matches!(of("Group"), Reach::Alone(_)));
        for name in ["Observation", "Encounter", "AuditEvent", "Provenance", "List", "Device", "Task", "CareTeam"] {
            assert!(matches!(of(name), Reach::Members(_)), "{name}: {:?}", of(name));
        }
        for name in ["Bundle", "Binary", "Linkage", "MessageHeader", "Subscription", "Parameters", "OperationOutcome"] {
            assert_eq!(of(name), Reach::Nothing, "{name}");
        }
        for name in UNIVERSAL {
            assert_eq!(of(name), Reach::Universal);
            let kind = definitions.resource(name).expect(name);
            assert!(!definitions.compartment("Patient").expect("defined").members.contains_key(&kind), "{name}");
        }
    }
}
