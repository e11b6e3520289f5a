//! update, update as create and conditional update (R4 http.html#update, #upsert, #cond-update), with `If-Match` and
//! `If-None-Match`. The body replaces the resource whole; changing a part of it is patch.

use super::commit::{Shown, commit, precondition, shows_body};
use super::conditional::{self, Found};
use super::examiner::Examiner;
use super::incoming::{self, Draft};
use super::race::{ATTEMPTS, Refused, lost_race, too_many_races};
use super::{Context, Effect, Media, Reply, Request, Service, outcome};
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::store::{self, Committed, Expect, Guard, Method, Snapshot, StoreError, Write};

/// What is to be updated: a draft and the id in it.
struct Incoming {
    draft: Draft,
    id: Option<ResourceId>,
}

async fn read_body(
    service: &Service,
    context: &Context,
    examiner: &Examiner,
    request: &Request,
    kind: TypeId,
) -> Result<Incoming, Failure> {
    let text = incoming::resource_text(service, request, kind)?;
    let document = incoming::parse(&text, &service.settings.limits)?;
    let resource = document.root();
    service.check_type(kind, resource)?;
    let name = service.definitions.name(kind);
    let id = match incoming::id_of(name, resource)? {
        Some(text) => Some(ResourceId::new(&text).ok_or_else(|| illegal_id(name))?),
        None => None,
    };
    Ok(Incoming { draft: service.draft(context, examiner, kind, resource).await?, id })
}

fn illegal_id(kind: &str) -> Failure {
    Failure::malformed(IssueCode::Value, "'id' is no logical id: 1 to 64 of A-Z, a-z, 0-9, '-' and '.'")
        .at(&format!("{kind}.id"))
}

/// Checks that the id in the body, of a type, is that of the address.
pub(super) fn check_id(kind: &str, address: &ResourceId, body: Option<&str>) -> Result<(), Failure> {
    match body {
        Some(id) if id == address.as_str() => Ok(()),
        Some(_) => Err(Failure::malformed(
            IssueCode::Invalid,
            format!("the 'id' in the body is not that of the address ('{address}')"),
        )
        .at(&format!("{kind}.id"))),
        None => Err(Failure::malformed(
            IssueCode::Required,
            format!("the body needs the 'id' of the address ('{address}')"),
        )
        .at(&format!("{kind}.id"))),
    }
}

/// What the preconditions of a write mean for the store.
pub(super) enum Wanted {
    /// Nothing is asked.
    Anything,
    /// This must hold; if it does not, the precondition failed.
    Firm(Expect),
    /// This holds now; if it does not when it is committed, look again.
    Fresh(Expect),
}

/// Turns `If-Match` and `If-None-Match` into what the store has to check (RFC 9110 13.1).
pub(super) async fn preconditions(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
    id: &ResourceId,
) -> Result<Wanted, Failure> {
    let asked = &request.preconditions;
    match (&asked.if_match, &asked.if_none_match) {
        (None, None) => return Ok(Wanted::Anything),
        (Some(versions), None) => {
            if let [one] = versions.as_slice()
                && one != "*"
            {
                return match version_id(one) {
                    Some(version) => Ok(Wanted::Firm(Expect::Version(version))),
                    None => Err(no_version(one)),
                };
            }
        }
        _ => {}
    }
    let newest = service.snapshot_to_write(context).await?.read(kind, id).await.map_err(outcome::of_store)?;
    let current = newest.as_ref().filter(|v| !v.is_deleted()).map(|v| v.version);
    let names = |list: &[String], version: u64| list.iter().any(|v| v == "*" || version_id(v) == Some(version));
    if let Some(list) = &asked.if_match
        && !current.is_some_and(|version| names(list, version))
    {
        return Err(precondition(current));
    }
    if let Some(list) = &asked.if_none_match
        && current.is_some_and(|version| names(list, version))
    {
        return Err(precondition(current));
    }
    Ok(Wanted::Fresh(newest.map_or(Expect::Absent, |v| Expect::Newest(v.version))))
}

