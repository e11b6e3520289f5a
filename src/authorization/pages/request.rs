//! What the pages need of the protocol: the request of an app that is to be answered, and the apps that a user has
//! let in.

use super::super::Authorization;
use super::super::consent::{Answer, Person, Question};
use super::super::exchange::Asked;
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

/// Who has signed in, as the protocol speaks of them.
fn person(session: &Session) -> Person {
    let user = session.user();
    Person {
        subject: user.id.clone(),
        name: user.shown().to_owned(),
        role: user.role.code().to_owned(),
        user: user.resource.clone(),
        session: Some(session.id().to_owned()),
        authenticated: session.began(),
    }
}

impl Authorization {
    /// What is asked; `NotFound` if there is no such request, or none any more.
    pub(super) async fn question(&self, request: &str) -> Result<Question, Failure> {
        self.question_of(request).await
    }

    /// Grants what was answered; the address where the browser goes on.
    pub(super) async fn approve(
        &self,
        asked: &Asked,
        request: &str,
        session: &Session,
        answer: Answer,
    ) -> Result<String, Failure> {
        self.approve_asked(request, &person(session), answer, Some(asked)).await
    }

    /// Grants nothing; the address where the browser goes on.
    pub(super) async fn deny(&self, asked: &Asked, request: &str) -> Result<String, Failure> {
        self.deny_asked(request, Some(asked)).await
    }

    /// The apps that a user has let in, each once with all that it was granted.
    pub(super) async fn apps_of(&self, user: &str) -> Result<Vec<App>, Failure> {
        let mut apps: Vec<App> = Vec::new();
        for (_, grant) in self.grants_of(user).await? {
            let Some(id) = grant.client else { continue };
            let scopes = grant.scopes;
            match apps.iter_mut().find(|app| app.client == id) {
                Some(app) => {
                    app.since = app.since.min(grant.made);
                    app.scopes.extend(scopes);
                    app.scopes.sort();
                    app.scopes.dedup();
                }
                None => {
                    let name = self.client(&id).await?.map_or_else(|| id.clone(), |client| client.name.clone());
                    apps.push(App { client: id, name, scopes, since: grant.made });
                }
            }
        }
        Ok(apps)
    }

    /// Takes back everything that an app was granted by a user.
    pub(super) async fn revoke_app(&self, asked: &Asked, user: &str, client: &str) -> Result<(), Failure> {
        self.revoke_app_in(&self.telling(asked), user, client).await?;
        asked.noted.done();
        Ok(())
    }
}
