//! The first rows of an order, merged from what each part has in order: sealed parts keep the versions of terms of many
//! in the order of their dates, and few versions are put in order by the ranks of their terms, which are read only of
//! those that come first.

use super::node::Look;
use super::part::{At, Part, Spread};
use super::segment::{Ordered, Run};
use crate::index::Term;
use crate::store::Sort;

/// What is put in order.
#[derive(Clone, Copy)]
pub enum Source<'s> {
    /// The versions of a term.
    Term(&'s Term),
    /// These versions, ascending.
    Rows(&'s [u32]),
}

/// The first rows: key and version.
#[derive(Default)]
pub struct First {
    /// In order of the keys, and all of the last key.
    pub rows: Vec<(Vec<u8>, u32)>,
    /// Whether these are all that have a key.
    pub all: bool,
}

/// So many versions of a part are put in order at most.
const MOST: usize = 2048;

/// The first rows in the order of a sort key, whose terms are `spread`: as many as are needed, and those with the same
/// key as the last one. Only versions that are taken count. `None` where it would not be quick.
pub fn first<'i>(
    index: Look<'i>,
    spread: &Spread<'i>,
    sort: &Sort,
    source: Source<'_>,
    needed: usize,
    mut take: impl FnMut(u32) -> bool,
) -> Option<First> {
    let mut cursors = Vec::new();
    for (place, at) in index.index.parts().enumerate() {
        add_cursors((place, at), spread, sort, source, &mut take, &mut cursors)?;
    }
    cursors.retain_mut(|cursor| cursor.advance(sort, &mut take));
    let mut first = First::default();
    loop {
        let in_play = cursors.iter().enumerate().map(|(i, cursor)| (&cursor.key, i));
        let next = if sort.descending { in_play.max_by_key(|p| p.0) } else { in_play.min_by_key(|p| p.0) };
        let Some((key, at)) = next else { break };
        let is_new = first.rows.last().is_none_or(|(last, _)| last != key);
        if is_new && first.rows.len() >= needed || index.meter.spend(1) {
            return Some(first);
        }
        first.rows.push((key.clone(), cursors[at].ordinal));
        if !cursors[at].advance(sort, &mut take) {
            cursors.swap_remove(at);
        }
    }
    first.all = true;
    Some(first)
}

/// Versions of a part in order.
struct Cursor<'i> {
    base: u32,
    held: Held<'i>,
    key: Vec<u8>,
    ordinal: u32,
}

enum Held<'i> {
    /// Places in an order.
    Ordered(Ordered<'i>, std::ops::Range<usize>),
    /// Ranks and versions, the next one last.
    Ranked(Run<'i>, Vec<(u32, u32)>),
    /// Keys and versions, the next one last.
    Keyed(Vec<(Vec<u8>, u32)>),
}

impl Cursor<'_> {
    /// Goes on to the next version that is taken; whether there is one. Those that are `Ranked` or `Keyed` are.
    fn advance(&mut self, sort: &Sort, take: &mut impl FnMut(u32) -> bool) -> bool {
        let (term, ordinal) = match &mut self.held {
            Held::Ordered(ordered, places) => loop {
                let next = if sort.descending { places.next_back() } else { places.next() };
                let Some(place) = next else { return false };
                let ordinal = ordered.ordinal(place);
                if take(self.base + ordinal) {
                    break (ordered.term(place), ordinal);
                }
            },
            Held::Ranked(run, rows) => {
                let Some((rank, ordinal)) = rows.pop() else { return false };
                (run.term(rank), ordinal)
            }
            Held::Keyed(rows) => {
                let Some((key, ordinal)) = rows.pop() else { return false };
                (self.key, self.ordinal) = (key, self.base + ordinal);
                return true;
            }
        };
        self.key.clear();
        self.key.extend_from_slice(term.as_deref().and_then(|term| term.get(sort.skip..)).unwrap_or_default());
        self.ordinal = self.base + ordinal;
        true
    }
}

/// Ranks that are alike, and ranks and versions among them.
type Piece = (std::ops::Range<u32>, Vec<(u32, u32)>);

/// Adds the cursors of a part.
fn add_cursors<'i>(
    (place, at): (usize, At<'i>),
    spread: &Spread<'i>,
    sort: &Sort,
    source: Source<'_>,
    take: &mut impl FnMut(u32) -> bool,
    cursors: &mut Vec<Cursor<'i>>,
) -> Option<()> {
    let mut add = |held| cursors.push(Cursor { base: at.base, held, key: Vec::new(), ordinal: 0 });
    let run = match spread.runs(place) {
        None => None,
        // Nothing of this part has a key.
        Some([]) => return Some(()),
        Some([run]) => Some(run),
        Some(_) => return None,
    };
    let mut rows = Vec::new();
    match source {
        Source::Rows(all) => {
            let start = all.partition_point(|o| *o < at.base);
            let end = all.partition_point(|o| *o < at.base + at.part.len());
            rows.extend(all[start..end].iter().filter(|o| take(**o)).map(|o| o - at.base));
        }
        Source::Term(term) => {
            let Some(stored) = at.part.find(&term.0) else { return Some(()) };
            if let (Part::Sealed(section), Some(run)) = (at.part, run)
                && let Some(ordered) = section.ordered(&term.0, stored.len(), run)
            {
                for ranks in run.alike(sort.skip)? {
                    let places = ordered.below(ranks.start)..ordered.below(ranks.end);
                    add(Held::Ordered(ordered, places));
                }
                ordered.several().for_each(|ordinal| rows.push(ordinal));
            } else if stored.len() > MOST {
                return None;
            } else {
                stored.for_each(|ordinal| rows.push(ordinal));
            }
            rows.retain(|ordinal| take(at.base + *ordinal));
        }
    }
    let mut keyed = Vec::new();
    if let Some(run) = run {
        let mut pieces: Vec<Piece> = if rows.is_empty() {
            Vec::new()
        } else {
            run.alike(sort.skip)?.into_iter().map(|p| (p, Vec::new())).collect()
        };
        for ordinal in rows {
            let mut ranks = run.ranks_of(ordinal);
            let Some(rank) = ranks.next() else { continue };
            if ranks.next().is_some() {
                keyed.extend(best(spread, sort, at.base + ordinal).map(|key| (key, ordinal)));
            } else if let Some((_, own)) = pieces.iter_mut().find(|(piece, _)| piece.contains(&rank)) {
                own.push((rank, ordinal));
            }
        }
        for (_, mut rows) in pieces {
            rows.sort_unstable();
            if !sort.descending {
                rows.reverse();
            }
            add(Held::Ranked(run.clone(), rows));
        }
    } else {
        keyed.extend(rows.into_iter().filter_map(|o| Some((best(spread, sort, at.base + o)?, o))));
    }
    keyed.sort_unstable();
    if !sort.descending {
        keyed.reverse();
    }
    add(Held::Keyed(keyed));
    Some(())
}

/// The key of a version: the least of its terms, or the greatest.
pub fn best(spread: &Spread<'_>, sort: &Sort, ordinal: u32) -> Option<Vec<u8>> {
    let mut best: Option<Vec<u8>> = None;
    spread.terms_of(ordinal, |term| {
        let own = term.get(sort.skip..).unwrap_or_default();
        if best.as_ref().is_none_or(|best| if sort.descending { own > &**best } else { own < &**best }) {
            best = Some(own.into());
        }
        true
    });
    best
}
