//! The policies that hold until an administrator writes others: a table. What each role needs for its work and no
//! more, as far as that can be said of every clinic.

use super::{CLIENT, Policy, PolicyRule, Within};
use crate::access::{Rights, Role};
use crate::definitions::Definitions;

/// Types that say how and by whom patients are treated, without saying of whom.
const DIRECTORY: &[&str] = &[
    "CodeSystem",
    "ConceptMap",
    "Endpoint",
    "HealthcareService",
    "Location",
    "Medication",
    "Organization",
    "Practitioner",
    "PractitionerRole",
    "Questionnaire",
    "StructureDefinition",
    "ValueSet",
];

/// What doctors write.
const CLINICAL: &[&str] = &[
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "AppointmentResponse",
    "Basic",
    "Binary",
    "CarePlan",
    "CareTeam",
    "ClinicalImpression",
    "Communication",
    "CommunicationRequest",
    "Composition",
    "Condition",
    "Consent",
    "DetectedIssue",
    "Device",
    "DeviceRequest",
    "DeviceUseStatement",
    "DiagnosticReport",
    "DocumentManifest",
    "DocumentReference",
    "Encounter",
    "EpisodeOfCare",
    "FamilyMemberHistory",
    "Flag",
    "Goal",
    "ImagingStudy",
    "Immunization",
    "ImmunizationRecommendation",
    "List",
    "Media",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "MedicationStatement",
    "NutritionOrder",
    "Observation",
    "Patient",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
    "RelatedPerson",
    "RequestGroup",
    "RiskAssessment",
    "ServiceRequest",
    "Specimen",
    "SupplyDelivery",
    "SupplyRequest",
    "Task",
    "VisionPrescription",
];

/// What nurses write.
const NURSING: &[&str] = &[
    "AdverseEvent",
    "AllergyIntolerance",
    "Appointment",
    "Binary",
    "CarePlan",
    "CareTeam",
    "Communication",
    "CommunicationRequest",
    "DeviceUseStatement",
    "DocumentReference",
    "Encounter",
    "Flag",
    "Goal",
    "Immunization",
    "List",
    "Media",
    "MedicationAdministration",
    "MedicationStatement",
    "NutritionOrder",
    "Observation",
    "Patient",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
    "RelatedPerson",
    "Specimen",
    "Task",
];

const PHARMACY_READS: &[&str] = &[
    "AllergyIntolerance",
    "CarePlan",
    "Condition",
    "Coverage",
    "DetectedIssue",
    "Encounter",
    "Immunization",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationKnowledge",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Patient",
    "RelatedPerson",
    "Task",
];

const PHARMACY_WRITES: &[&str] = &[
    "Communication",
    "DetectedIssue",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationStatement",
    "Provenance",
    "Task",
];

const LABORATORY: &[&str] =
    &["Binary", "DiagnosticReport", "Media", "Provenance", "ServiceRequest", "Specimen", "Task"];

const RECEPTION: &[&str] =
    &["Account", "Appointment", "AppointmentResponse", "Coverage", "Encounter", "Patient", "RelatedPerson"];

/// What patients write in their own records.
const OWN_WRITES: &[&str] = &[
    "Appointment",
    "AppointmentResponse",
    "Binary",
    "Communication",
    "Consent",
    "Device",
    "DocumentReference",
    "Goal",
    "MedicationStatement",
    "Observation",
    "QuestionnaireResponse",
    "RelatedPerson",
];

const TRAIL: &[&str] = &["AuditEvent", "Provenance"];

/// A rule of the table: types (none: all), actions, whose records, criteria.
type Row = (&'static [&'static str], &'static str, Within, Option<&'static str>);

/// A policy of the table: rules, labels that do not hide, `relabel`, `break-glass`, hidden elements.
type Table = (Vec<Row>, &'static [&'static str], bool, bool, &'static [&'static str]);

const LABORATORY_RESULTS: Option<&str> =
    Some("category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory");

