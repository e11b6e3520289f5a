//! The seal of page links: a link is good only for the one it was given to, and nobody else can make one. Says
//! nothing of what stands in it.

use aws_lc_rs::hmac;
use std::fmt;
use std::sync::Arc;

/// Bytes of a seal: more than anybody can guess.
pub(super) const LENGTH: usize = 16;

/// What links are sealed with, and for whom.
#[derive(Clone)]
pub struct Seal {
    key: Arc<hmac::Key>,
    /// Whom the links are for: tenant, subject, app and patient; the same as long as these are.
    owner: Arc<str>,
}

impl Seal {
    /// A seal with a key, for nobody in particular.
    pub fn new(key: &[u8]) -> Seal {
        Seal { key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, key)), owner: "".into() }
    }

    /// The same seal for somebody.
    pub fn of(&self, owner: &str) -> Seal {
        Seal { key: self.key.clone(), owner: owner.into() }
    }

    /// The seal on some bytes.
    pub(super) fn on(&self, bytes: &[u8]) -> [u8; LENGTH] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(self.owner.as_bytes());
        context.update(&[0]);
        context.update(bytes);
        let tag = context.sign();
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Whether this is the seal on some bytes; takes as long for every other.
    pub(super) fn is_on(&self, bytes: &[u8], seal: &[u8; LENGTH]) -> bool {
        self.on(bytes).iter().zip(seal).fold(0, |wrong, (own, other)| wrong | (own ^ other)) == 0
    }
}

impl Default for Seal {
    fn default() -> Self {
        Seal::new(&[0; 32])
    }
}

/// The key is not told.
impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("owner", &self.owner).finish_non_exhaustive()
    }
}
