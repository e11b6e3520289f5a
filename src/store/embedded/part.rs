//! What the parts of a type's index have in common, whether in memory or sealed, and what spans all of them: the
//! versions of a term ([`Hits`]) and the terms of a range ([`Spread`]). Parts follow each other by ordinal.

use super::memory::{Memory, MemoryStream};
use super::postings::Bits;
use super::segment::{self, List, Run, Section, Stored};

/// A part of a type's index.
#[derive(Clone, Copy)]
pub enum Part<'i> {
    /// In memory.
    Memory(&'i Memory),
    /// In a segment.
    Sealed(&'i Section),
}

/// A part and its first ordinal.
#[derive(Clone, Copy)]
pub struct At<'i> {
    /// The ordinal of its first version.
    pub base: u32,
    /// The part.
    pub part: Part<'i>,
    /// How many of its versions are superseded.
    pub dead: u32,
}

impl<'i> Part<'i> {
    /// The versions of a term.
    pub fn find(self, term: &[u8]) -> Option<Stored<'i>> {
        match self {
            Part::Memory(memory) => memory.find(term).filter(|s| s.len() > 0),
            Part::Sealed(section) => section.find(term),
        }
    }

    /// How many versions it has.
    pub fn len(self) -> u32 {
        match self {
            Part::Memory(memory) => memory.len(),
            Part::Sealed(section) => section.docs,
        }
    }

    /// Goes through the terms of a range, forwards or backwards.
    pub fn stream(self, from: &[u8], to: &[u8], descending: bool) -> Stream<'i> {
        match self {
            Part::Memory(memory) => Stream::Memory(memory.stream(from, to, descending)),
            Part::Sealed(section) => Stream::Sealed(segment::Stream::new(section.runs(from, to), descending)),
        }
    }

    /// The terms of a version, in order, until the listener has enough.
    pub fn terms_of(self, ordinal: u32, mut tell: impl FnMut(&[u8]) -> bool) {
        match self {
            Part::Memory(memory) => {
                memory.terms_of(ordinal).all(tell);
            }
            Part::Sealed(section) => section.terms_of(ordinal, &mut tell),
        }
    }

    /// The terms of a version under a parameter, in order, until the listener has enough.
    pub fn terms_under(self, ordinal: u32, parameter: u16, mut tell: impl FnMut(&[u8]) -> bool) {
        match self {
            Part::Memory(memory) => {
                memory.terms_under(ordinal, parameter).all(tell);
            }
            Part::Sealed(section) => section.terms_under(ordinal, parameter, &mut tell),
        }
    }

    /// The term of a version's logical id. That of a sealed delete is not known.
    pub fn id_term(self, ordinal: u32) -> Option<Box<[u8]>> {
        match self {
            Part::Memory(memory) => Some(memory.id_term(ordinal).into()),
            Part::Sealed(section) => {
                let mut found = None;
                let parameter = u16::from_be_bytes(section.id_parameter);
                section.terms_under(ordinal, parameter, &mut |term: &[u8]| {
                    found = Some(term.into());
                    false
                });
                found
            }
        }
    }
}

/// Goes through terms of a part.
pub enum Stream<'i> {
    /// In memory.
    Memory(MemoryStream<'i>),
    /// In a segment.
    Sealed(segment::Stream<'i>),
}

impl<'i> Stream<'i> {
    /// Goes on to the next term; whether there is one.
    pub fn advance(&mut self) -> bool {
        match self {
            Stream::Memory(stream) => stream.advance(),
            Stream::Sealed(stream) => stream.advance(),
        }
    }

    /// The term.
    pub fn term(&self) -> &[u8] {
        match self {
            Stream::Memory(stream) => stream.term(),
            Stream::Sealed(stream) => stream.term(),
        }
    }

    /// Its versions.
    pub fn stored(&self) -> Option<Stored<'i>> {
        match self {
            Stream::Memory(stream) => stream.stored(),
            Stream::Sealed(stream) => stream.stored(),
        }
    }
}

/// The versions of a term in all parts. Cheapest if asked in ascending order.
pub struct Hits<'i> {
    pieces: Vec<Piece<'i>>,
    len: usize,
    /// The piece that was asked last.
    at: usize,
}

struct Piece<'i> {
    base: u32,
    end: u32,
    dead: u32,
    stored: Stored<'i>,
    list: List<'i>,
}

