//! Operators with two operands (FHIRPath N1, section 6): equality, order, logic of three values, arithmetic. Precedence
//! is the parser's affair.

use super::{Collection, Evaluator, Item, MomentKind, Node, NodeType, Number, Quantity, Result, Scope, fail};
use crate::definitions::Definitions;
use crate::fhirpath::ast::{BinaryOperator as B, Expression};
use crate::json::{Kind, Value};
use std::cmp::Ordering;

pub(super) fn binary<'d>(
    with: &Evaluator<'_, 'd>,
    operator: B,
    left: &Expression,
    right: &Expression,
    scope: &Scope<'d>,
    at: usize,
) -> Result<Collection<'d>> {
    let a = with.eval(left, scope)?;
    let b = with.eval(right, scope)?;
    with.step(at, a.len().saturating_mul(b.len()).min(1_000_000))?;
    let d = with.definitions;
    let truth = |value: Option<bool>| Ok(value.map(Item::Boolean).into_iter().collect());
    match operator {
        B::Union => {
            let mut all = a;
            all.extend(b);
            Ok(distinct(all, d))
        }
        B::Equal => truth(equal_all(&a, &b, d)),
        B::NotEqual => truth(equal_all(&a, &b, d).map(|e| !e)),
        B::Equivalent => truth(Some(equivalent_all(&a, &b, d))),
        B::NotEquivalent => truth(Some(!equivalent_all(&a, &b, d))),
        B::Less | B::Greater | B::LessOrEqual | B::GreaterOrEqual => {
            let (Some(x), Some(y)) = (with.single(&a, at)?, with.single(&b, at)?) else { return Ok(vec![]) };
            truth(order(with, x, y, at)?.map(|o| match operator {
                B::Less => o.is_lt(),
                B::Greater => o.is_gt(),
                B::LessOrEqual => o.is_le(),
                _ => o.is_ge(),
            }))
        }
        B::In | B::Contains => {
            let (one, many) = if operator == B::In { (&a, &b) } else { (&b, &a) };
            let Some(one) = with.single(one, at)? else { return Ok(vec![]) };
            truth(Some(many.iter().any(|item| equal(one, item, d) == Some(true))))
        }
        B::And | B::Or | B::Xor | B::Implies => {
            let (x, y) = (with.boolean(&a, at)?, with.boolean(&b, at)?);
            truth(logic(operator, x, y))
        }
        B::Concatenate => {
            let (x, y) = (with.string(&a, at)?, with.string(&b, at)?);
            Ok(vec![Item::text(format!("{}{}", x.as_deref().unwrap_or(""), y.as_deref().unwrap_or("")))])
        }
        _ => {
            let (Some(x), Some(y)) = (with.single(&a, at)?, with.single(&b, at)?) else { return Ok(vec![]) };
            Ok(arithmetic(operator, &x.system(d), &y.system(d), at)?.into_iter().collect())
        }
    }
}

fn logic(operator: B, x: Option<bool>, y: Option<bool>) -> Option<bool> {
    match (operator, x, y) {
        (B::And, Some(false), _) | (B::And, _, Some(false)) => Some(false),
        (B::And, Some(true), Some(true)) => Some(true),
        (B::Or, Some(true), _) | (B::Or, _, Some(true)) => Some(true),
        (B::Or, Some(false), Some(false)) => Some(false),
        (B::Xor, Some(x), Some(y)) => Some(x != y),
        (B::Implies, Some(false), _) | (B::Implies, _, Some(true)) => Some(true),
        (B::Implies, Some(true), y) => y,
        _ => None,
    }
}

