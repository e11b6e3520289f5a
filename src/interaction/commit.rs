//! Committing what one interaction writes, the Provenance of the `X-Provenance` header with it, and the answer to a
//! write (R4 http.html#create, #update; `Prefer: return`). Decides nothing about what is written.

use super::race::Refused;
use super::{Context, Effect, Reply, ReplyContent, Request, Return, Service, provenance};
use crate::base::{Failure, FailureKind, Issue, IssueCode, ResourceId, Timestamp};
use crate::definitions::TypeId;
use crate::store::{Body, Committed, Guard, Transaction, Write};

/// The failure of an `If-Match` or `If-None-Match` that does not hold.
pub(crate) fn precondition(current: Option<u64>) -> Failure {
    let state = match current {
        Some(version) => format!("the newest version is {version}"),
        None => "there is no such resource".to_owned(),
    };
    Failure::new(
        FailureKind::PreconditionFailed,
        IssueCode::Conflict,
        format!("the precondition does not hold: {state}"),
    )
}

/// Commits the writes of one interaction.
pub(crate) async fn commit(
    service: &Service,
    context: &Context,
    request: &Request,
    writes: Vec<Write>,
    guards: Vec<Guard>,
) -> Result<Vec<Committed>, Refused> {
    let transaction = Transaction { writes, guards, ..Transaction::default() };
    match &request.provenance {
        None => service.commit(context, transaction).await.map_err(Refused::Store),
        Some(header) => provenance::commit(service, context, request, header, transaction).await,
    }
}

/// A version as an answer shows it.
pub(crate) struct Shown<'a> {
    /// Its type.
    pub kind: TypeId,
    /// Its id.
    pub id: &'a ResourceId,
    /// Version id.
    pub version: u64,
    /// When it was made.
    pub last_updated: Timestamp,
    /// Its body.
    pub body: Option<&'a [u8]>,
}

impl Service {
    /// `Patient/1/_history/2`
    pub(crate) fn location(&self, kind: TypeId, id: &ResourceId, version: u64) -> String {
        format!("{}/{id}/_history/{version}", self.definitions.name(kind))
    }

    /// The answer to a create, update or patch.
    pub(crate) fn written(&self, request: &Request, effect: Effect, shown: &Shown<'_>, issues: Vec<Issue>) -> Reply {
        let content = match (request.prefer.returns.unwrap_or_default(), shown.body) {
            (Return::OperationOutcome, _) => ReplyContent::Outcome(issues),
            (Return::Representation, Some(body)) => {
                let mut json = Vec::with_capacity(body.len() + 160);
                let kind = self.definitions.name(shown.kind);
                Body::write_resource(body, kind, shown.id.as_str(), shown.version, shown.last_updated, &mut json);
                ReplyContent::Json(json)
            }
            _ => ReplyContent::Nothing,
        };
        Reply {
            effect,
            content,
            version: Some(shown.version),
            last_updated: Some(shown.last_updated),
            location: Some(self.location(shown.kind, shown.id, shown.version)),
        }
    }
}

/// Whether the answer needs the body.
pub(crate) fn shows_body(request: &Request) -> bool {
    request.prefer.returns.unwrap_or_default() == Return::Representation
}