/// The failure of an `If-Match` that names no version this server could have given.
fn no_version(text: &str) -> Failure {
    let short: String = text.chars().take(40).collect();
    Failure::new(
        FailureKind::PreconditionFailed,
        IssueCode::Conflict,
        format!("the precondition does not hold: '{short}' is no version id of this server"),
    )
}

/// A version id in the form that this server gives.
pub(super) fn version_id(text: &str) -> Option<u64> {
    let version: u64 = text.parse().ok()?;
    (version > 0 && version.to_string() == text).then_some(version)
}

/// update of an id
pub(super) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
    id: ResourceId,
) -> Result<Reply, Failure> {
    let examiner = service.examiner(context, request).await?;
    let Incoming { draft, id: own } = read_body(service, context, &examiner, request, kind).await?;
    // The content of a Binary as it is has no place for an id (R4 binary.html#rest).
    let raw = request.body.as_ref().is_some_and(|body| matches!(body.media, Media::Raw(_)));
    if !raw {
        check_id(service.definitions.name(kind), &id, own.as_ref().map(ResourceId::as_str))?;
    }
    let body = shows_body(request).then(|| draft.content.body.0.clone());
    let mut content = Some(draft.content);
    for _ in 0..ATTEMPTS {
        let wanted = preconditions(service, context, request, kind, &id).await?;
        if !service.settings.update_create {
            existing(service, context, kind, &id).await?;
        }
        let expect = match &wanted {
            Wanted::Anything => Expect::Any,
            Wanted::Firm(expect) | Wanted::Fresh(expect) => *expect,
        };
        // Only what was looked up before may have to be tried again.
        let again = matches!(wanted, Wanted::Fresh(_));
        let content = if again { content.clone() } else { content.take() };
        let write = Write { kind, id: id.clone(), method: Method::Update, expect, content };
        match commit(service, context, request, vec![write], Vec::new()).await {
            Ok(committed) => {
                let Some(done) = committed.first() else { break };
                return Ok(answer(service, request, kind, &id, done, body.as_deref(), draft.warnings));
            }
            Err(Refused::Store(StoreError::VersionConflict { current, .. })) => {
                if matches!(wanted, Wanted::Firm(_)) {
                    return Err(precondition(current));
                }
                if !again {
                    break;
                }
            }
            Err(refused) => return Err(refused.into()),
        }
    }
    Err(too_many_races())
}

fn answer(
    service: &Service,
    request: &Request,
    kind: TypeId,
    id: &ResourceId,
    done: &Committed,
    body: Option<&[u8]>,
    issues: Vec<crate::base::Issue>,
) -> Reply {
    let effect = if done.effect == store::Effect::Created { Effect::Created } else { Effect::Ok };
    let shown = Shown { kind, id, version: done.version, last_updated: done.last_updated, body };
    service.written(request, effect, &shown, issues)
}

/// Refuses an id that never was, for servers on which clients may not choose ids.
async fn existing(service: &Service, context: &Context, kind: TypeId, id: &ResourceId) -> Result<(), Failure> {
    match service.snapshot_to_write(context).await?.read(kind, id).await.map_err(outcome::of_store)? {
        Some(_) => Ok(()),
        None => Err(Failure::new(
            FailureKind::NotAllowed,
            IssueCode::BusinessRule,
            "there is no such resource, and clients may not choose the id of a new one here; use create",
        )),
    }
}

/// What a conditional update comes to.
pub(crate) struct Resolved {
    /// The id that is written.
    pub id: ResourceId,
    /// What must be true of it.
    pub expect: Expect,
    /// Whether the server gave the id: then it is a create.
    pub method: Method,
    /// The newest version of it that was found, if it is not deleted.
    pub current: Option<u64>,
}

