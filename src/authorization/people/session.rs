//! Sessions: that somebody signed in with a browser. The cookie holds a secret, the store its hash. A session ends
//! by itself: after a time without use, at the latest after a day of work, and when the user's password changes. It is
//! kept until then, since apps may go on beside a browser that is not used.

use super::book::{self, Book, Entry, SESSIONS, USERS};
use super::secret;
use super::totp::Shared;
use super::user::User;
use crate::base::{Failure, Timestamp};
use serde::{Deserialize, Serialize};

const SECOND: i64 = 1_000_000;
/// How often at most the time of the last use is written down.
const TOUCH: i64 = 60 * SECOND;
/// How long the second step of signing in may take.
const HALFWAY: i64 = 10 * 60 * SECOND;

/// How long sessions last.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Seconds without use.
    pub idle: u32,
    /// Seconds in all.
    pub absolute: u32,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Lifetimes { idle: 30 * 60, absolute: 12 * 60 * 60 }
    }
}

/// A session as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) user: String,
    pub(super) epoch: u32,
    pub(super) began: i64,
    pub(super) seen: i64,
    /// How the user was known: `pwd`, `otp`, `hwk`, `fed` (RFC 8176).
    pub(super) methods: Vec<String>,
    /// The second factor is still missing: nothing is allowed but to give it.
    pub(super) halfway: bool,
    /// A key for an authenticator app that is being set up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) setup: Option<Shared>,
}

/// A session that was found, with its user as it is now.
#[derive(Clone, Debug)]
pub struct Session {
    pub(super) stored: Entry<Stored>,
    pub(super) user_entry: Entry<User>,
}

impl Session {
    /// The user.
    pub fn user(&self) -> &User {
        &self.user_entry.value
    }

    /// A name for the session that can be stored and shown; it opens nothing.
    pub fn id(&self) -> &str {
        &self.stored.key
    }

    /// When the user signed in (`auth_time`).
    pub fn began(&self) -> Timestamp {
        Timestamp(self.stored.value.began)
    }

    /// How the user was known (`amr`, RFC 8176).
    pub fn methods(&self) -> &[String] {
        &self.stored.value.methods
    }

    /// Whether the second factor is still missing.
    pub(super) fn is_halfway(&self) -> bool {
        self.stored.value.halfway
    }
}

fn key_of(token: &str) -> String {
    secret::hashed("session", token)
}

/// When a session is over in any case.
fn last(stored: &Stored, times: Lifetimes) -> Timestamp {
    let length = if stored.halfway { HALFWAY } else { i64::from(times.absolute) * SECOND };
    Timestamp(stored.began + length)
}

/// When a session is over if it is not used.
fn end(stored: &Stored, times: Lifetimes) -> Timestamp {
    let idle = stored.seen + i64::from(times.idle) * SECOND;
    if stored.halfway { last(stored, times) } else { last(stored, times).min(Timestamp(idle)) }
}

/// Begins a session: the write that has to be made, and what the cookie shall hold.
pub(super) fn begin(
    user: &User,
    methods: &[&str],
    halfway: bool,
    times: Lifetimes,
    now: Timestamp,
) -> Result<(book::Write, String), Failure> {
    let token = secret::token()?;
    let stored = Stored {
        user: user.id.clone(),
        epoch: user.epoch,
        began: now.0,
        seen: now.0,
        methods: methods.iter().map(|m| (*m).to_owned()).collect(),
        halfway,
        setup: None,
    };
    let write = book::create(SESSIONS, &key_of(&token), &stored)?;
    Ok((book::until(write, last(&stored, times)), token))
}

/// Whether the user of a session is still there for the apps that it let in: it has not signed out, and it has lasted
/// no longer than sessions may. A browser that was not used for a while has to sign in anew; apps go on.
pub(super) async fn stands(book: &Book, id: &str, times: Lifetimes, now: Timestamp) -> Result<bool, Failure> {
    let Some(stored) = book.get::<Stored>(SESSIONS, id).await? else { return Ok(false) };
    let Some(user) = book.get::<User>(USERS, &stored.value.user).await? else { return Ok(false) };
    let over = stored.value.halfway || last(&stored.value, times) <= now;
    Ok(!over && !user.value.disabled && user.value.epoch == stored.value.epoch)
}

/// The session of a cookie, halfway or whole, if it is not over. Seen again, it lasts longer.
pub(super) async fn find(
    book: &Book,
    token: &str,
    times: Lifetimes,
    now: Timestamp,
) -> Result<Option<Session>, Failure> {
    if token.len() > 64 {
        return Ok(None);
    }
    let Some(stored) = book.get::<Stored>(SESSIONS, &key_of(token)).await? else { return Ok(None) };
    let Some(user) = book.get::<User>(USERS, &stored.value.user).await? else { return Ok(None) };
    let over = end(&stored.value, times) <= now;
    if over || user.value.disabled || user.value.epoch != stored.value.epoch {
        return Ok(None);
    }
    let mut session = Session { stored, user_entry: user };
    if now.0 - session.stored.value.seen >= TOUCH {
        let next = Stored { seen: now.0, ..session.stored.value.clone() };
        // If another request was faster, it has done the same.
        if book.write(vec![rewrite(&session, &next, times)?]).await? {
            session.stored.revision += 1;
            session.stored.value = next;
        }
    }
    Ok(Some(session))
}

/// The write by which a session is stored anew.
pub(super) fn rewrite(session: &Session, next: &Stored, times: Lifetimes) -> Result<book::Write, Failure> {
    Ok(book::until(book::replace(SESSIONS, &session.stored, next)?, last(next, times)))
}

/// The write by which a session ends.
pub(super) fn over(session: &Session) -> book::Write {
    book::forget(SESSIONS, &session.stored.key)
}
