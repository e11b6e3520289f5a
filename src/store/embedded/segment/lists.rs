//! The versions of a term as stored: one, a few as differences, or many in chunks of 65,536, each an array or bits,
//! whichever is smaller. Ordinals are places within the section. What is damaged reads as fewer versions, never as
//! one that is not there.

use super::super::coding::{Reader, put};
use super::super::postings::{Bits, gallop};

/// Up to so many are stored as differences.
pub const FEW: usize = 256;
/// Ordinals of a chunk.
pub const CHUNK: u32 = 1 << 16;
/// Bytes of a row of the table of chunks: key, count less one, offset.
const ROW: usize = 8;
/// Items that are looked at one after the other, about: they share a line of memory.
const NEAR: usize = 16;

/// Writes the versions of a term, of which there are several.
pub fn write(ordinals: &[u32], docs: u32, out: &mut Vec<u8>) {
    if ordinals.len() <= FEW {
        return write_deltas(ordinals, out);
    }
    let chunks: Vec<_> = ordinals.chunk_by(|a, b| a / CHUNK == b / CHUNK).collect();
    out.extend_from_slice(&(chunks.len() as u32).to_le_bytes());
    let mut offset = 0_u32;
    for chunk in &chunks {
        let key = chunk[0] / CHUNK;
        out.extend_from_slice(&(key as u16).to_le_bytes());
        out.extend_from_slice(&((chunk.len() - 1) as u16).to_le_bytes());
        out.extend_from_slice(&offset.to_le_bytes());
        offset += bits_length(key, docs).min(chunk.len() * 2) as u32;
    }
    for chunk in &chunks {
        let length = bits_length(chunk[0] / CHUNK, docs);
        if chunk.len() * 2 <= length {
            chunk.iter().for_each(|o| out.extend_from_slice(&(*o as u16).to_le_bytes()));
        } else {
            let start = out.len();
            out.resize(start + length, 0);
            for ordinal in *chunk {
                let low = (ordinal % CHUNK) as usize;
                out[start + low / 8] |= 1 << (low % 8);
            }
        }
    }
}

/// Writes ascending numbers as differences.
pub fn write_deltas(ordinals: &[u32], out: &mut Vec<u8>) {
    let mut last = 0;
    for ordinal in ordinals {
        put(out, u64::from(ordinal - last));
        last = *ordinal;
    }
}

/// Bytes of a chunk as bits: whole words, no more than there are versions.
fn bits_length(key: u32, docs: u32) -> usize {
    let left = docs.saturating_sub(key.saturating_mul(CHUNK)).min(CHUNK);
    left.div_ceil(64) as usize * 8
}

/// The versions of a term, not looked at yet.
#[derive(Clone, Copy)]
pub struct Stored<'s> {
    count: u32,
    docs: u32,
    form: Form<'s>,
}

