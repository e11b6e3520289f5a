//! What tells a slice apart: what its rules say where a discriminator leads to (R4 profiling.html#discriminator), be it a
//! fixed value, a pattern, a binding, types, profiles, or that something is there.

use super::super::walk::Walk;
use super::check::Within;
use super::element::{Discriminator, DiscriminatorKind, ElementRules, Profile};
use crate::definitions::BindingStrength;
use crate::json::Tree;

/// What a discriminator of a slice leads to.
pub(super) enum Expectation {
    Fixed(Tree),
    Pattern(Tree),
    /// In this value set.
    Bound(Box<str>),
    Types(Vec<Box<str>>),
    Profiles(Vec<Box<str>>),
    Exists(bool),
}

impl Walk<'_, '_> {
    /// What a slice says at a discriminator.
    pub(super) fn expectations(&mut self, slice: Within<'_>, discriminator: &Discriminator) -> Vec<Expectation> {
        let mut found = Vec::new();
        let path: Vec<&str> = match &*discriminator.path {
            "$this" => Vec::new(),
            path => segments(path),
        };
        self.follow(slice, &path, discriminator.kind, &mut found, 0);
        found
    }

    /// Goes down the rules of a slice along a path.
    fn follow(&self, at: Within<'_>, path: &[&str], kind: DiscriminatorKind, out: &mut Vec<Expectation>, depth: u32) {
        let Some(rules) = at.rules() else { return };
        if depth > 8 {
            return;
        }
        let Some((segment, rest)) = path.split_first() else { return self.arrived(at, rules, kind, out, depth) };
        // A value or pattern further up says what is expected further down.
        if kind != DiscriminatorKind::Type
            && let Some((tree, fixed)) =
                rules.fixed.as_ref().map(|t| (t, true)).or(rules.pattern.as_ref().map(|t| (t, false)))
            && let Some(part) = part(tree, path)
        {
            out.push(match (kind, fixed) {
                (DiscriminatorKind::Exists, _) => Expectation::Exists(true),
                (_, true) => Expectation::Fixed(part),
                (_, false) => Expectation::Pattern(part),
            });
            return;
        }
        let before = out.len();
        if *segment == "resolve()" {
            let targets: Vec<Box<str>> = rules.types.iter().flat_map(|t| t.targets.clone()).collect();
            if rest.is_empty() {
                match kind {
                    DiscriminatorKind::Type => {
                        let types: Vec<Box<str>> =
                            targets.iter().filter_map(|t| self.validator.about(t).map(Into::into)).collect();
                        if !types.is_empty() {
                            out.push(Expectation::Types(types));
                        }
                    }
                    _ if !targets.is_empty() => out.push(Expectation::Profiles(targets)),
                    _ => {}
                }
            } else {
                for target in &targets {
                    if let Ok(Some(profile)) = self.validator.profile(target) {
                        self.follow(Within { profile: &profile, number: 0 }, rest, kind, out, depth + 1);
                    }
                }
            }
            return;
        }
        if segment.starts_with("ofType(") || segment.starts_with("as(") || *segment == "$this" {
            return self.follow(at, rest, kind, out, depth + 1);
        }
        let url = segment.strip_prefix("extension(").map(|s| s.trim_end_matches(')').trim_matches(['\'', '"']));
        let name = if url.is_some() { "extension" } else { *segment };
        for child in &rules.children {
            let inner = at.with(*child);
            let Some(of) = inner.rules().filter(|r| *r.name == *name) else { continue };
            match url {
                None => {
                    self.follow(inner, rest, kind, out, depth + 1);
                    // The type of a choice may be said of a slice of it.
                    if out.len() == before {
                        for slice in &of.slices {
                            self.follow(inner.with(*slice), rest, kind, out, depth + 1);
                        }
                    }
                }
                Some(url) => {
                    for slice in &of.slices {
                        let inner = inner.with(*slice);
                        let named = inner.rules().is_some_and(|r| {
                            r.types.iter().flat_map(|t| &t.profiles).any(|p| **p == *url)
                                || r.children.iter().any(|c| fixed_text(inner.profile, *c, "url") == Some(url))
                        });
                        if named {
                            self.follow(inner, rest, kind, out, depth + 1);
                        }
                    }
                }
            }
        }
        if out.len() == before {
            for canonical in rules.types.iter().flat_map(|t| &t.profiles) {
                match self.validator.profile(canonical) {
                    Ok(Some(profile)) => {
                        self.follow(Within { profile: &profile, number: 0 }, path, kind, out, depth + 1)
                    }
                    // The url of an extension is its canonical, also where its definition is not at hand.
                    _ if path == ["url"] => {
                        let url = crate::definitions::split_canonical(canonical).0;
                        out.push(Expectation::Fixed(Tree::string(url)));
                    }
                    _ => {}
                }
            }
        }
    }

