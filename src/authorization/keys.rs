//! Signing keys: made here, kept as records, never shown. A new key signs at once; the one before it stays in the
//! published set until what it signed is over. RS256 and ES256. Verifies nothing.

use super::Authorization;
use crate::base::{Failure, Timestamp};
use crate::interaction::{Item, ItemWrite, Records};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The collection of the records.
pub const COLLECTION: &str = "signing-key";

/// How long a key signs before a new one is made by itself.
const ROTATION: i64 = 90 * 86_400 * 1_000_000;

/// How long a key stays published after the next one has taken its place. Nothing that it signed is valid longer.
const OVERLAP: i64 = 2 * 86_400 * 1_000_000;

/// How long the keys are taken as they were read.
const FRESH: Duration = Duration::from_secs(1);

/// What a key signs with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub enum Algorithm {
    RS256,
    ES256,
}

impl Algorithm {
    /// Its name in JOSE.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::RS256 => "RS256",
            Algorithm::ES256 => "ES256",
        }
    }
}

/// A key as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    algorithm: Algorithm,
    /// PKCS #8, base64url.
    private: String,
    /// When it was made, in microseconds since the epoch.
    made: i64,
    /// Whether another key has taken its place.
    #[serde(default)]
    replaced: bool,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Elliptic(EcdsaKeyPair),
}

/// A key that can sign.
pub struct SigningKey {
    /// Its id.
    pub id: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// When it was made.
    pub made: Timestamp,
    /// Whether another key has taken its place.
    pub replaced: bool,
    /// When it is not published any more.
    pub ends: Option<Timestamp>,
    pair: Pair,
}

/// The keys as they were last read.
#[derive(Default)]
pub(super) struct Keys(parking_lot::RwLock<Option<(Instant, Vec<Arc<SigningKey>>)>>);

impl Keys {
    /// They are read anew when they are needed next.
    pub(super) fn forget(&self) {
        *self.0.write() = None;
    }
}

impl SigningKey {
    fn of(item: &Item) -> Result<SigningKey, Failure> {
        let damaged = |why: &dyn std::fmt::Display| Failure::internal(format_args!("signing key {}: {why}", item.key));
        let kept: Kept = serde_json::from_slice(&item.value).map_err(|e| damaged(&e))?;
        let private = URL_SAFE_NO_PAD.decode(&kept.private).map_err(|_| damaged(&"not base64url"))?;
        let pair = match kept.algorithm {
            Algorithm::RS256 => Pair::Rsa(Box::new(RsaKeyPair::from_pkcs8(&private).map_err(|e| damaged(&e))?)),
            Algorithm::ES256 => Pair::Elliptic(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &private).map_err(|e| damaged(&e))?,
            ),
        };
        Ok(SigningKey {
            id: item.key.clone(),
            algorithm: kept.algorithm,
            made: Timestamp(kept.made),
            replaced: kept.replaced,
            ends: item.expires,
            pair,
        })
    }

    /// Signs claims as a compact JWS.
    pub fn sign(&self, typ: &str, claims: &Value) -> Result<String, Failure> {
        let header = json!({"alg": self.algorithm.name(), "typ": typ, "kid": self.id});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", part(&header), part(claims));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, text.as_bytes(), &mut signature);
                signed.map_err(|_| Failure::internal("signing failed"))?;
                signature
            }
            Pair::Elliptic(pair) => {
                let signed = pair.sign(&random, text.as_bytes());
                signed.map_err(|_| Failure::internal("signing failed"))?.as_ref().to_vec()
            }
        };
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// The public part as a JSON Web Key.
    pub fn public(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut key = json!({"use": "sig", "alg": self.algorithm.name(), "kid": self.id});
        match &self.pair {
            Pair::Rsa(pair) => {
                let parts = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                key["kty"] = json!("RSA");
                key["n"] = json!(text(&parts.n));
                key["e"] = json!(text(&parts.e));
            }
            Pair::Elliptic(pair) => {
                // An uncompressed point: 4, then 32 bytes each of x and y.
                let point = pair.public_key().as_ref();
                key["kty"] = json!("EC");
                key["crv"] = json!("P-256");
                key["x"] = json!(text(point.get(1..33).unwrap_or_default()));
                key["y"] = json!(text(point.get(33..65).unwrap_or_default()));
            }
        }
        key
    }
}

