//! What lies around a resource while its invariants are judged: what references of the same document point to, and
//! what the terminology and the profiles say. The same for expressions that are evaluated on their own.

use super::elsewhere::Coded;
use super::place::Place;
use super::reference::Container;
use super::walk::{Scope, Walk};
use super::{Asked, Validator, narrative};
use crate::fhirpath::eval::{Item, Node, World};
use crate::json::Value;
use std::cell::RefCell;

/// The surroundings of one evaluation.
pub(super) struct Around<'a, 'v, 's, 'd> {
    walk: &'a Walk<'v, 'd>,
    scope: Scope<'s, 'd>,
    /// What is taken to be so of codes of which it is not known whether they are in a value set.
    assumed: Option<bool>,
    /// Why it was not known of the first of them, and how often it was not.
    unknown: RefCell<Option<(String, usize)>>,
}

/// What may be asked of others: elements that hold codes, never other text.
const CODED: [&str; 5] = ["code", "uri", "Coding", "CodeableConcept", "Quantity"];

impl<'a, 'v, 's, 'd> Around<'a, 'v, 's, 'd> {
    pub(super) fn new(walk: &'a Walk<'v, 'd>, scope: Scope<'s, 'd>) -> Self {
        Around { walk, scope, assumed: None, unknown: RefCell::default() }
    }

    /// The same with something assumed of codes of which it is not known whether they are in a value set.
    pub(super) fn assuming(self, assumed: Option<bool>) -> Self {
        Around { assumed, ..self }
    }

    /// Why it was not known of some code whether it is in a value set, and how often it was not.
    pub(super) fn unknown(self) -> Option<(String, usize)> {
        self.unknown.into_inner()
    }

    fn is_member(&self, item: &Item<'d>, value_set: &str) -> Option<bool> {
        match item {
            Item::Node(node) if self.is_coded(node) => self.walk.any_code_in(value_set, *node),
            Item::Node(node) => self.walk.any_code_in_here(value_set, *node),
            Item::String(code) => self.walk.member_here(value_set, &Coded::bare(code)),
            _ => None,
        }
    }

    fn is_coded(&self, node: &Node<'d>) -> bool {
        CODED.contains(&node.type_name(self.walk.definitions()))
    }
}

impl<'d> World<'d> for Around<'_, '_, '_, 'd> {
    fn resolve(&self, reference: &str, from: Option<Value<'d>>) -> Option<Node<'d>> {
        let (entries, definitions) = (self.walk.entries(), self.walk.definitions());
        // Of a Bundle, the entry counts that the reference stands in.
        let entry = from.and_then(|from| Node::resource(entries.around(from)?, definitions));
        entries.resolve_from(reference, entry.unwrap_or(self.scope.container.node), definitions)
    }

    fn member_of(&self, item: &Item<'d>, value_set: &str) -> Option<bool> {
        let known = self.is_member(item, value_set);
        if known.is_some() {
            return known;
        }
        if !matches!(item, Item::Node(_) | Item::String(_)) {
            return None;
        }
        let mut unknown = self.unknown.borrow_mut();
        match &mut *unknown {
            Some((_, times)) => *times += 1,
            none => {
                let why = match item {
                    Item::Node(node) if self.is_coded(node) => self.walk.why_undecided(value_set, *node),
                    _ => format!("nobody here has all codes of the value set {value_set}"),
                };
                *none = Some((why, 1));
            }
        }
        self.assumed
    }

    fn conforms_to(&self, node: &Node<'d>, canonical: &str, steps: &mut u64) -> Option<bool> {
        let profile = self.walk.validator.profile(canonical).ok()??;
        // Another validation of the same document, so that nothing is noted in this one.
        let mut walk = self.walk.another();
        if !walk.is_of(*node, &profile.about) {
            return Some(false);
        }
        walk.budget = *steps;
        let scope = match node.is_resource(walk.definitions()) {
            true => Scope { resource: *node, ..self.scope },
            false => self.scope,
        };
        let kept = walk.tries(&profile, *node, &Place::root("Resource"), scope);
        *steps = walk.budget;
        Some(kept)
    }

    fn html_checks(&self, narrative: &Item<'d>) -> Option<bool> {
        match narrative {
            Item::String(text) => Some(narrative::check(text).is_ok()),
            _ => None,
        }
    }
}

/// A whole document, and who is told what `trace` shows.
struct Told<'a, 'v, 's, 'd> {
    around: Around<'a, 'v, 's, 'd>,
    told: &'a dyn Fn(&str, &[Item<'d>]),
}

impl<'d> World<'d> for Told<'_, '_, '_, 'd> {
    fn resolve(&self, reference: &str, from: Option<Value<'d>>) -> Option<Node<'d>> {
        self.around.resolve(reference, from)
    }

    fn member_of(&self, item: &Item<'d>, value_set: &str) -> Option<bool> {
        self.around.member_of(item, value_set)
    }

    fn conforms_to(&self, node: &Node<'d>, profile: &str, steps: &mut u64) -> Option<bool> {
        self.around.conforms_to(node, profile, steps)
    }

    fn html_checks(&self, narrative: &Item<'d>) -> Option<bool> {
        self.around.html_checks(narrative)
    }

    fn trace(&self, name: &str, values: &[Item<'d>]) {
        (self.told)(name, values);
    }
}

impl Validator {
    /// Does something in the world of a document: expressions on it find what its references point to, and know the
    /// value sets and profiles that this validator knows. `told` hears what `trace` shows.
    pub fn in_world_of<'d, R>(
        &self,
        document: Value<'d>,
        told: &dyn Fn(&str, &[Item<'d>]),
        work: impl FnOnce(&dyn World<'d>) -> R,
    ) -> R {
        let asked = Asked::full();
        let walk = Walk::new(self, document, &asked);
        let container = Container::new(document, &self.definitions);
        let scope = Scope { container: &container, resource: container.node, contained: false };
        work(&Told { around: Around::new(&walk, scope), told })
    }
}
