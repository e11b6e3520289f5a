//! How many bytes of request bodies are held at once, over all connections: many large bodies at the same time must
//! not use up the memory of the machine. Knows nothing of one body's own bound (`limits`).

use crate::base::{Failure, FailureKind, IssueCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The bytes held now, and how many may be.
#[derive(Debug)]
pub struct Held {
    now: AtomicUsize,
    most: usize,
}

/// What one request holds of them; given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    held: Arc<Held>,
    bytes: usize,
}

impl Held {
    /// Nothing held yet, of so many bytes at most.
    pub fn new(most: usize) -> Arc<Held> {
        Arc::new(Held { now: AtomicUsize::new(0), most })
    }

    /// The share of a new request: nothing yet.
    pub fn share(self: &Arc<Held>) -> Share {
        Share { held: self.clone(), bytes: 0 }
    }
}

impl Share {
    /// Makes the share larger. A failure for which the client should try again if all bodies together are too much.
    pub fn take(&mut self, bytes: usize) -> Result<(), Failure> {
        let before = self.held.now.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) > self.held.most {
            self.held.now.fetch_sub(bytes, Relaxed);
            let why = "the bodies of other requests need all the memory there is for bodies; try again";
            return Err(Failure::new(FailureKind::Unavailable, IssueCode::Throttled, why));
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.held.now.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_bounded_together_and_given_back() {
        let held = Held::new(10);
        let (mut a, mut b) = (held.share(), held.share());
        assert!(a.take(6).is_ok() && b.take(4).is_ok());
        assert_eq!(b.take(1).expect_err("too much").kind, FailureKind::Unavailable);
        drop(a);
        assert!(b.take(6).is_ok());
        drop(b);
        assert_eq!(held.now.load(Relaxed), 0);
    }
}
