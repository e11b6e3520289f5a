//! When the audit trail is told what: every interaction leaves one record, a write in its own commit, everything else
//! before its answer leaves. If the record cannot be written, the request fails. A batch or transaction leaves what its
//! entries would leave alone, and a record of its own only if it is refused or empty. How a record looks is in `audit`.
//!
//! Here, too: the trail is read like resources of the type AuditEvent, and never written by any request.

use super::{Context, Interaction, Media, Records, Reply, ReplyContent, Request, Service, Verb, outcome, search};
use crate::access::{Caller, Role};
use crate::audit::{Event, Level, Origin, Patients};
use crate::base::{Failure, FailureKind, IssueCode};
use crate::definitions::TypeId;
use crate::operation;
use crate::store::{AuditRecord, Committed, Method, StoreError, Transaction, Write};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is noted while one interaction is performed.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// A commit has told the trail already.
    recorded: AtomicBool,
    /// Patients that the answer is about though its text does not say so.
    patients: Mutex<Patients>,
}

impl Ledger {
    /// Notes the patients of a resource of which only a part is shown.
    pub(crate) fn saw(&self, json: &[u8]) {
        self.patients.lock().add_from(json);
    }
}

/// The code of an interaction in `http://hl7.org/fhir/restful-interaction`.
fn code(interaction: &Interaction) -> &'static str {
    match interaction {
        Interaction::Capabilities => "capabilities",
        Interaction::Read { .. } => "read",
        Interaction::VersionRead { .. } => "vread",
        Interaction::Create { .. } => "create",
        Interaction::Update { .. } | Interaction::ConditionalUpdate { .. } => "update",
        Interaction::Patch { .. } | Interaction::ConditionalPatch { .. } => "patch",
        Interaction::Delete { .. } | Interaction::ConditionalDelete { .. } => "delete",
        Interaction::HistoryInstance { .. } => "history-instance",
        Interaction::HistoryType { .. } => "history-type",
        Interaction::HistorySystem => "history-system",
        Interaction::SearchType { .. } | Interaction::SearchCompartment { .. } => "search-type",
        Interaction::SearchSystem => "search-system",
        Interaction::Bundle => "transaction",
        Interaction::Operation { .. } => "operation",
    }
}

/// The type that an interaction is on.
fn kind(interaction: &Interaction) -> Option<TypeId> {
    match interaction {
        Interaction::Read { kind, .. }
        | Interaction::VersionRead { kind, .. }
        | Interaction::Create { kind }
        | Interaction::Update { kind, .. }
        | Interaction::ConditionalUpdate { kind }
        | Interaction::Patch { kind, .. }
        | Interaction::ConditionalPatch { kind }
        | Interaction::Delete { kind, .. }
        | Interaction::ConditionalDelete { kind }
        | Interaction::HistoryInstance { kind, .. }
        | Interaction::HistoryType { kind }
        | Interaction::SearchType { kind } => Some(*kind),
        Interaction::SearchCompartment { kind, .. } | Interaction::Operation { kind, .. } => *kind,
        Interaction::Capabilities | Interaction::HistorySystem | Interaction::SearchSystem | Interaction::Bundle => {
            None
        }
    }
}

/// Whether an interaction changes nothing.
fn reads(interaction: &Interaction) -> bool {
    match interaction {
        Interaction::Operation { name, .. } => !operation::affects_state(name),
        Interaction::Create { .. }
        | Interaction::Update { .. }
        | Interaction::ConditionalUpdate { .. }
        | Interaction::Patch { .. }
        | Interaction::ConditionalPatch { .. }
        | Interaction::Delete { .. }
        | Interaction::ConditionalDelete { .. }
        | Interaction::Bundle => false,
        _ => true,
    }
}

impl Service {
    /// Tells the audit trail of something; returns when that is durable.
    pub async fn record(&self, context: &Context, event: Event) -> Result<(), Failure> {
        let audit = self.audit_records(context, [event]);
        if audit.is_empty() {
            return Ok(());
        }
        let transaction = Transaction { audit, ..Transaction::default() };
        self.behind_the_gate().commit(context.tenant, transaction).await.map(|_| ()).map_err(not_recorded)
    }

