//! Reading resources of terminology: members that may be missing, and canonicals with their versions.

use crate::json::Tree;
use std::cmp::Ordering;

/// A string member; empty where it is missing.
pub(crate) fn text<'t>(of: &'t Tree, key: &str) -> &'t str {
    of.get(key).and_then(Tree::as_str).unwrap_or_default()
}

/// A string member.
pub(crate) fn strings(of: &Tree, key: &str) -> Option<Box<str>> {
    of.get(key).and_then(Tree::as_str).map(Box::from)
}

/// The items of a list.
pub(crate) fn each<'t>(of: &'t Tree, key: &str) -> &'t [Tree] {
    of.get(key).map_or(&[], Tree::items)
}

/// A boolean member.
pub(crate) fn flag(of: &Tree, key: &str) -> Option<bool> {
    match of.get(key) {
        Some(Tree::Bool(b)) => Some(*b),
        _ => None,
    }
}

/// Where the concept with a code stands in a CodeSystem resource.
pub(crate) fn place_of(system: &Tree, code: &str) -> String {
    let mut open = vec![("CodeSystem".to_owned(), system)];
    while let Some((place, of)) = open.pop() {
        for (i, concept) in each(of, "concept").iter().enumerate() {
            let at = format!("{place}.concept[{i}]");
            if text(concept, "code") == code {
                return at;
            }
            if concept.get("concept").is_some() {
                open.push((at, concept));
            }
        }
    }
    "CodeSystem.concept".to_owned()
}

/// Canonical and version written together.
pub(crate) fn canonical(url: &str, version: &str) -> String {
    if version.is_empty() { url.to_owned() } else { format!("{url}|{version}") }
}

/// A canonical as url and version.
pub(crate) fn split(canonical: &str) -> (&str, &str) {
    // A fragment is left out, unless it is all there is: then something contained is meant.
    let canonical = match canonical.find('#') {
        Some(at) if at > 0 => canonical.get(..at).unwrap_or(canonical),
        _ => canonical,
    };
    canonical.split_once('|').unwrap_or((canonical, ""))
}

/// Whether a version is the one that is asked for: the same, or one that fits `1.x`.
pub(crate) fn fits(version: &str, asked: &str) -> bool {
    if version == asked || asked == "*" {
        return true;
    }
    let wild = |part: &str| matches!(part, "x" | "X" | "*");
    if !asked.split('.').any(wild) {
        return false;
    }
    let (mut have, asked): (Vec<&str>, Vec<&str>) = (version.split('.').collect(), asked.split('.').collect());
    if asked.last().is_some_and(|last| wild(last)) {
        have.truncate(asked.len());
    }
    have.len() == asked.len() && have.iter().zip(&asked).all(|(h, a)| h == a || wild(a))
}

/// Which of two versions is newer: number by number where they are numbers.
pub(crate) fn newer(a: &str, b: &str) -> Ordering {
    let mut b = b.split(['.', '-']);
    for a in a.split(['.', '-']) {
        let Some(b) = b.next() else { return Ordering::Greater };
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            _ => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    if b.next().is_some() { Ordering::Less } else { Ordering::Equal }
}
