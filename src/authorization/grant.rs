//! Grants and tokens. A grant is what a user (or, for a backend service, the administrator) has allowed an app; all
//! access and refresh tokens that come of it are its family and end with it. Tokens are random words; only their
//! digests are kept, and what they stand for is read anew at least every second, so that a revocation holds at once.

use super::consent::Person;
use super::exchange::Asked;
use super::{Authorization, json_bytes, secret};
use crate::access::{Principal, Role, Scopes, UserReference};
use crate::base::{Failure, ResourceId, Timestamp};
use crate::interaction::{Item, ItemWrite, Records};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The collection of the grants.
pub(super) const GRANTS: &str = "grant";
/// The collection of the access tokens.
pub(super) const TOKENS: &str = "access-token";

const SECOND: i64 = 1_000_000;

/// How long an access token holds, in seconds.
pub const ACCESS: i64 = 3_600;
/// How long one of a backend service does (SMART backend services: at most 300).
pub const BACKEND: i64 = 300;
/// How long a refresh token may lie unused: each use makes a new one that holds as long again.
pub const OFFLINE: i64 = 100 * 86_400;
/// How long a refresh token without `offline_access` holds at most.
pub const ONLINE: i64 = 12 * 3_600;

/// How long a token is taken as it was read.
const FRESH: Duration = Duration::from_secs(1);
/// Tokens that are kept in memory at most.
const MOST: usize = 20_000;

/// What an app was allowed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The app; none for a token that the server made for its own user.
    pub client: Option<String>,
    /// Whose rights it has; none for a backend service.
    pub person: Option<Person>,
    /// What was granted.
    pub scopes: Vec<String>,
    /// The launch context.
    #[serde(default)]
    pub context: LaunchContext,
    /// The stated reason of a break-glass access.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<String>,
    /// The nonce of the authorization request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// When it was granted.
    pub made: Timestamp,
    /// Digest of the refresh token that is valid now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<String>,
}

/// What an app is told about where it was launched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LaunchContext {
    /// The patient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// The encounter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter: Option<String>,
    /// What the user wants to do, in words that app and launcher have agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Other resources in context (`fhirContext`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<Value>,
    /// Whether the app has to show whose record it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub banner: Option<bool>,
}

impl Grant {
    /// Whether a refresh token belongs to it, and for how many seconds each holds.
    pub(super) fn refresh_for(&self) -> Option<i64> {
        let has = |name: &str| self.scopes.iter().any(|scope| scope == name);
        match (has("offline_access"), has("online_access")) {
            (true, _) => Some(OFFLINE),
            (false, true) => Some(ONLINE),
            _ => None,
        }
    }

    /// The stable id of whose rights it has.
    pub fn subject(&self) -> &str {
        let client = || self.client.as_deref().unwrap_or_default();
        self.person.as_ref().map_or_else(client, |person| person.subject.as_str())
    }
}

/// An access token as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Its grant.
    pub grant: String,
    /// What it may be used for: the scopes of the grant, or fewer.
    pub scopes: Vec<String>,
    /// When it was made, and when it ends.
    pub made: Timestamp,
    pub ends: Timestamp,
    /// The base it was made for.
    pub base: String,
}

/// A valid access token and what it stands for.
#[derive(Clone, Debug)]
pub struct Valid {
    /// The id of its grant.
    pub grant_id: String,
    /// Its grant.
    pub grant: Grant,
    /// What it may be used for.
    pub scopes: Vec<String>,
    /// When it was made.
    pub made: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
    /// Who made it (`iss`).
    pub base: String,
    /// What `access` judges.
    pub principal: Arc<Principal>,
}

/// Valid tokens as they were last read, by digest.
pub(super) struct Cached {
    at: Instant,
    valid: Arc<Valid>,
}

/// An id for a grant of somebody: those of one subject stand side by side.
pub(super) fn new_id(subject: &str) -> String {
    format!("{}.{}", shelf(subject), secret::short())
}

fn shelf(subject: &str) -> String {
    secret::digest(subject).chars().take(16).collect()
}

/// A new access token and the write by which it exists.
pub(super) fn access_token(
    grant: &str,
    scopes: &[String],
    base: &str,
    now: Timestamp,
    seconds: i64,
) -> Result<(String, ItemWrite), Failure> {
    let token = secret::random();
    let ends = Timestamp(now.0 + seconds * SECOND);
    let kept = Kept { grant: grant.to_owned(), scopes: scopes.to_vec(), made: now, ends, base: base.to_owned() };
    let write = ItemWrite::create(TOKENS, secret::digest(&token), json_bytes(&kept)?);
    Ok((token, write.until(ends)))
}

