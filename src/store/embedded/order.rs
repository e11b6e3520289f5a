//! One page of a search: which rows, in which order, and how many there are in all. Works on ordinals and numbers;
//! bodies are read elsewhere.

use super::dated::Dated;
use super::evaluate::{Moment, Visible};
use super::merged::{self, Source, best};
use super::node::{Goal, Look, Node};
use super::part::{Spread, Stream};
use super::postings::Bits;
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::store::{Query, Sort, StoreError};
use std::cmp::Ordering;

/// A row: its sort keys and its number.
type Row = (Vec<Option<Box<[u8]>>>, u64);

/// Rows of all types, and how many before them were only counted because they lie before the page.
#[derive(Default)]
struct Rows {
    list: Vec<Row>,
    before: usize,
}

/// Numbers of a page.
#[derive(Debug, Default, PartialEq)]
pub struct Found {
    /// The rows, in order.
    pub numbers: Vec<u64>,
    /// All matches, if asked for.
    pub total: Option<u64>,
    /// Whether there are more rows.
    pub more: bool,
}

/// Answers a query at a moment.
pub fn page(moment: &Moment<'_>, query: &Query) -> Result<Found, StoreError> {
    let needed = (query.skip as usize).saturating_add(query.limit).saturating_add(1);
    let mut kinds = query.kinds.clone();
    kinds.sort();
    kinds.dedup();
    let mut total = 0;
    let mut rows = Rows::default();
    // Rows of several types are put in order together: then none is known to lie before the page.
    let skip = if kinds.len() == 1 { query.skip as usize } else { 0 };
    for kind in &kinds {
        moment.tenant.with(*kind, |index| {
            let index = moment.look(index);
            let sorts = query.sort.iter().map(|s| index.index.spread(&s.from, &s.to)).collect();
            let search =
                Search { moment, query, index, visible: Visible::at(index, moment.position), needed, skip, sorts };
            total += search.run(*kind, &mut rows);
        });
    }
    moment.meter.finish()?;
    let Rows { list: mut rows, before } = rows;
    if kinds.len() > 1 {
        rows.sort_by(|a, b| compare(&query.sort, a, b));
    }
    let start = (query.skip as usize).saturating_sub(before).min(rows.len());
    let end = start.saturating_add(query.limit).min(rows.len());
    Ok(Found {
        numbers: rows[start..end].iter().map(|r| r.1).collect(),
        total: query.total.then_some(total as u64),
        more: rows.len() > end,
    })
}

