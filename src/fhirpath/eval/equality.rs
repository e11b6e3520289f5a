//! Equality and equivalence (FHIRPath N1, sections 6.1.1 and 6.1.3), and sets of values by equality. What has a key is
//! looked up; amounts and moments, which are equal in more ways than one, are compared with each other. All of it
//! counts as steps.

use super::operators::{as_quantity, number};
use super::{Collection, Evaluator, Item, Moment, MomentKind, Node, NodeType, Number, Quantity, Result};
use crate::definitions::Definitions;
use crate::json::{Kind, Value};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Entries of an object from which on a table is made of them.
const MANY: usize = 16;
/// Steps that two amounts count as: their units are read.
const AMOUNT: usize = 4;

/// The steps that looking at an item counts as, beside the one of the comparison.
fn weight(item: &Item<'_>) -> usize {
    match item {
        Item::String(text) => text.len() / 64,
        Item::Quantity(quantity) => AMOUNT + quantity.unit.len() / 4,
        Item::Node(node) => node.value.or(node.extra).map_or(0, |v| v.size() / 4 + v.raw().len() / 64),
        _ => 0,
    }
}

/// Equality of two collections.
pub(super) fn equal_all<'d>(
    with: &Evaluator<'_, 'd>,
    a: &[Item<'d>],
    b: &[Item<'d>],
    at: usize,
) -> Result<Option<bool>> {
    if a.is_empty() || b.is_empty() {
        return Ok(None);
    }
    if a.len() != b.len() {
        return Ok(Some(false));
    }
    let mut result = Some(true);
    for (a, b) in a.iter().zip(b) {
        with.step(at, weight(a) + weight(b))?;
        match equal(a, b, with.definitions) {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => result = None,
        }
    }
    Ok(result)
}

/// Whether an item equals one of many.
pub(super) fn is_one_of<'d>(with: &Evaluator<'_, 'd>, one: &Item<'d>, many: &[Item<'d>], at: usize) -> Result<bool> {
    let d = with.definitions;
    let one = one.system(d);
    for item in many {
        with.step(at, weight(item) + if matches!(item, Item::String(_)) { 0 } else { weight(&one) })?;
        if equal(&one, item, d) == Some(true) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Equality of two items (N1, section 6.1).
fn equal(a: &Item<'_>, b: &Item<'_>, d: &Definitions) -> Option<bool> {
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
            let (count, other) = (a.entries().count(), b.entries().count());
            if count != other {
                return false;
            }
            if count < MANY {
                return a.entries().all(|(key, value)| b.get(&key).is_some_and(|other| same(value, other)));
            }
            let others: HashMap<_, _> = b.entries().collect();
            a.entries().all(|(key, value)| others.get(&key).is_some_and(|other| same(value, *other)))
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

/// Whether each item of one collection has an equivalent of its own in the other.
pub(super) fn equivalent_all<'d>(with: &Evaluator<'_, 'd>, a: &[Item<'d>], b: &[Item<'d>], at: usize) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    if a.len() > 1
        && let (Some(mut x), Some(mut y)) = (all_folded(with, a, at)?, all_folded(with, b, at)?)
    {
        x.sort_unstable();
        y.sort_unstable();
        return Ok(x == y);
    }
    let mut left: Vec<&Item<'_>> = b.iter().collect();
    for a in a {
        let mut found = None;
        for (i, b) in left.iter().enumerate() {
            if equivalent(with, a, b, at)? {
                found = Some(i);
                break;
            }
        }
        match found {
            Some(i) => left.swap_remove(i),
            None => return Ok(false),
        };
    }
    Ok(true)
}

fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The texts as equivalence compares them; none where not all are strings.
fn all_folded<'d>(with: &Evaluator<'_, 'd>, items: &[Item<'d>], at: usize) -> Result<Option<Vec<String>>> {
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let Item::String(text) = item.system(with.definitions) else { return Ok(None) };
        with.step(at, text.len() / 16)?;
        texts.push(folded(&text));
    }
    Ok(Some(texts))
}

fn equivalent<'d>(with: &Evaluator<'_, 'd>, a: &Item<'d>, b: &Item<'d>, at: usize) -> Result<bool> {
    let d = with.definitions;
    with.step(at, weight(a) + weight(b))?;
    let (a, b) = (a.system(d), b.system(d));
    Ok(match (&a, &b) {
        (Item::String(a), Item::String(b)) => {
            with.step(at, (a.len() + b.len()) / 16)?;
            folded(a) == folded(b)
        }
        (Item::Quantity(a), Item::Quantity(b)) => a.compare(b, true).is_some_and(Ordering::is_eq),
        (Item::Node(a), Item::Node(b)) => {
            let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
            a.children(None, d, &mut of_a);
            b.children(None, d, &mut of_b);
            match of_a.is_empty() && of_b.is_empty() {
                true => same_node(a, b),
                false => equivalent_all(with, &of_a, &of_b, at)?,
            }
        }
        _ => match (number(&a), number(&b)) {
            (Some(a), Some(b)) => {
                let digits = a.short().scale.min(b.short().scale);
                a.round(digits) == b.round(digits)
            }
            _ => equal(&a, &b, d) == Some(true),
        },
    })
}

/// What equal values have in common. For moments and quantities only a first look: others may equal them too.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Boolean(bool),
    Number(i128, u32),
    Text(Rc<str>),
    Type(&'static str, Rc<str>),
    Moment(Moment),
    Quantity(i128, u32, Rc<str>, bool),
    /// The JSON of a node with its keys in order; whether it is a primitive.
    Node(bool, String),
}

