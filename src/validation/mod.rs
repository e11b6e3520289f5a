//! Floor 4: is a resource legal FHIR? Validation on write against the base definitions of R4 (not against
//! profiles): structure, cardinality, primitive values, required bindings, reference targets, contained
//! resources, narrative, and the few invariants of `invariants.rs`.
//!
//! One pass over the borrowed document, driven by tables; nothing is allocated unless there is an issue.
//! It does not look at other resources, does not ask a terminology server and does not evaluate FHIRPath.

mod binding;
mod entries;
mod invariants;
mod narrative;
mod place;
mod plan;
mod reference;
mod rule;
mod swift;
mod value;
mod walk;
mod world;

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;

use crate::base::{Clock, Issue, SystemClock};
use crate::definitions::{Definitions, TypeId};
use crate::json;
use std::sync::Arc;

/// The most issues that one validation reports; it stops there.
pub const MAX_ISSUES: usize = 100;

/// Says what is wrong with a resource.
pub struct Validator {
    definitions: Arc<Definitions>,
    plans: Vec<plan::Plan>,
    rules: rule::Rules,
    /// The structure of `Extension`, for the extensions of primitives.
    extension: Option<TypeId>,
}

impl Validator {
    /// A validator for these definitions.
    pub fn new(definitions: Arc<Definitions>) -> Self {
        let mut rules = rule::Rules::default();
        let plans = plan::plans(&definitions, &mut rules);
        let extension = definitions.type_named("Extension");
        Validator { definitions, plans, rules, extension }
    }

    /// The present moment, for `now()` in expressions.
    fn now(&self) -> i64 {
        SystemClock.now().0
    }

    /// What is wrong with a resource: nothing if it is legal, at most [`MAX_ISSUES`] issues otherwise.
    ///
    /// `expected` is the type that the address of the request names. Every issue has the FHIRPath expression of
    /// its place, such as `Patient.contact[0].gender`; an unknown property is named after the place it stands in.
    pub fn validate(&self, expected: Option<TypeId>, resource: json::Value<'_>) -> Vec<Issue> {
        walk::Walk::new(self, resource).document(expected)
    }
}
