//! Which versions a history shows. Works on numbers; bodies are read elsewhere.

use super::index::TenantIndex;
use super::truth::{Look, Reading};
use crate::base::TenantId;
use crate::definitions::TypeId;
use crate::store::{HistoryQuery, HistoryScope, StoreError};

use super::order::Found;

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
        let Some(window) = self.window()? else {
            return Ok(Found { total: self.query.total.then_some(0), ..Found::default() });
        };
        match &self.query.scope {
            HistoryScope::Instance(..) => self.instance(instance, &window),
            HistoryScope::System if window.during.is_none() => Ok(self.dense(&window)),
            HistoryScope::System => Ok(self.of_types(&self.index.kinds(), &window)),
            HistoryScope::Type(kind) => Ok(self.of_types(&[*kind], &window)),
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

    /// Every number is a version of the system.
    fn dense(&self, window: &Window) -> Found {
        let last = self.query.before.map_or(self.position, |b| self.position.min(b.saturating_sub(1)));
        let numbers: Vec<u64> = (window.since + 1..=last).rev().take(self.query.limit).collect();
        let more = last.saturating_sub(window.since) > numbers.len() as u64;
        Found { numbers, total: self.query.total.then(|| self.position.saturating_sub(window.since)), more }
    }

    fn of_types(&self, kinds: &[TypeId], window: &Window) -> Found {
        let needed = self.query.limit.saturating_add(1);
        let mut numbers = Vec::new();
        let mut total = 0;
        for kind in kinds {
            self.index.with(*kind, |index| {
                let mut taken = 0;
                let first = index.bound(window.since);
                for ordinal in (first..index.bound(self.position)).rev() {
                    if !window.shows(index.number(ordinal), index.superseded_by(ordinal, self.position)) {
                        continue;
                    }
                    total += 1;
                    let number = index.number(ordinal);
                    if taken < needed && self.query.before.is_none_or(|b| number < b) {
                        taken += 1;
                        numbers.push(number);
                    }
                    if taken == needed && !self.query.total {
                        break;
                    }
                }
            });
        }
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        let more = numbers.len() > self.query.limit;
        numbers.truncate(self.query.limit);
        Found { numbers, total: self.query.total.then_some(total), more }
    }

    /// Follows the versions of one resource backwards from the newest visible one.
    fn instance(&self, newest: Option<u64>, window: &Window) -> Result<Found, StoreError> {
        let mut found = Found::default();
        let mut total = 0;
        let mut superseded = None;
        let mut next = newest;
        while let Some(number) = next {
            if number <= window.since || (found.more && !self.query.total) {
                break;
            }
            next = self.reading.version(self.tenant, number)?.0.previous;
            if window.shows(number, superseded) {
                total += 1;
                if self.query.before.is_none_or(|b| number < b) {
                    if found.numbers.len() < self.query.limit {
                        found.numbers.push(number);
                    } else {
                        found.more = true;
                    }
                }
            }
            superseded = Some(number);
        }
        found.total = self.query.total.then_some(total);
        Ok(found)
    }
}
