//! People: users and their roles, passwords and second factors, sessions, and the waits after wrong attempts. All of
//! it lives in the store, so that it holds after a restart and for every process. Draws no page (`pages`), and
//! decides nothing about what a user may see (`access`).

mod accounts;
mod book;
mod ceremony;
mod first;
mod lockout;
pub mod outside;
mod own;
pub mod passkey;
pub mod password;
pub mod secret;
mod session;
mod sign_in;
#[cfg(test)]
mod tests;
pub mod totp;
mod user;

pub use accounts::{NewUser, check_resource};
pub(super) use book::USERS;
pub use ceremony::handle;
pub(super) use first::NAME as FIRST;
pub use lockout::counted;
pub use own::Refusal;
pub use session::{Lifetimes, Session};
pub use sign_in::{Entrance, SignedIn};
pub use user::{KINDS, Outside, User};

use crate::base::{Clock, Failure};
use crate::interaction::Records;
use book::Book;
use password::Passwords;
use std::sync::Arc;

/// The users of a tenant and their sessions.
pub struct People {
    pub(self) book: Book,
    /// Where accounts and sessions are changed: a commit there takes along what the audit trail is told, while attempts
    /// are counted and challenges kept without.
    pub(self) told: Book,
    pub(self) passwords: Arc<Passwords>,
    pub(self) clock: Arc<dyn Clock>,
    pub(self) lifetimes: Lifetimes,
    pub(self) providers: Vec<outside::Provider>,
}

impl People {
    /// The people in some records.
    pub fn new(records: Records, clock: Arc<dyn Clock>, lifetimes: Lifetimes) -> People {
        let book = Book::new(records);
        People { told: book.clone(), book, passwords: Arc::default(), clock, lifetimes, providers: Vec::new() }
    }

    /// The same with outside providers.
    pub fn with_providers(self, providers: Vec<outside::Provider>) -> People {
        People { providers, ..self }
    }

    /// The same; who signs in or out, and what is changed of an account, is committed in records that tell the audit
    /// trail.
    pub(super) fn telling(&self, records: &Records) -> People {
        People {
            book: self.book.clone(),
            told: Book::new(records.clone()),
            passwords: self.passwords.clone(),
            clock: self.clock.clone(),
            lifetimes: self.lifetimes,
            providers: self.providers.clone(),
        }
    }

    /// Prepares for the first sign-in, so that it takes no longer than others.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        self.passwords.warm_up().await
    }
}
