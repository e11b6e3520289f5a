//! Slicing (R4 profiling.html#slicing): the values of an element are divided by their discriminators, each slice has
//! its number and rules, and what belongs to none is refused where the slicing is closed.

use super::super::place::Place;
use super::super::walk::{Scope, Walk};
use super::check::{Within, from, type_named};
use super::element::{Discriminator, DiscriminatorKind, ElementRules, Profile};
use super::expected;
use crate::base::{IssueCode, Severity};
use crate::definitions::BindingStrength;
use crate::fhirpath::eval::{Evaluator, Item, Node};
use crate::json::{Tree, Value};

/// What a discriminator of a slice leads to.
enum Expectation {
    Fixed(Tree),
    Pattern(Tree),
    /// In this value set.
    Bound(Box<str>),
    Types(Vec<Box<str>>),
    Profiles(Vec<Box<str>>),
    Exists(bool),
}

impl<'d> Walk<'_, 'd> {
    /// Divides the values of an element.
    pub(super) fn slices(
        &mut self,
        of: Within<'_>,
        rules: &ElementRules,
        nodes: &[(usize, Node<'d>)],
        many: bool,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) {
        let Some(slicing) = &rules.slicing else { return };
        let mut counts = vec![0usize; rules.slices.len()];
        let mut latest = 0;
        let mut unmatched: Option<usize> = None;
        for (i, node) in nodes {
            let inner = place.child(&rules.name);
            let inner = if many { inner.item(*i) } else { inner };
            let mut found = None;
            for (s, number) in rules.slices.iter().enumerate() {
                if self.in_slice(of.with(*number), &slicing.discriminators, *node, &inner, scope) {
                    found = Some(s);
                    break;
                }
            }
            let Some(s) = found else {
                unmatched.get_or_insert(*i);
                if slicing.closed {
                    let message = format!(
                        "the value belongs to no slice of {}, and the slicing is closed{}",
                        rules.name,
                        from(of.profile)
                    );
                    self.report(IssueCode::Structure, &inner, message);
                }
                continue;
            };
            counts[s] += 1;
            if slicing.ordered && s < latest {
                let message = format!("the slices of {} stand in their order{}", rules.name, from(of.profile));
                self.report(IssueCode::Structure, &inner, message);
            }
            latest = latest.max(s);
            if let Some(before) = unmatched.filter(|_| slicing.open_at_end) {
                let other = place.child(&rules.name).item(before);
                let message =
                    format!("what belongs to no slice of {} stands at the end{}", rules.name, from(of.profile));
                self.report(IssueCode::Structure, &other, message);
            }
            let slice = of.with(rules.slices[s]);
            let Some(slice_rules) = slice.rules() else { continue };
            self.types(slice, slice_rules, *node, &inner, scope);
            self.node(slice, *node, &inner, scope);
        }
        for (number, count) in rules.slices.iter().zip(counts) {
            let slice = of.with(*number);
            let Some(slice_rules) = slice.rules() else { continue };
            self.number(slice, slice_rules, count, place);
            if !slice_rules.slices.is_empty()
                && let Some(inner) = &slice_rules.slicing
            {
                let mut members = Vec::new();
                for (i, node) in nodes {
                    let at = place.child(&rules.name).item(*i);
                    if self.in_slice(slice, &slicing.discriminators, *node, &at, scope) {
                        members.push((*i, *node));
                    }
                }
                if !inner.discriminators.is_empty() {
                    self.slices(slice, slice_rules, &members, many, place, scope);
                }
            }
        }
    }

    /// Whether a value belongs to a slice.
    fn in_slice(
        &mut self,
        slice: Within<'_>,
        discriminators: &[Discriminator],
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> bool {
        if discriminators.is_empty() {
            let mut expectations = Vec::new();
            collect(slice.profile, slice.number, &mut expectations, 0);
            let Some(value) = node.value else { return false };
            return !expectations.is_empty()
                && expectations.iter().all(|(path, expected)| {
                    let mut at = vec![value];
                    for name in path {
                        at = at.into_iter().filter_map(|v| v.get(name)).flat_map(|v| v.each()).collect();
                    }
                    at.into_iter().any(|v| agrees_plainly(expected, v))
                });
        }
        // Where a slice says nothing at one of several discriminators, the others tell it apart.
        let wanted: Vec<_> = discriminators.iter().map(|d| (d, self.expectations(slice, d))).collect();
        if wanted.iter().all(|(_, expectations)| expectations.is_empty()) {
            let message = format!(
                "the slice '{}' cannot be told apart: nothing is said at its discriminators{}",
                slice.rules().and_then(|r| r.slice.as_deref()).unwrap_or_default(),
                from(slice.profile)
            );
            self.note(Severity::Warning, IssueCode::Processing, place, message);
            return false;
        }
        wanted
            .iter()
            .all(|(d, expectations)| expectations.is_empty() || self.agrees(d, expectations, node, place, scope))
    }

    fn agrees(
        &mut self,
        discriminator: &Discriminator,
        expectations: &[Expectation],
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> bool {
        // The type that a reference names is known, even where its target is not.
        if discriminator.kind == DiscriminatorKind::Type
            && let Some(path) = discriminator.path.strip_suffix("resolve()")
        {
            return self.type_of_target(path.trim_end_matches('.'), expectations, node, place, scope);
        }
        let items = match &*discriminator.path {
            "$this" => vec![Item::Node(node)],
            _ => {
                let Some(expression) = &discriminator.expression else { return false };
                self.evaluate(expression, node, place, scope)
            }
        };
        expectations.iter().all(|expected| match expected {
            Expectation::Exists(wanted) => items.is_empty() != *wanted,
            _ => items.iter().any(|item| match item {
                Item::Node(found) => self.agrees_with(expected, *found, place, scope),
                _ => false,
            }),
        })
    }

    fn evaluate(
        &mut self,
        expression: &crate::fhirpath::Expression,
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> Vec<Item<'d>> {
        let mut budget = self.budget;
        let world = super::super::world::Around { walk: self, scope };
        let evaluator = Evaluator::new(self.definitions(), scope.resource, self.validator.now(), &world);
        let evaluator = evaluator.within(scope.container.node).lenient();
        let found = evaluator.evaluate_within(expression, vec![Item::Node(node)], &mut budget);
        let exhausted = found.is_err() && evaluator.exhausted();
        drop(evaluator);
        self.budget = budget;
        if exhausted {
            self.unjudged("a discriminator", place);
        }
        found.unwrap_or_default()
    }

    fn agrees_with(&mut self, expected: &Expectation, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) -> bool {
        match expected {
            Expectation::Bound(set) => self.any_code_in(set, node).unwrap_or(false),
            Expectation::Types(types) => types.iter().any(|t| self.is_of(node, t)),
            Expectation::Profiles(profiles) => profiles.iter().any(|canonical| {
                let scope = match node.is_resource(self.definitions()) {
                    true => Scope { resource: node, ..scope },
                    false => scope,
                };
                match self.validator.profile(canonical) {
                    Ok(Some(profile)) => self.is_of(node, &profile.about) && self.tries(&profile, node, place, scope),
                    _ => self.validator.about(canonical).is_some_and(|about| self.is_of(node, &about)),
                }
            }),
            Expectation::Exists(wanted) => *wanted,
            Expectation::Fixed(_) | Expectation::Pattern(_) => {
                node.value.is_some_and(|value| agrees_plainly(expected, value))
            }
        }
    }

    fn type_of_target(
        &mut self,
        path: &str,
        expectations: &[Expectation],
        node: Node<'d>,
        place: &Place<'_>,
        scope: Scope<'_, 'd>,
    ) -> bool {
        let mut references = vec![Item::Node(node)];
        if !path.is_empty() && path != "$this" {
            match crate::fhirpath::parse(path) {
                Ok(expression) => references = self.evaluate(&expression, node, place, scope),
                Err(_) => return false,
            }
        }
        references.into_iter().any(|item| {
            let Item::Node(reference) = item else { return false };
            let text = reference.value.and_then(|v| v.get("reference")).and_then(Value::as_str);
            let found = text.as_ref().and_then(|t| self.entries().resolve(t, scope, self.definitions()));
            let named = match (&found, &text) {
                (Some(found), _) => Some(found.type_name(self.definitions()).to_owned()),
                (None, Some(text)) => type_named(text).map(str::to_owned),
                _ => None,
            };
            expectations.iter().all(|expected| match expected {
                Expectation::Types(types) => named.as_ref().is_some_and(|n| types.iter().any(|t| **t == **n)),
                _ => true,
            })
        })
    }

    /// What a slice says at a discriminator.
    fn expectations(&mut self, slice: Within<'_>, discriminator: &Discriminator) -> Vec<Expectation> {
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
fn collect(profile: &Profile, number: u32, out: &mut Vec<(Vec<Box<str>>, Expectation)>, depth: u32) {
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

fn agrees_plainly(expected: &Expectation, value: Value<'_>) -> bool {
    match expected {
        Expectation::Fixed(tree) => expected::equals(tree, value),
        Expectation::Pattern(tree) => loosely(tree, value),
        _ => false,
    }
}

/// Like a pattern; where the value has a list, one of its items is enough.
fn loosely(tree: &Tree, value: Value<'_>) -> bool {
    expected::contains(tree, value)
        || match tree {
            Tree::Object(entries) => entries.iter().all(|(key, expected)| {
                value.get(key).is_some_and(|v| loosely(expected, v) || v.items().any(|item| loosely(expected, item)))
            }),
            _ => false,
        }
}
