//! References: the type that a literal reference names, and fragments that must name a contained resource.
//! Whether the target exists is no matter of validation here.

use super::place::Place;
use super::walk::{Walk, shown};
use crate::base::{IssueCode, Severity};
use crate::definitions::{Definitions, Element, StructureKind, TypeId};
use crate::fhirpath::eval::{Node, NodeType};
use crate::json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;

/// The resource that may contain others, with the ids of those, collected when the first fragment is met.
pub(super) struct Container<'d> {
    resource: Value<'d>,
    /// `%rootResource`
    pub node: Node<'d>,
    ids: OnceCell<HashSet<Cow<'d, str>>>,
}

impl<'d> Container<'d> {
    pub(super) fn new(resource: Value<'d>, definitions: &Definitions) -> Self {
        let unknown = Node { value: Some(resource), extra: None, kind: NodeType::Complex(TypeId(0)) };
        let node = Node::resource(resource, definitions).unwrap_or(unknown);
        Container { resource, node, ids: OnceCell::new() }
    }

    /// Whether a contained resource has this id.
    pub(super) fn contains(&self, id: &str) -> bool {
        let ids = self.ids.get_or_init(|| {
            let contained = self.resource.get("contained");
            contained.iter().flat_map(|c| c.items()).filter_map(|r| r.get("id")?.as_str()).collect()
        });
        ids.contains(id)
    }
}

impl<'d> Walk<'_, 'd> {
    /// A reference: the type that it names must exist, and be one of those the element allows.
    pub(super) fn target(&mut self, element: &Element, value: Value<'d>, place: &Place<'_>) {
        for name in ["reference", "type"] {
            let Some(text) = value.get(name).and_then(Value::as_str) else { continue };
            let Some(named) = (if name == "type" { Some(&*text) } else { type_in(&text) }) else { continue };
            match self.definitions().resource(named) {
                Some(kind) if allows(self.definitions(), element, kind) => {}
                Some(_) => {
                    let allowed: Vec<&str> = element.targets.iter().map(|t| self.definitions().name(*t)).collect();
                    let message = format!("'{}' may point to {}, not to {named}", element.name, allowed.join(", "));
                    // Only a warning: the target may be a profile's or a later version's, and official examples do it.
                    self.note(Severity::Warning, IssueCode::Value, &place.child(name), message);
                }
                // The type may also be the address of a logical model.
                None if name == "type" => {}
                None => {
                    let message = format!("'{}' is not a resource type of FHIR R4", shown(named));
                    self.report(IssueCode::Value, &place.child(name), message);
                }
            }
        }
    }
}

fn allows(definitions: &Definitions, element: &Element, kind: TypeId) -> bool {
    let any = |t: &TypeId| definitions.structure(*t).kind == StructureKind::AbstractResource;
    element.targets.is_empty() || element.targets.iter().any(|t| *t == kind || any(t))
}

/// The type in a relative reference, such as `Patient/1` or `Patient?identifier=1`.
fn type_in(reference: &str) -> Option<&str> {
    let name = reference.get(..reference.find(['/', '?'])?)?;
    let word = name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphabetic());
    word.then_some(name)
}
