//! Concept maps: from a code to those that mean the same elsewhere, or the other way round.

use super::tree::{canonical, each, split, strings, text};
use super::{Library, member_of};
use crate::json::Tree;

/// One line of a map.
#[derive(Clone, Debug)]
struct Line {
    source: Box<str>,
    target: Option<Box<str>>,
    equivalence: Box<str>,
    comment: Option<Box<str>>,
}

#[derive(Clone, Debug)]
struct Group {
    source: Box<str>,
    target: Box<str>,
    lines: Vec<Line>,
    unmapped: Option<Unmapped>,
}

#[derive(Clone, Debug)]
struct Unmapped {
    mode: Box<str>,
    code: Option<Box<str>>,
    url: Option<Box<str>>,
    equivalence: Box<str>,
}

/// A concept map.
#[derive(Debug)]
pub struct ConceptMap {
    /// Canonical, without version.
    pub url: Box<str>,
    /// Version; empty without one.
    pub version: Box<str>,
    /// The value set that it maps from.
    pub source: Option<Box<str>>,
    /// The value set that it maps to.
    pub target: Option<Box<str>>,
    groups: Vec<Group>,
}

/// What a code means elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// R4's equivalence.
    pub equivalence: String,
    /// The concept: system and code; none where it has no counterpart.
    pub concept: Option<(String, String)>,
    /// The concept that was mapped from, in a reverse translation.
    pub source: Option<(String, String)>,
    /// Canonical of the map.
    pub map: String,
    /// What the map says to it.
    pub comment: Option<String>,
}

/// The equivalence of R4 for the relationship that later maps have.
fn equivalence(of: &Tree) -> Box<str> {
    match text(of, "equivalence") {
        "" => match text(of, "relationship") {
            "related-to" => "relatedto".into(),
            "equivalent" => "equivalent".into(),
            "source-is-narrower-than-target" => "wider".into(),
            "source-is-broader-than-target" => "narrower".into(),
            "not-related-to" => "disjoint".into(),
            _ => "relatedto".into(),
        },
        said => said.into(),
    }
}

/// The equivalence seen from the other side.
fn reversed(equivalence: &str) -> &str {
    match equivalence {
        "wider" => "narrower",
        "narrower" => "wider",
        "subsumes" => "specializes",
        "specializes" => "subsumes",
        same => same,
    }
}

impl ConceptMap {
    /// Makes it from a ConceptMap resource.
    pub fn of(resource: &Tree) -> ConceptMap {
        let scope = |names: [&str; 4]| names.iter().find_map(|n| strings(resource, n));
        ConceptMap {
            url: text(resource, "url").into(),
            version: text(resource, "version").into(),
            source: scope(["sourceUri", "sourceCanonical", "sourceScopeUri", "sourceScopeCanonical"]),
            target: scope(["targetUri", "targetCanonical", "targetScopeUri", "targetScopeCanonical"]),
            groups: each(resource, "group").iter().map(group).collect(),
        }
    }

    /// Canonical with version.
    pub fn canonical(&self) -> String {
        canonical(&self.url, &self.version)
    }

    /// Whether it says anything of the codes of a system: towards `to`, if that is said, or in reverse.
    pub fn is_about(&self, system: &str, to: Option<&str>, reverse: bool) -> bool {
        self.groups
            .iter()
            .map(|group| group.ends(reverse))
            .any(|(near, far)| near == system && to.is_none_or(|to| far == to))
    }
}

impl Group {
    /// The systems that are mapped from and to.
    fn ends(&self, reverse: bool) -> (&str, &str) {
        if reverse { (&self.target, &self.source) } else { (&self.source, &self.target) }
    }
}

fn group(tree: &Tree) -> Group {
    let mut lines = Vec::new();
    for element in each(tree, "element") {
        for target in each(element, "target") {
            lines.push(Line {
                source: text(element, "code").into(),
                target: strings(target, "code"),
                equivalence: equivalence(target),
                comment: strings(target, "comment"),
            });
        }
    }
    let unmapped = tree.get("unmapped").map(|u| Unmapped {
        mode: text(u, "mode").into(),
        code: strings(u, "code"),
        url: strings(u, "url").or_else(|| strings(u, "otherMap")),
        equivalence: if u.get("equivalence").or(u.get("relationship")).is_some() {
            equivalence(u)
        } else {
            "inexact".into()
        },
    });
    let system = |key: &str| split(text(tree, key)).0.into();
    Group { source: system("source"), target: system("target"), lines, unmapped }
}

/// What a code means in a map: towards the target, or in reverse. `to`: only in this code system; `within`: only what is
/// in this value set.
pub fn translate(
    library: &dyn Library,
    map: &ConceptMap,
    from: (&str, &str),
    to: Option<&str>,
    within: Option<&str>,
    reverse: bool,
    depth: usize,
) -> Vec<Match> {
    let (system, code) = from;
    let mut found = Vec::new();
    for group in &map.groups {
        let (near, far) = group.ends(reverse);
        if near != system || to.is_some_and(|to| far != to) {
            continue;
        }
        let before = found.len();
        for line in &group.lines {
            let (here, there) = if reverse {
                (line.target.as_deref(), Some(&*line.source))
            } else {
                (Some(&*line.source), line.target.as_deref())
            };
            if here != Some(code) {
                continue;
            }
            let concept = there.map(|code| (far.to_owned(), code.to_owned()));
            if let (Some(set), Some((system, code))) = (within, &concept)
                && member_of(library, set, Some(system), code) == Ok(false)
            {
                continue;
            }
            found.push(Match {
                equivalence: if reverse { reversed(&line.equivalence) } else { &line.equivalence }.to_owned(),
                concept,
                source: None,
                map: map.canonical(),
                comment: line.comment.as_deref().map(str::to_owned),
            });
        }
        if before == found.len() && !reverse {
            unmapped(library, group, map, from, (to, within), depth, &mut found);
        }
    }
    found
}

fn unmapped(
    library: &dyn Library,
    group: &Group,
    map: &ConceptMap,
    from: (&str, &str),
    (to, within): (Option<&str>, Option<&str>),
    depth: usize,
    found: &mut Vec<Match>,
) {
    let Some(unmapped) = &group.unmapped else { return };
    let code = match &*unmapped.mode {
        "provided" | "use-source-code" => Some(from.1.to_owned()),
        "fixed" => unmapped.code.as_deref().map(str::to_owned),
        // A map that leads to another, which may lead back: a few steps only.
        "other-map" if depth < 8 => {
            let (url, _) = unmapped.url.as_deref().map(split).unwrap_or_default();
            if let Some(other) = library.concept_maps().into_iter().find(|m| *m.url == *url) {
                found.extend(translate(library, &other, from, to, within, false, depth + 1));
            }
            None
        }
        _ => None,
    };
    if let Some(code) = code {
        found.push(Match {
            equivalence: unmapped.equivalence.to_string(),
            concept: Some((group.target.to_string(), code)),
            source: None,
            map: map.canonical(),
            comment: None,
        });
    }
}
