//! Client assertions (RFC 7523, SMART asymmetric authentication): a JWT that a client has signed with a key that it
//! registered by value or by URL. RS384 and ES384 and nothing else; keys in the token's own header are not looked at;
//! each assertion works once.

use super::client::{Client, ClientKind};
use super::fetch::Fetched;
use super::jwk::key_of;
use super::refusal::Refusal;
use super::{Authorization, fetch, secret};
use crate::base::Timestamp;
use crate::interaction::{Endpoints, ItemWrite};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// `client_assertion_type`
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The collection of the assertions that were used.
const USED: &str = "used-assertion";

/// Longest assertion that is looked at.
const LONGEST: usize = 16 << 10;
/// How far ahead `exp` may be, in seconds (SMART backend services).
const AHEAD: i64 = 300;
/// How far clocks may differ, in seconds.
const SKEW: i64 = 60;
/// How often the keys of a client are fetched at most because of a key that is not among them.
const REFETCH: Duration = Duration::from_secs(10);

/// The keys of a client as they were last fetched.
pub(super) struct Fetch {
    at: Instant,
    fetched: Option<Arc<Fetched>>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Value,
    exp: i64,
    jti: String,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iat: Option<i64>,
}

/// The client that an assertion says it is of; nothing is verified yet.
pub(super) fn claimed(assertion: &str) -> Option<String> {
    if assertion.len() > LONGEST {
        return None;
    }
    jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(assertion).ok().map(|claims| claims.sub)
}

impl Authorization {
    /// Verifies an assertion of a client, and uses it up.
    pub(super) async fn verify_assertion(&self, assertion: &str, client: &Client, base: &str) -> Result<(), Refusal> {
        if client.kind != ClientKind::Asymmetric || assertion.len() > LONGEST {
            return Err(Refusal::client());
        }
        let header = jsonwebtoken::decode_header(assertion).map_err(|_| Refusal::client())?;
        if !matches!(header.alg, Algorithm::RS384 | Algorithm::ES384) || header.crit.is_some() {
            return Err(Refusal::client());
        }
        let kid = header.kid.ok_or_else(Refusal::client)?;
        let key = self.client_key(client, &kid, header.alg).await.ok_or_else(Refusal::client)?;
        let mut validation = Validation::new(header.alg);
        // Times are judged by our own clock below.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        let decoded = jsonwebtoken::decode::<Claims>(assertion, &key, &validation).map_err(|_| Refusal::client())?;
        let claims = decoded.claims;
        self.judge(&claims, client, base)?;
        self.use_up(&claims, client).await
    }

    fn judge(&self, claims: &Claims, client: &Client, base: &str) -> Result<(), Refusal> {
        let at = Endpoints::of(base);
        // One audience, and it is this server: an assertion for several could be used by each of them at the others.
        let aud = match &claims.aud {
            Value::String(aud) => Some(aud.as_str()),
            Value::Array(all) if all.len() == 1 => all.first().and_then(Value::as_str),
            _ => None,
        };
        let ours = aud.is_some_and(|aud| super::authorize::same_base(aud, &at.token) || aud == base);
        let now = self.clock.now().0 / 1_000_000;
        let timely = claims.exp > now - SKEW && claims.exp <= now + AHEAD + SKEW;
        let begun = claims.nbf.is_none_or(|nbf| nbf <= now + SKEW) && claims.iat.is_none_or(|iat| iat <= now + SKEW);
        let named = claims.iss == client.id && claims.sub == client.id;
        match named && ours && timely && begun && (1..=256).contains(&claims.jti.len()) {
            true => Ok(()),
            false => Err(Refusal::client()),
        }
    }

    /// Remembers that an assertion was used, in the store, so that it is not used again anywhere, also not after a
    /// restart.
    async fn use_up(&self, claims: &Claims, client: &Client) -> Result<(), Refusal> {
        let key = secret::digest(&format!("{}\n{}", client.id, claims.jti));
        // Longer than it would be accepted.
        let end = Timestamp((claims.exp + 2 * SKEW) * 1_000_000);
        let write = ItemWrite::create(USED, key, Vec::new()).until(end);
        match self.records.try_commit(vec![write]).await? {
            true => Ok(()),
            false => Err(Refusal::client()),
        }
    }

    /// The key of a client with an id, for an algorithm. Of several with the same id none counts.
    async fn client_key(&self, client: &Client, kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
        if let Some(keys) = &client.jwks {
            return key_of(keys, kid, algorithm);
        }
        let url = client.jwks_uri.as_deref()?;
        let kept = self.fetched.read().get(url).map(|f| (f.at, f.fetched.clone()));
        if let Some((at, fetched)) = kept {
            let fresh = fetched.as_ref().map_or(REFETCH, |f| f.fresh);
            let found = fetched.as_ref().and_then(|f| key_of(&f.value, kid, algorithm));
            if at.elapsed() < fresh && (found.is_some() || at.elapsed() < REFETCH) {
                return found;
            }
        }
        self.fetch_keys(url).await.and_then(|fetched| key_of(&fetched.value, kid, algorithm))
    }

    async fn fetch_keys(&self, url: &str) -> Option<Arc<Fetched>> {
        // Before it is there, so that a flood of requests leads to one fetch, not to many.
        let remember = |fetched: Option<Arc<Fetched>>| {
            let mut all = self.fetched.write();
            if all.len() > 1_000 {
                all.clear();
            }
            all.insert(url.to_owned(), Fetch { at: Instant::now(), fetched });
        };
        let before = self.fetched.read().get(url).and_then(|f| f.fetched.clone());
        remember(before);
        let fetched = fetch::json(url, self.settings.fetch_from_loopback).await.map(Arc::new);
        remember(fetched.clone());
        fetched
    }
}

/// Whether a key set can be registered: a set of public keys of which at least one can be used.
pub fn is_usable(keys: &Value) -> bool {
    let Some(all) = keys.get("keys").and_then(Value::as_array) else { return false };
    let private = all.iter().any(|key| key.get("d").is_some() || key.get("k").is_some());
    let usable = |key: &Value| {
        key.get("kid").and_then(Value::as_str).is_some_and(|kid| {
            [Algorithm::RS384, Algorithm::ES384].into_iter().any(|algorithm| key_of(keys, kid, algorithm).is_some())
        })
    };
    !private && all.iter().any(usable)
}
