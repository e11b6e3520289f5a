//! What a segment has of one type. Terms lie in groups (the search parameter and the form of the value, their first
//! three bytes), so that a group's terms are compared by value and each group has a column.

use super::super::coding::Reader;
use super::column::{Column, ColumnShape};
use super::file::{Bytes, Info};
use super::lists::Stored;
use super::ordered::{self, Ordered, Place};
use super::terms::{BLOCK, TermTable};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// The versions of one type, their terms, the versions of each term.
pub struct Section {
    pub(super) bytes: Arc<Bytes>,
    /// How many versions.
    pub docs: u32,
    /// The parameter of the logical id.
    pub id_parameter: [u8; 2],
    pub(super) groups: Vec<Group>,
    pub(super) ordered: Vec<Place>,
    pub(super) numbers: Range<usize>,
    pub(super) previous: Range<usize>,
    pub(super) deletes: Range<usize>,
    pub(super) deleted: u32,
}

/// Terms that begin with the same three bytes.
pub struct Group {
    pub(super) key: [u8; 3],
    pub(super) terms: u32,
    pub(super) blocks: Range<usize>,
    pub(super) fences: Range<usize>,
    pub(super) lists: Range<usize>,
    pub(super) column: Range<usize>,
    pub(super) shape: ColumnShape,
    /// The last term, once it was asked for.
    pub(super) last: OnceLock<Option<Box<[u8]>>>,
}

/// The group of a term: its first three bytes.
pub fn key_of(term: &[u8]) -> [u8; 3] {
    let mut key = [0; 3];
    let length = term.len().min(3);
    key[..length].copy_from_slice(&term[..length]);
    key
}

/// Terms of one group that follow each other.
#[derive(Clone)]
pub struct Run<'s> {
    /// Number of the group.
    group: u32,
    table: TermTable<'s>,
    column: Column<'s>,
    ranks: Range<u32>,
}

impl Section {
    fn slice(&self, range: &Range<usize>) -> &[u8] {
        self.bytes.get(range.clone()).unwrap_or_default()
    }

