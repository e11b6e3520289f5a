//! Signing in through an outside OpenID provider (single sign-on): Vesta as its client, by the crate `openidconnect`:
//! authorization code with PKCE, state and nonce, the id_token verified by the provider's keys. What the claims say
//! about the role is configured. Nobody is taken for an existing user by a name or an e-mail address, which the
//! provider may let people choose: only by the provider's subject.

use super::accounts::check_resource;
use super::book::{self, ERRANDS};
use super::{NewUser, Outside, People, User, secret};
use crate::access::Role;
use crate::base::{Failure, FailureKind, Timestamp};
use crate::interaction::Records;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

/// An outside provider, as the settings name it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Provider {
    /// A short word for it, which is stored with its users.
    pub name: String,
    /// What people read on the button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its issuer, from which everything else is discovered.
    pub issuer: String,
    /// Vesta's client_id there.
    pub client_id: String,
    /// File with Vesta's client_secret there; none for a public client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// Scopes beside `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Whether somebody who comes for the first time gets an account.
    #[serde(default)]
    pub create: bool,
    /// The claim that tells the role, such as `groups`; inner claims by a dot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_claim: Option<String>,
    /// Which value of that claim is which role.
    #[serde(default)]
    pub roles: BTreeMap<String, String>,
    /// The claim that tells the resource that stands for the user: `Practitioner/7`, or a URL that ends so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_claim: Option<String>,
}

impl Provider {
    /// What people read on the button.
    pub fn shown(&self) -> &str {
        self.title.as_deref().unwrap_or(&self.name)
    }

    /// What is wrong with it, if anything is.
    pub fn fault(&self) -> Option<String> {
        let word = !self.name.is_empty()
            && self.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !word {
            return Some(format!("the name of a provider is lower-case letters, digits and -: '{}'", self.name));
        }
        if !is_safe(&self.issuer) {
            return Some(format!("the issuer of provider '{}' has to be an https address", self.name));
        }
        let unknown = self.roles.values().find(|code| Role::from_code(code).is_none())?;
        Some(format!("provider '{}' maps to the role '{unknown}', which there is not", self.name))
    }

    /// The role that the claims tell: of several the first in the order of `access`, from administrator on.
    fn role(&self, claims: &Value) -> Option<Role> {
        let values = texts_of(claim_at(claims, self.role_claim.as_deref()?)?);
        let roles: Vec<Role> = values.iter().filter_map(|v| Role::from_code(self.roles.get(*v)?)).collect();
        Role::ALL.into_iter().find(|role| roles.contains(role))
    }

    fn resource(&self, claims: &Value) -> Option<String> {
        let text = claim_at(claims, self.resource_claim.as_deref()?)?.as_str()?;
        let mut parts = text.rsplit('/');
        let (id, kind) = (parts.next()?, parts.next()?);
        let resource = format!("{kind}/{id}");
        check_resource(&resource).is_ok().then_some(resource)
    }
}

/// What has to be remembered while the user is at the provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Underway {
    /// The name of the provider.
    pub provider: String,
    nonce: String,
    verifier: String,
}

/// Why it did not succeed; for the log, not for the browser.
type Why = String;

