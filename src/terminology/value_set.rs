//! A value set as it is written: what it includes and excludes. What that comes to is in `expand` and `member`.

use super::code_system::standards_status;
use super::contained::Contained;
use super::tree::{each, flag, strings, text};
use super::{CodeSystem, Library, Problem, Rules};
use crate::json::Tree;
use std::sync::Arc;

/// A concept that a value set names.
#[derive(Clone, Debug)]
pub struct Named {
    /// Its code.
    pub code: Box<str>,
    /// The display in this value set.
    pub display: Option<Box<str>>,
    /// As it stands in the resource.
    pub whole: Tree,
}

/// A filter.
#[derive(Clone, Debug)]
pub struct Filter {
    /// The property.
    pub property: Box<str>,
    /// How it is compared.
    pub op: Box<str>,
    /// With what.
    pub value: Box<str>,
}

/// An include or exclude.
#[derive(Clone, Debug)]
pub struct ConceptSet {
    /// The code system; empty where only value sets are named.
    pub system: Box<str>,
    /// Its version; empty for any.
    pub version: Box<str>,
    /// The concepts that are named; empty: all that pass the filters.
    pub concepts: Vec<Named>,
    /// The filters.
    pub filters: Vec<Filter>,
    /// The value sets that all must hold a concept.
    pub value_sets: Vec<Box<str>>,
    /// Where it stands: `ValueSet.compose.include[0]`.
    pub place: String,
    /// What is contained in the same resource.
    contained: Contained,
}

impl ConceptSet {
    /// The versions of its code system.
    pub(super) fn code_systems(&self, library: &dyn Library) -> Vec<Arc<CodeSystem>> {
        self.contained.code_systems(library, &self.system)
    }

    /// One of the value sets that it names.
    pub(super) fn value_set(
        &self,
        library: &dyn Library,
        canonical: &str,
        rules: &Rules,
    ) -> Result<Arc<ValueSet>, Problem> {
        self.contained.value_set(library, canonical, rules)
    }
}

/// A value set.
#[derive(Debug)]
pub struct ValueSet {
    /// Canonical, without version.
    pub url: Box<str>,
    /// Version; empty without one.
    pub version: Box<str>,
    /// Publication status.
    pub status: Box<str>,
    /// Standards status (an extension).
    pub standards_status: Box<str>,
    /// Whether it is for trial only.
    pub experimental: bool,
    /// Language of the resource.
    pub language: Option<Box<str>>,
    /// Whether inactive concepts are in it; not said: yes.
    pub inactive: Option<bool>,
    /// What is in it.
    pub include: Vec<ConceptSet>,
    /// What is not.
    pub exclude: Vec<ConceptSet>,
    /// Supplements that it needs.
    pub supplements: Vec<Box<str>>,
    /// The codes that it holds where it has an expansion only: system, version, code, display.
    pub expanded: Option<Vec<[Box<str>; 4]>>,
    /// The resource, for the answers.
    pub resource: Tree,
}

impl ValueSet {
    /// Makes it from a ValueSet resource.
    pub fn of(resource: &Tree) -> ValueSet {
        ValueSet::within(resource, Contained::of(resource))
    }

    /// The same beside what is contained with it.
    pub(super) fn within(resource: &Tree, beside: Contained) -> ValueSet {
        let compose = resource.get("compose");
        let sets = |key: &str| -> Vec<ConceptSet> {
            let all = compose.map_or(&[][..], |c| each(c, key));
            all.iter()
                .enumerate()
                .map(|(i, s)| concept_set(s, format!("ValueSet.compose.{key}[{i}]"), &beside))
                .collect()
        };
        let url = "http://hl7.org/fhir/StructureDefinition/valueset-supplement";
        let supplements = each(resource, "extension").iter().filter(|e| text(e, "url") == url);
        let expanded = match (compose, resource.get("expansion")) {
            (None, Some(expansion)) => Some(contained(each(expansion, "contains"))),
            _ => None,
        };
        ValueSet {
            url: text(resource, "url").into(),
            version: text(resource, "version").into(),
            status: text(resource, "status").into(),
            standards_status: standards_status(resource),
            experimental: flag(resource, "experimental") == Some(true),
            language: strings(resource, "language"),
            inactive: compose.and_then(|c| flag(c, "inactive")),
            include: sets("include"),
            exclude: sets("exclude"),
            supplements: supplements.map(|e| text(e, "valueCanonical").into()).collect(),
            expanded,
            resource: resource.clone(),
        }
    }

    /// Canonical with version.
    pub fn canonical(&self) -> String {
        super::tree::canonical(&self.url, &self.version)
    }
}

fn concept_set(tree: &Tree, place: String, contained: &Contained) -> ConceptSet {
    let named = |c: &Tree| Named { code: text(c, "code").into(), display: strings(c, "display"), whole: c.clone() };
    let filter = |f: &Tree| Filter {
        property: text(f, "property").into(),
        op: text(f, "op").into(),
        value: text(f, "value").into(),
    };
    ConceptSet {
        system: contained.name_of(text(tree, "system")),
        version: text(tree, "version").into(),
        concepts: each(tree, "concept").iter().map(named).collect(),
        filters: each(tree, "filter").iter().map(filter).collect(),
        value_sets: each(tree, "valueSet").iter().filter_map(Tree::as_str).map(Box::from).collect(),
        place,
        contained: contained.clone(),
    }
}

/// The codes of an expansion, those nested in others included.
fn contained(list: &[Tree]) -> Vec<[Box<str>; 4]> {
    let mut found = Vec::new();
    let mut open: Vec<&Tree> = list.iter().rev().collect();
    while let Some(item) = open.pop() {
        if super::tree::flag(item, "abstract") != Some(true) {
            found.push(["system", "version", "code", "display"].map(|key| text(item, key).into()));
        }
        open.extend(each(item, "contains").iter().rev());
    }
    found
}
