//! A term together with a time, counted exactly without a look at each version: sealed parts know the versions of a term
//! of many in the order of their dates (`segment::ordered`). Parts that do not know it are tried version by version,
//! and so is what is superseded in those that do.

use super::evaluate::Visible;
use super::node::{Goal, Look, Node};
use super::part::{At, Part};
use super::postings::Bits;
use super::segment::Ordered;
use crate::index::{Condition, Range, Term, is_time};

/// Versions that are tried together.
const TOGETHER: usize = 4096;

/// One term, and one time under a parameter.
pub struct Dated<'i> {
    term: &'i Term,
    /// Ranges, of which one must hold.
    dates: Node<'i>,
}

impl<'i> Dated<'i> {
    /// What a condition asks for, if it is that.
    pub fn of(index: Look<'i>, condition: &'i Condition) -> Option<Dated<'i>> {
        let Condition::And(all) = condition else { return None };
        let [a, b] = &**all else { return None };
        let (term, dates) = match (a, b) {
            (Condition::Term(term), dates) | (dates, Condition::Term(term)) => (term, dates),
            _ => return None,
        };
        let mut ranges = Vec::new();
        collect(dates, &mut ranges)?;
        let head = ranges.first()?.from.first_chunk::<3>().filter(|head| is_time(*head))?;
        let within = |range: &&Range| range.from.starts_with(head) && range.to.starts_with(head);
        if !ranges.iter().all(within) {
            return None;
        }
        let nodes = ranges.into_iter().map(|range| Node::open_range(index, range));
        let dates = nodes.filter(|node| !matches!(node, Node::Nothing)).collect();
        Some(Dated { term, dates: Node::Or(dates) })
    }

    /// The term.
    pub fn term(&self) -> &'i Term {
        self.term
    }

    /// Whether a version has such a date.
    pub fn holds(&mut self, index: Look<'_>, ordinal: u32) -> bool {
        self.dates.contains(index, ordinal)
    }

    /// The same to be walked, for a page.
    pub fn into_node(self, index: Look<'i>) -> Node<'i> {
        let dates = match self.dates {
            Node::Or(dates) => Node::or(dates),
            other => other,
        };
        Node::and(index, vec![Node::of_term(index, &self.term.0), dates], Goal::Page)
    }

    /// How many visible versions fulfil it.
    pub fn count(&mut self, index: Look<'i>, visible: &Visible<'i>) -> usize {
        let all = visible.all();
        let mut count = 0;
        for (place, at) in index.index.parts().enumerate() {
            let Some(stored) = at.part.find(&self.term.0) else { continue };
            let known = self.ordered(place, at, stored.len());
            let some_hidden = at.dead > 0 || !visible.is_now();
            let hidden = match &known {
                Some(_) if some_hidden => hidden(&all, at, stored.len()),
                _ => Some(Vec::new()),
            };
            let (Some((ordered, ranges)), Some(hidden)) = (known, hidden) else {
                let mut some = Vec::with_capacity(stored.len().min(TOGETHER));
                stored.for_each(|ordinal| {
                    if all.contains(at.base + ordinal) {
                        some.push(at.base + ordinal);
                    }
                    if some.len() == TOGETHER {
                        count += self.sifted(index, &mut some);
                    }
                });
                count += self.sifted(index, &mut some);
                continue;
            };
            let mut list = stored.open();
            let mut gone: Vec<_> = hidden.into_iter().filter(|o| list.contains(o - at.base)).collect();
            let gone = self.sifted(index, &mut gone);
            count += ordered.map_or(0, |ordered| ordered.count(&ranges)).saturating_sub(gone);
        }
        count
    }

    /// How many of some versions have such a date. Takes them.
    fn sifted(&mut self, index: Look<'_>, some: &mut Vec<u32>) -> usize {
        let over = index.meter.spend(some.len() as u32);
        if !over {
            self.dates.sift(index, some);
        }
        let count = if over { 0 } else { some.len() };
        some.clear();
        count
    }

    /// The versions of the term of a part in the order of their dates, and the ranks asked for, in order and apart.
    /// Without any date in question the first is none.
    #[allow(clippy::type_complexity)]
    fn ordered(
        &self,
        place: usize,
        at: At<'i>,
        versions: usize,
    ) -> Option<(Option<Ordered<'i>>, Vec<std::ops::Range<u32>>)> {
        let (Part::Sealed(section), Node::Or(dates)) = (at.part, &self.dates) else { return None };
        let mut ranks: Vec<std::ops::Range<u32>> = Vec::new();
        let mut first = None;
        for node in dates {
            let Node::Range(range, spread, _) = node else { return None };
            for run in spread.runs(place)? {
                if !first.get_or_insert(run).is_beside(run) {
                    return None;
                }
                match &range.test {
                    None => ranks.push(run.ranks()),
                    Some(test) => ranks.extend(run.passing(|term| test.accepts(term))?),
                }
            }
        }
        let Some(run) = first else { return Some((None, ranks)) };
        let ordered = section.ordered(&self.term.0, versions, run)?;
        ranks.sort_unstable_by_key(|range| range.start);
        ranks.dedup_by(|next, range| {
            let touches = next.start <= range.end;
            if touches {
                range.end = range.end.max(next.end);
            }
            touches
        });
        Some((Some(ordered), ranks))
    }
}

/// The ranges of a condition that wants one of them.
fn collect<'c>(condition: &'c Condition, ranges: &mut Vec<&'c Range>) -> Option<()> {
    match condition {
        Condition::Range(range) => ranges.push(range),
        Condition::Or(any) => any.iter().try_for_each(|one| collect(one, ranges))?,
        _ => return None,
    }
    Some(())
}

/// The versions of a part that are not among those seen; `None` if they are more than `most`.
fn hidden(seen: &Bits, at: At<'_>, most: usize) -> Option<Vec<u32>> {
    let end = at.base + at.part.len();
    let mut hidden = Vec::new();
    for from in (at.base..end).step_by(64) {
        let mut word = !seen.window(from);
        if end - from < 64 {
            word &= (1 << (end - from)) - 1;
        }
        while word != 0 {
            hidden.push(from + word.trailing_zeros());
            word &= word - 1;
        }
        if hidden.len() > most {
            return None;
        }
    }
    Some(hidden)
}
