//! What the walk must know of each structure, worked out once from the definitions: compact rows beside
//! `Structure::elements`, the mandatory elements, and which invariants apply.

use super::rule::Rules;
use crate::definitions::{BindingStrength, Definitions, Element, ElementType, Structure, StructureKind};

/// One structure.
#[derive(Default)]
pub(super) struct Plan {
    /// In the order of `Structure::elements`.
    pub rows: Vec<Row>,
    /// What must be there.
    pub mandatory: Vec<Mandatory>,
    /// The invariants on it, by number.
    pub invariants: Vec<u16>,
    /// Whether `resourceType` belongs in it.
    pub resource: bool,
}

/// What the walk asks of an element for every value.
pub(super) struct Row {
    pub kind: ElementType,
    /// The bit of its place in the specification's order; the types of one choice share it.
    pub bit: u128,
    pub many: bool,
    pub choice: bool,
    pub attribute: bool,
    /// Bound to a value set as required, and all codes of it are known.
    pub bound: bool,
    /// A Coding, CodeableConcept or Quantity.
    pub coded: bool,
    /// A Reference.
    pub reference: bool,
    /// `contained` of a resource.
    pub contained: bool,
    /// The invariants that it has beyond those of its type, by number.
    pub invariants: Box<[u16]>,
}

/// An element or choice that must be there.
pub(super) struct Mandatory {
    pub bit: u128,
    /// The FHIRPath name.
    pub name: Box<str>,
    pub choice: bool,
}

/// The plans of all structures, by number.
pub(super) fn plans(definitions: &Definitions, rules: &mut Rules) -> Vec<Plan> {
    definitions.structures.iter().map(|structure| plan(definitions, structure, rules)).collect()
}

fn plan(definitions: &Definitions, structure: &Structure, rules: &mut Rules) -> Plan {
    let rows: Vec<Row> = structure.elements.iter().map(|element| row(definitions, element, rules)).collect();
    let mut mandatory = Vec::new();
    for (element, row) in structure.elements.iter().zip(&rows) {
        let choice = element.choice.and_then(|c| structure.choices.get(c as usize));
        let min = choice.map_or(element.min, |c| c.min);
        if min > 0 && row.bit != 0 && !mandatory.iter().any(|m: &Mandatory| m.bit == row.bit) {
            mandatory.push(Mandatory { bit: row.bit, name: element.fhirpath.clone(), choice: choice.is_some() });
        }
    }
    Plan {
        rows,
        mandatory,
        invariants: rules.add(&structure.invariants, Some(&structure.name)),
        resource: matches!(structure.kind, StructureKind::Resource | StructureKind::AbstractResource),
    }
}

fn row(definitions: &Definitions, element: &Element, rules: &mut Rules) -> Row {
    let bound = element.binding.as_ref().is_some_and(|b| {
        b.strength == BindingStrength::Required && definitions.value_sets.get(&b.value_set).is_some_and(|v| v.complete)
    });
    Row {
        kind: element.kind,
        // No structure of R4 has more than 128 elements; what is beyond is never reported as missing.
        bit: 1u128.checked_shl(u32::from(element.order)).unwrap_or(0),
        many: element.many,
        choice: element.choice.is_some(),
        attribute: element.attribute,
        bound,
        coded: matches!(
            &*element.type_name,
            "Coding" | "CodeableConcept" | "Quantity" | "Age" | "Count" | "Distance" | "Duration"
        ),
        reference: &*element.type_name == "Reference",
        contained: element.kind == ElementType::Resource && &*element.name == "contained",
        invariants: rules.add(&element.invariants, None).into(),
    }
}
