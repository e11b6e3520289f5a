//! Notices: what sort of thing that several server processes share was changed, by this process or another. Whoever
//! keeps something of the store in memory listens and reads it anew. A notice says that there was a change, not which;
//! several changes may come as one, and a notice may come again. How an engine learns of changes is its own affair.

use crate::base::TenantId;
use crate::definitions::TypeId;
use tokio::sync::broadcast;

/// Notices that may wait for a slow listener; one that is slower than that is told that everything may have changed.
const WAITING: usize = 1024;

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Items of a collection.
    Items(TenantId, String),
    /// Resources of a type.
    Resources(TenantId, TypeId),
    /// It is not known what: everything may have.
    Everything,
}

/// Where notices arrive.
pub struct Notices(broadcast::Receiver<Notice>);

impl Notices {
    /// The next one; `None` when the store is closed.
    pub async fn next(&mut self) -> Option<Notice> {
        match self.0.recv().await {
            Ok(notice) => Some(notice),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(Notice::Everything),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Where an engine says them.
#[derive(Clone)]
pub struct Crier(broadcast::Sender<Notice>);

impl Default for Crier {
    fn default() -> Crier {
        Crier(broadcast::Sender::new(WAITING))
    }
}

impl Crier {
    /// Tells all who listen.
    pub fn tell(&self, notice: Notice) {
        // Nobody has to listen.
        let _ = self.0.send(notice);
    }

    /// A place to listen.
    pub fn listen(&self) -> Notices {
        Notices(self.0.subscribe())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_too_slow_is_told_that_everything_may_have_changed() {
        let crier = Crier::default();
        let mut notices = crier.listen();
        let one = Notice::Items(TenantId(1), "policy".into());
        crier.tell(one.clone());
        assert_eq!(notices.next().await, Some(one.clone()));
        for _ in 0..=WAITING {
            crier.tell(one.clone());
        }
        assert_eq!(notices.next().await, Some(Notice::Everything));
        drop(crier);
        while notices.next().await.is_some() {}
    }
}
