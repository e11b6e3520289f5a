//! The definitions as what XML must know of types. The numbers of the schema are those of the structures.

use super::model::{Definitions, ElementType};
use crate::xml::{Child, ChildKind, Schema, TypeNumber};

impl Schema for Definitions {
    fn resource_type(&self, name: &str) -> Option<TypeNumber> {
        self.resource(name).map(|id| TypeNumber(id.0))
    }

    fn name(&self, of: TypeNumber) -> &str {
        self.structures.get(of.0 as usize).map_or("", |s| &s.name)
    }

    fn element_type(&self) -> Option<TypeNumber> {
        self.type_named("Element").map(|id| TypeNumber(id.0))
    }

    fn child(&self, of: TypeNumber, name: &str) -> Option<Child<'_>> {
        let structure = self.structures.get(of.0 as usize)?;
        let element = structure.element(name)?;
        let kind = match element.kind {
            ElementType::Primitive(primitive) => ChildKind::Primitive(primitive),
            ElementType::Complex(id) => ChildKind::Complex(TypeNumber(id.0)),
            ElementType::Resource => ChildKind::Resource,
        };
        Some(Child {
            name: &element.name,
            fhirpath: &element.fhirpath,
            kind,
            many: element.many,
            attribute: element.attribute,
            order: element.order,
        })
    }
}
