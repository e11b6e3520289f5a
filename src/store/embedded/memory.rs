//! The newest versions of a resource type in memory: for every version its terms, for every term its versions. Only
//! ever added to; once it is large enough it is sealed into a segment. Ordinals are places within it. Which versions
//! are current is not known here.

use super::postings::Postings;
use super::runs::{Range, Runs};
use super::segment::Stored;
use crate::index::{Term, Terms};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::hash::BuildHasher;

/// A term and where it stands.
struct Slot {
    bytes: Box<[u8]>,
    postings: Postings,
}

impl Slot {
    fn stored(&self) -> Stored<'_> {
        Stored::slice(self.postings.as_slice(), self.postings.bits())
    }
}

/// Versions in memory.
#[derive(Default)]
pub struct Memory {
    forward: Forward,
    /// Term of the logical id of each version.
    ids: Vec<u32>,
    slots: Vec<Slot>,
    /// The first bytes of each term: most comparisons are decided by them, without a look at the term.
    heads: Vec<u64>,
    /// Hash of the bytes to the term. Where two terms have the same hash, the second is found in `ordered`.
    by_hash: FxHashMap<u64, u32>,
    ordered: Runs,
    /// The groups of its terms: their first three bytes, the parameter and the form of the value.
    groups: FxHashSet<u32>,
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

impl Memory {
    /// Adds a version with its logical id and its terms; a delete has none.
    pub fn push(&mut self, id: &Term, terms: Option<&Terms>) {
        let ordinal = self.len();
        let id_term = self.intern(&id.0);
        self.ids.push(id_term);
        let Some(terms) = terms else { return self.forward.push(&[]) };
        let mut own: Vec<u32> = terms.as_slice().iter().map(|t| self.intern(&t.0)).collect();
        // The id is needed to find the resource again, also where the vocabulary did not stamp it.
        if let Err(at) = own.binary_search_by(|t| self.slots[*t as usize].bytes[..].cmp(&id.0)) {
            own.insert(at, id_term);
        }
        for term in &own {
            self.slots[*term as usize].postings.push(ordinal);
        }
        self.forward.push(&own);
    }

    /// The term with these bytes, made if there is none. It has no versions at first.
    fn intern(&mut self, bytes: &[u8]) -> u32 {
        if let Some(found) = self.term(bytes) {
            return found;
        }
        let term = self.slots.len() as u32;
        self.by_hash.entry(hash(bytes)).or_insert(term);
        let head = head(bytes);
        self.heads.push(head);
        self.groups.insert(group(head));
        self.slots.push(Slot { bytes: bytes.into(), postings: Postings::default() });
        self.ordered.push(term, |t| &self.slots[t as usize].bytes);
        term
    }

    fn term(&self, bytes: &[u8]) -> Option<u32> {
        let candidate = *self.by_hash.get(&hash(bytes))?;
        if *self.slots[candidate as usize].bytes == *bytes {
            return Some(candidate);
        }
        self.ordered.find(bytes, |t| self.bytes(t))
    }

    fn bytes(&self, term: u32) -> &[u8] {
        &self.slots[term as usize].bytes
    }

    /// How many versions.
    pub fn len(&self) -> u32 {
        self.ids.len() as u32
    }

    /// The parameter of the logical ids.
    pub fn id_parameter(&self) -> [u8; 2] {
        let first = self.ids.first().and_then(|id| self.slots[*id as usize].bytes.first_chunk::<2>());
        first.copied().unwrap_or_default()
    }

    /// The term of a version's logical id.
    pub fn id_term(&self, ordinal: u32) -> &[u8] {
        &self.slots[self.ids[ordinal as usize] as usize].bytes
    }

    /// The versions of a term.
    pub fn find(&self, bytes: &[u8]) -> Option<Stored<'_>> {
        Some(self.slots[self.term(bytes)? as usize].stored())
    }

