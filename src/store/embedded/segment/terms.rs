//! Sorted terms in blocks of 32: each term as what it shares with the one before it at its beginning and at its end,
//! and what lies between, digits as half bytes; with it how many versions have it and which (one or a few at once,
//! more by their place among the lists). A fence for each block finds the block of a term.
//!
//! An entry: a byte of flags and the length of what lies between (or that it is longer), the length of the beginning,
//! what is left of the length, the length of the end, the form of the digits, what lies between, how many versions
//! (each only where the flags say so), then the versions or the place of their list.

use super::super::coding::{Reader, put};
use super::digits;
use super::lists::{self, Stored};

/// Terms of a block.
pub const BLOCK: u32 = 32;
/// Up to so many versions stand with the term.
const INLINE: usize = 8;
/// Bytes of a fence: the first bytes of the term that tell blocks apart, and the block's offset.
pub const FENCE: usize = 12;
/// Bytes of a term at most. Damage could make them grow from term to term.
pub const LONGEST: usize = 1 << 18;

/// Flags of an entry: what lies between is digits,
const DIGITS: u8 = 1;
/// of the same form as the last ones in the block;
const SAME_FORM: u8 = 2;
/// it ends as the term before, or as far behind;
const END: u8 = 4;
/// one version has it.
const ONE: u8 = 8;
/// Lengths from here on are written on their own.
const LONG: usize = 15;
/// Bytes of a bound of an interval of time: the end of many lies as far behind the start as that of the one before.
const BOUND: usize = 8;

/// How far behind the last eight bytes but eight the last eight bytes are, as numbers.
fn distance(term: &[u8]) -> Option<u64> {
    let (rest, end) = term.split_last_chunk::<BOUND>()?;
    let start = rest.last_chunk::<BOUND>()?;
    Some(u64::from_be_bytes(*end).wrapping_sub(u64::from_be_bytes(*start)))
}

/// The bytes of a term behind its group's, as a number. Where two terms of a group differ in it, it has their order.
fn head(term: &[u8]) -> u64 {
    let mut first = [0; 8];
    let rest = term.get(3..).unwrap_or_default();
    let length = rest.len().min(8);
    first[..length].copy_from_slice(&rest[..length]);
    u64::from_be_bytes(first)
}

/// Writes blocks.
#[derive(Default)]
pub struct TermWriter {
    /// The blocks so far.
    pub blocks: Vec<u8>,
    /// Their fences.
    pub fences: Vec<u8>,
    /// The lists of the terms of many versions.
    pub lists: Vec<u8>,
    /// Terms so far.
    pub count: u32,
    last: Vec<u8>,
    /// The form of the last digits in the block.
    form: Option<usize>,
}

impl TermWriter {
    /// Adds a term, which is greater than all before, and its versions; gives the place of their list if it is not with
    /// the term.
    pub fn add(&mut self, term: &[u8], ordinals: &[u32], docs: u32) -> Option<usize> {
        let first = self.count.is_multiple_of(BLOCK);
        if first {
            self.last.clear();
            self.form = None;
            self.fences.extend_from_slice(&head(term).to_le_bytes());
            self.fences.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        }
        let same = |(a, b): &(&u8, &u8)| a == b;
        let shorter = term.len().min(self.last.len());
        let prefix = term.iter().zip(&self.last).take_while(same).count();
        let suffix = term.iter().rev().zip(self.last.iter().rev()).take(shorter - prefix).take_while(same).count();
        let as_far = suffix < BOUND && prefix + BOUND <= term.len() && {
            distance(term).is_some_and(|own| distance(&self.last) == Some(own))
        };
        let (end, shared) = if as_far { (term.len() - BOUND, 0) } else { (term.len() - suffix, suffix + 1) };
        let middle = end - prefix;
        // The first of a block stands as it is: it is compared where it lies.
        let packed = if first { None } else { digits::packed(term, prefix, end) };
        let form = packed.as_ref().map(|(form, _)| *form);
        let mut flags = (middle.min(LONG) as u8) << 4;
        for (flag, holds) in [
            (DIGITS, form.is_some()),
            (SAME_FORM, form.is_some() && form == self.form),
            (END, shared != 1),
            (ONE, ordinals.len() == 1),
        ] {
            flags |= if holds { flag } else { 0 };
        }
        let out = &mut self.blocks;
        out.push(flags);
        put(out, prefix as u64);
        if middle >= LONG {
            put(out, (middle - LONG) as u64);
        }
        if flags & END != 0 {
            put(out, shared as u64);
        }
        if let Some(form) = form.filter(|_| flags & SAME_FORM == 0) {
            put(out, form as u64);
            self.form = Some(form);
        }
        out.extend_from_slice(packed.as_ref().map_or(&term[prefix..end], |(_, bytes)| bytes));
        if ordinals.len() != 1 {
            put(out, ordinals.len() as u64);
        }
        let place = (ordinals.len() > INLINE).then_some(self.lists.len());
        match place {
            None => lists::write_deltas(ordinals, out),
            Some(place) => {
                put(out, place as u64);
                lists::write(ordinals, docs, &mut self.lists);
            }
        }
        self.last.clear();
        self.last.extend_from_slice(term);
        self.count += 1;
        place
    }
}

