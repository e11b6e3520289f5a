//! The shapes of the definitions and how they are looked up. How they are read from the tables is in `load`.

use crate::primitive::Primitive;
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};
use std::ops::Deref;
use std::sync::Arc;

/// Number of a structure: a resource type, a data type or a backbone element. Stable within one process only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TypeId(pub u16);

/// What sort of structure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructureKind {
    /// A resource type that can be stored (146 of them in R4).
    Resource,
    /// `Resource` or `DomainResource`.
    AbstractResource,
    /// A data type such as `HumanName`.
    Complex,
    /// A backbone element such as `Patient.contact`, named by its path.
    Backbone,
}

/// A structure: its elements in the order of the specification, inherited ones included.
#[derive(Debug)]
pub struct Structure {
    /// Its number.
    pub id: TypeId,
    /// `Patient`, `HumanName`, `Patient.contact`.
    pub name: Box<str>,
    /// What sort it is.
    pub kind: StructureKind,
    /// One entry for each JSON property: a choice element stands once for each of its types (`valueQuantity`, …).
    pub elements: Vec<Element>,
    /// The choice elements (`value[x]`).
    pub choices: Vec<Choice>,
    /// Property name to index into `elements`.
    pub by_name: FxHashMap<Box<str>, u16>,
    /// Invariants on this structure, inherited ones included.
    pub invariants: Vec<Invariant>,
}

impl Structure {
    /// The element with this JSON property name (without a leading underscore).
    pub fn element(&self, property: &str) -> Option<&Element> {
        self.by_name.get(property).map(|i| &self.elements[*i as usize])
    }
}

/// A choice element such as `value[x]`.
#[derive(Clone, Debug)]
pub struct Choice {
    /// `value`, without `[x]`.
    pub name: Box<str>,
    /// Least number of values.
    pub min: u32,
}

/// What an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// A primitive.
    Primitive(Primitive),
    /// A data type or backbone element (also where the specification has a content reference).
    Complex(TypeId),
    /// Any resource (`contained`, `Bundle.entry.resource`, …).
    Resource,
}

/// An invariant: its key, whether it is an error (otherwise a warning), and its FHIRPath expression.
pub type Invariant = (Box<str>, bool, Box<str>);

/// One JSON property of a structure.
#[derive(Clone, Debug)]
pub struct Element {
    /// The JSON property: `name`, `valueQuantity`.
    pub name: Box<str>,
    /// The element's name in FHIRPath: `name`, `value`.
    pub fhirpath: Box<str>,
    /// Index into [`Structure::choices`] where it is one type of a choice element.
    pub choice: Option<u16>,
    /// Least number of values (0 for the types of a choice; see [`Choice::min`]).
    pub min: u32,
    /// Whether it may repeat (then JSON has an array).
    pub many: bool,
    /// What it holds.
    pub kind: ElementType,
    /// Name of its type: `string`, `HumanName`, `BackboneElement`.
    pub type_name: Box<str>,
    /// Resource types that a Reference or canonical may point to; empty: any.
    pub targets: Vec<TypeId>,
    /// Part of the summary (`_summary=true`).
    pub summary: bool,
    /// A modifier element.
    pub modifier: bool,
    /// Written as an attribute in XML (`id` of elements, `url` of extensions).
    pub attribute: bool,
    /// Its binding.
    pub binding: Option<Binding>,
    /// Index of its place among the elements of the structure in XML order (types of one choice share it).
    pub order: u16,
    /// Invariants that it has beyond those of its type; each of its values is the context.
    pub invariants: Vec<Invariant>,
}

/// How firmly a value set is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum BindingStrength {
    Required,
    Extensible,
    Preferred,
    Example,
}

/// A binding of an element to a value set.
#[derive(Clone, Debug)]
pub struct Binding {
    /// How firmly.
    pub strength: BindingStrength,
    /// Canonical of the value set, without version.
    pub value_set: Box<str>,
}

/// The codes of a value set, as far as they are known without a terminology server.
#[derive(Debug)]
pub struct ValueSet {
    /// Canonical, without version.
    pub url: Box<str>,
    /// Whether `codes` holds all of them. If not, nothing can be said about a code that is not among them.
    pub complete: bool,
    /// Code to the systems that it stands in.
    pub codes: FxHashMap<Box<str>, Vec<Arc<str>>>,
}

impl ValueSet {
    /// Whether the code is in it; with a system, in that system.
    pub fn contains(&self, system: Option<&str>, code: &str) -> bool {
        self.codes.get(code).is_some_and(|systems| system.is_none_or(|s| systems.iter().any(|x| &**x == s)))
    }
}

/// The types of search parameters (R4 search.html#ptypes).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum SearchKind {
    Number,
    Date,
    String,
    Token,
    Reference,
    Composite,
    Quantity,
    Uri,
    Special,
}

impl SearchKind {
    /// The type of a code of the value set `search-param-type`.
    pub fn of(code: &str) -> Option<SearchKind> {
        use SearchKind::{Composite, Date, Number, Quantity, Reference, Special, String, Token, Uri};
        let all = [Number, Date, String, Token, Reference, Composite, Quantity, Uri, Special];
        all.into_iter().find(|kind| kind.code() == code)
    }