/// Which resource a conditional update is about (R4 http.html#cond-update).
pub(crate) async fn resolve(
    service: &Service,
    snapshot: &dyn Snapshot,
    kind: TypeId,
    found: Found,
    own: Option<&ResourceId>,
) -> Result<Resolved, Failure> {
    match (found, own) {
        (Found::Many, _) => Err(conditional::several()),
        (Found::One(existing), Some(own)) if existing.id != *own => Err(Failure::malformed(
            IssueCode::Invalid,
            "the 'id' in the body is not that of the resource that the criteria match",
        )
        .at(&format!("{}.id", service.definitions.name(kind)))),
        (Found::One(existing), _) => Ok(Resolved {
            id: existing.id.clone(),
            expect: Expect::Version(existing.version),
            method: Method::Update,
            current: Some(existing.version),
        }),
        (Found::None, None) => {
            let (id, method) = (service.ids.next(), Method::Create);
            Ok(Resolved { id, expect: Expect::Absent, method, current: None })
        }
        (Found::None, Some(_)) if !service.settings.update_create => Err(Failure::new(
            FailureKind::NotAllowed,
            IssueCode::BusinessRule,
            "the criteria match nothing, and clients may not choose the id of a new resource here",
        )),
        (Found::None, Some(own)) => {
            let expect = match snapshot.read(kind, own).await.map_err(outcome::of_store)? {
                None => Expect::Absent,
                Some(version) if version.is_deleted() => Expect::Newest(version.version),
                Some(_) => {
                    return Err(Failure::new(
                        FailureKind::Conflict,
                        IssueCode::Duplicate,
                        "the criteria match nothing, but there is a resource with the 'id' of the body",
                    ));
                }
            };
            Ok(Resolved { id: own.clone(), expect, method: Method::Update, current: None })
        }
    }
}

/// conditional update
pub(super) async fn perform_conditional(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
) -> Result<Reply, Failure> {
    let criteria = conditional::of_address(request)?;
    let condition = conditional::criteria(service, context, kind, &criteria)?;
    let examiner = service.examiner(context, request).await?;
    let Incoming { draft, id: own } = read_body(service, context, &examiner, request, kind).await?;
    let body = shows_body(request).then(|| draft.content.body.0.clone());
    for _ in 0..ATTEMPTS {
        let (resolved, guard) = matching(service, context, kind, &condition, own.as_ref()).await?;
        holds(request, resolved.current)?;
        let write = Write {
            kind,
            id: resolved.id.clone(),
            method: resolved.method,
            expect: resolved.expect,
            content: Some(draft.content.clone()),
        };
        match commit(service, context, request, vec![write], vec![guard]).await {
            Ok(committed) => {
                let Some(done) = committed.first() else { break };
                return Ok(answer(service, request, kind, &resolved.id, done, body.as_deref(), draft.warnings));
            }
            Err(Refused::Store(error)) if lost_race(&error) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Err(too_many_races())
}

async fn matching(
    service: &Service,
    context: &Context,
    kind: TypeId,
    condition: &Condition,
    own: Option<&ResourceId>,
) -> Result<(Resolved, Guard), Failure> {
    let snapshot = service.snapshot_to_write(context).await?;
    let found = conditional::find(&*snapshot, &context.budget, kind, condition).await?;
    let resolved = resolve(service, &*snapshot, kind, found, own).await?;
    Ok((resolved, Guard { kind, condition: condition.clone(), as_of: snapshot.position() }))
}

/// Checks `If-Match` and `If-None-Match` against a version that was just read.
pub(super) fn holds(request: &Request, current: Option<u64>) -> Result<(), Failure> {
    let names = |list: &[String]| {
        current.is_some_and(|version| list.iter().any(|v| v == "*" || version_id(v) == Some(version)))
    };
    let asked = &request.preconditions;
    if asked.if_match.as_deref().is_some_and(|list| !names(list)) || asked.if_none_match.as_deref().is_some_and(names) {
        return Err(precondition(current));
    }
    Ok(())
}