impl<'i> Hits<'i> {
    /// Of the parts in order, those that have the term.
    pub fn find(parts: impl Iterator<Item = At<'i>>, term: &[u8]) -> Option<Hits<'i>> {
        let piece = |at: At<'i>| {
            let stored = at.part.find(term)?;
            Some(Piece { base: at.base, end: at.base + at.part.len(), dead: at.dead, stored, list: stored.open() })
        };
        let pieces: Vec<_> = parts.filter_map(piece).collect();
        let len = pieces.iter().map(|p| p.stored.len()).sum();
        (!pieces.is_empty()).then_some(Hits { pieces, len, at: 0 })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.len
    }

    /// The first that is not below `from`.
    pub fn seek(&mut self, from: u32) -> Option<u32> {
        if self.at > 0 && self.pieces.get(self.at - 1).is_none_or(|before| from < before.end) {
            self.at = 0;
        }
        while let Some(piece) = self.pieces.get_mut(self.at) {
            if from < piece.end
                && let Some(found) = piece.list.seek(from.saturating_sub(piece.base))
            {
                return Some(piece.base + found);
            }
            if from < piece.end {
                // The rest of this part has none; the next ones may be asked again for the same.
                return self.pieces[self.at + 1..].iter_mut().find_map(|p| p.list.seek(0).map(|o| p.base + o));
            }
            self.at += 1;
        }
        None
    }

    /// Whether one is among them.
    pub fn contains(&mut self, ordinal: u32) -> bool {
        let piece = self.pieces.iter_mut().find(|p| ordinal < p.end);
        piece.is_some_and(|p| ordinal >= p.base && p.list.contains(ordinal - p.base))
    }

    /// The last that is below a bound.
    pub fn last_below(&mut self, bound: u32) -> Option<u32> {
        let below = |p: &mut Piece<'_>| p.list.last_below(bound.checked_sub(p.base)?).map(|o| p.base + o);
        self.pieces.iter_mut().rev().find_map(below)
    }

    /// All of them, ascending.
    pub fn for_each(&self, mut tell: impl FnMut(u32)) {
        self.pieces.iter().for_each(|p| p.stored.for_each(|o| tell(p.base + o)));
    }

    /// All of them as bits.
    pub fn bits(&self) -> Bits {
        let mut bits = Bits::default();
        self.add_to(&mut bits);
        bits
    }

    /// Adds them to a set.
    pub fn add_to(&self, bits: &mut Bits) {
        self.pieces.iter().for_each(|p| p.stored.add_to(p.base, bits));
    }

    /// How many are in a set.
    pub fn count_in(&self, bits: &Bits) -> usize {
        self.pieces.iter().map(|p| p.stored.count_in(p.base, bits)).sum()
    }

    /// How many are in the set of all that are current: parts in which nothing is superseded are not looked at.
    pub fn count_live(&self, live: &Bits) -> usize {
        let count = |p: &Piece<'_>| if p.dead == 0 { p.stored.len() } else { p.stored.count_in(p.base, live) };
        self.pieces.iter().map(count).sum()
    }
}

/// The terms from one up to another in all parts.
pub struct Spread<'i> {
    from: &'i [u8],
    to: &'i [u8],
    pieces: Vec<Extent<'i>>,
}

struct Extent<'i> {
    base: u32,
    end: u32,
    held: Held<'i>,
}