    fn table(&self, group: &Group) -> TermTable<'_> {
        TermTable {
            blocks: self.slice(&group.blocks),
            fences: self.slice(&group.fences),
            lists: self.slice(&group.lists),
            count: group.terms,
            docs: self.docs,
        }
    }

    fn column(&self, group: &Group) -> Column<'_> {
        Column::read(self.slice(&group.column), &group.shape, self.docs, group.terms)
    }

    /// Whether what it says of its versions can be.
    pub(super) fn is_sound(&self, info: &Info) -> bool {
        let numbers = self.numbers();
        let in_order = numbers.windows(2).all(|pair| pair[0] < pair[1]);
        let covered = |n: &u32| (info.from..=info.to).contains(&u64::from(*n));
        numbers.len() == self.docs as usize
            && self.docs > 0
            && in_order
            && numbers.iter().all(covered)
            && self.deletes().len() == self.deleted as usize
            && self.previous().all(|(ordinal, _)| ordinal < self.docs)
    }

    /// Lets go of the memory in which the whole file was looked at; what is needed is looked at again.
    pub fn let_go(&self) {
        self.bytes.let_go();
    }

    /// The number of each version.
    pub fn numbers(&self) -> Vec<u32> {
        self.deltas(&self.numbers, self.docs, u32::MAX)
    }

    /// Versions that are deletes.
    pub fn deletes(&self) -> Vec<u32> {
        self.deltas(&self.deletes, self.deleted, self.docs)
    }

    fn deltas(&self, range: &Range<usize>, count: u32, below: u32) -> Vec<u32> {
        let bytes = self.slice(range);
        let mut reader = Reader(bytes);
        let mut all = Vec::with_capacity((count as usize).min(bytes.len()));
        let mut last = 0_u32;
        for _ in 0..count {
            let Some(next) = reader.small().and_then(|step| last.checked_add(step)).filter(|n| *n < below) else {
                break;
            };
            all.push(next);
            last = next;
        }
        all
    }

    /// Versions that have a version of the same resource before them, and its number.
    pub fn previous(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut reader = Reader(self.slice(&self.previous));
        let mut last = 0_u32;
        std::iter::from_fn(move || {
            last = last.checked_add(reader.small()?)?;
            Some((last, reader.small()?))
        })
    }

    /// The versions of a term.
    pub fn find(&self, term: &[u8]) -> Option<Stored<'_>> {
        let at = self.groups.binary_search_by_key(&key_of(term), |g| g.key).ok()?;
        self.table(self.groups.get(at)?).find(term)
    }

    /// The versions of a term, of which there are so many, in the order of the dates of a run; `None` where that is
    /// not kept.
    pub fn ordered<'s>(&'s self, term: &[u8], versions: usize, dates: &Run<'s>) -> Option<Ordered<'s>> {
        if versions < ordered::LEAST || self.ordered.is_empty() {
            return None;
        }
        let group = self.groups.binary_search_by_key(&key_of(term), |g| g.key).ok()?;
        let rank = self.table(self.groups.get(group)?).rank(term);
        let key = (group as u32, rank, dates.group);
        let at = self.ordered.binary_search_by_key(&key, Place::key).ok()?;
        let place = self.ordered.get(at)?;
        Ordered::read(self.slice(&place.part), place, self.docs, dates.column, dates.table)
    }

    /// Whether the orders of dates that are kept have the versions that they should have, in order.
    pub fn orders_are_right(&self) -> bool {
        self.ordered.iter().all(|place| {
            let (Some(group), Some(dates)) =
                (self.groups.get(place.group as usize), self.groups.get(place.column as usize))
            else {
                return false;
            };
            let mut block = self.table(group).block((place.rank / BLOCK) as usize);
            let skipped = (0..place.rank % BLOCK).all(|_| block.next().is_some());
            let (Some(stored), true) = (block.next(), skipped) else { return false };
            let (column, table) = (self.column(dates), self.table(dates));
            let ordered = Ordered::read(self.slice(&place.part), place, self.docs, column, table);
            ordered.is_some_and(|ordered| ordered.is_of(stored))
        })
    }

    /// The terms of a range, group by group.
    pub fn runs(&self, from: &[u8], to: &[u8]) -> Vec<Run<'_>> {
        let mut runs = Vec::new();
        if from >= to {
            return runs;
        }
        let (first, last) = (key_of(from), key_of(to));
        let start = self.groups.partition_point(|g| g.key < first);
        for (number, group) in self.groups.iter().enumerate().skip(start) {
            if group.key > last {
                break;
            }
            // What is asked for often lies, or ends, behind all that is there: dates of other precisions, present times,
            // everything since.
            let bounded = group.key == last && !self.ends_before(group, to);
            if group.key == first && self.ends_before(group, from) {
                continue;
            }
            let table = self.table(group);
            let (low, high) = match (group.key == first, bounded) {
                (true, true) => table.ranks(from, to),
                (true, false) => (table.rank(from), group.terms),
                (false, true) => (0, table.rank(to)),
                (false, false) => (0, group.terms),
            };
            if low < high {
                runs.push(Run { group: number as u32, table, column: self.column(group), ranks: low..high });
            }
        }
        runs
    }

    /// Whether all terms of a group are less than this one.
    fn ends_before(&self, group: &Group, term: &[u8]) -> bool {
        let last = || term_at(&self.table(group), group.terms.saturating_sub(1)).map(Vec::into_boxed_slice);
        group.last.get_or_init(last).as_deref().is_some_and(|last| last < term)
    }

    /// The terms of a version, in order, until the listener has enough.
    pub fn terms_of(&self, ordinal: u32, tell: &mut impl FnMut(&[u8]) -> bool) {
        self.terms_in(&self.groups, ordinal, tell);
    }

    /// The terms of a version under a parameter, in order, until the listener has enough.
    pub fn terms_under(&self, ordinal: u32, parameter: u16, tell: &mut impl FnMut(&[u8]) -> bool) {
        let of = |group: &Group| u16::from_be_bytes([group.key[0], group.key[1]]);
        let start = self.groups.partition_point(|g| of(g) < parameter);
        let end = self.groups.partition_point(|g| of(g) <= parameter);
        self.terms_in(self.groups.get(start..end).unwrap_or_default(), ordinal, tell);
    }

    fn terms_in(&self, groups: &[Group], ordinal: u32, tell: &mut impl FnMut(&[u8]) -> bool) {
        for group in groups {
            for rank in self.column(group).ranks(ordinal) {
                if let Some(term) = term_at(&self.table(group), rank)
                    && !tell(&term)
                {
                    return;
                }
            }
        }
    }
}

pub(super) fn term_at(table: &TermTable<'_>, rank: u32) -> Option<Vec<u8>> {
    let mut block = table.block((rank / BLOCK) as usize);
    for _ in 0..=rank % BLOCK {
        block.next()?;
    }
    Some(block.term)
}

