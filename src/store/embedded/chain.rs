//! Chains: conditions on resources that others refer to, and on resources that refer to others. Either the resources
//! at the far end are found first and followed back, as many as there are; or, where few resources have to be judged,
//! each is tried by following its own references.

use super::evaluate::Moment;
use super::node::{Goal, Node};
use super::postings::Bits;
use super::type_index::TypeIndex;
use crate::definitions::TypeId;
use crate::index::{Condition, Term};
use rustc_hash::FxHashSet;

/// Work to follow one reference, in the units of `node`.
const FOLLOW: usize = 300;
/// Up to so many resources at the far end are followed back without asking whether another way is shorter.
const FEW: usize = 64;

/// A chain that has not been followed yet.
pub struct Chain<'i> {
    moment: Moment<'i>,
    parameter: u16,
    targets: &'i [TypeId],
    condition: &'i Condition,
    /// Resources at the far end, at most,
    matches: usize,
    /// of how many of their types.
    of: usize,
}

impl<'i> Chain<'i> {
    /// A chain to resources of some types.
    pub fn new(moment: Moment<'i>, parameter: u16, targets: &'i [TypeId], condition: &'i Condition) -> Chain<'i> {
        let mut chain = Chain { moment, parameter, targets, condition, matches: 0, of: 0 };
        if !condition.joins() {
            for target in targets {
                moment.tenant.with(*target, |inner| {
                    let node = moment.compile(*target, inner, condition, Goal::Page).leading(inner, Goal::Page);
                    chain.matches += node.estimate(inner);
                    chain.of += inner.len() as usize;
                });
            }
        }
        chain
    }

    /// Whether many of the resources at the far end fulfil the condition: then a page is soon full of what is tried.
    pub fn is_broad(&self) -> bool {
        self.matches * 16 >= self.of
    }

    /// What it costs to follow all of them back.
    pub fn cost(&self) -> usize {
        self.matches.saturating_mul(FOLLOW)
    }

    /// Whether a version refers to a visible resource that fulfils the condition.
    pub fn holds(&self, index: &TypeIndex, ordinal: u32) -> bool {
        let Moment { tenant, vocabulary, position } = self.moment;
        index.forward_of(ordinal, self.parameter).iter().any(|term| {
            let term = Term(index.slot(*term).bytes[..].into());
            let Some((target, id)) = vocabulary.target_of(&term) else { return false };
            self.targets.contains(&target)
                && tenant.with(target, |inner| {
                    let found = inner.current(&vocabulary.id_term(target, id).0, inner.bound(position), position);
                    found.is_some_and(|o| inner.fulfils(target, o, self.condition))
                })
        })
    }

    /// All versions that refer to a resource that fulfils the condition.
    pub fn set(&self, index: &TypeIndex) -> Node<'i> {
        let mut found = Vec::new();
        for target in self.targets {
            self.moment.tenant.with(*target, |inner| self.follow(index, *target, inner, &mut found));
        }
        Node::of_set(found)
    }

    fn follow(&self, index: &TypeIndex, target: TypeId, inner: &TypeIndex, found: &mut Vec<u32>) {
        let matches = self.moment.matches(target, inner, self.condition);
        if matches.len() > FEW && !index.more_terms_than(self.parameter, matches.len()) {
            // Fewer references than resources: go through the references.
            let matches: Bits = matches.into_iter().collect();
            for slot in index.terms_of(self.parameter) {
                if self.moment.resource(slot, target, inner).is_some_and(|o| matches.contains(o)) {
                    found.extend_from_slice(slot.postings());
                }
            }
            return;
        }
        for ordinal in matches {
            let id = Term(inner.id_term(ordinal).into());
            let Some(id) = self.moment.vocabulary.id_of(&id) else { continue };
            let reference = self.moment.vocabulary.reference_term(self.parameter, target, id);
            if let Some(term) = index.term(&reference.0) {
                found.extend_from_slice(index.slot(term).postings());
            }
        }
    }
}

/// Versions in `index`, of type `kind`, that a resource of type `source` which fulfils a condition refers to.
pub fn reverse(
    moment: &Moment<'_>,
    kind: TypeId,
    index: &TypeIndex,
    source: TypeId,
    parameter: u16,
    condition: &Condition,
) -> Vec<u32> {
    moment.tenant.with(source, |inner| {
        let matches = moment.matches(source, inner, condition);
        let mut found = Vec::new();
        if matches.len() > FEW && !inner.more_terms_than(parameter, matches.len()) {
            let matches: Bits = matches.into_iter().collect();
            for slot in inner.terms_of(parameter) {
                if slot.postings().iter().any(|o| matches.contains(*o)) {
                    found.extend(moment.resource(slot, kind, index));
                }
            }
            return found;
        }
        let mut seen = FxHashSet::default();
        for ordinal in matches {
            for term in inner.forward_of(ordinal, parameter) {
                if seen.insert(*term) {
                    found.extend(moment.resource(inner.slot(*term), kind, index));
                }
            }
        }
        found
    })
}