fn compare(sorts: &[Sort], a: &Row, b: &Row) -> Ordering {
    for (sort, (a, b)) in sorts.iter().zip(a.0.iter().zip(&b.0)) {
        let order = match (a, b) {
            (Some(a), Some(b)) if sort.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    a.1.cmp(&b.1)
}

/// A search over one type.
struct Search<'s, 'i> {
    moment: &'s Moment<'s>,
    query: &'s Query,
    index: Look<'i>,
    visible: Visible<'i>,
    /// Rows that can matter for the page, one more than it has.
    needed: usize,
    /// Rows that lie before the page, where that is known of the rows of one type alone.
    skip: usize,
    /// The terms of each sort key.
    sorts: Vec<Spread<'i>>,
}

/// Up to this many matches are sorted by looking at each.
const FEW: usize = 512;

impl<'i> Search<'_, 'i> {
    /// Adds the rows of this type, in order, and gives the number of all matches if that is asked for.
    fn run(&self, kind: TypeId, rows: &mut Rows) -> usize
    where
        Self: 'i,
    {
        let everything = self.query.total || !self.query.sort.is_empty();
        let first = self.query.after.map_or(0, |after| self.index.bound(after));
        if everything && let Some(mut dated) = Dated::of(self.index, &self.query.condition) {
            let count = dated.count(self.index, &self.visible);
            if count == 0 {
                return 0;
            }
            if self.query.sort.is_empty() {
                let mut node = dated.into_node(self.index).leading(self.index, Goal::Page);
                return self.by_number(&mut node, first, Some(count), &mut rows.list);
            }
            let term = Source::Term(dated.term());
            if self.merged(term, first, count, |o| dated.holds(self.index, o), rows) {
                return count;
            }
        }
        let goal = if everything { Goal::All } else { Goal::Page };
        let node = self.moment.compile(kind, self.index, &self.query.condition, goal);
        let mut node = node.leading(self.index, goal);
        if self.query.sort.is_empty() {
            if self.query.total
                && let Some(few) = self.visible.few(&mut node)
            {
                let count = few.len();
                return self.by_number(&mut Node::List(few, 0), first, Some(count), &mut rows.list);
            }
            let known = if self.query.total { self.visible.count(&mut node) } else { Some(0) };
            self.by_number(&mut node, first, known, &mut rows.list)
        } else {
            self.sorted(&mut node, first, rows)
        }
    }

    /// The rows in order of their numbers; the number of all, which is `known` or counted.
    fn by_number(&self, node: &mut Node<'_>, first: u32, known: Option<usize>, rows: &mut Vec<Row>) -> usize {
        let mut count = 0;
        let mut taken = 0;
        // Without a known count all matches are walked, otherwise only those of the page.
        let mut from = if known.is_some() { first } else { 0 };
        while let Some(ordinal) = self.visible.seek(node, from) {
            count += 1;
            if ordinal >= first && taken < self.needed {
                taken += 1;
                rows.push((Vec::new(), self.index.number(ordinal)));
            }
            if known.is_some() && taken == self.needed {
                break;
            }
            from = ordinal + 1;
        }
        known.unwrap_or(count)
    }

    fn sorted(&self, node: &mut Node<'_>, first: u32, rows: &mut Rows) -> usize {
        if let (Node::Term(hits), Condition::Term(term)) = (&*node, &self.query.condition)
            && hits.len() > FEW
            && let Some(count) = self.visible.count(node)
            && self.merged(Source::Term(term), first, count, |_| true, rows)
        {
            return count;
        }
        let few = match node {
            Node::Term(hits) if hits.len() <= FEW => self.visible.collect(node),
            Node::List(list, _) if list.len() <= FEW => self.visible.collect(node),
            _ => self.visible.few(node).filter(|few| few.len() <= FEW).unwrap_or_default(),
        };
        if !few.is_empty() && self.merged(Source::Rows(&few), first, few.len(), |_| true, rows) {
            return few.len();
        }
        let mut matches = self.visible.bits(node);
        let count = matches.len();
        matches.remove_below(first);
        let groups = if count > FEW { self.groups() } else { None };
        let mut found = match groups {
            Some(groups) => self.walk(matches, groups, &mut rows.before),
            None => matches.iter().take_while(|_| !self.index.meter.spend(1)).map(|o| self.row(o)).collect(),
        };
        let order = |a: &Row, b: &Row| compare(&self.query.sort, a, b);
        let needed = self.needed - rows.before;
        if found.len() > needed {
            found.select_nth_unstable_by(needed - 1, order);
            found.truncate(needed);
        }
        found.sort_unstable_by(order);
        rows.list.append(&mut found);
        count
    }

    /// Adds the first of so many rows in order, if that is quick; whether it was.
    fn merged(
        &self,
        source: Source<'_>,
        first: u32,
        count: usize,
        mut holds: impl FnMut(u32) -> bool,
        rows: &mut Rows,
    ) -> bool {
        const DEEP: usize = 512;
        let (Some(sort), Some(spread)) = (self.query.sort.first(), self.sorts.first()) else { return false };
        if first > 0 || self.needed > DEEP {
            return false;
        }
        let take = |ordinal| self.visible.sees(ordinal) && holds(ordinal);
        let found = merged::first(self.index, spread, sort, source, self.needed, take);
        // Those without a key come last, and are not found so.
        let Some(found) = found.filter(|f| !f.all || f.rows.len() >= self.needed.min(count)) else { return false };
        let row = |(key, ordinal): (Vec<u8>, u32)| match self.query.sort.len() {
            1 => (vec![Some(key.into())], self.index.number(ordinal)),
            _ => self.row(ordinal),
        };
        let mut list: Vec<Row> = found.rows.into_iter().map(row).collect();
        list.sort_unstable_by(|a, b| compare(&self.query.sort, a, b));
        list.truncate(self.needed);
        rows.list.append(&mut list);
        true
    }

    fn row(&self, ordinal: u32) -> Row {
        let keys = self
            .query
            .sort
            .iter()
            .zip(&self.sorts)
            .map(|(sort, spread)| best(spread, sort, ordinal).map(Vec::into_boxed_slice));
        (keys.collect(), self.index.number(ordinal))
    }

    /// The terms of the first sort key in groups that begin with the same skipped bytes: within a group the order of
    /// the terms is the order of the keys. `None` if there are too many groups.
    fn groups(&self) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        const MOST: usize = 16;
        let sort = self.query.sort.first()?;
        let mut groups = Vec::new();
        let mut from = sort.from.to_vec();
        while let Some(term) = self.first_term(&from, &sort.to) {
            let end = match term.get(..sort.skip) {
                Some(same) => after(same).filter(|end| **end < *sort.to).unwrap_or_else(|| sort.to.to_vec()),
                None => [&term, &[0][..]].concat(),
            };
            if groups.len() == MOST {
                return None;
            }
            groups.push((term, end.clone()));
            from = end;
        }
        Some(groups)
    }

    /// The first term of a range.
    fn first_term(&self, from: &[u8], to: &[u8]) -> Option<Vec<u8>> {
        let first = |mut stream: Stream<'_>| stream.advance().then(|| stream.term().to_vec());
        self.index.parts().filter_map(|at| first(at.part.stream(from, to, false))).min()
    }

    /// The first rows of many matches: walks the keys in order, merging the groups of all parts, and takes the
    /// versions that are among the matches, until there are enough. All versions of the last key are taken, so that
    /// what else decides can decide. Versions whose key lies before the page as a whole are only counted, in `before`.
    fn walk(&self, mut left: Bits, groups: Vec<(Vec<u8>, Vec<u8>)>, before: &mut usize) -> Vec<Row> {
        let Some(sort) = self.query.sort.first() else { return Vec::new() };
        let of_group = |(from, to): &(Vec<u8>, Vec<u8>)| {
            self.index.parts().map(|at| (at.base, at.part.stream(from, to, sort.descending))).collect::<Vec<_>>()
        };
        let mut streams: Vec<_> = groups.iter().flat_map(of_group).collect();
        streams.retain_mut(|(_, stream)| stream.advance());
        let mut found = Vec::new();
        let mut last: Option<Vec<u8>> = None;
        loop {
            let in_play = streams.iter().enumerate().map(|(i, (_, stream))| (key(stream.term(), sort), i));
            let next = if sort.descending { in_play.max_by_key(|p| p.0) } else { in_play.min_by_key(|p| p.0) };
            let Some((key, at)) = next else { break };
            if last.as_deref() != Some(key) {
                self.pass(&mut found, before);
                if *before + found.len() >= self.needed {
                    break;
                }
                last = Some(key.to_vec());
            }
            let (base, stream) = &mut streams[at];
            if let Some(stored) = stream.stored() {
                stored.for_each(|ordinal| {
                    if left.take(*base + ordinal) {
                        found.push(*base + ordinal);
                    }
                });
                if self.index.meter.spend(1 + stored.len() as u32) {
                    break;
                }
            }
            if !stream.advance() {
                streams.remove(at);
            }
        }
        self.pass(&mut found, before);
        if *before + found.len() < self.needed {
            // Those without the key come last, in order of their number unless a later key decides.
            let several = self.query.sort.len() > 1;
            let passed = if several || !found.is_empty() { 0 } else { (self.skip - *before).min(left.len()) };
            *before += passed;
            let missing = if several { usize::MAX } else { self.needed - *before - found.len() };
            found.extend(left.iter().skip(passed).take(missing));
        }
        found.into_iter().map(|o| self.row(o)).collect()
    }

    /// Counts what was found, instead of keeping it, if all of it lies before the page.
    fn pass(&self, found: &mut Vec<u32>, before: &mut usize) {
        if *before + found.len() <= self.skip {
            *before += found.len();
            found.clear();
        }
    }
}

/// The part of a term that a sort compares.
fn key<'t>(term: &'t [u8], sort: &Sort) -> &'t [u8] {
    term.get(sort.skip..).unwrap_or_default()
}

/// The least bytes that are greater than all that begin with these; none if there are no such.
fn after(same: &[u8]) -> Option<Vec<u8>> {
    let last = same.iter().rposition(|b| *b != 0xFF)?;
    let mut end = same[..=last].to_vec();
    end[last] += 1;
    Some(end)
}
