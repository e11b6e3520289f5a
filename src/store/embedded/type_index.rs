//! The index of one resource type of one tenant: what is known of each version, and the parts that hold their terms:
//! sealed ones, those that are being sealed, and the newest in memory. A version has an ordinal, its place among the
//! versions of the type; nothing is ever rewritten, only superseded. How conditions are answered with it is in
//! `evaluate` and `order`.

use super::memory::Memory;
use super::part::{At, Hits, Part, Spread};
use super::postings::Bits;
use super::segment::Section;
use crate::definitions::TypeId;
use crate::index::{Condition, Range, Term, Terms};
use std::sync::Arc;

/// Not superseded.
pub const NEVER: u32 = u32::MAX;

/// The versions of one resource type.
#[derive(Default)]
pub struct TypeIndex {
    /// Number of each version.
    numbers: Vec<u32>,
    /// Number of the version that superseded it, or [`NEVER`].
    superseded: Vec<u32>,
    /// Ordinal of the version that it superseded, or [`NEVER`].
    supersedes: Vec<u32>,
    /// Versions that are deletes.
    deletes: Bits,
    /// Versions that are current and no deletes,
    live: Bits,
    /// and how many.
    live_count: usize,
    /// Parts that are not added to any more, in order.
    parts: Vec<Placed>,
    tail: Memory,
    /// How many versions of the tail are superseded.
    tail_dead: u32,
}

/// A part that is not added to any more.
struct Placed {
    base: u32,
    dead: u32,
    held: Held,
}

#[derive(Clone)]
enum Held {
    Frozen(Arc<Memory>),
    Sealed(Arc<Section>),
}

impl Held {
    fn part(&self) -> Part<'_> {
        match self {
            Held::Frozen(memory) => Part::Memory(memory),
            Held::Sealed(section) => Part::Sealed(section),
        }
    }
}

/// What is added to the index for one version.
pub struct Entry<'t> {
    /// Its number.
    pub number: u32,
    /// The number of the version of the same resource before it.
    pub previous: Option<u64>,
    /// The term of its logical id.
    pub id: Term,
    /// Its terms; none for a delete.
    pub terms: Option<&'t Terms>,
}

/// What is written into one segment: parts that follow each other, and what is known of their versions.
pub struct Stretch {
    parts: Vec<Held>,
    /// The number of each version.
    pub numbers: Vec<u32>,
    /// Versions that have a version of the same resource before them, and its number.
    pub previous: Vec<(u32, u32)>,
    /// Versions that are deletes.
    pub deletes: Vec<u32>,
}

impl Stretch {
    /// The parts, each with its first ordinal within the stretch.
    pub fn parts(&self) -> impl Iterator<Item = At<'_>> {
        let mut base = 0;
        self.parts.iter().map(move |held| {
            let at = At { base, part: held.part(), dead: 0 };
            base += at.part.len();
            at
        })
    }

    /// Lets go of the memory in which sealed parts were looked at.
    pub fn let_go(&self) {
        let sealed = |held: &Held| {
            if let Held::Sealed(section) = held {
                section.let_go()
            }
        };
        self.parts.iter().for_each(sealed);
    }

    /// The same versions with the terms that these sections have; `None` if those are of other versions.
    pub fn with_sections(self, sections: Vec<Arc<Section>>) -> Option<Stretch> {
        let numbers = sections.iter().flat_map(|section| section.numbers());
        let same = numbers.eq(self.numbers.iter().copied());
        same.then(|| Stretch { parts: sections.into_iter().map(Held::Sealed).collect(), ..self })
    }

    /// The parameter of the logical ids.
    pub fn id_parameter(&self) -> [u8; 2] {
        let of = |held: &Held| match held {
            Held::Frozen(memory) => memory.id_parameter(),
            Held::Sealed(section) => section.id_parameter,
        };
        self.parts.first().map(of).unwrap_or_default()
    }
}

impl TypeIndex {
    /// Adds a version, whose number is greater than all before. It supersedes the one before it of the resource.
    pub fn add(&mut self, entry: &Entry<'_>) {
        let ordinal = self.len();
        let before = entry.previous.and_then(|number| self.ordinal(number));
        self.numbers.push(entry.number);
        self.superseded.push(NEVER);
        self.supersedes.push(before.unwrap_or(NEVER));
        self.tail.push(&entry.id, entry.terms);
        if let Some(before) = before {
            self.supersede(before, entry.number);
        }
        if entry.terms.is_some() {
            self.live.insert(ordinal);
            self.live_count += 1;
        } else {
            self.deletes.insert(ordinal);
        }
    }

