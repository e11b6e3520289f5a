//! Chains: conditions on resources that others refer to, and on resources that refer to others. Either the resources
//! at the far end are found first and followed back, as many as there are; or, where few resources have to be judged,
//! each is tried by following its own references.

use super::evaluate::Moment;
use super::node::{Goal, Look, Node};
use super::part::Stream;
use super::postings::Bits;
use super::type_index::{TypeIndex, parameter_bounds};
use crate::definitions::TypeId;
use crate::index::{Condition, Term};
use rustc_hash::FxHashSet;

/// Work to follow one reference, in the units of `node`.
const FOLLOW: usize = 1_000;
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
                    let inner = moment.look(inner);
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
    pub fn holds(&self, index: Look<'_>, ordinal: u32) -> bool {
        let Moment { tenant, vocabulary, position, meter } = self.moment;
        if meter.spend(1) {
            return false;
        }
        let mut holds = false;
        index.terms_under(ordinal, self.parameter, |term| {
            let term = Term(term.into());
            let Some((target, id)) = vocabulary.target_of(&term) else { return true };
            holds = self.targets.contains(&target)
                && tenant.with(target, |inner| {
                    let found = inner.current(&vocabulary.id_term(target, id).0, inner.bound(position), position);
                    found.is_some_and(|o| inner.fulfils(target, o, self.condition))
                });
            !holds
        });
        holds
    }

    /// All versions that refer to a resource that fulfils the condition.
    pub fn set(&self, index: Look<'_>) -> Node<'i> {
        let mut found = Vec::new();
        for target in self.targets {
            self.moment.tenant.with(*target, |inner| {
                self.follow(index, *target, self.moment.look(inner), &mut found);
            });
        }
        Node::of_set(found)
    }

    fn follow(&self, index: Look<'_>, target: TypeId, inner: Look<'_>, found: &mut Vec<u32>) {
        let moment = &self.moment;
        let matches = moment.matches(target, inner, self.condition);
        if matches.len() > FEW && !index.more_terms_than(self.parameter, matches.len()) {
            // Fewer references than resources: go through the references.
            let matches: Bits = matches.into_iter().collect();
            references(&index, self.parameter, |base, stream| {
                if moment.resource(stream.term(), target, inner).is_some_and(|o| matches.contains(o))
                    && let Some(stored) = stream.stored()
                {
                    stored.for_each(|o| found.push(base + o));
                }
                !moment.meter.spend(1)
            });
            return;
        }
        for ordinal in matches {
            if moment.meter.spend(1) {
                return;
            }
            let Some(term) = inner.id_term(ordinal) else { continue };
            let Some(id) = moment.vocabulary.id_of(&term) else { continue };
            let reference = moment.vocabulary.reference_term(self.parameter, target, id);
            if let Some(hits) = index.find(&reference.0) {
                hits.for_each(|o| found.push(o));
            }
        }
    }
}

/// Goes through the terms of a reference parameter, part by part, with each part's first ordinal.
fn references(index: &TypeIndex, parameter: u16, mut tell: impl FnMut(u32, &Stream<'_>) -> bool) {
    let (from, to) = parameter_bounds(parameter);
    for at in index.parts() {
        let mut stream = at.part.stream(&from, &to, false);
        while stream.advance() {
            if !tell(at.base, &stream) {
                return;
            }
        }
    }
}

/// Versions in `index`, of type `kind`, that a resource of type `source` which fulfils a condition refers to.
pub fn reverse(
    moment: &Moment<'_>,
    kind: TypeId,
    index: Look<'_>,
    source: TypeId,
    parameter: u16,
    condition: &Condition,
) -> Vec<u32> {
    moment.tenant.with(source, |inner| {
        let matches = moment.matches(source, moment.look(inner), condition);
        let mut found = Vec::new();
        if matches.len() > FEW && !inner.more_terms_than(parameter, matches.len()) {
            let matches: Bits = matches.into_iter().collect();
            references(inner, parameter, |base, stream| {
                if stream.stored().is_some_and(|stored| stored.count_in(base, &matches) > 0) {
                    found.extend(moment.resource(stream.term(), kind, index));
                }
                !moment.meter.spend(1)
            });
            return found;
        }
        let mut seen: FxHashSet<Box<[u8]>> = FxHashSet::default();
        for ordinal in matches {
            if moment.meter.spend(1) {
                break;
            }
            inner.terms_under(ordinal, parameter, |term| {
                if !seen.contains(term) {
                    seen.insert(term.into());
                    found.extend(moment.resource(term, kind, index));
                }
                true
            });
        }
        found
    })
}
