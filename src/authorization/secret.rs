//! Random values that nobody can guess, and their digests, which are all that is kept of them. They have 256 bits, so
//! a plain digest is enough: there is nothing to be found by trying (passwords are another matter, and not here).

use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 256 random bits, 43 characters that need no escaping anywhere.
pub fn random() -> String {
    let mut bytes = [0; 32];
    fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// 128 random bits: for names that only have to be unique and hard to guess.
pub fn short() -> String {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn fill(bytes: &mut [u8]) {
    // A machine without randomness cannot go on: a guessable secret would be worse than none.
    if rand::fill(bytes).is_err() {
        tracing::error!("the machine gives no random numbers");
        std::process::abort();
    }
}

/// The SHA-256 of a text, in the characters of [`random`].
pub fn digest(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, text.as_bytes()))
}

/// Whether two texts are the same, in a time that does not tell where they differ.
pub fn same(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ_and_digests_do_not() {
        assert_ne!(random(), random());
        assert_eq!(random().len(), 43);
        assert_eq!(short().len(), 22);
        assert_eq!(digest("abc"), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert!(same("a", "a") && !same("a", "b") && !same("a", "aa"));
    }
}
