//! Signing in: the password, then the second factor if the user has one. Counts what is tried in vain before it is
//! known to be, and answers alike whether a name exists or not. Who is known has not come in yet: that is one commit of
//! its own, which takes along what the audit trail is told.

use super::book::{self, KNOWN, SESSIONS, TRIES, USERS};
use super::lockout::{self, Tries};
use super::session::{self, Session};
use super::user::{User, compared};
use super::{People, Refusal, secret};
use crate::base::{Failure, Timestamp};
use std::net::IpAddr;

/// What came of an attempt to sign in.
#[derive(Clone, Debug)]
pub enum SignedIn {
    /// It is this user. Nothing is written yet, and nobody has come in.
    Known(Box<Entrance>),
    /// Something is wrong; what, is not told. For the audit trail alone: the name of the user that it would have been.
    Wrong(Option<String>),
    /// Too many attempts: nothing was tried. Seconds to wait.
    Wait(u64),
}

/// The way in for a user that is known: a session that can begin, and what is used up by it.
#[derive(Clone, Debug)]
pub struct Entrance {
    user: User,
    token: String,
    halfway: bool,
    writes: Vec<book::Write>,
}

impl Entrance {
    /// Who it is.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Whether the second factor is still missing.
    pub fn is_halfway(&self) -> bool {
        self.halfway
    }
}

/// How often a count is tried if others count at the same moment.
const RACES: usize = 16;

impl People {
    /// Signs in by name and password.
    pub async fn sign_in(&self, name: &str, password: &str, from: IpAddr) -> Result<SignedIn, Failure> {
        let place = lockout::counted(from);
        let (of_name, of_place) = (tries_key(&place, &compared(name).unwrap_or_default()), tries_key(&place, ""));
        // Whoever works here is not held up by others who guess here.
        let known = self.is_known_at(&of_name).await?;
        let of_all = (!known).then_some((&of_place, lockout::FREE_OF_ADDRESS));
        for (key, free) in of_all.into_iter().chain([(&of_name, lockout::FREE_OF_NAME)]) {
            if let Some(wait) = self.count(key, free).await? {
                return Ok(SignedIn::Wait(wait));
            }
        }
        let found = self.entry_named(name).await?;
        let hash = found.as_ref().and_then(|user| user.value.password.as_deref());
        let right = self.passwords.verify(password, hash).await?;
        let Some(user) = found.map(|user| user.value) else { return Ok(SignedIn::Wrong(None)) };
        if !right || user.disabled {
            return Ok(SignedIn::Wrong(Some(user.name)));
        }
        let now = self.clock.now();
        let seen = book::until(book::put(KNOWN, &of_name, &now)?, Timestamp(now.0 + lockout::KNOWN_FOR));
        let mut writes = vec![book::forget(TRIES, &of_name), seen];
        writes.extend((!known).then(|| book::forget(TRIES, &of_place)));
        self.entrance(user, &["pwd"], writes)
    }

    /// Whether a name has signed in lately from an address, by the key of both.
    async fn is_known_at(&self, key: &str) -> Result<bool, Failure> {
        let seen = self.book.get::<Timestamp>(KNOWN, key).await?;
        Ok(seen.is_some_and(|seen| self.clock.now().0 - seen.value.0 < lockout::KNOWN_FOR))
    }

    /// The way in for a user that is known by other means than a password here; `methods` says which.
    pub fn known(&self, user: User, methods: &[&str]) -> Result<SignedIn, Failure> {
        self.entrance(user, methods, Vec::new())
    }

    /// The way in for a user that is known by these means, with what is used up by it.
    pub(super) fn entrance(
        &self,
        user: User,
        methods: &[&str],
        mut writes: Vec<book::Write>,
    ) -> Result<SignedIn, Failure> {
        let halfway = user.has_second_factor() && methods == ["pwd"];
        let (write, token) = session::begin(&user, methods, halfway, self.lifetimes, self.clock.now())?;
        writes.push(write);
        Ok(SignedIn::Known(Box::new(Entrance { user, token, halfway, writes })))
    }