    /// Records of the tenant whose next commit tells the audit trail of something.
    pub fn records_telling(&self, context: &Context, event: Event) -> Records {
        self.records(context.tenant).telling(self.audit_records(context, [event]))
    }

    /// Events as records for the trail; none if it is off.
    pub(crate) fn audit_records(&self, context: &Context, events: impl IntoIterator<Item = Event>) -> Vec<AuditRecord> {
        let Some(kind) = self.audit_event().filter(|_| self.settings.audit.is_on()) else { return Vec::new() };
        let origin = Origin {
            base: &context.base,
            caller: &context.caller,
            remote: context.remote,
            request_id: &context.request_id,
            now: self.clock.now(),
        };
        events.into_iter().map(|event| AuditRecord { kind, body: event.body(&origin, &self.definitions) }).collect()
    }

    /// Whether an audit trail is kept and served.
    pub fn has_trail(&self) -> bool {
        self.settings.audit.is_on()
    }

    /// Whether resources of the type AuditEvent are written by no request: where there is a trail, also one that this
    /// process does not go on with, nobody shall be able to put something beside it.
    pub fn keeps_events(&self) -> bool {
        self.has_trail() || self.holds_trail()
    }

    /// Whether the resources of a type are records of the audit trail, and never written by a request.
    pub(super) fn is_trail(&self, kind: TypeId) -> bool {
        self.keeps_events() && self.audit_event() == Some(kind)
    }

    fn audit_event(&self) -> Option<TypeId> {
        self.definitions.resource("AuditEvent")
    }

    /// Commits what a request writes and the gate let through; the trail is told of each write in the same commit.
    pub(super) async fn commit_recorded(
        &self,
        context: &Context,
        mut transaction: Transaction,
    ) -> Result<Vec<Committed>, StoreError> {
        if self.settings.audit.is_on() {
            let events = self.of_writes(context, &transaction.writes).await?;
            transaction.audit.extend(self.audit_records(context, events));
        }
        let done = self.behind_the_gate().commit(context.tenant, transaction).await?;
        context.ledger.recorded.store(true, Ordering::Relaxed);
        Ok(done)
    }

    async fn of_writes(&self, context: &Context, writes: &[Write]) -> Result<Vec<Event>, StoreError> {
        let snapshot = self.behind_the_gate().snapshot(context.tenant).await?;
        let mut events = Vec::with_capacity(writes.len());
        for write in writes {
            let name = self.definitions.name(write.kind);
            let code = match write.method {
                Method::Create => "create",
                Method::Update => "update",
                Method::Patch => "patch",
                Method::Delete => "delete",
            };
            let mut patients = Patients::one((name == "Patient").then_some(&write.id));
            if let (Some(content), false) = (&write.content, name == "Patient") {
                patients.add_from(&content.body.0);
            }
            // A write may take a resource out of one patient's record and put it into another's.
            if write.method != Method::Create
                && name != "Patient"
                && let Some(body) = snapshot.read(write.kind, &write.id).await?.and_then(|before| before.body)
            {
                patients.add_from(&body);
            }
            events.push(Event::interaction(code).data(format!("{name}/{}", write.id)).patients(patients));
        }
        Ok(events)
    }

    /// Performs an interaction and tells the trail of it.
    pub(super) async fn perform_recorded(
        &self,
        context: &Context,
        request: &Request,
        interaction: Interaction,
    ) -> Result<Reply, Failure> {
        let level = self.settings.audit;
        if !level.is_on() || interaction == Interaction::Capabilities {
            self.refuse_to_write_trail(&interaction)?;
            return self.perform_plain(context, request, interaction).await;
        }
        let mut context = context.clone();
        context.ledger = Arc::default();
        let done = match self.guard_trail(&context, request, &interaction) {
            Err(failure) => Err(failure),
            Ok(trail) => {
                context.trail = trail;
                self.perform_plain(&context, request, interaction.clone()).await
            }
        };
        let told = context.ledger.recorded.load(Ordering::Relaxed) || (level == Level::Writes && reads(&interaction));
        if done.is_ok() && told {
            return done;
        }
        let event = self.event(&context, request, &interaction, &done);
        self.record(&context, event).await?;
        done
    }