#[derive(Clone, Copy)]
enum Form<'s> {
    One(u32),
    Deltas(&'s [u8]),
    Chunks(Chunks<'s>),
    Slice(&'s [u32], Option<&'s Bits>),
}

impl<'s> Stored<'s> {
    /// One version.
    pub fn one(ordinal: u32, docs: u32) -> Stored<'s> {
        Stored { count: 1, docs, form: Form::One(ordinal) }
    }

    /// What [`write()`] or [`write_deltas`] wrote.
    pub fn read(count: u32, docs: u32, bytes: &'s [u8]) -> Stored<'s> {
        let form = if count as usize <= FEW { Form::Deltas(bytes) } else { Form::Chunks(Chunks::read(bytes, docs)) };
        Stored { count: count.min(docs), docs, form }
    }

    /// What [`write_deltas`] wrote, however many.
    pub fn deltas(count: u32, docs: u32, bytes: &'s [u8]) -> Stored<'s> {
        Stored { count: count.min(docs), docs, form: Form::Deltas(bytes) }
    }

    /// Versions that are in memory; as bits too, where they are many.
    pub fn slice(ordinals: &'s [u32], bits: Option<&'s Bits>) -> Stored<'s> {
        Stored { count: ordinals.len() as u32, docs: u32::MAX, form: Form::Slice(ordinals, bits) }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.count as usize
    }

    /// All of them, ascending.
    pub fn for_each(&self, mut tell: impl FnMut(u32)) {
        match self.form {
            Form::One(ordinal) if ordinal < self.docs => tell(ordinal),
            Form::One(_) => {}
            Form::Deltas(bytes) => deltas(bytes, self.count, self.docs, tell),
            Form::Slice(ordinals, _) => ordinals.iter().for_each(|o| tell(*o)),
            Form::Chunks(chunks) => {
                for chunk in (0..chunks.len()).filter_map(|c| chunks.get(c)) {
                    chunk.for_each(|ordinal| {
                        if ordinal < self.docs {
                            tell(ordinal);
                        }
                    });
                }
            }
        }
    }

    /// Those of one chunk, ascending.
    pub fn for_each_of_chunk(&self, number: u32, mut tell: impl FnMut(u32)) {
        let mut within = |ordinal: u32| {
            if ordinal / CHUNK == number && ordinal < self.docs {
                tell(ordinal);
            }
        };
        match self.form {
            Form::Chunks(chunks) => {
                let chunk = (0..chunks.len()).find(|c| chunks.key(*c) == number).and_then(|c| chunks.get(c));
                if let Some(chunk) = chunk {
                    chunk.for_each(within);
                }
            }
            _ => self.for_each(&mut within),
        }
    }

    /// Adds them, each moved up by `base`, to a set.
    pub fn add_to(&self, base: u32, bits: &mut Bits) {
        let Form::Chunks(chunks) = self.form else { return self.for_each(|o| bits.insert(base + o)) };
        for chunk in (0..chunks.len()).filter_map(|c| chunks.get(c)) {
            match chunk.words(self.docs) {
                Some(words) => words.for_each(|(at, word)| bits.insert_window(base + at, word)),
                None => chunk.for_each(|o| {
                    if o < self.docs {
                        bits.insert(base + o);
                    }
                }),
            }
        }
    }

    /// How many of them, each moved up by `base`, are in a set.
    pub fn count_in(&self, base: u32, bits: &Bits) -> usize {
        let mut count = 0;
        let Form::Chunks(chunks) = self.form else {
            self.for_each(|o| count += usize::from(bits.contains(base + o)));
            return count;
        };
        for chunk in (0..chunks.len()).filter_map(|c| chunks.get(c)) {
            match chunk.words(self.docs) {
                Some(words) => {
                    words.for_each(|(at, word)| count += (bits.window(base + at) & word).count_ones() as usize);
                }
                None => chunk.for_each(|o| count += usize::from(o < self.docs && bits.contains(base + o))),
            }
        }
        count
    }

    /// The same, ready to be searched.
    pub fn open(self) -> List<'s> {
        let held = match self.form {
            Form::One(ordinal) => Held::One(ordinal),
            Form::Slice(ordinals, bits) => Held::Slice(ordinals, bits),
            Form::Chunks(chunks) => Held::Chunks(chunks),
            Form::Deltas(bytes) => {
                let mut few = Vec::with_capacity(self.count as usize);
                deltas(bytes, self.count, self.docs, |o| few.push(o));
                Held::Few(few.into())
            }
        };
        List { held, docs: self.docs, chunk: 0, at: 0 }
    }
}

fn deltas(bytes: &[u8], count: u32, docs: u32, mut tell: impl FnMut(u32)) {
    let mut reader = Reader(bytes);
    let mut last = 0_u64;
    for i in 0..count {
        let Some(step) = reader.number() else { return };
        last = last.saturating_add(step);
        if last >= u64::from(docs) || (i > 0 && step == 0) {
            return;
        }
        tell(last as u32);
    }
}

/// Many versions.
#[derive(Clone, Copy)]
struct Chunks<'s> {
    table: &'s [u8],
    data: &'s [u8],
    docs: u32,
}

/// Those of one chunk.
#[derive(Clone, Copy)]
struct Chunk<'s> {
    first: u32,
    /// How many versions it could have.
    span: u32,
    bytes: &'s [u8],
    is_bits: bool,
}

impl<'s> Chunks<'s> {
    fn read(bytes: &'s [u8], docs: u32) -> Chunks<'s> {
        let split = bytes.split_first_chunk::<4>().and_then(|(count, rest)| {
            let length = (u32::from_le_bytes(*count) as usize).checked_mul(ROW)?;
            rest.split_at_checked(length)
        });
        let (table, data) = split.unwrap_or_default();
        Chunks { table, data, docs }
    }

    fn len(&self) -> usize {
        self.table.len() / ROW
    }

    fn key(&self, chunk: usize) -> u32 {
        let row = self.table.get(chunk * ROW..).and_then(|row| row.first_chunk::<2>());
        row.map_or(u32::MAX, |key| u16::from_le_bytes(*key).into())
    }

    fn get(&self, chunk: usize) -> Option<Chunk<'s>> {
        let [a, b, c, d, offset @ ..] = self.table.get(chunk * ROW..)?.first_chunk::<ROW>()?;
        let key = u32::from(u16::from_le_bytes([*a, *b]));
        let count = usize::from(u16::from_le_bytes([*c, *d])) + 1;
        let length = bits_length(key, self.docs);
        let is_bits = count * 2 > length;
        let start = u32::from_le_bytes(*offset) as usize;
        let bytes = self.data.get(start..)?.get(..if is_bits { length } else { count * 2 })?;
        let first = key * CHUNK;
        Some(Chunk { first, span: self.docs.saturating_sub(first).min(CHUNK), bytes, is_bits })
    }
}

