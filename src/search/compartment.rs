//! Compartments (R4 compartmentdefinition.html): the condition that a resource belongs to one. Asks nothing of who
//! may see it.

use crate::base::{Failure, IssueCode, ResourceId};
use crate::definitions::{Compartment, Definitions, TypeId};
use crate::index::{Condition, Term, id_term, reference_term};

/// The compartment that a type of resource opens.
pub(super) fn of(definitions: &Definitions, compartment: TypeId) -> Result<&Compartment, Failure> {
    let name = definitions.name(compartment);
    definitions.compartment(name).ok_or_else(|| {
        let all: Vec<_> = definitions.compartments.iter().map(|c| &*c.name).collect();
        Failure::not_found(format!("{name} has no compartment; there are those of {}", all.join(", ")))
    })
}

/// The types that can be in a compartment, the compartment's own included, sorted.
pub(super) fn members(definitions: &Definitions, compartment: &Compartment) -> Vec<TypeId> {
    let mut members: Vec<_> = compartment.members.keys().copied().collect();
    members.extend(definitions.resource(&compartment.name));
    members.sort_unstable();
    members.dedup();
    members
}

/// The condition that a resource of one of these types is in the compartment of `compartment/id`: it refers to that
/// resource under one of the parameters that the definition names for its type, or is that resource.
pub fn compartment_condition(
    definitions: &Definitions,
    compartment: TypeId,
    id: &ResourceId,
    kinds: &[TypeId],
) -> Result<Condition, Failure> {
    let found = of(definitions, compartment)?;
    let on = |kind: TypeId| {
        let codes = found.members.get(&kind).map(Vec::as_slice).unwrap_or_default();
        let mut terms: Vec<Term> = codes
            .iter()
            .filter_map(|code| definitions.core_search_parameter(kind, code))
            .map(|p| reference_term(p.number, &found.name, id.as_str()))
            .collect();
        if kind == compartment
            && let Some(p) = definitions.search_parameter(kind, "_id")
        {
            terms.push(id_term(p.number, id.as_str()));
        }
        terms.sort();
        terms.dedup();
        Condition::any(terms.into_iter().map(Condition::Term))
    };
    match kinds {
        [kind] => match on(*kind) {
            Condition::Nothing => Err(Failure::malformed(
                IssueCode::NotSupported,
                format!("{} is not in the compartment of {}", definitions.name(*kind), found.name),
            )),
            condition => Ok(condition),
        },
        several => Ok(Condition::any(several.iter().map(|k| Condition::all([Condition::Kind(*k), on(*k)])))),
    }
}