/// A new refresh token for a grant, whose digest the grant has to keep.
pub(super) fn refresh_token(grant: &str) -> (String, String) {
    let token = format!("{grant}.{}", secret::random());
    let digest = secret::digest(&token);
    (token, digest)
}

/// When a grant ends to exist if nothing more happens to it.
pub(super) fn end(grant: &Grant, now: Timestamp) -> Timestamp {
    let seconds = grant.refresh_for().unwrap_or(ACCESS);
    let end = now.0 + seconds * SECOND;
    match grant.refresh_for() {
        // It ends with the day on which the user was there.
        Some(ONLINE) => Timestamp((grant.made.0 + ONLINE * SECOND).min(end)),
        _ => Timestamp(end),
    }
}

pub(super) fn read<T: serde::de::DeserializeOwned>(item: &Item) -> Result<T, Failure> {
    serde_json::from_slice(&item.value).map_err(|e| Failure::internal(format_args!("a record cannot be read: {e}")))
}

impl Authorization {
    /// What an access token stands for, if it is valid now.
    pub async fn token(&self, token: &str) -> Result<Option<Arc<Valid>>, Failure> {
        if token.len() > 4_096 || !token.is_ascii() {
            return Ok(None);
        }
        let digest = secret::digest(token);
        let now = self.clock.now();
        if let Some(cached) = self.tokens.read().get(&digest)
            && cached.at.elapsed() < FRESH
        {
            return Ok((now < cached.valid.ends).then(|| cached.valid.clone()));
        }
        let era = self.era();
        let valid = self.token_read(&digest, now).await?;
        let mut tokens = self.tokens.write();
        match &valid {
            Some(valid) if era == self.era() => {
                if tokens.len() >= MOST {
                    tokens.retain(|_, cached| cached.at.elapsed() < FRESH);
                }
                if tokens.len() < MOST {
                    tokens.insert(digest, Cached { at: Instant::now(), valid: valid.clone() });
                }
            }
            _ => drop(tokens.remove(&digest)),
        }
        Ok(valid)
    }

    async fn token_read(&self, digest: &str, now: Timestamp) -> Result<Option<Arc<Valid>>, Failure> {
        let Some(item) = self.records.get(TOKENS, digest).await? else { return Ok(None) };
        let kept: Kept = read(&item)?;
        if kept.ends <= now {
            return Ok(None);
        }
        let Some(item) = self.records.get(GRANTS, &kept.grant).await? else { return Ok(None) };
        let mut grant: Grant = read(&item)?;
        if !self.stands(&grant).await? {
            return Ok(None);
        }
        if let Some(person) = &grant.person {
            grant.person = self.person_now(person).await?;
        }
        let Some(principal) = self.principal(&grant, &kept.scopes, digest) else { return Ok(None) };
        Ok(Some(Arc::new(Valid {
            grant_id: item.key,
            grant,
            scopes: kept.scopes,
            made: kept.made,
            ends: kept.ends,
            base: kept.base,
            principal: Arc::new(principal),
        })))
    }

    /// Notes for the audit trail what a grant says, and the name of whose rights it has.
    pub(super) async fn note(&self, asked: &Asked, grant: &Grant) -> Result<(), Failure> {
        asked.noted.grant(grant);
        if let Some(person) = &grant.person
            && let Some(user) = self.people.user(&person.subject).await?
        {
            asked.noted.user(&user.name);
        }
        Ok(())
    }

    /// Whether client and user of a grant may still do anything, and the user is there if that was asked.
    pub(super) async fn stands(&self, grant: &Grant) -> Result<bool, Failure> {
        if let Some(client) = &grant.client
            && self.active_client(client).await?.is_none()
        {
            return Ok(false);
        }
        let Some(person) = &grant.person else { return Ok(true) };
        // What was granted for as long as the user is there ends when the user signs out.
        if grant.refresh_for() == Some(ONLINE)
            && let Some(session) = &person.session
            && !self.people.session_stands(session).await?
        {
            return Ok(false);
        }
        Ok(self.person_now(person).await?.is_some())
    }

    /// A user as it is now: role and resource may have changed since something was granted. `None` if it may do
    /// nothing any more.
    async fn person_now(&self, person: &Person) -> Result<Option<Person>, Failure> {
        let user = self.people.user(&person.subject).await?.filter(|user| !user.disabled);
        Ok(user.map(|user| Person {
            name: user.shown().to_owned(),
            role: user.role.code().to_owned(),
            user: user.resource,
            ..person.clone()
        }))
    }

