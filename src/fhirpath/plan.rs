//! Plans: the branches of many expressions as one tree of properties, so that a document is walked once for all of
//! them. Values are borrowed from the document; nothing is allocated on the way.

use super::ast::Literal;
use super::compile::Branch;
use crate::json::{Kind, Value};
use crate::primitive::Reference;

/// One step of a branch.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// To the values of this JSON property.
    Property(Box<str>),
    /// On only where this is true of the value.
    Guard(Predicate),
    /// On only with the value of this index.
    Item(usize),
}

/// A condition on a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Predicate {
    /// Always or never.
    Constant(bool),
    /// There is a value at the end of one of these paths.
    Exists(Vec<Vec<Step>>),
    /// There are values at the end of these paths, and they equal the literal (or, if not `equal`, differ from it).
    Compare {
        /// The paths.
        paths: Vec<Vec<Step>>,
        /// A string or a boolean.
        value: Literal,
        /// `=` or `!=`
        equal: bool,
    },
    /// The value is an extension with this url.
    Url(Box<str>),
    /// The value is a reference to a resource of this type, as far as the reference itself tells.
    Refers(Box<str>),
    /// The opposite.
    Not(Box<Predicate>),
    /// Both.
    And(Box<(Predicate, Predicate)>),
    /// At least one.
    Or(Box<(Predicate, Predicate)>),
}

/// What a plan finds.
#[derive(Clone, Copy)]
pub enum Found<'d> {
    /// A value of the document.
    Value(Value<'d>),
    /// The result of a condition.
    Boolean(bool),
}

/// Branches of many expressions, each with what to do with its values.
#[derive(Debug)]
pub struct Plan<A> {
    nodes: Vec<Node<A>>,
}

#[derive(Debug)]
struct Node<A> {
    actions: Vec<A>,
    conditions: Vec<(Predicate, A)>,
    edges: Vec<Edge>,
}

#[derive(Debug)]
struct Edge {
    /// Length and first byte of the property: most keys are told apart by these.
    mark: (usize, u8),
    property: Box<str>,
    ways: Vec<Way>,
}

/// Where an edge leads; gates are guards and indexes.
#[derive(Debug)]
struct Way {
    gates: Vec<Step>,
    node: usize,
}

impl<A> Default for Plan<A> {
    fn default() -> Self {
        Plan { nodes: vec![Node::new()] }
    }
}

impl<A> Node<A> {
    fn new() -> Self {
        Node { actions: Vec::new(), conditions: Vec::new(), edges: Vec::new() }
    }
}

impl<A> Plan<A> {
    /// Adds a branch. Guards before the first property are not supported and make it stay out (`false`).
    pub fn add(&mut self, branch: &Branch, action: A) -> bool {
        let mut node = 0;
        let mut steps = branch.steps.as_slice();
        while let [first, rest @ ..] = steps {
            let Step::Property(property) = first else { return false };
            let end = rest.iter().position(|step| matches!(step, Step::Property(_))).unwrap_or(rest.len());
            let (gates, next) = rest.split_at(end);
            node = self.way(node, property, gates);
            steps = next;
        }
        match &branch.condition {
            Some(condition) => self.nodes[node].conditions.push((condition.clone(), action)),
            None => self.nodes[node].actions.push(action),
        }
        true
    }

    /// Whether there is nothing to find.
    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1 && self.nodes[0].actions.is_empty() && self.nodes[0].conditions.is_empty()
    }

    fn way(&mut self, node: usize, property: &str, gates: &[Step]) -> usize {
        let new = self.nodes.len();
        let edges = &mut self.nodes[node].edges;
        let edge = match edges.iter().position(|edge| &*edge.property == property) {
            Some(i) => &mut edges[i],
            None => {
                edges.push(Edge { mark: mark(property), property: property.into(), ways: Vec::new() });
                let last = edges.len() - 1;
                &mut edges[last]
            }
        };
        if let Some(way) = edge.ways.iter().find(|way| way.gates == gates) {
            return way.node;
        }
        edge.ways.push(Way { gates: gates.to_vec(), node: new });
        self.nodes.push(Node::new());
        new
    }

    /// Walks a value and tells each value found at the end of a branch, in the order of the document.
    pub fn walk<'p, 'd>(&'p self, value: Value<'d>, found: &mut impl FnMut(&'p A, Found<'d>)) {
        self.walk_from(&self.nodes[0], value, found);
    }

    fn walk_from<'p, 'd>(&'p self, node: &'p Node<A>, value: Value<'d>, found: &mut impl FnMut(&'p A, Found<'d>)) {
        for action in &node.actions {
            found(action, Found::Value(value));
        }
        for (condition, action) in &node.conditions {
            found(action, Found::Boolean(condition.holds(value)));
        }
        if node.edges.is_empty() {
            return;
        }
        for (key, child) in value.entries() {
            let mark = mark(&key);
            let is = |edge: &&Edge| edge.mark == mark && *edge.property == *key;
            let Some(edge) = node.edges.iter().find(is) else { continue };
            for way in &edge.ways {
                let next = &self.nodes[way.node];
                each_through(child, &way.gates, &mut |item| {
                    self.walk_from(next, item, found);
                    false
                });
            }
        }
    }
}

