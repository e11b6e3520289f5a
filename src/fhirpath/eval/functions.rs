//! The functions on collections (FHIRPath N1, section 5; R4 fhirpath.html#functions). Those on single values are in
//! `scalar`.

mod boundary;
mod scalar;

use super::equality::{Values, distinct};
use super::operators::sorted;
use super::{Collection, Evaluator, Item, Node, NodeType, Result, Scope, fail};
use crate::fhirpath::ast::{Expression, ExpressionKind as K, TypeSpecifier};
use std::rc::Rc;

/// A call: the function, its arguments, and where it stands.
struct Call<'c, 'e, 'd> {
    with: &'c Evaluator<'e, 'd>,
    arguments: &'c [Expression],
    scope: &'c Scope<'d>,
    at: usize,
}

pub(super) fn call<'d>(
    with: &Evaluator<'_, 'd>,
    focus: Collection<'d>,
    name: &str,
    arguments: &[Expression],
    scope: &Scope<'d>,
    at: usize,
) -> Result<Collection<'d>> {
    let most = match name {
        "iif" => 3,
        "aggregate" | "trace" | "replace" | "replaceMatches" | "substring" => 2,
        "sort" => 100,
        _ => 1,
    };
    if arguments.len() > most {
        return fail(at, format!("{name}() takes no more than {most} arguments"));
    }
    let call = Call { with, arguments, scope, at };
    if let Some(result) = call.filtering(&focus, name)? {
        return Ok(result);
    }
    match call.combining(&focus, name)? {
        Some(result) => Ok(result),
        None => scalar::call(&call, &focus, name),
    }
}

fn one<'d>(value: bool) -> Result<Option<Collection<'d>>> {
    Ok(Some(vec![Item::Boolean(value)]))
}

/// A type that is written as an argument.
fn specifier(argument: &Expression) -> Option<TypeSpecifier> {
    match &argument.kind {
        K::Member { of: None, name } => Some(TypeSpecifier { namespace: None, name: name.clone() }),
        K::Member { of: Some(of), name } => match &of.kind {
            K::Member { of: None, name: namespace } => {
                Some(TypeSpecifier { namespace: Some(namespace.clone()), name: name.clone() })
            }
            _ => None,
        },
        _ => None,
    }
}

impl<'d> Call<'_, '_, 'd> {
    fn argument(&self, i: usize) -> Result<&Expression> {
        match self.arguments.get(i) {
            Some(argument) => Ok(argument),
            None => fail(self.at, "an argument is missing"),
        }
    }

