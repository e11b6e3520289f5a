//! Floor 2: what FHIR R4 says, as data: structures and their elements, search parameters, compartments,
//! operations, value sets of required bindings. Read once from the tables of `fhir-schemas/` that are compiled in.
//! No prose of the specification, and no code per type.

mod archive;
mod codes;
mod custom;
pub mod generate;
mod load;
mod model;
mod registry;
mod xml;

#[cfg(test)]
mod tests;

pub use archive::Package;
pub use codes::{Codes, Standing, Unfit};
pub use custom::{CustomComponent, CustomParameter, CustomParameters, FIRST_CUSTOM, MOST_CUSTOM};
pub use model::{
    Binding, BindingStrength, Choice, Compartment, Component, Core, Definitions, Element, ElementType, Invariant,
    OperationDefinition, SearchKind, SearchParameter, Structure, StructureKind, TypeId, ValueSet,
};
pub use registry::{Conformance, PackageInfo, Registry, split as split_canonical};
