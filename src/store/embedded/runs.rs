//! The order of the terms in memory: sorted runs, each at least twice as long as the one behind it, and the newest terms
//! unsorted. Most terms are looked up by their hash and only few by their place, so that a term that comes costs little
//! and a range a little more. What the terms are is known to the caller only.

use std::cmp::Ordering;
use std::collections::VecDeque;

/// Terms that may stand unsorted: a range looks at each of them.
const FRESH: usize = 256;

/// A term by its number, with its first bytes: most comparisons are decided by them, without a look at the term.
#[derive(Clone, Copy, Debug)]
struct Entry {
    head: [u64; 2],
    term: u32,
}

/// The first bytes in an order that is that of the terms wherever they differ: zeros stand behind what is shorter.
fn head(bytes: &[u8]) -> [u64; 2] {
    let mut first = [0; 16];
    let length = bytes.len().min(16);
    first[..length].copy_from_slice(&bytes[..length]);
    let both = u128::from_be_bytes(first);
    [(both >> 64) as u64, both as u64]
}

impl Entry {
    fn compare<'t>(&self, other: &Entry, bytes: impl Fn(u32) -> &'t [u8]) -> Ordering {
        self.head.cmp(&other.head).then_with(|| bytes(self.term).cmp(bytes(other.term)))
    }

    fn is_below<'t>(&self, (start, key): ([u64; 2], &[u8]), bytes: impl Fn(u32) -> &'t [u8]) -> bool {
        match self.head.cmp(&start) {
            Ordering::Equal => bytes(self.term) < key,
            unequal => unequal.is_lt(),
        }
    }
}

/// The order. `bytes` is always what gives the bytes of a term by its number, and never changes for a term.
#[derive(Default)]
pub struct Runs {
    runs: Vec<Vec<Entry>>,
    fresh: Vec<Entry>,
}

impl Runs {
    /// Adds a term that is not there yet.
    pub fn push<'t>(&mut self, term: u32, bytes: impl Fn(u32) -> &'t [u8] + Copy) {
        self.fresh.push(Entry { head: head(bytes(term)), term });
        if self.fresh.len() < FRESH {
            return;
        }
        let mut run = std::mem::take(&mut self.fresh);
        run.sort_unstable_by(|a, b| a.compare(b, bytes));
        while let Some(last) = self.runs.pop_if(|last| last.len() < 2 * run.len()) {
            run = merged(&last, &run, bytes);
        }
        self.runs.push(run);
    }

    /// The term with these bytes.
    pub fn find<'t>(&self, key: &[u8], bytes: impl Fn(u32) -> &'t [u8] + Copy) -> Option<u32> {
        let at = (head(key), key);
        let in_run = |run: &Vec<Entry>| run.get(run.partition_point(|e| e.is_below(at, bytes))).copied();
        let sorted = self.runs.iter().filter_map(in_run);
        sorted.chain(self.fresh.iter().copied()).map(|e| e.term).find(|term| bytes(*term) == key)
    }

    /// The terms at or after `from` and before `to`.
    pub fn range<'r, 't>(&'r self, from: &[u8], to: &[u8], bytes: impl Fn(u32) -> &'t [u8] + Copy) -> Range<'r> {
        let (from, to) = ((head(from), from), (head(to), to));
        let span = |run: &'r Vec<Entry>| {
            let start = run.partition_point(|e| e.is_below(from, bytes));
            let rest = &run[start..];
            &rest[..rest.partition_point(|e| e.is_below(to, bytes))]
        };
        let spans = self.runs.iter().map(span).filter(|span| !span.is_empty()).collect();
        let inside = |e: &&Entry| !e.is_below(from, bytes) && e.is_below(to, bytes);
        let mut fresh: Vec<Entry> = self.fresh.iter().filter(inside).copied().collect();
        fresh.sort_unstable_by(|a, b| a.compare(b, bytes));
        Range { spans, fresh: fresh.into() }
    }
}

