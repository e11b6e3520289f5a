//! Access tokens of an outside authorization server: an organisation that has one already lets it issue the tokens and
//! Vesta judge by them. A token is verified either by the issuer's keys (`signed`: a JWT, RFC 9068) or by asking the
//! issuer (`introspected`: RFC 7662); what its claims mean here is read in `claims`; the issuer's documents are kept in
//! `shelf`. Whatever cannot be verified is refused: an issuer that does not answer is a 503, never an acceptance.
//!
//! Such tokens open the FHIR API and nothing else: introspection, launches and pages of this server are for its own.

mod claims;
mod introspected;
mod shelf;
mod signed;

use super::exchange::{Answered, Content, Went};
use super::{fetch, secret};
use crate::access::{Principal, Role};
use crate::base::{Clock, Failure, FailureKind, IssueCode, Timestamp};
use crate::definitions::Definitions;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value, json};
use shelf::Shelf;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest token that is looked at.
const LONGEST: usize = 16 << 10;
/// Verified tokens that are kept in memory at most.
const MOST: usize = 10_000;
/// How long a verified token is not verified again.
const FRESH: Duration = Duration::from_secs(10);

/// An outside authorization server, as the settings name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trusted {
    /// What its tokens say in `iss`, character by character.
    pub issuer: String,
    /// What its tokens have to name in `aud`: this server.
    pub audience: String,
    /// How they are verified.
    pub verified: Verified,
    /// The claim that tells the role, such as `groups`; inner claims by a dot.
    pub role_claim: Option<String>,
    /// Which value of that claim is which role.
    pub roles: Vec<(String, Role)>,
    /// The claim that tells the resource that stands for the user.
    pub user_claim: String,
    /// The claim that tells the patient of the launch context.
    pub patient_claim: String,
    /// The FHIR bases of this server, for absolute references in claims.
    pub bases: Vec<String>,
    /// How often the issuer is asked again at most because of a key that is not known, or while it does not answer.
    pub pause: Duration,
}

/// How tokens are verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verified {
    /// By the issuer's keys, at this address or where its metadata say.
    Keys(Option<String>),
    /// By asking the issuer, at this address or where its metadata say.
    Introspection {
        /// The address.
        url: Option<String>,
        /// This server's `client_id` there.
        client: String,
        /// The file with its secret there.
        secret: PathBuf,
    },
}

impl Trusted {
    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<String> {
        let named = match &self.verified {
            Verified::Keys(url) | Verified::Introspection { url, .. } => url,
        };
        let mut all = [Some(&self.issuer), named.as_ref()].into_iter().flatten();
        let wrong = all.find(|url| !fetch::is_well_written(url, true))?;
        Some(format!("'{wrong}' has to be an https address (or http on this machine)"))
    }
}

/// An outside authorization server at work.
pub(super) struct Issuer {
    trusted: Trusted,
    clock: Arc<dyn Clock>,
    definitions: Arc<Definitions>,
    metadata: Shelf,
    keys: Shelf,
    /// Verified tokens by digest.
    seen: RwLock<FxHashMap<String, Seen>>,
    /// So that a flood of tokens does not become a flood of questions.
    asking: tokio::sync::Semaphore,
}

/// A verified token.
struct Seen {
    at: Instant,
    ends: Timestamp,
    /// The set of keys that it was verified by.
    keys: Option<Arc<fetch::Fetched>>,
    principal: Arc<Principal>,
}

/// Claims that somebody vouches for, and the keys that did.
type Vouched = (Map<String, Value>, Option<Arc<fetch::Fetched>>);

impl Issuer {
    pub(super) fn new(trusted: Trusted, clock: Arc<dyn Clock>, definitions: Arc<Definitions>) -> Issuer {
        let (metadata, keys) = (Shelf::new(trusted.pause), Shelf::new(trusted.pause));
        let asking = tokio::sync::Semaphore::new(16);
        Issuer { trusted, clock, definitions, metadata, keys, seen: RwLock::default(), asking }
    }

    /// Whom a token of the issuer stands for, if it is valid now.
    pub(super) async fn caller(&self, token: &str) -> Result<Option<Arc<Principal>>, Failure> {
        if token.len() > LONGEST || !token.is_ascii() {
            return Ok(None);
        }
        let digest = secret::digest(token);
        if let Some(principal) = self.known(&digest) {
            return Ok(Some(principal));
        }
        let vouched = match &self.trusted.verified {
            Verified::Keys(_) => self.signed(token).await?,
            Verified::Introspection { client, secret, .. } => self.introspected(token, client, secret).await?,
        };
        let Some((claims, keys)) = vouched else { return Ok(None) };
        match self.read(&claims, &digest) {
            Ok((principal, ends)) => {
                let principal = Arc::new(principal);
                self.keep(digest, Seen { at: Instant::now(), ends, keys, principal: principal.clone() });
                Ok(Some(principal))
            }
            Err(why) => {
                tracing::info!(why, "a token of the outside authorization server is refused");
                Ok(None)
            }
        }
    }

