//! What lies around a resource while its invariants are judged: what references of the same document point to, and
//! what the terminology and the profiles say.

use super::narrative;
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

    fn html_checks(&self, narrative: &Item<'d>) -> Option<bool> {
        match narrative {
            Item::String(text) => Some(narrative::check(text).is_ok()),
            _ => None,
        }
    }
}
