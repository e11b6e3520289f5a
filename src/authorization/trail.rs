//! What the authorization server tells the audit trail: every attempt to sign in, every token that is asked for, every
//! launch, grant, revocation and change of an account or app, with who did it and how it went. What changes anything
//! (sessions, accounts, grants, tokens, registrations, administration) is told in its own commit, everything else at the
//! one door, before the answer leaves; if the trail cannot be written, nothing leaves. Never a password, code, token or
//! secret.

use super::Authorization;
use super::exchange::{Answered, Asked, Content, Method, Went};
use super::noted::Outcome;
use super::people::People;
use crate::audit::{Event, Severity};
use crate::base::{Failure, TenantId};
use crate::interaction::{Context, Records};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Which outcomes of a request are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// All.
    Always,
    /// Only that it was refused: if it is not, a page is shown and nothing has happened yet.
    Refused,
}

/// Where people sign in.
const SIGN_IN: [&str; 4] = ["sign-in", "second-factor", "passkey", "outside/return"];

impl Authorization {
    /// Answers a request, and tells the trail of it.
    pub async fn answer_recorded(&self, asked: Asked) -> Answered {
        let Some((event, when)) = event(&asked) else { return self.answer(asked).await };
        // Asked before, because the answer may end the session. Who signs in need not be who was signed in before.
        if !SIGN_IN.contains(&asked.path.as_str()) {
            match self.session_of(&asked).await {
                Ok(Some(session)) => asked.noted.user(&session.user().name),
                Ok(None) => {}
                Err(failure) => return unavailable(&failure),
            }
        }
        let (context, noted) = (context(&asked), asked.noted.clone());
        let answered = self.answer(asked).await;
        let outcome = noted.outcome();
        let event = with_outcome(noted.complete(event), &outcome, &answered);
        let untold = outcome == Outcome::Shown || (when == When::Refused && !event.is_refused());
        if noted.is_told(event.is_refused()) || (untold && !event.is_refused()) {
            return answered;
        }
        match self.service.record(&context, event).await {
            Ok(()) => answered,
            Err(failure) => unavailable(&failure),
        }
    }

    /// Records whose next commit tells the trail how the request has gone: what happens and that it happened are both
    /// there or neither. What is noted later is not told.
    pub(super) fn telling(&self, asked: &Asked) -> Records {
        let Some((event, _)) = event(asked) else { return self.records.clone() };
        let mut event = asked.noted.complete(event);
        if let Outcome::Refused(severity, why) = asked.noted.outcome() {
            event = event.refused(severity, why);
        }
        let refused = event.is_refused();
        let records = self.telling_of(asked, event);
        asked.noted.tells_with(&records, refused);
        records
    }

    /// The people, who sign in and out and change their accounts in commits that tell the trail how the request has
    /// gone.
    pub(super) fn people_telling(&self, asked: &Asked) -> People {
        self.people.telling(&self.telling(asked))
    }

    /// Records whose next commit tells the trail of something that a request leads to besides what it is.
    pub(super) fn telling_of(&self, asked: &Asked, event: Event) -> Records {
        self.service.records_telling(&context(asked), event)
    }

    /// Tells the trail of a request to the FHIR API that was refused for want of a token; gives the failure to answer.
    /// The address comes without tokens.
    pub async fn refusal_recorded(&self, context: &Context, address: &str, failure: Failure) -> Failure {
        let event = Event::refusal(&failure).query(address);
        match self.service.record(context, event).await {
            Ok(()) => failure,
            Err(other) => other,
        }
    }
}

fn context(asked: &Asked) -> Context {
    let mut context = Context::open(TenantId::default(), asked.base.clone());
    context.remote = asked.remote;
    context.request_id.clone_from(&asked.request_id);
    context
}

fn unavailable(failure: &Failure) -> Answered {
    tracing::error!(%failure, "the audit trail cannot be written; the request fails");
    Answered::new(Went::Unavailable, Content::Nothing)
}

/// What a request is, if it is one that is recorded: those that only show a page are not.
fn event(asked: &Asked) -> Option<(Event, When)> {
    let form = |name: &str| asked.form.get(name).unwrap_or_default();
    let client = client(asked).unwrap_or_default();
    let client = client.as_str();
    let path = asked.path.as_str();
    if path == "authorize" {
        // An app's request that is all right is told when its user has answered it.
        return Some((Event::authorization("", client, "asked for"), When::Refused));
    }
    if asked.method == Method::Get {
        return match path {
            // The way back from another provider's sign-in page.
            "outside/return" => Some((Event::sign_in("", "outside provider"), When::Always)),
            _ => None,
        };
    }
    let event = match path {
        "sign-in" => Event::sign_in(form("user"), "password"),
        "second-factor" => Event::sign_in("", "second factor"),
        "passkey" => Event::sign_in(form("user"), "passkey"),
        "sign-out" => Event::sign_out(""),
        "consent" => Event::authorization("", client, ""),
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
    Some((event, When::Always))
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

fn with_outcome(event: Event, noted: &Outcome, answered: &Answered) -> Event {
    match (answered.went, noted) {
        (Went::Forbidden | Went::Unauthenticated | Went::TooMany, _) => event.refused(Severity::Serious, why(answered)),
        (Went::Internal | Went::Unavailable, _) => event.refused(Severity::Major, why(answered)),
        (_, Outcome::Refused(severity, why)) => event.refused(*severity, why),
        (_, Outcome::Done) => event,
        // A page that leads elsewhere does so for many reasons; only what was noted as done was done.
        (Went::SeeOther, Outcome::Unsaid) => event.refused(Severity::Minor, "led on to another page, nothing was done"),
        (Went::Ok | Went::Created | Went::NoContent | Went::SeeOther, _) => event,
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
    use crate::authorization::noted::Noted;

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
            request_id: String::new(),
            noted: Noted::default(),
        }
    }

    #[test]
    fn attempts_are_told_and_secrets_are_not() {
        let told =
            |method, path: &str, form: &str| event(&asked(method, path, form)).map(|(event, _)| format!("{event:?}"));
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
    fn an_answer_that_leads_on_is_a_success_only_if_it_was_noted() {
        let told = |outcome: &Outcome, went| {
            let answered = Answered::new(went, Content::Nothing);
            !with_outcome(Event::sign_in("alice", "passkey"), outcome, &answered).is_refused()
        };
        assert!(told(&Outcome::Done, Went::SeeOther));
        assert!(!told(&Outcome::Unsaid, Went::SeeOther));
        assert!(told(&Outcome::Unsaid, Went::Ok) && told(&Outcome::Shown, Went::Ok));
        let refused = Outcome::Refused(Severity::Minor, "half of it".to_owned());
        assert!(!told(&refused, Went::SeeOther) && !told(&refused, Went::Ok));
        // Whatever was noted on the way there: a failure is one.
        for went in [Went::Forbidden, Went::TooMany, Went::Unavailable, Went::Internal] {
            assert!(!told(&Outcome::Done, went) && !told(&Outcome::Shown, went), "{went:?}");
        }
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
