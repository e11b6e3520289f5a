//! `$fhirpath`: evaluates an expression on a resource that is sent, or on one that is stored, and gives the results with
//! their types. The parameters are those that other servers of FHIRPath have: `expression`, `context` (an expression
//! whose results are evaluated on one by one) and `resource`. The work is bounded by the evaluator.

use super::Call;
use super::parameters::{Inputs, answer, parts, resource, value};
use crate::base::{Failure, FailureKind, Issue, IssueCode};
use crate::definitions::Definitions;
use crate::fhirpath::eval::{Evaluator, Item, MomentKind, Node, NodeType, World};
use crate::fhirpath::{Expression, parse};
use crate::interaction::{Reply, outcome, read};
use crate::json::{Document, Limits, Tree};
use std::cell::RefCell;
use std::sync::Arc;

/// Results that are given at most.
const RESULTS_MAX: usize = 10_000;
/// Holds a value that no `value[x]` can hold.
const JSON_VALUE: &str = "http://fhir.forms-lab.com/StructureDefinition/json-value";

/// What is evaluated, owned, so that it can be done beside the other requests.
struct Task {
    definitions: Arc<Definitions>,
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
        expression,
        context,
        text: inputs.text("expression").unwrap_or_default().to_owned(),
        json,
        now: call.service.clock.now().0,
    };
    let done = tokio::task::spawn_blocking(move || task.run()).await.map_err(Failure::internal)?;
    done.map(answer)
}

/// Keeps what `trace` shows.
#[derive(Default)]
struct Traces(RefCell<Vec<Tree>>);

/// Bound to the definitions that the shown values need.
struct Tracing<'t> {
    traces: &'t Traces,
    definitions: &'t Definitions,
}

impl<'d> World<'d> for Tracing<'_> {
    fn trace(&self, name: &str, values: &[Item<'d>]) {
        let mut traces = self.traces.0.borrow_mut();
        if traces.len() < 1_000 {
            let mut shown = vec![value("name", "String", Tree::string(name))];
            shown.extend(values.iter().take(100).map(|item| typed(item, self.definitions)));
            traces.push(parts("trace", shown));
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
        let traces = Traces::default();
        let world = Tracing { traces: &traces, definitions };
        let evaluator = Evaluator::new(definitions, root, self.now, &world);
        let failed = |e: crate::fhirpath::eval::EvaluationError| {
            let issue = Issue::error(IssueCode::Processing, format!("the expression cannot be evaluated: {e}"));
            Failure::of(FailureKind::Unprocessable, vec![issue])
        };
        let contexts = match &self.context {
            Some(context) => evaluator.evaluate(context).map_err(failed)?,
            None => vec![Item::Node(root)],
        };
        let asked = vec![
            value("evaluator", "String", Tree::string(format!("Vesta {}", env!("CARGO_PKG_VERSION")))),
            value("expression", "String", Tree::string(&self.text)),
        ];
        let mut all = vec![parts("parameters", asked)];
        let mut left = RESULTS_MAX;
        for item in contexts {
            let results = evaluator.evaluate_on(&self.expression, vec![item]).map_err(failed)?;
            left = left.checked_sub(results.len()).ok_or_else(|| {
                let message = format!("the expression gives more than {RESULTS_MAX} values");
                Failure::new(FailureKind::TooCostly, IssueCode::TooCostly, message)
            })?;
            let mut shown: Vec<Tree> = results.iter().map(|item| typed(item, definitions)).collect();
            shown.extend(traces.0.take());
            all.push(if shown.is_empty() {
                Tree::object([("name", Tree::string("result"))])
            } else {
                parts("result", shown)
            });
        }
        Ok(all)
    }
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
