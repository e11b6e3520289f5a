//! Whether one concept is in a value set, without putting the whole set together.

use super::library::{self, newest};
use super::problem::unknown_system;
use super::tree::fits;
use super::value_set::{ConceptSet, Named};
use super::{CodeSystem, Content, Library, Problem, Rules, ValueSet, filter};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Value sets that include each other, this deep at most.
const DEPTH_MAX: usize = 50;
/// Value sets that are gone into for one question: some that include each other again and again would never end.
const STEPS_MAX: usize = 10_000;
/// The id of the message that a value set includes itself.
const CIRCLE: &str = "VALUESET_CIRCULAR_REFERENCE";

/// The value sets that are being looked at, so that one that includes itself is found.
#[derive(Default)]
pub(super) struct Trail {
    path: Vec<String>,
    steps: usize,
}

impl Trail {
    /// Goes into a value set.
    pub(super) fn enter(&mut self, set: &ValueSet) -> Result<(), Problem> {
        let canonical = set.canonical();
        if self.path.contains(&canonical) {
            let path = self.path.join(", ");
            let text = format!(
                "Cyclic reference detected when expanding {path} and {canonical}: the value set '{canonical}' includes itself"
            );
            return Err(Problem::error("processing", "vs-invalid", CIRCLE, text).at("ValueSet.compose.include"));
        }
        self.steps += 1;
        if self.path.len() >= DEPTH_MAX || self.steps > STEPS_MAX {
            let first = self.path.first().unwrap_or(&canonical);
            let text = format!("The value set '{first}' includes too many others, among them '{canonical}'");
            return Err(Problem::error("too-costly", "", "VALUESET_TOO_COSTLY", text).at("ValueSet.compose.include"));
        }
        self.path.push(canonical);
        Ok(())
    }

    /// Comes out again.
    pub(super) fn leave(&mut self) {
        self.path.pop();
    }
}

/// A circle is told at the import that leads into it.
pub(super) fn leading(problem: Problem, set: &ConceptSet, number: usize) -> Problem {
    match problem.id {
        CIRCLE => problem.at(format!("{}.valueSet[{number}]", set.place)),
        _ => problem,
    }
}

/// The imports of a value set with their places.
fn imports<'s>(sets: impl Iterator<Item = &'s ConceptSet>) -> impl Iterator<Item = (&'s ConceptSet, usize, &'s str)> {
    sets.flat_map(|set| set.value_sets.iter().enumerate().map(move |(number, url)| (set, number, &**url)))
}

/// Refuses a value set that includes itself, by whatever way.
pub(super) fn acyclic(library: &dyn Library, set: &ValueSet, rules: &Rules) -> Result<(), Problem> {
    Imports { library, rules, trail: Trail::default(), seen: FxHashSet::default() }.acyclic(set)
}

/// A look at everything that a value set imports, once each.
struct Imports<'i> {
    library: &'i dyn Library,
    rules: &'i Rules,
    trail: Trail,
    seen: FxHashSet<String>,
}

impl Imports<'_> {
    fn acyclic(&mut self, set: &ValueSet) -> Result<(), Problem> {
        if set.include.iter().chain(&set.exclude).all(|i| i.value_sets.is_empty()) {
            return Ok(());
        }
        self.trail.enter(set)?;
        for (of, number, canonical) in imports(set.include.iter().chain(&set.exclude)) {
            // What is not there is said where it is needed.
            let Ok(other) = of.value_set(self.library, canonical, self.rules) else { continue };
            if !self.seen.contains(&other.canonical()) {
                self.acyclic(&other).map_err(|problem| leading(problem, of, number))?;
            }
        }
        self.trail.leave();
        self.seen.insert(set.canonical());
        Ok(())
    }
}

/// Refuses a value set that includes others, by whatever way, which are not there.
fn imports_are_there(library: &dyn Library, set: &ValueSet, rules: &Rules) -> Result<(), Problem> {
    let mut seen: FxHashSet<String> = FxHashSet::default();
    let mut open: Vec<Arc<ValueSet>> = Vec::new();
    let mut take = |set: &ValueSet, open: &mut Vec<Arc<ValueSet>>| -> Result<(), Problem> {
        for (of, _, canonical) in imports(set.include.iter()) {
            let other = of.value_set(library, canonical, rules)?;
            if seen.insert(other.canonical()) {
                open.push(other);
            }
        }
        Ok(())
    };
    take(set, &mut open)?;
    while let Some(other) = open.pop() {
        take(&other, &mut open)?;
    }
    Ok(())
}

/// A concept that is looked for.
pub(super) struct Sought<'s> {
    pub system: &'s str,
    pub version: &'s str,
    pub code: &'s str,
}

/// Whether a concept is in a set: yes (how the set names it), no, or why that is not to be known.
pub(super) enum Found {
    Yes(Option<Named>),
    No,
    Unknown(Box<Problem>),
}

/// Whether a concept is in a value set.
pub(super) fn find(
    library: &dyn Library,
    set: &ValueSet,
    sought: &Sought<'_>,
    rules: &Rules,
    trail: &mut Trail,
) -> Result<Found, Problem> {
    if let Some(expanded) = &set.expanded {
        let is = expanded.iter().any(|[s, _, c, _]| **s == *sought.system && **c == *sought.code);
        return Ok(if is { Found::Yes(None) } else { Found::No });
    }
    trail.enter(set)?;
    let mut found = Found::No;
    for include in &set.include {
        match within(library, include, sought, rules, trail)? {
            Found::Yes(named) => {
                found = Found::Yes(named);
                break;
            }
            unknown @ Found::Unknown(_) => found = unknown,
            Found::No => {}
        }
    }
    if !matches!(found, Found::No) {
        for exclude in &set.exclude {
            match within(library, exclude, sought, rules, trail)? {
                Found::Yes(_) => {
                    found = Found::No;
                    break;
                }
                unknown @ Found::Unknown(_) => found = unknown,
                Found::No => {}
            }
        }
    }
    trail.leave();
    Ok(found)
}