    /// Lets somebody in, in the place of the session before: all of it in one commit. The answer is for the cookie; none
    /// if what was used for it has been used by another request at the same moment.
    pub async fn let_in(&self, entrance: Entrance, before: Option<&Session>) -> Result<Option<String>, Failure> {
        let Entrance { token, mut writes, .. } = entrance;
        writes.extend(before.map(session::over));
        Ok(self.told.write(writes).await?.then_some(token))
    }

    /// Completes a session that is halfway by a code of the app or a recovery code. Each is good once.
    pub async fn second_factor(&self, halfway: &Session, code: &str) -> Result<SignedIn, Failure> {
        // Only who knows the password comes here, so that a count for the user locks out nobody else.
        let key = tries_key("second factor", &halfway.user().id);
        if let Some(wait) = self.count(&key, lockout::FREE_OF_NAME).await? {
            return Ok(SignedIn::Wait(wait));
        }
        let Some((user, method)) = after_code(halfway.user(), code, self.clock.now()) else {
            return Ok(SignedIn::Wrong(Some(halfway.user().name.clone())));
        };
        let used = book::replace(USERS, &halfway.user_entry, &user)?;
        let begun = book::delete(SESSIONS, &halfway.stored);
        self.entrance(user, &["pwd", method, "mfa"], vec![used, begun, book::forget(TRIES, &key)])
    }

    /// Why a signed-in user does not count as knowing its password, if so; counted like attempts to sign in.
    pub(super) async fn doubts(&self, user: &User, password: &str, from: IpAddr) -> Result<Option<Refusal>, Failure> {
        let key = tries_key(&lockout::counted(from), &compared(&user.name).unwrap_or_default());
        if let Some(wait) = self.count(&key, lockout::FREE_OF_NAME).await? {
            return Ok(Some(Refusal::Wait(wait)));
        }
        if !self.passwords.verify(password, user.password.as_deref()).await? {
            return Ok(Some(Refusal::Wrong));
        }
        self.book.write(vec![book::forget(TRIES, &key)]).await?;
        Ok(None)
    }

    /// Counts a try, unless there is a wait; then says how many seconds are left.
    async fn count(&self, key: &str, free: u32) -> Result<Option<u64>, Failure> {
        for _ in 0..RACES {
            let now = self.clock.now();
            let found = self.book.get::<Tries>(TRIES, key).await?;
            let tries = found.as_ref().map_or(Tries::default(), |entry| entry.value);
            if let Some(wait) = tries.wait(now) {
                return Ok(Some(wait));
            }
            let next = tries.one_more(free, now);
            let write = match &found {
                Some(entry) => book::replace(TRIES, entry, &next)?,
                None => book::create(TRIES, key, &next)?,
            };
            if self.book.write(vec![book::until(write, Timestamp(now.0 + lockout::MEMORY))]).await? {
                return Ok(None);
            }
        }
        // So many at the same moment are no people.
        Ok(Some(1))
    }
}

/// The user after a code was used, and what kind of code it was.
fn after_code(user: &User, code: &str, now: Timestamp) -> Option<(User, &'static str)> {
    let mut next = user.clone();
    if let Some(used) = user.totp.as_ref().and_then(|shared| shared.used(code, now)) {
        next.totp = Some(used);
        return Some((next, "otp"));
    }
    let hash = recovery_hash(&user.id, code);
    let place = user.recovery.iter().position(|stored| secret::same(stored, &hash))?;
    next.recovery.remove(place);
    Some((next, "otp"))
}

/// What is stored of a recovery code, however it was typed.
pub(super) fn recovery_hash(user: &str, code: &str) -> String {
    let letters: String = code.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    secret::hashed(user, &letters)
}

fn tries_key(place: &str, name: &str) -> String {
    secret::hashed(place, name)
}
