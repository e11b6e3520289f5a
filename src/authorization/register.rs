//! Dynamic client registration and its management (RFC 7591, RFC 7592). Whoever registers gets a client that waits
//! until an administrator approves it; what it may register is judged strictly, and how much waits is bounded.

use super::client::{CODE, CREDENTIALS, Client, ClientKind, ClientState, REFRESH};
use super::exchange::{Answered, Asked, Content, Method, Went};
use super::people::counted;
use super::refusal::{Code, Refusal};
use super::{Authorization, assertion, fetch, scope, secret};
use crate::interaction::{Endpoints, origin};
use serde_json::{Map, Value, json};

/// Registrations that may wait at once.
const WAITING: usize = 200;
/// Those of one network address among them: whoever fills this share keeps nobody else out.
const WAITING_OF_ONE: usize = 20;
/// How long one waits until it is forgotten, in seconds.
const FORGOTTEN: i64 = 7 * 86_400;
/// Longest text, and most entries of a list.
const LONGEST: usize = 2_000;
const MOST: usize = 20;

impl Authorization {
    /// `register`
    pub(super) async fn register(&self, asked: &Asked) -> Answered {
        match self.registration(asked).await {
            Ok(value) => Answered::new(Went::Created, Content::Json(value)),
            Err(refusal) => refusal.answer(false),
        }
    }

    async fn registration(&self, asked: &Asked) -> Result<Value, Refusal> {
        let body: Map<String, Value> = serde_json::from_slice(&asked.body)
            .map_err(|_| Refusal::new(Code::InvalidClientMetadata, "the body is no JSON object"))?;
        let mut client = Client::new(secret::short(), "", ClientKind::Public);
        client.state = ClientState::Waiting;
        client.created = self.clock.now().0 / 1_000_000;
        fill(&mut client, &body, self.settings.fetch_from_loopback)?;
        client.registered_from = asked.remote.map(counted);
        let (all, of_one) = self.waiting(client.registered_from.as_deref()).await?;
        if all >= WAITING || of_one >= WAITING_OF_ONE {
            return Err(Refusal::new(Code::SlowDown, "too many registrations wait for approval; try again later"));
        }
        let made = (client.kind == ClientKind::Symmetric).then(|| client.make_secret());
        let token = secret::random();
        client.registration = Some(secret::digest(&token));
        asked.noted.client(&client.id);
        self.add_client_in(&self.telling(asked), &client).await?;
        let mut answer = shown(&client, &asked.base);
        answer["registration_access_token"] = json!(token);
        if let Some(made) = made {
            answer["client_secret"] = json!(made);
            answer["client_secret_expires_at"] = json!(0);
        }
        Ok(answer)
    }

    /// How many registrations wait for approval, and how many of them are of one address. Those that have waited for too long are forgotten, so that they keep
    /// nobody out; a client that was approved once and has changed since goes on to wait.
    async fn waiting(&self, from: Option<&str>) -> Result<(usize, usize), Refusal> {
        let now = self.clock.now().0 / 1_000_000;
        let (mut waiting, mut of_one) = (0, 0);
        for client in self.all_clients().await?.iter().filter(|client| client.state == ClientState::Waiting) {
            // When those of before this rule came is not known.
            if !client.approved_once && client.created > 0 && client.created + FORGOTTEN <= now {
                self.delete_client(&client.id).await?;
            } else {
                waiting += 1;
                let same = from.is_some() && client.registered_from.as_deref() == from;
                of_one += usize::from(same && !client.approved_once);
            }
        }
        Ok((waiting, of_one))
    }

    /// `register/{client_id}`: read, changed or deleted by whoever has the token of the registration.
    pub(super) async fn manage(&self, asked: &Asked, id: &str) -> Answered {
        match self.managed(asked, id).await {
            Ok(Some(value)) => Answered::json(value),
            Ok(None) => Answered::new(Went::NoContent, Content::Nothing),
            Err(refusal) => refusal.answer(false),
        }
    }

