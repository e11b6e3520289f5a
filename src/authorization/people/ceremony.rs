//! Passkeys of users: adding and removing them, signing in by them. A challenge belongs to the browser that it was
//! given to, and is good once.

use super::book::{self, CHALLENGES, USERS};
use super::passkey::{self, Assertion, Expected};
use super::session::Session;
use super::sign_in::SignedIn;
use super::user::User;
use super::{People, Refusal, secret};
use crate::base::{Failure, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::net::IpAddr;

/// How long a challenge is open.
const PATIENCE: i64 = 10 * 60 * 1_000_000;
/// Passkeys of one user at most.
const MOST: usize = 16;

impl People {
    /// A new challenge for a browser.
    pub async fn challenge(&self, visit: &str) -> Result<String, Failure> {
        let challenge = secret::token()?;
        let write = book::create(CHALLENGES, &secret::hashed(visit, &challenge), &())?;
        let end = Timestamp(self.clock.now().0 + PATIENCE);
        self.book.write(vec![book::until(write, end)]).await?;
        Ok(challenge)
    }

    /// The write that uses a challenge up; none if it is not open.
    async fn using(&self, visit: &str, challenge: &str) -> Result<Option<book::Write>, Failure> {
        let found = self.book.get::<()>(CHALLENGES, &secret::hashed(visit, challenge)).await?;
        Ok(found.map(|entry| book::delete(CHALLENGES, &entry)))
    }

    /// Adds a passkey to the own account.
    pub async fn add_passkey(
        &self,
        session: &Session,
        visit: &str,
        expected: Expected<'_>,
        client: &str,
        attestation: &str,
    ) -> Result<bool, Failure> {
        let Some(using) = self.using(visit, expected.challenge).await? else { return Ok(false) };
        let made = passkey::register(client, attestation, expected, self.clock.now().0);
        let Some(made) = made.filter(|_| session.user().passkeys.len() < MOST) else { return Ok(false) };
        let mut user = session.user().clone();
        user.passkeys.retain(|passkey| passkey.id != made.id);
        user.passkeys.push(made);
        self.told.write(vec![using, book::replace(USERS, &session.user_entry, &user)?]).await
    }

    /// Whether a user may change its passkeys: it knows its password.
    pub async fn may_change_passkeys(
        &self,
        session: &Session,
        password: &str,
        from: IpAddr,
    ) -> Result<Option<Refusal>, Failure> {
        self.refusal(session, password, from).await
    }

    /// Removes a passkey from the own account.
    pub async fn remove_passkey(&self, session: &Session, id: &str) -> Result<(), Failure> {
        self.change(&session.user().id, |user| user.passkeys.retain(|passkey| passkey.id != id)).await.map(drop)
    }

    /// Signs in by a passkey. `handle` names the user, as it was given to the device when the passkey was made; the answer
    /// to whoever asks is the same whether there is such a user or not.
    pub async fn sign_in_by_passkey(
        &self,
        visit: &str,
        expected: Expected<'_>,
        handle: &str,
        assertion: Assertion<'_>,
    ) -> Result<SignedIn, Failure> {
        let id = URL_SAFE_NO_PAD.decode(handle).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let found = match id.filter(|id| uuid::Uuid::try_parse(id).is_ok()) {
            Some(id) => self.book.get::<User>(USERS, &id).await?,
            None => None,
        };
        let Some(entry) = found else { return Ok(SignedIn::Wrong(None)) };
        let wrong = SignedIn::Wrong(Some(entry.value.name.clone()));
        let Some(using) = self.using(visit, expected.challenge).await? else { return Ok(wrong) };
        let mut user = entry.value.clone();
        let used = user.passkeys.iter_mut().find(|passkey| passkey.id == assertion.id).and_then(|passkey| {
            *passkey = passkey.used(assertion, expected)?;
            Some(())
        });
        if used.is_none() || user.disabled {
            return Ok(wrong);
        }
        // Whoever uses the same challenge or counter at the same moment loses when it is written.
        let counted = book::replace(USERS, &entry, &user)?;
        self.entrance(user, &["hwk", "user", "mfa"], vec![using, counted])
    }
}

/// What a device is told to remember a user by.
pub fn handle(user: &User) -> String {
    URL_SAFE_NO_PAD.encode(&user.id)
}
