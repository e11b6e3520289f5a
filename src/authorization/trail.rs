//! What the authorization server tells the audit trail: every attempt to sign in, every token that is asked for, every
//! launch, grant, revocation and change of an account or app, with how it went. Done at the one door, before the
//! answer leaves; if the trail cannot be written, nothing leaves. Never a password, code, token or secret.

use super::Authorization;
use super::exchange::{Answered, Asked, Content, Method, Went};
use crate::audit::{Event, Severity};
use crate::base::{Failure, TenantId};
use crate::interaction::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

impl Authorization {
    /// Answers a request, and tells the trail of it.
    pub async fn answer_recorded(&self, asked: Asked, request_id: String) -> Answered {
        let Some(event) = event(&asked) else { return self.answer(asked).await };
        let mut context = Context::open(TenantId::default(), asked.base.clone());
        context.remote = asked.remote;
        context.request_id = request_id;
        // Asked before, because the answer may end the session.
        let user = match self.session_of(&asked).await {
            Ok(session) => session.map(|session| session.user().name.clone()),
            Err(failure) => return unavailable(&failure),
        };
        let event = match user {
            Some(user) => event.user(&user),
            None => event,
        };
        let answered = self.answer(asked).await;
        match self.service.record(&context, with_outcome(event, &answered)).await {
            Ok(()) => answered,
            Err(failure) => unavailable(&failure),
        }
    }

    /// Tells the trail of a request to the FHIR API that was refused for want of a token; gives the failure to answer.
    pub async fn refusal_recorded(&self, context: &Context, address: &str, failure: Failure) -> Failure {
        let event = Event::refusal(&failure).query(address);
        match self.service.record(context, event).await {
            Ok(()) => failure,
            Err(other) => other,
        }
    }
}

fn unavailable(failure: &Failure) -> Answered {
    tracing::error!(%failure, "the audit trail cannot be written; the request fails");
    Answered::new(Went::Unavailable, Content::Nothing)
}

/// What a request is, if it is one that is recorded: those that only show a page are not.
fn event(asked: &Asked) -> Option<Event> {
    let form = |name: &str| asked.form.get(name).unwrap_or_default();
    let client = client(asked).unwrap_or_default();
    let client = client.as_str();
    let path = asked.path.as_str();
    if asked.method == Method::Get {
        return match path {
            // The way back from another provider's sign-in page.
            "outside/return" => Some(Event::sign_in("", "outside provider")),
            _ => None,
        };
    }
    let event = match path {
        "sign-in" => Event::sign_in(form("user"), "password"),
        "second-factor" => Event::sign_in("", "second factor"),
        "passkey" => Event::sign_in(form("user"), "passkey"),
        "sign-out" => Event::sign_out(""),
        "authorize" | "consent" => Event::authorization("", client, "answer to an app's request"),
        "admin" => match super::pages::admin::action(form("action")) {
            Some((done, sort)) => Event::administration(done, sort, form("which")),
            None => Event::administration("unknown", "server", ""),
        },
        "apps" => Event::authorization("", form("app"), "revoked"),
        "token" => Event::token(client, form("grant_type")),
        "introspect" => Event::token(client, "introspection"),
        "revoke" => Event::token(client, "revocation"),
        "launch" => Event::launch(client),
        "register" => Event::administration("register", "client", ""),
        "patient" | "outside" | "signed-out" => return None,
        _ => match path.strip_prefix("register/") {
            Some(id) => {
                let done = if asked.method == Method::Delete { "delete" } else { "change" };
                Event::administration(done, "client", id)
            }
            None => Event::administration("change", "account", path),
        },
    };
    Some(event)
}

/// The client that a request names: in the form, or as the user of HTTP Basic.
fn client(asked: &Asked) -> Option<String> {
    if let Some(named) = asked.form.get("client_id").or(asked.query.get("client_id")) {
        return Some(named.to_owned());
    }
    let (scheme, rest) = asked.authorization.as_deref()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    pair.split_once(':').map(|(client, _)| client.to_owned())
}

fn with_outcome(event: Event, answered: &Answered) -> Event {
    match answered.went {
        Went::Ok | Went::Created | Went::NoContent | Went::SeeOther => event,
        Went::Forbidden | Went::Unauthenticated | Went::TooMany => event.refused(Severity::Serious, why(answered)),
        Went::Internal | Went::Unavailable => event.refused(Severity::Major, why(answered)),
        _ => event.refused(Severity::Minor, why(answered)),
    }
}

/// The error of an answer in JSON; of a page only how it went.
fn why(answered: &Answered) -> String {
    let text = |name: &str| match &answered.content {
        Content::Json(value) => value.get(name).and_then(|v| v.as_str()),
        _ => None,
    };
    match (text("error"), text("error_description")) {
        (Some(error), Some(more)) => format!("{error}: {more}"),
        (Some(error), None) => error.to_owned(),
        _ => format!("{:?}", answered.went),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authorization::exchange::Parameters;

    fn asked(method: Method, path: &str, form: &str) -> Asked {
        Asked {
            method,
            path: path.to_owned(),
            query: Parameters::default(),
            form: Parameters::read(form),
            body: form.as_bytes().to_vec(),
            authorization: None,
            cookies: None,
            origin: None,
            languages: None,
            agent: None,
            remote: None,
            base: "https://fhir.example.org".to_owned(),
        }
    }

    #[test]
    fn attempts_are_told_and_secrets_are_not() {
        let told = |method, path: &str, form: &str| event(&asked(method, path, form)).map(|event| format!("{event:?}"));
        let sign_in = told(Method::Post, "sign-in", "user=alice&pass=hunter2").expect("told");
        assert!(sign_in.contains("alice") && !sign_in.contains("hunter2"), "{sign_in}");
        let token = told(Method::Post, "token", "grant_type=refresh_token&refresh_token=s3cret&client_id=app");
        let token = token.expect("told");
        assert!(token.contains("app") && token.contains("refresh_token") && !token.contains("s3cret"), "{token}");
        assert_eq!(told(Method::Get, "sign-in", ""), None);
        assert!(told(Method::Delete, "register/app", "").expect("told").contains("delete"));
        assert!(told(Method::Post, "password", "old=one&new=two").expect("told").contains("account"));
    }

    #[test]
    fn the_client_of_basic_is_told_without_its_secret() {
        let mut basic = asked(Method::Post, "token", "grant_type=client_credentials");
        basic.authorization = Some(format!("Basic {}", STANDARD.encode("app:hunter2")));
        assert_eq!(client(&basic).as_deref(), Some("app"));
        basic.authorization = Some("Bearer x".to_owned());
        assert_eq!(client(&basic), None);
    }
}
