//! Invariants are judged: by FHIRPath on the borrowed document, within the steps that the whole validation may take.
//! What is not decided (an expression that does not parse, that fails, takes too long, or hangs on a value set whose codes
//! are not known) is said, never passed over.

use super::place::Place;
use super::rule::Rule;
use super::walk::{Scope, Walk};
use super::world::Around;
use crate::base::{IssueCode, Severity};
use crate::fhirpath::Expression;
use crate::fhirpath::eval::{Evaluator, Item, Node};

/// What an evaluation came to.
enum Judged {
    Holds,
    Broken,
    /// It took more steps than were left.
    TooLong,
    /// It failed, for this reason.
    Failed(String),
    /// It hangs on several things that are not known.
    Open,
}

impl<'d> Walk<'_, 'd> {
    /// Judges the rules of the base definitions with these numbers.
    pub(super) fn invariants(&mut self, rules: &[u16], node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        let validator = self.validator;
        for rule in rules.iter().filter_map(|number| validator.rules.get(*number)) {
            self.invariant(rule, node, place, scope);
        }
    }

    /// Judges a rule on a node.
    pub(super) fn invariant(&mut self, rule: &Rule, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) {
        let holds = match (rule.swift, node.value) {
            (Some(swift), Some(value)) => swift(value, scope),
            _ => self.holds(rule, node, place, scope),
        };
        if holds {
            return;
        }
        let severity = if rule.error { Severity::Error } else { Severity::Warning };
        let message = match &*rule.words {
            "" => format!("the rule {} does not hold: {}", rule.key, shown_expression(&rule.expression)),
            words => format!("{words} ({})", rule.key),
        };
        match rule.place {
            "" => self.note(severity, IssueCode::Invariant, place, message),
            name => self.note(severity, IssueCode::Invariant, &place.child(name), message),
        }
    }

    /// Whether an expression does not say `false`. What cannot be decided is noted and taken to hold.
    pub(super) fn holds(&mut self, rule: &Rule, node: Node<'d>, place: &Place<'_>, scope: Scope<'_, 'd>) -> bool {
        let expression = match rule.parsed() {
            Ok(expression) => expression,
            Err(why) => {
                let message = format!("the rule {} was not judged, its expression cannot be read: {why}", rule.name());
                self.note(Severity::Warning, IssueCode::Processing, place, message);
                return true;
            }
        };
        if self.budget == 0 {
            self.out_of_budget(rule, place);
            return true;
        }
        let (judged, unknown) = self.judged(expression, node, scope, None);
        let Some((why, times)) = unknown else { return self.concluded(judged, rule, place) };
        // Of one question both answers are tried: if it comes to the same, it is known. Several can have other answers.
        let once = |judged: Judged, unknown: Option<(String, usize)>| match unknown {
            Some((_, 2..)) => Judged::Open,
            _ => judged,
        };
        let others = match times {
            1 => [true, false].map(|assumed| {
                let (judged, unknown) = self.judged(expression, node, scope, Some(assumed));
                once(judged, unknown)
            }),
            _ => [Judged::Open, Judged::Open],
        };
        match others {
            [Judged::Holds, Judged::Holds] => true,
            [Judged::Broken, Judged::Broken] => false,
            [Judged::TooLong, _] | [_, Judged::TooLong] => {
                self.out_of_budget(rule, place);
                true
            }
            _ => {
                let message = format!("the rule {} was not judged: {why}", rule.name());
                self.note(Severity::Warning, IssueCode::NotFound, place, message);
                true
            }
        }
    }

    /// Evaluates an expression; and why it was not known of a code whether it is in a value set, and how often.
    fn judged(
        &mut self,
        expression: &Expression,
        node: Node<'d>,
        scope: Scope<'_, 'd>,
        assumed: Option<bool>,
    ) -> (Judged, Option<(String, usize)>) {
        let world = Around::new(self, scope).assuming(assumed);
        let evaluator = Evaluator::new(self.definitions(), scope.resource, self.validator.now(), &world);
        let evaluator = evaluator.within(scope.container.node).lenient();
        let mut budget = self.budget;
        let result = evaluator.evaluate_within(expression, vec![Item::Node(node)], &mut budget);
        let exhausted = evaluator.exhausted();
        drop(evaluator);
        let unknown = world.unknown();
        self.budget = budget;
        let judged = match result {
            Ok(values) => match values.as_slice() {
                [one] if matches!(one.system(&self.validator.definitions), Item::Boolean(false)) => Judged::Broken,
                _ => Judged::Holds,
            },
            Err(_) if exhausted => Judged::TooLong,
            Err(why) => Judged::Failed(why.to_string()),
        };
        (judged, unknown)
    }

    /// What comes of it: whether the rule is taken to hold.
    fn concluded(&mut self, judged: Judged, rule: &Rule, place: &Place<'_>) -> bool {
        match judged {
            Judged::Holds | Judged::Open => true,
            Judged::Broken => false,
            Judged::TooLong => {
                self.out_of_budget(rule, place);
                true
            }
            Judged::Failed(why) => {
                let message = format!("the rule {} was not judged, its expression failed: {why}", rule.name());
                self.note(Severity::Warning, IssueCode::Processing, place, message);
                true
            }
        }
    }

    /// A resource that is made so that its rules cannot be judged is not accepted unjudged.
    fn out_of_budget(&mut self, rule: &Rule, place: &Place<'_>) {
        self.unjudged(&rule.name(), place);
    }

    /// The same, from something on.
    pub(super) fn unjudged(&mut self, from: &str, place: &Place<'_>) {
        if !self.exhausted {
            self.exhausted = true;
            let message = format!("the rules from {from} on were not judged: they take too many steps");
            self.note(Severity::Error, IssueCode::TooCostly, place, message);
        }
    }
}

/// An expression, cut to a length fit for a message.
fn shown_expression(text: &str) -> &str {
    match text.char_indices().nth(300) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}
