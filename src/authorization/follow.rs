//! Keys, clients and users that another server process has changed are forgotten at once. What is not told here is read
//! anew every second in any case (`grant`, `client`, `keys`), so that nothing depends on it.

use super::{Authorization, client, keys, people};
use crate::interaction::Notice;

impl Authorization {
    /// Follows what other processes change until the store is closed.
    pub async fn follow(&self) {
        let Some(mut notices) = self.service.notices() else { return };
        while let Some(notice) = notices.next().await {
            let concerned = match &notice {
                Notice::Items(_, collection) => {
                    [keys::COLLECTION, client::COLLECTION, people::USERS].contains(&collection.as_str())
                }
                Notice::Resources(..) => false,
                Notice::Everything => true,
            };
            if concerned {
                self.keys.forget();
                self.forget_what_was_read();
            }
        }
    }
}
