//! Is a code right: known, in the value set, of the right version, in use, with a right display? Everything that is
//! wrong is said, not only the first.

use super::display::{Names, supplements};
use super::expand::{missing_supplement, parameter};
use super::library::{self, newest};
use super::member::{self, Found, Sought, Trail};
use super::problem::{broken_check, unknown_system};
use super::tree::{canonical, each, fits, flag, text};
use super::value_set::{ConceptSet, Named};
use super::{CodeSystem, Content, Library, Problem, Rules, ValueSet};
use crate::json::Tree;
use rustc_hash::FxHashSet;
use std::sync::Arc;

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
        let imported = set.include.iter().flat_map(|i| &i.value_sets);
        let imported = imported.filter_map(|v| library::value_set(library, v, &rules).ok());
        let stated = |s: &ValueSet| status("ValueSet", &s.status, &s.standards_status, s.experimental, &s.canonical());
        all.problems.extend(stated(set));
        all.problems.extend(imported.filter_map(|s| stated(&s)));
    }
    Ok(all)
}

/// Something worth knowing about the state of a resource.
fn status(kind: &str, status: &str, standards: &str, experimental: bool, canonical: &str) -> Option<Problem> {
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

struct Judge<'j> {
    library: &'j dyn Library,
    set: Option<&'j ValueSet>,
    asked: &'j Asked,
    rules: &'j Rules,
    supplements: Vec<Box<str>>,
}

fn at(place: &str, member: &str) -> String {
    if place.is_empty() { member.to_owned() } else { format!("{place}.{member}") }
}