fn make(algorithm: Algorithm, now: Timestamp) -> Result<Kept, Failure> {
    let failed = |_| Failure::internal("a signing key could not be made");
    let private = match algorithm {
        Algorithm::RS256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
            pair.as_der().map_err(failed)?.as_ref().to_vec()
        }
        Algorithm::ES256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
            pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
        }
    };
    Ok(Kept { algorithm, private: URL_SAFE_NO_PAD.encode(private), made: now.0, replaced: false })
}

impl Authorization {
    /// All keys that are published, newest first.
    pub async fn signing_keys(&self) -> Result<Vec<Arc<SigningKey>>, Failure> {
        if let Some((at, keys)) = &*self.keys.0.read()
            && at.elapsed() < FRESH
        {
            return Ok(keys.clone());
        }
        let items = self.records.list(COLLECTION, None, 1_000).await?;
        let mut keys = items.iter().map(|item| SigningKey::of(item).map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        keys.sort_by_key(|key| std::cmp::Reverse(key.made));
        *self.keys.0.write() = Some((Instant::now(), keys.clone()));
        Ok(keys)
    }

    /// The key that signs now; made if there is none or the last one is old.
    pub async fn signing_key(&self, algorithm: Algorithm) -> Result<Arc<SigningKey>, Failure> {
        let newest =
            |keys: &[Arc<SigningKey>]| keys.iter().find(|key| key.algorithm == algorithm && !key.replaced).cloned();
        let now = self.clock.now();
        match newest(&self.signing_keys().await?) {
            Some(key) if now.0 - key.made.0 < ROTATION => Ok(key),
            _ => {
                self.rotate_key(algorithm).await?;
                newest(&self.signing_keys().await?).ok_or_else(|| Failure::internal("there is no signing key"))
            }
        }
    }

    /// Makes a new key, which signs from now on; the one before stays published for two days. If somebody else does
    /// the same at the same time, one of the two new keys is enough.
    pub async fn rotate_key(&self, algorithm: Algorithm) -> Result<(), Failure> {
        self.rotate_key_in(&self.records, algorithm).await
    }

    /// The same in records that tell the audit trail.
    pub(super) async fn rotate_key_in(&self, records: &Records, algorithm: Algorithm) -> Result<(), Failure> {
        let now = self.clock.now();
        let made = tokio::task::spawn_blocking(move || make(algorithm, now)).await;
        let made = made.map_err(|_| Failure::internal("making a signing key panicked"))??;
        let mut writes = Vec::new();
        for item in records.list(COLLECTION, None, 1_000).await? {
            let mut kept: Kept = serde_json::from_slice(&item.value).map_err(Failure::internal)?;
            if kept.algorithm == algorithm && !kept.replaced {
                kept.replaced = true;
                let write = ItemWrite::replace(COLLECTION, &item, super::json_bytes(&kept)?);
                writes.push(write.until(Timestamp(now.0 + OVERLAP)));
            }
        }
        writes.push(ItemWrite::create(COLLECTION, super::secret::short(), super::json_bytes(&made)?));
        records.try_commit(writes).await?;
        *self.keys.0.write() = None;
        Ok(())
    }

    /// The JSON Web Key Set (RFC 7517): public parts only.
    pub async fn jwks(&self) -> Result<Value, Failure> {
        for algorithm in [Algorithm::RS256, Algorithm::ES256] {
            self.signing_key(algorithm).await?;
        }
        let keys = self.signing_keys().await?;
        Ok(json!({"keys": keys.iter().map(|key| key.public()).collect::<Vec<_>>()}))
    }
}
