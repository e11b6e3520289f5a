//! The value sets of required bindings, expanded as far as the package alone allows it.

use super::Summary;
use super::elements::{children, ordered, structures};
use super::package::{CodeSystem, Concept, ConceptSet, Filter, Package};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Codes by system, and whether they are all.
struct Expansion {
    complete: bool,
    codes: BTreeMap<String, BTreeSet<String>>,
}

/// The table of value sets.
pub fn value_sets(package: &Package, summary: &mut Summary) -> Result<String, String> {
    let mut wanted = BTreeSet::new();
    for definition in ordered(package)? {
        for (path, _) in structures(definition)? {
            for element in children(definition, &path) {
                if let Some(binding) = element.binding.as_ref().filter(|b| b.strength == "required") {
                    wanted.extend(binding.value_set.as_deref().and_then(|v| v.split('|').next()));
                }
            }
        }
    }
    let mut table = String::new();
    for url in wanted {
        summary.value_sets += 1;
        let expansion = expand(package, url, &mut Vec::new());
        let _ = writeln!(table, "{url}\t{}", if expansion.complete { 'C' } else { 'I' });
        for (system, codes) in expansion.codes {
            let codes: Vec<String> = codes.into_iter().collect();
            let _ = writeln!(table, "\t{system}\t{}", codes.join("\t"));
        }
    }
    Ok(table)
}

fn expand<'p>(package: &'p Package, url: &'p str, open: &mut Vec<&'p str>) -> Expansion {
    let url = url.split('|').next().unwrap_or(url);
    let mut all = Expansion { complete: true, codes: BTreeMap::new() };
    let compose = package.value_sets.get(url).and_then(|v| v.compose.as_ref());
    let (Some(compose), false) = (compose, open.contains(&url)) else {
        all.complete = false;
        return all;
    };
    open.push(url);
    for part in &compose.include {
        let part = concept_set(package, part, open);
        all.complete &= part.complete;
        for (system, codes) in part.codes {
            all.codes.entry(system).or_default().extend(codes);
        }
    }
    for part in &compose.exclude {
        let part = concept_set(package, part, open);
        all.complete &= part.complete;
        for (system, codes) in part.codes {
            all.codes.entry(system).or_default().retain(|c| !codes.contains(c));
        }
    }
    all.codes.retain(|_, codes| !codes.is_empty());
    open.pop();
    all
}

/// One include or exclude: the codes of its system that are in all of the value sets that it names.
fn concept_set<'p>(package: &'p Package, part: &'p ConceptSet, open: &mut Vec<&'p str>) -> Expansion {
    let mut found: Option<Expansion> = part.system.as_deref().map(|system| {
        let codes = match part.concept.is_empty() {
            false => Some(part.concept.iter().map(|c| c.code.clone()).collect()),
            true => package.code_systems.get(system).and_then(|s| filtered(s, &part.filter)),
        };
        let complete = codes.is_some();
        Expansion { complete, codes: BTreeMap::from([(system.to_owned(), codes.unwrap_or_default())]) }
    });
    for url in &part.value_set {
        let other = expand(package, url, open);
        found = Some(match found {
            None => other,
            Some(one) => both(one, &other),
        });
    }
    found.unwrap_or(Expansion { complete: false, codes: BTreeMap::new() })
}

fn both(mut one: Expansion, other: &Expansion) -> Expansion {
    one.complete &= other.complete;
    for (system, codes) in &mut one.codes {
        codes.retain(|c| other.codes.get(system).is_some_and(|o| o.contains(c)));
    }
    one
}

/// The codes of a system that pass the filters; nothing where the system is not whole or a filter is not understood.
fn filtered(system: &CodeSystem, filters: &[Filter]) -> Option<BTreeSet<String>> {
    if system.content != "complete" {
        return None;
    }
    let mut codes = BTreeSet::new();
    collect(&system.concept, None, true, &mut codes);
    for filter in filters {
        let mut passing = BTreeSet::new();
        match (filter.property.as_str(), filter.op.as_str()) {
            ("concept", "is-a") => collect(&system.concept, Some(&filter.value), false, &mut passing),
            ("concept", "descendent-of") => {
                collect(&system.concept, Some(&filter.value), false, &mut passing);
                passing.remove(&filter.value);
            }
            ("concept" | "code", "=") => passing.extend([filter.value.clone()]),
            ("concept" | "code", "in") => passing.extend(filter.value.split(',').map(|c| c.trim().to_owned())),
            _ => return None,
        }
        codes.retain(|c| passing.contains(c));
    }
    Some(codes)
}

/// Collects codes: all of them, or those below (and including) one. Codes that only group others are no values.
fn collect(concepts: &[Concept], below: Option<&str>, inside: bool, codes: &mut BTreeSet<String>) {
    for concept in concepts {
        let inside = inside || below == Some(&concept.code);
        if inside && !concept.is_abstract() {
            codes.insert(concept.code.clone());
        }
        collect(&concept.concept, below, inside, codes);
    }
}