impl Run<'_> {
    /// How many terms.
    pub fn len(&self) -> usize {
        self.ranks.len()
    }

    /// How many versions have one of the terms, about, if they are spread evenly.
    pub fn estimate(&self) -> usize {
        let share = self.column.present() as u64 * self.ranks.len() as u64 / u64::from(self.table.count.max(1));
        share as usize
    }

    /// Whether all are in one group with those of another run.
    pub fn is_beside(&self, other: &Run<'_>) -> bool {
        self.group == other.group
    }

    /// The ranks of the terms.
    pub fn ranks(&self) -> Range<u32> {
        self.ranks.clone()
    }

    /// The ranks of the terms that pass a test, as ranges in order and apart; `None` if there are many terms or ranges.
    pub fn passing(&self, test: impl Fn(&[u8]) -> bool) -> Option<Vec<Range<u32>>> {
        const TERMS: usize = 4096;
        const RANGES: usize = 32;
        if self.ranks.len() > TERMS {
            return None;
        }
        let mut found: Vec<Range<u32>> = Vec::new();
        let mut stream = Stream::new(vec![self.clone()], false);
        for rank in self.ranks.clone() {
            if !stream.advance() || !test(stream.term()) {
                continue;
            }
            match found.last_mut().filter(|last| last.end == rank) {
                Some(last) => last.end += 1,
                None => found.push(rank..rank + 1),
            }
        }
        (found.len() <= RANGES).then_some(found)
    }

    /// The ranks in pieces of terms that have their first bytes, so many, in common; `None` if there are many pieces.
    pub fn alike(&self, bytes: usize) -> Option<Vec<Range<u32>>> {
        const PIECES: usize = 16;
        let mut pieces = Vec::new();
        let mut from = self.ranks.start;
        while from < self.ranks.end {
            let head = |rank| term_at(&self.table, rank).map(|term| term[..bytes.min(term.len())].to_vec());
            let first = head(from)?;
            let to = match head(self.ranks.end - 1)? == first {
                true => self.ranks.end,
                false => {
                    let after = |rank: u32| head(rank).is_none_or(|head| head > first);
                    let (mut low, mut high) = (from + 1, self.ranks.end);
                    while low < high {
                        let middle = low + (high - low) / 2;
                        if after(middle) { high = middle } else { low = middle + 1 }
                    }
                    low
                }
            };
            pieces.push(from..to);
            if pieces.len() > PIECES {
                return None;
            }
            from = to;
        }
        Some(pieces)
    }

    /// The ranks of a version's terms that are among these, ascending.
    pub fn ranks_of(&self, ordinal: u32) -> impl Iterator<Item = u32> {
        self.column.ranks(ordinal).filter(move |rank| self.ranks.contains(rank))
    }

    /// The term of a rank.
    pub fn term(&self, rank: u32) -> Option<Vec<u8>> {
        term_at(&self.table, rank)
    }

    /// Whether a version has one of the terms.
    #[inline]
    pub fn holds(&self, ordinal: u32) -> bool {
        self.column.any_in(ordinal, &self.ranks)
    }

    /// The terms of a version that are among these, in order, until the listener has enough; whether it had.
    pub fn terms_of(&self, ordinal: u32, tell: &mut impl FnMut(&[u8]) -> bool) -> bool {
        for rank in self.column.ranks(ordinal).filter(|rank| self.ranks.contains(rank)) {
            if let Some(term) = term_at(&self.table, rank)
                && !tell(&term)
            {
                return true;
            }
        }
        false
    }
}

/// Goes through terms in order, forwards or backwards.
pub struct Stream<'s> {
    /// Runs that are left, the next one last.
    runs: Vec<Run<'s>>,
    descending: bool,
    /// Number of the block that is loaded, in the run that is last.
    loaded: Option<u32>,
    bytes: Vec<u8>,
    entries: Vec<(Range<usize>, Stored<'s>)>,
    at: usize,
}

impl<'s> Stream<'s> {
    /// Through these runs.
    pub fn new(mut runs: Vec<Run<'s>>, descending: bool) -> Stream<'s> {
        if !descending {
            runs.reverse();
        }
        Stream { runs, descending, loaded: None, bytes: Vec::new(), entries: Vec::new(), at: 0 }
    }

    /// Goes on to the next term; whether there is one.
    pub fn advance(&mut self) -> bool {
        loop {
            let Some(run) = self.runs.last_mut() else { return false };
            let rank = if self.descending { run.ranks.next_back() } else { run.ranks.next() };
            let Some(rank) = rank else {
                self.runs.pop();
                self.loaded = None;
                continue;
            };
            if self.loaded != Some(rank / BLOCK) {
                self.loaded = Some(rank / BLOCK);
                self.bytes.clear();
                self.entries.clear();
                let mut block = run.table.block((rank / BLOCK) as usize);
                // Of the block only what is still to come.
                let begin = rank - rank % BLOCK;
                let wanted = if self.descending { run.ranks.start..rank + 1 } else { rank..run.ranks.end };
                let wanted = wanted.start.saturating_sub(begin) as usize..wanted.end.saturating_sub(begin) as usize;
                while self.entries.len() < wanted.end
                    && let Some(stored) = block.next()
                {
                    let start = self.bytes.len();
                    if wanted.contains(&self.entries.len()) {
                        self.bytes.extend_from_slice(&block.term);
                    }
                    self.entries.push((start..self.bytes.len(), stored));
                }
            }
            self.at = (rank % BLOCK) as usize;
            if self.at < self.entries.len() {
                return true;
            }
        }
    }

    /// The term.
    pub fn term(&self) -> &[u8] {
        self.entries.get(self.at).and_then(|(range, _)| self.bytes.get(range.clone())).unwrap_or_default()
    }

    /// Its versions.
    pub fn stored(&self) -> Option<Stored<'s>> {
        self.entries.get(self.at).map(|(_, stored)| *stored)
    }
}
