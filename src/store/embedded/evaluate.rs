//! From a condition to a compiled node, chains included; and the versions that are visible at a position. No limit on
//! the number of resources a chain goes through.

use super::index::TenantIndex;
use super::node::Node;
use super::postings::Bits;
use super::type_index::{Slot, TypeIndex};
use crate::definitions::TypeId;
use crate::index::{Condition, Term};
use crate::store::Vocabulary;
use rustc_hash::FxHashSet;
use std::borrow::Cow;

/// The state of a tenant at a position.
#[derive(Clone, Copy)]
pub struct Moment<'e> {
    /// The index of the tenant.
    pub tenant: &'e TenantIndex,
    /// What terms mean.
    pub vocabulary: &'e dyn Vocabulary,
    /// The number of the last version that is seen.
    pub position: u64,
}

/// The versions of one type that are visible at a moment.
pub struct Visible<'i> {
    index: &'i TypeIndex,
    position: u64,
    bound: u32,
}

impl<'i> Visible<'i> {
    /// Those up to a position.
    pub fn at(index: &'i TypeIndex, position: u64) -> Visible<'i> {
        Visible { index, position, bound: index.bound(position) }
    }

    /// Whether nothing of this type happened after the position: then what is live now is what is visible.
    fn is_now(&self) -> bool {
        self.bound == self.index.len()
    }

    /// Ordinals below this existed.
    pub fn bound(&self) -> u32 {
        self.bound
    }

    /// Whether a version is visible.
    pub fn sees(&self, ordinal: u32) -> bool {
        if self.is_now() {
            return self.index.live().contains(ordinal);
        }
        ordinal < self.bound && self.index.is_newest(ordinal, self.position) && !self.index.is_delete(ordinal)
    }

    /// All visible versions.
    pub fn all(&self) -> Cow<'i, Bits> {
        if self.is_now() { Cow::Borrowed(self.index.live()) } else { Cow::Owned(self.index.live_below(self.bound)) }
    }

    /// How many visible versions fulfil a condition, where that is known without looking at each.
    pub fn count(&self, node: &Node<'_>) -> Option<usize> {
        match node {
            Node::Nothing => Some(0),
            Node::All if self.is_now() => Some(self.index.live_count()),
            Node::All => Some(self.all().len()),
            Node::Term(slot, _) => slot.live_count(self.bound, self.position),
            Node::Bits(bits, _) => {
                let mut bits = bits.clone();
                bits.intersect(&self.all());
                Some(bits.len())
            }
            Node::Not(inner) => Some(self.count(&Node::All)? - self.count(inner)?),
            _ => None,
        }
    }

    /// The first visible version that fulfils a condition and is not below `from`.
    pub fn seek(&self, node: &mut Node<'_>, mut from: u32) -> Option<u32> {
        loop {
            let found = node.seek(self.index, from)?;
            if found >= self.bound {
                return None;
            }
            if self.sees(found) {
                return Some(found);
            }
            from = found + 1;
        }
    }

    /// All visible versions that fulfil a condition, as bits.
    pub fn bits(&self, node: &mut Node<'_>) -> Bits {
        let visible = |mut bits: Bits| {
            bits.intersect(&self.all());
            bits
        };
        match node {
            Node::All => self.all().into_owned(),
            Node::Bits(bits, _) => visible(bits.clone()),
            Node::Term(slot, _) => visible(slot.postings().iter().copied().collect()),
            Node::List(list, _) => visible(list.iter().copied().collect()),
            Node::Not(inner) => {
                let mut all = self.all().into_owned();
                all.subtract(&self.bits(inner));
                all
            }
            node => self.collect(node).into_iter().collect(),
        }
    }

    /// All visible versions that fulfil a condition.
    pub fn collect(&self, node: &mut Node<'_>) -> Vec<u32> {
        let mut found = Vec::new();
        match node {
            Node::Term(slot, _) => found.extend(slot.postings().iter().filter(|o| self.sees(**o))),
            Node::List(list, _) => found.extend(list.iter().filter(|o| self.sees(**o))),
            Node::All => found.extend(self.all().iter()),
            node => {
                let mut from = 0;
                while let Some(ordinal) = self.seek(node, from) {
                    found.push(ordinal);
                    from = ordinal + 1;
                }
            }
        }
        found
    }
}

