//! What is published about the authorization server: `smart-configuration` (SMART App Launch 2.2), OpenID Connect's
//! provider metadata, and the style of the pages around an app. Only what is served; tests compare them with each
//! other and with the CapabilityStatement.

use super::Authorization;
use crate::interaction::Endpoints;
use serde_json::{Value, json};

/// The SMART capabilities.
const CAPABILITIES: &[&str] = &[
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
];

/// How clients may prove who they are.
pub(super) const CLIENT_METHODS: &[&str] = &["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];

/// What a client's assertion may be signed with.
pub(super) const ASSERTION_ALGORITHMS: &[&str] = &["RS384", "ES384"];

const GRANTS: &[&str] = &["authorization_code", "refresh_token", "client_credentials"];

const SCOPES: &[&str] = &[
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.cruds",
];

impl Authorization {
    /// `.well-known/smart-configuration`
    pub fn smart_configuration(&self, base: &str) -> Value {
        let mut document = common(base);
        document["capabilities"] = json!(CAPABILITIES);
        let origin = crate::interaction::origin(base);
        document["user_access_brand_bundle"] = json!(Endpoints::of(base).brands);
        document["user_access_brand_identifier"] = json!({"system": "urn:ietf:rfc:3986", "value": origin});
        document["management_endpoint"] = json!(Endpoints::of(base).manage);
        document
    }

    /// `.well-known/openid-configuration`
    pub fn openid_configuration(&self, base: &str) -> Value {
        let mut document = common(base);
        document["subject_types_supported"] = json!(["public"]);
        document["id_token_signing_alg_values_supported"] = json!(["RS256"]);
        document["claims_supported"] =
            json!(["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser", "profile", "name"]);
        document["prompt_values_supported"] = json!(["none", "login", "consent"]);
        document["request_parameter_supported"] = json!(false);
        document["request_uri_parameter_supported"] = json!(false);
        document["claims_parameter_supported"] = json!(false);
        document
    }
}

/// What both documents say.
fn common(base: &str) -> Value {
    let at = Endpoints::of(base);
    json!({
        "issuer": base,
        "authorization_endpoint": at.authorize,
        "token_endpoint": at.token,
        "jwks_uri": at.keys,
        "introspection_endpoint": at.introspect,
        "revocation_endpoint": at.revoke,
        "registration_endpoint": at.register,
        "scopes_supported": SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": GRANTS,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": CLIENT_METHODS,
        "token_endpoint_auth_signing_alg_values_supported": ASSERTION_ALGORITHMS,
        "authorization_response_iss_parameter_supported": true
    })
}

/// The document that `smart_style_url` names: colours and sizes of what stands around an app.
pub(super) fn style() -> Value {
    json!({
        "color_background": "#ffffff",
        "color_error": "#a4262c",
        "color_highlight": "#0b5cad",
        "color_modal_backdrop": "rgba(0, 0, 0, 0.5)",
        "color_success": "#1b6e3c",
        "color_text": "#1d1d1b",
        "dim_border_radius": "4px",
        "dim_font_size": "16px",
        "dim_spacing_size": "16px",
        "font_family_body": "system-ui, sans-serif",
        "font_family_heading": "system-ui, sans-serif"
    })
}
