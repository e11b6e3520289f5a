//! Whether the database answers: it is asked again and again, and what waits for it is given up when it does not.

use super::Shared;
use super::database::{self, PULSE};
use crate::store::StoreError;
use std::future::Future;
use std::sync::Weak;
use std::time::Duration;

/// The pause before it is asked again of a primary that did not answer.
const AGAIN: Duration = Duration::from_millis(100);

impl Shared {
    /// Whether a primary answered when it was last asked.
    pub fn answers(&self) -> bool {
        *self.answering.borrow()
    }

    /// Waits until no primary answers.
    ///
    /// What was begun lately is given up as soon as there is doubt: who sends something to a database that is silent is
    /// told within a second. What has gone on for longer is not, for a database that is busy may answer late.
    pub async fn until_away(&self) {
        // A request may ask several things: what it asks when there is doubt already does not wait as long again.
        let least = if *self.doubtful.borrow() { PULSE } else { self.answer };
        let lately = async {
            self.after(least).await;
            tokio::select! {
                () = self.until_doubtful() => {}
                () = self.after(self.answer) => std::future::pending().await,
            }
        };
        let mut answering = self.answering.subscribe();
        tokio::select! {
            // The sender lives as long as this.
            _ = answering.wait_for(|answers| !answers) => {}
            () = lately => {}
        }
    }

    /// Waits until a primary has been asked for a while in vain.
    pub async fn until_doubtful(&self) {
        let _ = self.doubtful.subscribe().wait_for(|doubtful| *doubtful).await;
    }

    /// Does something that may be broken off, for as long as a primary answers.
    pub async fn while_it_answers<T>(&self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.until_away() => Err(database::away()),
        }
    }
}

/// Asks again and again whether a primary answers, until the store is closed.
pub async fn watch(shared: Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let doubt = || {
            shared.doubtful.send_replace(true);
        };
        let answers = database::answers(&shared, doubt).await;
        let changed = shared.answering.send_if_modified(|before| std::mem::replace(before, answers) != answers);
        shared.doubtful.send_if_modified(|before| std::mem::replace(before, false));
        match answers {
            true if changed => tracing::info!("the database answers again"),
            false if changed => tracing::warn!("the database does not answer"),
            _ => {}
        }
        drop(shared);
        tokio::time::sleep(if answers { PULSE } else { AGAIN }).await;
    }
}
