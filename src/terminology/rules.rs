//! What a request asks for besides the code: languages, versions, what is shown, how many.

use super::tree::{fits, split};
use crate::json::Tree;

/// A version of a code system that a request wants.
#[derive(Clone, Debug)]
pub struct VersionRule {
    /// The code system.
    pub system: String,
    /// The version, perhaps with wildcards.
    pub version: String,
}

impl VersionRule {
    /// Reads `system|version`.
    pub fn of(canonical: &str) -> VersionRule {
        let (system, version) = split(canonical);
        VersionRule { system: system.to_owned(), version: version.to_owned() }
    }
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The version where none is said.
    pub default: Vec<VersionRule>,
    /// The version that must come out.
    pub check: Vec<VersionRule>,
    /// The version whatever is said.
    pub force: Vec<VersionRule>,
    /// Versions of value sets where none is said, as canonicals.
    pub value_sets: Vec<VersionRule>,
    /// Languages of displays, as in `Accept-Language`.
    pub language: Option<String>,
    /// Without inactive concepts.
    pub active_only: bool,
    /// Words that must stand in the display.
    pub filter: Option<String>,
    /// Where to begin.
    pub offset: usize,
    /// How many.
    pub count: Option<usize>,
    /// The most concepts that are ever put together.
    pub limit: usize,
    /// Without a tree.
    pub flat: bool,
    /// With designations.
    pub designations: bool,
    /// Only such designations (`system|code` of a use, or a language).
    pub designation: Vec<String>,
    /// With definitions as a property.
    pub properties: Vec<String>,
    /// Without concepts that only group others.
    pub exclude_abstract: bool,
    /// Supplements that must be there.
    pub supplements: Vec<String>,
    /// A wrong display is only worth a warning.
    pub lenient: bool,
    /// Parameters that are shown again with an expansion.
    pub echo: Vec<Tree>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules {
            default: Vec::new(),
            check: Vec::new(),
            force: Vec::new(),
            value_sets: Vec::new(),
            language: None,
            active_only: false,
            filter: None,
            offset: 0,
            count: None,
            limit: 1_000_000,
            flat: false,
            designations: false,
            designation: Vec::new(),
            properties: Vec::new(),
            exclude_abstract: false,
            supplements: Vec::new(),
            lenient: false,
            echo: Vec::new(),
        }
    }
}

fn rule<'r>(rules: &'r [VersionRule], system: &str) -> Option<&'r str> {
    rules.iter().find(|r| r.system == system).map(|r| r.version.as_str())
}

impl Rules {
    /// The version of a system that is meant where a value set says `said`.
    pub(super) fn version<'r>(&'r self, system: &str, said: &'r str) -> &'r str {
        self.version_and_rule(system, said).0
    }

    /// The same, and the name of the parameter that decided.
    pub(super) fn version_and_rule<'r>(&'r self, system: &str, said: &'r str) -> (&'r str, Option<&'static str>) {
        if let Some(forced) = rule(&self.force, system) {
            return (forced, Some("force-system-version"));
        }
        if !said.is_empty() {
            return (said, None);
        }
        if let Some(version) = rule(&self.default, system) {
            return (version, Some("system-version"));
        }
        match rule(&self.check, system) {
            Some(version) => (version, Some("check-system-version")),
            None => ("", None),
        }
    }

    /// The version that must come out, where another did.
    pub(super) fn broken_check(&self, system: &str, version: &str) -> Option<&str> {
        rule(&self.check, system).filter(|wanted| !fits(version, wanted))
    }

    /// The version of a value set that is meant by a canonical.
    pub(super) fn value_set_version<'r>(&'r self, url: &str, said: &'r str) -> (&'r str, bool) {
        match rule(&self.value_sets, url).filter(|_| said.is_empty()) {
            Some(version) => (version, true),
            None => (said, false),
        }
    }
}
