//! read and vread (R4 http.html#read, #vread): with `_summary` and `_elements`, If-None-Match and If-Modified-Since
//! (conditional read), and the content of a Binary as it is.

use super::subset::Subset;
use super::update::version_id;
use super::{Context, Effect, Preconditions, Reply, ReplyContent, Request, Service, binary, outcome};
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::search;
use crate::store::Version;

/// read
pub(super) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
    id: &ResourceId,
) -> Result<Reply, Failure> {
    let subset = Subset::of_query(&search::pairs(&request.query)?)?;
    let version = service.snapshot(context).await?.read(kind, id).await.map_err(outcome::of_store)?;
    show(service, context, request, existing(service, kind, id, version)?, &subset)
}

/// Judges the parameters alone, where there is nothing to read yet.
pub(super) fn judge(request: &Request) -> Result<(), Failure> {
    Subset::of_query(&search::pairs(&request.query)?).map(|_| ())
}

/// vread
pub(super) async fn perform_version(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
    id: &ResourceId,
    version: &str,
) -> Result<Reply, Failure> {
    let subset = Subset::of_query(&search::pairs(&request.query)?)?;
    let snapshot = service.snapshot(context).await?;
    let found = match version_id(version) {
        Some(number) => snapshot.version(kind, id, number).await.map_err(outcome::of_store)?,
        None => None,
    };
    let Some(found) = found else { return Err(no_version(service, kind, id, version)) };
    show(service, context, request, existing(service, kind, id, Some(found))?, &subset)
}

/// The failure where there is no version of this number.
pub(super) fn no_version(service: &Service, kind: TypeId, id: &ResourceId, version: &str) -> Failure {
    let short: String = version.chars().take(64).collect();
    Failure::not_found(format!("there is no version '{short}' of {}/{id}", service.definitions.name(kind)))
}

/// The version, if there is one and it is not a delete.
pub(crate) fn existing(
    service: &Service,
    kind: TypeId,
    id: &ResourceId,
    version: Option<Version>,
) -> Result<Version, Failure> {
    let name = service.definitions.name(kind);
    match version {
        None => Err(Failure::not_found(format!("there is no {name}/{id}"))),
        Some(version) if version.is_deleted() => Err(Failure::new(
            FailureKind::Gone,
            IssueCode::Deleted,
            format!("{name}/{id} is deleted by version {}", version.version),
        )),
        Some(version) => Ok(version),
    }
}

/// Whether what the client has is current (RFC 9110 13.2.2: If-None-Match goes before If-Modified-Since).
fn not_modified(asked: &Preconditions, version: &Version) -> bool {
    match (&asked.if_none_match, asked.if_modified_since) {
        (Some(list), _) => list.iter().any(|v| v == "*" || version_id(v) == Some(version.version)),
        (None, Some(since)) => version.last_updated.0.div_euclid(1_000_000) <= since,
        (None, None) => false,
    }
}

fn show(
    service: &Service,
    context: &Context,
    request: &Request,
    version: Version,
    subset: &Option<Subset>,
) -> Result<Reply, Failure> {
    let kind = service.definitions.name(version.kind);
    let (effect, content) = if not_modified(&request.preconditions, &version) {
        (Effect::NotModified, ReplyContent::Nothing)
    } else {
        let json = version.to_json(kind).unwrap_or_default();
        let content = match subset {
            Some(subset) => {
                context.ledger.saw(&json);
                ReplyContent::Json(subset.apply(&service.definitions, &json)?)
            }
            None if request.raw && kind == "Binary" => binary::unwrap(&json, &service.settings.limits)?,
            None => ReplyContent::Json(json),
        };
        (Effect::Ok, content)
    };
    Ok(Reply {
        effect,
        content,
        version: Some(version.version),
        last_updated: Some(version.last_updated),
        location: None,
    })
}
