//! Slicing (R4 profiling.html#slicing): the values of an element are divided by their discriminators, each slice has
//! its number and rules, and what belongs to none is refused where the slicing is closed.

use super::super::place::Place;
use super::super::walk::{Scope, Walk};
use super::check::{Within, from, type_named};
use super::element::{Discriminator, DiscriminatorKind, ElementRules};
use super::expectation::{Expectation, collect};
use super::expected;
use crate::base::{IssueCode, Severity};
use crate::fhirpath::eval::{Evaluator, Item, Node};
use crate::json::{Tree, Value};

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