fn mark(property: &str) -> (usize, u8) {
    (property.len(), property.as_bytes().first().copied().unwrap_or_default())
}

/// The items that pass the gates, until `until` says true; whether it did.
fn each_through<'d>(values: Value<'d>, gates: &[Step], until: &mut dyn FnMut(Value<'d>) -> bool) -> bool {
    // Of an index only its place among the gates counts: how many have come so far.
    let index = gates.iter().position(|gate| matches!(gate, Step::Item(_)));
    let mut count = 0;
    'items: for item in values.each().filter(|item| !item.is_null()) {
        for (i, gate) in gates.iter().enumerate() {
            match gate {
                Step::Guard(guard) if !guard.holds(item) => continue 'items,
                Step::Item(wanted) if Some(i) == index => {
                    count += 1;
                    if count - 1 != *wanted {
                        continue 'items;
                    }
                }
                _ => {}
            }
        }
        if until(item) {
            return true;
        }
    }
    false
}

/// The values at the end of a path, until `until` says true; whether it did.
fn each_at<'d>(value: Value<'d>, steps: &[Step], until: &mut dyn FnMut(Value<'d>) -> bool) -> bool {
    let [first, rest @ ..] = steps else { return until(value) };
    let Step::Property(property) = first else { return false };
    let end = rest.iter().position(|step| matches!(step, Step::Property(_))).unwrap_or(rest.len());
    let (gates, next) = rest.split_at(end);
    let Some(child) = value.get(property) else { return false };
    each_through(child, gates, &mut |item| each_at(item, next, until))
}

impl Predicate {
    /// Whether it is true of a value. Nothing counts as false, as it does in `where` (FHIRPath N1, 5.2.1).
    pub fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Predicate::Constant(value) => *value,
            Predicate::Exists(paths) => paths.iter().any(|path| each_at(value, path, &mut |_| true)),
            Predicate::Compare { paths, value: wanted, equal } => {
                let mut some = false;
                let other = paths.iter().any(|path| {
                    each_at(value, path, &mut |found| {
                        some = true;
                        is_literal(found, wanted) != *equal
                    })
                });
                some && !other
            }
            Predicate::Url(url) => value.get("url").and_then(Value::as_str).is_some_and(|own| *own == **url),
            Predicate::Refers(kind) => refers(value, kind),
            Predicate::Not(inner) => !inner.holds(value),
            Predicate::And(both) => both.0.holds(value) && both.1.holds(value),
            Predicate::Or(both) => both.0.holds(value) || both.1.holds(value),
        }
    }
}

fn is_literal(value: Value<'_>, literal: &Literal) -> bool {
    match literal {
        Literal::String(text) => value.as_str().is_some_and(|own| *own == **text),
        Literal::Boolean(truth) => value.as_bool() == Some(*truth),
        _ => false,
    }
}

/// Whether a Reference or canonical points to a type: by its text, else by its `type` (R4 references.html#Reference).
fn refers(value: Value<'_>, kind: &str) -> bool {
    let text = if value.kind() == Kind::Object { value.get("reference") } else { Some(value) };
    if let Some(text) = text.and_then(Value::as_str)
        && let Reference::Relative { kind: own, .. }
        | Reference::Absolute { kind: own, .. }
        | Reference::Conditional { kind: own, .. } = Reference::parse(&text)
    {
        return own == kind;
    }
    let own = value.get("type").and_then(Value::as_str);
    own.is_some_and(|own| own.rsplit('/').next() == Some(kind))
}
