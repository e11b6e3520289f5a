//! Introspection (RFC 7662) and revocation (RFC 7009). A client learns about its own tokens and nothing of others';
//! a client that is a resource server (it may ask for `system/` scopes on everything) may ask about all.

use super::client::{Client, ClientKind};
use super::exchange::{Answered, Asked, Content, Went};
use super::grant::{GRANTS, Grant, Valid, read};
use super::refusal::{Code, Refusal};
use super::{Authorization, authenticate, scope, secret};
use crate::base::Failure;
use serde_json::{Value, json};

impl Authorization {
    /// `introspect`
    pub(super) async fn introspect(&self, asked: &Asked) -> Answered {
        match self.inquiry(asked).await {
            Ok(value) => Answered::json(value),
            Err(refusal) => refusal.answer(authenticate::tries_basic(asked)),
        }
    }

    async fn inquiry(&self, asked: &Asked) -> Result<Value, Refusal> {
        // Who asks is a client with a proof, or somebody with a valid token of their own (RFC 7662 2.1).
        let (client, user) = match asked.bearer() {
            Some(token) => {
                let valid = self.token(token).await?;
                let valid = valid.ok_or_else(|| Refusal::new(Code::InvalidToken, "the access token is not valid"))?;
                self.note(asked, &valid.grant).await?;
                let client = valid.grant.client.clone().unwrap_or_default();
                (self.active_client(&client).await?, Some(valid))
            }
            None => {
                let client = self.authenticate(asked).await?;
                if client.kind == ClientKind::Public {
                    return Err(Refusal::client());
                }
                (Some(client), None)
            }
        };
        let token = asked.form.get("token").ok_or_else(|| Refusal::invalid("token is missing"))?;
        let may = |grant: &Grant| {
            let own = client.as_ref().is_some_and(|client| may_know(client, grant));
            own || user.as_ref().is_some_and(|valid| valid.grant.subject() == grant.subject())
        };
        if let Some(valid) = self.token(token).await?
            && may(&valid.grant)
        {
            return Ok(told(&valid, &asked.base));
        }
        if let Some((_, grant)) = self.refreshable(token).await?
            && may(&grant)
        {
            let scope = grant.scopes.join(" ");
            let told = json!({"active": true, "scope": scope, "sub": grant.subject()});
            return Ok(with_client(told, &grant));
        }
        Ok(json!({"active": false}))
    }

    /// `revoke`
    pub(super) async fn revoke(&self, asked: &Asked) -> Answered {
        match self.revocation(asked).await {
            Ok(()) => Answered::new(Went::Ok, Content::Nothing),
            Err(refusal) => refusal.answer(authenticate::tries_basic(asked)),
        }
    }

    async fn revocation(&self, asked: &Asked) -> Result<(), Refusal> {
        let client = self.authenticate(asked).await?;
        let token = asked.form.get("token").ok_or_else(|| Refusal::invalid("token is missing"))?;
        let own = |grant: &Grant| grant.client.as_deref() == Some(client.id.as_str());
        let found = match self.token(token).await? {
            Some(valid) => Some((valid.grant_id.clone(), valid.grant.clone())),
            None => self.refreshable(token).await?,
        };
        // A token of another client is left alone, and nothing is said about it.
        if let Some((id, grant)) = found
            && own(&grant)
        {
            self.note(asked, &grant).await?;
            self.revoke_grant_in(&self.telling(asked), &id).await?;
        }
        Ok(())
    }

    /// The client of a refresh token, whether it is the present one of its grant or an earlier one.
    pub(super) async fn client_of_refresh(&self, token: &str) -> Result<Option<String>, Failure> {
        let Some((id, _)) = token.rsplit_once('.').filter(|(id, _)| !id.is_empty() && id.len() <= 100) else {
            return Ok(None);
        };
        let item = self.records.get(GRANTS, id).await?;
        Ok(item.map(|item| read::<Grant>(&item)).transpose()?.and_then(|grant| grant.client))
    }

    /// The grant of a refresh token that is valid now.
    async fn refreshable(&self, token: &str) -> Result<Option<(String, Grant)>, Failure> {
        let Some((id, _)) = token.rsplit_once('.').filter(|(id, _)| !id.is_empty() && id.len() <= 100) else {
            return Ok(None);
        };
        let Some(item) = self.records.get(GRANTS, id).await? else { return Ok(None) };
        let grant: Grant = read(&item)?;
        let right = grant.refresh.as_deref().is_some_and(|kept| secret::same(kept, &secret::digest(token)));
        let stands = right && self.stands(&grant).await?;
        Ok(stands.then_some((item.key, grant)))
    }
}

/// Whether a client may know what a token of a grant stands for.
fn may_know(client: &Client, grant: &Grant) -> bool {
    let everything = scope::covered(&client.scopes, "system/*.rs");
    grant.client.as_deref() == Some(client.id.as_str()) || (client.kind != ClientKind::Public && everything)
}

fn told(valid: &Valid, base: &str) -> Value {
    let grant = &valid.grant;
    let mut told = json!({
        "active": true,
        "scope": valid.scopes.join(" "),
        "exp": valid.ends.0 / 1_000_000,
        "iat": valid.made.0 / 1_000_000,
        "iss": valid.base,
        "aud": valid.base,
        "sub": grant.subject(),
        "token_type": "Bearer",
    });
    for (name, value) in [("patient", &grant.context.patient), ("encounter", &grant.context.encounter)] {
        if let Some(id) = value {
            told[name] = json!(id);
        }
    }
    if !grant.context.others.is_empty() {
        told["fhirContext"] = json!(grant.context.others);
    }
    if let Some(intent) = &grant.context.intent {
        told["intent"] = json!(intent);
    }
    if let Some(user) = grant.person.as_ref().and_then(|person| person.user.as_ref())
        && valid.scopes.iter().any(|scope| scope == "fhirUser")
    {
        told["fhirUser"] = json!(format!("{base}/{user}"));
    }
    with_client(told, grant)
}

/// With the client, if there is one: a token of the command line has none.
fn with_client(mut told: Value, grant: &Grant) -> Value {
    if let Some(client) = &grant.client {
        told["client_id"] = json!(client);
    }
    told
}