    async fn managed(&self, asked: &Asked, id: &str) -> Result<Option<Value>, Refusal> {
        let unknown = || Refusal::new(Code::InvalidToken, "this is not the token of this registration");
        let token = asked.bearer().ok_or_else(unknown)?;
        let client = self.client(id).await?.ok_or_else(unknown)?;
        let kept = client.registration.as_deref().ok_or_else(unknown)?;
        if !secret::same(kept, &secret::digest(token)) || client.state == ClientState::Disabled {
            return Err(unknown());
        }
        asked.noted.client(id);
        match asked.method {
            Method::Get => Ok(Some(shown(&client, &asked.base))),
            Method::Delete => {
                self.delete_client_in(&self.telling(asked), id).await?;
                self.revoke_client(id).await?;
                Ok(None)
            }
            Method::Put => {
                let body: Map<String, Value> = serde_json::from_slice(&asked.body)
                    .map_err(|_| Refusal::new(Code::InvalidClientMetadata, "the body is no JSON object"))?;
                // RFC 7592 2.2: what is put is the client as it is known, not another one.
                if body.get("client_id").and_then(Value::as_str) != Some(id) {
                    return Err(Refusal::invalid("client_id has to be there, and to be that of the registration"));
                }
                let told = body.get("client_secret").map(|told| told.as_str().map(secret::digest));
                if told.is_some_and(|told| told.is_none() || told != client.secret) {
                    return Err(Refusal::invalid("client_secret is not that of the registration"));
                }
                let mut next = (*client).clone();
                next.approved_once |= client.state == ClientState::Active;
                fill(&mut next, &body, self.settings.fetch_from_loopback)?;
                if next.kind != client.kind {
                    let why = "the way of authentication cannot be changed; register anew";
                    return Err(Refusal::new(Code::InvalidClientMetadata, why));
                }
                // What was approved was the client as it was.
                next.state = ClientState::Waiting;
                self.change_client_in(&self.telling(asked), id, |stored| *stored = next.clone()).await?;
                Ok(Some(shown(&next, &asked.base)))
            }
            Method::Post => Err(Refusal::invalid("a registration is read, put or deleted")),
        }
    }
}

/// The metadata of a client as RFC 7591 names them.
pub(super) fn shown(client: &Client, base: &str) -> Value {
    let method = match client.kind {
        ClientKind::Public => "none",
        ClientKind::Symmetric => "client_secret_basic",
        ClientKind::Asymmetric => "private_key_jwt",
    };
    let mut shown = json!({
        "client_id": client.id,
        "client_id_issued_at": client.created,
        "client_name": client.name,
        "redirect_uris": client.redirect_uris,
        "grant_types": client.grants(),
        "response_types": if client.may_use(CODE) { json!(["code"]) } else { json!([]) },
        "token_endpoint_auth_method": method,
        "scope": client.scopes.join(" "),
        "registration_client_uri": format!("{}/{}", Endpoints::of(base).register, client.id),
        "approved": client.state == ClientState::Active,
    });
    for (name, value) in [
        ("jwks_uri", &client.jwks_uri),
        ("client_uri", &client.client_uri),
        ("logo_uri", &client.logo_uri),
        ("launch_uri", &client.launch_uri),
    ] {
        if let Some(value) = value {
            shown[name] = json!(value);
        }
    }
    if let Some(jwks) = &client.jwks {
        shown["jwks"] = jwks.clone();
    }
    shown
}

