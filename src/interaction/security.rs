//! The addresses of the authorization server, as the CapabilityStatement and the discovery documents name them: one
//! function for both, so that they cannot disagree.

/// Path of the authorization server from the root of the server, without slashes.
pub const PATH: &str = "auth";

/// The addresses, absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Endpoints {
    pub authorize: String,
    pub token: String,
    pub introspect: String,
    pub revoke: String,
    pub manage: String,
    pub register: String,
    pub keys: String,
    pub style: String,
    pub brands: String,
    pub launch: String,
}

impl Endpoints {
    /// The addresses that belong to a FHIR base.
    pub fn of(base: &str) -> Endpoints {
        let root = format!("{}/{PATH}", origin(base));
        let at = |name: &str| format!("{root}/{name}");
        Endpoints {
            authorize: at("authorize"),
            token: at("token"),
            introspect: at("introspect"),
            revoke: at("revoke"),
            manage: at("apps"),
            register: at("register"),
            keys: at("jwks.json"),
            style: at("style.json"),
            brands: at("brands.json"),
            launch: at("launch"),
        }
    }
}

/// Scheme, host and port of an absolute address.
pub fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    &address[..end]
}