/// Where the browser has to go, the state that comes back, and what has to be remembered.
pub async fn begin(provider: &Provider, back: String) -> Result<(String, String, Underway), Why> {
    let provider = provider.clone();
    aside(move || {
        let client_id = ClientId::new(provider.client_id.clone());
        let client = CoreClient::from_provider_metadata(metadata(&provider)?, client_id, None)
            .set_redirect_uri(RedirectUrl::new(back).map_err(|e| e.to_string())?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut asked = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        for scope in &provider.scopes {
            asked = asked.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = asked.set_pkce_challenge(challenge).url();
        let underway =
            Underway { provider: provider.name, nonce: nonce.secret().clone(), verifier: verifier.into_secret() };
        Ok((url.to_string(), state.into_secret(), underway))
    })
    .await
}

/// The claims of whoever came back with a code.
pub async fn finish(provider: &Provider, back: String, underway: Underway, code: String) -> Result<Value, Why> {
    let provider = provider.clone();
    aside(move || {
        let secret = match &provider.client_secret_file {
            Some(file) => Some(ClientSecret::new(read(file)?.trim().to_owned())),
            None => None,
        };
        let client_id = ClientId::new(provider.client_id.clone());
        let client = CoreClient::from_provider_metadata(metadata(&provider)?, client_id, secret)
            .set_redirect_uri(RedirectUrl::new(back).map_err(|e| e.to_string())?);
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|e| e.to_string())?
            .set_pkce_verifier(PkceCodeVerifier::new(underway.verifier))
            .request(&fetch)
            .map_err(|e| format!("the code was not exchanged: {e}"))?;
        let id_token = tokens.id_token().ok_or("there is no id_token in the answer")?;
        let nonce = Nonce::new(underway.nonce);
        id_token.claims(&client.id_token_verifier(), &nonce).map_err(|e| format!("the id_token is refused: {e}"))?;
        // Now that the signature and everything else hold, all claims may be read, also those the crate has no name for.
        let text = id_token.to_string();
        let middle = text.split('.').nth(1).unwrap_or_default();
        let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, middle);
        serde_json::from_slice(&bytes.map_err(|e| e.to_string())?).map_err(|e| e.to_string())
    })
    .await
}

/// A sign-in that goes on elsewhere, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Errand {
    /// What the protocol needs.
    pub underway: Underway,
    /// Hash of what the browser has that began it.
    pub visit: String,
    /// Where the user wants to go, as a query.
    pub aim: String,
}

/// How long somebody may be at the provider.
const PATIENCE: i64 = 10 * 60 * 1_000_000;

impl People {
    /// The providers through which users may sign in.
    pub fn providers(&self) -> &[Provider] {
        &self.providers
    }

    /// Remembers a sign-in that goes on elsewhere.
    pub async fn remember(&self, state: &str, errand: &Errand) -> Result<(), Failure> {
        let write = book::create(ERRANDS, &secret::hashed("state", state), errand)?;
        let end = Timestamp(self.clock.now().0 + PATIENCE);
        self.book.write(vec![book::until(write, end)]).await.map(drop)
    }

    /// What was remembered of it, once.
    pub async fn recall(&self, state: &str) -> Result<Option<Errand>, Failure> {
        let key = secret::hashed("state", state);
        let Some(entry) = self.book.get::<Errand>(ERRANDS, &key).await? else { return Ok(None) };
        let taken = self.book.write(vec![book::delete(ERRANDS, &entry)]).await?;
        Ok(taken.then_some(entry.value))
    }

    /// The user whom verified claims are about, with the role that they tell now; a new one where the provider may
    /// bring new ones. `None` if nobody here belongs to them. A user that is made or changed is committed in the records
    /// that `told` gives: they tell the audit trail what is done to the account of which name.
    pub async fn of_claims(
        &self,
        provider: &Provider,
        claims: &Value,
        told: &(dyn Fn(&'static str, &str) -> Records + Sync),
    ) -> Result<Option<User>, Failure> {
        let Some(subject) = claims["sub"].as_str().filter(|s| !s.is_empty()) else { return Ok(None) };
        let outside = Outside { provider: provider.name.clone(), subject: subject.to_owned() };
        let claimed = provider.role(claims);
        if let Some(user) = self.outside(&outside).await? {
            if user.disabled || (provider.role_claim.is_some() && claimed.is_none()) {
                return Ok(None);
            }
            let (role, resource) = (claimed.unwrap_or(user.role), provider.resource(claims).or(user.resource.clone()));
            if role == user.role && resource == user.resource {
                return Ok(Some(user));
            }
            let change = |user: &mut User| {
                user.role = role;
                user.resource.clone_from(&resource);
                user.epoch += 1;
            };
            return self.telling(&told("change", &user.name)).change(&user.id, change).await.map(Some);
        }
        let (Some(role), true) = (claimed, provider.create) else { return Ok(None) };
        let wanted = ["preferred_username", "email", "sub"].into_iter().find_map(|claim| claims[claim].as_str());
        let name = wanted.unwrap_or(subject);
        for name in [name.to_owned(), format!("{name}@{}", provider.name)] {
            let new = NewUser {
                display: claims["name"].as_str().map(str::to_owned),
                resource: provider.resource(claims),
                outside: Some(outside.clone()),
                ..NewUser::new(name, role)
            };
            match self.telling(&told("create", &new.name)).add(new).await {
                Ok(user) => return Ok(Some(user)),
                Err(failure) if failure.kind == FailureKind::Conflict => {}
                Err(failure) if failure.kind == FailureKind::Unprocessable => {
                    tracing::warn!(provider = provider.name, why = %failure, "nobody is made of these claims");
                    return Ok(None);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(None)
    }
}

/// A claim, inner ones by a dot: `realm_access.roles`.
pub(in crate::authorization) fn claim_at<'v>(claims: &'v Value, path: &str) -> Option<&'v Value> {
    // A claim may have a dot, or all of a URL, in its name.
    claims.get(path).or_else(|| path.split('.').try_fold(claims, |value, part| value.get(part)))
}

/// The texts of a claim that holds one or a list of them.
pub(in crate::authorization) fn texts_of(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Why> + Send + 'static) -> Result<T, Why> {
    tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?
}

fn metadata(provider: &Provider) -> Result<CoreProviderMetadata, Why> {
    let issuer = IssuerUrl::new(provider.issuer.clone()).map_err(|e| e.to_string())?;
    CoreProviderMetadata::discover(&issuer, &fetch).map_err(|e| format!("discovery failed: {e:?}"))
}

fn read(file: &Path) -> Result<String, Why> {
    std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))
}

/// Whether an address may be used: by TLS, or on this machine.
fn is_safe(url: &str) -> bool {
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
    url.starts_with("https://")
        || local
            .iter()
            .any(|origin| url.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])))
}

