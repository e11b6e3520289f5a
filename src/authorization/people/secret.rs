//! Secrets that people carry (session cookies, recovery codes): made from the machine's random source, stored only as
//! SHA-256 hashes, compared without telling by time where they differ. Passwords, which people choose, are `password`.

use crate::base::Failure;
use aws_lc_rs::{constant_time, digest, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The letters of codes that are read and typed by people: none that look alike (RFC 4648 base 32).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Random bytes.
pub fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| Failure::internal("the machine gives no random bytes"))?;
    Ok(bytes)
}

/// A new secret for a cookie or an address: 256 bits.
pub fn token() -> Result<String, Failure> {
    Ok(URL_SAFE_NO_PAD.encode(random::<32>()?))
}

/// What is stored of a secret. `purpose` keeps apart what is hashed for different ends.
pub fn hashed(purpose: &str, secret: &str) -> String {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(purpose.as_bytes());
    hash.update(&[0]);
    hash.update(secret.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finish())
}

/// Whether two texts are the same.
pub fn same(a: &str, b: &str) -> bool {
    constant_time::verify_slices_are_equal(a.as_bytes(), b.as_bytes()).is_ok()
}

/// Bytes in base 32, without padding.
pub fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0u32, 0);
    for &byte in bytes {
        held = held << 8 | u32::from(byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(LETTERS[(held >> bits & 31) as usize]));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.push(char::from(LETTERS[(held << (5 - bits) & 31) as usize]));
    }
    text
}

/// A random password that can be read aloud: 125 bits in five groups.
pub fn readable_password() -> Result<String, Failure> {
    let letters = base32(&random::<16>()?).to_lowercase();
    let groups: Vec<&str> = (0..5).filter_map(|i| letters.get(i * 5..i * 5 + 5)).collect();
    Ok(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_is_that_of_the_rfc() {
        let pairs =
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")];
        for (plain, coded) in pairs {
            assert_eq!(base32(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn secrets_differ_and_hashes_depend_on_the_purpose() {
        let (a, b) = (token().expect("random"), token().expect("random"));
        assert_ne!(a, b);
        assert_eq!(a.len(), 43);
        assert_ne!(hashed("session", &a), hashed("csrf", &a));
        assert!(same(&a, &a) && !same(&a, &b));
        assert_eq!(readable_password().expect("random").len(), 29);
    }
}
