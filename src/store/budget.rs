//! What a query may cost: a moment by which it must be done, a number of rows that it may look at, and whether the
//! one who asked is still there. Engines ask it while they work; they decide nothing else about limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Which limit of a [`Budget`] was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The time.
    Time,
    /// The rows.
    Rows,
    /// Whoever asked has gone away.
    Cancelled,
}

/// What a query, and all that is asked in its course, may cost. Clones share what was spent. The default is without
/// limits.
#[derive(Clone, Debug, Default)]
pub struct Budget(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    deadline: Option<Instant>,
    rows: Option<u64>,
    spent: AtomicU64,
    cancelled: AtomicBool,
}

/// Cancels a budget when it is dropped: held by whoever waits for the answer.
#[derive(Debug)]
pub struct Waiting(Budget);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Budget {
    /// A budget of so much time from now and so many rows looked at; `None`: without that limit.
    pub fn new(time: Option<Duration>, rows: Option<u64>) -> Budget {
        let deadline = time.and_then(|time| Instant::now().checked_add(time));
        Budget(Arc::new(Inner { deadline, rows, spent: AtomicU64::new(0), cancelled: AtomicBool::new(false) }))
    }

    /// Whether the work may go on. Cheap enough for every few hundred rows, too dear for every single one.
    pub fn check(&self) -> Result<(), Limit> {
        let Inner { deadline, rows, spent, cancelled } = &*self.0;
        if cancelled.load(Ordering::Relaxed) {
            return Err(Limit::Cancelled);
        }
        if rows.is_some_and(|rows| spent.load(Ordering::Relaxed) > rows) {
            return Err(Limit::Rows);
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(Limit::Time);
        }
        Ok(())
    }

    /// Takes note that so many rows were looked at, and says whether the work may go on.
    pub fn spend(&self, rows: u64) -> Result<(), Limit> {
        self.0.spent.fetch_add(rows, Ordering::Relaxed);
        self.check()
    }

    /// How much time is left, a millisecond at least; `None` where the time has no limit. For whoever has to tell
    /// somebody else how long something may take.
    pub fn left(&self) -> Option<Duration> {
        let left = self.0.deadline?.saturating_duration_since(Instant::now());
        Some(left.max(Duration::from_millis(1)))
    }

    /// Rows looked at so far.
    pub fn spent(&self) -> u64 {
        self.0.spent.load(Ordering::Relaxed)
    }

    /// Ends the work: nobody waits for its result.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
    }

    /// Something that cancels the budget when it is dropped.
    pub fn waiting(&self) -> Waiting {
        Waiting(self.clone())
    }
}

/// Budgets do not make queries differ.
impl PartialEq for Budget {
    fn eq(&self, _: &Budget) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_told() {
        assert_eq!(Budget::default().spend(u64::MAX / 2), Ok(()));
        let rows = Budget::new(None, Some(10));
        assert_eq!((rows.spend(10), rows.clone().spend(1), rows.check()), (Ok(()), Err(Limit::Rows), Err(Limit::Rows)));
        assert_eq!(rows.spent(), 11);
        assert_eq!(Budget::new(Some(Duration::ZERO), None).check(), Err(Limit::Time));
        let waited = Budget::new(Some(Duration::from_secs(3600)), None);
        assert!(
            waited.left().is_some_and(|left| left <= Duration::from_secs(3600) && left > Duration::from_secs(3000))
        );
        assert_eq!(
            Budget::new(Some(Duration::ZERO), None).left(),
            Some(Duration::from_millis(1)),
            "never without limit"
        );
        assert_eq!(Budget::default().left(), None);
        let waiting = waited.waiting();
        assert_eq!(waited.check(), Ok(()));
        drop(waiting);
        assert_eq!(waited.check(), Err(Limit::Cancelled));
    }
}