/// One request to the provider: bounded in time and size, no redirects.
fn fetch(request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    if !is_safe(&request.uri().to_string()) {
        return Err(ureq::Error::BadUri("the provider names an address without TLS".into()));
    }
    let agent = AGENT.get_or_init(|| crate::base::agent(Duration::from_secs(10)));
    let (head, body) = agent.run(request)?.into_parts();
    let body = body.into_with_config().limit(1 << 20).read_to_vec()?;
    Ok(HttpResponse::from_parts(head, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn provider() -> Provider {
        Provider {
            name: "hospital".into(),
            issuer: "https://login.example.org".into(),
            client_id: "vesta".into(),
            role_claim: Some("realm.groups".into()),
            roles: [("staff", "nurse"), ("medics", "doctor")].map(|(a, b)| (a.into(), b.into())).into(),
            resource_claim: Some("fhirUser".into()),
            ..Provider::default()
        }
    }

    #[test]
    fn claims_tell_role_and_resource() {
        let provider = provider();
        let check = |claims: Value, role: Option<Role>, resource: Option<&str>| {
            assert_eq!(provider.role(&claims), role, "{claims}");
            assert_eq!(provider.resource(&claims).as_deref(), resource, "{claims}");
        };
        check(json!({"realm": {"groups": ["x", "staff"]}}), Some(Role::Nurse), None);
        check(
            json!({"realm.groups": "medics", "fhirUser": "Practitioner/7"}),
            Some(Role::Doctor),
            Some("Practitioner/7"),
        );
        check(json!({"realm": {"groups": ["staff", "medics"]}}), Some(Role::Doctor), None);
        check(json!({"realm": {"groups": ["administrator"]}}), None, None);
        check(json!({"fhirUser": "https://x.org/fhir/Patient/a"}), None, Some("Patient/a"));
        check(json!({"fhirUser": "Observation/1"}), None, None);
    }

    #[test]
    fn providers_are_held_to_the_rules() {
        assert_eq!(provider().fault(), None);
        let wrong = |change: fn(&mut Provider)| {
            let mut provider = provider();
            change(&mut provider);
            provider.fault().is_some()
        };
        assert!(wrong(|p| p.name = "The Hospital".into()));
        assert!(wrong(|p| p.issuer = "http://login.example.org".into()));
        assert!(wrong(|p| p.issuer = "http://127.0.0.1.example.org".into()));
        assert!(wrong(|p| p.roles = [("a".to_owned(), "root".to_owned())].into()));
        assert!(!wrong(|p| p.issuer = "http://127.0.0.1:99".into()));
    }
}
