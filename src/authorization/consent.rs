//! What a user is asked before an app gets a token, and what was answered. The pages that ask are not here; what an
//! answer leads to is in `authorize`.

use super::client::Client;
use super::scope::{self, Scope};
use crate::base::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Somebody who has signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Their stable id.
    pub subject: String,
    /// Their name, for pages.
    pub name: String,
    /// Their role, as `access::Role` names it.
    pub role: String,
    /// Which resource they are: `Practitioner/1`, `Patient/2`.
    pub user: Option<String>,
    /// The session in which they signed in.
    pub session: Option<String>,
    /// When they signed in.
    pub authenticated: Timestamp,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Who asks.
    pub client: Arc<Client>,
    /// What it asks for, in its order.
    pub choices: Vec<Choice>,
    /// The patient in context, if one has been chosen or the launch names one.
    pub patient: Option<String>,
    /// The reason for an access in an emergency that was stated when the patient was chosen.
    pub emergency: Option<String>,
}

/// One scope that can be granted or not, or narrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The scope as it was asked for.
    pub scope: String,
    /// Narrower scopes that can be granted in its place: by type for a wildcard, by category for a type that has
    /// categories in use.
    pub parts: Vec<String>,
}

/// What was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The scopes that are granted: those asked for, or narrower ones.
    pub scopes: Vec<String>,
    /// The patient that was chosen, where the launch does not name one.
    pub patient: Option<String>,
    /// The stated reason of a break-glass access.
    pub break_glass: Option<String>,
}

/// The choices for the scopes that an app asks for.
pub fn choices(asked: &[String]) -> Vec<Choice> {
    asked.iter().map(|scope| Choice { scope: scope.clone(), parts: parts(scope) }).collect()
}

/// Categories by which clinicians commonly tell resources of a type apart: type, system, codes.
const CATEGORIES: &[(&str, &str, &[&str])] = &[
    (
        "Condition",
        "http://terminology.hl7.org/CodeSystem/condition-category",
        &["encounter-diagnosis", "problem-list-item"],
    ),
    ("Condition", "http://hl7.org/fhir/us/core/CodeSystem/condition-category", &["health-concern"]),
    (
        "Observation",
        "http://terminology.hl7.org/CodeSystem/observation-category",
        &[
            "laboratory",
            "social-history",
            "vital-signs",
            "survey",
            "imaging",
            "procedure",
            "exam",
            "therapy",
            "activity",
        ],
    ),
    ("Observation", "http://hl7.org/fhir/us/core/CodeSystem/us-core-category", &["sdoh", "clinical-test"]),
];

/// Types that a wildcard is offered to be narrowed to: those that apps commonly read.
const TYPES: &[&str] = &[
    "Patient",
    "AllergyIntolerance",
    "CarePlan",
    "CareTeam",
    "Condition",
    "Coverage",
    "Device",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Goal",
    "Immunization",
    "Location",
    "Medication",
    "MedicationDispense",
    "MedicationRequest",
    "Observation",
    "Organization",
    "Practitioner",
    "PractitionerRole",
    "Procedure",
    "Provenance",
    "QuestionnaireResponse",
    "RelatedPerson",
    "ServiceRequest",
    "Specimen",
];

fn parts(text: &str) -> Vec<String> {
    let Ok(Scope::Clinical(asked)) = scope::read(text) else { return Vec::new() };
    if asked.query.is_some() {
        return Vec::new();
    }
    let head = |kind: &str| format!("{}/{kind}.{}", asked.context.name(), asked.permissions);
    if asked.kind == "*" {
        return TYPES.iter().map(|kind| head(kind)).collect();
    }
    // Scopes of version 1 have no search parameters.
    if ["read", "write", "*"].contains(&asked.permissions.as_str()) {
        return Vec::new();
    }
    let own = CATEGORIES.iter().filter(|(kind, ..)| *kind == asked.kind);
    own.flat_map(|(kind, system, codes)| codes.iter().map(move |code| (kind, system, code)))
        .map(|(kind, system, code)| format!("{}?category={system}|{code}", head(kind)))
        .collect()
}

/// The granted scopes out of an answer: each must be one that was asked for, or narrower; others are left out. In the
/// order of what was asked.
pub fn granted(asked: &[String], answered: &[String]) -> Vec<String> {
    let mut granted: Vec<String> = Vec::new();
    for wanted in asked {
        for given in answered {
            if scope::covers(wanted, given) && !granted.contains(given) {
                granted.push(given.clone());
            }
        }
    }
    granted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_narrow_a_scope() {
        assert!(parts("patient/*.rs").contains(&"patient/Observation.rs".to_owned()));
        let lab =
            "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";
        assert!(parts("patient/Observation.rs").contains(&lab.to_owned()));
        assert!(parts(lab).is_empty());
        let definitions = crate::definitions::Definitions::core();
        for asked in ["patient/*.rs", "patient/*.read", "user/*.*", "patient/Observation.rs", "patient/Condition.read"]
        {
            for part in parts(asked) {
                assert!(scope::covers(asked, &part), "{asked} {part}");
                assert!(crate::access::Scopes::parse(&part, &definitions).is_ok(), "{asked} {part}");
            }
        }
        assert!(parts("patient/Observation.read").is_empty() && parts("patient/*.read").len() == TYPES.len());
        assert!(parts("openid").is_empty());
    }

    #[test]
    fn only_what_was_asked_can_be_granted() {
        let asked = ["openid".to_owned(), "patient/Observation.rs".to_owned()];
        let answered = ["patient/Observation.r", "patient/Patient.r", "openid", "user/*.cruds"].map(str::to_owned);
        assert_eq!(granted(&asked, &answered), ["openid", "patient/Observation.r"]);
    }
}
