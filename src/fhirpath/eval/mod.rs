//! Evaluation of whole expressions on borrowed documents (FHIRPath N1; R4 fhirpath.html). The work is bounded: steps,
//! depth and size of results. What lies outside the document is asked of [`World`].

mod convert;
mod equality;
mod functions;
mod moment;
mod number;
mod operators;
mod quantity;
mod value;

#[cfg(test)]
mod tests;

pub use moment::{Moment, MomentKind};
pub use number::Number;
pub use quantity::Quantity;
pub use value::{Collection, Item, Node, NodeType};

use super::ast::{Expression, ExpressionKind as K, Literal, TypeSpecifier};
use crate::definitions::Definitions;
use crate::json::Value;
use std::cell::Cell;
use std::rc::Rc;

/// Steps of one evaluation, or of all those of one request.
pub const STEPS: u64 = 2_000_000;
/// Values of one collection.
const LARGEST: usize = 1_000_000;
/// Levels of an expression while it is evaluated.
const DEEPEST: u32 = 200;

/// Why an evaluation failed, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvaluationError {
    /// Byte offset into the expression.
    pub at: usize,
    /// What is wrong.
    pub message: String,
}

impl std::fmt::Display for EvaluationError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at position {}", self.message, self.at)
    }
}

impl std::error::Error for EvaluationError {}

