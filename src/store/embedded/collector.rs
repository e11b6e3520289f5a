//! Collects the versions of a set in any order: as a list while they are few, then as bits.

use super::node::Node;
use super::part::Hits;
use super::postings::Bits;
use super::segment::Stored;

/// Collects ordinals.
pub struct Collector {
    few: Vec<u32>,
    many: Option<Bits>,
    most: usize,
    bound: u32,
}

impl Collector {
    /// For ordinals below a bound.
    pub fn new(bound: u32) -> Collector {
        Collector { few: Vec::new(), many: None, most: bound as usize / 64 + 256, bound }
    }

    /// Adds the versions of a term, each moved up by `base`.
    pub fn extend(&mut self, base: u32, stored: Stored<'_>) {
        match self.room(stored.len()) {
            Some(bits) => stored.add_to(base, bits),
            None => stored.for_each(|o| self.few.push(base + o)),
        }
    }

    /// Adds the versions of a term.
    pub fn extend_hits(&mut self, hits: &Hits<'_>) {
        match self.room(hits.len()) {
            Some(bits) => hits.add_to(bits),
            None => hits.for_each(|o| self.few.push(o)),
        }
    }

    /// Adds some.
    pub fn extend_list(&mut self, list: &[u32]) {
        match self.room(list.len()) {
            Some(bits) => list.iter().for_each(|o| bits.insert(*o)),
            None => self.few.extend_from_slice(list),
        }
    }

    /// Adds a set.
    pub fn extend_bits(&mut self, bits: &Bits) {
        if let Some(many) = self.room(usize::MAX) {
            many.unite(bits);
        }
    }

    /// The bits, if there will be too many for a list.
    fn room(&mut self, more: usize) -> Option<&mut Bits> {
        if self.many.is_none() && self.few.len().saturating_add(more) > self.most {
            let mut bits = Bits::below(self.bound);
            self.few.drain(..).for_each(|o| bits.insert(o));
            self.many = Some(bits);
        }
        self.many.as_mut()
    }

    /// What was collected.
    pub fn into_node<'i>(self) -> Node<'i> {
        match self.many {
            Some(bits) => {
                let count = bits.len();
                Node::Bits(bits, count)
            }
            None => Node::of_set(self.few),
        }
    }
}