    fn known(&self, digest: &str) -> Option<Arc<Principal>> {
        let seen = self.seen.read();
        let seen = seen.get(digest)?;
        let by_keys = match &seen.keys {
            // A key that was taken away counts no more as soon as that is known.
            Some(keys) => self.keys.fresh().is_some_and(|now| Arc::ptr_eq(&now, keys)),
            None => true,
        };
        let holds = by_keys && seen.at.elapsed() < FRESH && self.clock.now() < seen.ends;
        holds.then(|| seen.principal.clone())
    }

    fn keep(&self, digest: String, seen: Seen) {
        let mut all = self.seen.write();
        if all.len() >= MOST {
            all.retain(|_, seen| seen.at.elapsed() < FRESH);
        }
        if all.len() < MOST {
            all.insert(digest, seen);
        }
    }

    /// The issuer's metadata (OpenID Connect Discovery, RFC 8414). Those of somebody else are none.
    async fn metadata(&self) -> Option<Arc<fetch::Fetched>> {
        let fetch = || async {
            let issuer = self.trusted.issuer.trim_end_matches('/');
            let ours = |found: &fetch::Fetched| found.value["issuer"].as_str() == Some(&self.trusted.issuer);
            let openid = fetch::json_inside(&format!("{issuer}/.well-known/openid-configuration")).await;
            if let Some(found) = openid.filter(ours) {
                return Some(found);
            }
            let origin = crate::interaction::origin(issuer);
            let path = issuer.strip_prefix(origin).unwrap_or_default();
            let oauth = fetch::json_inside(&format!("{origin}/.well-known/oauth-authorization-server{path}")).await;
            oauth.filter(ours)
        };
        self.metadata.get(|_| true, fetch).await
    }

    /// The address of an endpoint: the one in the settings, or the one in the issuer's metadata.
    async fn endpoint(&self, set: Option<&String>, name: &str) -> Option<String> {
        match set {
            Some(url) => Some(url.clone()),
            None => self.metadata().await?.value[name].as_str().map(str::to_owned),
        }
    }

    /// A well-known document under the FHIR base: where apps get their tokens is the issuer's to say, so that its own
    /// words are given on.
    pub(super) async fn well_known(&self, name: &str) -> Option<Answered> {
        match name {
            "smart-configuration" => Some(match self.metadata().await {
                Some(metadata) => Answered::json(smart_configuration(&metadata.value)).public(60),
                None => Answered::new(Went::Unavailable, Content::Json(json!({"error": "temporarily_unavailable"}))),
            }),
            // Only the issuer itself can say this of itself (OpenID Connect Discovery 4.3).
            "openid-configuration" => Some(Answered::new(Went::NotFound, Content::Nothing)),
            _ => None,
        }
    }
}

/// What this server enforces, whoever issues the tokens.
const ENFORCED: [&str; 4] = ["permission-patient", "permission-user", "permission-v1", "permission-v2"];

/// What of the issuer's metadata belongs into a `smart-configuration`.
const GIVEN_ON: [&str; 13] = [
    "issuer",
    "jwks_uri",
    "authorization_endpoint",
    "token_endpoint",
    "introspection_endpoint",
    "revocation_endpoint",
    "registration_endpoint",
    "management_endpoint",
    "scopes_supported",
    "response_types_supported",
    "grant_types_supported",
    "code_challenge_methods_supported",
    "token_endpoint_auth_methods_supported",
];

fn smart_configuration(metadata: &Value) -> Value {
    let mut document = Map::new();
    for name in GIVEN_ON {
        if let Some(value) = metadata.get(name) {
            document.insert(name.to_owned(), value.clone());
        }
    }
    let told = metadata["capabilities"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut capabilities: Vec<&str> = told.filter(|told| !ENFORCED.contains(told)).collect();
    capabilities.extend(ENFORCED);
    document.insert("capabilities".to_owned(), json!(capabilities));
    Value::Object(document)
}

/// The failure while the issuer does not answer.
fn unreachable() -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        IssueCode::Transient,
        "the access token cannot be verified now: the authorization server does not answer",
    )
}
