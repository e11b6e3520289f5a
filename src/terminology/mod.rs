//! Floor 3: what codes mean. Code systems, value sets and concept maps in memory, made once from their resources, and
//! the questions that are asked of them: is a code in a value set, what does one come to, which display is right, what
//! is above and below, what is it elsewhere. Where the resources come from is the business of a [`Library`]. Nothing
//! here waits for anything.

mod bare;
mod code_system;
mod concept_map;
mod contained;
mod core;
mod display;
mod expand;
mod expansion;
mod filter;
mod implicit;
mod judge;
mod library;
mod member;
mod packaged;
mod problem;
pub mod release;
mod rules;
pub(crate) mod tree;
mod validate;
mod value_set;

pub use bare::bare;
pub use code_system::{CodeSystem, Concept, Content, Designation, Fault, Property};
pub use concept_map::{ConceptMap, Match, translate};
pub use expand::expand;
pub use expansion::{Expansion, Item};
pub use library::{Both, Library, Shelf};
pub use packaged::Packaged;
pub use problem::Problem;
pub use rules::{Rules, VersionRule};
pub use validate::{Asked, Coding, Verdict, validate};
pub use value_set::ValueSet;

use crate::json::Tree;
use std::sync::Arc;

/// Calls something with two libraries and that of the core package behind them.
pub fn with_core<T>(first: &dyn Library, second: &dyn Library, f: impl FnOnce(&dyn Library) -> T) -> T {
    let behind = Both(second, core::core());
    f(&Both(first, &behind))
}

/// The library of the core package alone.
pub fn core_library() -> &'static dyn Library {
    core::core()
}

/// A value set by its canonical.
pub fn value_set(library: &dyn Library, canonical: &str, rules: &Rules) -> Result<Arc<ValueSet>, Problem> {
    library::value_set(library, canonical, rules)
}

/// A code system by canonical and version (empty: the newest).
pub fn code_system(library: &dyn Library, url: &str, version: &str) -> Result<Arc<CodeSystem>, Problem> {
    let all = library.code_systems(url);
    let versions = all.iter().map(|s| s.version.to_string()).collect();
    library::newest(all, version).ok_or_else(|| problem::unknown_system(url, version, versions, "validated"))
}

/// The supplements of a code system that are wanted, all of which must be there.
pub fn supplements_of(library: &dyn Library, url: &str, wanted: &[Box<str>]) -> Result<Vec<Arc<CodeSystem>>, Problem> {
    expand::missing_supplement(library, wanted)?;
    let system = code_system(library, url, "")?;
    Ok(display::supplements(library, &system, wanted))
}

/// The best display of a concept in the languages that are wanted.
pub fn best_display(
    system: &CodeSystem,
    concept: &Concept,
    supplements: &[Arc<CodeSystem>],
    language: Option<&str>,
) -> Option<String> {
    display::Names::of(system, concept, supplements, None).best(language).map(str::to_owned)
}

/// Whether a display is one of a code, where the code is known.
pub fn display_fits(library: &dyn Library, system: &str, code: &str, display: &str) -> Option<bool> {
    let system = library::newest(library.code_systems(system), "")?;
    let concept = system.concept(system.find(code)?)?;
    concept.display.as_deref()?;
    Some(display::Names::of(&system, concept, &[], None).check(display, code, &Rules::default()).is_none())
}

/// Whether a code is in a value set, or why that is not known: for bindings and `memberOf()`. Without a system any will
/// do.
pub fn member_of(library: &dyn Library, value_set: &str, system: Option<&str>, code: &str) -> Result<bool, Problem> {
    member::contains(library, value_set, system, code)
}

/// What makes a code system or value set unfit for use: concepts or includes that go round in a circle. A value set is
/// looked at as if it were in the library.
pub fn circle(library: &dyn Library, resource: &Tree) -> Option<Problem> {
    match tree::text(resource, "resourceType") {
        "CodeSystem" => {
            let system = CodeSystem::of(resource);
            let (code, problem) = system.circle()?;
            Some(problem.at(tree::place_of(resource, code)))
        }
        "ValueSet" => {
            let mut own = Shelf::default();
            own.add(resource);
            let set = ValueSet::of(resource);
            member::acyclic(&Both(&own, library), &set, &Rules::default()).err()
        }
        _ => None,
    }
}

/// A code with its system, the system first.
pub type Code = (Box<str>, Box<str>);

/// The codes of a value set, as system and code, `limit` of them at most; none where they cannot all be known.
pub fn codes_of(library: &dyn Library, value_set: &str, limit: usize) -> Result<Vec<Code>, Problem> {
    let rules = Rules { limit, ..Rules::default() };
    let set = library::value_set(library, value_set, &rules)?;
    let expansion = expand(library, &set, &rules)?;
    Ok(expansion.items.into_iter().map(|item| (item.system, item.code)).collect())
}

/// The codes that are (`below`) a code or that it is below, itself included.
pub fn hierarchy(library: &dyn Library, url: &str, code: &str, below: bool) -> Result<Vec<Box<str>>, Problem> {
    let system = code_system(library, url, "")?;
    system.sound()?;
    let number = system.find(code).ok_or_else(|| {
        let short: String = code.chars().take(100).collect();
        let text = format!("the code '{short}' is not in the code system {}", system.canonical());
        // Of a code system that is here only in part or by name, somebody else may have it.
        let id = if system.content == Content::Complete { "Unknown_Code_in_Version" } else { problem::IN_PART };
        Problem::error("not-found", "not-found", id, text)
    })?;
    let mut marked = if below { system.below(number) } else { system.above(number) };
    if let Some(itself) = marked.get_mut(number as usize) {
        *itself = true;
    }
    Ok(system.concepts.iter().zip(marked).filter(|(_, m)| *m).map(|(c, _)| c.code.clone()).collect())
}

#[cfg(test)]
mod tests;
