//! The authorization endpoint (RFC 6749 4.1.1 with PKCE, RFC 9700, SMART App Launch): an app's request is judged, kept
//! for ten minutes, and the browser goes on to sign in. Whoever cannot be trusted to be led back gets a page.

use super::client::{CODE, Client, ClientState, REFRESH};
use super::exchange::{Answered, Asked, Method, Parameters};
use super::pending::Pending;
use super::refusal::{Code, Refusal};
use super::{Authorization, pages, scope, secret};
use crate::access::Scopes;
use crate::audit::Severity;
use crate::interaction::origin;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::sync::Arc;

/// Longest `state` and `nonce`: they are kept and sent back.
const LONGEST: usize = 2_048;

/// Where an answer goes: the app's address, which was found to be registered.
pub(super) struct Back<'a> {
    pub redirect_uri: &'a str,
    pub state: Option<&'a str>,
    pub issuer: &'a str,
}

impl Back<'_> {
    /// The address with parameters added. `iss` says who answers (RFC 9207).
    pub fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut address = self.redirect_uri.to_owned();
        let mut between = if address.contains('?') { '&' } else { '?' };
        let all = parameters.iter().copied();
        for (name, value) in all.chain(self.state.map(|state| ("state", state))).chain([("iss", self.issuer)]) {
            address.push(between);
            address.push_str(name);
            address.push('=');
            address.extend(utf8_percent_encode(value, NON_ALPHANUMERIC));
            between = '&';
        }
        address
    }

    /// The address that tells a refusal.
    pub fn refused(&self, refusal: &Refusal) -> String {
        self.with(&[("error", refusal.code.text()), ("error_description", &refusal.description)])
    }
}

impl Authorization {
    /// `authorize`
    pub(super) async fn authorize(&self, asked: &Asked) -> Answered {
        let parameters = if asked.method == Method::Post { &asked.form } else { &asked.query };
        let client = match self.trusted(parameters).await {
            Ok(client) => client,
            Err(refusal) => {
                asked.noted.refused(Severity::Minor, refusal.text());
                return pages::unusable(asked, refusal.code.text(), &refusal.description);
            }
        };
        let back = Back {
            redirect_uri: parameters.get("redirect_uri").unwrap_or_default(),
            state: parameters.get("state").filter(|state| state.len() <= LONGEST),
            issuer: &asked.base,
        };
        match self.begin(asked, parameters, &client).await {
            Ok(pending) => {
                asked.noted.shown();
                Answered::see_other(format!("/auth/sign-in?request={}", pending.id))
            }
            Err(refusal) => {
                asked.noted.refused(refusal.severity(), refusal.text());
                Answered::see_other(back.refused(&refusal))
            }
        }
    }

    /// The client, if client and address are such that the browser may be led back there.
    async fn trusted(&self, parameters: &Parameters) -> Result<Arc<Client>, Refusal> {
        if let Some(name) = parameters.repeated() {
            let name: String = name.chars().take(40).collect();
            return Err(Refusal::invalid(format!("'{name}' is there more than once")));
        }
        let id = parameters.get("client_id").ok_or_else(|| Refusal::invalid("client_id is missing"))?;
        let client = self.client(id).await?;
        let client =
            client.ok_or_else(|| Refusal::new(Code::UnauthorizedClient, "no app is registered as client_id"))?;
        match client.state {
            ClientState::Active => {}
            ClientState::Waiting => {
                let why = "the app is registered and waits for an administrator to approve it";
                return Err(Refusal::new(Code::UnauthorizedClient, why));
            }
            ClientState::Disabled => return Err(Refusal::new(Code::UnauthorizedClient, "the app was disabled")),
        }
        let uri = parameters.get("redirect_uri").ok_or_else(|| Refusal::invalid("redirect_uri is missing"))?;
        match client.redirect_uris.iter().any(|registered| registered == uri) {
            true => Ok(client),
            false => Err(Refusal::invalid("redirect_uri is not one that the app has registered, letter by letter")),
        }
    }

