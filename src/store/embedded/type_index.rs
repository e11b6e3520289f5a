//! The index of one resource type of one tenant, in memory: for every version its terms, for every term its
//! versions. A version has an ordinal, its place among the versions of the type; nothing is ever rewritten, only
//! superseded. How conditions are answered with it is in `evaluate` and `order`.

use super::postings::{Bits, Postings};
use crate::index::{Condition, Range, Term, Terms};
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::ops::Bound;
use std::sync::Arc;

/// Not superseded.
pub const NEVER: u32 = u32::MAX;

/// A term and where it stands.
pub struct Slot {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// The versions that have it.
    postings: Postings,
    /// How many of them are superseded,
    dead: u32,
    /// and the number of the version that superseded last.
    last_dead: u32,
}

/// The versions of one resource type.
#[derive(Default)]
pub struct TypeIndex {
    /// Number of each version.
    numbers: Vec<u32>,
    /// Number of the version that superseded it, or [`NEVER`].
    superseded: Vec<u32>,
    /// Ordinal of the version that it superseded, or [`NEVER`].
    supersedes: Vec<u32>,
    /// Term of the logical id of each version.
    id_terms: Vec<u32>,
    forward: Forward,
    slots: Vec<Slot>,
    /// The first bytes of each term: most comparisons are decided by them, without a look at the term.
    heads: Vec<u64>,
    /// Hash of the bytes to the term. Where two terms have the same hash, the second is found in `ordered`.
    by_hash: FxHashMap<u64, u32>,
    ordered: BTreeMap<Arc<[u8]>, u32>,
    /// Versions that are deletes.
    deletes: Bits,
    /// Resources whose newest version is a delete: term of the id to the ordinal of the delete.
    gone: FxHashMap<u32, u32>,
    /// Versions that are current and no deletes,
    live: Bits,
    /// and how many.
    live_count: usize,
}

/// The terms of each version, one after the other in pieces that never move.
#[derive(Default)]
struct Forward {
    pieces: Vec<Vec<u32>>,
    /// Piece, place in it, and length of each version's terms.
    places: Vec<(u32, u16, u16)>,
    /// Terms of versions that have too many for `places`.
    long: FxHashMap<u32, Box<[u32]>>,
}

const PIECE: usize = 1 << 16;

impl Forward {
    fn push(&mut self, terms: &[u32]) {
        if terms.len() >= u16::MAX as usize {
            self.long.insert(self.places.len() as u32, terms.into());
            self.places.push((0, 0, u16::MAX));
            return;
        }
        if self.pieces.last().is_none_or(|p| p.len() + terms.len() > PIECE || p.len() > u16::MAX as usize) {
            // Small types are many: a piece grows as it is filled, up to its size.
            self.pieces.push(Vec::new());
        }
        let piece = self.pieces.len() - 1;
        let last = &mut self.pieces[piece];
        self.places.push((piece as u32, last.len() as u16, terms.len() as u16));
        last.extend_from_slice(terms);
    }

    fn get(&self, ordinal: u32) -> &[u32] {
        match self.places[ordinal as usize] {
            (_, _, u16::MAX) => &self.long[&ordinal],
            (piece, start, length) => &self.pieces[piece as usize][start as usize..start as usize + length as usize],
        }
    }
}

/// What is added to the index for one version.
pub struct Entry<'t> {
    /// Its number.
    pub number: u32,
    /// The term of its logical id.
    pub id: Term,
    /// Its terms; none for a delete.
    pub terms: Option<&'t Terms>,
}

impl TypeIndex {
    /// Adds a version, whose number is greater than all before. It supersedes the one before it of the resource.
    pub fn add(&mut self, entry: &Entry<'_>) {
        let ordinal = self.numbers.len() as u32;
        let id = self.intern(&entry.id.0);
        let before = self.gone.remove(&id).or_else(|| self.last_of(id));
        if let Some(before) = before {
            self.supersede(before, entry.number);
        }
        self.numbers.push(entry.number);
        self.superseded.push(NEVER);
        self.supersedes.push(before.unwrap_or(NEVER));
        self.id_terms.push(id);
        match entry.terms {
            Some(terms) => {
                let mut ids: Vec<u32> = terms.as_slice().iter().map(|t| self.intern(&t.0)).collect();
                // The id is needed to find the resource again, also where the vocabulary did not stamp it.
                if let Err(at) = ids.binary_search_by(|t| self.slots[*t as usize].bytes[..].cmp(&entry.id.0)) {
                    ids.insert(at, id);
                }
                for term in &ids {
                    self.slots[*term as usize].add(ordinal);
                }
                self.forward.push(&ids);
                self.live.insert(ordinal);
                self.live_count += 1;
            }
            None => {
                self.forward.push(&[]);
                self.deletes.insert(ordinal);
                self.gone.insert(id, ordinal);
            }
        }
    }

    /// The last version with a term of a logical id that is no delete.
    fn last_of(&self, id: u32) -> Option<u32> {
        self.slots[id as usize].postings().last().copied()
    }