/// What lies outside the document.
pub trait World<'d> {
    /// The resource that a reference points to; where the reference stands, if it is of a document.
    fn resolve(&self, _reference: &str, _from: Option<Value<'d>>) -> Option<Node<'d>> {
        None
    }

    /// Whether a code is in a value set, where that is known.
    fn member_of(&self, _item: &Item<'d>, _value_set: &str) -> Option<bool> {
        None
    }

    /// Whether a node conforms to a profile, where that is known. What that takes is taken from the steps.
    fn conforms_to(&self, _node: &Node<'d>, _profile: &str, _steps: &mut u64) -> Option<bool> {
        None
    }

    /// Whether a narrative keeps the rules of FHIR, where that is known.
    fn html_checks(&self, _narrative: &Item<'d>) -> Option<bool> {
        None
    }

    /// Told what `trace` shows.
    fn trace(&self, _name: &str, _values: &[Item<'d>]) {}
}

/// Nothing lies outside.
pub struct Alone;

impl World<'_> for Alone {}

/// What an expression is evaluated with.
pub struct Evaluator<'e, 'd> {
    definitions: &'e Definitions,
    world: &'e dyn World<'d>,
    resource: Item<'d>,
    root: Item<'d>,
    /// Microseconds since 1970.
    now: i64,
    strict: bool,
    lenient: bool,
    steps: Cell<u64>,
    depth: Cell<u32>,
}

/// `$this`, `$index`, `$total`, and the context.
#[derive(Clone, Default)]
struct Scope<'d> {
    context: Rc<Collection<'d>>,
    this: Collection<'d>,
    index: Option<i64>,
    total: Rc<Collection<'d>>,
}

type Result<T> = std::result::Result<T, EvaluationError>;

fn fail<T>(at: usize, message: impl Into<String>) -> Result<T> {
    Err(EvaluationError { at, message: message.into() })
}

impl<'e, 'd> Evaluator<'e, 'd> {
    /// For a resource; `now` is microseconds since 1970.
    pub fn new(definitions: &'e Definitions, resource: Node<'d>, now: i64, world: &'e dyn World<'d>) -> Self {
        Evaluator {
            definitions,
            world,
            resource: Item::Node(resource),
            root: Item::Node(resource),
            now,
            strict: false,
            lenient: false,
            steps: Cell::new(STEPS),
            depth: Cell::new(0),
        }
    }

    /// Names of elements that no type knows are errors.
    pub fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// `as()` of several values filters them, as the invariants of R4 expect.
    pub fn lenient(mut self) -> Self {
        self.lenient = true;
        self
    }

    /// The resource that holds the one that is `%resource`.
    pub fn within(mut self, root: Node<'d>) -> Self {
        self.root = Item::Node(root);
        self
    }

    /// Evaluates an expression on the resource.
    pub fn evaluate(&self, expression: &Expression) -> Result<Collection<'d>> {
        self.evaluate_within(expression, vec![self.resource.clone()], &mut { STEPS })
    }

    fn moment(&self) -> Moment {
        let epoch = Moment { kind: MomentKind::DateTime, parts: vec![1970, 1, 1, 0, 0, 0, 0], zone: Some(0) };
        epoch.plus(self.now / 1000, "millisecond").unwrap_or(epoch)
    }

    /// Evaluates an expression on some context with a number of steps at most, and takes those it needed from them.
    pub fn evaluate_within(
        &self,
        expression: &Expression,
        context: Collection<'d>,
        budget: &mut u64,
    ) -> Result<Collection<'d>> {
        self.steps.set(*budget);
        let scope = Scope { this: context.clone(), context: Rc::new(context), ..Scope::default() };
        let result = self.eval(expression, &scope);
        *budget = self.steps.get();
        result
    }

    /// Whether the last evaluation came to the end of its steps.
    pub fn exhausted(&self) -> bool {
        self.steps.get() == 0
    }

    fn step(&self, at: usize, count: usize) -> Result<()> {
        match self.steps.get().checked_sub((count as u64).saturating_add(1)) {
            Some(left) => {
                self.steps.set(left);
                Ok(())
            }
            None => {
                self.steps.set(0);
                fail(at, "the expression takes too many steps")
            }
        }
    }

    /// Counts looking for a child among very many.
    fn wide(&self, node: &Node<'d>, at: usize) -> Result<()> {
        match node.value.filter(|value| value.size() > 100) {
            Some(value) => self.step(at, value.entries().count() / 16),
            None => Ok(()),
        }
    }

    fn eval(&self, e: &Expression, scope: &Scope<'d>) -> Result<Collection<'d>> {
        if self.depth.get() >= DEEPEST {
            return fail(e.at, "the expression is too deep");
        }
        self.depth.set(self.depth.get() + 1);
        let result = self.eval_kind(e, scope);
        self.depth.set(self.depth.get() - 1);
        let values = result?;
        self.step(e.at, values.len())?;
        if let [Item::String(text)] = values.as_slice() {
            // Strings can double with every step.
            self.step(e.at, text.len() / 16)?;
            if text.len() > LARGEST {
                return fail(e.at, "the string is too long");
            }
        }
        if values.len() > LARGEST {
            return fail(e.at, "the result is too large");
        }
        Ok(values)
    }

    fn focus(&self, of: &Option<Box<Expression>>, scope: &Scope<'d>) -> Result<Collection<'d>> {
        match of {
            Some(of) => self.eval(of, scope),
            None => Ok(scope.this.clone()),
        }
    }

    fn eval_kind(&self, e: &Expression, scope: &Scope<'d>) -> Result<Collection<'d>> {
        match &e.kind {
            K::Literal(literal) => self.literal(literal, e.at),
            K::External(name) => self.external(name, scope, e.at),
            K::This => Ok(scope.this.clone()),
            K::Index => Ok(scope.index.map(Item::Integer).into_iter().collect()),
            K::Total => Ok(scope.total.to_vec()),
            K::Member { of, name } => self.member(of, name, scope, e.at),
            K::Call { of, name, arguments } => {
                let focus = self.focus(of, scope)?;
                functions::call(self, focus, name, arguments, scope, e.at)
            }
            K::Indexer { of, index } => {
                let values = self.eval(of, scope)?;
                let index = self.eval(index, scope)?;
                let Some(index) = self.integer(&index, e.at)? else { return Ok(vec![]) };
                Ok(usize::try_from(index).ok().and_then(|i| values.into_iter().nth(i)).into_iter().collect())
            }
            K::Negate(of) => self.negate(self.eval(of, scope)?, e.at),
            K::Plus(of) => self.eval(of, scope),
            K::Binary { operator, left, right } => operators::binary(self, *operator, left, right, scope, e.at),
            K::Is { of, specifier } => {
                let values = self.eval(of, scope)?;
                let one = self.single(&values, e.at)?;
                Ok(one.map(|item| Item::Boolean(self.is(item, specifier))).into_iter().collect())
            }
            K::As { of, specifier } => {
                let mut values = self.eval(of, scope)?;
                values.retain(|item| self.is(item, specifier));
                Ok(values)
            }
        }
    }

    fn literal(&self, literal: &Literal, at: usize) -> Result<Collection<'d>> {
        let item = match literal {
            Literal::Empty => return Ok(vec![]),
            Literal::Boolean(b) => Some(Item::Boolean(*b)),
            Literal::String(s) => Some(Item::text(s.as_str())),
            Literal::Number(n) if n.contains('.') => Number::parse(n).map(Item::Decimal),
            Literal::Number(n) => n.parse().ok().map(Item::Integer),
            Literal::Date(d) => Moment::date(d).map(Item::Moment),
            Literal::DateTime(d) => Moment::date_time(d).map(Item::Moment),
            Literal::Time(t) => Moment::time(t).map(Item::Moment),
            Literal::Quantity { value, unit, calendar } => Number::parse(value)
                .map(|value| Item::Quantity(Quantity { value, unit: unit.as_str().into(), calendar: *calendar })),
        };
        match item {
            Some(item) => Ok(vec![item]),
            None => fail(at, "this literal is out of range"),
        }
    }

    fn external(&self, name: &str, scope: &Scope<'d>, at: usize) -> Result<Collection<'d>> {
        Ok(vec![match name {
            "context" => return Ok(scope.context.to_vec()),
            "resource" => self.resource.clone(),
            "rootResource" => self.root.clone(),
            "ucum" => Item::text("http://unitsofmeasure.org"),
            "sct" => Item::text("http://snomed.info/sct"),
            "loinc" => Item::text("http://loinc.org"),
            name => match (name.strip_prefix("vs-"), name.strip_prefix("ext-")) {
                (Some(name), _) => Item::text(format!("http://hl7.org/fhir/ValueSet/{name}")),
                (_, Some(name)) => Item::text(format!("http://hl7.org/fhir/StructureDefinition/{name}")),
                _ => return fail(at, format!("%{name} is not known")),
            },
        }])
    }

    fn member(&self, of: &Option<Box<Expression>>, name: &str, scope: &Scope<'d>, at: usize) -> Result<Collection<'d>> {
        let focus = self.focus(of, scope)?;
        if of.is_none()
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && let Some(Item::Node(node)) = focus.first()
        {
            if node.is(name, self.definitions) {
                return Ok(focus);
            }
            if self.strict && self.definitions.type_named(name).is_some() {
                return fail(at, format!("the context is no {name}"));
            }
        }
        let mut out = Vec::new();
        let mut known = focus.is_empty();
        for item in &focus {
            match item {
                Item::Node(node) => {
                    self.wide(node, at)?;
                    known |= node.children(Some(name), self.definitions, &mut out);
                }
                Item::Type(namespace, type_name) => {
                    known = true;
                    match name {
                        "namespace" => out.push(Item::text(*namespace)),
                        "name" => out.push(Item::String(type_name.clone())),
                        _ => {}
                    }
                }
                _ => known = true,
            }
        }
        if self.strict && !known {
            return fail(at, format!("no element is called {name} here"));
        }
        Ok(out)
    }

    fn negate(&self, values: Collection<'d>, at: usize) -> Result<Collection<'d>> {
        let Some(item) = self.single(&values, at)? else { return Ok(vec![]) };
        Ok(vec![match item.system(self.definitions) {
            Item::Integer(i) => Item::Integer(i.saturating_neg()),
            Item::Decimal(n) => Item::Decimal(n.negated()),
            Item::Quantity(q) => Item::Quantity(Quantity { value: q.value.negated(), ..q }),
            _ => return fail(at, "only numbers have a sign"),
        }])
    }

    /// Whether an item is of a type.
    fn is(&self, item: &Item<'d>, specifier: &TypeSpecifier) -> bool {
        let (namespace, name) = item.type_name(self.definitions);
        let wanted = specifier.namespace.as_deref();
        match item {
            Item::Node(node) => wanted != Some("System") && node.is(&specifier.name, self.definitions),
            _ => wanted.is_none_or(|w| w == namespace) && name == specifier.name,
        }
    }

    /// The only item; none of an empty collection; an error for more.
    fn single<'c>(&self, values: &'c [Item<'d>], at: usize) -> Result<Option<&'c Item<'d>>> {
        match values {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            more => fail(at, format!("one value is expected, not {}", more.len())),
        }
    }

    /// The only item as a boolean; anything that is no boolean counts as true (N1, section 4.5).
    fn boolean(&self, values: &[Item<'d>], at: usize) -> Result<Option<bool>> {
        Ok(self.single(values, at)?.map(|item| match item.system(self.definitions) {
            Item::Boolean(b) => b,
            _ => true,
        }))
    }

    fn integer(&self, values: &[Item<'d>], at: usize) -> Result<Option<i64>> {
        match self.single(values, at)?.map(|item| item.system(self.definitions)) {
            None => Ok(None),
            Some(Item::Integer(i)) => Ok(Some(i)),
            Some(_) => fail(at, "a whole number is expected"),
        }
    }

    fn string(&self, values: &[Item<'d>], at: usize) -> Result<Option<std::rc::Rc<str>>> {
        match self.single(values, at)?.map(|item| item.system(self.definitions)) {
            None => Ok(None),
            Some(Item::String(s)) => Ok(Some(s)),
            Some(_) => fail(at, "a string is expected"),
        }
    }
}
