//! Is a code right: known, in the value set, of the right version, in use, with a right display? Everything that is
//! wrong is said, not only the first. Here: what is asked, the answer, and what several codes come to; each code is
//! looked at in `judge`.

use super::expand::{missing_supplement, parameter};
use super::judge::Judge;
use super::tree::text;
use super::{Library, Problem, Rules, ValueSet, member};
use crate::json::Tree;

/// A code that is asked about.
#[derive(Clone, Debug, Default)]
pub struct Coding {
    /// Its system; empty where it is not said.
    pub system: String,
    /// Its version; empty where it is not said.
    pub version: String,
    /// The code.
    pub code: String,
    /// The display that came with it.
    pub display: Option<String>,
}

/// What is asked.
pub struct Asked {
    /// The codes; several where a CodeableConcept is asked about.
    pub codings: Vec<Coding>,
    /// What issues call the place: empty for a bare code, `Coding`, `CodeableConcept`.
    pub place: &'static str,
    /// Whether the system is to be found by the value set.
    pub infer: bool,
    /// Whether codes that only group others are allowed.
    pub allow_abstract: bool,
}

/// The answer.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Whether the code is right.
    pub result: bool,
    /// The code, as it was given.
    pub code: Option<String>,
    /// Its system.
    pub system: Option<String>,
    /// The version of the system that was looked at.
    pub version: Option<String>,
    /// The right display.
    pub display: Option<String>,
    /// The code as the system writes it, where that is different.
    pub normalized: Option<String>,
    /// Whether it is not in use any more.
    pub inactive: bool,
    /// Its status, where that is worth saying.
    pub status: Option<String>,
    /// What is wrong or worth knowing.
    pub problems: Vec<Problem>,
    /// Whether nothing can be said of the code, since the value set cannot be known.
    pub(super) hidden: bool,
    /// Code systems that are not known at all.
    pub unknown: Vec<String>,
    /// Code systems whose version (or content) is missing, which is the cause of the answer.
    pub caused_by: Vec<String>,
}

impl Verdict {
    /// All that is wrong in one text.
    pub fn message(&self) -> Option<String> {
        let mut texts: Vec<&str> = self.problems.iter().filter(|p| p.told).map(|p| &*p.text).collect();
        texts.sort_unstable();
        texts.dedup();
        (!texts.is_empty()).then(|| texts.join("; "))
    }
}

/// Judges codes against a value set, or without one against their code systems.
pub fn validate(
    library: &dyn Library,
    set: Option<&ValueSet>,
    asked: &Asked,
    rules: &Rules,
) -> Result<Verdict, Problem> {
    let mut wanted: Vec<Box<str>> = rules.supplements.iter().map(|s| s.as_str().into()).collect();
    let mut rules = rules.clone();
    if let Some(set) = set {
        wanted.extend(set.supplements.iter().cloned());
        if rules.language.is_none() {
            rules.language = parameter(set, "displayLanguage").or_else(|| set.language.as_deref().map(str::to_owned));
        }
    }
    missing_supplement(library, &wanted)?;
    if let Some(set) = set {
        member::acyclic(library, set, &rules)?;
    }
    let judge = Judge { library, set, asked, rules: &rules, supplements: wanted };
    let many = asked.place == "CodeableConcept";
    let mut all = Verdict::default();
    let mut chosen = None;
    for (i, coding) in asked.codings.iter().enumerate() {
        let place = if many { format!("CodeableConcept.coding[{i}]") } else { asked.place.to_owned() };
        let one = judge.one(coding, &place)?;
        all.problems.extend(one.problems.iter().cloned());
        all.unknown.extend(one.unknown.iter().cloned());
        all.caused_by.extend(one.caused_by.iter().cloned());
        if chosen.as_ref().is_none_or(|c: &Verdict| !c.result && one.result)
            && (!many
                || one.result
                || !one.hidden
                    && one.version.is_some()
                    && one.display.is_some()
                    && !one.problems.iter().any(|p| p.kind == "this-code-not-in-vs"))
        {
            chosen = Some(one);
        }
    }
    let any = chosen.as_ref().is_some_and(|c| c.result);
    if let Some(chosen) = chosen {
        all = Verdict { problems: all.problems, unknown: all.unknown, caused_by: all.caused_by, ..chosen };
    }
    if many
        && !any
        && let Some(set) = set
        && all.problems.iter().any(|p| p.kind == "this-code-not-in-vs" || p.id == "UNKNOWN_CODESYSTEM_VERSION_NONE")
    {
        let text = format!("No valid coding was found for the value set '{}'", set.canonical());
        all.problems.push(Problem::error("code-invalid", "not-in-vs", "TX_GENERAL_CC_ERROR_MESSAGE", text));
    }
    all.result = any && !all.problems.iter().any(Problem::is_error);
    all.problems.dedup();
    if let Some(set) = set {
        let imported = set.include.iter().flat_map(|i| i.value_sets.iter().map(move |v| (i, v)));
        let imported = imported.filter_map(|(i, v)| i.value_set(library, v, &rules).ok());
        let stated = |s: &ValueSet| status("ValueSet", &s.status, &s.standards_status, s.experimental, &s.canonical());
        all.problems.extend(stated(set));
        all.problems.extend(imported.filter_map(|s| stated(&s)));
    }
    Ok(all)
}

/// Something worth knowing about the state of a resource.
pub(super) fn status(
    kind: &str,
    status: &str,
    standards: &str,
    experimental: bool,
    canonical: &str,
) -> Option<Problem> {
    let (id, word) = match (standards, status) {
        ("withdrawn", _) => ("MSG_WITHDRAWN", "withdrawn"),
        ("deprecated", _) => ("MSG_DEPRECATED", "deprecated"),
        (_, "retired") => ("MSG_RETIRED", "retired"),
        _ if experimental => ("MSG_EXPERIMENTAL", "experimental"),
        ("draft", _) => ("MSG_DRAFT", "draft"),
        (_, "draft") if kind == "CodeSystem" => ("MSG_DRAFT", "draft"),
        _ => return None,
    };
    Some(Problem::note("business-rule", "status-check", id, format!("Reference to {word} {kind} {canonical}")))
}

/// Reads a Coding.
impl From<&Tree> for Coding {
    fn from(tree: &Tree) -> Coding {
        Coding {
            system: text(tree, "system").to_owned(),
            version: text(tree, "version").to_owned(),
            code: text(tree, "code").to_owned(),
            display: tree.get("display").and_then(Tree::as_str).map(str::to_owned),
        }
    }
}
