//! `$fhirpath`: evaluates an expression on a resource that is sent, or on one that is stored, and gives the results with
//! their types. The parameters are those that other servers of FHIRPath have: `expression`, `context` (an expression
//! whose results are evaluated on one by one) and `resource`. The server's profiles and value sets are known, and what
//! references within the resource point to. All evaluations of a request share their steps, and what is shown is
//! bounded.

use super::Call;
use super::parameters::{Inputs, answer, parts, resource, value};
use crate::base::{Failure, FailureKind, Issue, IssueCode};
use crate::definitions::Definitions;
use crate::fhirpath::eval::{EvaluationError, Evaluator, Item, MomentKind, Node, NodeType, STEPS, World};
use crate::fhirpath::{Expression, parse};
use crate::interaction::{Reply, outcome, read};
use crate::json::{Document, Limits, Tree};
use crate::validation::Validator;
use std::cell::RefCell;
use std::sync::Arc;

/// Results that are given at most, an empty one for a context counted too.
const RESULTS_MAX: usize = 10_000;
/// Bytes of all results, and of what `trace` shows.
const BYTES_MAX: usize = 16 << 20;
/// What `trace` shows at most, in all, and at once.
const TRACES_MAX: usize = 1_000;
const TRACED_MAX: usize = 100;
/// Holds a value that no `value[x]` can hold.
const JSON_VALUE: &str = "http://fhir.forms-lab.com/StructureDefinition/json-value";

/// What is evaluated, owned, so that it can be done beside the other requests.
struct Task {
    definitions: Arc<Definitions>,
    validator: Arc<Validator>,
    expression: Expression,
    context: Option<Expression>,
    text: String,
    json: String,
    now: i64,
}

pub(super) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let inputs = Inputs::read(call.request, &call.service.settings.limits, Some("resource"))?;
    let read_expression = |name: &str| match inputs.text(name) {
        None => Ok(None),
        Some(text) => parse(text).map(Some).map_err(|e| {
            let place = inputs.get(name).map_or(name, |i| i.place.as_str());
            Failure::malformed(IssueCode::Invalid, format!("'{name}' is no FHIRPath expression: {e}")).at(place)
        }),
    };
    let required = |name: &str| {
        Failure::malformed(IssueCode::Required, format!("there is no parameter '{name}'")).at("Parameters.parameter")
    };
    let expression = read_expression("expression")?.ok_or_else(|| required("expression"))?;
    let context = read_expression("context")?;
    let json = match (call.kind, &call.id, inputs.get("resource")) {
        (Some(kind), Some(id), _) => {
            let newest = call.service.snapshot(call.context).await?.read(kind, id).await.map_err(outcome::of_store)?;
            let version = read::existing(call.service, kind, id, newest)?;
            let json = version.to_json(call.service.definitions.name(kind)).unwrap_or_default();
            String::from_utf8(json).map_err(Failure::internal)?
        }
        (_, _, Some(input)) => input.value.to_json(),
        _ => return Err(required("resource")),
    };
    let task = Task {
        definitions: call.service.definitions.clone(),
        validator: call.service.validator_of(call.context).await?,
        expression,
        context,
        text: inputs.text("expression").unwrap_or_default().to_owned(),
        json,
        now: call.service.clock.now().0,
    };
    let done = tokio::task::spawn_blocking(move || task.run()).await.map_err(Failure::internal)?;
    done.map(answer)
}

/// What may still be shown.
struct Room {
    values: usize,
    bytes: usize,
}

