//! One code against its code system and a value set: which version of the system is meant, whether the code is in it and
//! in use, which display is right. What is asked and what comes of several codes is in `validate`.

use super::display::{Names, supplements};
use super::library::newest;
use super::member::{self, Found, Sought, Trail};
use super::problem::{broken_check, unknown_system};
use super::tree::{canonical, each, fits, flag, text};
use super::validate::{Asked, Coding, Verdict, status};
use super::value_set::{ConceptSet, Named};
use super::{CodeSystem, Content, Library, Problem, Rules, ValueSet};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Against what the codes of one question are held.
pub(super) struct Judge<'j> {
    pub library: &'j dyn Library,
    pub set: Option<&'j ValueSet>,
    pub asked: &'j Asked,
    pub rules: &'j Rules,
    /// The supplements that are wanted.
    pub supplements: Vec<Box<str>>,
}

fn at(place: &str, member: &str) -> String {
    if place.is_empty() { member.to_owned() } else { format!("{place}.{member}") }
}

impl Judge<'_> {
    /// Judges one code; `place` is what issues call it.
    pub(super) fn one(&self, coding: &Coding, place: &str) -> Result<Verdict, Problem> {
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
            let includes = self.includes(&Coding { system: system.clone(), ..coding.clone() });
            let all = self.code_systems(&system, &includes);
            let known = newest(all, "").is_some_and(|s| s.find(&coding.code).is_some());
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
                        include.value_sets.iter().filter_map(|v| include.value_set(self.library, v, self.rules).ok());
                    open.extend(imported.filter(|v| seen.insert(v.canonical())).map(|v| v.include.clone()));
                }
            }
        }
        // Where several versions are included, the one that has the code is meant.
        found.sort_by_key(|include| {
            let version = self.rules.version(&include.system, &include.version);
            let system = newest(include.code_systems(self.library), version);
            let has = system.is_some_and(|s| s.find(&coding.code).is_some())
                && (include.concepts.is_empty() || include.concepts.iter().any(|c| *c.code == *coding.code));
            let same = !coding.version.is_empty() && fits(&coding.version, version);
            (!same, !has)
        });
        found
    }

    /// The versions of a code system, as they who include it find it.
    fn code_systems(&self, url: &str, includes: &[ConceptSet]) -> Vec<Arc<CodeSystem>> {
        match includes.first() {
            Some(include) => include.code_systems(self.library),
            None => self.library.code_systems(url),
        }
    }

    /// The version of the code system that is looked at, with everything that is wrong with the versions.
    fn system(
        &self,
        coding: &Coding,
        includes: &[ConceptSet],
        place: &str,
        verdict: &mut Verdict,
    ) -> Option<Arc<CodeSystem>> {
        let all = self.code_systems(&coding.system, includes);
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