fn arithmetic<'d>(operator: B, x: &Item<'d>, y: &Item<'d>, at: usize) -> Result<Option<Item<'d>>> {
    if let (Item::Integer(x), Item::Integer(y)) = (x, y) {
        return Ok(match operator {
            B::Add => x.checked_add(*y).map(Item::Integer),
            B::Subtract => x.checked_sub(*y).map(Item::Integer),
            B::Multiply => x.checked_mul(*y).map(Item::Integer),
            B::Div => x.checked_div(*y).map(Item::Integer),
            B::Mod => x.checked_rem(*y).map(Item::Integer),
            _ => Number::whole(*x).divide(Number::whole(*y)).map(Item::Decimal),
        });
    }
    if let (Some(x), Some(y)) = (number(x), number(y)) {
        return Ok(match operator {
            B::Add => x.plus(y).map(Item::Decimal),
            B::Subtract => x.subtract(y).map(Item::Decimal),
            B::Multiply => x.multiply(y).map(Item::Decimal),
            B::Div => x.whole_quotient(y).and_then(|i| i64::try_from(i).ok()).map(Item::Integer),
            B::Mod => x.modulo(y).map(|n| Item::Decimal(n.short())),
            _ => x.divide(y).map(Item::Decimal),
        });
    }
    match (operator, x, y) {
        (B::Add, Item::String(x), Item::String(y)) => Ok(Some(Item::text(format!("{x}{y}")))),
        (B::Add | B::Subtract, Item::Moment(moment), Item::Quantity(q)) => {
            let amount = i64::try_from(q.value.truncate()).unwrap_or(i64::MAX);
            let amount = if operator == B::Add { amount } else { amount.saturating_neg() };
            match moment.plus(amount, &q.unit) {
                Some(moment) => Ok(Some(Item::Moment(moment))),
                None => fail(at, format!("{q} cannot be added to {moment}")),
            }
        }
        (B::Add | B::Subtract, Item::Quantity(x), Item::Quantity(y)) => {
            Ok(x.plus(y, operator == B::Subtract).map(Item::Quantity))
        }
        (B::Multiply | B::Divide, x, y) => match (as_quantity(x), as_quantity(y)) {
            (Some(x), Some(y)) => Ok(x.times(&y, operator == B::Divide).map(Item::Quantity)),
            _ => fail(at, "these cannot be multiplied or divided"),
        },
        _ => fail(at, "the operator is not defined for these types"),
    }
}

pub(super) fn number(item: &Item<'_>) -> Option<Number> {
    match item {
        Item::Integer(i) => Some(Number::whole(*i)),
        Item::Decimal(n) => Some(*n),
        _ => None,
    }
}

pub(super) fn as_quantity(item: &Item<'_>) -> Option<Quantity> {
    match item {
        Item::Quantity(q) => Some(q.clone()),
        other => number(other).map(|n| Quantity::of(n, "1")),
    }
}

/// A string that is compared with a moment is read as one.
fn order<'d>(with: &Evaluator<'_, 'd>, x: &Item<'d>, y: &Item<'d>, at: usize) -> Result<Option<Ordering>> {
    let (x, y) = (x.system(with.definitions), y.system(with.definitions));
    if let (Some(x), Some(y)) = (number(&x), number(&y)) {
        return Ok(Some(x.cmp(&y)));
    }
    match (&x, &y) {
        (Item::String(x), Item::String(y)) => Ok(Some(x.cmp(y))),
        (Item::Moment(x), Item::Moment(y)) if (x.kind == MomentKind::Time) == (y.kind == MomentKind::Time) => {
            Ok(x.compare(y))
        }
        (Item::Quantity(_), _) | (_, Item::Quantity(_)) => match (as_quantity(&x), as_quantity(&y)) {
            (Some(x), Some(y)) => Ok(x.compare(&y, false)),
            _ => fail(at, "these types have no order"),
        },
        _ => fail(at, "these types have no order"),
    }
}

/// Which of two items comes first when sorted.
pub(super) fn sorted<'d>(with: &Evaluator<'_, 'd>, x: &[Item<'d>], y: &[Item<'d>]) -> Ordering {
    match (x.first(), y.first()) {
        (Some(x), Some(y)) => order(with, x, y, 0).ok().flatten().unwrap_or(Ordering::Equal),
        (x, y) => x.is_some().cmp(&y.is_some()),
    }
}

fn equal_all(a: &[Item<'_>], b: &[Item<'_>], d: &Definitions) -> Option<bool> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    if a.len() != b.len() {
        return Some(false);
    }
    let mut result = Some(true);
    for (a, b) in a.iter().zip(b) {
        match equal(a, b, d) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => result = None,
        }
    }
    result
}