/// Takes over what a client says about itself.
fn fill(client: &mut Client, body: &Map<String, Value>, loopback: bool) -> Result<(), Refusal> {
    let wrong = |why: &str| Refusal::new(Code::InvalidClientMetadata, why);
    client.name = text(body, "client_name")?.unwrap_or_else(|| client.id.clone());
    client.kind = match text(body, "token_endpoint_auth_method")?.as_deref() {
        None | Some("client_secret_basic" | "client_secret_post") => ClientKind::Symmetric,
        Some("none") => ClientKind::Public,
        Some("private_key_jwt") => ClientKind::Asymmetric,
        Some(_) => return Err(wrong("token_endpoint_auth_method is not one of those in the discovery document")),
    };
    client.redirect_uris = texts(body, "redirect_uris")?;
    for uri in &client.redirect_uris {
        check_redirect_uri(uri)?;
    }
    let mut grants = texts(body, "grant_types")?;
    if let Some(other) = grants.iter().find(|g| ![CODE, REFRESH, CREDENTIALS].contains(&g.as_str())) {
        return Err(wrong(&format!("the grant type {other:.40} is not served")));
    }
    if grants.is_empty() {
        // RFC 7591 2 has authorization_code alone; whether such a client stays signed in is said by its scopes.
        grants = [CODE, REFRESH].map(str::to_owned).to_vec();
    }
    let has = |grant: &str| grants.iter().any(|other| other == grant);
    if has(CREDENTIALS) && client.kind != ClientKind::Asymmetric {
        return Err(wrong("client_credentials needs private_key_jwt"));
    }
    if has(REFRESH) && !has(CODE) {
        return Err(wrong("refresh_token needs authorization_code"));
    }
    let led_back = has(CODE);
    client.grant_types = grants;
    if client.redirect_uris.is_empty() && led_back {
        return Err(Refusal::new(Code::InvalidRedirectUri, "redirect_uris is missing"));
    }
    client.jwks = body.get("jwks").cloned();
    client.jwks_uri = text(body, "jwks_uri")?;
    let keyed = match (&client.jwks, &client.jwks_uri) {
        (None, None) => false,
        (Some(keys), None) if assertion::is_usable(keys) => true,
        (None, Some(url)) if fetch::is_fetchable(url, loopback) => true,
        _ => return Err(wrong("jwks or jwks_uri (https): one of them, with a key for RS384 or ES384 that has a kid")),
    };
    if client.kind == ClientKind::Asymmetric && !keyed {
        return Err(wrong("private_key_jwt needs jwks or jwks_uri"));
    }
    for (name, place) in [
        ("client_uri", &mut client.client_uri),
        ("logo_uri", &mut client.logo_uri),
        ("launch_uri", &mut client.launch_uri),
    ] {
        *place = text(body, name)?;
        if place.as_deref().is_some_and(|uri| !is_web(uri)) {
            return Err(wrong(&format!("{name} has to be an https address")));
        }
    }
    let asked = text(body, "scope")?.unwrap_or_else(|| "openid fhirUser launch/patient patient/*.rs".to_owned());
    client.scopes = scope::list(&asked).map_err(|scope| wrong(&format!("'{scope:.100}' is no scope")))?;
    Ok(())
}

fn text(body: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.len() <= LONGEST && !text.chars().any(char::is_control) => {
            Ok(Some(text.clone()))
        }
        Some(_) => Err(Refusal::new(Code::InvalidClientMetadata, format!("{name} is no text, or too long"))),
    }
}

fn texts(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, Refusal> {
    let wrong = || Refusal::new(Code::InvalidClientMetadata, format!("{name} is no list of texts, or too long"));
    let Some(value) = body.get(name) else { return Ok(Vec::new()) };
    let all = value.as_array().filter(|all| all.len() <= MOST).ok_or_else(wrong)?;
    let texts = all.iter().map(|v| v.as_str().filter(|t| t.len() <= LONGEST).map(str::to_owned));
    texts.collect::<Option<Vec<_>>>().ok_or_else(wrong)
}

/// Whether an address can be led to in a browser: https, or http on the same machine.
fn is_web(uri: &str) -> bool {
    let clean = uri.bytes().all(|b| b.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&b));
    let host = origin(uri);
    let authority = host.split_once("://").map_or("", |(_, authority)| authority);
    let name = authority.rsplit_once(':').map_or(authority, |(name, _)| name);
    let local = uri.starts_with("http://") && ["localhost", "127.0.0.1", "[::1]"].contains(&name);
    clean && !authority.is_empty() && !authority.contains('@') && (uri.starts_with("https://") || local)
}

/// Refuses an address that a browser must not be led back to (RFC 8252, RFC 9700): https, http on the machine of the
/// user, or a scheme of the app's own that is a name turned round (`org.example.app:/callback`).
pub fn check_redirect_uri(uri: &str) -> Result<(), Refusal> {
    let refuse = |why: &str| Err(Refusal::new(Code::InvalidRedirectUri, why));
    if uri.contains('#') || uri.contains('*') {
        return refuse("a redirect URI has no fragment and no wildcard");
    }
    if is_web(uri) {
        return Ok(());
    }
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    let own = scheme.contains('.')
        && scheme.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-+".contains(&b))
        && uri.bytes().all(|b| b.is_ascii_graphic());
    if own { Ok(()) } else { refuse("a redirect URI is https, http on localhost, or of a scheme like org.example.app") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris() {
        let check = |uri: &str, expected| assert_eq!(check_redirect_uri(uri).is_ok(), expected, "{uri}");
        for good in ["https://app.example/cb", "http://localhost:9123/app.html", "http://127.0.0.1/cb"] {
            check(good, true);
        }
        check("org.example.app:/callback", true);
        for bad in ["javascript:alert(1)", "data:text/html,x", "http://app.example/cb", "https://u@app.example/", "app"]
        {
            check(bad, false);
        }
        for bad in ["https://app.example/#x", "https://*.example/", "myapp:/cb", "http://localhost.evil.example/"] {
            check(bad, false);
        }
    }
}