    fn supersede(&mut self, ordinal: u32, number: u32) {
        self.superseded[ordinal as usize] = number;
        if self.live.take(ordinal) {
            self.live_count -= 1;
            let at = self.parts.partition_point(|p| p.base <= ordinal);
            match at.checked_sub(1).and_then(|at| self.parts.get_mut(at)) {
                Some(placed) if ordinal < placed.base + placed.held.part().len() => placed.dead += 1,
                _ => self.tail_dead += 1,
            }
        }
    }

    /// The tail becomes a part that is not added to any more, and an empty one takes its place.
    pub fn freeze(&mut self) {
        if self.tail.len() == 0 {
            return;
        }
        let base = self.tail_base();
        let held = Held::Frozen(Arc::new(std::mem::take(&mut self.tail)));
        self.parts.push(Placed { base, dead: std::mem::take(&mut self.tail_dead), held });
    }

    /// Adds the versions of a section, whose numbers are greater than all before.
    pub fn attach(&mut self, section: Arc<Section>) {
        self.freeze();
        let base = self.len();
        let numbers = section.numbers();
        let end = base as usize + numbers.len();
        self.numbers.extend(numbers);
        self.superseded.resize(end, NEVER);
        self.supersedes.resize(end, NEVER);
        section.deletes().into_iter().for_each(|o| self.deletes.insert(base + o));
        for ordinal in base..end as u32 {
            if !self.deletes.contains(ordinal) {
                self.live.insert(ordinal);
                self.live_count += 1;
            }
        }
        self.parts.push(Placed { base, dead: 0, held: Held::Sealed(section.clone()) });
        for (ordinal, previous) in section.previous() {
            let ordinal = base + ordinal;
            if let Some(before) = self.ordinal(previous.into()).filter(|before| *before < ordinal) {
                self.supersedes[ordinal as usize] = before;
                self.supersede(before, self.numbers[ordinal as usize]);
            }
        }
    }

    /// The frozen and sealed parts whose first numbers are from one number up to and including another.
    fn stretch_of(&self, from: u64, to: u64) -> std::ops::Range<usize> {
        let first = |p: &Placed| self.number(p.base);
        let start = self.parts.partition_point(|p| first(p) < from);
        let end = self.parts.partition_point(|p| first(p) <= to);
        start..end
    }

    /// What there is between two numbers, to be written into a segment; `None` if there is nothing.
    pub fn stretch(&self, from: u64, to: u64) -> Option<Stretch> {
        let placed = self.parts.get(self.stretch_of(from, to))?;
        let (first, last) = (placed.first()?, placed.last()?);
        let range = first.base..last.base + last.held.part().len();
        let within = range.start as usize..range.end as usize;
        let previous = self.supersedes[within.clone()].iter().enumerate().filter(|(_, before)| **before != NEVER);
        Some(Stretch {
            parts: placed.iter().map(|p| p.held.clone()).collect(),
            numbers: self.numbers[within].to_vec(),
            previous: previous.map(|(o, before)| (o as u32, self.numbers[*before as usize])).collect(),
            deletes: range.clone().filter(|o| self.is_delete(*o)).map(|o| o - range.start).collect(),
        })
    }

    /// Puts a section in the place of what it was made of. Refused if it is not of as many versions.
    pub fn replace(&mut self, from: u64, to: u64, section: &Arc<Section>) -> bool {
        let range = self.stretch_of(from, to);
        let Some(placed) = self.parts.get(range.clone()) else { return false };
        let Some(base) = placed.first().map(|p| p.base) else { return false };
        if placed.iter().map(|p| p.held.part().len()).sum::<u32>() != section.docs {
            return false;
        }
        let dead = placed.iter().map(|p| p.dead).sum();
        self.parts.splice(range, [Placed { base, dead, held: Held::Sealed(section.clone()) }]);
        true
    }

    fn tail_base(&self) -> u32 {
        self.len() - self.tail.len()
    }

