//! Passkeys (W3C Web Authentication, level 2): registering one and signing in with it. Only what is needed: keys of
//! P-256 (ES256) and, for some Windows devices, of RSA (RS256); no attestation (nobody's make of device is asked for), the user
//! verified by the device, so that a passkey is a second factor in itself. Pure functions; what is stored and which
//! challenge is open is `people`'s.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A passkey as it is stored with its user. There is no secret in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    /// The credential id, base64url.
    pub id: String,
    /// The public key, base64url: an uncompressed point of P-256, or the modulus of RSA.
    key: String,
    /// The exponent of an RSA key, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exponent: Option<String>,
    /// The counter of signatures, where the authenticator counts.
    counter: u32,
    /// When it was added, in microseconds since the epoch.
    pub added: i64,
}

/// What a ceremony is held against.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// The challenge that was given.
    pub challenge: &'a str,
    /// Scheme, host and port of this server.
    pub origin: &'a str,
}

impl Expected<'_> {
    /// The relying party id: the host. An address of numbers can be none.
    pub fn party(&self) -> Option<&str> {
        party_of(self.origin)
    }
}

/// The relying party id of an origin.
pub fn party_of(origin: &str) -> Option<&str> {
    let host = origin.split("://").nth(1)?;
    let host = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |p| p.0);
    let is_number = host.starts_with('[') || host.parse::<std::net::IpAddr>().is_ok();
    (!is_number && !host.is_empty()).then_some(host)
}

/// What the browser sends after `navigator.credentials.get`, each part base64url.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// The credential id.
    pub id: &'a str,
    /// clientDataJSON
    pub client: &'a str,
    /// authenticatorData
    pub data: &'a str,
    /// The signature.
    pub signature: &'a str,
}

/// The new passkey out of what the browser sends after `navigator.credentials.create`.
pub fn register(client: &str, attestation: &str, expected: Expected<'_>, now: i64) -> Option<Passkey> {
    check_client(&decode(client)?, "webauthn.create", expected)?;
    let attestation = decode(attestation)?;
    let data = field(&attestation, Key::Text("authData"))?;
    let Item::Bytes(data) = data else { return None };
    let head = Head::read(data, expected)?;
    // Flag AT: the new credential follows: 16 bytes of the make, the length of the id, the id, the key.
    if head.flags & 0x40 == 0 {
        return None;
    }
    let rest = data.get(37 + 16..)?;
    let length = usize::from(u16::from_be_bytes([*rest.first()?, *rest.get(1)?]));
    if length > 1023 {
        return None;
    }
    let (id, key) = (rest.get(2..2 + length)?, rest.get(2 + length..)?);
    let (key, exponent) = public_key(key)?;
    Some(Passkey { id: URL_SAFE_NO_PAD.encode(id), key, exponent, counter: head.counter, added: now })
}

/// A COSE key: an EC2 key of P-256 for ES256, or an RSA key for RS256. As it is stored.
fn public_key(key: &[u8]) -> Option<(String, Option<String>)> {
    let number = |label: i64| match field(key, Key::Number(label)) {
        Some(Item::Number(number)) => Some(number),
        _ => None,
    };
    let bytes = |label: i64| match field(key, Key::Number(label)) {
        Some(Item::Bytes(bytes)) => Some(bytes),
        _ => None,
    };
    match (number(1)?, number(3)?) {
        (2, -7) if number(-1)? == 1 => {
            let (x, y) = (bytes(-2)?, bytes(-3)?);
            (x.len() == 32 && y.len() == 32).then(|| (URL_SAFE_NO_PAD.encode([&[4], x, y].concat()), None))
        }
        (3, -257) => {
            let (modulus, exponent) = (bytes(-1)?, bytes(-2)?);
            let strong = (256..=1024).contains(&modulus.len()) && exponent.len() <= 8;
            strong.then(|| (URL_SAFE_NO_PAD.encode(modulus), Some(URL_SAFE_NO_PAD.encode(exponent))))
        }
        _ => None,
    }
}

impl Passkey {
    /// The passkey after it was used; `None` if the assertion is not its own, or older than the last one.
    pub fn used(&self, assertion: Assertion<'_>, expected: Expected<'_>) -> Option<Passkey> {
        let (client, data) = (decode(assertion.client)?, decode(assertion.data)?);
        check_client(&client, "webauthn.get", expected)?;
        let head = Head::read(&data, expected)?;
        let mut signed = data;
        signed.extend_from_slice(digest(&SHA256, &client).as_ref());
        let (key, signature) = (decode(&self.key)?, decode(assertion.signature)?);
        match &self.exponent {
            None => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key).verify(&signed, &signature).ok()?,
            Some(exponent) => RsaPublicKeyComponents { n: key, e: decode(exponent)? }
                .verify(&RSA_PKCS1_2048_8192_SHA256, &signed, &signature)
                .ok()?,
        }
        // Two devices with one key would count apart (W3C WebAuthn 6.1.1).
        let counts = head.counter != 0 || self.counter != 0;
        (!counts || head.counter > self.counter).then(|| Passkey { counter: head.counter, ..self.clone() })
    }
}

