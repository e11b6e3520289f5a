//! Registered clients (apps and backend services): what they are, how they prove it, where they may be led back to
//! and what they may ask for. Kept as records; secrets only as digests. Does not authenticate anybody.

use super::{Authorization, secret};
use crate::base::{Failure, FailureKind, IssueCode};
use crate::interaction::{ItemWrite, Records};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The collection of the records.
pub const COLLECTION: &str = "client";

/// A code for a token.
pub const CODE: &str = "authorization_code";
/// A refresh token for a token.
pub const REFRESH: &str = "refresh_token";
/// A token without a user.
pub const CREDENTIALS: &str = "client_credentials";

/// How long a client is taken as it was read: a change by another process holds after that.
const FRESH: Duration = Duration::from_secs(1);

/// How a client proves who it is (SMART App Launch, client types).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientKind {
    /// Not at all: an app in a browser or on a telephone. PKCE ties the exchange together.
    Public,
    /// By a shared secret.
    Symmetric,
    /// By a signature with a private key of its own.
    Asymmetric,
}

/// Whether a client can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientState {
    /// Yes.
    Active,
    /// It registered itself and waits for an administrator.
    Waiting,
    /// No more.
    Disabled,
}

/// A registered client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Client {
    /// client_id
    pub id: String,
    /// Its name, as people see it at consent.
    pub name: String,
    /// How it proves who it is.
    pub kind: ClientKind,
    /// Whether it can be used.
    pub state: ClientState,
    /// Digest of the secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// Its public keys by value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<Value>,
    /// Where its public keys are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// Where the browser may be led back to; compared character by character.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Where an EHR launch begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub launch_uri: Option<String>,
    /// Its home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// Its picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Origins of its pages beside those of the redirect URIs.
    #[serde(default)]
    pub origins: Vec<String>,
    /// The most that it may ask for.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// The grant types that it registered; empty where it was not asked: all that its kind and its addresses let it use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grant_types: Vec<String>,
    /// When it was registered, in seconds since the epoch.
    #[serde(default)]
    pub created: i64,
    /// The network address from which it registered itself, as it is counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_from: Option<String>,
    /// Whether it was approved before it changed itself and had to wait again.
    #[serde(default)]
    pub approved_once: bool,
    /// Digest of the token with which it manages its own registration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<String>,
}

impl Client {
    /// A new active client that may do nothing yet.
    pub fn new(id: impl Into<String>, name: impl Into<String>, kind: ClientKind) -> Client {
        Client {
            id: id.into(),
            name: name.into(),
            kind,
            state: ClientState::Active,
            secret: None,
            jwks: None,
            jwks_uri: None,
            redirect_uris: Vec::new(),
            launch_uri: None,
            client_uri: None,
            logo_uri: None,
            origins: Vec::new(),
            scopes: Vec::new(),
            grant_types: Vec::new(),
            created: 0,
            registered_from: None,
            approved_once: false,
            registration: None,
        }
    }

    /// Gives it a new secret, which is returned and not kept.
    pub fn make_secret(&mut self) -> String {
        let made = secret::random();
        self.secret = Some(secret::digest(&made));
        made
    }

    /// The grant types that it may use, as RFC 7591 names them.
    pub fn grants(&self) -> Vec<&str> {
        if !self.grant_types.is_empty() {
            return self.grant_types.iter().map(String::as_str).collect();
        }
        let people = [CODE, REFRESH].into_iter().filter(|_| !self.redirect_uris.is_empty());
        people.chain((self.kind == ClientKind::Asymmetric).then_some(CREDENTIALS)).collect()
    }

    /// Whether it may use a grant type.
    pub fn may_use(&self, grant_type: &str) -> bool {
        self.grants().contains(&grant_type)
    }

    /// Whether pages of an origin may read what is answered to this client.
    pub fn is_at(&self, origin: &str) -> bool {
        let own = self.redirect_uris.iter().filter(|uri| uri.starts_with("http"));
        self.origins.iter().any(|o| o == origin) || own.map(|u| crate::interaction::origin(u)).any(|o| o == origin)
    }
}