    fn supersede(&mut self, ordinal: u32, number: u32) {
        self.superseded[ordinal as usize] = number;
        if self.live.contains(ordinal) {
            self.live.remove(ordinal);
            self.live_count -= 1;
            for term in self.forward.get(ordinal) {
                let slot = &mut self.slots[*term as usize];
                slot.dead += 1;
                slot.last_dead = number;
            }
        }
    }

    /// The term with these bytes, made if there is none. It has no postings at first.
    fn intern(&mut self, bytes: &[u8]) -> u32 {
        if let Some(found) = self.term(bytes) {
            return found;
        }
        let term = self.slots.len() as u32;
        let bytes: Arc<[u8]> = bytes.into();
        self.by_hash.entry(hash(&bytes)).or_insert(term);
        self.heads.push(head(&bytes));
        self.ordered.insert(bytes.clone(), term);
        self.slots.push(Slot { bytes, postings: Postings::Many(Vec::new()), dead: 0, last_dead: 0 });
        term
    }

    /// The term with these bytes.
    pub fn term(&self, bytes: &[u8]) -> Option<u32> {
        let candidate = *self.by_hash.get(&hash(bytes))?;
        if *self.slots[candidate as usize].bytes == *bytes {
            return Some(candidate);
        }
        self.ordered.get(bytes).copied()
    }

    /// A term by its number.
    pub fn slot(&self, term: u32) -> &Slot {
        &self.slots[term as usize]
    }

    /// The terms in a range, in order. A range that ends before it begins is empty.
    pub fn terms_between<'s>(&'s self, from: &[u8], to: &[u8]) -> impl DoubleEndedIterator<Item = &'s Slot> + use<'s> {
        let to = if from <= to { to } else { from };
        self.ordered
            .range::<[u8], _>((Bound::Included(from), Bound::Excluded(to)))
            .map(|(_, term)| &self.slots[*term as usize])
    }

    /// The versions up to a position have ordinals below this.
    pub fn bound(&self, position: u64) -> u32 {
        if self.numbers.last().is_none_or(|last| u64::from(*last) <= position) {
            return self.len();
        }
        self.numbers.partition_point(|n| u64::from(*n) <= position) as u32
    }

    /// The number of a version.
    pub fn number(&self, ordinal: u32) -> u64 {
        self.numbers[ordinal as usize].into()
    }

    /// The ordinal of a number, if it is of this type.
    pub fn ordinal(&self, number: u64) -> Option<u32> {
        let found = self.numbers.partition_point(|n| u64::from(*n) < number);
        (self.numbers.get(found).is_some_and(|n| u64::from(*n) == number)).then_some(found as u32)
    }

    /// Whether a version was current at a position at which it existed, deletes included.
    pub fn is_newest(&self, ordinal: u32, position: u64) -> bool {
        let by = self.superseded[ordinal as usize];
        by == NEVER || u64::from(by) > position
    }

    /// The number of the version that superseded it up to a position.
    pub fn superseded_by(&self, ordinal: u32, position: u64) -> Option<u64> {
        let by = self.superseded[ordinal as usize];
        (by != NEVER && u64::from(by) <= position).then_some(by.into())
    }

    /// Whether a version is a delete.
    pub fn is_delete(&self, ordinal: u32) -> bool {
        self.deletes.contains(ordinal)
    }

    /// How many versions there are, deletes included.
    pub fn len(&self) -> u32 {
        self.numbers.len() as u32
    }

    /// How many resources are current and not deleted.
    pub fn live_count(&self) -> usize {
        self.live_count
    }

    /// The versions that are current now and no deletes.
    pub fn live(&self) -> &Bits {
        &self.live
    }

    /// The versions that were current and no deletes when only those below `bound` existed.
    pub fn live_below(&self, bound: u32) -> Bits {
        let mut live = self.live.clone();
        for later in bound..self.len() {
            let before = self.supersedes[later as usize];
            if before < bound && !self.is_delete(before) {
                live.insert(before);
            }
        }
        live.truncate(bound);
        live
    }

    /// The terms of a version, in order.
    pub fn forward(&self, ordinal: u32) -> &[u32] {
        self.forward.get(ordinal)
    }

    /// The place of the first of some terms, which are in order, that is not below these bytes.
    fn first_from(&self, terms: &[u32], from: &[u8]) -> usize {
        let start = head(from);
        terms.partition_point(|t| {
            let head = self.heads[*t as usize];
            if head == start { &*self.slots[*t as usize].bytes < from } else { head < start }
        })
    }

    /// The bytes of the terms of a version from `from` up to `to`, in order.
    pub fn forward_between(&self, ordinal: u32, from: &[u8], to: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
        let terms = self.forward(ordinal);
        let start = self.first_from(terms, from);
        let end = start + self.first_from(&terms[start..], to);
        terms[start..end].iter().map(|t| &*self.slots[*t as usize].bytes)
    }

    /// The terms of a version under a parameter.
    pub fn forward_of(&self, ordinal: u32, parameter: u16) -> &[u32] {
        let terms = self.forward(ordinal);
        let of = |t: &u32| (self.heads[*t as usize] >> 48) as u16;
        let start = terms.partition_point(|t| of(t) < parameter);
        let end = start + terms[start..].partition_point(|t| of(t) == parameter);
        &terms[start..end]
    }

    /// The terms of a parameter, in order.
    pub fn terms_of(&self, parameter: u16) -> impl Iterator<Item = &Slot> {
        let from = parameter.to_be_bytes();
        self.ordered
            .range::<[u8], _>((Bound::Included(&from[..]), Bound::Unbounded))
            .map(|(_, term)| &self.slots[*term as usize])
            .take_while(move |slot| slot.bytes.starts_with(&from))
    }

    /// Whether a parameter has more terms than this.
    pub fn more_terms_than(&self, parameter: u16, number: usize) -> bool {
        self.terms_of(parameter).nth(number).is_some()
    }

    /// The bytes of the term of a version's logical id.
    pub fn id_term(&self, ordinal: u32) -> &[u8] {
        &self.slots[self.id_terms[ordinal as usize] as usize].bytes
    }

    /// Whether a version has a term in a range that passes its test.
    pub fn in_range(&self, ordinal: u32, range: &Range) -> bool {
        let terms = self.forward(ordinal);
        let start = self.first_from(terms, &range.from);
        let end = head(&range.to);
        for term in &terms[start..] {
            let head = self.heads[*term as usize];
            if head > end || (head == end && *self.slots[*term as usize].bytes >= *range.to) {
                return false;
            }
            if range.test.as_ref().is_none_or(|test| test.accepts(&self.slots[*term as usize].bytes)) {
                return true;
            }
        }
        false
    }

    /// Whether a version fulfils a condition that asks nothing of other resources.
    pub fn fulfils(&self, kind: crate::definitions::TypeId, ordinal: u32, condition: &Condition) -> bool {
        match condition {
            Condition::Everything => true,
            Condition::Nothing | Condition::Chain { .. } | Condition::Reverse { .. } => false,
            Condition::Kind(only) => *only == kind,
            Condition::Not(inner) => !self.fulfils(kind, ordinal, inner),
            Condition::And(all) => all.iter().all(|c| self.fulfils(kind, ordinal, c)),
            Condition::Or(any) => any.iter().any(|c| self.fulfils(kind, ordinal, c)),
            Condition::Term(term) => self.term(&term.0).is_some_and(|term| self.slots[term as usize].has(ordinal)),
            Condition::Range(range) => self.in_range(ordinal, range),
        }
    }

    /// The ordinal of the version of a resource that was current at a position (versions up to which have ordinals
    /// below `bound`), unless it was a delete.
    pub fn current(&self, id_term: &[u8], bound: u32, position: u64) -> Option<u32> {
        let postings = self.slots[self.term(id_term)? as usize].postings();
        let end = postings.partition_point(|o| *o < bound);
        let ordinal = *postings.get(end.checked_sub(1)?)?;
        self.is_newest(ordinal, position).then_some(ordinal)
    }
}