    /// Judges the rest of the request and keeps it.
    async fn begin(&self, asked: &Asked, parameters: &Parameters, client: &Client) -> Result<Pending, Refusal> {
        match parameters.get("response_type") {
            Some("code") => {}
            Some(_) => return Err(Refusal::new(Code::UnsupportedResponseType, "response_type has to be code")),
            None => return Err(Refusal::invalid("response_type is missing; it has to be code")),
        }
        if !client.may_use(CODE) {
            let why = "the app has not registered the grant type authorization_code";
            return Err(Refusal::new(Code::UnauthorizedClient, why));
        }
        if parameters.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(Refusal::invalid("response_mode has to be query"));
        }
        if parameters.get("request").is_some() {
            return Err(Refusal::new(Code::RequestNotSupported, "request objects are not read here"));
        }
        if parameters.get("request_uri").is_some() {
            return Err(Refusal::new(Code::RequestUriNotSupported, "request objects are not read here"));
        }
        let state = parameters.get("state").ok_or_else(|| Refusal::invalid("state is missing"))?;
        let nonce = parameters.get("nonce");
        if state.len() > LONGEST || nonce.is_some_and(|nonce| nonce.len() > LONGEST) {
            return Err(Refusal::invalid("state or nonce is too long"));
        }
        let challenge = challenge(parameters)?;
        match parameters.get("aud").or(parameters.get("resource")) {
            Some(aud) if same_base(aud, &asked.base) => {}
            Some(_) => return Err(Refusal::invalid(format!("aud has to be the FHIR base, {}", asked.base))),
            None => return Err(Refusal::invalid(format!("aud is missing; it is the FHIR base, {}", asked.base))),
        }
        let scopes = self.asked_scopes(parameters.get("scope").unwrap_or_default(), client)?;
        let launch = self.asked_launch(parameters, &scopes, client).await?;
        let prompt = parameters.get("prompt").unwrap_or_default();
        let prompt: Vec<String> = prompt.split(' ').filter(|p| !p.is_empty()).map(str::to_owned).collect();
        if prompt.iter().any(|p| p == "none") {
            if prompt.len() > 1 {
                return Err(Refusal::invalid("prompt=none does not stand with others"));
            }
            // Every grant is asked for anew, so that nothing can be answered without a page.
            let signed_in = self.session_of(asked).await?.is_some();
            let code = if signed_in { Code::InteractionRequired } else { Code::LoginRequired };
            return Err(Refusal::new(code, "the user has to be asked"));
        }
        let max_age = parameters.get("max_age").map(|age| age.parse::<u32>());
        let max_age = max_age.transpose().map_err(|_| Refusal::invalid("max_age is no number of seconds"))?;
        let pending = Pending {
            id: secret::random(),
            client: client.id.clone(),
            redirect_uri: parameters.get("redirect_uri").unwrap_or_default().to_owned(),
            state: state.to_owned(),
            nonce: nonce.map(str::to_owned),
            challenge,
            scopes,
            launch,
            prompt,
            max_age,
            login_hint: parameters.get("login_hint").filter(|hint| hint.len() <= 200).map(str::to_owned),
            emergency: None,
            base: asked.base.clone(),
            made: self.clock.now(),
        };
        self.keep_pending(&pending).await?;
        Ok(pending)
    }

    /// The scopes that are asked for and that the client may ask for.
    pub(super) fn asked_scopes(&self, text: &str, client: &Client) -> Result<Vec<String>, Refusal> {
        if text.len() > 16_384 {
            return Err(Refusal::new(Code::InvalidScope, "too many scopes"));
        }
        let listed = scope::list(text).map_err(|scope| {
            let scope: String = scope.chars().take(120).collect();
            Refusal::new(Code::InvalidScope, format!("'{scope}' is not written as a scope has to be"))
        })?;
        let stays = |s: &str| matches!(s, "offline_access" | "online_access");
        let may = |s: &String| scope::covered(&client.scopes, s) && (!stays(s) || client.may_use(REFRESH));
        let scopes: Vec<String> = listed.into_iter().filter(may).collect();
        Scopes::parse(&scopes.join(" "), &self.service.search_definitions())
            .map_err(|error| Refusal::new(Code::InvalidScope, error.to_string()))?;
        match scopes.is_empty() {
            true => Err(Refusal::new(Code::InvalidScope, "nothing is asked for that this app may have")),
            false => Ok(scopes),
        }
    }

    /// The launch that an EHR has begun. Whose it is is asked when the user has signed in.
    async fn asked_launch(
        &self,
        parameters: &Parameters,
        scopes: &[String],
        client: &Client,
    ) -> Result<Option<String>, Refusal> {
        let wanted = scopes.iter().any(|scope| scope == "launch");
        let launch = match (parameters.get("launch"), wanted) {
            (None, false) => return Ok(None),
            (None, true) => return Err(Refusal::invalid("the scope launch needs the parameter launch")),
            (Some(_), false) => return Err(Refusal::new(Code::InvalidScope, "launch needs the scope launch")),
            (Some(launch), true) => launch,
        };
        let found = self.launch(launch).await?;
        let usable = found.is_some_and(|(_, launch)| launch.client.is_none_or(|id| id == client.id));
        usable
            .then(|| Some(launch.to_owned()))
            .ok_or_else(|| Refusal::invalid("launch is unknown, used already, over, or made for another app"))
    }
}