    fn arrived(
        &self,
        at: Within<'_>,
        rules: &ElementRules,
        kind: DiscriminatorKind,
        out: &mut Vec<Expectation>,
        depth: u32,
    ) {
        match kind {
            DiscriminatorKind::Exists => {
                if rules.max == Some(0) {
                    out.push(Expectation::Exists(false));
                } else if rules.min > 0 {
                    out.push(Expectation::Exists(true));
                }
            }
            DiscriminatorKind::Type => {
                if !rules.types.is_empty() {
                    out.push(Expectation::Types(rules.types.iter().map(|t| t.code.clone()).collect()));
                }
            }
            DiscriminatorKind::Profile => {
                let profiles: Vec<Box<str>> = rules.types.iter().flat_map(|t| t.profiles.clone()).collect();
                if !profiles.is_empty() {
                    out.push(Expectation::Profiles(profiles));
                } else if !rules.types.is_empty() {
                    out.push(Expectation::Types(rules.types.iter().map(|t| t.code.clone()).collect()));
                }
            }
            DiscriminatorKind::Value if rules.max == Some(0) => out.push(Expectation::Exists(false)),
            DiscriminatorKind::Value => {
                if let Some(fixed) = &rules.fixed {
                    out.push(Expectation::Fixed(fixed.clone()));
                } else if let Some(pattern) = &rules.pattern {
                    out.push(Expectation::Pattern(pattern.clone()));
                } else {
                    // What is said of the elements below makes a pattern of its own.
                    let mut below = Vec::new();
                    collect(at.profile, at.number, &mut below, 0);
                    out.extend(below.into_iter().map(|(path, expected)| deep(&path, expected)));
                    if out.is_empty()
                        && let Some(bound) = rules.binding.as_ref().filter(|b| b.strength == BindingStrength::Required)
                    {
                        out.push(Expectation::Bound(bound.value_set.clone()));
                    }
                    if out.is_empty() && depth < 8 {
                        for canonical in rules.types.iter().flat_map(|t| &t.profiles) {
                            if let Ok(Some(profile)) = self.validator.profile(canonical) {
                                self.follow(Within { profile: &profile, number: 0 }, &[], kind, out, depth + 1);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The segments of a path; points in parentheses do not count.
fn segments(path: &str) -> Vec<&str> {
    let (mut out, mut depth, mut from) = (Vec::new(), 0, 0);
    for (i, c) in path.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '.' if depth == 0 => {
                out.push(&path[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    out.push(&path[from..]);
    out
}

/// The part of an expected value that a path leads to.
fn part(tree: &Tree, path: &[&str]) -> Option<Tree> {
    let Some((name, rest)) = path.split_first() else { return Some(tree.clone()) };
    match tree {
        Tree::Object(_) => part(tree.get(name)?, rest),
        Tree::Array(items) => items.iter().find_map(|item| part(item, path)),
        _ => None,
    }
}

fn fixed_text<'p>(profile: &'p Profile, number: u32, name: &str) -> Option<&'p str> {
    let rules = profile.elements.get(number as usize).filter(|r| &*r.name == name)?;
    rules.fixed.as_ref()?.as_str()
}

/// All fixed values and patterns of the elements below one, with their paths.
pub(super) fn collect(profile: &Profile, number: u32, out: &mut Vec<(Vec<Box<str>>, Expectation)>, depth: u32) {
    let Some(rules) = profile.elements.get(number as usize) else { return };
    if let Some(fixed) = &rules.fixed {
        return out.push((Vec::new(), Expectation::Fixed(fixed.clone())));
    }
    if let Some(pattern) = &rules.pattern {
        return out.push((Vec::new(), Expectation::Pattern(pattern.clone())));
    }
    if depth > 6 {
        return;
    }
    for child in &rules.children {
        let from = out.len();
        collect(profile, *child, out, depth + 1);
        if let Some(name) = profile.elements.get(*child as usize).map(|c| c.name.clone()) {
            for (path, _) in &mut out[from..] {
                path.insert(0, name.clone());
            }
        }
    }
}

/// An expectation at a path as one on the value that the path begins at.
fn deep(path: &[Box<str>], expected: Expectation) -> Expectation {
    let tree = match expected {
        Expectation::Fixed(tree) | Expectation::Pattern(tree) => tree,
        other => return other,
    };
    let tree = path.iter().rev().fold(tree, |inner, name| Tree::Object(vec![(name.to_string(), inner)]));
    Expectation::Pattern(tree)
}
