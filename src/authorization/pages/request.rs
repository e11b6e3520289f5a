//! What the pages need of the protocol: the request of an app that is to be answered, and the apps that a user has
//! let in.

use super::super::Authorization;
use super::super::consent::{Answer, Question};
use super::super::people::Session;
use crate::base::{Failure, Timestamp};

/// An app that may work in a user's name.
pub(crate) struct App {
    /// Its client_id.
    pub(crate) client: String,
    /// Its name.
    pub(crate) name: String,
    /// What it was granted.
    pub(crate) scopes: Vec<String>,
    /// Since when.
    pub(crate) since: Timestamp,
}

impl Authorization {
    /// What is asked; `NotFound` if there is no such request, or none any more.
    pub(super) async fn question(&self, _request: &str) -> Result<Question, Failure> {
        Err(Failure::not_found("no app has asked for this"))
    }

    /// Grants what was answered; the address where the browser goes on.
    pub(super) async fn approve(&self, request: &str, _: &Session, _: Answer) -> Result<String, Failure> {
        self.question(request).await.map(|_| String::new())
    }

    /// Grants nothing; the address where the browser goes on.
    pub(super) async fn deny(&self, request: &str, _: &Session) -> Result<String, Failure> {
        self.question(request).await.map(|_| String::new())
    }

    /// The apps that a user has let in.
    pub(super) async fn apps_of(&self, _user: &str) -> Result<Vec<App>, Failure> {
        Ok(Vec::new())
    }

    /// Takes back everything that an app was granted by a user.
    pub(super) async fn revoke_app(&self, _user: &str, _client: &str) -> Result<(), Failure> {
        Ok(())
    }
}
