//! Authorization requests between the app that asks and the user who answers, and what an answer leads to: a code for
//! the app, or a refusal. The pages in between are not here.

use super::authorize::Back;
use super::client::Client;
use super::consent::{self, Answer, Person, Question};
use super::exchange::Asked;
use super::grant::{Grant, LaunchContext, read};
use super::launch::LAUNCHES;
use super::refusal::{Code as Refused, Refusal};
use super::{Authorization, json_bytes, scope, secret};
use crate::access::{Caller, Principal, Role, Scopes};
use crate::audit::Severity;
use crate::base::{Failure, FailureKind, IssueCode, ResourceId, Timestamp};
use crate::interaction::{Context, Item, ItemWrite, Reply, ReplyContent, Request, Verb};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// The collection of the requests.
const PENDING: &str = "authorization-request";
/// The collection of the codes.
pub(super) const CODES: &str = "authorization-code";

const SECOND: i64 = 1_000_000;
/// How long a user may take to answer.
const WAIT: i64 = 600 * SECOND;
/// How long a code holds (RFC 9700: short).
const CODE: i64 = 60 * SECOND;
/// How long a code is remembered, so that a replay is recognised for what it is.
pub(super) const REMEMBERED: i64 = 86_400 * SECOND;

/// An authorization request that waits for an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// Its id.
    pub id: String,
    /// Who asks.
    pub client: String,
    /// Where the answer goes.
    pub redirect_uri: String,
    /// What the app wants to get back.
    pub state: String,
    /// For the id_token.
    pub nonce: Option<String>,
    /// The PKCE challenge.
    pub challenge: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// The launch that an EHR has begun.
    pub launch: Option<String>,
    /// `login`, `consent`, `select_account`
    pub prompt: Vec<String>,
    /// How many seconds ago the user may have signed in at most.
    pub max_age: Option<u32>,
    /// Who the app thinks the user is.
    pub login_hint: Option<String>,
    /// The reason for an access in an emergency, stated when the patient was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emergency: Option<String>,
    /// The FHIR base that was asked at.
    pub base: String,
    /// When it was asked.
    pub made: Timestamp,
}

impl Pending {
    /// Whether somebody who signed in at a moment has to do so again.
    pub fn wants_sign_in_after(&self, authenticated: Timestamp) -> bool {
        let anew = self.prompt.iter().any(|p| p == "login" || p == "select_account");
        let oldest = self.max_age.map(|age| self.made.0 - i64::from(age) * SECOND);
        anew && authenticated < self.made || oldest.is_some_and(|oldest| authenticated.0 < oldest)
    }

    fn back(&self) -> Back<'_> {
        Back { redirect_uri: &self.redirect_uri, state: Some(&self.state), issuer: &self.base }
    }
}

/// A code as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Code {
    /// What it can be exchanged for.
    pub grant: Grant,
    /// The id that the grant will have.
    pub grant_id: String,
    /// Where it was sent.
    pub redirect_uri: String,
    /// The PKCE challenge.
    pub challenge: String,
    /// When it ends.
    pub ends: Timestamp,
    /// Whether it was exchanged.
    pub used: bool,
}

/// Whether a scope says something in a launch context: without an encounter there is none to be told.
fn can_be_kept(scope: &str, context: &LaunchContext) -> bool {
    scope != "launch/encounter" || context.encounter.is_some()
}

fn no_such() -> Failure {
    Failure::not_found("this request is over or was answered already; go back to the app and begin again")
}

fn forbidden(why: &str) -> Failure {
    Failure::new(FailureKind::Forbidden, IssueCode::Forbidden, why)
}

impl Authorization {
    pub(super) async fn keep_pending(&self, pending: &Pending) -> Result<(), Failure> {
        let write = ItemWrite::create(PENDING, &pending.id, json_bytes(pending)?);
        self.records.commit(vec![write.until(Timestamp(pending.made.0 + WAIT))]).await
    }

    async fn pending_item(&self, id: &str) -> Result<(Item, Pending), Failure> {
        if id.is_empty() || id.len() > 64 {
            return Err(no_such());
        }
        let item = self.records.get(PENDING, id).await?.ok_or_else(no_such)?;
        let pending: Pending = read(&item)?;
        if pending.made.0 + WAIT <= self.clock.now().0 {
            return Err(no_such());
        }
        Ok((item, pending))
    }

    /// A request that waits; `NotFound` if there is none (any more).
    pub async fn pending(&self, id: &str) -> Result<Pending, Failure> {
        Ok(self.pending_item(id).await?.1)
    }