/// The terms of a group, to be read.
#[derive(Clone, Copy)]
pub struct TermTable<'s> {
    pub blocks: &'s [u8],
    pub fences: &'s [u8],
    pub lists: &'s [u8],
    pub count: u32,
    pub docs: u32,
}

/// Reads a block term by term.
pub struct BlockReader<'s> {
    reader: Reader<'s>,
    lists: &'s [u8],
    docs: u32,
    left: u32,
    /// The form of the last digits.
    form: usize,
    /// The term read last.
    pub term: Vec<u8>,
    spare: Vec<u8>,
}

impl<'s> TermTable<'s> {
    fn blocks(&self) -> usize {
        self.count.div_ceil(BLOCK) as usize
    }

    fn fence(&self, block: usize) -> Option<(u64, usize)> {
        let bytes = self.fences.get(block * FENCE..)?.first_chunk::<FENCE>()?;
        let (head, offset) = bytes.split_first_chunk::<8>()?;
        Some((u64::from_le_bytes(*head), u32::from_le_bytes(*offset.first_chunk::<4>()?) as usize))
    }

    /// Begins to read a block.
    pub fn block(&self, block: usize) -> BlockReader<'s> {
        let start = self.fence(block).and_then(|(_, offset)| self.blocks.get(offset..));
        let first = (block as u32).saturating_mul(BLOCK);
        BlockReader {
            reader: Reader(start.unwrap_or_default()),
            lists: self.lists,
            docs: self.docs,
            left: self.count.saturating_sub(first).min(BLOCK),
            form: 0,
            term: Vec::with_capacity(64),
            spare: Vec::with_capacity(64),
        }
    }

    /// The first term of a block, which stands as it is.
    fn first(&self, block: usize) -> Option<&'s [u8]> {
        let (_, offset) = self.fence(block)?;
        let mut reader = Reader(self.blocks.get(offset..)?);
        let (flags, _) = (reader.byte()?, reader.number()?);
        let length = length(flags, &mut reader)?;
        reader.take(length)
    }

    /// The last block whose first term is not above a term.
    fn block_of(&self, term: &[u8]) -> Option<usize> {
        let wanted = head(term);
        let (mut low, mut high) = (0, self.blocks());
        while low < high {
            let middle = low + (high - low) / 2;
            let (head, _) = self.fence(middle)?;
            let above = match head.cmp(&wanted) {
                std::cmp::Ordering::Equal => self.first(middle)? > term,
                order => order.is_gt(),
            };
            if above { high = middle } else { low = middle + 1 }
        }
        low.checked_sub(1)
    }

    /// The versions of a term, if it is there.
    pub fn find(&self, term: &[u8]) -> Option<Stored<'s>> {
        let mut block = self.block(self.block_of(term)?);
        while let Some(stored) = block.next() {
            if *block.term >= *term {
                return (block.term == term).then_some(stored);
            }
        }
        None
    }

    /// How many terms are less than each of two, the first of which is not greater: often both are in one block.
    pub fn ranks(&self, from: &[u8], to: &[u8]) -> (u32, u32) {
        let (first, last) = (self.block_of(from), self.block_of(to));
        let Some(at) = first.filter(|_| first == last) else { return (self.rank(from), self.rank(to)) };
        let mut block = self.block(at);
        let start = at as u32 * BLOCK;
        let (mut low, mut high) = (start, start);
        while block.next().is_some() && *block.term < *to {
            low += u32::from(*block.term < *from);
            high += 1;
        }
        (low.min(self.count), high.min(self.count))
    }

    /// How many terms are less than this.
    pub fn rank(&self, term: &[u8]) -> u32 {
        let Some(at) = self.block_of(term) else { return 0 };
        let mut block = self.block(at);
        let mut rank = at as u32 * BLOCK;
        while block.next().is_some() && *block.term < *term {
            rank += 1;
        }
        rank.min(self.count)
    }
}

