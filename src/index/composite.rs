//! Composites of a resource (R4 search.html#composite): for each repetition of what the expression leads to, every
//! combination of the values of the components is one term.

use super::encode::{self, push_parts};
use super::extract::branches;
use super::sink::Sink;
use super::values::{Context, Encoder};
use crate::definitions::{Definitions, SearchParameter, TypeId};
use crate::fhirpath::{Branch, CompileError, Found, Plan, Start};
use crate::json::Value;

/// Terms of one repetition at most.
const MOST_COMBINATIONS: usize = 500;

/// A compiled composite.
pub(super) struct Composite {
    parameter: u16,
    /// Leads to the repetitions; the action is the place of what its components are compiled for.
    base: Plan<usize>,
    /// For each branch of the base its components.
    components: Vec<Vec<Component>>,
}

/// One component: what is found from the repetition, and from the resource.
struct Component {
    inside: Plan<Encoder>,
    outside: Plan<Encoder>,
}

impl Composite {
    /// Compiles the components for each branch of the expression.
    pub(super) fn compile(
        definitions: &Definitions,
        kind: TypeId,
        parameter: &SearchParameter,
        bases: &[Branch],
    ) -> Result<Composite, CompileError> {
        let mut composite = Composite {
            parameter: parameter.number,
            base: Plan::default(),
            components: Vec::with_capacity(bases.len()),
        };
        for (place, base) in bases.iter().enumerate() {
            composite.base.add(base, place);
            let mut components = Vec::with_capacity(parameter.components.len());
            for component in &parameter.components {
                let Some(definition) = definitions.search_parameter_by_url(&component.definition) else {
                    let message = format!("the component {} is not defined", component.definition);
                    return Err(CompileError { at: 0, message });
                };
                let start = Start { resource: kind, context: Some(base) };
                let mut plans = Component { inside: Plan::default(), outside: Plan::default() };
                for branch in branches(definitions, start, &component.expression)? {
                    let encoder = Encoder::for_branch(definitions, definition.kind, &branch);
                    let plan = if branch.from_resource { &mut plans.outside } else { &mut plans.inside };
                    plan.add(&branch, encoder);
                }
                components.push(plans);
            }
            composite.components.push(components);
        }
        Ok(composite)
    }

    /// Adds the terms of a resource.
    pub(super) fn extract(&self, context: &Context<'_>, resource: Value<'_>, sink: &mut Sink) {
        self.base.walk(resource, &mut |place, found| {
            let (Found::Value(repetition), Some(components)) = (found, self.components.get(*place)) else { return };
            let mut values = Vec::with_capacity(components.len());
            // The last first: the first is a code, which is always there; most resources lack one of the values.
            for component in components.iter().rev() {
                let mut parts = Sink::for_components();
                component.inside.walk(repetition, &mut |encoder, found| encoder.encode(context, found, &mut parts));
                if !component.outside.is_empty() {
                    component.outside.walk(resource, &mut |encoder, found| encoder.encode(context, found, &mut parts));
                }
                let parts = parts.into_components();
                if parts.is_empty() {
                    return;
                }
                values.push(parts);
            }
            values.reverse();
            sink.begin(self.parameter);
            combine(&values, sink);
        });
    }
}

/// Every combination of one value of each component.
fn combine(values: &[Vec<Vec<u8>>], sink: &mut Sink) {
    let combinations = values.iter().map(Vec::len).fold(1_usize, usize::saturating_mul);
    let mut parts: Vec<&[u8]> = Vec::with_capacity(values.len());
    for combination in 0..combinations.min(MOST_COMBINATIONS) {
        let mut rest = combination;
        parts.clear();
        for component in values {
            parts.extend(component.get(rest % component.len()).map(Vec::as_slice));
            rest /= component.len();
        }
        sink.put(encode::COMPOSITE, |out| push_parts(&parts, out));
    }
}