impl Moment<'_> {
    /// Compiles a condition on resources of a type. `budget` is what turning a range into a set may cost where the
    /// alternative is to try version by version until a page is full.
    pub fn compile<'i>(&self, kind: TypeId, index: &'i TypeIndex, condition: &'i Condition, budget: usize) -> Node<'i> {
        match condition {
            Condition::Everything => Node::All,
            Condition::Nothing => Node::Nothing,
            Condition::Kind(only) if *only == kind => Node::All,
            Condition::Kind(_) => Node::Nothing,
            Condition::Not(inner) => Node::not(self.compile(kind, index, inner, usize::MAX)),
            Condition::And(all) => {
                let nodes = all.iter().map(|c| self.compile(kind, index, c, budget)).collect();
                Node::and(index, nodes, budget)
            }
            Condition::Or(any) => Node::or(any.iter().map(|c| self.compile(kind, index, c, budget)).collect()),
            Condition::Term(term) => Node::of_term(index, &term.0),
            Condition::Range(range) => Node::of_range(index, range),
            Condition::Chain { parameter, targets, condition } => {
                let mut found = Vec::new();
                for target in targets {
                    self.chain(index, *parameter, *target, condition, &mut found);
                }
                Node::of_set(found)
            }
            Condition::Reverse { source, parameter, condition } => {
                Node::of_set(self.reverse(kind, index, *source, *parameter, condition))
            }
        }
    }

    /// The visible resources of a type that fulfil a condition.
    fn matches(&self, kind: TypeId, index: &TypeIndex, condition: &Condition) -> Vec<u32> {
        let mut node = self.compile(kind, index, condition, usize::MAX).leading(index, usize::MAX);
        Visible::at(index, self.position).collect(&mut node)
    }

    /// Versions in `index` that refer under a parameter to a resource of type `target` that fulfils a condition.
    fn chain(&self, index: &TypeIndex, parameter: u16, target: TypeId, condition: &Condition, found: &mut Vec<u32>) {
        self.tenant.with(target, |inner| {
            let matches = self.matches(target, inner, condition);
            let few = !index.more_terms_than(parameter, matches.len());
            if few && matches.len() > 64 {
                // Fewer references than resources: go through the references.
                let matches: Bits = matches.into_iter().collect();
                let visible = Visible::at(inner, self.position);
                for slot in index.terms_of(parameter) {
                    let refers = self.resource(slot, target, inner, &visible).is_some_and(|o| matches.contains(o));
                    if refers {
                        found.extend_from_slice(slot.postings());
                    }
                }
                return;
            }
            for ordinal in matches {
                let id = Term(inner.id_term(ordinal).into());
                let Some(id) = self.vocabulary.id_of(&id) else { continue };
                let reference = self.vocabulary.reference_term(parameter, target, id);
                if let Some(term) = index.term(&reference.0) {
                    found.extend_from_slice(index.slot(term).postings());
                }
            }
        });
    }

    /// The visible resource that a reference term points to, if it is of a type.
    fn resource(&self, slot: &Slot, kind: TypeId, index: &TypeIndex, visible: &Visible<'_>) -> Option<u32> {
        let term = Term(slot.bytes[..].into());
        let (target, id) = self.vocabulary.target_of(&term)?;
        if target != kind {
            return None;
        }
        index.current(&self.vocabulary.id_term(kind, id).0, visible.bound(), self.position)
    }

    /// Versions in `index`, of type `kind`, that a resource of type `source` which fulfils a condition refers to.
    fn reverse(
        &self,
        kind: TypeId,
        index: &TypeIndex,
        source: TypeId,
        parameter: u16,
        condition: &Condition,
    ) -> Vec<u32> {
        self.tenant.with(source, |inner| {
            let matches = self.matches(source, inner, condition);
            let visible = Visible::at(index, self.position);
            let mut found = Vec::new();
            if !inner.more_terms_than(parameter, matches.len()) {
                let matches: Bits = matches.into_iter().collect();
                for slot in inner.terms_of(parameter) {
                    if slot.postings().iter().any(|o| matches.contains(*o)) {
                        found.extend(self.resource(slot, kind, index, &visible));
                    }
                }
                return found;
            }
            let mut seen = FxHashSet::default();
            for ordinal in matches {
                for term in inner.forward_of(ordinal, parameter) {
                    if seen.insert(*term) {
                        found.extend(self.resource(inner.slot(*term), kind, index, &visible));
                    }
                }
            }
            found
        })
    }
}
