//! The versions of a term that many have, in the order of their dates under a parameter: so those of a time are counted
//! by two searches in them, and the latest are found without a look at the others. Kept for the columns of dates in
//! which most versions have one value. What is damaged reads as other versions of the section, or none.

use super::super::coding::{pack, packed, packed_length, width};
use super::column::Column;
use super::lists::{self, Stored};
use super::terms::TermTable;
use std::ops::Range;

/// Terms of so many versions have it.
pub const LEAST: usize = 512;
/// Columns that it is kept for at most, in each section.
const COLUMNS: usize = 2;
/// Versions with several dates, one out of so many of a list at most.
const SEVERAL: usize = 16;

/// Collects what is kept of a section.
#[derive(Default)]
pub struct OrderedWriter {
    /// Columns of dates: number of the group, its terms, and the value of each version.
    columns: Vec<(u32, u32, Vec<u32>)>,
    /// Terms of many versions: number of the group, rank, number of versions, and their list as it is stored.
    lists: Vec<(u32, u32, u32, Vec<u8>)>,
}

/// Where the versions of a term lie in the order of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of the term's group.
    pub group: u32,
    /// Rank of the term in it.
    pub rank: u32,
    /// Number of the column's group.
    pub column: u32,
    /// Versions in order.
    pub ordered: u32,
    /// Versions that have several dates.
    pub several: u32,
    /// Where they are.
    pub part: Range<usize>,
}

impl Place {
    /// What it is found by.
    pub fn key(&self) -> (u32, u32, u32) {
        (self.group, self.rank, self.column)
    }
}

impl OrderedWriter {
    /// Takes note of a term of many versions and of its list as it is stored.
    pub fn list(&mut self, group: u32, rank: u32, count: usize, list: &[u8]) {
        self.lists.push((group, rank, count as u32, list.to_vec()));
    }

    /// Takes note of a column of dates of so many terms, if it is worth it. In a column that has the order of the
    /// versions nothing needs to be put in order.
    pub fn column(&mut self, group: u32, terms: u32, values: &[u32]) {
        let single = values.iter().filter(|value| (1..=terms).contains(*value));
        if self.columns.len() < COLUMNS && single.clone().count() * 2 >= values.len() && !single.is_sorted() {
            self.columns.push((group, terms, values.to_vec()));
        }
    }

    /// Each term in the order of each column: where it belongs, and its bytes.
    pub fn finish(&self, mut tell: impl FnMut(Place, &[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        let (mut order, mut several, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
        for (group, rank, count, list) in &self.lists {
            for (column, terms, values) in &self.columns {
                order.clear();
                several.clear();
                let docs = values.len() as u32;
                Stored::read(*count, docs, list).for_each(|ordinal| match values[ordinal as usize] {
                    0 => {}
                    value if value <= *terms => order.push(u64::from(value) << 32 | u64::from(ordinal)),
                    _ => several.push(ordinal),
                });
                if several.len() * SEVERAL > *count as usize {
                    continue;
                }
                order.sort_unstable();
                bytes.clear();
                pack(order.iter().map(|both| *both as u32), width(docs), &mut bytes);
                lists::write_deltas(&several, &mut bytes);
                let (ordered, several) = (order.len() as u32, several.len() as u32);
                let part = 0..bytes.len();
                tell(Place { group: *group, rank: *rank, column: *column, ordered, several, part }, &bytes)?;
            }
        }
        Ok(())
    }
}

/// The versions of a term in the order of their dates.
#[derive(Clone, Copy)]
pub struct Ordered<'s> {
    ordinals: &'s [u8],
    several: Stored<'s>,
    width: u8,
    len: usize,
    column: Column<'s>,
    table: TermTable<'s>,
}

impl<'s> Ordered<'s> {
    /// What [`OrderedWriter::finish`] told, in the order of a column and its terms.
    pub fn read(bytes: &'s [u8], place: &Place, docs: u32, column: Column<'s>, table: TermTable<'s>) -> Option<Self> {
        let (len, width) = (place.ordered as usize, width(docs));
        let (ordinals, rest) = bytes.split_at_checked(packed_length(len, width))?;
        let several = Stored::deltas(place.several, docs, rest);
        Some(Ordered { ordinals, several, width, len, column, table })
    }

    /// Whether it has these versions, each in its place.
    pub fn is_of(&self, stored: Stored<'_>) -> bool {
        let (mut single, mut several) = (Vec::new(), Vec::new());
        stored.for_each(|ordinal| match (self.column.rank(ordinal), self.column.ranks(ordinal).next()) {
            (Some(rank), _) => single.push((rank, ordinal)),
            (None, Some(_)) => several.push(ordinal),
            (None, None) => {}
        });
        single.sort_unstable();
        let mut kept = Vec::new();
        self.several.for_each(|ordinal| kept.push(ordinal));
        kept == several && single.iter().map(|(_, ordinal)| *ordinal).eq((0..self.len).map(|at| self.ordinal(at)))
    }

    /// Versions with one date.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The version at a place.
    pub fn ordinal(&self, place: usize) -> u32 {
        packed(self.ordinals, self.width, place)
    }

    /// Its date.
    pub fn term(&self, place: usize) -> Option<Vec<u8>> {
        super::section::term_at(&self.table, self.column.rank(self.ordinal(place))?)
    }

    /// The versions with several dates.
    pub fn several(&self) -> Stored<'s> {
        self.several
    }

    /// How many have a date of a lower rank.
    pub fn below(&self, rank: u32) -> usize {
        let (mut low, mut high) = (0, self.len);
        while low < high {
            let middle = low + (high - low) / 2;
            let is_below = self.column.rank(self.ordinal(middle)).is_some_and(|own| own < rank);
            if is_below { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// How many have a date whose rank is in one of these ranges, which are in order and apart.
    pub fn count(&self, ranges: &[Range<u32>]) -> usize {
        let within = |range: &Range<u32>| self.below(range.end).saturating_sub(self.below(range.start));
        let mut count = ranges.iter().map(within).sum();
        self.several.for_each(|ordinal| {
            count += usize::from(ranges.iter().any(|range| self.column.any_in(ordinal, range)));
        });
        count
    }
}
