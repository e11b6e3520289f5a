//! Whether one concept is in a value set, without putting the whole set together.

use super::library::{self, newest};
use super::tree::fits;
use super::value_set::{ConceptSet, Named};
use super::{CodeSystem, Content, Library, Problem, Rules, ValueSet, filter};
use std::sync::Arc;

/// Value sets that include each other, this deep at most.
const DEPTH_MAX: usize = 50;

/// The value sets that are being looked at, so that one that includes itself is found.
#[derive(Default)]
pub(super) struct Trail(Vec<String>);

impl Trail {
    /// Goes into a value set.
    pub(super) fn enter(&mut self, set: &ValueSet) -> Result<(), Problem> {
        let canonical = set.canonical();
        if self.0.contains(&canonical) || self.0.len() >= DEPTH_MAX {
            let path = self.0.join(", ");
            let text = format!(
                "Cyclic reference detected when expanding {path} and {canonical}: the value set '{canonical}' includes itself"
            );
            return Err(Problem::error("processing", "vs-invalid", "VALUESET_CIRCULAR_REFERENCE", text)
                .at("ValueSet.compose.include"));
        }
        self.0.push(canonical);
        Ok(())
    }

    /// Comes out again.
    pub(super) fn leave(&mut self) {
        self.0.pop();
    }
}

/// Refuses a value set that includes itself, by whatever way.
pub(super) fn acyclic(library: &dyn Library, set: &ValueSet, rules: &Rules, trail: &mut Trail) -> Result<(), Problem> {
    if set.include.iter().chain(&set.exclude).all(|i| i.value_sets.is_empty()) {
        return Ok(());
    }
    trail.enter(set)?;
    for canonical in set.include.iter().chain(&set.exclude).flat_map(|i| &i.value_sets) {
        // What is not there is said where it is needed.
        if let Ok(other) = library::value_set(library, canonical, rules) {
            acyclic(library, &other, rules, trail)?;
        }
    }
    trail.leave();
    Ok(())
}

/// A concept that is looked for.
pub(super) struct Sought<'s> {
    pub system: &'s str,
    pub version: &'s str,
    pub code: &'s str,
}

/// Whether a concept is in a set: yes (how the set names it), no, or not to be known.
pub(super) enum Found {
    Yes(Option<Named>),
    No,
    Unknown,
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
            Found::Unknown => found = Found::Unknown,
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
                Found::Unknown => found = Found::Unknown,
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
        found = in_system(newest(library.code_systems(&set.system), version), set, sought.code)?;
    }
    for canonical in &set.value_sets {
        if matches!(found, Found::No) {
            break;
        }
        let other = library::value_set(library, canonical, rules)?;
        match find(library, &other, sought, rules, trail)? {
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
        return Ok(Found::Unknown);
    };
    let Some(number) = number else {
        return Ok(match system.content {
            Content::Complete => Found::No,
            Content::Fragment if set.filters.is_empty() => Found::Yes(None),
            _ => Found::Unknown,
        });
    };
    if set.filters.is_empty() {
        return Ok(Found::Yes(None));
    }
    Ok(if filter::passes(&system, set, number)? { Found::Yes(None) } else { Found::No })
}

/// Whether a code is in a value set, where that is known. Without a system any will do.
pub(super) fn contains(library: &dyn Library, canonical: &str, system: Option<&str>, code: &str) -> Option<bool> {
    let rules = Rules::default();
    let set = library::value_set(library, canonical, &rules).ok()?;
    let systems = match system {
        Some(system) => vec![system.to_owned()],
        None => systems_of(library, &set, &rules, 0),
    };
    // Without a system nothing can be said against a code where an import is missing.
    let mut known = system.is_some() || imports_known(library, &set, &rules, 0);
    for system in systems {
        let sought = Sought { system: &system, version: "", code };
        match find(library, &set, &sought, &rules, &mut Trail::default()) {
            Ok(Found::Yes(_)) => return Some(true),
            Ok(Found::No) => {}
            _ => known = false,
        }
    }
    known.then_some(false)
}

/// Whether everything that a value set imports is there.
fn imports_known(library: &dyn Library, set: &ValueSet, rules: &Rules, depth: usize) -> bool {
    set.include.iter().flat_map(|include| &include.value_sets).all(|canonical| {
        library::value_set(library, canonical, rules)
            .is_ok_and(|other| depth < DEPTH_MAX && imports_known(library, &other, rules, depth + 10))
    })
}

/// The code systems that a value set takes concepts from.
pub(super) fn systems_of(library: &dyn Library, set: &ValueSet, rules: &Rules, depth: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let expanded = set.expanded.iter().flatten().map(|[system, ..]| system.to_string());
    all.extend(expanded);
    for include in &set.include {
        if !include.system.is_empty() {
            all.push(include.system.to_string());
        } else if depth < DEPTH_MAX {
            for other in include.value_sets.iter().filter_map(|v| library::value_set(library, v, rules).ok()) {
                all.extend(systems_of(library, &other, rules, depth + 10));
            }
        }
    }
    all.sort();
    all.dedup();
    all
}