    /// All parts, in order.
    pub fn parts(&self) -> impl Iterator<Item = At<'_>> {
        let placed = self.parts.iter().map(|p| At { base: p.base, part: p.held.part(), dead: p.dead });
        let tail = At { base: self.tail_base(), part: Part::Memory(&self.tail), dead: self.tail_dead };
        placed.chain((self.tail.len() > 0).then_some(tail))
    }

    /// The part of a version, and its ordinal within the part.
    pub fn part_of(&self, ordinal: u32) -> (Part<'_>, u32) {
        let base = self.tail_base();
        if ordinal >= base {
            return (Part::Memory(&self.tail), ordinal - base);
        }
        let at = self.parts.partition_point(|p| p.base <= ordinal).saturating_sub(1);
        let placed = &self.parts[at];
        (placed.held.part(), ordinal - placed.base)
    }

    /// The versions of a term.
    pub fn find(&self, term: &[u8]) -> Option<Hits<'_>> {
        Hits::find(self.parts(), term)
    }

    /// The terms of a range.
    pub fn spread<'i>(&'i self, from: &'i [u8], to: &'i [u8]) -> Spread<'i> {
        Spread::new(self.parts(), from, to)
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

    /// Whether a version superseded a delete.
    pub fn follows_delete(&self, ordinal: u32) -> bool {
        let before = self.supersedes[ordinal as usize];
        before != NEVER && self.deletes.contains(before)
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

    /// The terms of a version under a parameter, in order, until the listener has enough.
    pub fn terms_under(&self, ordinal: u32, parameter: u16, tell: impl FnMut(&[u8]) -> bool) {
        let (part, ordinal) = self.part_of(ordinal);
        part.terms_under(ordinal, parameter, tell);
    }

    /// The term of a version's logical id. That of a sealed delete is not known.
    pub fn id_term(&self, ordinal: u32) -> Option<Term> {
        let (part, ordinal) = self.part_of(ordinal);
        part.id_term(ordinal).map(Term)
    }

    /// Whether a parameter has more terms than this, each counted in each part.
    pub fn more_terms_than(&self, parameter: u16, number: usize) -> bool {
        let (from, to) = parameter_bounds(parameter);
        let mut left = number + 1;
        self.parts().any(|at| {
            let mut stream = at.part.stream(&from, &to, false);
            while left > 0 && stream.advance() {
                left -= 1;
            }
            left == 0
        })
    }

    /// Whether a version has a term in a range that passes its test.
    fn in_range(&self, ordinal: u32, range: &Range) -> bool {
        let (part, ordinal) = self.part_of(ordinal);
        let spread = Spread::new(std::iter::once(At { base: 0, part, dead: 0 }), &range.from, &range.to);
        passes(&spread, ordinal, range)
    }

    /// Whether a version fulfils a condition that asks nothing of other resources.
    pub fn fulfils(&self, kind: TypeId, ordinal: u32, condition: &Condition) -> bool {
        match condition {
            Condition::Everything => true,
            Condition::Nothing | Condition::Chain { .. } | Condition::Reverse { .. } => false,
            Condition::Kind(only) => *only == kind,
            Condition::Not(inner) => !self.fulfils(kind, ordinal, inner),
            Condition::And(all) => all.iter().all(|c| self.fulfils(kind, ordinal, c)),
            Condition::Or(any) => any.iter().any(|c| self.fulfils(kind, ordinal, c)),
            Condition::Term(term) => {
                let (part, ordinal) = self.part_of(ordinal);
                part.find(&term.0).is_some_and(|stored| stored.open().contains(ordinal))
            }
            Condition::Range(range) => self.in_range(ordinal, range),
        }
    }

    /// The ordinal of the version of a resource that was current at a position (versions up to which have ordinals
    /// below `bound`), unless it was a delete.
    pub fn current(&self, id_term: &[u8], bound: u32, position: u64) -> Option<u32> {
        let ordinal = self.find(id_term)?.last_below(bound)?;
        self.is_newest(ordinal, position).then_some(ordinal)
    }
}

/// Whether a version has a term of a range, spread over the parts, that passes the range's test.
pub fn passes(spread: &Spread<'_>, ordinal: u32, range: &Range) -> bool {
    let Some(test) = &range.test else { return spread.holds(ordinal) };
    let mut found = false;
    spread.terms_of(ordinal, |term| {
        found = test.accepts(term);
        !found
    });
    found
}

/// The first bytes that are of a parameter, and the first that are of a greater one.
pub fn parameter_bounds(parameter: u16) -> ([u8; 2], Vec<u8>) {
    let end = parameter.checked_add(1).map_or(vec![0xFF; 9], |next| next.to_be_bytes().to_vec());
    (parameter.to_be_bytes(), end)
}