/// The PKCE challenge (RFC 7636): S256 and nothing else, of every client.
fn challenge(parameters: &Parameters) -> Result<String, Refusal> {
    let challenge = parameters.get("code_challenge");
    let challenge = challenge.ok_or_else(|| Refusal::invalid("code_challenge is missing (PKCE)"))?;
    if parameters.get("code_challenge_method") != Some("S256") {
        return Err(Refusal::invalid("code_challenge_method has to be S256"));
    }
    // What SHA-256 gives in base64url has 43 characters.
    let legal = challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    match legal {
        true => Ok(challenge.to_owned()),
        false => Err(Refusal::invalid("code_challenge is no SHA-256 in base64url")),
    }
}

/// Whether an address is the base, a slash at the end or not.
pub(super) fn same_base(address: &str, base: &str) -> bool {
    let address = address.strip_suffix('/').unwrap_or(address);
    if address == base {
        return true;
    }
    // On this machine localhost and 127.0.0.1 are the same server under two names.
    let local = |text: &str| {
        let (root, path) = text.split_at(origin(text).len());
        root.contains("://localhost:").then(|| format!("{}{path}", root.replace("://localhost:", "://127.0.0.1:")))
    };
    match (local(address), local(base)) {
        (Some(a), None) => a == base,
        (None, Some(b)) => b == address,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_keep_their_query_and_escape_what_is_added() {
        let back = Back { redirect_uri: "https://a.example/cb?x=1", state: Some("a&b"), issuer: "https://h/fhir" };
        assert_eq!(
            back.with(&[("code", "c")]),
            "https://a.example/cb?x=1&code=c&state=a%26b&iss=https%3A%2F%2Fh%2Ffhir"
        );
    }

    #[test]
    fn bases_are_compared_exactly() {
        let check = |aud: &str, base: &str, expected| assert_eq!(same_base(aud, base), expected, "{aud}");
        check("https://h/fhir", "https://h/fhir", true);
        check("https://h/fhir/", "https://h/fhir", true);
        check("https://h/fhir//", "https://h/fhir", false);
        check("https://h.evil/fhir", "https://h/fhir", false);
        check("http://localhost:8080/fhir", "http://127.0.0.1:8080/fhir", true);
        check("http://localhost:8080.evil/fhir", "http://127.0.0.1:8080/fhir", false);
        check("http://localhost:8081/fhir", "http://127.0.0.1:8080/fhir", false);
    }
}