    /// The code of the value set `search-param-type`.
    pub fn code(self) -> &'static str {
        match self {
            SearchKind::Number => "number",
            SearchKind::Date => "date",
            SearchKind::String => "string",
            SearchKind::Token => "token",
            SearchKind::Reference => "reference",
            SearchKind::Composite => "composite",
            SearchKind::Quantity => "quantity",
            SearchKind::Uri => "uri",
            SearchKind::Special => "special",
        }
    }
}

/// A component of a composite search parameter.
#[derive(Debug)]
pub struct Component {
    /// Canonical of the parameter whose type it has.
    pub definition: Box<str>,
    /// Its expression, relative to what the composite's expression gives.
    pub expression: Box<str>,
}

/// A search parameter.
#[derive(Debug)]
pub struct SearchParameter {
    /// Its number: index into [`Core::search_parameters`], or one that was given to it when it was added. Terms of the
    /// index begin with it.
    pub number: u16,
    /// Canonical.
    pub url: Box<str>,
    /// The name in a query string.
    pub code: Box<str>,
    /// Its type.
    pub kind: SearchKind,
    /// The resource types it is for; `Resource` and `DomainResource` mean all of theirs.
    pub bases: Vec<Box<str>>,
    /// FHIRPath expression; empty where the specification gives none.
    pub expression: Box<str>,
    /// Resource types a reference may point to.
    pub targets: Vec<TypeId>,
    /// Components of a composite.
    pub components: Vec<Component>,
    /// Whether several values, any of which may match, are allowed (`multipleOr`), where the definition says so.
    pub multiple_or: Option<bool>,
    /// Whether it may be repeated, and all must match (`multipleAnd`), where the definition says so.
    pub multiple_and: Option<bool>,
    /// The comparators that the definition names, such as `eq`.
    pub comparators: Vec<Box<str>>,
    /// The modifiers that the definition names.
    pub modifiers: Vec<Box<str>>,
    /// The chained parameters that the definition names.
    pub chain: Vec<Box<str>>,
}

/// A compartment (R4 compartmentdefinition.html): for each resource type, the codes of the parameters that tie it in.
#[derive(Debug)]
pub struct Compartment {
    /// `Patient`, `Encounter`, `RelatedPerson`, `Practitioner`, `Device`.
    pub name: Box<str>,
    /// Resource type to parameter codes; `{def}` is left out. Types without parameters are not in it.
    pub members: FxHashMap<TypeId, Vec<Box<str>>>,
}

/// An operation of the specification: name and where it can be called.
#[derive(Debug)]
pub struct OperationDefinition {
    /// Canonical.
    pub url: Box<str>,
    /// `everything`, without `$`.
    pub code: Box<str>,
    /// Whether it can be called on the system.
    pub system: bool,
    /// Whether it can be called on a type.
    pub on_type: bool,
    /// Whether it can be called on an instance.
    pub on_instance: bool,
    /// Whether it changes anything (then only by POST).
    pub affects_state: bool,
    /// The resource types.
    pub resources: Vec<Box<str>>,
}

/// What FHIR R4 itself defines.
#[derive(Debug, Default)]
pub struct Core {
    /// Structures by number.
    pub structures: Vec<Structure>,
    pub(super) by_name: FxHashMap<Box<str>, TypeId>,
    /// Resource types that can be stored, sorted by name.
    pub resources: Vec<TypeId>,
    /// The search parameters of the specification, by number.
    pub search_parameters: Vec<SearchParameter>,
    /// For each structure number of a resource: code to parameter number, those of Resource and DomainResource included.
    pub(super) search_by_type: ByType,
    /// The five compartments.
    pub compartments: Vec<Compartment>,
    /// Value sets by canonical.
    pub value_sets: FxHashMap<Box<str>, ValueSet>,
    /// Operations of the specification.
    pub operations: Vec<OperationDefinition>,
}

/// For each resource type: code to parameter number.
pub(super) type ByType = FxHashMap<TypeId, FxHashMap<Box<str>, u16>>;

/// All definitions: those of the specification, and search parameters that were added to them (`custom`). Immutable;
/// who adds search parameters makes new ones, which share what the specification defines.
#[derive(Debug, Default)]
pub struct Definitions {
    core: Arc<Core>,
    /// Search parameters that were added, in order of their numbers.
    pub(super) custom: Vec<SearchParameter>,
    /// Those of them that searches can use, by type.
    pub(super) ready: ByType,
    /// Those that are not indexed yet, by type.
    pub(super) pending: ByType,
    /// Which list they are: see [`CustomParameters::mark`](super::CustomParameters::mark).
    pub(super) mark: u64,
}

impl Deref for Definitions {
    type Target = Core;

    fn deref(&self) -> &Core {
        &self.core
    }
}

impl Core {
    /// The structure of this name: resource type, data type or backbone path.
    pub fn type_named(&self, name: &str) -> Option<TypeId> {
        self.by_name.get(name).copied()
    }

