//! Operators with two operands (FHIRPath N1, section 6): order, logic of three values, arithmetic. Equality is in
//! `equality`; precedence is the parser's affair.

use super::equality::{distinct, equal_all, equivalent_all, is_one_of};
use super::{Collection, Evaluator, Item, MomentKind, Number, Quantity, Result, Scope, fail};
use crate::fhirpath::ast::{BinaryOperator as B, Expression};
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
    let d = with.definitions;
    let truth = |value: Option<bool>| Ok(value.map(Item::Boolean).into_iter().collect());
    match operator {
        B::Union => {
            let mut all = a;
            all.extend(b);
            distinct(with, all, at)
        }
        B::Equal => truth(equal_all(with, &a, &b, at)?),
        B::NotEqual => truth(equal_all(with, &a, &b, at)?.map(|e| !e)),
        B::Equivalent => truth(Some(equivalent_all(with, &a, &b, at)?)),
        B::NotEquivalent => truth(Some(!equivalent_all(with, &a, &b, at)?)),
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
            truth(Some(is_one_of(with, one, many, at)?))
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