/// Two runs as one.
fn merged<'t>(mut a: &[Entry], mut b: &[Entry], bytes: impl Fn(u32) -> &'t [u8] + Copy) -> Vec<Entry> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    while let (Some((first, rest)), Some((second, others))) = (a.split_first(), b.split_first()) {
        if first.compare(second, bytes).is_lt() {
            out.push(*first);
            a = rest;
        } else {
            out.push(*second);
            b = others;
        }
    }
    out.extend_from_slice(a);
    out.extend_from_slice(b);
    out
}

/// The terms of a range, from both ends.
pub struct Range<'r> {
    spans: Vec<&'r [Entry]>,
    fresh: VecDeque<Entry>,
}

impl Range<'_> {
    /// The next term from the beginning.
    pub fn next<'t>(&mut self, bytes: impl Fn(u32) -> &'t [u8] + Copy) -> Option<u32> {
        let firsts = self.spans.iter().enumerate().filter_map(|(i, span)| Some((Some(i), *span.first()?)));
        let fresh = self.fresh.front().map(|e| (None, *e));
        let (whose, entry) = firsts.chain(fresh).min_by(|(_, a), (_, b)| a.compare(b, bytes))?;
        match whose {
            Some(i) => self.spans[i] = &self.spans[i][1..],
            None => drop(self.fresh.pop_front()),
        }
        Some(entry.term)
    }

    /// The next term from the end.
    pub fn next_back<'t>(&mut self, bytes: impl Fn(u32) -> &'t [u8] + Copy) -> Option<u32> {
        let lasts = self.spans.iter().enumerate().filter_map(|(i, span)| Some((Some(i), *span.last()?)));
        let fresh = self.fresh.back().map(|e| (None, *e));
        let (whose, entry) = lasts.chain(fresh).max_by(|(_, a), (_, b)| a.compare(b, bytes))?;
        match whose {
            Some(i) => self.spans[i] = &self.spans[i][..self.spans[i].len() - 1],
            None => drop(self.fresh.pop_back()),
        }
        Some(entry.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn term() -> impl Strategy<Value = Vec<u8>> {
        // Few different bytes, so that beginnings are shared, also beyond the head.
        prop::collection::vec(prop::sample::select(vec![0, 1, b'a', 0xFF]), 0..24)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn like_a_tree(terms in prop::collection::vec(term(), 0..1_500), bounds in prop::collection::vec((term(), term()), 8)) {
            let mut known: Vec<Vec<u8>> = Vec::new();
            let mut tree = BTreeMap::new();
            let mut runs = Runs::default();
            for bytes in terms {
                if tree.contains_key(&bytes) {
                    continue;
                }
                let number = known.len() as u32;
                known.push(bytes.clone());
                tree.insert(bytes, number);
                runs.push(number, |t| &known[t as usize]);
            }
            let bytes = |t: u32| &known[t as usize][..];
            prop_assert!(runs.runs.len() <= 8);
            for (a, b) in bounds {
                prop_assert_eq!(runs.find(&a, bytes), tree.get(&a).copied());
                let (from, to) = if a <= b { (a, b) } else { (b, a) };
                let expected: Vec<u32> = tree.range(from.clone()..to.clone()).map(|(_, t)| *t).collect();
                let mut range = runs.range(&from, &to, bytes);
                let forwards: Vec<u32> = std::iter::from_fn(|| range.next(bytes)).collect();
                prop_assert_eq!(&forwards, &expected);
                let mut range = runs.range(&from, &to, bytes);
                let mut backwards: Vec<u32> = std::iter::from_fn(|| range.next_back(bytes)).collect();
                backwards.reverse();
                prop_assert_eq!(&backwards, &expected);
            }
            prop_assert!(known.iter().enumerate().all(|(t, bytes_of)| runs.find(bytes_of, bytes) == Some(t as u32)));
        }
    }
}
