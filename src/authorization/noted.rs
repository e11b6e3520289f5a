//! What is noted about a request while it is answered, for the audit trail: who it turned out to be, for which app and
//! whose record, what was decided, and how it went where the answer alone does not say. Whoever answers notes it; when
//! it is told is `trail`'s business.

use super::grant::Grant;
use crate::audit::{Event, Patients, Severity};
use crate::base::ResourceId;
use crate::interaction::Records;
use parking_lot::Mutex;
use std::sync::Arc;

/// The notes of one request, the same for all who answer a part of it.
#[derive(Clone, Default)]
pub struct Noted(Arc<Mutex<Notes>>);

/// What a request led to.
#[derive(Clone, Default)]
struct Notes {
    user: Option<String>,
    client: Option<String>,
    patient: Option<ResourceId>,
    scopes: Option<String>,
    /// The app that is launched.
    app: Option<String>,
    decision: Option<&'static str>,
    emergency: Option<String>,
    outcome: Outcome,
    /// What takes the record along in its commit, and whether it says there that the request was refused.
    told: Option<(Records, bool)>,
}

/// How a request went, as far as it was noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nobody said: the answer has to tell.
    #[default]
    Unsaid,
    /// What was asked for was done.
    Done,
    /// It was not.
    Refused(Severity, String),
    /// Nothing was to be done: a page was shown.
    Shown,
}

impl std::fmt::Debug for Noted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Noted")
    }
}

impl Noted {
    /// The name of the user.
    pub(super) fn user(&self, name: &str) {
        self.0.lock().user = Some(name.to_owned());
    }

    /// The client, as it says it is until it is known to be.
    pub(super) fn client(&self, id: &str) {
        self.0.lock().client = Some(id.to_owned());
    }

    /// What a grant says: the client, the patient, the scopes, and whether it is an emergency.
    pub(super) fn grant(&self, grant: &Grant) {
        let mut notes = self.0.lock();
        notes.client.clone_from(&grant.client);
        notes.patient = grant.context.patient.as_deref().and_then(ResourceId::new);
        notes.scopes = Some(grant.scopes.join(" "));
        notes.emergency.clone_from(&grant.break_glass);
    }

    /// What is launched: the app beside the client that asks for it, and the patient in context.
    pub(super) fn launch(&self, app: Option<&str>, patient: Option<&str>) {
        let mut notes = self.0.lock();
        notes.scopes = None;
        notes.app = app.map(str::to_owned);
        notes.patient = patient.and_then(ResourceId::new);
    }

    /// What a user decided.
    pub(super) fn decision(&self, what: &'static str) {
        self.0.lock().decision = Some(what);
    }

    /// What was asked for is done. Where the browser is led on afterwards, nothing else says so.
    pub(super) fn done(&self) {
        self.0.lock().outcome = Outcome::Done;
    }

    /// It is not done, though the answer may look as if it were.
    pub(super) fn refused(&self, severity: Severity, why: impl Into<String>) {
        self.0.lock().outcome = Outcome::Refused(severity, why.into());
    }

    /// There was nothing to do.
    pub(super) fn shown(&self) {
        self.0.lock().outcome = Outcome::Shown;
    }

    /// How it went.
    pub(super) fn outcome(&self) -> Outcome {
        self.0.lock().outcome.clone()
    }

    /// From now on these records take the record of the request along; it says whether the request was refused.
    pub(super) fn tells_with(&self, records: &Records, refused: bool) {
        self.0.lock().told = Some((records.clone(), refused));
    }

    /// Whether a commit has told the trail already, and as what it turned out to be.
    pub(super) fn is_told(&self, refused: bool) -> bool {
        self.0.lock().told.as_ref().is_some_and(|(records, told)| *told == refused && records.have_told())
    }

    /// The event with what was noted.
    pub(super) fn complete(&self, mut event: Event) -> Event {
        let notes = self.0.lock();
        if let Some(user) = &notes.user {
            event = event.user(user);
        }
        if let Some(client) = &notes.client {
            event = event.client(client);
        }
        if let Some(decision) = notes.decision {
            event = event.detail("decision", decision);
        }
        if let Some(app) = &notes.app {
            event = event.detail("app", app);
        }
        if let Some(scopes) = &notes.scopes {
            event = event.detail("scope", scopes);
        }
        if let Some(reason) = &notes.emergency {
            event = event.emergency(reason);
        }
        event.patients(Patients::one(notes.patient.as_ref()))
    }
}