    /// The resource type of this name that can be stored.
    pub fn resource(&self, name: &str) -> Option<TypeId> {
        self.type_named(name).filter(|t| self.structure(*t).kind == StructureKind::Resource)
    }

    /// The structure of a number.
    pub fn structure(&self, id: TypeId) -> &Structure {
        &self.structures[id.0 as usize]
    }

    /// The name of a type.
    pub fn name(&self, id: TypeId) -> &str {
        &self.structure(id).name
    }

    /// The search parameter of this code that the specification has on a resource type, those of Resource and
    /// DomainResource included.
    pub fn core_search_parameter(&self, on: TypeId, code: &str) -> Option<&SearchParameter> {
        let number = *self.search_by_type.get(&on)?.get(code)?;
        self.search_parameters.get(usize::from(number))
    }

    /// The operation of this code (without `$`) that is defined for a resource type, or for all of them, or, with
    /// no type, for the system.
    pub fn operation(&self, code: &str, on: Option<&str>) -> Option<&OperationDefinition> {
        self.operations.iter().filter(|o| &*o.code == code).find(|o| match on {
            Some(on) => (o.on_type || o.on_instance) && o.resources.iter().any(|r| &**r == on || &**r == "Resource"),
            None => o.system,
        })
    }

    /// The compartment of this name.
    pub fn compartment(&self, name: &str) -> Option<&Compartment> {
        self.compartments.iter().find(|c| &*c.name == name)
    }
}

impl Definitions {
    /// What the specification defines, and nothing else.
    pub(super) fn of(core: Core) -> Definitions {
        Definitions { core: Arc::new(core), ..Definitions::default() }
    }

    /// The same specification without what was added.
    pub(super) fn bare(&self) -> Definitions {
        Definitions { core: self.core.clone(), ..Definitions::default() }
    }

    /// The name of a type.
    pub fn name(&self, id: TypeId) -> &str {
        self.core.name(id)
    }

    /// The search parameter of this code on a resource type, those of Resource and DomainResource included. One that
    /// was added is found once it is indexed.
    pub fn search_parameter(&self, on: TypeId, code: &str) -> Option<&SearchParameter> {
        self.core_search_parameter(on, code).or_else(|| self.added(&self.ready, on, code))
    }

    /// A search parameter that was added and is not indexed yet: searches with it would answer wrongly.
    pub fn pending_search_parameter(&self, on: TypeId, code: &str) -> Option<&SearchParameter> {
        self.added(&self.pending, on, code)
    }

    fn added(&self, by_type: &ByType, on: TypeId, code: &str) -> Option<&SearchParameter> {
        self.search_parameter_numbered(*by_type.get(&on)?.get(code)?)
    }

    /// The search parameter of a number, also one that is not indexed yet.
    pub fn search_parameter_numbered(&self, number: u16) -> Option<&SearchParameter> {
        self.search_parameters.get(usize::from(number)).or_else(|| {
            let found = self.custom.binary_search_by_key(&number, |p| p.number).ok()?;
            self.custom.get(found)
        })
    }

    /// A number that says which search parameters were added; see
    /// [`CustomParameters::mark`](super::CustomParameters::mark).
    pub fn custom_mark(&self) -> u64 {
        self.mark
    }

    /// Whether searches can use the parameter of this number, one that was added.
    pub fn is_ready(&self, number: u16) -> bool {
        self.ready.values().any(|by_code| by_code.values().any(|ready| *ready == number))
    }

    /// Whether a search parameter was added to those of the specification.
    pub fn is_custom(&self, parameter: &SearchParameter) -> bool {
        usize::from(parameter.number) >= self.search_parameters.len()
    }

    /// The search parameters of a resource type, those of Resource and DomainResource included, sorted by code;
    /// without those that are not indexed yet.
    pub fn search_parameters_of(&self, on: TypeId) -> Vec<&SearchParameter> {
        self.parameters_in(&[&self.search_by_type, &self.ready], on)
    }

    /// The same, and those that are not indexed yet: all under which resources have terms.
    pub fn indexed_parameters_of(&self, on: TypeId) -> Vec<&SearchParameter> {
        self.parameters_in(&[&self.search_by_type, &self.ready, &self.pending], on)
    }

    fn parameters_in(&self, all: &[&ByType], on: TypeId) -> Vec<&SearchParameter> {
        let numbers = all.iter().filter_map(|by_type| by_type.get(&on)).flat_map(|m| m.values());
        let mut all: Vec<_> = numbers.filter_map(|n| self.search_parameter_numbered(*n)).collect();
        all.sort_by(|a, b| a.code.cmp(&b.code));
        all
    }

    /// All search parameters, also those that are not indexed yet.
    pub fn all_search_parameters(&self) -> impl Iterator<Item = &SearchParameter> {
        self.search_parameters.iter().chain(&self.custom)
    }

    /// The search parameter with this canonical.
    pub fn search_parameter_by_url(&self, url: &str) -> Option<&SearchParameter> {
        self.all_search_parameters().find(|p| &*p.url == url)
    }
}
