//! The terms of each version under one group, by rank: one look gives the term of a version. Most versions have one
//! term or none of a group; lists of several are stored once each. Where few versions have any, only those are kept.

use super::super::coding::{Reader, pack, packed, packed_length, put, width};
use super::lists::{self, Stored};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Versions whose ranks are put in order together.
const WINDOW: u32 = lists::CHUNK;

/// Collects the ranks of a group. Of terms of many versions only where their lists are is kept until the end: a group
/// of words has more ranks than should be in memory at a time.
pub struct ColumnWriter {
    /// By version: 0 for none, the rank plus one, more for several.
    values: Vec<u32>,
    /// Those of terms of few versions, by window: the version in the upper half, the rank in the lower.
    few: Vec<Vec<u64>>,
    /// Terms of many versions: rank, number of versions, place of the list.
    many: Vec<(u32, u32, usize)>,
}

fn both(ordinal: u32, rank: u32) -> u64 {
    u64::from(ordinal) << 32 | u64::from(rank)
}

/// What is known of a column besides its bytes.
#[derive(Clone, Debug, Default)]
pub struct ColumnShape {
    /// Versions that are listed; 0: all have a value.
    pub listed: u32,
    /// Different lists of several ranks.
    pub several: u32,
    /// Bytes of the lists.
    pub length: u32,
}

impl ColumnWriter {
    /// For so many versions.
    pub fn new(docs: u32) -> ColumnWriter {
        let few = vec![Vec::new(); docs.div_ceil(WINDOW) as usize];
        ColumnWriter { values: vec![0; docs as usize], few, many: Vec::new() }
    }

    /// These versions have the term of a rank; if they have a list, it lies at `place` among the group's. Ranks come in
    /// order.
    pub fn add(&mut self, rank: u32, ordinals: &[u32], place: Option<usize>) {
        // Lists in chunks are read again chunk by chunk; others would have to be read whole each time.
        if let Some(place) = place.filter(|_| ordinals.len() > lists::FEW) {
            return self.many.push((rank, ordinals.len() as u32, place));
        }
        for ordinal in ordinals {
            if let Some(window) = self.few.get_mut((ordinal / WINDOW) as usize) {
                window.push(both(*ordinal, rank));
            }
        }
    }

    /// Writes the column of a group of so many terms with these lists: listed versions, values, starts of the lists,
    /// lists.
    pub fn finish(&mut self, terms: u32, of_many: &[u8], out: &mut Vec<u8>) -> ColumnShape {
        let docs = self.values.len() as u32;
        // Lists by their hash: of two lists with the same one the second is stored as if it were new each time.
        let mut numbers: FxHashMap<u32, u32> = FxHashMap::default();
        let (mut starts, mut all) = (Vec::new(), Vec::new());
        let (mut list, mut ranks) = (Vec::new(), Vec::new());
        let mut present = 0;
        for (number, few) in self.few.iter_mut().enumerate() {
            let mut window = std::mem::take(few);
            for (rank, count, place) in &self.many {
                let stored = Stored::read(*count, docs, of_many.get(*place..).unwrap_or_default());
                stored.for_each_of_chunk(number as u32, |ordinal| window.push(both(ordinal, *rank)));
            }
            window.sort_unstable();
            for of_one in window.chunk_by(|a, b| a >> 32 == b >> 32) {
                present += 1;
                let value = &mut self.values[(of_one[0] >> 32) as usize];
                if let [one] = of_one {
                    *value = *one as u32 + 1;
                    continue;
                }
                ranks.clear();
                ranks.extend(of_one.iter().map(|both| *both as u32));
                list.clear();
                put(&mut list, ranks.len() as u64);
                lists::write_deltas(&ranks, &mut list);
                let next = starts.len() as u32;
                let known = *numbers.entry(crc32fast::hash(&list)).or_insert(next);
                let is_known = starts.get(known as usize).is_some_and(|at| all[*at as usize..].starts_with(&list));
                if !is_known {
                    starts.push(all.len() as u32);
                    all.extend_from_slice(&list);
                }
                *value = terms + 1 + if is_known { known } else { next };
            }
        }
        let (several, length) = (starts.len() as u32, all.len() as u32);
        let wide = width(terms + several);
        let sparse = u64::from(present) * u64::from(wide + width(docs)) < u64::from(docs) * u64::from(wide);
        let listed = if sparse { present } else { 0 };
        if sparse {
            let with = self.values.iter().enumerate().filter(|(_, v)| **v != 0);
            pack(with.map(|(o, _)| o as u32), width(docs), out);
            pack(self.values.iter().copied().filter(|v| *v != 0), wide, out);
        } else {
            pack(self.values.iter().copied(), wide, out);
        }
        pack(starts.into_iter(), width(length), out);
        out.extend_from_slice(&all);
        ColumnShape { listed, several, length }
    }

    /// By version, what was written: 0 for none, the rank plus one, more for several.
    pub fn values(&self) -> &[u32] {
        &self.values
    }

    /// Makes the writer ready for the next group.
    pub fn clear(&mut self) {
        self.values.fill(0);
        self.many.clear();
    }
}

