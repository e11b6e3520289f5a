//! One document of the issuer, kept as long as its server says, fetched by one request at a time, and not again before
//! a pause is over: neither a flood of tokens with made-up keys nor an issuer that is down leads to a flood of
//! requests.

use crate::authorization::fetch::Fetched;
use parking_lot::RwLock;
use serde_json::Value;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the document is kept.
pub(super) struct Shelf {
    kept: RwLock<Option<Kept>>,
    fetching: tokio::sync::Mutex<()>,
    pause: Duration,
}

struct Kept {
    /// When it was last tried, whatever came of it.
    tried: Instant,
    /// When it was last had.
    at: Instant,
    fetched: Option<Arc<Fetched>>,
}

impl Kept {
    fn fresh(&self) -> Option<Arc<Fetched>> {
        self.fetched.clone().filter(|fetched| self.at.elapsed() < fetched.fresh)
    }
}

impl Shelf {
    pub(super) fn new(pause: Duration) -> Shelf {
        Shelf { kept: RwLock::default(), fetching: tokio::sync::Mutex::default(), pause }
    }

    /// The document, if it is there and may still be used.
    pub(super) fn fresh(&self) -> Option<Arc<Fetched>> {
        self.kept.read().as_ref().and_then(Kept::fresh)
    }

    /// The document, fetched if it is too old or does not hold what is looked for. `None` if it cannot be had.
    pub(super) async fn get<F: Future<Output = Option<Fetched>>>(
        &self,
        holds: impl Fn(&Value) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> Option<Arc<Fetched>> {
        if let Some(known) = self.known(&holds) {
            return known;
        }
        let _alone = self.fetching.lock().await;
        // Somebody else may have been there meanwhile.
        if let Some(known) = self.known(&holds) {
            return known;
        }
        // What its server does not want kept is kept over the pause all the same: otherwise there would be nothing to
        // judge by until the issuer may be asked again.
        let fetched =
            fetch().await.map(|fetched| Fetched { fresh: fetched.fresh.max(self.pause), ..fetched }).map(Arc::new);
        let now = Instant::now();
        let mut kept = self.kept.write();
        match (&mut *kept, fetched) {
            (Some(before), None) => before.tried = now,
            (place, fetched) => *place = Some(Kept { tried: now, at: now, fetched }),
        }
        kept.as_ref().and_then(Kept::fresh)
    }

    /// What can be said without asking the issuer; `None` if it has to be asked.
    fn known(&self, holds: impl Fn(&Value) -> bool) -> Option<Option<Arc<Fetched>>> {
        let kept = self.kept.read();
        let kept = kept.as_ref()?;
        match kept.fresh() {
            Some(fetched) if holds(&fetched.value) => Some(Some(fetched)),
            other if kept.tried.elapsed() < self.pause => Some(other),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn what_is_not_to_be_kept_holds_until_the_pause_is_over() {
        let shelf = Shelf::new(Duration::from_secs(3_600));
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let there = || async { Some(Fetched { value: json!(1), fresh: Duration::ZERO }) };
        for _ in 0..3 {
            assert!(runtime.block_on(shelf.get(|_| true, there)).is_some());
        }
        assert!(shelf.fresh().is_some());
    }

    #[test]
    fn it_is_fetched_once_and_kept_while_it_is_fresh() {
        let count = AtomicU32::new(0);
        let fetch = |value: Option<Value>| {
            count.fetch_add(1, Ordering::SeqCst);
            async move { value.map(|value| Fetched { value, fresh: Duration::from_secs(3_600) }) }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let get = |shelf: &Shelf, looked_for: i32, there: Option<Value>| {
            let found = runtime.block_on(shelf.get(|value| *value == json!(looked_for), || fetch(there)));
            found.map(|fetched| fetched.value.clone())
        };
        let shelf = Shelf::new(Duration::from_secs(3_600));
        assert_eq!(get(&shelf, 1, Some(json!(1))), Some(json!(1)));
        assert_eq!(get(&shelf, 1, Some(json!(9))), Some(json!(1)));
        // What is not there is not looked for again before the pause is over.
        assert_eq!(get(&shelf, 2, Some(json!(9))), Some(json!(1)));
        assert_eq!(count.load(Ordering::SeqCst), 1);

        let shelf = Shelf::new(Duration::ZERO);
        assert_eq!(get(&shelf, 1, None), None);
        assert_eq!(get(&shelf, 1, Some(json!(1))), Some(json!(1)));
        assert_eq!(get(&shelf, 2, Some(json!(2))), Some(json!(2)));
        // A server that is down takes nothing away that is still fresh.
        assert_eq!(get(&shelf, 3, None), Some(json!(2)));
    }
}
