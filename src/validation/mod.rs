//! Floor 4: is a resource legal FHIR? Against the base definitions of R4: structure, cardinality, primitive values,
//! required bindings, reference targets, contained resources, narrative, invariants. And, where that is asked for,
//! against extensions and profiles.
//!
//! One pass over the borrowed document, driven by tables, and one more for each profile. It does not look at other
//! resources than those of the document, and asks others about codes.

mod binding;
mod bundle;
mod coded;
mod codes;
mod definition;
mod elsewhere;
mod entries;
mod extension;
mod invariants;
mod locate;
mod measure;
mod narrative;
mod place;
mod plan;
mod profile;
mod questionnaire;
mod reference;
mod resource;
mod rule;
mod swift;
mod value;
mod walk;
mod world;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod guides;
#[cfg(test)]
mod tests;

pub use codes::KnownCodes;
pub use elsewhere::{Answer, Inquiry, Kept, Question};

use crate::base::{Clock, Issue, Severity, SystemClock};
use crate::definitions::{Codes, Definitions, Registry, TypeId};
use crate::json::{self, Tree};
use crate::terminology::Packaged;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The most issues that one validation reports; it stops there.
pub const MAX_ISSUES: usize = 100;

/// How much is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// The base definitions.
    #[default]
    Structure,
    /// The base definitions, extensions, and the profiles that the resource declares or the caller names.
    Full,
}

/// What the caller wants to know.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How much is looked at.
    pub level: Level,
    /// Profiles beside the declared ones, each with a version or without.
    pub profiles: Vec<String>,
    /// How bad it is that a profile is not known.
    pub unknown_profiles: Severity,
    /// How bad it is that an extension is not known; none: not worth a word, as FHIR allows it.
    pub unknown_extensions: Option<Severity>,
    /// How bad it is that a MeasureReport is not as its Measure says: a server stores what others have reported.
    pub other_than_measure: Severity,
    /// Whether columns in a text of one line mean something; if not, only texts of several lines give positions.
    pub columns: bool,
    /// Where codes that nothing here decides are noted, and what was said of them elsewhere; none: nobody is asked.
    pub elsewhere: Option<Arc<Inquiry>>,
}

impl Default for Asked {
    fn default() -> Self {
        Asked {
            level: Level::Structure,
            profiles: Vec::new(),
            unknown_profiles: Severity::Warning,
            unknown_extensions: None,
            other_than_measure: Severity::Warning,
            columns: false,
            elsewhere: None,
        }
    }
}

impl Asked {
    /// Everything, with the declared profiles.
    pub fn full() -> Self {
        Asked { level: Level::Full, ..Asked::default() }
    }

    /// Whether profiles and extensions are looked at.
    pub fn is_full(&self) -> bool {
        self.level == Level::Full
    }
}

/// Says what is wrong with a resource.
pub struct Validator {
    definitions: Arc<Definitions>,
    plans: Arc<Vec<plan::Plan>>,
    rules: Arc<rule::Rules>,
    registry: Arc<Registry>,
    packaged: Arc<Packaged>,
    codes: Arc<dyn Codes>,
    /// Profiles that were read, by canonical.
    profiles: RwLock<FxHashMap<Box<str>, profile::Digest>>,
    /// What was said elsewhere of codes that nothing here decides.
    said: Arc<Kept>,
    /// The structure of `Extension`, for the extensions of primitives.
    extension: Option<TypeId>,
}

impl Validator {
    /// A validator for these definitions and the profiles of the specification.
    pub fn new(definitions: Arc<Definitions>) -> Self {
        let mut rules = rule::Rules::default();
        let plans = Arc::new(plan::plans(&definitions, &mut rules));
        let rules = Arc::new(rules);
        let extension = definitions.type_named("Extension");
        let registry = Registry::core();
        let packaged = Arc::new(Packaged::of(registry.clone()));
        let codes = Arc::new(KnownCodes::of(packaged.clone()));
        let (profiles, said) = Default::default();
        Validator { definitions, plans, rules, registry, packaged, codes, profiles, said, extension }
    }

    /// The same over other packages.
    pub fn over(&self, registry: Arc<Registry>) -> Validator {
        let packaged = Arc::new(Packaged::of(registry.clone()));
        let codes = Arc::new(KnownCodes::of(packaged.clone()));
        Validator { packaged, ..self.beside(registry, codes) }
    }

    /// The same over these packages and more, with a terminology.
    pub fn beside(&self, registry: Arc<Registry>, codes: Arc<dyn Codes>) -> Validator {
        Validator {
            definitions: self.definitions.clone(),
            plans: self.plans.clone(),
            rules: self.rules.clone(),
            packaged: self.packaged.clone(),
            codes,
            registry,
            profiles: RwLock::default(),
            said: Arc::default(),
            extension: self.extension,
        }
    }

    /// The packages that it knows.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The terminology of the packages that it knows.
    pub fn packaged(&self) -> &Arc<Packaged> {
        &self.packaged
    }

    /// The answers to codes that nothing here decides, as far as they are kept.
    pub fn said(&self) -> &Arc<Kept> {
        &self.said
    }

    /// The definition of a value set, cut down to what it takes from where, and behind it those of its imports; empty
    /// where it is not known here.
    pub fn value_set(&self, canonical: &str) -> Vec<Tree> {
        self.codes.definition(canonical)
    }

    /// Whether a profile, or a type of the specification, is known.
    pub fn knows(&self, canonical: &str) -> bool {
        self.about(canonical).is_some()
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
        self.judge(expected, resource, &Asked::default())
    }

    /// The same, with profiles and extensions as far as they are asked for.
    pub fn judge(&self, expected: Option<TypeId>, resource: json::Value<'_>, asked: &Asked) -> Vec<Issue> {
        let mut issues = self.judge_without_lines(expected, resource, asked);
        self.locate(resource, asked, &mut issues);
        issues
    }

    /// The same without lines and columns, which cost a look at the whole text.
    pub fn judge_without_lines(
        &self,
        expected: Option<TypeId>,
        resource: json::Value<'_>,
        asked: &Asked,
    ) -> Vec<Issue> {
        walk::Walk::new(self, resource, asked).document(expected)
    }

    /// Gives issues on a resource their lines and columns.
    pub fn locate(&self, resource: json::Value<'_>, asked: &Asked, issues: &mut [Issue]) {
        locate::positions(resource, asked.columns, issues);
    }
}
