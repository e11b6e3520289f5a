//! From a condition to a compiled node, and the versions that are visible at a position. How chains are followed is
//! in `chain`.

use super::chain::{Chain, reverse};
use super::index::TenantIndex;
use super::meter::Meter;
use super::node::{Goal, Look, Node};
use super::postings::Bits;
use super::type_index::TypeIndex;
use crate::definitions::TypeId;
use crate::index::{Condition, Term};
use crate::store::Vocabulary;
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
    /// What the search has cost.
    pub meter: &'e Meter<'e>,
}

/// The versions of one type that are visible at a moment.
pub struct Visible<'i> {
    index: Look<'i>,
    position: u64,
    bound: u32,
}

/// Versions that are tried together.
const TOGETHER: usize = 4096;

impl<'i> Visible<'i> {
    /// Those up to a position.
    pub fn at(index: Look<'i>, position: u64) -> Visible<'i> {
        Visible { index, position, bound: index.bound(position) }
    }

    /// Whether nothing of this type happened after the position: then what is live now is what is visible.
    pub fn is_now(&self) -> bool {
        self.bound == self.index.len()
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
        match self.is_now() {
            true => Cow::Borrowed(self.index.index.live()),
            false => Cow::Owned(self.index.live_below(self.bound)),
        }
    }

    /// How many visible versions fulfil a condition, where that is known without seeking each.
    pub fn count(&self, node: &mut Node<'_>) -> Option<usize> {
        match node {
            Node::Nothing => Some(0),
            Node::All if self.is_now() => Some(self.index.live_count()),
            Node::All => Some(self.all().len()),
            Node::Term(hits) if self.is_now() => Some(hits.count_live(self.index.live())),
            Node::Term(hits) => Some(hits.count_in(&self.all())),
            Node::Bits(bits, _) => Some(bits.len_in(&self.all())),
            Node::Not(inner) => Some(self.count(&mut Node::All)?.saturating_sub(self.count(inner)?)),
            Node::And(nodes) => {
                let (lead, rest) = nodes.split_first_mut()?;
                let index = self.index;
                let (mut count, mut some) = (0, Vec::with_capacity(TOGETHER));
                let mut sift = |some: &mut Vec<u32>| {
                    if !index.meter.spend(some.len() as u32) {
                        rest.iter_mut().for_each(|node| node.sift(index, some));
                        count += some.len();
                    }
                    some.clear();
                };
                let is_set = lead.for_each_of_set(&mut |ordinal| {
                    if self.sees(ordinal) {
                        some.push(ordinal);
                    }
                    if some.len() == TOGETHER {
                        sift(&mut some);
                    }
                });
                sift(&mut some);
                is_set.then_some(count)
            }
            _ => None,
        }
    }

    /// The visible versions that fulfil several conditions at once, where one of those has few: sought together, once for
    /// their number and for the rows of a page.
    pub fn few(&self, node: &mut Node<'_>) -> Option<Vec<u32>> {
        let Node::And(nodes) = node else { return None };
        let (lead, rest) = nodes.split_first_mut()?;
        if lead.estimate(self.index) > TOGETHER {
            return None;
        }
        let mut some = Vec::with_capacity(lead.estimate(self.index));
        let is_set = lead.for_each_of_set(&mut |ordinal| {
            if self.sees(ordinal) {
                some.push(ordinal);
            }
        });
        if !is_set || self.index.meter.spend(some.len() as u32) {
            return None;
        }
        rest.iter_mut().for_each(|node| node.sift(self.index, &mut some));
        Some(some)
    }

    /// The first visible version that fulfils a condition and is not below `from`; none once the search must end.
    pub fn seek(&self, node: &mut Node<'_>, mut from: u32) -> Option<u32> {
        loop {
            let found = node.seek(self.index, from)?;
            if found >= self.bound || self.index.meter.spend(1) {
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
            Node::Term(hits) => visible(hits.bits()),
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
        let mut take = |ordinal: u32| {
            if self.sees(ordinal) {
                found.push(ordinal);
            }
        };
        match node {
            Node::Term(hits) => hits.for_each(take),
            Node::List(list, _) => list.iter().for_each(|o| take(*o)),
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

impl<'e> Moment<'e> {
    /// An index of the tenant as this search sees it.
    pub fn look<'i>(&self, index: &'i TypeIndex) -> Look<'i>
    where
        'e: 'i,
    {
        Look { index, meter: self.meter }
    }

    /// Compiles a condition on resources of a type.
    pub fn compile<'i>(&self, kind: TypeId, index: Look<'i>, condition: &'i Condition, goal: Goal) -> Node<'i>
    where
        'e: 'i,
    {
        match condition {
            Condition::Everything => Node::All,
            Condition::Nothing => Node::Nothing,
            Condition::Kind(only) if *only == kind => Node::All,
            Condition::Kind(_) => Node::Nothing,
            Condition::Not(inner) => Node::not(self.compile(kind, index, inner, goal)),
            Condition::And(all) => {
                let nodes = all.iter().map(|c| self.compile(kind, index, c, goal)).collect();
                Node::and(index, nodes, goal)
            }
            Condition::Or(any) => Node::or(any.iter().map(|c| self.compile(kind, index, c, goal)).collect()),
            Condition::Term(term) => Node::of_term(index, &term.0),
            Condition::Range(range) => Node::of_range(index, range),
            Condition::Chain { parameter, targets, condition } => {
                let chain = Chain::new(*self, *parameter, targets, condition);
                // Conditions that go on to further resources are not tried one by one.
                if condition.joins() { chain.set(index) } else { Node::Chain(Box::new(chain)) }
            }
            Condition::Reverse { source, parameter, condition } => {
                Node::of_set(reverse(self, kind, index, *source, *parameter, condition))
            }
        }
    }

    /// The visible resources of a type that fulfil a condition.
    pub fn matches(&self, kind: TypeId, index: Look<'_>, condition: &Condition) -> Vec<u32> {
        let mut node = self.compile(kind, index, condition, Goal::All).leading(index, Goal::All);
        Visible::at(index, self.position).collect(&mut node)
    }

    /// The visible resource that a reference term points to, if it is of a type.
    pub fn resource(&self, term: &[u8], kind: TypeId, index: Look<'_>) -> Option<u32> {
        let term = Term(term.into());
        let (target, id) = self.vocabulary.target_of(&term)?;
        if target != kind {
            return None;
        }
        index.current(&self.vocabulary.id_term(kind, id).0, index.bound(self.position), self.position)
    }
}
