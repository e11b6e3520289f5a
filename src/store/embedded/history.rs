//! Which versions a history shows. Works on numbers; bodies are read elsewhere.

use super::index::TenantIndex;
use super::truth::{Look, Reading};
use crate::base::TenantId;
use crate::definitions::TypeId;
use crate::store::{HistoryQuery, HistoryScope, Place, StoreError};

use super::order::Found;

/// Versions that are followed between two looks at the budget.
const STRIDE: u32 = 256;

/// What a history is asked of.
pub struct History<'h> {
    /// The truth.
    pub reading: &'h Reading<'h>,
    /// Whose.
    pub tenant: TenantId,
    /// The index of the tenant.
    pub index: &'h TenantIndex,
    /// The number of the last version that is seen.
    pub position: u64,
    /// What is asked.
    pub query: &'h HistoryQuery,
}

/// The moments of a query as numbers, which have the same order.
struct Window {
    /// Numbers above this were made at `since` or later.
    since: u64,
    /// For `current_during`: numbers up to the first were made at or before its beginning; numbers up to the second
    /// before its end.
    during: Option<(u64, u64)>,
}

impl Window {
    /// Whether a version counts, given the number of the one that superseded it. A version that was superseded in the
    /// same instant was never current, but commits never share an instant.
    fn shows(&self, number: u64, superseded: Option<u64>) -> bool {
        number > self.since
            && self.during.is_none_or(|(start, end)| number <= end && superseded.is_none_or(|s| s > start))
    }
}

impl History<'_> {
    /// The rows of a page, newest first.
    pub fn page(&self, instance: Option<u64>) -> Result<Found, StoreError> {
        self.query.budget.check()?;
        let Some(window) = self.window()? else {
            return Ok(Found { total: self.query.total.then_some(0), ..Found::default() });
        };
        match &self.query.scope {
            HistoryScope::Instance(..) => self.instance(instance, &window),
            HistoryScope::System if window.during.is_none() => Ok(self.dense(&window)),
            HistoryScope::System => self.of_types(&self.index.kinds(), &window),
            HistoryScope::Type(kind) => self.of_types(&[*kind], &window),
        }
    }

    /// `None` if no version can be in it.
    fn window(&self) -> Result<Option<Window>, StoreError> {
        let before = |moment| self.reading.last_before(self.tenant, self.position, moment);
        let since = self.query.since.map_or(Ok(0), before)?;
        let during = match self.query.current_during {
            None => None,
            Some((from, to)) if from >= to => return Ok(None),
            Some((from, to)) => {
                let next = crate::base::Timestamp(from.0.saturating_add(1));
                Some((before(next)?, before(to)?))
            }
        };
        Ok(Some(Window { since, during }))
    }

    /// The first and the last number that may be on the page or beyond it.
    fn bounds(&self, window: &Window) -> (u64, u64) {
        let first = window.since.saturating_add(1);
        match self.query.place {
            Place::Newest => (first, self.position),
            Place::Below(bound) => (first, self.position.min(bound.saturating_sub(1))),
            Place::Above(bound) => (first.max(bound.saturating_add(1)), self.position),
        }
    }

    /// Whether the page is one that goes back: the oldest of its rows count.
    fn back(&self) -> bool {
        matches!(self.query.place, Place::Above(_))
    }

    /// A page of rows that are on it or beyond it, newest first.
    fn cut(&self, mut numbers: Vec<u64>, total: u64) -> Found {
        let beyond = numbers.len().saturating_sub(self.query.limit);
        match self.back() {
            true => drop(numbers.drain(..beyond)),
            false => numbers.truncate(self.query.limit),
        }
        Found { numbers, total: self.query.total.then_some(total), more: beyond > 0 }
    }

    /// Every number is a version of the system.
    fn dense(&self, window: &Window) -> Found {
        let (first, last) = self.bounds(window);
        let needed = self.query.limit.saturating_add(1);
        let numbers = match self.back() {
            true => (first..=last).take(needed).collect::<Vec<_>>().into_iter().rev().collect(),
            false => (first..=last).rev().take(needed).collect(),
        };
        self.cut(numbers, self.position.saturating_sub(window.since))
    }

    fn of_types(&self, kinds: &[TypeId], window: &Window) -> Result<Found, StoreError> {
        let needed = self.query.limit.saturating_add(1);
        let (first, last) = self.bounds(window);
        let (mut numbers, mut total) = (Vec::new(), 0);
        for kind in kinds {
            self.query.budget.check()?;
            self.index.with(*kind, |index| {
                let shows = |o: &u32| window.shows(index.number(*o), index.superseded_by(*o, self.position));
                let there = (index.bound(first.saturating_sub(1))..index.bound(last)).filter(shows);
                match self.back() {
                    true => numbers.extend(there.take(needed).map(|o| index.number(o))),
                    false => numbers.extend(there.rev().take(needed).map(|o| index.number(o))),
                }
                if self.query.total {
                    total += (index.bound(window.since)..index.bound(self.position)).filter(shows).count() as u64;
                }
            });
        }
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        if self.back() {
            // Of each type there are enough, but only the oldest of all count.
            numbers.drain(..numbers.len().saturating_sub(needed));
        }
        Ok(self.cut(numbers, total))
    }

    /// Follows the versions of one resource backwards from the newest visible one.
    fn instance(&self, newest: Option<u64>, window: &Window) -> Result<Found, StoreError> {
        let (mut numbers, mut total) = (Vec::new(), 0);
        let mut superseded = None;
        let mut next = newest;
        let mut steps = 0_u32;
        while let Some(number) = next {
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(STRIDE) {
                self.query.budget.check()?;
            }
            let inside = self.query.place.holds(number);
            let enough = if self.back() { !inside } else { numbers.len() > self.query.limit };
            if number <= window.since || (enough && !self.query.total) {
                break;
            }
            next = self.reading.version(self.tenant, number)?.0.previous;
            if window.shows(number, superseded) {
                total += 1;
                if inside && !enough {
                    numbers.push(number);
                }
            }
            superseded = Some(number);
        }
        Ok(self.cut(numbers, total))
    }
}
