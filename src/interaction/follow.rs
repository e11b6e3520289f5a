//! What is kept in memory stays in step with what other processes write to the same store: the service listens to the
//! store's notices and reads anew what they concern. What is asked of the store each time (terminology by its position,
//! tokens and clients every second) needs no notice.

use super::gate::POLICIES;
use super::{Service, packages, releases};
use crate::base::Failure;
use crate::definitions::CustomParameters;
use crate::store::{Notice, Notices};
use std::time::Duration;

/// Collections of items that are kept in memory.
const SHARED: [&str; 3] = [packages::COLLECTION, releases::HEADERS, CustomParameters::PLACE.0];
/// How long after a failure to read something it is tried again.
const AGAIN: Duration = Duration::from_millis(500);

impl Service {
    /// What other processes change, for those who keep something in memory; none where there are no others.
    pub fn notices(&self) -> Option<Notices> {
        self.gate.notices()
    }

    /// Follows what other processes change until the store is closed.
    pub async fn follow(&self) {
        let Some(mut notices) = self.notices() else { return };
        let mut owed = false;
        loop {
            let next = if owed { tokio::time::timeout(AGAIN, notices.next()).await } else { Ok(notices.next().await) };
            match next {
                Ok(None) => return,
                Ok(Some(notice)) => owed |= self.heed(&notice),
                Err(_) => {}
            }
            if owed {
                match self.load_shared().await {
                    Ok(()) => owed = false,
                    Err(failure) => tracing::warn!(%failure, "what another process changed is not read yet"),
                }
            }
        }
    }

    /// Reads packages, imported code systems and search parameters anew.
    async fn load_shared(&self) -> Result<(), Failure> {
        self.load_packages().await?;
        self.load_releases().await?;
        self.load_search_parameters().await
    }

    /// Forgets what a notice concerns; whether packages or code systems have to be read anew.
    fn heed(&self, notice: &Notice) -> bool {
        let (grants, shared) = match notice {
            Notice::Items(_, collection) => (collection == POLICIES, SHARED.contains(&collection.as_str())),
            Notice::Resources(_, kind) => (self.gate.is_source(*kind), false),
            Notice::Everything => (true, true),
        };
        if grants {
            self.gate.changed();
        }
        shared
    }
}
