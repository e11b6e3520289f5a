//! Floor 2: what FHIR R4 says, as data: structures and their elements, search parameters, compartments,
//! operations, value sets of required bindings. Read once from the tables of `fhir-schemas/` that are compiled in.
//! No prose of the specification, and no code per type.

pub mod generate;
mod load;
mod model;
mod xml;

#[cfg(test)]
mod tests;

pub use model::{
    Binding, BindingStrength, Choice, Compartment, Component, Definitions, Element, ElementType, Invariant,
    OperationDefinition, SearchKind, SearchParameter, Structure, StructureKind, TypeId, ValueSet,
};
