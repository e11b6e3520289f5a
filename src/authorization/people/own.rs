//! What a signed-in user does with its own account: another password, a second factor, recovery codes, signing out.
//! Each change is one commit, which takes along what the audit trail is told.

use super::book::{self, USERS};
use super::session::{self, Session, Stored};
use super::sign_in::recovery_hash;
use super::totp::Shared;
use super::{People, accounts, secret};
use crate::base::{Failure, FailureKind, IssueCode};
use std::net::IpAddr;

/// Recovery codes of a user.
const CODES: usize = 10;

/// Why a change of one's own account was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The password that stands for the right to do this is wrong.
    Wrong,
    /// The code of the app is wrong.
    WrongCode,
    /// The new password is no good.
    Weak(super::password::Weakness),
    /// Too many attempts; seconds to wait.
    Wait(u64),
}

impl People {
    /// The session of a cookie, if it is whole and not over.
    pub async fn session(&self, token: &str) -> Result<Option<Session>, Failure> {
        let found = self.session_or_half(token).await?;
        Ok(found.filter(|session| !session.is_halfway()))
    }

    /// The session of a cookie whose second factor is still missing.
    pub async fn halfway(&self, token: &str) -> Result<Option<Session>, Failure> {
        let found = self.session_or_half(token).await?;
        Ok(found.filter(Session::is_halfway))
    }

    async fn session_or_half(&self, token: &str) -> Result<Option<Session>, Failure> {
        session::find(&self.book, token, self.lifetimes, self.clock.now()).await
    }

    /// Whether the user of a session, by the name that can be stored, has not signed out.
    pub async fn session_stands(&self, id: &str) -> Result<bool, Failure> {
        session::stands(&self.book, id, self.lifetimes, self.clock.now()).await
    }

    /// Ends a session.
    pub async fn sign_out(&self, session: &Session) -> Result<(), Failure> {
        self.told.write(vec![session::over(session)]).await.map(drop)
    }

    /// Changes the own password. All sessions end; the answer is a new one for this browser.
    pub async fn change_password(
        &self,
        session: &Session,
        old: &str,
        new: &str,
        from: IpAddr,
    ) -> Result<Result<String, Refusal>, Failure> {
        if let Some(refusal) = self.refusal(session, old, from).await? {
            return Ok(Err(refusal));
        }
        if let Some(weakness) = super::password::weakness(new, &session.user().name) {
            return Ok(Err(Refusal::Weak(weakness)));
        }
        accounts::check_password(new, &session.user().name)?;
        let mut user = session.user().clone();
        user.password = Some(self.passwords.hash(new).await?);
        user.must_change = false;
        user.epoch += 1;
        let methods: Vec<&str> = session.methods().iter().map(String::as_str).collect();
        let (write, token) = session::begin(&user, &methods, false, self.lifetimes, self.clock.now())?;
        self.commit(vec![book::replace(USERS, &session.user_entry, &user)?, write, session::over(session)]).await?;
        Ok(Ok(token))
    }

    /// The key for an authenticator app that is being set up in this session; made if there is none.
    pub async fn begin_second_factor(&self, session: &Session) -> Result<Shared, Failure> {
        if let Some(shared) = &session.stored.value.setup {
            return Ok(shared.clone());
        }
        let shared = Shared::new()?;
        let next = Stored { setup: Some(shared.clone()), ..session.stored.value.clone() };
        // Nothing of the account has changed yet: the trail is told when the app is taken into use.
        match self.book.write(vec![session::rewrite(session, &next, self.lifetimes)?]).await? {
            true => Ok(shared),
            false => Err(changed_meanwhile()),
        }
    }

    /// Takes the app into use once it has shown a right code. The answer is the recovery codes, told only now.
    pub async fn confirm_second_factor(
        &self,
        session: &Session,
        password: &str,
        code: &str,
        from: IpAddr,
    ) -> Result<Result<Vec<String>, Refusal>, Failure> {
        let Some(shared) = &session.stored.value.setup else { return Ok(Err(Refusal::WrongCode)) };
        if let Some(refusal) = self.refusal(session, password, from).await? {
            return Ok(Err(refusal));
        }
        let Some(used) = shared.used(code, self.clock.now()) else { return Ok(Err(Refusal::WrongCode)) };
        let mut user = session.user().clone();
        let (codes, hashes) = recovery_codes(&user.id)?;
        user.totp = Some(used);
        user.recovery = hashes;
        let next = Stored { setup: None, ..session.stored.value.clone() };
        self.commit(vec![
            book::replace(USERS, &session.user_entry, &user)?,
            session::rewrite(session, &next, self.lifetimes)?,
        ])
        .await?;
        Ok(Ok(codes))
    }

    /// Gives up the second factor.
    pub async fn remove_second_factor(
        &self,
        session: &Session,
        password: &str,
        from: IpAddr,
    ) -> Result<Result<(), Refusal>, Failure> {
        if let Some(refusal) = self.refusal(session, password, from).await? {
            return Ok(Err(refusal));
        }
        let mut user = session.user().clone();
        user.totp = None;
        user.recovery.clear();
        self.commit(vec![book::replace(USERS, &session.user_entry, &user)?]).await?;
        Ok(Ok(()))
    }

    pub(super) async fn refusal(
        &self,
        session: &Session,
        password: &str,
        from: IpAddr,
    ) -> Result<Option<Refusal>, Failure> {
        // Who signs in elsewhere has no password here to be asked for.
        if session.user().password.is_none() {
            return Ok(None);
        }
        self.doubts(session.user(), password, from).await
    }

    /// Makes a change of the own account, or of how it is known.
    async fn commit(&self, writes: Vec<book::Write>) -> Result<(), Failure> {
        match self.told.write(writes).await? {
            true => Ok(()),
            false => Err(changed_meanwhile()),
        }
    }
}

fn changed_meanwhile() -> Failure {
    let why = "the account was changed at the same moment; try again";
    Failure::new(FailureKind::Conflict, IssueCode::Conflict, why)
}

/// New recovery codes (80 bits each), and what is stored of them.
fn recovery_codes(user: &str) -> Result<(Vec<String>, Vec<String>), Failure> {
    let mut codes = Vec::with_capacity(CODES);
    for _ in 0..CODES {
        let letters = secret::base32(&secret::random::<10>()?).to_lowercase();
        let groups: Vec<&str> = (0..4).filter_map(|i| letters.get(i * 4..i * 4 + 4)).collect();
        codes.push(groups.join("-"));
    }
    let hashes = codes.iter().map(|code| recovery_hash(user, code)).collect();
    Ok((codes, hashes))
}
