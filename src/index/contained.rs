//! Contained resources (R4 search.html#contained): their terms are terms of the resource that contains them, behind a
//! head that says which of its contained resources it is and of what type, so that what is asked of one is asked of
//! the same one.

use super::encode::{CONTAINED, after};
use super::{Condition, Range, Term};

/// Contained resources of one resource that are found at most.
pub(super) const MOST: u8 = 32;

/// The head of the terms of a contained resource.
pub(super) fn head(place: u8, kind: &str) -> Vec<u8> {
    [&CONTAINED.to_be_bytes()[..], &[place], kind.as_bytes(), &[0]].concat()
}

/// That a resource contains a resource of the type that fulfils a condition; `None` where the condition asks anything
/// of further resources.
pub fn contained(kind: &str, condition: &Condition) -> Option<Condition> {
    if condition.joins() {
        return None;
    }
    let each = |place| {
        let head = head(place, kind);
        let there = Range { to: after(&head), from: head.clone().into(), test: None };
        Condition::all([behind(&head, condition), Condition::Range(there)])
    };
    Some(Condition::any((0..MOST).map(each)))
}

/// The condition on terms that stand behind a head. That there are any is asked beside it.
fn behind(head: &[u8], condition: &Condition) -> Condition {
    let all = |conditions: &[Condition]| conditions.iter().map(|c| behind(head, c)).collect::<Vec<_>>();
    match condition {
        Condition::Everything | Condition::Kind(_) => Condition::Everything,
        Condition::Nothing | Condition::Chain { .. } | Condition::Reverse { .. } => Condition::Nothing,
        Condition::Not(inner) => match behind(head, inner) {
            Condition::Everything => Condition::Nothing,
            Condition::Nothing => Condition::Everything,
            inner => Condition::Not(Box::new(inner)),
        },
        Condition::And(conditions) => Condition::all(all(conditions)),
        Condition::Or(conditions) => Condition::any(all(conditions)),
        Condition::Term(term) => Condition::Term(Term([head, &term.0].concat().into())),
        Condition::Range(range) => Condition::Range(Range {
            from: [head, &range.from].concat().into(),
            to: [head, &range.to].concat().into(),
            test: range.test.clone().map(|test| test.behind(head.len())),
        }),
    }
}