    /// What the user has to be asked.
    pub async fn question_of(&self, id: &str) -> Result<Question, Failure> {
        let pending = self.pending(id).await?;
        let client = self.active_client(&pending.client).await?.ok_or_else(no_such)?;
        let launched = match &pending.launch {
            Some(launch) => self.launch(launch).await?,
            None => None,
        };
        let context = launched.map(|(_, launch)| launch.context).unwrap_or_default();
        let mut scopes = pending.scopes;
        scopes.retain(|scope| can_be_kept(scope, &context));
        Ok(Question {
            client,
            choices: consent::choices(&scopes),
            patient: context.patient,
            emergency: pending.emergency,
        })
    }

    /// Keeps the reason for an access in an emergency with the request for which it was stated.
    pub(super) async fn keep_emergency(&self, id: &str, reason: &str) -> Result<(), Failure> {
        let (item, mut pending) = self.pending_item(id).await?;
        pending.emergency = Some(reason.to_owned());
        let write = ItemWrite::replace(PENDING, &item, json_bytes(&pending)?);
        self.records.commit(vec![write.until(Timestamp(pending.made.0 + WAIT))]).await
    }

    /// Grants what was answered. The address where the browser goes on, at the app.
    pub async fn approve_request(&self, id: &str, person: &Person, answer: Answer) -> Result<String, Failure> {
        self.approve_asked(id, person, answer, None).await
    }

    /// The same for a visit that the audit trail is told of.
    pub(super) async fn approve_asked(
        &self,
        id: &str,
        person: &Person,
        mut answer: Answer,
        asked: Option<&Asked>,
    ) -> Result<String, Failure> {
        let (item, pending) = self.pending_item(id).await?;
        let client = self.active_client(&pending.client).await?.ok_or_else(no_such)?;
        if pending.wants_sign_in_after(person.authenticated) {
            return Err(forbidden("the app wants you to sign in anew"));
        }
        let mut scopes = consent::granted(&pending.scopes, &answer.scopes);
        answer.break_glass = self.emergency(&person.role, answer.break_glass.as_deref()).await?;
        if answer.break_glass.is_some() {
            // An emergency ends with the one access token.
            scopes.retain(|scope| scope != "offline_access" && scope != "online_access");
        }
        // There is no claim fhirUser of somebody for whom no resource stands.
        scopes.retain(|scope| scope != "fhirUser" || person.user.is_some());
        if scopes.is_empty() {
            return self.deny_asked(id, asked).await;
        }
        // What was asked for is legal; what the answer made of it has to be, too, or its tokens would open nothing.
        if let Err(error) = Scopes::parse(&scopes.join(" "), &self.service.search_definitions()) {
            self.records.try_commit(vec![ItemWrite::delete(PENDING, &item)]).await?;
            return Ok(pending.back().refused(&Refusal::new(Refused::InvalidScope, error.to_string())));
        }
        let mut writes = vec![ItemWrite::delete(PENDING, &item)];
        let context = match self.context(&pending, person, &client, &scopes, &answer, &mut writes).await? {
            Ok(context) => context,
            Err(refusal) => {
                self.records.try_commit(vec![ItemWrite::delete(PENDING, &item)]).await?;
                if let Some(asked) = asked {
                    asked.noted.decision("granted");
                    asked.noted.client(&client.id);
                    asked.noted.refused(Severity::Serious, refusal.text());
                }
                return Ok(pending.back().refused(&refusal));
            }
        };
        scopes.retain(|scope| can_be_kept(scope, &context));
        if scopes.is_empty() {
            self.records.try_commit(vec![ItemWrite::delete(PENDING, &item)]).await?;
            let why = "nothing is left of what was asked for: without an EHR launch there is no encounter";
            return Ok(pending.back().refused(&Refusal::new(Refused::InvalidScope, why)));
        }
        let now = self.clock.now();
        let code = Code {
            grant: Grant {
                client: Some(client.id.clone()),
                person: Some(person.clone()),
                scopes,
                context,
                break_glass: answer.break_glass,
                nonce: pending.nonce.clone(),
                made: now,
                refresh: None,
            },
            grant_id: super::grant::new_id(&person.subject),
            redirect_uri: pending.redirect_uri.clone(),
            challenge: pending.challenge.clone(),
            ends: Timestamp(now.0 + CODE),
            used: false,
        };
        let word = secret::random();
        let write = ItemWrite::create(CODES, secret::digest(&word), json_bytes(&code)?);
        writes.push(write.until(Timestamp(now.0 + REMEMBERED)));
        let records = match asked {
            None => self.records.clone(),
            Some(asked) => {
                asked.noted.decision("granted");
                asked.noted.grant(&code.grant);
                self.telling(asked)
            }
        };
        if !records.try_commit(writes).await? {
            return Err(no_such());
        }
        if let Some(asked) = asked {
            asked.noted.done();
        }
        Ok(pending.back().with(&[("code", &word)]))
    }

