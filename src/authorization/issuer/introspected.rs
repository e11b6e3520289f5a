//! Tokens that only the issuer can read: it is asked about each (RFC 7662), with this server's own credentials there.
//! What it says is kept for ten seconds at most and never beyond the end of the token.

use super::{Issuer, Verified, Vouched, unreachable};
use crate::authorization::fetch;
use crate::base::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::path::Path;

impl Issuer {
    /// The claims of a token, if the issuer says that it is active.
    pub(super) async fn introspected(
        &self,
        token: &str,
        client: &str,
        secret: &Path,
    ) -> Result<Option<Vouched>, Failure> {
        let Verified::Introspection { url, .. } = &self.trusted.verified else { return Ok(None) };
        let url = self.endpoint(url.as_ref(), "introspection_endpoint").await.ok_or_else(unreachable)?;
        let secret = std::fs::read_to_string(secret)
            .map_err(|e| Failure::internal(format_args!("the secret for introspection cannot be read: {e}")))?;
        // RFC 6749 2.3.1: both are encoded as in a form.
        let coded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pair = format!("{}:{}", coded(client), coded(secret.trim()));
        let basic = format!("Basic {}", STANDARD.encode(pair));
        let _turn = self.asking.acquire().await.map_err(Failure::internal)?;
        let form = [("token", token), ("token_type_hint", "access_token")];
        let told = fetch::form_inside(&url, &basic, &form).await.ok_or_else(unreachable)?;
        let Value::Object(claims) = told.value else { return Err(unreachable()) };
        Ok((claims.get("active") == Some(&Value::Bool(true))).then_some((claims, None)))
    }
}
