//! Sorted terms in blocks of 32: each term as what it shares with the one before it at its beginning and at its end,
//! and what lies between, hexadecimal digits as half bytes; with it how many versions have it and which (one or a few
//! at once, more by their place among the lists). A fence for each block finds the block of a term.

use super::super::coding::{Reader, put};
use super::hex;
use super::lists::{self, Stored};

/// Terms of a block.
pub const BLOCK: u32 = 32;
/// Up to so many versions stand with the term.
const INLINE: usize = 8;
/// Bytes of a fence: the first bytes of the term that tell blocks apart, and the block's offset.
pub const FENCE: usize = 12;
/// Bytes of a term at most. Damage could make them grow from term to term.
pub const LONGEST: usize = 1 << 18;

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
}

impl TermWriter {
    /// Adds a term, which is greater than all before, and its versions.
    pub fn add(&mut self, term: &[u8], ordinals: &[u32], docs: u32) {
        if self.count.is_multiple_of(BLOCK) {
            self.last.clear();
            self.fences.extend_from_slice(&head(term).to_le_bytes());
            self.fences.extend_from_slice(&(self.blocks.len() as u32).to_le_bytes());
        }
        let same = |(a, b): &(&u8, &u8)| a == b;
        let shorter = term.len().min(self.last.len());
        let prefix = term.iter().zip(&self.last).take_while(same).count();
        let suffix = term.iter().rev().zip(self.last.iter().rev()).take(shorter - prefix).take_while(same).count();
        let out = &mut self.blocks;
        put(out, prefix as u64);
        put(out, suffix as u64);
        let (end, first) = (term.len() - suffix, self.last.is_empty());
        let middle = (end - prefix) as u64;
        // The first of a block stands as it is: it is compared where it lies.
        match hex::packed(term, prefix, end).filter(|_| !first) {
            Some((start, bytes)) => {
                put(out, middle << 1 | 1);
                put(out, start.map_or(0, |start| start as u64 + 1));
                out.extend_from_slice(&bytes);
            }
            None => {
                put(out, middle << 1);
                out.extend_from_slice(&term[prefix..end]);
            }
        }
        put(out, ordinals.len() as u64);
        if ordinals.len() <= INLINE {
            lists::write_deltas(ordinals, out);
        } else {
            put(out, self.lists.len() as u64);
            lists::write(ordinals, docs, &mut self.lists);
        }
        self.last.clear();
        self.last.extend_from_slice(term);
        self.count += 1;
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
            term: Vec::with_capacity(64),
            spare: Vec::with_capacity(64),
        }
    }

    /// The first term of a block, which stands as it is.
    fn first(&self, block: usize) -> Option<&'s [u8]> {
        let (_, offset) = self.fence(block)?;
        let mut reader = Reader(self.blocks.get(offset..)?);
        let (_, _, length) = (reader.number()?, reader.number()?, reader.size()?);
        reader.take(length >> 1)
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

impl<'s> BlockReader<'s> {
    /// Goes on to the next term; gives its versions.
    pub fn next(&mut self) -> Option<Stored<'s>> {
        self.left = self.left.checked_sub(1)?;
        let (prefix, suffix, middle) = (self.reader.size()?, self.reader.size()?, self.reader.size()?);
        let (length, is_packed) = (middle >> 1, middle & 1 == 1);
        if length > LONGEST {
            return None;
        }
        self.spare.clear();
        self.spare.extend_from_slice(self.term.get(..prefix)?);
        if is_packed {
            let start = self.reader.size()?.checked_sub(1).filter(|start| *start < LONGEST);
            hex::unpack(&mut self.reader, start, prefix, length, &mut self.spare)?;
        } else {
            self.spare.extend_from_slice(self.reader.take(length)?);
        }
        self.spare.extend_from_slice(self.term.get(self.term.len().checked_sub(suffix)?..)?);
        if self.spare.len() > LONGEST {
            return None;
        }
        std::mem::swap(&mut self.term, &mut self.spare);
        let count = self.reader.small()?;
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