impl Room {
    /// Takes a place for each item, one at least; whether there was room.
    fn take(&mut self, items: &[Item<'_>]) -> bool {
        let bytes = items.iter().map(|item| match item {
            Item::Node(node) => node.value.or(node.extra).map_or(0, |v| v.raw().len()),
            Item::String(text) => text.len(),
            Item::Quantity(quantity) => quantity.unit.len(),
            _ => 0,
        });
        let (values, bytes) = (self.values.checked_sub(items.len().max(1)), self.bytes.checked_sub(bytes.sum()));
        match (values, bytes) {
            (Some(values), Some(bytes)) => {
                *self = Room { values, bytes };
                true
            }
            _ => false,
        }
    }
}

/// What `trace` shows, and how much more it may.
struct Traces {
    parts: Vec<Tree>,
    times: usize,
    room: Room,
}

impl Traces {
    fn add(&mut self, name: &str, values: &[Item<'_>], definitions: &Definitions) {
        let values = values.get(..TRACED_MAX).unwrap_or(values);
        if self.times < TRACES_MAX && self.room.take(values) {
            self.times += 1;
            let mut shown = vec![value("name", "String", Tree::string(name))];
            shown.extend(values.iter().map(|item| typed(item, definitions)));
            self.parts.push(parts("trace", shown));
        }
    }
}

impl Task {
    fn run(&self) -> Result<Vec<Tree>, Failure> {
        let definitions = &*self.definitions;
        let document = Document::parse(self.json.as_bytes(), &Limits::NONE).map_err(Failure::internal)?;
        let root = Node::resource(document.root(), definitions).ok_or_else(|| {
            Failure::malformed(IssueCode::Structure, "'resource' is no resource of FHIR R4").at("Parameters.parameter")
        })?;
        let room = Room { values: RESULTS_MAX, bytes: BYTES_MAX };
        let traces = RefCell::new(Traces { parts: Vec::new(), times: 0, room });
        let told = |name: &str, values: &[Item<'_>]| traces.borrow_mut().add(name, values, definitions);
        self.validator.in_world_of(document.root(), &told, |world| self.evaluate(root, world, &traces))
    }

    fn evaluate<'d>(
        &self,
        root: Node<'d>,
        world: &dyn World<'d>,
        traces: &RefCell<Traces>,
    ) -> Result<Vec<Tree>, Failure> {
        let definitions = &*self.definitions;
        let evaluator = Evaluator::new(definitions, root, self.now, world);
        let mut steps = STEPS;
        let mut results = |expression: &Expression, on: Item<'d>| {
            evaluator.evaluate_within(expression, vec![on], &mut steps).map_err(failed)
        };
        let contexts = match &self.context {
            Some(context) => results(context, Item::Node(root))?,
            None => vec![Item::Node(root)],
        };
        let asked = vec![
            value("evaluator", "String", Tree::string(format!("Vesta {}", env!("CARGO_PKG_VERSION")))),
            value("expression", "String", Tree::string(&self.text)),
        ];
        let mut all = vec![parts("parameters", asked)];
        let mut room = Room { values: RESULTS_MAX, bytes: BYTES_MAX };
        for item in contexts {
            let found = results(&self.expression, item)?;
            if !room.take(&found) {
                let message =
                    format!("the expression gives more than {RESULTS_MAX} results, or more than 16 MB of them");
                return Err(Failure::new(FailureKind::TooCostly, IssueCode::TooCostly, message));
            }
            let mut shown: Vec<Tree> = found.iter().map(|item| typed(item, definitions)).collect();
            shown.extend(std::mem::take(&mut traces.borrow_mut().parts));
            all.push(if shown.is_empty() {
                Tree::object([("name", Tree::string("result"))])
            } else {
                parts("result", shown)
            });
        }
        Ok(all)
    }
}

fn failed(error: EvaluationError) -> Failure {
    let issue = Issue::error(IssueCode::Processing, format!("the expression cannot be evaluated: {error}"));
    Failure::of(FailureKind::Unprocessable, vec![issue])
}

/// A part called after the type of the value.
fn typed(item: &Item<'_>, definitions: &Definitions) -> Tree {
    let (_, name) = item.type_name(definitions);
    let capital = || {
        let mut chars = name.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    match item {
        Item::Node(node) => match (node.kind, node.value) {
            (NodeType::Primitive(_), Some(json)) => value(name, &capital(), Tree::from(json)),
            (NodeType::Complex(_), Some(json)) if node.is_resource(definitions) => resource(name, Tree::from(json)),
            (NodeType::Complex(_), Some(json)) if holds(definitions, &capital()) => {
                value(name, &capital(), Tree::from(json))
            }
            (_, json) => {
                let text = json.or(node.extra).map(|v| v.raw().to_owned()).unwrap_or_default();
                let extension = Tree::object([("url", Tree::string(JSON_VALUE)), ("valueString", Tree::String(text))]);
                Tree::object([("name", Tree::string(name)), ("extension", Tree::Array(vec![extension]))])
            }
        },
        Item::Boolean(b) => value("boolean", "Boolean", Tree::Bool(*b)),
        Item::Integer(i) => value("integer", "Integer", Tree::Number(i.to_string())),
        Item::Decimal(n) => value("decimal", "Decimal", Tree::Number(n.to_string())),
        Item::String(s) => value("string", "String", Tree::string(&**s)),
        Item::Moment(m) => {
            let kind = match m.kind {
                MomentKind::Date => "Date",
                MomentKind::DateTime => "DateTime",
                MomentKind::Time => "Time",
            };
            let mut name = kind.to_owned();
            if let Some(first) = name.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            value(&name, kind, Tree::string(m.to_string()))
        }
        Item::Quantity(q) => {
            let mut quantity =
                Tree::object([("value", Tree::Number(q.value.to_string())), ("unit", Tree::string(&*q.unit))]);
            if !q.calendar {
                quantity.set("system", Tree::string(crate::ucum::SYSTEM));
                quantity.set("code", Tree::string(&*q.unit));
            }
            value("Quantity", "Quantity", quantity)
        }
        Item::Type(namespace, name) => value("string", "String", Tree::String(format!("{namespace}.{name}"))),
    }
}

/// Whether a Parameters resource can hold a value of this type.
fn holds(definitions: &Definitions, kind: &str) -> bool {
    let parameter = definitions.type_named("Parameters.parameter");
    parameter.is_some_and(|id| definitions.structure(id).element(&format!("value{kind}")).is_some())
}
