//! A device with a passkey, as a browser speaks for it: what it sends when one is made and when somebody signs in by it.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

/// The id of its one credential.
const ID: [u8; 4] = [1, 2, 3, 4];

/// A device whose user is always there and verified.
pub struct Device {
    origin: String,
    key: EcdsaKeyPair,
    counter: u32,
}

impl Device {
    /// A device that trusts the page of an origin (`http://localhost:8080`).
    pub fn at(origin: &str) -> Device {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).expect("a key");
        Device { origin: origin.to_owned(), key, counter: 0 }
    }

    /// The id of its credential.
    pub fn id(&self) -> String {
        URL_SAFE_NO_PAD.encode(ID)
    }

    fn client(&self, kind: &str, challenge: &str) -> String {
        json!({"type": kind, "challenge": challenge, "origin": self.origin}).to_string()
    }

    fn data(&mut self, flags: u8) -> Vec<u8> {
        self.counter += 1;
        let host = self.origin.split("://").nth(1).and_then(|rest| rest.split(':').next()).expect("a host");
        [digest(&SHA256, host.as_bytes()).as_ref(), &[flags], &self.counter.to_be_bytes()].concat()
    }

    /// The fields of the form by which a passkey is added.
    pub fn create(&mut self, challenge: &str) -> Vec<(&'static str, String)> {
        let mut data = self.data(0x45);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&[0, ID.len() as u8]);
        data.extend_from_slice(&ID);
        let point = self.key.public_key().as_ref();
        data.extend_from_slice(&[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32]);
        data.extend_from_slice(&point[1..33]);
        data.extend_from_slice(&[0x22, 0x58, 32]);
        data.extend_from_slice(&point[33..]);
        let mut whole = vec![0xa3, 0x63];
        whole.extend_from_slice(b"fmt\x64none\x67attStmt\xa0\x68authData\x58");
        whole.push(u8::try_from(data.len()).expect("short"));
        whole.extend_from_slice(&data);
        vec![
            ("challenge", challenge.to_owned()),
            ("client", URL_SAFE_NO_PAD.encode(self.client("webauthn.create", challenge))),
            ("attestation", URL_SAFE_NO_PAD.encode(whole)),
        ]
    }

    /// The fields of the form by which somebody signs in; `handle` names the user.
    pub fn get(&mut self, challenge: &str, handle: &str) -> Vec<(&'static str, String)> {
        let client = self.client("webauthn.get", challenge);
        let data = self.data(0x05);
        let signed = [&data[..], digest(&SHA256, client.as_bytes()).as_ref()].concat();
        let signature = self.key.sign(&SystemRandom::new(), &signed).expect("signs");
        vec![
            ("challenge", challenge.to_owned()),
            ("handle", handle.to_owned()),
            ("id", self.id()),
            ("client", URL_SAFE_NO_PAD.encode(client)),
            ("data", URL_SAFE_NO_PAD.encode(data)),
            ("signature", URL_SAFE_NO_PAD.encode(signature.as_ref())),
        ]
    }
}