impl<'s> Chunk<'s> {
    fn item(&self, at: usize) -> Option<u32> {
        let two = self.bytes.get(at * 2..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*two).into())
    }

    fn word(&self, at: usize) -> Option<u64> {
        self.bytes.get(at * 8..)?.first_chunk::<8>().map(|eight| u64::from_le_bytes(*eight))
    }

    /// As words of bits, each with its first ordinal, less what is beyond the last version.
    fn words(self, docs: u32) -> Option<impl Iterator<Item = (u32, u64)> + use<'s>> {
        let valid = move |first: u32, word: u64| match docs.saturating_sub(first) {
            0 => 0,
            left @ 1..64 => word & ((1 << left) - 1),
            _ => word,
        };
        self.is_bits.then(|| {
            let words = self.bytes.chunks_exact(8).enumerate();
            words.filter_map(move |(i, eight)| {
                let first = self.first + i as u32 * 64;
                let word = u64::from_le_bytes(*eight.first_chunk::<8>()?);
                Some((first, valid(first, word)))
            })
        })
    }

    fn for_each(&self, mut tell: impl FnMut(u32)) {
        if !self.is_bits {
            for two in self.bytes.chunks_exact(2) {
                tell(self.first + u32::from(u16::from_le_bytes([two[0], two[1]])));
            }
            return;
        }
        for (i, eight) in self.bytes.chunks_exact(8).enumerate() {
            let mut word = eight.first_chunk::<8>().map_or(0, |e| u64::from_le_bytes(*e));
            while word != 0 {
                tell(self.first + i as u32 * 64 + word.trailing_zeros());
                word &= word - 1;
            }
        }
    }

    /// The first that is not below `low`, both within the chunk; searched from the place of the last one on.
    fn seek(&self, low: u32, at: &mut usize) -> Option<u32> {
        if self.is_bits {
            let mut i = low as usize / 64;
            let mut word = self.word(i)? & (!0 << (low % 64));
            while word == 0 {
                i += 1;
                word = self.word(i)?;
            }
            return Some(i as u32 * 64 + word.trailing_zeros());
        }
        let count = self.bytes.len() / 2;
        let below = |i: usize| self.item(i).is_some_and(|item| item < low);
        let known = *at <= count && (*at == 0 || below(*at - 1));
        let (mut start, mut end) = if known && !below(*at + NEAR) {
            (*at, (*at + NEAR).min(count))
        } else {
            // Far from the last one: where it would be if all were spread evenly is seldom far off, and few lines of
            // memory are touched on the way there.
            let even = count as u64 * u64::from(low) / u64::from(self.span.max(1));
            around((even as usize).min(count), count, below)
        };
        while start < end {
            let middle = start + (end - start) / 2;
            if below(middle) { start = middle + 1 } else { end = middle }
        }
        *at = start;
        self.item(start)
    }
}

/// Where the first of some items can be that is not below, as a range, sought from a guess in steps that double.
fn around(guess: usize, count: usize, below: impl Fn(usize) -> bool) -> (usize, usize) {
    let mut step = NEAR;
    if guess < count && below(guess) {
        let mut start = guess + 1;
        while start + step < count {
            if !below(start + step) {
                return (start, start + step);
            }
            (start, step) = (start + step + 1, step * 2);
        }
        return (start, count);
    }
    let mut end = guess;
    while let Some(probe) = end.checked_sub(step) {
        if below(probe) {
            return (probe + 1, end);
        }
        (end, step) = (probe, step * 2);
    }
    (0, end)
}

/// The versions of a term, to be searched. Cheapest if asked in ascending order.
#[derive(Clone)]
pub struct List<'s> {
    held: Held<'s>,
    docs: u32,
    chunk: usize,
    at: usize,
}

#[derive(Clone)]
enum Held<'s> {
    One(u32),
    Few(Box<[u32]>),
    Slice(&'s [u32], Option<&'s Bits>),
    Chunks(Chunks<'s>),
}