    /// Performs an interaction that changes nothing, only to see whether it can be: nobody is shown the answer, and the
    /// trail is told nothing.
    pub(super) async fn try_out(
        &self,
        context: &Context,
        request: &Request,
        interaction: Interaction,
    ) -> Result<(), Failure> {
        let mut context = context.clone();
        context.ledger = Arc::default();
        if self.settings.audit.is_on() {
            context.trail = self.guard_trail(&context, request, &interaction)?;
        }
        self.perform_plain(&context, request, interaction).await.map(|_| ())
    }

    /// Tells the trail of a batch or transaction that was refused as a whole, or had no entries to tell of.
    pub(super) async fn record_bundle(&self, context: &Context, done: &Result<Reply, Failure>) -> Result<(), Failure> {
        let empty = match done {
            Ok(Reply { content: ReplyContent::Json(json), .. }) => !json.ends_with(b"]}"),
            _ => false,
        };
        match done {
            Ok(_) if !empty => Ok(()),
            Ok(_) => self.record(context, Event::interaction("transaction")).await,
            Err(failure) => self.record(context, Event::interaction("transaction").failed(failure)).await,
        }
    }

    fn event(
        &self,
        context: &Context,
        request: &Request,
        interaction: &Interaction,
        done: &Result<Reply, Failure>,
    ) -> Event {
        let mut event = Event::interaction(code(interaction));
        let mut patients = std::mem::take(&mut *context.ledger.patients.lock());
        match interaction {
            Interaction::Read { kind, id }
            | Interaction::VersionRead { kind, id, .. }
            | Interaction::Update { kind, id }
            | Interaction::Patch { kind, id }
            | Interaction::Delete { kind, id }
            | Interaction::HistoryInstance { kind, id }
            | Interaction::Operation { kind: Some(kind), id: Some(id), .. } => {
                let name = self.definitions.name(*kind);
                let version = match interaction {
                    Interaction::VersionRead { version, .. } if version.len() <= 20 => format!("/_history/{version}"),
                    _ => String::new(),
                };
                event = event.data(format!("{name}/{id}{version}"));
                if name == "Patient" {
                    patients.extend(Patients::one(Some(id)));
                }
            }
            Interaction::SearchCompartment { compartment, id, .. }
                if self.definitions.name(*compartment) == "Patient" =>
            {
                patients.extend(Patients::one(Some(id)));
            }
            _ => {}
        }
        let one = matches!(
            interaction,
            Interaction::Read { .. } | Interaction::VersionRead { .. } | Interaction::HistoryInstance { .. }
        );
        if let Interaction::Operation { name, .. } = interaction {
            event = event.detail("operation", &format!("${name}"));
        }
        if asks(interaction) || (!request.query.is_empty() && !one) {
            event = event.query(query(context, request));
        }
        match done {
            Err(failure) => event = event.failed(failure),
            Ok(reply) => match &reply.content {
                // A Patient may refer to other patients; who reads it reads nothing of theirs.
                ReplyContent::Json(_) if one && !patients.is_empty() => {}
                ReplyContent::Json(json) => patients.add_from(json),
                ReplyContent::Raw { security_context: Some(context), .. } => patients.add_reference(context.as_bytes()),
                _ => {}
            },
        }
        if let (Some(location), true) = (done.as_ref().ok().and_then(|r| r.location.as_deref()), !reads(interaction)) {
            let resource = location.split("/_history/").next().unwrap_or(location);
            if !matches!(interaction, Interaction::Update { .. } | Interaction::Patch { .. }) {
                event = event.data(resource);
            }
        }
        event.patients(patients)
    }

