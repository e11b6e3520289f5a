//! References: the type that a literal reference names, and fragments that must name a contained resource.
//! Whether the target exists is no matter of validation here.

use super::place::Place;
use super::walk::Walk;
use crate::base::IssueCode;
use crate::definitions::{Definitions, Element, TypeId};
use crate::json::Value;
use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashSet;

/// The resource that may contain others, with the ids of those, collected when the first fragment is met.
pub(super) struct Container<'d> {
    resource: Value<'d>,
    ids: OnceCell<HashSet<Cow<'d, str>>>,
}

impl<'d> Container<'d> {
    pub(super) fn new(resource: Value<'d>) -> Self {
        Container { resource, ids: OnceCell::new() }
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

impl Walk<'_> {
    /// A reference whose target may be of some types only.
    pub(super) fn target(&mut self, element: &Element, value: Value<'_>, place: &Place<'_>) {
        let definitions = self.definitions();
        for name in ["reference", "type"] {
            let Some(text) = value.get(name).and_then(Value::as_str) else { continue };
            let kind = if name == "type" { definitions.resource(&text) } else { named(definitions, &text) };
            if let Some(kind) = kind.filter(|k| !element.targets.contains(k)) {
                let allowed: Vec<&str> = element.targets.iter().map(|t| definitions.name(*t)).collect();
                let message = format!(
                    "'{}' may not point to {}, only to {}",
                    element.name,
                    definitions.name(kind),
                    allowed.join(", ")
                );
                self.report(IssueCode::Value, &place.child(name), message);
            }
        }
    }
}

/// The resource type that a relative reference (`Patient/1`, `Patient?identifier=1`) names.
fn named(definitions: &Definitions, reference: &str) -> Option<TypeId> {
    let end = reference.find(['/', '?'])?;
    definitions.resource(reference.get(..end)?)
}