fn table(name: &str) -> Option<Table> {
    use Within::{Everything, Own};
    if name == CLIENT {
        // What an app without a user may do is said by its scopes.
        return Some((vec![(&[], "cruds", Everything, None)], &[], false, false, &[]));
    }
    Some(match Role::from_code(name)? {
        Role::Administrator => (vec![(&[], "cruds", Everything, None)], &["R"], true, true, &[]),
        Role::Doctor => {
            (vec![(&[], "rs", Everything, None), (CLINICAL, "cru", Everything, None)], &["R"], false, true, &[])
        }
        Role::Nurse => (vec![(&[], "rs", Everything, None), (NURSING, "cru", Everything, None)], &[], false, true, &[]),
        Role::Pharmacist => (
            vec![
                (DIRECTORY, "rs", Everything, None),
                (PHARMACY_READS, "rs", Everything, None),
                (PHARMACY_WRITES, "crus", Everything, None),
            ],
            &[],
            false,
            true,
            &["Patient.photo", "Patient.contact"],
        ),
        Role::LaboratoryTechnician => (
            vec![
                (DIRECTORY, "rs", Everything, None),
                (&["Patient", "Encounter"], "rs", Everything, None),
                (LABORATORY, "crus", Everything, None),
                (&["Observation"], "crus", Everything, LABORATORY_RESULTS),
            ],
            &[],
            false,
            false,
            &["Patient.telecom", "Patient.address", "Patient.photo", "Patient.contact", "Encounter.diagnosis"],
        ),
        Role::Receptionist => (
            vec![
                (DIRECTORY, "rs", Everything, None),
                (&["Schedule", "Slot"], "rus", Everything, None),
                (RECEPTION, "crus", Everything, None),
            ],
            &[],
            false,
            false,
            &[
                "Appointment.reasonCode",
                "Appointment.reasonReference",
                "Encounter.diagnosis",
                "Encounter.reasonCode",
                "Encounter.reasonReference",
            ],
        ),
        Role::CivilAuthority => (
            vec![
                (&["Location", "Organization", "Practitioner", "PractitionerRole"], "rs", Everything, None),
                (&["Patient", "RelatedPerson"], "rs", Everything, None),
            ],
            &[],
            false,
            false,
            &["Patient.telecom", "Patient.photo", "Patient.contact", "Patient.communication", "RelatedPerson.telecom"],
        ),
        Role::Patient => (
            vec![(&[], "rs", Own, None), (TRAIL, "rs", Own, None), (OWN_WRITES, "cu", Own, None)],
            &[],
            false,
            false,
            &[],
        ),
        Role::Auditor => (
            vec![
                (TRAIL, "rs", Everything, None),
                (&["Device", "Practitioner", "Organization"], "rs", Everything, None),
            ],
            &["R", "V"],
            false,
            false,
            &[],
        ),
    })
}

/// Whether a role may change Consents that deny something: who corrects what was entered wrongly. All others leave it to
/// the patients.
pub(super) fn lifts_consents(role: &str) -> bool {
    role == Role::Administrator.code()
}

pub(super) fn policy(name: &str, definitions: &Definitions) -> Option<Policy> {
    let (rows, labels, relabel, break_glass, hidden) = table(name)?;
    let rule = |(kinds, rights, within, criteria): &Row| PolicyRule {
        kinds: kinds.iter().filter_map(|kind| definitions.resource(kind)).collect(),
        rights: Rights::parse(rights).unwrap_or_default(),
        criteria: criteria.map(str::to_owned),
        within: *within,
    };
    let element = |path: &&str| {
        let (kind, element) = path.split_once('.')?;
        Some((definitions.resource(kind)?, element.to_owned()))
    };
    Some(Policy {
        role: name.to_owned(),
        rules: rows.iter().map(rule).collect(),
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        relabel,
        break_glass,
        lift_consents: lifts_consents(name),
        hidden: hidden.iter().filter_map(element).collect(),
    })
}