    /// An argument evaluated where the call stands.
    fn values(&self, i: usize) -> Result<Collection<'d>> {
        self.with.eval(self.argument(i)?, self.scope)
    }

    /// An argument evaluated for one item.
    fn of(&self, i: usize, item: &Item<'d>, index: usize) -> Result<Collection<'d>> {
        let scope = Scope {
            context: self.scope.context.clone(),
            this: vec![item.clone()],
            index: Some(index as i64),
            total: self.scope.total.clone(),
        };
        self.with.eval(self.argument(i)?, &scope)
    }

    fn holds(&self, item: &Item<'d>, index: usize) -> Result<bool> {
        let values = self.of(0, item, index)?;
        Ok(self.with.boolean(&values, self.at)? == Some(true))
    }

    fn matching(&self, focus: &[Item<'d>]) -> Result<Collection<'d>> {
        let mut out = Vec::new();
        for (i, item) in focus.iter().enumerate() {
            if self.holds(item, i)? {
                out.push(item.clone());
            }
        }
        Ok(out)
    }

    /// What an argument gives for each item, one after the other.
    fn projected(&self, i: usize, focus: &[Item<'d>]) -> Result<Collection<'d>> {
        let mut out = Vec::new();
        for (index, item) in focus.iter().enumerate() {
            out.extend(self.of(i, item, index)?);
        }
        Ok(out)
    }

    fn count(&self) -> Result<usize> {
        Ok(self.with.integer(&self.values(0)?, self.at)?.map_or(0, |n| usize::try_from(n).unwrap_or(0)))
    }

    fn type_argument(&self) -> Result<TypeSpecifier> {
        let argument = self.argument(0)?;
        let Some(found) = specifier(argument) else { return fail(argument.at, "the name of a type is expected") };
        let known = self.with.definitions.type_named(&found.name).is_some()
            || crate::primitive::Primitive::named(&found.name).is_some()
            || matches!(&*found.name, "Boolean" | "Integer" | "Decimal" | "String" | "Date" | "DateTime" | "Time")
            || matches!(&*found.name, "Quantity" | "Element" | "BackboneElement" | "Resource" | "DomainResource");
        if known { Ok(found) } else { fail(argument.at, format!("there is no type {}", found.name)) }
    }

    /// Existence, filtering and projection, subsetting.
    fn filtering(&self, focus: &[Item<'d>], name: &str) -> Result<Option<Collection<'d>>> {
        let d = self.with.definitions;
        Ok(Some(match name {
            "empty" => return one(focus.is_empty()),
            "exists" if self.arguments.is_empty() => return one(!focus.is_empty()),
            "exists" => return one(!self.matching(focus)?.is_empty()),
            "all" => return one(self.matching(focus)?.len() == focus.len()),
            "not" => match self.with.boolean(focus, self.at)? {
                Some(b) => vec![Item::Boolean(!b)],
                None => vec![],
            },
            "allTrue" | "anyTrue" | "allFalse" | "anyFalse" => {
                let mut hits = 0;
                for item in focus {
                    match item.system(d) {
                        Item::Boolean(b) => hits += usize::from(b == name.ends_with("True")),
                        _ => return fail(self.at, "booleans are expected"),
                    }
                }
                return one(if name.starts_with("all") { hits == focus.len() } else { hits > 0 });
            }
            "count" => vec![Item::Integer(focus.len() as i64)],
            "where" => self.matching(focus)?,
            "select" => self.projected(0, focus)?,
            "repeat" => self.repeat(focus)?,
            "ofType" => {
                let of = self.type_argument()?;
                focus.iter().filter(|item| self.with.is(item, &of)).cloned().collect()
            }
            "as" => {
                let of = self.type_argument()?;
                if !self.with.lenient {
                    self.with.single(focus, self.at)?;
                }
                // Unlike `is`, `as` wants the very type of a primitive: a code is not taken as a string.
                let derived = |item: &Item<'d>| match item {
                    Item::Node(Node { kind: NodeType::Primitive(_), .. }) => item.type_name(d).1 != of.name,
                    _ => false,
                };
                focus.iter().filter(|item| self.with.is(item, &of) && !derived(item)).cloned().collect()
            }
            "is" => {
                let of = self.type_argument()?;
                let item = self.with.single(focus, self.at)?;
                item.map(|item| Item::Boolean(self.with.is(item, &of))).into_iter().collect()
            }
            "single" => self.with.single(focus, self.at)?.cloned().into_iter().collect(),
            "first" => focus.first().cloned().into_iter().collect(),
            "last" => focus.last().cloned().into_iter().collect(),
            "tail" => focus.iter().skip(1).cloned().collect(),
            "skip" => focus.iter().skip(self.count()?).cloned().collect(),
            "take" => focus.iter().take(self.count()?).cloned().collect(),
            "children" => self.children(focus),
            "descendants" => {
                let mut out = self.children(focus);
                let mut at = 0;
                while let Some(item) = out.get(at).cloned() {
                    out.extend(self.children(&[item]));
                    self.with.step(self.at, 1)?;
                    at += 1;
                }
                out
            }
            "extension" => {
                let url = self.with.string(&self.values(0)?, self.at)?;
                let mut out = Vec::new();
                for item in focus {
                    if let Item::Node(node) = item {
                        self.with.wide(node, self.at)?;
                        node.children(Some("extension"), d, &mut out);
                    }
                }
                out.retain(|item| match item {
                    Item::Node(node) => {
                        let found = node.value.and_then(|v| v.get("url")).and_then(|u| u.as_str());
                        found.is_some() && found.as_deref() == url.as_deref()
                    }
                    _ => false,
                });
                out
            }
            _ => return Ok(None),
        }))
    }

    fn children(&self, focus: &[Item<'d>]) -> Collection<'d> {
        let mut out = Vec::new();
        for item in focus {
            if let Item::Node(node) = item {
                node.children(None, self.with.definitions, &mut out);
            }
        }
        out
    }

    fn repeat(&self, focus: &[Item<'d>]) -> Result<Collection<'d>> {
        let mut out: Collection<'d> = Vec::new();
        let mut known = Values::default();
        let mut pending = focus.to_vec();
        while !pending.is_empty() {
            let mut next = Vec::new();
            for (i, item) in pending.iter().enumerate() {
                for found in self.of(0, item, i)? {
                    if known.insert(self.with, &found, self.at)? {
                        out.push(found.clone());
                        next.push(found);
                    }
                }
            }
            pending = next;
        }
        Ok(out)
    }

    /// Combining, sets, order, utility.
    fn combining(&self, focus: &[Item<'d>], name: &str) -> Result<Option<Collection<'d>>> {
        let d = self.with.definitions;
        Ok(Some(match name {
            "distinct" => distinct(self.with, focus.to_vec(), self.at)?,
            "isDistinct" => return one(distinct(self.with, focus.to_vec(), self.at)?.len() == focus.len()),
            "union" | "combine" | "intersect" | "exclude" | "subsetOf" | "supersetOf" => {
                let other = self.values(0)?;
                match name {
                    "union" => distinct(self.with, [focus, &other].concat(), self.at)?,
                    "combine" => [focus, &other].concat(),
                    "intersect" => distinct(self.with, self.among(focus, &other, true)?, self.at)?,
                    "exclude" => self.among(focus, &other, false)?,
                    "subsetOf" => return one(self.among(focus, &other, false)?.is_empty()),
                    _ => return one(self.among(&other, focus, false)?.is_empty()),
                }
            }
            "sort" => self.sort(focus)?,
            "aggregate" => {
                let mut total = if self.arguments.len() > 1 { self.values(1)? } else { vec![] };
                for (i, item) in focus.iter().enumerate() {
                    let context = self.scope.context.clone();
                    let total_before = Rc::new(total);
                    let scope = Scope { context, this: vec![item.clone()], index: Some(i as i64), total: total_before };
                    total = self.with.eval(self.argument(0)?, &scope)?;
                }
                total
            }
            "iif" => {
                self.with.single(focus, self.at)?;
                let scope = Scope { this: focus.to_vec(), ..self.scope.clone() };
                let criterion = self.with.eval(self.argument(0)?, &scope)?;
                let chosen = match self.with.single(&criterion, self.at)?.map(|c| c.system(d)) {
                    Some(Item::Boolean(true)) => 1,
                    Some(Item::Boolean(false)) | None => 2,
                    Some(_) => return fail(self.at, "the criterion is no boolean"),
                };
                match self.arguments.get(chosen) {
                    Some(argument) => self.with.eval(argument, &scope)?,
                    None => vec![],
                }
            }
            "trace" => {
                let label = self.with.string(&self.values(0)?, self.at)?;
                let projected = if self.arguments.len() > 1 { Some(self.projected(1, focus)?) } else { None };
                self.with.world.trace(label.as_deref().unwrap_or(""), projected.as_deref().unwrap_or(focus));
                focus.to_vec()
            }
            "now" => vec![Item::Moment(self.with.moment())],
            "today" => vec![Item::Moment(self.with.moment().to(super::MomentKind::Date))],
            "timeOfDay" => {
                vec![Item::Moment(super::Moment { zone: None, ..self.with.moment().to(super::MomentKind::Time) })]
            }
            _ => return Ok(None),
        }))
    }

    /// The values that equal one of others, or those that do not.
    fn among(&self, values: &[Item<'d>], others: &[Item<'d>], wanted: bool) -> Result<Collection<'d>> {
        let others = Values::of(self.with, others, self.at)?;
        let mut out = Vec::new();
        for value in values {
            if others.holds(self.with, value, self.at)? == wanted {
                out.push(value.clone());
            }
        }
        Ok(out)
    }

    /// `sort()`, by keys where there are any; a key with a minus sorts downward.
    fn sort(&self, focus: &[Item<'d>]) -> Result<Collection<'d>> {
        let mut keyed = Vec::with_capacity(focus.len());
        for (i, item) in focus.iter().enumerate() {
            let scope = Scope { this: vec![item.clone()], index: Some(i as i64), ..self.scope.clone() };
            let mut keys = Vec::new();
            for argument in self.arguments {
                keys.push(match &argument.kind {
                    K::Negate(inner) => (self.with.eval(inner, &scope)?, true),
                    _ => (self.with.eval(argument, &scope)?, false),
                });
            }
            if keys.is_empty() {
                keys.push((vec![item.clone()], false));
            }
            keyed.push((keys, item.clone()));
        }
        let rounds = keyed.len().checked_ilog2().unwrap_or(0) as usize;
        self.with.step(self.at, keyed.len().saturating_mul(rounds).saturating_mul(self.arguments.len().max(1)))?;
        keyed.sort_by(|(a, _), (b, _)| {
            a.iter()
                .zip(b)
                .map(|((a, down), (b, _))| {
                    let order = sorted(self.with, a, b);
                    if *down { order.reverse() } else { order }
                })
                .find(|order| order.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        Ok(keyed.into_iter().map(|(_, item)| item).collect())
    }
}