/// A column, to be read.
#[derive(Clone, Copy)]
pub struct Column<'s> {
    ordinals: &'s [u8],
    values: &'s [u8],
    starts: &'s [u8],
    lists: &'s [u8],
    docs: u32,
    terms: u32,
    listed: u32,
    ordinal_width: u8,
    value_width: u8,
    start_width: u8,
}

impl<'s> Column<'s> {
    /// The column of a group of so many terms over so many versions.
    pub fn read(bytes: &'s [u8], shape: &ColumnShape, docs: u32, terms: u32) -> Column<'s> {
        let (ordinal_width, start_width) = (width(docs), width(shape.length));
        let value_width = width(terms.saturating_add(shape.several));
        let mut rest = bytes;
        let mut part = |length: usize| {
            let (part, other) = rest.split_at_checked(length).unwrap_or_default();
            rest = other;
            part
        };
        let ordinals = part(if shape.listed > 0 { packed_length(shape.listed as usize, ordinal_width) } else { 0 });
        let count = if shape.listed > 0 { shape.listed } else { docs };
        let values = part(packed_length(count as usize, value_width));
        let starts = part(packed_length(shape.several as usize, start_width));
        Column {
            ordinals,
            values,
            starts,
            lists: rest,
            docs,
            terms,
            listed: shape.listed,
            ordinal_width,
            value_width,
            start_width,
        }
    }

    /// How many versions have a value, at most.
    pub fn present(&self) -> u32 {
        if self.listed > 0 { self.listed } else { self.docs }
    }

    /// 0 for none, a rank plus one, or the number of terms plus one plus the number of a list.
    #[inline]
    fn value(&self, ordinal: u32) -> u32 {
        if self.listed == 0 {
            return if ordinal < self.docs { packed(self.values, self.value_width, ordinal as usize) } else { 0 };
        }
        let (mut low, mut high) = (0, self.listed as usize);
        while low < high {
            let middle = low + (high - low) / 2;
            if packed(self.ordinals, self.ordinal_width, middle) < ordinal { low = middle + 1 } else { high = middle }
        }
        let found = low < self.listed as usize && packed(self.ordinals, self.ordinal_width, low) == ordinal;
        if found { packed(self.values, self.value_width, low) } else { 0 }
    }

    fn several(&self, value: u32) -> impl Iterator<Item = u32> + use<'s> {
        let start = packed(self.starts, self.start_width, (value - self.terms - 1) as usize) as usize;
        let mut reader = Reader(self.lists.get(start..).unwrap_or_default());
        let (mut left, mut last) = (reader.small().unwrap_or(0), 0_u32);
        let terms = self.terms;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            last = last.checked_add(reader.small()?)?;
            (last < terms).then_some(last)
        })
    }

    /// The rank of a version's term, if it has one only.
    #[inline]
    pub fn rank(&self, ordinal: u32) -> Option<u32> {
        let value = self.value(ordinal);
        (1..=self.terms).contains(&value).then(|| value - 1)
    }

    /// Whether a version has a term whose rank is in a range.
    #[inline]
    pub fn any_in(&self, ordinal: u32, ranks: &Range<u32>) -> bool {
        match self.value(ordinal) {
            0 => false,
            value if value <= self.terms => ranks.contains(&(value - 1)),
            value => self.several(value).any(|rank| ranks.contains(&rank)),
        }
    }

    /// The ranks of a version's terms, ascending.
    pub fn ranks(&self, ordinal: u32) -> impl Iterator<Item = u32> + use<'s> {
        let value = self.value(ordinal);
        let one = (1..=self.terms).contains(&value).then(|| value - 1);
        let several = (value > self.terms).then(|| self.several(value));
        one.into_iter().chain(several.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_read_back() {
        let docs = 70_000;
        let mut writer = ColumnWriter::new(docs);
        // Dense with one each; some with several; few with any; none.
        let worlds: [&dyn Fn(u32) -> Vec<u32>; 4] = [
            &|o| vec![o % 100],
            &|o| if o % 3 == 0 { vec![o % 50, 60 + o % 7] } else { vec![o % 99] },
            &|o| if o % 500 == 7 { vec![1, 5, 99] } else { Vec::new() },
            &|_| Vec::new(),
        ];
        for world in worlds {
            let mut of_many = Vec::new();
            for rank in 0..100 {
                let ordinals: Vec<u32> = (0..docs).filter(|o| world(*o).contains(&rank)).collect();
                let place = (ordinals.len() > 8).then_some(of_many.len());
                if place.is_some() {
                    lists::write(&ordinals, docs, &mut of_many);
                }
                writer.add(rank, &ordinals, place);
            }
            let mut bytes = Vec::new();
            let shape = writer.finish(100, &of_many, &mut bytes);
            let column = Column::read(&bytes, &shape, docs, 100);
            for o in (0..docs).step_by(7) {
                assert_eq!(column.ranks(o).collect::<Vec<_>>(), world(o));
                assert_eq!(column.any_in(o, &(40..61)), world(o).iter().any(|r| (40..61).contains(r)));
            }
            assert_eq!(column.ranks(docs + 5).count(), 0);
            writer.clear();
            for cut in (0..bytes.len().min(200)).step_by(9) {
                let column = Column::read(&bytes[..bytes.len() - cut], &shape, docs, 100);
                (0..docs).step_by(97).for_each(|o| assert!(column.ranks(o).all(|r| r < 100)));
            }
        }
    }
}