impl List<'_> {
    /// The first that is not below `from`.
    pub fn seek(&mut self, from: u32) -> Option<u32> {
        let found = match &self.held {
            Held::One(ordinal) => (*ordinal >= from).then_some(*ordinal),
            Held::Few(list) => seek_slice(list, &mut self.at, from),
            Held::Slice(list, _) => seek_slice(list, &mut self.at, from),
            Held::Chunks(chunks) => {
                let key = from / CHUNK;
                let mut c = self.chunk;
                if c > 0 && chunks.key(c - 1) >= key {
                    (c, self.at) = (0, 0);
                }
                loop {
                    while chunks.key(c) < key {
                        (c, self.at) = (c + 1, 0);
                    }
                    let chunk = chunks.get(c)?;
                    let low = if chunk.first / CHUNK == key { from % CHUNK } else { 0 };
                    if let Some(found) = chunk.seek(low, &mut self.at) {
                        self.chunk = c;
                        break Some(chunk.first + found);
                    }
                    (c, self.at) = (c + 1, 0);
                    self.chunk = c;
                }
            }
        };
        found.filter(|o| *o < self.docs)
    }

    /// Whether one is among them.
    pub fn contains(&mut self, ordinal: u32) -> bool {
        match &self.held {
            Held::Slice(_, Some(bits)) => bits.contains(ordinal),
            _ => self.seek(ordinal) == Some(ordinal),
        }
    }

    /// The last that is below a bound.
    pub fn last_below(&mut self, bound: u32) -> Option<u32> {
        let of = |list: &[u32]| list.get(list.partition_point(|o| *o < bound).checked_sub(1)?).copied();
        match &self.held {
            Held::One(ordinal) => (*ordinal < bound && *ordinal < self.docs).then_some(*ordinal),
            Held::Few(list) => of(list),
            Held::Slice(list, _) => of(list),
            // Terms that are asked so are of few versions; this is correct for others, not quick.
            Held::Chunks(_) => {
                let (mut found, mut from) = (None, 0);
                while let Some(ordinal) = self.seek(from).filter(|o| *o < bound) {
                    found = Some(ordinal);
                    from = ordinal + 1;
                }
                found
            }
        }
    }
}

fn seek_slice(list: &[u32], at: &mut usize, from: u32) -> Option<u32> {
    if *at > 0 && list.get(*at - 1).is_none_or(|o| *o >= from) {
        *at = 0;
    }
    *at = gallop(list, *at, from);
    list.get(*at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists(docs: u32) -> Vec<Vec<u32>> {
        let steps = [1, 2, 3, 7, 50, 1_000, 40_000];
        let mut all: Vec<Vec<u32>> = steps.iter().map(|s| (0..docs).step_by(*s).collect()).collect();
        all.push((0..docs).filter(|o| o % 70_000 < 5_000 || o % 97 == 3).collect());
        all.push((docs / 2..docs).collect());
        all.retain(|l| l.len() > 1);
        all
    }

    #[test]
    fn lists_are_read_back_in_every_way() {
        for docs in [10, 70, 5_000, 65_536, 65_600, 200_001] {
            for ordinals in lists(docs) {
                let mut bytes = Vec::new();
                write(&ordinals, docs, &mut bytes);
                let stored = Stored::read(ordinals.len() as u32, docs, &bytes);
                let mut read = Vec::new();
                stored.for_each(|o| read.push(o));
                assert_eq!(read, ordinals);
                let mut list = stored.open();
                let (mut walked, mut from) = (Vec::new(), 0);
                while let Some(o) = list.seek(from) {
                    walked.push(o);
                    from = o + 1;
                }
                assert_eq!(walked, ordinals);
                // In any order too.
                for i in 0..2_000_u32 {
                    let from = i.wrapping_mul(0x9E37_79B9) % (docs + 10);
                    let expected = ordinals.get(ordinals.partition_point(|o| *o < from)).copied();
                    assert_eq!(list.seek(from), expected);
                    assert_eq!(list.contains(from), expected == Some(from));
                }
                for bound in [0, 1, docs / 2, docs] {
                    let expected = ordinals.iter().rev().find(|o| **o < bound).copied();
                    assert_eq!(list.last_below(bound), expected);
                }
                let base = 37;
                let mut bits = Bits::default();
                stored.add_to(base, &mut bits);
                assert_eq!(bits.iter().map(|o| o - base).collect::<Vec<_>>(), ordinals);
                let odd: Bits = (0..docs).filter(|o| o % 3 == 1).map(|o| o + base).collect();
                assert_eq!(stored.count_in(base, &odd), ordinals.iter().filter(|o| **o % 3 == 1).count());
            }
        }
    }

    #[test]
    fn damaged_lists_give_only_versions_that_are_there() {
        let docs = 66_000;
        for ordinals in lists(docs) {
            let mut bytes = Vec::new();
            write(&ordinals, docs, &mut bytes);
            for i in 0..400_usize {
                let mut damaged = bytes.clone();
                let at = i.wrapping_mul(7919) % damaged.len().min(3_000);
                damaged[at] ^= 1 << (i % 8);
                damaged.truncate(damaged.len() - i % 5);
                let stored = Stored::read(ordinals.len() as u32, docs, &damaged);
                stored.for_each(|o| assert!(o < docs));
                let mut list = stored.open();
                assert!(list.seek(i as u32 * 100).is_none_or(|o| o < docs));
                let _ = stored.count_in(3, &Bits::below(100));
            }
        }
    }
}