impl Judge<'_> {
    fn one(&self, coding: &Coding, place: &str) -> Result<Verdict, Problem> {
        let mut verdict = Verdict {
            code: Some(coding.code.clone()),
            system: Some(coding.system.clone()).filter(|s| !s.is_empty()),
            ..Verdict::default()
        };
        let mut coding = coding.clone();
        if coding.system.is_empty() {
            if !self.asked.infer || !self.infer(&mut coding, place, &mut verdict)? {
                if !self.asked.infer {
                    let text = "Coding has no system. A code with no system has no defined meaning, and it cannot be validated. A system should be provided";
                    let warning =
                        Problem::warning("invalid", "invalid-data", "Coding_has_no_system__cannot_validate", text);
                    verdict.problems.push(Problem { told: true, ..warning }.at(place));
                }
                verdict.problems.push(self.not_in_set(&coding, place));
                return Ok(verdict);
            }
            verdict.system = Some(coding.system.clone());
        }
        if !coding.system.contains(':') {
            let text = "Coding.system must be an absolute reference, not a local reference";
            let id = "Terminology_TX_System_Relative";
            verdict.problems.push(Problem::error("invalid", "invalid-data", id, text).at(at(place, "system")));
        }
        let includes = self.includes(&coding);
        let Some(system) = self.system(&coding, &includes, place, &mut verdict) else {
            self.without_system(&coding, &includes, place, &mut verdict);
            return Ok(verdict);
        };
        if system.content == Content::Supplement {
            let text = format!(
                "CodeSystem {} is a supplement, so can't be used as a value in Coding.system",
                system.canonical()
            );
            let id = "CODESYSTEM_CS_NO_SUPPLEMENT";
            verdict.problems.push(Problem::error("invalid", "invalid-data", id, text).at(at(place, "system")));
            verdict.caused_by.push(coding.system.clone());
            return Ok(verdict);
        }
        self.in_system(&coding, &system, place, &mut verdict)?;
        Ok(verdict)
    }

    /// Finds the system of a bare code by the value set; whether there is one and only one.
    fn infer(&self, coding: &mut Coding, place: &str, verdict: &mut Verdict) -> Result<bool, Problem> {
        let Some(set) = self.set else { return Ok(false) };
        let mut found = Vec::new();
        for system in member::systems_of(self.library, set, self.rules) {
            let known = newest(self.library.code_systems(&system), "").is_some_and(|s| s.find(&coding.code).is_some());
            let sought = Sought { system: &system, version: "", code: &coding.code };
            if known
                && matches!(member::find(self.library, set, &sought, self.rules, &mut Trail::default())?, Found::Yes(_))
            {
                found.push(system);
            }
        }
        let (id, why) = match found.as_slice() {
            [one] => {
                coding.system = one.clone();
                return Ok(true);
            }
            [] => {
                let systems = member::systems_of(self.library, set, self.rules);
                ("UNABLE_TO_INFER_CODESYSTEM", format!(": the code is in none of [{}]", systems.join(", ")))
            }
            many => (
                "Unable_to_resolve_system__value_set_has_multiple_matches",
                format!(": value set expansion has multiple matches: [{}]", many.join(", ")),
            ),
        };
        let text = format!(
            "The System URI could not be determined for the code '{}' in the ValueSet '{}'{why}",
            coding.code,
            set.canonical()
        );
        verdict.problems.push(Problem::error("not-found", "cannot-infer", id, text).at(at(place, "code")));
        Ok(false)
    }

    /// The includes of the value set, and of those it imports, that are of the system of a code.
    fn includes(&self, coding: &Coding) -> Vec<ConceptSet> {
        let mut found = Vec::new();
        let Some(set) = self.set else { return found };
        let mut seen = FxHashSet::default();
        let mut open: Vec<Vec<ConceptSet>> = vec![set.include.clone()];
        while let Some(includes) = open.pop() {
            for include in includes {
                if *include.system == *coding.system {
                    found.push(include.clone());
                }
                if include.system.is_empty() {
                    let imported =
                        include.value_sets.iter().filter_map(|v| library::value_set(self.library, v, self.rules).ok());
                    open.extend(imported.filter(|v| seen.insert(v.canonical())).map(|v| v.include.clone()));
                }
            }
        }
        // Where several versions are included, the one that has the code is meant.
        found.sort_by_key(|include| {
            let version = self.rules.version(&include.system, &include.version);
            let system = newest(self.library.code_systems(&include.system), version);
            let has = system.is_some_and(|s| s.find(&coding.code).is_some())
                && (include.concepts.is_empty() || include.concepts.iter().any(|c| *c.code == *coding.code));
            let same = !coding.version.is_empty() && fits(&coding.version, version);
            (!same, !has)
        });
        found
    }

    /// The version of the code system that is looked at, with everything that is wrong with the versions.
    fn system(
        &self,
        coding: &Coding,
        includes: &[ConceptSet],
        place: &str,
        verdict: &mut Verdict,
    ) -> Option<Arc<CodeSystem>> {
        let all = self.library.code_systems(&coding.system);
        if all.is_empty() {
            return None;
        }
        let versions: Vec<String> = all.iter().map(|s| s.version.to_string()).collect();
        let said = includes.first().map(|i| &*i.version).unwrap_or_default();
        let wanted = self.rules.version(&coding.system, said);
        let of = |version: &str| newest(all.clone(), version);
        let theirs = if coding.version.is_empty() { None } else { of(&coding.version) };
        let mismatch_at = at(place, "version");
        let mut ours = of(wanted);
        if ours.is_none() {
            // What the value set names is not there.
            verdict.hidden = true;
            let problem = unknown_system(&coding.system, wanted, versions.clone(), "validated");
            verdict.caused_by.extend(problem.unknown.clone().map(String::from));
            verdict.problems.push(problem.at(at(place, "system")));
        }
        if !coding.version.is_empty() && !fits(&coding.version, wanted) {
            let include = |found: &str| format!("The code system '{}' version '{found}'", coding.system);
            let problem = if !wanted.is_empty() && wanted != said {
                let text = format!(
                    "{} resulting from the version '{said}' in the ValueSet include is different to the one in the value ('{}')",
                    include(wanted),
                    coding.version
                );
                Some(Problem::error("invalid", "vs-invalid", "VALUESET_VALUE_MISMATCH_CHANGED", text))
            } else if !wanted.is_empty() {
                let text = format!(
                    "{} in the ValueSet include is different to the one in the value ('{}')",
                    include(wanted),
                    coding.version
                );
                Some(Problem::error("invalid", "vs-invalid", "VALUESET_VALUE_MISMATCH", text))
            } else if theirs.is_none() && self.set.is_some() {
                let newest = ours.as_ref().map(|s| s.version.to_string()).unwrap_or_default();
                let text = format!(
                    "{} for the versionless include in the ValueSet include is different to the one in the value ('{}')",
                    include(&newest),
                    coding.version
                );
                Some(Problem::warning("invalid", "vs-invalid", "VALUESET_VALUE_MISMATCH_DEFAULT", text))
            } else {
                None
            };
            verdict.problems.extend(problem.map(|p| p.at(&mismatch_at)));
            if theirs.is_none() {
                let problem = unknown_system(&coding.system, &coding.version, versions, "validated");
                verdict.caused_by.extend(problem.unknown.clone().map(String::from));
                verdict.problems.push(problem.at(at(place, "system")));
            }
            if wanted.is_empty() && theirs.is_some() {
                ours = theirs.clone();
            }
        } else if theirs.is_some() {
            ours = theirs.clone();
        }
        // Without the version that is named, the next best shows what the code would be.
        let found = ours.or(theirs).or_else(|| of(self.rules.version(&coding.system, ""))).or_else(|| of(""))?;
        if let Some(wanted) = self.rules.broken_check(&coding.system, &found.version) {
            verdict.problems.push(broken_check(&found, wanted).at(&mismatch_at));
        }
        Some(found)
    }

    /// A code whose system is not known.
    fn without_system(&self, coding: &Coding, includes: &[ConceptSet], place: &str, verdict: &mut Verdict) {
        if coding.system == crate::ucum::SYSTEM {
            return self.unit(coding, includes, place, verdict);
        }
        let problem = unknown_system(&coding.system, &coding.version, Vec::new(), "validated");
        verdict.problems.push(problem.at(at(place, "system")));
        let known = Some(canonical(&coding.system, &coding.version));
        if includes.is_empty() && self.set.is_some() {
            verdict.problems.push(self.not_in_set(coding, place));
            verdict.unknown.push(coding.system.clone());
        } else {
            verdict.caused_by.extend(known);
        }
    }

    fn unit(&self, coding: &Coding, includes: &[ConceptSet], place: &str, verdict: &mut Verdict) {
        if let Some(fault) = crate::ucum::fault(&coding.code) {
            let text = format!("The unit '{}' {fault}", coding.code);
            verdict
                .problems
                .push(Problem::error("code-invalid", "invalid-code", "UCUM_INVALID", text).at(at(place, "code")));
            return;
        }
        verdict.version = Some(crate::ucum::VERSION.to_owned());
        verdict.display = Some(coding.code.clone());
        let named = |i: &ConceptSet| i.concepts.is_empty() || i.concepts.iter().any(|c| *c.code == *coding.code);
        if self.set.is_some() && !includes.iter().any(named) {
            verdict.problems.push(self.not_in_set(coding, place));
            return;
        }
        verdict.result = true;
    }

    /// Judges a code in a code system.
    fn in_system(
        &self,
        coding: &Coding,
        system: &Arc<CodeSystem>,
        place: &str,
        verdict: &mut Verdict,
    ) -> Result<(), Problem> {
        let broken = verdict.problems.iter().any(|p| p.is_error() && p.kind != "invalid-data");
        verdict.version = Some(system.version.to_string()).filter(|v| !v.is_empty());
        let found = system.find(&coding.code);
        let mut named = None;
        let mut member = true;
        if let Some(set) = self.set {
            let code = found.and_then(|n| system.concept(n)).map_or(coding.code.as_str(), |c| &c.code);
            let sought = Sought { system: &coding.system, version: &system.version, code };
            match member::find(self.library, set, &sought, self.rules, &mut Trail::default()) {
                Ok(Found::Yes(how)) => named = how,
                Ok(Found::No | Found::Unknown(_)) => member = false,
                Err(problem) if problem.kind == "not-found" => {
                    member = false;
                    verdict.hidden = true;
                    verdict.problems.push(Problem { id: "Unable_to_resolve_value_Set_", ..problem });
                }
                Err(problem) => return Err(problem),
            }
        }
        let unresolved = verdict.problems.iter().any(|p| p.id.starts_with("Unable_to_resolve_value"));
        let mut version_faults = broken;
        let Some(concept) = found.and_then(|n| system.concept(n)) else {
            let version =
                if system.version.is_empty() { String::new() } else { format!(" version '{}'", system.version) };
            if system.content == Content::Fragment {
                let text = format!(
                    "Unknown Code '{}' in the CodeSystem '{}'{version} - note that the code system is labeled as a fragment, so the code may be valid in some other fragment",
                    coding.code, system.url
                );
                let warning = Problem::warning("code-invalid", "invalid-code", "UNKNOWN_CODE_IN_FRAGMENT", text);
                verdict.problems.push(warning.at(at(place, "code")));
                verdict.result = member && !version_faults;
                return Ok(());
            }
            let text = format!("Unknown code '{}' in the CodeSystem '{}'{version}", coding.code, system.url);
            let unknown = Problem::error("code-invalid", "invalid-code", "Unknown_Code_in_Version", text);
            verdict.problems.push(unknown.at(at(place, "code")));
            if self.set.is_some() && !version_faults && !unresolved {
                verdict.problems.push(self.not_in_set(coding, place));
            }
            return Ok(());
        };
        if *concept.code != *coding.code {
            verdict.normalized = Some(concept.code.to_string());
            let text = format!(
                "The code '{}' differs from the correct code '{}' by case. Although the code system '{}' is case insensitive, implementers are strongly encouraged to use the correct case anyway",
                coding.code,
                concept.code,
                system.canonical()
            );
            let note = Problem::note("business-rule", "code-rule", "CODE_CASE_DIFFERENCE", text);
            verdict.problems.push(note.at(at(place, "code")));
        }
        let added = supplements(self.library, system, &self.supplements);
        let names = Names::of(system, concept, &added, named.as_ref());
        let best = named.as_ref().and_then(super::display::own).filter(|_| self.rules.language.is_none());
        verdict.display = best.as_deref().or_else(|| names.best(self.rules.language.as_deref())).map(str::to_owned);
        if !self.asked.allow_abstract && system.is_abstract(concept) {
            let text = format!(
                "The code '{}' in the system {} is abstract and not allowed in this context",
                coding.code, system.url
            );
            let id = "ABSTRACT_CODE_NOT_ALLOWED";
            verdict.problems.push(Problem::error("business-rule", "code-rule", id, text).at(at(place, "code")));
        }
        self.state(coding, system, concept, place, &mut member, verdict);
        if let Some(given) = coding.display.as_deref().filter(|d| !d.is_empty()) {
            let what = format!("{}#{}", system.url, coding.code);
            verdict.problems.extend(names.check(given, &what, self.rules).map(|p| p.at(at(place, "display"))));
        }
        if let (Some(set), Some(named)) = (self.set, &named) {
            verdict.problems.extend(deprecated_here(set, named, coding).map(|p| p.at(at(place, "code"))));
        }
        version_faults |= unresolved;
        if !member && !version_faults {
            verdict.problems.push(self.not_in_set(coding, place));
        }
        verdict.problems.extend(status(
            "CodeSystem",
            &system.status,
            &system.standards_status,
            system.experimental,
            &system.canonical(),
        ));
        verdict.result = member && !version_faults;
        Ok(())
    }

    /// What the status of a concept means here.
    fn state(
        &self,
        coding: &Coding,
        system: &CodeSystem,
        concept: &super::Concept,
        place: &str,
        member: &mut bool,
        verdict: &mut Verdict,
    ) {
        let status = system.status_of(concept);
        if system.is_inactive(concept) {
            verdict.inactive = true;
            verdict.status = status.clone().filter(|s| s != "inactive");
            if self.rules.active_only || self.set.is_some_and(|s| s.inactive == Some(false)) {
                let text = format!("The concept '{}' is valid but is not active", coding.code);
                let problem = Problem::error("business-rule", "code-rule", "STATUS_CODE_WARNING_CODE", text);
                verdict.problems.push(problem.at(at(place, "code")));
                *member = false;
            }
            let word = match &verdict.status {
                Some(status) => format!("{status} and inactive"),
                None => "inactive".to_owned(),
            };
            let text = format!("The concept '{}' has a status of {word} and its use should be reviewed", coding.code);
            let warning = Problem::warning("business-rule", "code-comment", "INACTIVE_CONCEPT_FOUND", text);
            verdict.problems.push(Problem { told: true, ..warning }.at(place));
        } else if system.is_deprecated(concept) {
            let text = format!("The concept '{}' is deprecated and its use should be reviewed", coding.code);
            verdict.status = Some("deprecated".to_owned());
            let warning = Problem::warning("business-rule", "code-comment", "DEPRECATED_CONCEPT_FOUND", text);
            verdict.problems.push(Problem { told: true, ..warning }.at(at(place, "code")));
        }
    }

    fn not_in_set(&self, coding: &Coding, place: &str) -> Problem {
        let set = self.set.map(ValueSet::canonical).unwrap_or_default();
        let system = canonical(&coding.system, &coding.version);
        let display = coding.display.as_deref().map(|d| format!(" ('{d}')")).unwrap_or_default();
        let code = format!("{system}#{}{display}", coding.code);
        let text = format!("The provided code '{code}' was not found in the value set '{set}'");
        let id = "None_of_the_provided_codes_are_in_the_value_set_one";
        let problem = if place.starts_with("CodeableConcept") {
            Problem::note("code-invalid", "this-code-not-in-vs", id, text)
        } else {
            Problem::error("code-invalid", "not-in-vs", id, text)
        };
        problem.at(at(place, "code"))
    }
}

/// The warning where a value set itself calls a concept deprecated.
fn deprecated_here(set: &ValueSet, named: &Named, coding: &Coding) -> Option<Problem> {
    let deprecated = each(&named.whole, "extension").iter().any(|e| {
        let url = text(e, "url");
        url.ends_with("valueset-deprecated")
            && (flag(e, "valueBoolean") == Some(true) || text(e, "valueCode") == "true")
            || url.ends_with("structuredefinition-standards-status") && text(e, "valueCode") == "deprecated"
    });
    let words = format!(
        "The presence of the concept '{}' in the system '{}' in the value set {} is marked with a status of deprecated and its use should be reviewed",
        coding.code,
        coding.system,
        set.canonical()
    );
    deprecated.then(|| Problem::warning("business-rule", "code-comment", "CONCEPT_DEPRECATED_IN_VALUESET", words))
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
