//! What the XML reader and writer must know of types. The definitions answer it.

use crate::primitive::Primitive;

/// The number of a type in the schema, whatever it means there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TypeNumber(pub u16);

/// What an element holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildKind {
    /// A primitive: an attribute `value`, and perhaps an id and extensions.
    Primitive(Primitive),
    /// A data type or backbone element.
    Complex(TypeNumber),
    /// Any resource.
    Resource,
}

/// One element of a type.
#[derive(Clone, Copy, Debug)]
pub struct Child<'s> {
    /// Name in JSON and XML: `name`, `valueQuantity`.
    pub name: &'s str,
    /// Name in FHIRPath: `name`, `value`.
    pub fhirpath: &'s str,
    /// What it holds.
    pub kind: ChildKind,
    /// Whether it may repeat (then JSON has an array).
    pub many: bool,
    /// Written as an attribute in XML (`id` of elements, `url` of extensions; not `id` of resources).
    pub attribute: bool,
    /// Its place among the elements of the type, as XML orders them (R4 xml.html).
    pub order: u16,
}

/// What XML must know of types.
pub trait Schema: Send + Sync {
    /// The resource type of this name that can be an instance.
    fn resource_type(&self, name: &str) -> Option<TypeNumber>;

    /// The name of a type.
    fn name(&self, of: TypeNumber) -> &str;

    /// The type `Element`, whose children (`id` and extensions) elements of primitive types may have.
    fn element_type(&self) -> Option<TypeNumber>;

    /// The element of a type with this name; a type of a choice element under its own name, such as `valueQuantity`.
    fn child(&self, of: TypeNumber, name: &str) -> Option<Child<'_>>;
}