    /// Whether an interaction is about the trail: resources of the type AuditEvent are there. Fails where nobody may do
    /// what is asked.
    fn guard_trail(&self, context: &Context, request: &Request, interaction: &Interaction) -> Result<bool, Failure> {
        let about = match interaction {
            Interaction::SearchSystem => asks_for_events(request),
            _ => kind(interaction).is_some() && kind(interaction) == self.audit_event(),
        };
        if !about {
            return Ok(false);
        }
        self.refuse_to_write_trail(interaction)?;
        if matches!(interaction, Interaction::Operation { name, .. } if name == "validate") {
            return Ok(false);
        }
        match &context.caller {
            Caller::Open => Ok(true),
            Caller::Known(principal) if principal.role == Some(Role::Auditor) => Ok(true),
            Caller::Known(_) => {
                let why = "the audit trail is open to auditors only";
                Err(Failure::new(FailureKind::Forbidden, IssueCode::Forbidden, why))
            }
        }
    }

    /// Refuses what would write to the trail, whoever asks.
    pub(super) fn refuse_to_write_trail(&self, interaction: &Interaction) -> Result<(), Failure> {
        if !self.keeps_events() || reads(interaction) {
            return Ok(());
        }
        match kind(interaction) {
            Some(kind) if Some(kind) == self.audit_event() => Err(Failure::new(
                FailureKind::Forbidden,
                IssueCode::Forbidden,
                "AuditEvents are written by this server alone, and never changed or deleted",
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a search over all types names AuditEvent and no other. What cannot be read is for the search to tell.
fn asks_for_events(request: &Request) -> bool {
    let Ok(parameters) = search::parameters(request) else { return false };
    let named = parameters.iter().filter(|(name, _)| name == "_type").flat_map(|(_, value)| value.split(','));
    let mut named = named.map(str::trim).filter(|kind| !kind.is_empty()).peekable();
    named.peek().is_some() && named.all(|kind| kind == "AuditEvent")
}

/// Whether the answer to an interaction depends on parameters.
fn asks(interaction: &Interaction) -> bool {
    matches!(
        interaction,
        Interaction::SearchType { .. } | Interaction::SearchSystem | Interaction::SearchCompartment { .. }
    )
}

/// The request as the trail tells it: method, address, and the parameters of a form.
fn query(context: &Context, request: &Request) -> String {
    const LONGEST: usize = 8 << 10;
    let method = match request.verb {
        Verb::Get => "GET",
        Verb::Head => "HEAD",
        Verb::Post => "POST",
        Verb::Put => "PUT",
        Verb::Patch => "PATCH",
        Verb::Delete => "DELETE",
    };
    let form = match &request.body {
        Some(payload) if payload.media == Media::Form => String::from_utf8_lossy(&payload.bytes),
        _ => "".into(),
    };
    let mut text = format!("{method} {}/{}", context.base, request.path);
    for (i, part) in [request.query.as_str(), form.trim()].into_iter().filter(|part| !part.is_empty()).enumerate() {
        text.push(if i == 0 { '?' } else { '&' });
        text.push_str(part);
    }
    let text = without_tokens(&text);
    match text.char_indices().nth(LONGEST) {
        None => text,
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + " (cut off)",
    }
}

/// Parameters of which only the name is told: whoever reads the trail could use their values.
const SECRET: [&str; 5] = ["access_token", "refresh_token", "id_token", "client_secret", "client_assertion"];

/// A request's address, or any text with a query string in it, without the tokens that do not belong there.
pub fn without_tokens(text: &str) -> String {
    let Some((address, query)) = text.split_once('?') else { return text.to_owned() };
    let told = |pair: &str| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let plain = percent_encoding::percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
        if SECRET.contains(&plain.trim()) { format!("{name}=(not told)") } else { pair.to_owned() }
    };
    format!("{address}?{}", query.split('&').map(told).collect::<Vec<_>>().join("&"))
}

fn not_recorded(error: StoreError) -> Failure {
    tracing::error!(%error, "the audit trail cannot be written; the request fails");
    outcome::of_store(error)
}
