//! Passwords: Argon2id, computed beside the async threads, only so many at once, so that a flood of sign-ins can use
//! up neither memory nor all processors. Knows no user.

use crate::base::{Failure, FailureKind, IssueCode};
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// Shortest password in characters (NIST SP 800-63B asks for 8; there is a second factor for those who need more).
pub const SHORTEST: usize = 10;
/// Longest password in bytes.
pub const LONGEST: usize = 256;
/// Hashes computed at once.
const AT_ONCE: usize = 2;
/// Hashes that may wait for their turn; more are told to come back.
const WAITING: usize = 32;

/// Computes and verifies hashes of passwords.
pub struct Passwords {
    turn: Arc<Semaphore>,
    waiting: AtomicUsize,
    nobody: OnceLock<String>,
}

impl Default for Passwords {
    fn default() -> Self {
        let (waiting, nobody) = (AtomicUsize::new(0), OnceLock::new());
        Passwords { turn: Arc::new(Semaphore::new(AT_ONCE)), waiting, nobody }
    }
}

impl Passwords {
    /// The hash of a password, with its salt and parameters in one text (PHC string).
    pub async fn hash(&self, password: &str) -> Result<String, Failure> {
        let password = password.to_owned();
        self.aside(move || hash(&password)).await?
    }

    /// Whether a password belongs to a hash. Without a hash (no such user) just as long is needed, and it never does.
    pub async fn verify(&self, password: &str, stored: Option<&str>) -> Result<bool, Failure> {
        let hash = match stored {
            Some(stored) => stored.to_owned(),
            None => self.of_nobody().await?,
        };
        let known = stored.is_some();
        let password = password.to_owned();
        let fits = self.aside(move || fits(&password, &hash)).await??;
        Ok(fits && known)
    }

    async fn of_nobody(&self) -> Result<String, Failure> {
        if let Some(hash) = self.nobody.get() {
            return Ok(hash.clone());
        }
        let made = self.hash(&super::secret::token()?).await?;
        Ok(self.nobody.get_or_init(|| made).clone())
    }

    /// Makes what the first sign-in would otherwise have to wait for, and by which it could be told from the others.
    pub async fn warm_up(&self) -> Result<(), Failure> {
        self.of_nobody().await.map(drop)
    }

    async fn aside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        if self.waiting.fetch_add(1, Relaxed) >= WAITING {
            self.waiting.fetch_sub(1, Relaxed);
            let why = "too many people sign in at this moment; try again";
            return Err(Failure::new(FailureKind::Unavailable, IssueCode::Throttled, why));
        }
        let turn = self.turn.clone().acquire_owned().await;
        self.waiting.fetch_sub(1, Relaxed);
        let turn = turn.map_err(|_| Failure::internal("no more passwords are hashed"))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|_| Failure::internal("hashing a password was cancelled"))
    }
}

/// Why a new password is not taken, if it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// Fewer than [`SHORTEST`] characters.
    Short,
    /// More than [`LONGEST`] bytes.
    Long,
    /// It holds the name of the user.
    Named,
    /// It is one of those that are tried first, with little around it.
    Popular,
    /// It is one character again and again.
    Repeated,
}

/// What is wrong with a new password of a user.
pub fn weakness(password: &str, user: &str) -> Option<Weakness> {
    /// What people who guess try first, of those that are long enough; lower case.
    const FIRST: [&str; 12] = [
        "password",
        "passwort",
        "motdepasse",
        "123456789",
        "qwertyuiop",
        "azertyuiop",
        "iloveyou",
        "administrator",
        "letmein",
        "welcome",
        "changeme",
        "1q2w3e4r",
    ];
    let lower = password.to_lowercase();
    let mut characters = lower.chars();
    let first = characters.next();
    let own = user.chars().count() >= 4 && lower.contains(&user.to_lowercase());
    // What stands around a popular word does not make it hard to guess unless there is a good deal of it.
    let popular = FIRST.iter().any(|word| lower.contains(word) && lower.len() < word.len() + 6);
    match password.chars().count() {
        n if n < SHORTEST => Some(Weakness::Short),
        _ if password.len() > LONGEST => Some(Weakness::Long),
        _ if own => Some(Weakness::Named),
        _ if popular => Some(Weakness::Popular),
        _ if characters.all(|c| Some(c) == first) => Some(Weakness::Repeated),
        _ => None,
    }
}

fn argon() -> Result<Argon2<'static>, Failure> {
    // OWASP's second choice (19 MiB, two passes, one lane).
    let parameters = Params::new(19 * 1024, 2, 1, None).map_err(|e| Failure::internal(format_args!("Argon2: {e}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters))
}

fn hash(password: &str) -> Result<String, Failure> {
    let salt = super::secret::random::<16>()?;
    let made = argon()?.hash_password_with_salt(password.as_bytes(), &salt);
    made.map(|hash| hash.to_string()).map_err(|e| Failure::internal(format_args!("Argon2: {e}")))
}

fn fits(password: &str, stored: &str) -> Result<bool, Failure> {
    let hash = PasswordHash::new(stored).map_err(|e| Failure::internal(format_args!("a stored password hash: {e}")))?;
    Ok(password.len() <= LONGEST && argon()?.verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse").await.expect("hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse", Some(&hash)).await.expect("verifies"));
        assert!(!passwords.verify("correct house", Some(&hash)).await.expect("verifies"));
        assert!(!passwords.verify("correct horse", None).await.expect("verifies"));
    }

    #[tokio::test]
    async fn a_flood_is_held_back() {
        let passwords = Arc::new(Passwords::default());
        let flood: Vec<_> = (0..WAITING * 2)
            .map(|_| {
                let passwords = passwords.clone();
                tokio::spawn(async move { passwords.hash("correct horse").await.is_ok() })
            })
            .collect();
        let mut done = 0;
        for one in flood {
            done += usize::from(one.await.expect("ends"));
        }
        assert!((WAITING..=WAITING + 2 * AT_ONCE).contains(&done), "{done}");
        assert!(passwords.hash("correct horse").await.is_ok(), "and afterwards all is well");
    }

    #[test]
    fn weak_passwords() {
        let check = |password: &str, expected: Option<Weakness>| {
            assert_eq!(weakness(password, "asante"), expected, "{password}");
        };
        check("short", Some(Weakness::Short));
        check("my-asante-2026", Some(Weakness::Named));
        check("Password123!", Some(Weakness::Popular));
        check("aaaaaaaaaaaaa", Some(Weakness::Repeated));
        check(&"long".repeat(100), Some(Weakness::Long));
        check("four words one password", None);
        check("éàüöéàüöéà", None);
    }
}
