//! What is kept in memory stays in step with what other processes write to the same store: the service listens to the
//! store's notices and reads anew what they concern. What is asked of the store each time (terminology by its position,
//! tokens and clients every second) needs no notice.

use super::gate::POLICIES;
use super::{Service, packages, releases};
use crate::base::Failure;
use crate::definitions::CustomParameters;
use crate::store::{Notice, Notices};
use std::time::Duration;

/// How long after a failure to read something it is tried again.
const AGAIN: Duration = Duration::from_millis(500);

impl Service {
    /// What other processes change, for those who keep something in memory; none where there are no others.
    pub fn notices(&self) -> Option<Notices> {
        self.gate.notices()
    }

    /// Follows what other processes change until the store is closed, and takes part in the work that they share.
    pub async fn follow(&self) {
        self.take_part_in_indexing();
        let Some(mut notices) = self.notices() else { return };
        let mut owed = Owed::default();
        loop {
            let next = match owed {
                Owed { shared: false, parameters: false } => Ok(notices.next().await),
                _ => tokio::time::timeout(AGAIN, notices.next()).await,
            };
            match next {
                Ok(None) => return,
                Ok(Some(notice)) => self.heed(&notice, &mut owed),
                Err(_) => {}
            }
            if let Err(failure) = self.pay(&mut owed).await {
                tracing::warn!(%failure, "what another process changed is not read yet");
            }
        }
    }

    /// Reads anew what has to be.
    async fn pay(&self, owed: &mut Owed) -> Result<(), Failure> {
        // Search parameters are made of packages, too: with those of before, some would be taken away and come back.
        if owed.shared || owed.parameters {
            self.load_packages().await?;
        }
        if owed.shared {
            self.load_releases().await?;
            owed.shared = false;
        }
        if owed.parameters {
            self.follow_search_parameters().await?;
            owed.parameters = false;
        }
        Ok(())
    }

    /// Forgets what a notice concerns, and notes what has to be read anew.
    fn heed(&self, notice: &Notice, owed: &mut Owed) {
        let grants = match notice {
            Notice::Items(_, collection) => {
                owed.shared |= [packages::COLLECTION, releases::HEADERS].contains(&collection.as_str());
                owed.parameters |= collection == CustomParameters::PLACE.0;
                collection == POLICIES
            }
            Notice::Resources(_, kind) => self.gate.is_source(*kind),
            Notice::Everything => {
                *owed = Owed { shared: true, parameters: true };
                true
            }
        };
        if grants {
            self.gate.changed();
        }
    }
}

/// What has to be read anew: packages and imported code systems; search parameters of one's own.
#[derive(Clone, Copy, Default)]
struct Owed {
    shared: bool,
    parameters: bool,
}
