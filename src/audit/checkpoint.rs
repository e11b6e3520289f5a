//! Checkpoints: a signed note of where the trail ended at some moment, kept by an auditor elsewhere. Whoever has the
//! whole machine can write the whole trail anew, but not so that it still fits a checkpoint that was taken away before.

use crate::base::{TenantId, Timestamp};
use crate::store::{Hash, Head};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Where a trail ended, signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose trail.
    pub tenant: TenantId,
    /// Its last record.
    pub head: Head,
    /// When the checkpoint was made.
    pub made: Timestamp,
    /// The public key (Ed25519) of the server.
    pub key: Vec<u8>,
    signature: Vec<u8>,
}

/// Why a checkpoint cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// It is no checkpoint.
    Unreadable(String),
    /// Its signature does not belong to it.
    Forged,
}

impl std::fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CheckpointError::Unreadable(why) => write!(f, "this is no checkpoint: {why}"),
            CheckpointError::Forged => f.write_str("the signature does not belong to this checkpoint: it was changed"),
        }
    }
}

impl std::error::Error for CheckpointError {}

/// The key that signs checkpoints.
pub struct SigningKey {
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A new key, as PKCS #8.
    pub fn generate() -> Result<Vec<u8>, String> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        made.map(|document| document.as_ref().to_vec()).map_err(|_| "no key can be made".to_owned())
    }

    /// A key that was made earlier.
    pub fn read(pkcs8: &[u8]) -> Result<SigningKey, String> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_| "the signing key is damaged".to_owned())?;
        Ok(SigningKey { pair })
    }

    /// The public half.
    pub fn public(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// Vouches for the end of a trail.
    pub fn sign(&self, tenant: TenantId, head: Head, made: Timestamp) -> Checkpoint {
        let signature = self.pair.sign(&message(tenant, &head, made)).as_ref().to_vec();
        Checkpoint { tenant, head, made, key: self.public().to_vec(), signature }
    }
}

/// The bytes that are signed.
fn message(tenant: TenantId, head: &Head, made: Timestamp) -> Vec<u8> {
    let mut message = b"vesta checkpoint 1".to_vec();
    message.extend_from_slice(&tenant.0.to_be_bytes());
    message.extend_from_slice(&head.number.to_be_bytes());
    message.extend_from_slice(&head.hash);
    message.extend_from_slice(&head.last_updated.0.to_be_bytes());
    message.extend_from_slice(&made.0.to_be_bytes());
    message
}

impl Checkpoint {
    /// As it is kept in a file: JSON, to be read by people too.
    pub fn to_json(&self) -> String {
        let value = serde_json::json!({
            "vesta-checkpoint": 1,
            "tenant": self.tenant.0,
            "records": self.head.number,
            "hash": hex(&self.head.hash),
            "last-record": self.head.last_updated.0,
            "last-record-at": self.head.last_updated.to_instant(),
            "made": self.made.0,
            "made-at": self.made.to_instant(),
            "key": STANDARD.encode(&self.key),
            "signature": STANDARD.encode(&self.signature),
        });
        let mut text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a checkpoint and tries its signature.
    pub fn of_json(text: &str) -> Result<Checkpoint, CheckpointError> {
        let unreadable = |why: &str| CheckpointError::Unreadable(why.to_owned());
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|e| CheckpointError::Unreadable(e.to_string()))?;
        let number = |name: &str| value.get(name).and_then(serde_json::Value::as_i64);
        let bytes = |name: &str| value.get(name).and_then(|v| v.as_str()).and_then(|t| STANDARD.decode(t).ok());
        if number("vesta-checkpoint") != Some(1) {
            return Err(unreadable("'vesta-checkpoint' is not 1"));
        }
        let tenant = number("tenant").and_then(|n| u32::try_from(n).ok()).ok_or_else(|| unreadable("no 'tenant'"))?;
        let records =
            number("records").and_then(|n| u64::try_from(n).ok()).ok_or_else(|| unreadable("no 'records'"))?;
        let hash = value.get("hash").and_then(|v| v.as_str()).and_then(unhex).ok_or_else(|| unreadable("no 'hash'"))?;
        let last = number("last-record").ok_or_else(|| unreadable("no 'last-record'"))?;
        let checkpoint = Checkpoint {
            tenant: TenantId(tenant),
            head: Head { number: records, hash, last_updated: Timestamp(last) },
            made: Timestamp(number("made").ok_or_else(|| unreadable("no 'made'"))?),
            key: bytes("key").ok_or_else(|| unreadable("no 'key'"))?,
            signature: bytes("signature").ok_or_else(|| unreadable("no 'signature'"))?,
        };
        let signed = message(checkpoint.tenant, &checkpoint.head, checkpoint.made);
        let key = UnparsedPublicKey::new(&ED25519, &checkpoint.key);
        key.verify(&signed, &checkpoint.signature).map_err(|_| CheckpointError::Forged)?;
        Ok(checkpoint)
    }
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (i, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkpoint() -> Checkpoint {
        let key = SigningKey::read(&SigningKey::generate().expect("a key")).expect("readable");
        let head = Head { number: 12, hash: [0xAB; 32], last_updated: Timestamp(1_792_828_800_123_456) };
        key.sign(TenantId(3), head, Timestamp(1_792_828_900_000_000))
    }

    #[test]
    fn checkpoints_are_read_back() {
        let made = checkpoint();
        assert_eq!(Checkpoint::of_json(&made.to_json()), Ok(made));
    }

    #[test]
    fn what_was_changed_is_noticed() {
        let text = checkpoint().to_json();
        for (from, to) in [("\"records\": 12", "\"records\": 11"), ("abab", "abac"), ("\"tenant\": 3", "\"tenant\": 4")]
        {
            assert!(text.contains(from), "{from}");
            assert_eq!(Checkpoint::of_json(&text.replacen(from, to, 1)), Err(CheckpointError::Forged), "{from}");
        }
        let other = checkpoint();
        let swapped = text
            .replace(&STANDARD.encode(&Checkpoint::of_json(&text).expect("sound").key), &STANDARD.encode(&other.key));
        assert_eq!(Checkpoint::of_json(&swapped), Err(CheckpointError::Forged));
        for wrong in ["", "{}", "[]", "{\"vesta-checkpoint\":1}"] {
            assert!(matches!(Checkpoint::of_json(wrong), Err(CheckpointError::Unreadable(_))), "{wrong}");
        }
    }
}
