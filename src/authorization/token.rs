//! The token endpoint (RFC 6749 3.2): codes, refresh tokens and clients of their own (backend services) for tokens.
//! What can be used once is used up by compare-and-set in the commit that makes what it is given for.

use super::client::{CODE, CREDENTIALS, Client, ClientKind, REFRESH};
use super::exchange::{Answered, Asked, Parameters};
use super::grant::{self, ACCESS, BACKEND, GRANTS, Grant, LaunchContext, read};
use super::keys::Algorithm;
use super::pending::{CODES, Code as Kept, REMEMBERED};
use super::refusal::{Code, Refusal};
use super::{Authorization, authenticate, json_bytes, scope, secret};
use crate::access::Scopes;
use crate::base::{Failure, Timestamp};
use crate::interaction::{Endpoints, ItemWrite};
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use serde_json::{Value, json};

impl Authorization {
    /// `token`
    pub(super) async fn token_endpoint(&self, asked: &Asked) -> Answered {
        match self.exchange(asked).await {
            Ok(value) => Answered::json(value),
            Err(refusal) => refusal.answer(authenticate::tries_basic(asked)),
        }
    }

    async fn exchange(&self, asked: &Asked) -> Result<Value, Refusal> {
        if asked.origin.as_deref() == Some("null") {
            return Err(Refusal::invalid("pages without an origin of their own get no tokens"));
        }
        let grant_type = asked.form.get("grant_type");
        let grant_type = grant_type.ok_or_else(|| Refusal::invalid("grant_type is missing, or the body is no form"))?;
        if ![CODE, REFRESH, CREDENTIALS].contains(&grant_type) {
            return Err(Refusal::new(Code::UnsupportedGrantType, "this grant_type is not served"));
        }
        let client = self.authenticate(asked).await?;
        match grant_type {
            CREDENTIALS => self.client_credentials(asked, &client).await,
            other if !client.may_use(other) => Err(not_registered()),
            CODE => self.exchange_code(asked, &client).await,
            _ => self.refresh(asked, &client).await,
        }
    }

    async fn exchange_code(&self, asked: &Asked, client: &Client) -> Result<Value, Refusal> {
        let missing = |name: &'static str| move || Refusal::invalid(format!("{name} is missing"));
        let word = asked.form.get("code").ok_or_else(missing("code"))?;
        let redirect_uri = asked.form.get("redirect_uri").ok_or_else(missing("redirect_uri"))?;
        let unknown = || Refusal::grant("the code is unknown, over, used already, or of another app");
        let item = self.records.get(CODES, &secret::digest(word)).await?.ok_or_else(unknown)?;
        let mut code: Kept = read(&item)?;
        if code.grant.client.as_deref() != Some(client.id.as_str()) {
            return Err(unknown());
        }
        self.note(asked, &code.grant).await?;
        if code.used {
            // Somebody has it who should not: whoever was first may be the thief (RFC 6749 4.1.2).
            self.revoke_grant(&code.grant_id).await?;
            return Err(unknown());
        }
        let now = self.clock.now();
        if code.ends <= now {
            return Err(unknown());
        }
        if code.redirect_uri != redirect_uri {
            return Err(Refusal::grant("redirect_uri is not the one that the code was sent to"));
        }
        verify(&asked.form, &code.challenge)?;
        if !self.stands(&code.grant).await? {
            return Err(unknown());
        }
        code.used = true;
        let mut grant = code.grant.clone();
        let refresh = grant.refresh_for().map(|_| grant::refresh_token(&code.grant_id));
        grant.refresh = refresh.as_ref().map(|(_, digest)| digest.clone());
        let (access, token) = grant::access_token(&code.grant_id, &grant.scopes, &asked.base, now, ACCESS)?;
        let used = ItemWrite::replace(CODES, &item, json_bytes(&code)?);
        let kept = ItemWrite::create(GRANTS, &code.grant_id, json_bytes(&grant)?).until(grant::end(&grant, now));
        let remembered = used.until(Timestamp(now.0 + REMEMBERED));
        if !self.telling(asked).try_commit(vec![remembered, kept, token]).await? {
            // Another exchange of the same code was faster.
            self.revoke_grant(&code.grant_id).await?;
            return Err(unknown());
        }
        let refresh = refresh.map(|(token, _)| token);
        Ok(self.answer_of(&grant, &grant.scopes, &access, refresh, asked, client).await?)
    }

