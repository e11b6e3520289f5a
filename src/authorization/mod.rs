//! Floor 8: the authorization server (SMART App Launch 2.2, OAuth 2.0 with the security practice of RFC 9700, OpenID
//! Connect), in the same binary. [`Authorization`] is the one entry: [`Authorization::answer`] for its own addresses
//! under `/auth/` (the table is in `route`), and the check of the token of every request to the FHIR API.
//!
//! `client`, `register`: registered apps; `keys`: signing keys; `discovery`, `brands`: what is published about it;
//! `authorize`, `pending`, `launch`: from an app's request to a code; `scope`, `consent`, `emergency`: what is asked and granted;
//! `token`, `grant`: codes for tokens, and what tokens stand for; `authenticate`, `assertion`, `fetch`: how a client
//! proves who it is; `issuer`: tokens of an outside authorization server; `inquire`: introspection and revocation; `secret`: random values and digests; `exchange`,
//! `refusal`: questions and answers, free of HTTP; `noted`, `trail`: what the audit trail is told of them; `people`: users, their sessions and how they are known;
//! `pages`: what they see. Everything that must outlive a process is a record, changed by compare-and-set.
//!
//! Decides nothing about resources: that is `access`.

mod assertion;
mod authenticate;
mod authorize;
mod brands;
pub mod client;
pub mod consent;
mod discovery;
mod emergency;
pub mod exchange;
pub mod fetch;
pub mod first;
mod follow;
pub mod grant;
mod inquire;
pub mod issuer;
mod jwk;
pub mod keys;
pub mod launch;
pub mod noted;
pub mod pages;
pub mod pending;
pub mod people;
pub mod refusal;
pub mod register;
pub mod route;
pub mod scope;
pub mod secret;
mod token;
mod trail;

pub use assertion::is_usable as keys_are_usable;

use crate::access::Principal;
use crate::base::{Clock, Failure, TenantId, Timestamp};
use crate::interaction::{Lease, Records, Service};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use serde::Serialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether addresses that clients name (keys by URL) may lead to this machine: for development only.
    pub fetch_from_loopback: bool,
    /// Outside OpenID providers through which people may sign in.
    pub providers: Vec<people::outside::Provider>,
    /// How long people stay signed in.
    pub sessions: people::Lifetimes,
    /// What the organisation is called whose server this is.
    pub organization: String,
    /// An outside authorization server whose access tokens are taken.
    pub issuer: Option<issuer::Trusted>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            fetch_from_loopback: false,
            providers: Vec::new(),
            sessions: people::Lifetimes::default(),
            organization: "Vesta".to_owned(),
            issuer: None,
        }
    }
}

/// The authorization server.
pub struct Authorization {
    /// Where it keeps what it knows.
    pub(crate) records: Records,
    /// The resources, always as somebody who may see them.
    pub(crate) service: Arc<Service>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Settings.
    pub(crate) settings: Settings,
    /// Who may sign in, and who has.
    pub people: people::People,
    keys: keys::Keys,
    clients: RwLock<FxHashMap<String, client::Cached>>,
    tokens: RwLock<FxHashMap<String, grant::Cached>>,
    fetched: RwLock<FxHashMap<String, assertion::Fetch>>,
    failures: authenticate::Failures,
    issuer: Option<issuer::Issuer>,
    began: Timestamp,
    era: AtomicU64,
}

impl Authorization {
    /// An authorization server for the resources of a service.
    pub fn new(service: Arc<Service>, clock: Arc<dyn Clock>, settings: Settings) -> Authorization {
        let people = people::People::new(service.records(TenantId::default()), clock.clone(), settings.sessions);
        let definitions = service.definitions.clone();
        let issuer = settings.issuer.clone().map(|trusted| issuer::Issuer::new(trusted, clock.clone(), definitions));
        Authorization {
            issuer,
            people: people.with_providers(settings.providers.clone()),
            records: service.records(TenantId::default()),
            service,
            began: clock.now(),
            clock,
            settings,
            keys: keys::Keys::default(),
            clients: RwLock::default(),
            tokens: RwLock::default(),
            fetched: RwLock::default(),
            failures: authenticate::Failures::default(),
            era: AtomicU64::new(0),
        }
    }

    /// Who asks with an access token, of this server or of the outside one that it trusts; nobody if it is not valid.
    pub async fn caller(&self, token: &str) -> Result<Option<Arc<Principal>>, Failure> {
        // Own tokens are one word without dots.
        if !token.contains('.')
            && let Some(valid) = self.token(token).await?
        {
            return Ok(Some(valid.principal.clone()));
        }
        match &self.issuer {
            Some(issuer) => issuer.caller(token).await,
            None => Ok(None),
        }
    }

    /// Whoever changes what somebody may do says so here: nothing that was read before is used any more.
    pub(crate) fn forget_what_was_read(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
        self.clients.write().clear();
        self.tokens.write().clear();
    }

    /// The lease on a job that one of several server processes does for all.
    pub fn lease(&self, job: &str, holder: &str, length: Duration) -> Lease {
        self.records.lease(self.clock.clone(), job, holder, length)
    }

    /// Counts the changes; what was read in an earlier era is not kept.
    pub(crate) fn era(&self) -> u64 {
        self.era.load(Ordering::SeqCst)
    }
}

/// A record's value.
pub(crate) fn json_bytes(value: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(Failure::internal)
}