/// The fixed part of the authenticator data.
struct Head {
    flags: u8,
    counter: u32,
}

impl Head {
    /// Reads it, and refuses another relying party or a user that was neither present nor verified.
    fn read(data: &[u8], expected: Expected<'_>) -> Option<Head> {
        let (party, rest) = data.split_at_checked(32)?;
        let (flags, rest) = rest.split_first()?;
        let counter = u32::from_be_bytes(rest.get(..4)?.try_into().ok()?);
        let ours = digest(&SHA256, expected.party()?.as_bytes());
        (party == ours.as_ref() && flags & 0x05 == 0x05).then_some(Head { flags: *flags, counter })
    }
}

/// Holds the client data against what is expected.
fn check_client(json: &[u8], kind: &str, expected: Expected<'_>) -> Option<()> {
    let client: Value = serde_json::from_slice(json).ok()?;
    let right = client["type"] == kind
        && client["challenge"].as_str().is_some_and(|c| super::secret::same(c, expected.challenge))
        && client["origin"] == expected.origin
        && client["crossOrigin"] != true;
    right.then_some(())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    (text.len() <= 16_384).then(|| URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()).flatten()
}

/// A key of a CBOR map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key<'a> {
    Text(&'a str),
    Number(i64),
}

/// A value of CBOR (RFC 8949), as far as it is needed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Item<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    /// A whole that was passed over.
    Other,
}

/// The value of a key in the map that begins some bytes.
fn field<'a>(bytes: &'a [u8], wanted: Key<'_>) -> Option<Item<'a>> {
    let (kind, pairs, mut rest) = head(bytes)?;
    if kind != 5 {
        return None;
    }
    for _ in 0..pairs {
        let (key, after) = item(rest, 0)?;
        let (value, after) = item(after, 0)?;
        let found = match (key, wanted) {
            (Item::Text(text), Key::Text(wanted)) => text == wanted,
            (Item::Number(number), Key::Number(wanted)) => number == wanted,
            _ => false,
        };
        if found {
            return Some(value);
        }
        rest = after;
    }
    None
}

/// The kind and argument at the beginning, and what follows. Only definite lengths, as WebAuthn's canonical form has.
fn head(bytes: &[u8]) -> Option<(u8, u64, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let length = match first & 0x1f {
        small @ 0..=23 => return Some((first >> 5, u64::from(small), rest)),
        code @ 24..=27 => 1 << (code - 24),
        _ => return None,
    };
    let (argument, rest) = rest.split_at_checked(length)?;
    Some((first >> 5, argument.iter().fold(0, |n, b| n << 8 | u64::from(*b)), rest))
}