    async fn refresh(&self, asked: &Asked, client: &Client) -> Result<Value, Refusal> {
        let unknown = || Refusal::grant("the refresh token is unknown, over, used already, or of another app");
        let token = asked.form.get("refresh_token").ok_or_else(|| Refusal::invalid("refresh_token is missing"))?;
        let id = token.rsplit_once('.').map(|(id, _)| id).filter(|id| id.len() <= 100).ok_or_else(unknown)?;
        let item = self.records.get(GRANTS, id).await?.ok_or_else(unknown)?;
        let mut grant: Grant = read(&item)?;
        if grant.client.as_deref() != Some(client.id.as_str()) {
            return Err(unknown());
        }
        self.note(asked, &grant).await?;
        let current = grant.refresh.as_deref().ok_or_else(unknown)?;
        if !secret::same(current, &secret::digest(token)) {
            // It was used before, and somebody uses it again: one of the two is not the app. The family ends.
            self.revoke_grant(id).await?;
            return Err(unknown());
        }
        let now = self.clock.now();
        if grant::end(&grant, now) <= now || !self.stands(&grant).await? {
            return Err(unknown());
        }
        let scopes = narrowed(&grant.scopes, asked.form.get("scope"))?;
        Scopes::parse(&scopes.join(" "), &self.service.search_definitions())
            .map_err(|error| Refusal::new(Code::InvalidScope, error.to_string()))?;
        let (refresh, digest) = grant::refresh_token(id);
        grant.refresh = Some(digest);
        let (access, write) = grant::access_token(id, &scopes, &asked.base, now, ACCESS)?;
        let next = ItemWrite::replace(GRANTS, &item, json_bytes(&grant)?).until(grant::end(&grant, now));
        if !self.telling(asked).try_commit(vec![next, write]).await? {
            self.revoke_grant(id).await?;
            return Err(unknown());
        }
        Ok(self.answer_of(&grant, &scopes, &access, Some(refresh), asked, client).await?)
    }

