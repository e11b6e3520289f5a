//! Value sets that nobody writes down because their canonical says what they are: all of SNOMED CT or what is below one
//! of its concepts (R4 snomedct.html#implicit), all of LOINC, a part of its hierarchy or one of its answer lists
//! (R4 loinc.html#implicit). They are there where the code system is.

use super::{Library, ValueSet};
use crate::json::Tree;

const SNOMED: &str = "http://snomed.info/sct";
const LOINC: &str = "http://loinc.org";

/// The value set that a canonical describes, if it describes one of a code system that is here.
pub(super) fn value_set(library: &dyn Library, url: &str) -> Option<ValueSet> {
    let (system, version, filter) = match url.split_once("?fhir_vs") {
        Some((of, rest)) => {
            // An edition or a version of one may stand in the place of the system: then it is the version.
            let version = if of == SNOMED { "" } else { of.starts_with("http://snomed.info/sct/").then_some(of)? };
            let filter = match rest {
                "" => None,
                _ => Some(("concept", "is-a", rest.strip_prefix("=isa/").filter(|code| !code.is_empty())?)),
            };
            (SNOMED, version, filter)
        }
        None => {
            let rest = url.strip_prefix("http://loinc.org/vs")?;
            let filter = match rest.strip_prefix('/') {
                None if rest.is_empty() => None,
                Some(list) if list.starts_with("LL") => Some(("answer-list", "=", list)),
                Some(part) if part.starts_with("LP") => Some(("concept", "is-a", part)),
                _ => return None,
            };
            (LOINC, "", filter)
        }
    };
    if library.code_systems(system).is_empty() {
        return None;
    }
    let mut include = vec![("system".to_owned(), Tree::string(system))];
    // Without a version an edition means its newest release, and the one that is here is taken.
    if version.contains("/version/") {
        include.push(("version".to_owned(), Tree::string(version)));
    }
    if let Some((property, op, value)) = filter {
        let filter = Tree::object([
            ("property", Tree::string(property)),
            ("op", Tree::string(op)),
            ("value", Tree::string(value)),
        ]);
        include.push(("filter".to_owned(), Tree::Array(vec![filter])));
    }
    let compose = Tree::object([("include", Tree::Array(vec![Tree::Object(include)]))]);
    Some(ValueSet::of(&Tree::object([
        ("resourceType", Tree::string("ValueSet")),
        ("url", Tree::string(url)),
        ("status", Tree::string("active")),
        ("compose", compose),
    ])))
}