/// Equality of two items (N1, section 6.1).
pub(super) fn equal(a: &Item<'_>, b: &Item<'_>, d: &Definitions) -> Option<bool> {
    let (a, b) = (a.system(d), b.system(d));
    if let (Some(a), Some(b)) = (number(&a), number(&b)) {
        return Some(a == b);
    }
    match (&a, &b) {
        (Item::Boolean(a), Item::Boolean(b)) => Some(a == b),
        (Item::String(a), Item::String(b)) => Some(a == b),
        (Item::Moment(a), Item::Moment(b)) => {
            if (a.kind == MomentKind::Time) != (b.kind == MomentKind::Time) {
                return Some(false);
            }
            a.compare(b).map(Ordering::is_eq)
        }
        (Item::Quantity(a), Item::Quantity(b)) => a.compare(b, false).map(Ordering::is_eq),
        (Item::Quantity(q), other) | (other, Item::Quantity(q)) => {
            as_quantity(other).map_or(Some(false), |other| q.compare(&other, false).map(Ordering::is_eq))
        }
        (Item::Type(n, a), Item::Type(m, b)) => Some(n == m && a == b),
        (Item::Node(a), Item::Node(b)) => Some(same_node(a, b)),
        _ => Some(false),
    }
}

fn same_node(a: &Node<'_>, b: &Node<'_>) -> bool {
    if let (NodeType::Primitive(_), NodeType::Complex(_)) | (NodeType::Complex(_), NodeType::Primitive(_)) =
        (a.kind, b.kind)
    {
        return false;
    }
    match (a.value.or(a.extra), b.value.or(b.extra)) {
        (Some(a), Some(b)) => same(a, b),
        _ => false,
    }
}

/// Whether two JSON values say the same, whatever the order of their keys.
fn same(a: Value<'_>, b: Value<'_>) -> bool {
    match (a.kind(), b.kind()) {
        (Kind::Object, Kind::Object) => {
            a.entries().count() == b.entries().count()
                && a.entries().all(|(key, value)| b.get(&key).is_some_and(|other| same(value, other)))
        }
        (Kind::Array, Kind::Array) => {
            a.items().count() == b.items().count() && a.items().zip(b.items()).all(|(a, b)| same(a, b))
        }
        (Kind::Number, Kind::Number) => {
            match (a.as_number().and_then(Number::parse), b.as_number().and_then(Number::parse)) {
                (Some(a), Some(b)) => a == b,
                _ => a.raw() == b.raw(),
            }
        }
        (Kind::String, Kind::String) => a.as_str() == b.as_str(),
        (x, y) => x == y && a.raw() == b.raw(),
    }
}

fn equivalent_all(a: &[Item<'_>], b: &[Item<'_>], d: &Definitions) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut left: Vec<&Item<'_>> = b.iter().collect();
    a.iter().all(|a| match left.iter().position(|b| equivalent(a, b, d)) {
        Some(i) => {
            left.swap_remove(i);
            true
        }
        None => false,
    })
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn equivalent(a: &Item<'_>, b: &Item<'_>, d: &Definitions) -> bool {
    let (a, b) = (a.system(d), b.system(d));
    match (&a, &b) {
        (Item::String(a), Item::String(b)) => folded(a) == folded(b),
        (Item::Quantity(a), Item::Quantity(b)) => a.compare(b, true).is_some_and(Ordering::is_eq),
        (Item::Node(a), Item::Node(b)) => {
            let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
            a.children(None, d, &mut of_a);
            b.children(None, d, &mut of_b);
            if of_a.is_empty() && of_b.is_empty() { same_node(a, b) } else { equivalent_all(&of_a, &of_b, d) }
        }
        _ => match (number(&a), number(&b)) {
            (Some(a), Some(b)) => {
                let digits = a.short().scale.min(b.short().scale);
                a.round(digits) == b.round(digits)
            }
            _ => equal(&a, &b, d) == Some(true),
        },
    }
}

/// Each value once, where all of them are strings: in linear time.
pub(super) fn distinct_texts<'d>(values: &[Item<'d>], d: &Definitions) -> Option<Collection<'d>> {
    let mut seen = rustc_hash::FxHashSet::default();
    let mut out = Vec::with_capacity(values.len());
    for value in values {
        let Item::String(text) = value.system(d) else { return None };
        if seen.insert(text) {
            out.push(value.clone());
        }
    }
    Some(out)
}

/// Each value once, in the order of their first.
pub(super) fn distinct<'d>(values: Collection<'d>, d: &Definitions) -> Collection<'d> {
    let mut out: Collection<'d> = Vec::with_capacity(values.len());
    for value in values {
        if !out.iter().any(|known| equal(known, &value, d) == Some(true)) {
            out.push(value);
        }
    }
    out
}