    async fn client_credentials(&self, asked: &Asked, client: &Client) -> Result<Value, Refusal> {
        if client.kind != ClientKind::Asymmetric {
            let why = "only clients with keys of their own (private_key_jwt) get tokens without a user";
            return Err(Refusal::new(Code::UnauthorizedClient, why));
        }
        if !client.may_use(CREDENTIALS) {
            return Err(not_registered());
        }
        let text = asked.form.get("scope").ok_or_else(|| Refusal::new(Code::InvalidScope, "scope is missing"))?;
        let scopes = self.asked_scopes(text, client)?;
        if scopes.iter().any(|scope| !scope.starts_with("system/")) {
            return Err(Refusal::new(Code::InvalidScope, "without a user there are only system/ scopes"));
        }
        let now = self.clock.now();
        let grant = Grant {
            client: Some(client.id.clone()),
            person: None,
            scopes: scopes.clone(),
            context: LaunchContext::default(),
            break_glass: None,
            nonce: None,
            made: now,
            refresh: None,
        };
        let id = grant::new_id(&client.id);
        let (access, write) = grant::access_token(&id, &scopes, &asked.base, now, BACKEND)?;
        let kept = ItemWrite::create(GRANTS, id, json_bytes(&grant)?);
        self.note(asked, &grant).await?;
        self.telling(asked).commit(vec![kept.until(Timestamp(now.0 + BACKEND * 1_000_000)), write]).await?;
        Ok(json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": BACKEND,
            "scope": scopes.join(" "),
        }))
    }

    /// The token response of SMART App Launch.
    async fn answer_of(
        &self,
        grant: &Grant,
        scopes: &[String],
        access: &str,
        refresh: Option<String>,
        asked: &Asked,
        client: &Client,
    ) -> Result<Value, Failure> {
        let mut answer = json!({
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": ACCESS,
            "scope": scopes.join(" "),
        });
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                answer[name] = value;
            }
        };
        let context = &grant.context;
        set("refresh_token", refresh.map(Value::from));
        set("patient", context.patient.clone().map(Value::from));
        set("encounter", context.encounter.clone().map(Value::from));
        set("intent", context.intent.clone().map(Value::from));
        set("need_patient_banner", context.banner.map(Value::from));
        set("fhirContext", (!context.others.is_empty()).then(|| Value::from(context.others.clone())));
        set("smart_style_url", Some(json!(Endpoints::of(&asked.base).style)));
        if scopes.iter().any(|scope| scope == "openid") {
            set("id_token", Some(json!(self.id_token(grant, scopes, client, &asked.base).await?)));
        }
        Ok(answer)
    }

    /// The id_token (OpenID Connect Core 2): who the user is, for this app only.
    async fn id_token(&self, grant: &Grant, scopes: &[String], client: &Client, base: &str) -> Result<String, Failure> {
        let now = self.clock.now().0 / 1_000_000;
        let mut claims = json!({
            "iss": base,
            "sub": grant.subject(),
            "aud": client.id,
            "exp": now + ACCESS,
            "iat": now,
        });
        if let Some(nonce) = &grant.nonce {
            claims["nonce"] = json!(nonce);
        }
        if let Some(person) = &grant.person {
            claims["auth_time"] = json!(person.authenticated.0 / 1_000_000);
            let has = |name: &str| scopes.iter().any(|scope| scope == name);
            if let Some(user) = &person.user {
                let address = format!("{base}/{user}");
                if has("fhirUser") {
                    claims["fhirUser"] = json!(address);
                }
                if has("profile") {
                    claims["profile"] = json!(address);
                }
            }
            if has("profile") {
                claims["name"] = json!(person.name);
            }
        }
        self.signing_key(Algorithm::RS256).await?.sign("JWT", &claims)
    }
}

fn not_registered() -> Refusal {
    Refusal::new(Code::UnauthorizedClient, "the client has not registered this grant_type")
}

/// The PKCE verifier against the challenge (RFC 7636 4.6).
fn verify(form: &Parameters, challenge: &str) -> Result<(), Refusal> {
    let verifier = form.get("code_verifier").ok_or_else(|| Refusal::grant("code_verifier is missing (PKCE)"))?;
    let legal = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b));
    let right = legal && {
        let made = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.to_owned()));
        secret::same(made.as_str(), challenge)
    };
    right.then_some(()).ok_or_else(|| Refusal::grant("code_verifier does not belong to the code"))
}

/// The scopes of a refresh: those of the grant, or as many of them, or narrower ones, as are asked for.
fn narrowed(granted: &[String], asked: Option<&str>) -> Result<Vec<String>, Refusal> {
    let Some(asked) = asked else { return Ok(granted.to_vec()) };
    let wrong = || Refusal::new(Code::InvalidScope, "a refresh gives no more than what was granted");
    let asked = scope::list(asked).map_err(|_| wrong())?;
    match !asked.is_empty() && asked.iter().all(|scope| scope::covered(granted, scope)) {
        true => Ok(asked),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_belongs_to_its_challenge() {
        // The example of RFC 7636, appendix B.
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        let check = |verifier: &str, expected| {
            let form = Parameters(vec![("code_verifier".into(), verifier.into())]);
            assert_eq!(verify(&form, challenge).is_ok(), expected, "{verifier}");
        };
        check("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", true);
        check(challenge, false);
        check("", false);
        check("short", false);
    }

    #[test]
    fn a_refresh_narrows_only() {
        let granted = ["openid".to_owned(), "patient/*.rs".to_owned()];
        assert_eq!(narrowed(&granted, None).expect("all"), granted);
        assert_eq!(narrowed(&granted, Some("patient/Observation.rs")).expect("less"), ["patient/Observation.rs"]);
        assert!(narrowed(&granted, Some("patient/*.cruds")).is_err());
        assert!(narrowed(&granted, Some("offline_access")).is_err());
    }
}
