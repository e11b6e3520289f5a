//! Keys of others, as JSON Web Keys (RFC 7517): which key of a set an id and an algorithm mean. Keys that are too weak
//! or that nobody can tell apart are none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// Most keys of a set that are looked at.
const MOST: usize = 100;
/// Bytes of the modulus of an RSA key at least.
const RSA: usize = 256;

/// The key of a set with an id, for an algorithm. Of several with the same id none counts.
pub(super) fn key_of(keys: &Value, kid: &str, algorithm: Algorithm) -> Option<DecodingKey> {
    let keys = keys.get("keys")?.as_array()?;
    if keys.len() > MOST {
        return None;
    }
    let mut matching = keys.iter().filter(|key| key.get("kid").and_then(Value::as_str) == Some(kid));
    let only = matching.next()?;
    if matching.next().is_some() {
        return None;
    }
    let key: Jwk = serde_json::from_value(only.clone()).ok()?;
    let signs = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let told = only.get("alg").and_then(Value::as_str);
    let fits = match (&key.algorithm, algorithm) {
        (AlgorithmParameters::RSA(rsa), Algorithm::RS256 | Algorithm::RS384) => {
            URL_SAFE_NO_PAD.decode(&rsa.n).ok()?.len() >= RSA
        }
        (AlgorithmParameters::EllipticCurve(ec), Algorithm::ES256) => ec.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(ec), Algorithm::ES384) => ec.curve == EllipticCurve::P384,
        _ => false,
    };
    let named = told.is_none_or(|told| name(algorithm) == Some(told));
    if signs && fits && named { DecodingKey::from_jwk(&key).ok() } else { None }
}

/// The name of an algorithm that a key can be for.
fn name(algorithm: Algorithm) -> Option<&'static str> {
    match algorithm {
        Algorithm::RS256 => Some("RS256"),
        Algorithm::RS384 => Some("RS384"),
        Algorithm::ES256 => Some("ES256"),
        Algorithm::ES384 => Some("ES384"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_is_used_for_what_it_is_only() {
        let modulus = |bytes: usize| URL_SAFE_NO_PAD.encode(vec![0xc5; bytes]);
        let rsa = |kid: &str, bytes: usize| json!({"kty": "RSA", "kid": kid, "n": modulus(bytes), "e": "AQAB"});
        let keys = json!({"keys": [
            rsa("strong", 256), rsa("weak", 128), rsa("twice", 256), rsa("twice", 256),
            {"kty": "RSA", "kid": "named", "alg": "RS384", "n": modulus(256), "e": "AQAB"},
            {"kty": "RSA", "kid": "sealing", "use": "enc", "n": modulus(256), "e": "AQAB"},
            {"kty": "oct", "kid": "shared", "k": "AAAA"},
        ]});
        let check = |kid: &str, algorithm, expected: bool| {
            assert_eq!(key_of(&keys, kid, algorithm).is_some(), expected, "{kid} {algorithm:?}");
        };
        check("strong", Algorithm::RS256, true);
        check("strong", Algorithm::RS384, true);
        check("strong", Algorithm::ES384, false);
        check("strong", Algorithm::HS256, false);
        check("weak", Algorithm::RS256, false);
        check("twice", Algorithm::RS256, false);
        check("named", Algorithm::RS384, true);
        check("named", Algorithm::RS256, false);
        check("sealing", Algorithm::RS256, false);
        check("shared", Algorithm::HS256, false);
        check("missing", Algorithm::RS256, false);
    }
}