/// One value, and what follows it.
fn item(bytes: &[u8], depth: u8) -> Option<(Item<'_>, &[u8])> {
    let (kind, argument, rest) = head(bytes)?;
    let number = i64::try_from(argument).ok()?;
    let taken = |rest: &'_ [u8]| rest.len() >= argument as usize;
    match kind {
        0 => Some((Item::Number(number), rest)),
        1 => Some((Item::Number(-1 - number), rest)),
        2 if taken(rest) => rest.split_at_checked(argument as usize).map(|(bytes, rest)| (Item::Bytes(bytes), rest)),
        3 if taken(rest) => {
            let (text, rest) = rest.split_at_checked(argument as usize)?;
            Some((Item::Text(std::str::from_utf8(text).ok()?), rest))
        }
        4 | 5 if depth < 8 && argument <= 1024 => {
            let mut rest = rest;
            for _ in 0..argument * u64::from(kind - 3) {
                rest = item(rest, depth + 1)?.1;
            }
            Some((Item::Other, rest))
        }
        7 => Some((Item::Other, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    const HERE: Expected<'static> = Expected { challenge: "Y2hhbGxlbmdl", origin: "https://vesta.test:8443" };

    /// An authenticator.
    struct Device {
        key: EcdsaKeyPair,
        counter: u32,
    }

    impl Device {
        fn new() -> Device {
            Device { key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key"), counter: 0 }
        }

        fn data(&mut self, party: &str, flags: u8) -> Vec<u8> {
            self.counter += 1;
            let mut data = digest(&SHA256, party.as_bytes()).as_ref().to_vec();
            data.push(flags);
            data.extend_from_slice(&self.counter.to_be_bytes());
            data
        }

        fn create(&mut self, party: &str) -> String {
            let mut data = self.data(party, 0x45);
            data.extend_from_slice(&[0; 16]);
            data.extend_from_slice(&[0, 4, 1, 2, 3, 4]);
            let point = self.key.public_key().as_ref();
            data.extend_from_slice(&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
            data.extend_from_slice(&point[1..33]);
            data.extend_from_slice(&[0x22, 0x58, 32]);
            data.extend_from_slice(&point[33..]);
            let mut whole = vec![0xa3, 0x63];
            whole.extend_from_slice(b"fmt\x64none\x67attStmt\xa0\x68authData\x58");
            whole.push(u8::try_from(data.len()).expect("short"));
            whole.extend_from_slice(&data);
            URL_SAFE_NO_PAD.encode(whole)
        }

        fn get(&mut self, party: &str, flags: u8, client: &str) -> (String, String) {
            let data = self.data(party, flags);
            let mut signed = data.clone();
            signed.extend_from_slice(digest(&SHA256, &decode(client).expect("base64")).as_ref());
            let signature = self.key.sign(&SystemRandom::new(), &signed).expect("signs");
            (URL_SAFE_NO_PAD.encode(data), URL_SAFE_NO_PAD.encode(signature))
        }
    }

    fn client(kind: &str, challenge: &str, origin: &str) -> String {
        URL_SAFE_NO_PAD.encode(json!({"type": kind, "challenge": challenge, "origin": origin}).to_string())
    }

    #[test]
    fn a_passkey_is_registered_and_used() {
        let mut device = Device::new();
        let made = client("webauthn.create", HERE.challenge, HERE.origin);
        let passkey = register(&made, &device.create("vesta.test"), HERE, 0).expect("is taken");
        assert_eq!(passkey.id, URL_SAFE_NO_PAD.encode([1, 2, 3, 4]));
        let right = client("webauthn.get", HERE.challenge, HERE.origin);
        let (data, signature) = device.get("vesta.test", 0x05, &right);
        let assertion = Assertion { id: &passkey.id, client: &right, data: &data, signature: &signature };
        let used = passkey.used(assertion, HERE).expect("is right");
        assert_eq!(used.used(assertion, HERE), None, "the counter stands still");

        let mut refused = |party: &str, flags: u8, client: &str, why: &str| {
            let (data, signature) = device.get(party, flags, client);
            assert_eq!(
                used.used(Assertion { client, data: &data, signature: &signature, ..assertion }, HERE),
                None,
                "{why}"
            );
        };
        refused("other.test", 0x05, &right, "another party");
        refused("vesta.test", 0x01, &right, "not verified");
        refused("vesta.test", 0x05, &client("webauthn.create", HERE.challenge, HERE.origin), "another ceremony");
        refused("vesta.test", 0x05, &client("webauthn.get", "b3RoZXI", HERE.origin), "another challenge");
        refused("vesta.test", 0x05, &client("webauthn.get", HERE.challenge, "https://evil.test"), "another origin");
        let (data, signature) = Device { counter: 99, ..Device::new() }.get("vesta.test", 0x05, &right);
        assert_eq!(used.used(Assertion { data: &data, signature: &signature, ..assertion }, HERE), None, "another key");
    }

    #[test]
    fn an_rsa_key_is_taken_too() {
        use aws_lc_rs::rsa::KeySize;
        use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
        let device = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
        let modulus = device.public_key().modulus().big_endian_without_leading_zero().to_vec();
        let cose = [&[0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0][..], &modulus, &[0x21, 0x43, 1, 0, 1]].concat();
        let (key, exponent) = public_key(&cose).expect("is taken");
        let passkey = Passkey { id: "a".into(), key, exponent, counter: 0, added: 0 };
        let client = client("webauthn.get", HERE.challenge, HERE.origin);
        let mut data = digest(&SHA256, b"vesta.test").as_ref().to_vec();
        data.extend_from_slice(&[5, 0, 0, 0, 0]);
        let signed = [&data[..], digest(&SHA256, &decode(&client).expect("base64")).as_ref()].concat();
        let mut signature = vec![0; device.public_modulus_len()];
        device.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature).expect("signs");
        let (data, right) = (URL_SAFE_NO_PAD.encode(data), URL_SAFE_NO_PAD.encode(&signature));
        let assertion = Assertion { id: "a", client: &client, data: &data, signature: &right };
        assert!(passkey.used(assertion, HERE).is_some());
        signature[7] ^= 1;
        let wrong = URL_SAFE_NO_PAD.encode(&signature);
        assert!(passkey.used(Assertion { signature: &wrong, ..assertion }, HERE).is_none());
    }

    #[test]
    fn what_is_no_registration_is_refused() {
        let made = client("webauthn.create", HERE.challenge, HERE.origin);
        let whole = Device::new().create("vesta.test");
        let bytes = decode(&whole).expect("base64");
        for cut in 0..bytes.len() {
            assert_eq!(register(&made, &URL_SAFE_NO_PAD.encode(&bytes[..cut]), HERE, 0), None, "{cut}");
        }
        assert_eq!(register(&made, &Device::new().create("evil.test"), HERE, 0), None);
        let deep = URL_SAFE_NO_PAD.encode([&[0xa1, 0x61, b'a'][..], &[0x81; 200]].concat());
        assert_eq!(register(&made, &deep, HERE, 0), None);
    }

    #[test]
    fn the_party_is_the_host() {
        assert_eq!(party_of("https://vesta.test:8443"), Some("vesta.test"));
        assert_eq!(party_of("http://localhost"), Some("localhost"));
        assert_eq!(party_of("http://127.0.0.1:8080"), None);
        assert_eq!(party_of("http://[::1]:8080"), None);
    }
}
