//! What lies around a resource while its invariants are judged: what references of the same document point to, and
//! what the terminology and the profiles say.

use super::narrative;
use super::place::Place;
use super::walk::{Scope, Walk};
use crate::fhirpath::eval::{Item, Node, World};

/// The surroundings of one evaluation.
pub(super) struct Around<'a, 'v, 's, 'd> {
    pub walk: &'a Walk<'v, 'd>,
    pub scope: Scope<'s, 'd>,
}

impl<'d> World<'d> for Around<'_, '_, '_, 'd> {
    fn resolve(&self, reference: &str) -> Option<Node<'d>> {
        self.walk.entries().resolve(reference, self.scope, self.walk.definitions())
    }

    fn member_of(&self, item: &Item<'d>, value_set: &str) -> Option<bool> {
        match item {
            Item::Node(node) => self.walk.any_code_in(value_set, *node),
            Item::String(code) => self.walk.validator.codes.contains(value_set, None, None, code),
            _ => None,
        }
    }

    fn conforms_to(&self, node: &Node<'d>, canonical: &str) -> Option<bool> {
        let profile = self.walk.validator.profile(canonical).ok()??;
        // Another validation of the same document, so that nothing is noted in this one.
        let mut walk = Walk::new(self.walk.validator, self.walk.root, self.walk.asked);
        walk.held.clone_from(&self.walk.held);
        walk.budget = self.walk.budget / 2;
        let scope = match node.is_resource(walk.definitions()) {
            true => Scope { resource: *node, ..self.scope },
            false => self.scope,
        };
        Some(walk.tries(&profile, *node, &Place::root("Resource"), scope))
    }

    fn html_checks(&self, narrative: &Item<'d>) -> Option<bool> {
        match narrative {
            Item::String(text) => Some(narrative::check(text).is_ok()),
            _ => None,
        }
    }
}