    /// What `access` judges. `None` if the grant holds what this version does not know: better nothing than a guess.
    fn principal(&self, grant: &Grant, scopes: &[String], digest: &str) -> Option<Principal> {
        let mut principal = Principal::new(grant.subject());
        let definitions = &*self.service.search_definitions();
        principal.client.clone_from(&grant.client);
        principal.scopes = Scopes::parse(&scopes.join(" "), definitions).ok()?;
        if let Some(person) = &grant.person {
            principal.role = Some(Role::from_code(&person.role)?);
            principal.user = match &person.user {
                Some(user) => Some(self.user_reference(user)?),
                None => None,
            };
        }
        principal.patient = optional(grant.context.patient.as_deref())?;
        principal.encounter = optional(grant.context.encounter.as_deref())?;
        principal.break_glass.clone_from(&grant.break_glass);
        principal.tenant = self.records.tenant();
        principal.token = Some(digest.chars().take(22).collect());
        Some(principal)
    }

    /// `Practitioner/1` as a reference.
    pub(super) fn user_reference(&self, user: &str) -> Option<UserReference> {
        let (kind, id) = user.split_once('/')?;
        Some(UserReference { kind: self.service.definitions.resource(kind)?, id: ResourceId::new(id)? })
    }

    /// Makes a token for a user of this server without an app: for the first steps at the command line.
    pub async fn token_for(
        &self,
        person: &Person,
        scopes: &[&str],
        base: &str,
        seconds: i64,
    ) -> Result<String, Failure> {
        self.token_for_in(&self.records, person, scopes, base, seconds).await
    }

    /// The same in records that tell the audit trail.
    pub(super) async fn token_for_in(
        &self,
        records: &Records,
        person: &Person,
        scopes: &[&str],
        base: &str,
        seconds: i64,
    ) -> Result<String, Failure> {
        let now = self.clock.now();
        let scopes: Vec<String> = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        let grant = Grant {
            client: None,
            person: Some(person.clone()),
            scopes: scopes.clone(),
            context: LaunchContext::default(),
            break_glass: None,
            nonce: None,
            made: now,
            refresh: None,
        };
        let id = new_id(&person.subject);
        let (token, write) = access_token(&id, &scopes, base, now, seconds)?;
        let kept = ItemWrite::create(GRANTS, id, json_bytes(&grant)?);
        records.commit(vec![kept.until(Timestamp(now.0 + seconds * SECOND)), write]).await?;
        Ok(token)
    }

    /// Ends a grant and with it all of its tokens.
    pub async fn revoke_grant(&self, id: &str) -> Result<(), Failure> {
        self.revoke_grant_in(&self.records, id).await
    }

    /// The same in records that tell the audit trail.
    pub(super) async fn revoke_grant_in(&self, records: &Records, id: &str) -> Result<(), Failure> {
        for _ in 0..8 {
            let Some(item) = records.get(GRANTS, id).await? else { break };
            if records.try_commit(vec![ItemWrite::delete(GRANTS, &item)]).await? {
                break;
            }
        }
        self.forget_what_was_read();
        Ok(())
    }

    /// The grants of somebody, with their ids.
    pub async fn grants_of(&self, subject: &str) -> Result<Vec<(String, Grant)>, Failure> {
        let prefix = format!("{}.", shelf(subject));
        let (mut found, mut after) = (Vec::new(), prefix.clone());
        loop {
            let items = self.records.list(GRANTS, Some(&after), 200).await?;
            for item in &items {
                if !item.key.starts_with(&prefix) {
                    return Ok(found);
                }
                let grant: Grant = read(item)?;
                if grant.subject() == subject {
                    found.push((item.key.clone(), grant));
                }
            }
            match items.last() {
                Some(last) => after.clone_from(&last.key),
                None => return Ok(found),
            }
        }
    }

    /// Takes back everything that an app was granted by somebody.
    pub async fn revoke_app_of(&self, subject: &str, client: &str) -> Result<(), Failure> {
        self.revoke_app_in(&self.records, subject, client).await
    }

    /// The same in records that tell the audit trail.
    pub(super) async fn revoke_app_in(&self, records: &Records, subject: &str, client: &str) -> Result<(), Failure> {
        for (id, grant) in self.grants_of(subject).await? {
            if grant.client.as_deref() == Some(client) {
                self.revoke_grant_in(records, &id).await?;
            }
        }
        Ok(())
    }

    /// Ends everything that was granted to a client.
    pub async fn revoke_client(&self, client: &str) -> Result<(), Failure> {
        let mut after = None;
        loop {
            let items = self.records.list(GRANTS, after.as_deref(), 200).await?;
            let Some(last) = items.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for item in &items {
                if read::<Grant>(item)?.client.as_deref() == Some(client) {
                    self.revoke_grant(&item.key).await?;
                }
            }
        }
    }
}

/// An id that has to be legal if it is there.
fn optional(id: Option<&str>) -> Option<Option<ResourceId>> {
    match id {
        None => Some(None),
        Some(id) => ResourceId::new(id).map(Some),
    }
}