/// The length of what lies between.
fn length(flags: u8, reader: &mut Reader<'_>) -> Option<usize> {
    let length = match usize::from(flags >> 4) {
        LONG => reader.size()?.checked_add(LONG)?,
        short => short,
    };
    (length <= LONGEST).then_some(length)
}

impl<'s> BlockReader<'s> {
    /// Goes on to the next term; gives its versions.
    pub fn next(&mut self) -> Option<Stored<'s>> {
        self.left = self.left.checked_sub(1)?;
        let (flags, prefix) = (self.reader.byte()?, self.reader.size()?);
        let length = length(flags, &mut self.reader)?;
        let shared = if flags & END != 0 { self.reader.size()? } else { 1 };
        self.spare.clear();
        self.spare.extend_from_slice(self.term.get(..prefix)?);
        if flags & DIGITS != 0 {
            if flags & SAME_FORM == 0 {
                self.form = self.reader.size()?;
            }
            digits::unpack(&mut self.reader, self.form, prefix, length, &mut self.spare)?;
        } else {
            self.spare.extend_from_slice(self.reader.take(length)?);
        }
        match shared.checked_sub(1) {
            Some(suffix) => self.spare.extend_from_slice(self.term.get(self.term.len().checked_sub(suffix)?..)?),
            None => {
                let start = u64::from_be_bytes(*self.spare.last_chunk::<BOUND>()?);
                self.spare.extend_from_slice(&start.wrapping_add(distance(&self.term)?).to_be_bytes());
            }
        }
        if self.spare.len() > LONGEST {
            return None;
        }
        std::mem::swap(&mut self.term, &mut self.spare);
        let count = if flags & ONE != 0 { 1 } else { self.reader.small()? };
        Some(match count as usize {
            1 => Stored::one(self.reader.small()?, self.docs),
            0..=INLINE => {
                let here = self.reader.0;
                for _ in 0..count {
                    self.reader.number()?;
                }
                Stored::read(count, self.docs, here)
            }
            _ => {
                let offset = self.reader.size()?;
                Stored::read(count, self.docs, self.lists.get(offset..)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_read_back_and_take_little() {
        let date = |start: i64, length: i64| {
            [&[0, 7, 4, 0][..], &(start ^ i64::MIN).to_be_bytes(), &((start + length) ^ i64::MIN).to_be_bytes()]
                .concat()
        };
        let text = |value: u32, kind: &str| {
            let middle = value.wrapping_mul(0x9E37_79B9);
            format!("\0\x08\x09{value:08x}-{:04x}-4b11-9d2e-3f5a{middle:08x}\0{kind}", middle % 65_536).into_bytes()
        };
        let dates = (0..200_i64).map(|i| date(i * 10_000_019 - 1_000_000_000, if i % 50 == 7 { 86_400 } else { 60 }));
        let references = (0..200).map(|i: u32| text(i * 20_000_003, ["Observation", "Procedure"][i as usize % 2]));
        let numbers =
            (0..200).map(|i: u32| format!("\0\x09\x011.2.840.{:09}\0urn:dicom:uid", i * 4_000_037).into_bytes());
        let short = [b"\0\x0a\x01".to_vec(), b"\0\x0a\x01\0".to_vec(), b"\0\x0a\x01a".to_vec()];
        let worlds: [(Vec<Vec<u8>>, usize); 4] =
            [(dates.collect(), 14), (references.collect(), 40), (numbers.collect(), 14), (short.into(), 10)];
        for (terms, bytes) in worlds {
            let mut writer = TermWriter::default();
            for (rank, term) in terms.iter().enumerate() {
                let ordinals: Vec<u32> = (0..1 + (rank as u32 % 20 / 17) * 5).map(|i| rank as u32 + i).collect();
                writer.add(term, &ordinals, 300);
            }
            assert!(writer.blocks.len() < terms.len() * bytes, "{} of {}", writer.blocks.len(), terms.len());
            let TermWriter { blocks, fences, lists, count, .. } = writer;
            let table = TermTable { blocks: &blocks, fences: &fences, lists: &lists, count, docs: 300 };
            for (rank, term) in terms.iter().enumerate() {
                let mut found = Vec::new();
                table.find(term).expect("there").for_each(|o| found.push(o));
                assert_eq!((found[0], found.len()), (rank as u32, 1 + (rank % 20 / 17) * 5));
                assert_eq!(table.rank(term), rank as u32);
            }
        }
    }
}