    /// Whether there can be terms in a range. That there are none is often clear at once, such as of security labels.
    pub fn may_have(&self, from: &[u8], to: &[u8]) -> bool {
        let of = group(head(from));
        from.len() < 3 || group(head(to)) != of || self.groups.contains(&of)
    }

    /// Goes through the terms of a range, forwards or backwards.
    pub fn stream(&self, from: &[u8], to: &[u8], descending: bool) -> MemoryStream<'_> {
        let to = if from <= to { to } else { from };
        let range = self.ordered.range(from, to, |t| self.bytes(t));
        MemoryStream { memory: self, range, descending, at: None }
    }

    /// The place of the first of some terms, which are in order, that is not below these bytes.
    fn first_from(&self, terms: &[u32], from: &[u8]) -> usize {
        let start = head(from);
        terms.partition_point(|t| {
            let head = self.heads[*t as usize];
            if head == start { &*self.slots[*t as usize].bytes < from } else { head < start }
        })
    }

    /// The terms of a version from `from` up to `to`, in order.
    pub fn terms_between(&self, ordinal: u32, from: &[u8], to: &[u8]) -> impl Iterator<Item = &[u8]> {
        let terms = self.forward.get(ordinal);
        let start = self.first_from(terms, from);
        let end = start + self.first_from(&terms[start..], to);
        terms[start..end].iter().map(|t| &*self.slots[*t as usize].bytes)
    }

    /// The terms of a version, in order.
    pub fn terms_of(&self, ordinal: u32) -> impl Iterator<Item = &[u8]> {
        self.forward.get(ordinal).iter().map(|t| &*self.slots[*t as usize].bytes)
    }

    /// The terms of a version under a parameter, in order.
    pub fn terms_under(&self, ordinal: u32, parameter: u16) -> impl Iterator<Item = &[u8]> {
        let terms = self.forward.get(ordinal);
        let of = |t: &u32| (self.heads[*t as usize] >> 48) as u16;
        let start = terms.partition_point(|t| of(t) < parameter);
        let end = start + terms[start..].partition_point(|t| of(t) == parameter);
        terms[start..end].iter().map(|t| &*self.slots[*t as usize].bytes)
    }

    /// Whether a version has a term from `from` up to `to`.
    pub fn any_between(&self, ordinal: u32, from: &[u8], to: &[u8]) -> bool {
        let terms = self.forward.get(ordinal);
        let Some(term) = terms.get(self.first_from(terms, from)) else { return false };
        let (own, end) = (self.heads[*term as usize], head(to));
        if own == end { &*self.slots[*term as usize].bytes < to } else { own < end }
    }
}

/// Goes through the terms of a range.
pub struct MemoryStream<'m> {
    memory: &'m Memory,
    range: Range<'m>,
    descending: bool,
    at: Option<&'m Slot>,
}

impl<'m> MemoryStream<'m> {
    /// Goes on to the next term that has versions; whether there is one.
    pub fn advance(&mut self) -> bool {
        loop {
            let bytes = |t| self.memory.bytes(t);
            let next = if self.descending { self.range.next_back(bytes) } else { self.range.next(bytes) };
            self.at = next.map(|term| &self.memory.slots[term as usize]);
            if self.at.is_none_or(|slot| !slot.postings.as_slice().is_empty()) {
                return self.at.is_some();
            }
        }
    }

    /// The term.
    pub fn term(&self) -> &'m [u8] {
        self.at.map_or(&[], |slot| &slot.bytes)
    }

    /// Its versions.
    pub fn stored(&self) -> Option<Stored<'m>> {
        self.at.map(Slot::stored)
    }
}

/// The first eight bytes as a number; zeros behind what is shorter. Where two terms differ in it, it has their order.
fn head(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = bytes.len().min(8);
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(first)
}

/// The first three bytes of a head.
fn group(head: u64) -> u32 {
    (head >> 40) as u32
}

fn hash(bytes: &[u8]) -> u64 {
    FxBuildHasher.hash_one(bytes)
}
