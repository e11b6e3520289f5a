//! `enableWhen`: whether an item is to be answered, given the answers to others.

use super::answer::{self, Order};
use super::text;
use crate::json::Value;
use std::borrow::Cow;
use std::collections::HashMap;

/// All answers of a response, by link id.
pub(super) struct Answers<'d>(HashMap<Cow<'d, str>, Vec<Value<'d>>>);

impl<'d> Answers<'d> {
    pub(super) fn of(response: Value<'d>) -> Self {
        let mut all = HashMap::new();
        let mut pending = vec![response];
        while let Some(next) = pending.pop() {
            for item in next.get("item").into_iter().flat_map(Value::items) {
                pending.push(item);
                let Some(link) = text(item, "linkId") else { continue };
                for answer in item.get("answer").into_iter().flat_map(Value::items) {
                    pending.push(answer);
                    all.entry(link.clone()).or_insert_with(Vec::new).push(answer);
                }
            }
        }
        Answers(all)
    }

    /// Whether an item of a Questionnaire is enabled.
    pub(super) fn enable(&self, question: Value<'_>) -> bool {
        let Some(conditions) = question.get("enableWhen").filter(|c| !c.is_empty()) else { return true };
        let all = question.get("enableBehavior").and_then(Value::as_plain) == Some("all");
        match all {
            true => conditions.items().all(|c| self.holds(c)),
            false => conditions.items().any(|c| self.holds(c)),
        }
    }

    fn holds(&self, condition: Value<'_>) -> bool {
        let answers = text(condition, "question").and_then(|q| self.0.get(&*q)).map_or(&[][..], Vec::as_slice);
        let Some((_, wanted)) = answer::value(condition, "answer") else { return true };
        let order = |a: &Value<'d>| answer::value(*a, "value").and_then(|(_, found)| answer::order(found, wanted));
        let any = |test: fn(Order) -> bool| answers.iter().filter_map(order).any(test);
        match condition.get("operator").and_then(Value::as_plain) {
            Some("exists") => wanted.as_bool() != Some(answers.is_empty()),
            Some("=") => any(Order::is_eq),
            Some("!=") => !answers.is_empty() && !any(Order::is_eq),
            Some(">") => any(Order::is_gt),
            Some("<") => any(Order::is_lt),
            Some(">=") => any(Order::is_ge),
            Some("<=") => any(Order::is_le),
            _ => true,
        }
    }
}