    /// Grants nothing. The address where the browser goes on, at the app.
    pub async fn deny_request(&self, id: &str, _person: &Person) -> Result<String, Failure> {
        self.deny_asked(id, None).await
    }

    /// The same for a visit that the audit trail is told of.
    pub(super) async fn deny_asked(&self, id: &str, asked: Option<&Asked>) -> Result<String, Failure> {
        let (item, pending) = self.pending_item(id).await?;
        let refusal = Refusal::new(Refused::AccessDenied, "the user did not allow it");
        let records = match asked {
            None => self.records.clone(),
            Some(asked) => {
                asked.noted.decision("denied");
                asked.noted.client(&pending.client);
                asked.noted.refused(Severity::Minor, refusal.text());
                self.telling(asked)
            }
        };
        if !records.try_commit(vec![ItemWrite::delete(PENDING, &item)]).await? {
            return Err(no_such());
        }
        Ok(pending.back().refused(&refusal))
    }

    /// The launch context of what is granted. A launch is used up in the commit that makes the code.
    async fn context(
        &self,
        pending: &Pending,
        person: &Person,
        client: &Arc<Client>,
        scopes: &[String],
        answer: &Answer,
        writes: &mut Vec<ItemWrite>,
    ) -> Result<Result<LaunchContext, Refusal>, Failure> {
        let mut context = LaunchContext::default();
        if let Some(token) = &pending.launch {
            let refuse = |why| Ok(Err(Refusal::new(Refused::AccessDenied, why)));
            let Some((item, launch)) = self.launch(token).await? else {
                return refuse("the launch is over or was used already");
            };
            if launch.subject != person.subject {
                return refuse("the launch was begun by another user");
            }
            if launch.client.as_ref().is_some_and(|id| *id != client.id) {
                return refuse("the launch was made for another app");
            }
            if launch.session.is_some() && person.session.is_some() && launch.session != person.session {
                return refuse("the launch was begun in another session");
            }
            writes.push(ItemWrite::delete(LAUNCHES, &item));
            context = launch.context;
        }
        if context.patient.is_none() && scope::needs_patient(scopes) {
            let own = self.own_patient(person.user.as_deref()).await?;
            let Some(id) = own.or(answer.patient.clone()) else {
                return Err(Failure::new(FailureKind::Unprocessable, IssueCode::Required, "choose a patient"));
            };
            context.patient = Some(id);
        }
        // Whatever chose it: nobody lets an app see a patient whom they may not see themselves.
        if let Some(id) = &context.patient {
            self.may_see(person, "Patient", id, &pending.base, answer.break_glass.as_deref()).await?;
        }
        if context.banner.is_none() && context.patient.is_some() {
            // Vesta's own pages show no patient around the app.
            context.banner = Some(true);
        }
        Ok(Ok(context))
    }

    /// The id of the patient that a user is, or whose relative it is.
    pub(super) async fn own_patient(&self, user: Option<&str>) -> Result<Option<String>, Failure> {
        let Some(user) = user.and_then(|user| self.user_reference(user)) else { return Ok(None) };
        let own = self.service.own_patient(self.records.tenant(), &user).await?;
        Ok(own.map(|id| id.as_str().to_owned()))
    }

    /// A resource that a user may read, in an emergency with the reason for that; refuses what it may not.
    pub(super) async fn may_see(
        &self,
        person: &Person,
        kind: &str,
        id: &str,
        base: &str,
        emergency: Option<&str>,
    ) -> Result<Value, Failure> {
        let not_yours = || forbidden("you may not see this record, or there is none");
        let id = ResourceId::new(id).ok_or_else(not_yours)?;
        let mut principal = Principal::new(&person.subject);
        principal.role = Role::from_code(&person.role);
        principal.user = person.user.as_deref().and_then(|user| self.user_reference(user));
        principal.tenant = self.records.tenant();
        principal.break_glass = emergency.map(str::to_owned);
        let scope = format!("user/{kind}.r");
        principal.scopes = Scopes::parse(&scope, &self.service.search_definitions()).map_err(Failure::internal)?;
        let mut context = Context::open(self.records.tenant(), base.to_owned());
        context.caller = Caller::Known(Arc::new(principal));
        let read = self.service.perform(&context, Request::new(Verb::Get, format!("{kind}/{id}"))).await;
        match read {
            Ok(Reply { content: ReplyContent::Json(json), .. }) => {
                serde_json::from_slice(&json).map_err(Failure::internal)
            }
            Ok(_) => Err(Failure::internal("a read answered without a resource")),
            Err(failure) if matches!(failure.kind, FailureKind::Unavailable | FailureKind::Internal) => Err(failure),
            Err(_) => Err(not_yours()),
        }
    }
}