fn within(
    library: &dyn Library,
    set: &ConceptSet,
    sought: &Sought<'_>,
    rules: &Rules,
    trail: &mut Trail,
) -> Result<Found, Problem> {
    let mut found = Found::Yes(None);
    if !set.system.is_empty() {
        if *set.system != *sought.system {
            return Ok(Found::No);
        }
        let version = rules.version(&set.system, &set.version);
        if !version.is_empty() && !sought.version.is_empty() && !fits(sought.version, version) {
            return Ok(Found::No);
        }
        let version = if sought.version.is_empty() { version } else { sought.version };
        found = in_system(newest(set.code_systems(library), version), set, sought.code)?;
    }
    for (number, canonical) in set.value_sets.iter().enumerate() {
        if matches!(found, Found::No) {
            break;
        }
        let other = set.value_set(library, canonical, rules)?;
        let theirs = find(library, &other, sought, rules, trail).map_err(|problem| leading(problem, set, number))?;
        match theirs {
            Found::Yes(named) => {
                if let Found::Yes(none @ None) = &mut found {
                    *none = named;
                }
            }
            other => found = other,
        }
    }
    Ok(found)
}

fn in_system(system: Option<Arc<CodeSystem>>, set: &ConceptSet, code: &str) -> Result<Found, Problem> {
    let number = system.as_ref().and_then(|s| s.find(code));
    if !set.concepts.is_empty() {
        let real = system.as_ref().and_then(|s| s.concept(number?)).map(|c| &*c.code).unwrap_or(code);
        let named = set.concepts.iter().find(|c| *c.code == *real || *c.code == *code);
        return Ok(named.map_or(Found::No, |n| Found::Yes(Some(n.clone()))));
    }
    let Some(system) = system else {
        // Units need no code system in the library.
        if *set.system == *crate::ucum::SYSTEM && set.filters.is_empty() {
            return Ok(if crate::ucum::is_valid(code) { Found::Yes(None) } else { Found::No });
        }
        let problem = unknown_system(&set.system, &set.version, Vec::new(), "validated");
        return Ok(Found::Unknown(Box::new(problem.at(&*set.place))));
    };
    let Some(number) = number else {
        return Ok(match system.content {
            Content::Complete => Found::No,
            Content::Fragment if set.filters.is_empty() => Found::Yes(None),
            _ => Found::Unknown(Box::new(in_part(&system).at(&*set.place))),
        });
    };
    if set.filters.is_empty() {
        return Ok(Found::Yes(None));
    }
    Ok(if filter::passes(&system, set, number)? { Found::Yes(None) } else { Found::No })
}

/// Why nothing can be said of a code that is not in what is here of a code system.
fn in_part(system: &CodeSystem) -> Problem {
    let text = format!("Not all codes of the CodeSystem '{}' are here", system.canonical());
    let problem = Problem::error("not-found", "not-found", super::problem::IN_PART, text);
    Problem { unknown: Some(system.url.clone()), ..problem }
}

/// Whether a code is in a value set, or why that is not known. Without a system any will do.
pub(super) fn contains(
    library: &dyn Library,
    canonical: &str,
    system: Option<&str>,
    code: &str,
) -> Result<bool, Problem> {
    let rules = Rules::default();
    let set = library::value_set(library, canonical, &rules)?;
    let (systems, mut unknown) = match system {
        Some(system) => (vec![system.to_owned()], None),
        // Without a system nothing can be said against a code where an import is missing or leads back.
        None => {
            let sound = imports_are_there(library, &set, &rules).and_then(|()| acyclic(library, &set, &rules));
            (systems_of(library, &set, &rules), sound.err())
        }
    };
    for system in systems {
        let sought = Sought { system: &system, version: "", code };
        match find(library, &set, &sought, &rules, &mut Trail::default()) {
            Ok(Found::Yes(_)) => return Ok(true),
            Ok(Found::No) => {}
            Ok(Found::Unknown(problem)) => unknown = unknown.or(Some(*problem)),
            Err(problem) => unknown = unknown.or(Some(problem)),
        }
    }
    unknown.map_or(Ok(false), Err)
}

/// The code systems that a value set takes concepts from.
pub(super) fn systems_of(library: &dyn Library, set: &ValueSet, rules: &Rules) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut seen: FxHashSet<String> = FxHashSet::default();
    let mut open: Vec<Arc<ValueSet>> = Vec::new();
    let mut take = |set: &ValueSet, open: &mut Vec<Arc<ValueSet>>| {
        all.extend(set.expanded.iter().flatten().map(|[system, ..]| system.to_string()));
        for include in &set.include {
            if !include.system.is_empty() {
                all.push(include.system.to_string());
                continue;
            }
            let others = include.value_sets.iter().filter_map(|v| include.value_set(library, v, rules).ok());
            open.extend(others.filter(|other| seen.insert(other.canonical())));
        }
    };
    take(set, &mut open);
    while let Some(other) = open.pop() {
        take(&other, &mut open);
    }
    all.sort();
    all.dedup();
    all
}
