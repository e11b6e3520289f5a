//! The terms of each version under one group, by rank: one look gives the term of a version. Most versions have one
//! term or none of a group; lists of several are stored once each. Where few versions have any, only those are kept.

use super::super::coding::{Reader, pack, packed, packed_length, put, width};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// Collects the ranks of a group.
pub struct ColumnWriter {
    /// By version: 0 for none, the rank plus one, or [`SEVERAL`].
    single: Vec<u32>,
    several: FxHashMap<u32, Vec<u32>>,
    present: u32,
}

const SEVERAL: u32 = u32::MAX;

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
        ColumnWriter { single: vec![0; docs as usize], several: FxHashMap::default(), present: 0 }
    }

    /// A version has the term of a rank. Ranks come in order.
    pub fn add(&mut self, ordinal: u32, rank: u32) {
        let Some(single) = self.single.get_mut(ordinal as usize) else { return };
        match *single {
            0 => {
                *single = rank + 1;
                self.present += 1;
            }
            SEVERAL => self.several.entry(ordinal).or_default().push(rank),
            first => {
                self.several.insert(ordinal, vec![first - 1, rank]);
                *single = SEVERAL;
            }
        }
    }

    /// Writes the column of a group of so many terms: listed versions, values, starts of the lists, lists; and makes
    /// the writer ready for the next group.
    pub fn finish(&mut self, terms: u32, out: &mut Vec<u8>) -> ColumnShape {
        let mut numbers: FxHashMap<&[u32], u32> = FxHashMap::default();
        let (mut starts, mut lists) = (Vec::new(), Vec::new());
        let mut ordinals: Vec<_> = self.several.keys().copied().collect();
        ordinals.sort_unstable();
        for ordinal in &ordinals {
            let ranks = &*self.several[ordinal];
            let next = numbers.len() as u32;
            let number = *numbers.entry(ranks).or_insert_with(|| {
                starts.push(lists.len() as u32);
                put(&mut lists, ranks.len() as u64);
                super::lists::write_deltas(ranks, &mut lists);
                next
            });
            self.single[*ordinal as usize] = terms + 1 + number;
        }
        let docs = self.single.len() as u32;
        let (several, length) = (numbers.len() as u32, lists.len() as u32);
        let wide = width(terms + several);
        let sparse = u64::from(self.present) * u64::from(wide + width(docs)) < u64::from(docs) * u64::from(wide);
        let listed = if sparse { self.present } else { 0 };
        if sparse {
            let with = self.single.iter().enumerate().filter(|(_, v)| **v != 0);
            pack(with.map(|(o, _)| o as u32), width(docs), out);
            pack(self.single.iter().copied().filter(|v| *v != 0), wide, out);
        } else {
            pack(self.single.iter().copied(), wide, out);
        }
        pack(starts.into_iter(), width(length), out);
        out.extend_from_slice(&lists);
        self.single.fill(0);
        self.several.clear();
        self.present = 0;
        ColumnShape { listed, several, length }
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
        let docs = 3_000;
        let mut writer = ColumnWriter::new(docs);
        // Dense with one each; some with several; few with any; none.
        let worlds: [&dyn Fn(u32) -> Vec<u32>; 4] = [
            &|o| vec![o % 100],
            &|o| if o % 3 == 0 { vec![o % 50, 60 + o % 7] } else { vec![o % 99] },
            &|o| if o % 500 == 7 { vec![1, 5, 99] } else { Vec::new() },
            &|_| Vec::new(),
        ];
        for world in worlds {
            let mut pairs: Vec<_> = (0..docs).flat_map(|o| world(o).into_iter().map(move |r| (r, o))).collect();
            pairs.sort_unstable();
            pairs.iter().for_each(|(rank, ordinal)| writer.add(*ordinal, *rank));
            let mut bytes = Vec::new();
            let shape = writer.finish(100, &mut bytes);
            let column = Column::read(&bytes, &shape, docs, 100);
            for o in 0..docs {
                assert_eq!(column.ranks(o).collect::<Vec<_>>(), world(o));
                assert_eq!(column.any_in(o, &(40..61)), world(o).iter().any(|r| (40..61).contains(r)));
            }
            assert_eq!(column.ranks(docs + 5).count(), 0);
            for cut in 0..bytes.len().min(200) {
                let column = Column::read(&bytes[..bytes.len() - cut], &shape, docs, 100);
                (0..docs).step_by(97).for_each(|o| assert!(column.ranks(o).all(|r| r < 100)));
            }
        }
    }
}