impl Slot {
    fn add(&mut self, ordinal: u32) {
        match &mut self.postings {
            Postings::Many(none) if none.is_empty() => self.postings = Postings::One(ordinal),
            postings => postings.push(ordinal),
        }
    }

    /// Whether a version has it.
    pub fn has(&self, ordinal: u32) -> bool {
        match self.postings.bits() {
            Some(bits) => bits.contains(ordinal),
            None => self.postings().binary_search(&ordinal).is_ok(),
        }
    }

    /// The versions that have it as bits.
    pub fn bits(&self) -> Cow<'_, Bits> {
        match self.postings.bits() {
            Some(bits) => Cow::Borrowed(bits),
            None => Cow::Owned(self.postings().iter().copied().collect()),
        }
    }

    /// Whether a version is known to have it by a look at its bits.
    pub fn has_bit(&self, ordinal: u32) -> bool {
        self.postings.bits().is_some_and(|bits| bits.contains(ordinal))
    }

    /// Whether its versions are kept as bits too.
    pub fn is_dense(&self) -> bool {
        self.postings.bits().is_some()
    }

    /// The versions that have it, ascending.
    pub fn postings(&self) -> &[u32] {
        self.postings.as_slice()
    }

    /// How many of its versions are current and below the bound, where that is known without looking at them.
    pub fn live_count(&self, bound: u32, position: u64) -> Option<usize> {
        let known = self.postings().last().is_none_or(|last| *last < bound) && u64::from(self.last_dead) <= position;
        known.then(|| self.postings().len() - self.dead as usize)
    }
}

/// The first eight bytes as a number; zeros behind what is shorter. Where two terms differ in it, it has their order.
fn head(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = bytes.len().min(8);
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(first)
}

fn hash(bytes: &[u8]) -> u64 {
    FxBuildHasher.hash_one(bytes)
}
