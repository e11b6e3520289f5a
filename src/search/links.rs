//! The links of a page of results (R4 search.html#conformance, bundle.html#Bundle.link) as query strings: what was
//! used of the parameters, and where the page begins. The base and the path are for others to put in front.

use super::query::encode;
use super::{Cursor, Plan};

/// What a page turned out to be.
#[derive(Clone, Copy, Debug)]
pub struct Reached {
    /// Position of the snapshot that was searched.
    pub position: u64,
    /// Number of matches on the page.
    pub rows: usize,
    /// Number of the version in the last row.
    pub last: Option<u64>,
    /// Whether there are more after it.
    pub more: bool,
    /// All matches, if counted (now or for the first page).
    pub total: Option<u64>,
}

/// Query strings of the links; a link that is `None` does not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// `self`: this page, with the parameters that were used.
    pub this: String,
    /// `first`: the search anew.
    pub first: String,
    /// `previous`
    pub previous: Option<String>,
    /// `next`
    pub next: Option<String>,
    /// `last`, where the total is known.
    pub last: Option<String>,
}

impl Plan {
    /// The links of a page.
    pub fn links(&self, reached: &Reached) -> Links {
        let offset = self.cursor.map_or(0, |c| c.offset);
        let count = self.count as u64;
        let at = |offset, after| {
            let cursor = Cursor { position: reached.position, offset, after, total: reached.total, began: self.began };
            self.link(Some(cursor))
        };
        let first = self.link(None);
        let back = |to: u64| at(to, None);
        let last_offset = |total: u64| total.saturating_sub(1).checked_div(count).map(|page| page * count);
        Links {
            this: self.link(self.cursor),
            previous: (offset > 0 && count > 0).then(|| back(offset.saturating_sub(count))),
            next: (reached.more && reached.rows > 0)
                .then(|| at(offset.saturating_add(reached.rows as u64), reached.last.filter(|_| self.sort.is_empty()))),
            last: reached.total.filter(|total| *total > 0).and_then(last_offset).map(back),
            first,
        }
    }

    fn link(&self, cursor: Option<Cursor>) -> String {
        let page = cursor.map(|c| c.encode(&self.fingerprint, &self.seal));
        let pairs = self.applied.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        encode(pairs.chain(page.as_deref().map(|p| ("_page", p))))
    }
}
