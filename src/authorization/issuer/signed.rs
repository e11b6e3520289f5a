//! Tokens that the issuer has signed (JWT, RFC 9068): RS256, RS384, ES256 and ES384 and nothing else, by the keys that
//! the issuer publishes; keys and addresses in the token's own header are not looked at.

use super::{Issuer, Verified, Vouched, unreachable};
use crate::authorization::fetch;
use crate::authorization::jwk::key_of;
use crate::base::Failure;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde_json::{Map, Value};

/// What tokens may be signed with.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::RS256, Algorithm::RS384, Algorithm::ES256, Algorithm::ES384];

/// What the header may call the token: an id_token or a logout token says something else.
const TYPES: [&str; 3] = ["at+jwt", "application/at+jwt", "jwt"];

impl Issuer {
    /// The claims of a token, if the issuer has signed it.
    pub(super) async fn signed(&self, token: &str) -> Result<Option<Vouched>, Failure> {
        let Ok(header) = jsonwebtoken::decode_header(token) else { return Ok(None) };
        let Some(kid) = kid(&header) else { return Ok(None) };
        // Before anybody is asked for keys: what another issuer has made is not for here.
        let unverified = jsonwebtoken::dangerous::insecure_decode_claims::<Map<String, Value>>(token);
        let ours =
            |claims: &Map<String, Value>| claims.get("iss").and_then(Value::as_str) == Some(&self.trusted.issuer);
        if !unverified.is_ok_and(|claims| ours(&claims)) {
            return Ok(None);
        }
        let holds = |keys: &Value| key_of(keys, kid, header.alg).is_some();
        let keys = self.keys.get(holds, || self.fetch_keys()).await.ok_or_else(unreachable)?;
        let Some(key) = key_of(&keys.value, kid, header.alg) else { return Ok(None) };
        let mut validation = Validation::new(header.alg);
        // Times and audience are judged with all other claims.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.set_issuer(&[&self.trusted.issuer]);
        let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key, &validation);
        Ok(decoded.ok().map(|decoded| (decoded.claims, Some(keys))))
    }

    async fn fetch_keys(&self) -> Option<fetch::Fetched> {
        let Verified::Keys(set) = &self.trusted.verified else { return None };
        let url = self.endpoint(set.as_ref(), "jwks_uri").await?;
        let fetched = fetch::json_inside(&url).await?;
        fetched.value.get("keys").is_some_and(Value::is_array).then_some(fetched)
    }
}

/// The id of the key, if the header is one of a token that can be verified.
fn kid(header: &Header) -> Option<&str> {
    let typed = header.typ.as_ref().is_none_or(|typ| TYPES.iter().any(|known| typ.eq_ignore_ascii_case(known)));
    let fits = ALGORITHMS.contains(&header.alg) && header.crit.is_none() && typed;
    header.kid.as_deref().filter(|_| fits)
}