enum Held<'i> {
    Memory(&'i Memory),
    Sealed(Vec<Run<'i>>),
}

/// Up to so many terms are looked at one by one to say how many versions they have.
const COUNTED: usize = 48;

impl<'i> Spread<'i> {
    /// In these parts.
    pub fn new(parts: impl Iterator<Item = At<'i>>, from: &'i [u8], to: &'i [u8]) -> Spread<'i> {
        let extent = |at: At<'i>| {
            let held = match at.part {
                Part::Memory(memory) => Held::Memory(memory),
                Part::Sealed(section) => Held::Sealed(section.runs(from, to)),
            };
            Extent { base: at.base, end: at.base + at.part.len(), held }
        };
        Spread { from, to, pieces: parts.map(extent).collect() }
    }

    /// How many versions have one of its terms, each counted for each term: exactly where there are few terms,
    /// otherwise about; and how many terms there are at least.
    pub fn estimate(&self) -> (usize, usize) {
        let (mut versions, mut terms) = (0, 0);
        for piece in &self.pieces {
            match &piece.held {
                Held::Sealed(runs) => {
                    let count: usize = runs.iter().map(Run::len).sum();
                    terms += count;
                    if count <= COUNTED {
                        let mut stream = segment::Stream::new(runs.clone(), false);
                        while stream.advance() {
                            versions += stream.stored().map_or(0, |s| s.len());
                        }
                    } else {
                        versions += runs.iter().map(Run::estimate).sum::<usize>().max(count);
                    }
                }
                Held::Memory(memory) => {
                    let mut stream = memory.stream(self.from, self.to, false);
                    let (mut count, mut found) = (0, 0);
                    while count <= COUNTED && stream.advance() {
                        count += 1;
                        found += stream.stored().map_or(0, |s| s.len());
                    }
                    terms += count;
                    versions += if count > COUNTED { (memory.len() as usize).max(found) } else { found };
                }
            }
        }
        (versions, terms)
    }

    /// Whether it is clear at once that there are no such terms.
    pub fn is_empty(&self) -> bool {
        self.pieces.iter().all(|piece| match &piece.held {
            Held::Memory(memory) => !memory.may_have(self.from, self.to),
            Held::Sealed(runs) => runs.is_empty(),
        })
    }

    /// How many of its terms are in sealed parts, each counted in each part.
    pub fn sealed_terms(&self) -> usize {
        let count = |piece: &Extent<'_>| match &piece.held {
            Held::Memory(_) => 0,
            Held::Sealed(runs) => runs.iter().map(Run::len).sum(),
        };
        self.pieces.iter().map(count).sum()
    }

    /// Goes through the terms of each part, with the part's first ordinal.
    pub fn streams(&self, descending: bool) -> impl Iterator<Item = (u32, Stream<'i>)> {
        self.pieces.iter().map(move |piece| {
            let stream = match &piece.held {
                Held::Memory(memory) => Stream::Memory(memory.stream(self.from, self.to, descending)),
                Held::Sealed(runs) => Stream::Sealed(segment::Stream::new(runs.clone(), descending)),
            };
            (piece.base, stream)
        })
    }

    /// The runs of a part, by its place among the parts; `None` if it is in memory.
    pub fn runs(&self, part: usize) -> Option<&[Run<'i>]> {
        match &self.pieces.get(part)?.held {
            Held::Memory(_) => None,
            Held::Sealed(runs) => Some(runs),
        }
    }

    fn extent(&self, ordinal: u32) -> Option<&Extent<'i>> {
        self.pieces.iter().find(|p| ordinal < p.end)
    }

    /// Whether a version has one of the terms.
    #[inline]
    pub fn holds(&self, ordinal: u32) -> bool {
        self.extent(ordinal).is_some_and(|extent| match &extent.held {
            Held::Memory(memory) => memory.any_between(ordinal - extent.base, self.from, self.to),
            Held::Sealed(runs) => runs.iter().any(|run| run.holds(ordinal - extent.base)),
        })
    }

    /// Keeps those of some versions, ascending, that have one of the terms: part by part, so that what is the same for
    /// all of a part is looked up once.
    pub fn sift(&self, ordinals: &mut Vec<u32>) {
        let (mut read, mut kept) = (0, 0);
        for piece in &self.pieces {
            let end = read + ordinals[read..].partition_point(|o| *o < piece.end);
            for at in read..end {
                let ordinal = ordinals[at];
                let holds = match &piece.held {
                    Held::Memory(memory) => memory.any_between(ordinal - piece.base, self.from, self.to),
                    Held::Sealed(runs) => runs.iter().any(|run| run.holds(ordinal - piece.base)),
                };
                if holds {
                    ordinals[kept] = ordinal;
                    kept += 1;
                }
            }
            read = end;
        }
        ordinals.truncate(kept);
    }

    /// The terms of a version that are among these, in order, until the listener has enough.
    pub fn terms_of(&self, ordinal: u32, mut tell: impl FnMut(&[u8]) -> bool) {
        let Some(extent) = self.extent(ordinal) else { return };
        match &extent.held {
            Held::Memory(memory) => {
                memory.terms_between(ordinal - extent.base, self.from, self.to).all(tell);
            }
            Held::Sealed(runs) => {
                let _ = runs.iter().any(|run| run.terms_of(ordinal - extent.base, &mut tell));
            }
        }
    }
}