/// The key of an item that `system` gave; none of a node without any content, which equals nothing.
fn key(item: &Item<'_>) -> Option<Key> {
    Some(match item {
        Item::Boolean(b) => Key::Boolean(*b),
        Item::Integer(_) | Item::Decimal(_) => {
            let n = number(item)?.short();
            Key::Number(n.mantissa, n.scale)
        }
        Item::String(text) => Key::Text(text.clone()),
        Item::Type(namespace, name) => Key::Type(namespace, name.clone()),
        Item::Moment(moment) => Key::Moment(moment.clone()),
        Item::Quantity(q) => {
            let n = q.value.short();
            Key::Quantity(n.mantissa, n.scale, q.unit.clone(), q.calendar)
        }
        Item::Node(node) => {
            let mut text = String::new();
            canonical(node.value.or(node.extra)?, &mut text);
            Key::Node(matches!(node.kind, NodeType::Primitive(_)), text)
        }
    })
}

/// Writes a value so that values that say the same are written the same.
fn canonical(value: Value<'_>, out: &mut String) {
    match value.kind() {
        Kind::Object => {
            let mut entries: Vec<_> = value.entries().collect();
            entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            out.push('{');
            for (key, value) in entries {
                crate::json::escape_into(&key, out);
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Kind::Array => {
            out.push('[');
            for item in value.items() {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        Kind::Number => match Number::parse(value.raw()).map(Number::short) {
            Some(n) => out.push_str(&format!("{}e-{}", n.mantissa, n.scale)),
            None => out.push_str(value.raw()),
        },
        Kind::String => {
            crate::json::escape_into(&value.as_str().unwrap_or_default(), out);
        }
        Kind::Null | Kind::Bool => out.push_str(value.raw()),
    }
}

/// A set of values by equality.
#[derive(Default)]
pub(super) struct Values {
    keys: HashSet<Key>,
    numbers: Vec<Number>,
    quantities: Vec<Quantity>,
    /// What the units of the quantities weigh.
    units: usize,
    moments: Vec<Moment>,
}

impl Values {
    /// The set of some values.
    pub(super) fn of<'d>(with: &Evaluator<'_, 'd>, values: &[Item<'d>], at: usize) -> Result<Values> {
        let mut all = Values::default();
        for value in values {
            all.insert(with, value, at)?;
        }
        Ok(all)
    }

    /// Whether one of the values equals an item.
    pub(super) fn holds<'d>(&self, with: &Evaluator<'_, 'd>, item: &Item<'d>, at: usize) -> Result<bool> {
        with.step(at, weight(item))?;
        let item = item.system(with.definitions);
        Ok(match key(&item) {
            Some(key) => self.keys.contains(&key) || self.compared(with, &item, at)?,
            None => false,
        })
    }

    /// Puts an item in; whether none of the values equalled it.
    pub(super) fn insert<'d>(&mut self, with: &Evaluator<'_, 'd>, item: &Item<'d>, at: usize) -> Result<bool> {
        with.step(at, weight(item))?;
        let item = item.system(with.definitions);
        let Some(key) = key(&item) else { return Ok(true) };
        if self.keys.contains(&key) || self.compared(with, &item, at)? {
            return Ok(false);
        }
        self.keys.insert(key);
        match item {
            Item::Moment(moment) => self.moments.push(moment),
            Item::Quantity(quantity) => {
                self.units += quantity.unit.len() / 4;
                self.quantities.push(quantity);
            }
            other => self.numbers.extend(number(&other)),
        }
        Ok(true)
    }

    /// Whether one of those that keys do not tell apart equals an item.
    fn compared(&self, with: &Evaluator<'_, '_>, item: &Item<'_>, at: usize) -> Result<bool> {
        let amounts = |quantity: &Quantity| -> Result<bool> {
            let each = AMOUNT + quantity.unit.len() / 4;
            with.step(at, self.quantities.len().saturating_mul(each).saturating_add(self.units))?;
            Ok(self.quantities.iter().any(|q| q.compare(quantity, false).is_some_and(Ordering::is_eq)))
        };
        match item {
            Item::Integer(_) | Item::Decimal(_) if !self.quantities.is_empty() => {
                as_quantity(item).map_or(Ok(false), |q| amounts(&q))
            }
            Item::Quantity(quantity) => {
                if amounts(quantity)? {
                    return Ok(true);
                }
                let each = AMOUNT + quantity.unit.len() / 4;
                with.step(at, self.numbers.len().saturating_mul(each))?;
                let mut all = self.numbers.iter().map(|n| Quantity::of(*n, "1"));
                Ok(all.any(|n| quantity.compare(&n, false).is_some_and(Ordering::is_eq)))
            }
            Item::Moment(moment) => {
                with.step(at, self.moments.len())?;
                let time = moment.kind == MomentKind::Time;
                let mut alike = self.moments.iter().filter(|m| (m.kind == MomentKind::Time) == time);
                Ok(alike.any(|m| m.compare(moment).is_some_and(Ordering::is_eq)))
            }
            _ => Ok(false),
        }
    }
}

/// Each value once, in the order of their first.
pub(super) fn distinct<'d>(with: &Evaluator<'_, 'd>, values: Collection<'d>, at: usize) -> Result<Collection<'d>> {
    let mut known = Values::default();
    let mut out: Collection<'d> = Vec::with_capacity(values.len());
    for value in values {
        if known.insert(with, &value, at)? {
            out.push(value);
        }
    }
    Ok(out)
}