/// What was last read of a client.
pub(super) struct Cached {
    at: Instant,
    client: Option<Arc<Client>>,
}

impl Authorization {
    /// A client by its id, whatever its state.
    pub async fn client(&self, id: &str) -> Result<Option<Arc<Client>>, Failure> {
        if id.is_empty() || id.len() > 200 {
            return Ok(None);
        }
        if let Some(cached) = self.clients.read().get(id)
            && cached.at.elapsed() < FRESH
        {
            return Ok(cached.client.clone());
        }
        let era = self.era();
        let found = self.records.get(COLLECTION, id).await?;
        let client = found.map(|item| read(&item.value)).transpose()?.map(Arc::new);
        let mut clients = self.clients.write();
        if clients.len() > 1_000 {
            clients.clear();
        }
        if era == self.era() {
            clients.insert(id.to_owned(), Cached { at: Instant::now(), client: client.clone() });
        }
        Ok(client)
    }

    /// A client that can be used now.
    pub async fn active_client(&self, id: &str) -> Result<Option<Arc<Client>>, Failure> {
        Ok(self.client(id).await?.filter(|client| client.state == ClientState::Active))
    }

    /// All clients in order of their ids.
    pub async fn all_clients(&self) -> Result<Vec<Client>, Failure> {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let items = self.records.list(COLLECTION, after.as_deref(), 500).await?;
            let Some(last) = items.last() else { return Ok(all) };
            after = Some(last.key.clone());
            for item in &items {
                all.push(read(&item.value)?);
            }
        }
    }

    /// Registers a client under an id that is not taken.
    pub async fn add_client(&self, client: &Client) -> Result<(), Failure> {
        self.add_client_in(&self.records, client).await
    }

    /// The same in records that tell the audit trail.
    pub(super) async fn add_client_in(&self, records: &Records, client: &Client) -> Result<(), Failure> {
        let write = ItemWrite::create(COLLECTION, &client.id, super::json_bytes(client)?);
        if !records.try_commit(vec![write]).await? {
            let why = format!("there is a client '{}' already", client.id);
            return Err(Failure::new(FailureKind::Conflict, IssueCode::Conflict, why));
        }
        self.forget_what_was_read();
        Ok(())
    }

    /// Changes a client; `None` if there is no such client. From then on its tokens are judged anew.
    pub async fn change_client(&self, id: &str, change: impl Fn(&mut Client)) -> Result<Option<Client>, Failure> {
        self.change_client_in(&self.records, id, change).await
    }

    /// The same in records that tell the audit trail.
    pub(super) async fn change_client_in(
        &self,
        records: &Records,
        id: &str,
        change: impl Fn(&mut Client),
    ) -> Result<Option<Client>, Failure> {
        let Some(item) = records.get(COLLECTION, id).await? else { return Ok(None) };
        let mut client = read(&item.value)?;
        change(&mut client);
        records.commit(vec![ItemWrite::replace(COLLECTION, &item, super::json_bytes(&client)?)]).await?;
        self.forget_what_was_read();
        Ok(Some(client))
    }

    /// Deletes a client; says whether there was one. Its tokens are worth nothing any more.
    pub async fn delete_client(&self, id: &str) -> Result<bool, Failure> {
        self.delete_client_in(&self.records, id).await
    }

    /// The same in records that tell the audit trail.
    pub(super) async fn delete_client_in(&self, records: &Records, id: &str) -> Result<bool, Failure> {
        let Some(item) = records.get(COLLECTION, id).await? else { return Ok(false) };
        records.commit(vec![ItemWrite::delete(COLLECTION, &item)]).await?;
        self.forget_what_was_read();
        Ok(true)
    }
}

fn read(bytes: &[u8]) -> Result<Client, Failure> {
    serde_json::from_slice(bytes).map_err(|e| Failure::internal(format_args!("the record of a client: {e}")))
}
