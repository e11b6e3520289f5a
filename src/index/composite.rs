//! Composites of a resource (R4 search.html#composite): for each repetition of what the expression leads to, every
//! combination of the values of the components is one term.

use super::encode::{self, push_parts};
use super::extract::branches;
use super::sink::{Omitted, Sink};
use super::values::{Context, Encoder};
use crate::definitions::{Definitions, SearchParameter, TypeId};
use crate::fhirpath::{Branch, CompileError, Found, Plan, Start, Step};
use crate::json::Value;

/// Terms of one repetition at most.
const MOST_COMBINATIONS: usize = 500;

/// All composites of a resource type, compiled.
#[derive(Default)]
pub(super) struct Composites {
    /// Leads to the repetitions; the action is the number of the group.
    bases: Plan<usize>,
    /// Composites whose expressions lead to the same place are found in one walk.
    groups: Vec<Group>,
}

struct Group {
    steps: Vec<Step>,
    /// Components below the repetition.
    inside: Plan<Component>,
    /// Components that start at the resource.
    outside: Plan<Component>,
    /// Number of the parameter and of its components.
    members: Vec<(u16, usize)>,
}

/// Which component a value is for.
struct Component {
    member: usize,
    place: usize,
    encoder: Encoder,
}

impl Composites {
    /// Adds a parameter, whose expression leads to `bases`.
    pub(super) fn add(
        &mut self,
        definitions: &Definitions,
        kind: TypeId,
        parameter: &SearchParameter,
        bases: &[Branch],
    ) -> Result<(), CompileError> {
        let fault = |message| CompileError { at: 0, message };
        let mut compiled = Vec::with_capacity(bases.len());
        for base in bases {
            let mut components = Vec::new();
            for (place, component) in parameter.components.iter().enumerate() {
                let definition = definitions
                    .search_parameter_by_url(&component.definition)
                    .ok_or_else(|| fault(format!("the component {} is not defined", component.definition)))?;
                let start = Start { resource: kind, context: Some(base) };
                for branch in branches(definitions, start, &component.expression)? {
                    let encoder = Encoder::for_branch(definitions, definition.kind, &branch);
                    components.push((branch, place, encoder));
                }
            }
            compiled.push((base, components));
        }
        for (base, components) in compiled {
            let group = self.group(base).ok_or_else(|| fault("a guard on the resource is not supported".to_owned()))?;
            let member = group.members.len();
            group.members.push((parameter.number, parameter.components.len()));
            for (branch, place, encoder) in components {
                let plan = if branch.from_resource { &mut group.outside } else { &mut group.inside };
                plan.add(&branch, Component { member, place, encoder });
            }
        }
        Ok(())
    }

    fn group(&mut self, base: &Branch) -> Option<&mut Group> {
        let number = match self.groups.iter().position(|group| group.steps == base.steps) {
            Some(number) => number,
            None => {
                let number = self.groups.len();
                if !self.bases.add(base, number) {
                    return None;
                }
                let (inside, outside) = (Plan::default(), Plan::default());
                self.groups.push(Group { steps: base.steps.clone(), inside, outside, members: Vec::new() });
                number
            }
        };
        self.groups.get_mut(number)
    }

    /// Adds the terms of a resource.
    pub(super) fn extract(&self, context: &Context<'_>, resource: Value<'_>, sink: &mut Sink) {
        let mut values = Vec::new();
        self.bases.walk(resource, &mut |number, repetition| {
            let (Found::Value(repetition), Some(group)) = (repetition, self.groups.get(*number)) else { return };
            values.clear();
            group.inside.walk(repetition, &mut |component, found| values.push((component, found)));
            if !group.outside.is_empty() {
                group.outside.walk(resource, &mut |component, found| values.push((component, found)));
            }
            for (member, (parameter, places)) in group.members.iter().enumerate() {
                sink.begin(*parameter);
                add_terms(context, &values, member, *places, sink);
            }
        });
    }
}

/// The terms of one composite in one repetition, if each of its components has a value there.
fn add_terms(context: &Context<'_>, values: &[(&Component, Found<'_>)], member: usize, places: usize, sink: &mut Sink) {
    let of = |place| values.iter().filter(move |(value, _)| value.member == member && value.place == place);
    if (0..places).any(|place| of(place).next().is_none()) {
        return;
    }
    let mut encoded = |place| {
        let mut parts = Sink::for_components();
        of(place).for_each(|(component, found)| component.encoder.encode(context, *found, &mut parts));
        parts.cut().iter().for_each(|cut| sink.leave_out(cut.what));
        parts.into_components()
    };
    let parts: Vec<_> = (0..places).map(&mut encoded).collect();
    combine(&parts, sink);
}

/// Every combination of one value of each component.
fn combine(values: &[Vec<Vec<u8>>], sink: &mut Sink) {
    let combinations = values.iter().map(Vec::len).fold(1_usize, usize::saturating_mul);
    if combinations > MOST_COMBINATIONS {
        sink.leave_out(Omitted::Values);
    }
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
