//! What the audit trail tells: one thing that happened, in the words of the interactions, of signing in and of
//! administration. How it looks as an AuditEvent is in `shape`.

use super::{Origin, Patients, shape};
use crate::base::{Failure, FailureKind};
use crate::definitions::Definitions;
use crate::store::Body;

/// How bad it is that something did not succeed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Severity {
    /// It succeeded.
    #[default]
    None,
    /// Refused for an everyday reason: not there, malformed, another version.
    Minor,
    /// Refused because it was not allowed.
    Serious,
    /// The server could not do its work.
    Major,
}

impl Severity {
    /// That of a failure.
    pub fn of(kind: FailureKind) -> Severity {
        match kind {
            FailureKind::Unauthenticated | FailureKind::Forbidden => Severity::Serious,
            FailureKind::Internal | FailureKind::Unavailable | FailureKind::StoreFull => Severity::Major,
            _ => Severity::Minor,
        }
    }

    pub(super) fn code(self) -> &'static str {
        match self {
            Severity::None => "0",
            Severity::Minor => "4",
            Severity::Serious => "8",
            Severity::Major => "12",
        }
    }
}

/// Which sort of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// An interaction, by its code in `restful-interaction`.
    Rest(&'static str),
    /// Somebody signed in, or tried to.
    SignIn,
    /// Somebody signed out, or a session ended.
    SignOut,
    /// A token was asked for.
    Token,
    /// A person let an app do something, or took it back.
    Authorization,
    /// An app was launched.
    Launch,
    /// Data left in bulk.
    Export,
    /// A request was refused before it was known what it asks.
    Refusal,
    /// Accounts, apps, keys, policies or the server itself were administered.
    Administration,
}

/// One thing that happened. Made by one of the functions below, completed by the others.
#[derive(Clone, Debug)]
pub struct Event {
    pub(super) what: What,
    pub(super) severity: Severity,
    pub(super) why: Option<String>,
    pub(super) data: Vec<String>,
    pub(super) patients: Patients,
    pub(super) query: Option<String>,
    pub(super) client: Option<String>,
    pub(super) user: Option<String>,
    pub(super) emergency: Option<String>,
    pub(super) details: Vec<(&'static str, String)>,
}

/// Longest text that is taken over from elsewhere.
const LONGEST: usize = 500;

fn short(text: impl Into<String>) -> String {
    let text: String = text.into();
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
    }
}

impl Event {
    fn new(what: What) -> Event {
        Event {
            what,
            severity: Severity::None,
            why: None,
            data: Vec::new(),
            patients: Patients::default(),
            query: None,
            client: None,
            user: None,
            emergency: None,
            details: Vec::new(),
        }
    }

    /// An interaction, by its code (`read`, `search-type`, `operation`, …).
    pub fn interaction(code: &'static str) -> Event {
        Event::new(What::Rest(code))
    }

    /// Somebody signs in: by which means (`password`, `totp`, `passkey`, …).
    pub fn sign_in(user: &str, means: &str) -> Event {
        Event::new(What::SignIn).user(user).detail("means", means)
    }

    /// Somebody signs out, or the session ends by itself.
    pub fn sign_out(user: &str) -> Event {
        Event::new(What::SignOut).user(user)
    }

    /// A client asks for a token, by which grant (`authorization_code`, `refresh_token`, `client_credentials`, …).
    pub fn token(client: &str, grant: &str) -> Event {
        Event::new(What::Token).client(client).detail("grant", grant)
    }

    /// A person lets an app do something (`granted`), does not (`denied`), or takes it back (`revoked`).
    pub fn authorization(user: &str, client: &str, what: &str) -> Event {
        Event::new(What::Authorization).user(user).client(client).detail("decision", what)
    }

    /// An app is launched.
    pub fn launch(client: &str) -> Event {
        Event::new(What::Launch).client(client)
    }

    /// Data leave in bulk; what says where to or as what.
    pub fn export(what: &str) -> Event {
        Event::new(What::Export).detail("export", what)
    }

    /// A request is refused before it is known what it asks: no token, a wrong one, too many tries.
    pub fn refusal(failure: &Failure) -> Event {
        Event::new(What::Refusal).failed(failure)
    }

    /// Something is administered: what is done (`create`, `change`, `disable`, `rotate`, …), to what sort of thing
    /// (`account`, `client`, `key`, `policy`, …), which one.
    pub fn administration(done: &str, sort: &'static str, which: &str) -> Event {
        Event::new(What::Administration).detail("action", done).detail(sort, which)
    }

    /// The body of its AuditEvent.
    pub fn body(&self, origin: &Origin<'_>, definitions: &Definitions) -> Body {
        shape::body(self, origin, definitions)
    }

    /// It failed.
    pub fn failed(mut self, failure: &Failure) -> Event {
        self.severity = Severity::of(failure.kind);
        self.why = failure.issues.first().map(|issue| short(format!("{}: {}", issue.code.code(), issue.diagnostics)));
        self
    }

    /// It was refused, or went otherwise than the caller wished.
    pub fn refused(mut self, severity: Severity, why: impl Into<String>) -> Event {
        self.severity = severity;
        self.why = Some(short(why));
        self
    }

    /// Adds a resource that it is about: `Observation/1`.
    pub fn data(mut self, reference: impl Into<String>) -> Event {
        self.data.push(reference.into());
        self
    }

    /// Adds patients that it is about.
    pub fn patients(mut self, patients: Patients) -> Event {
        self.patients.extend(patients);
        self
    }

    /// The request whose answer depends on its parameters: method, address, and the parameters of a form.
    pub fn query(mut self, query: impl Into<String>) -> Event {
        self.query = Some(query.into());
        self
    }

    /// The client, where no principal tells it.
    pub fn client(mut self, client: &str) -> Event {
        self.client = Some(short(client)).filter(|id| !id.trim().is_empty());
        self
    }

    /// The name of the user, where no principal tells it.
    pub fn user(mut self, user: &str) -> Event {
        self.user = Some(short(user)).filter(|name| !name.trim().is_empty());
        self
    }

    /// It happens in an emergency for this reason, where no principal tells it.
    pub fn emergency(mut self, reason: &str) -> Event {
        self.emergency = Some(short(reason));
        self
    }

    /// Whether it failed or was refused.
    pub fn is_refused(&self) -> bool {
        self.severity != Severity::None
    }

    /// Adds something that is worth knowing. Never a secret.
    pub fn detail(mut self, name: &'static str, value: &str) -> Event {
        self.details.push((name, short(value)));
        self
    }
}
