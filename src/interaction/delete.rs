//! delete and conditional delete (R4 http.html#delete, #3.1.0.7.1). A delete is a version: what was there stays
//! readable. Deleting what is not there is no failure.

use super::commit::{commit, precondition};
use super::race::{ATTEMPTS, Refused, lost_race, too_many_races};
use super::update::{Wanted, holds, preconditions};
use super::{Context, Effect, Reply, ReplyContent, Request, Return, Service, conditional};
use crate::base::{Failure, FailureKind, Issue, IssueCode, ResourceId, Severity};
use crate::definitions::TypeId;
use crate::store::{self, Committed, Expect, Guard, Method, StoreError, Version, Write};

/// Most resources that one conditional delete takes.
const MOST: usize = 10_000;

/// delete of an id
pub(super) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
    id: ResourceId,
) -> Result<Reply, Failure> {
    for _ in 0..ATTEMPTS {
        let wanted = preconditions(service, context, request, kind, &id).await?;
        let expect = match &wanted {
            Wanted::Anything => Expect::Any,
            Wanted::Firm(expect) | Wanted::Fresh(expect) => *expect,
        };
        match commit(service, context, request, vec![write(kind, id.clone(), expect)], Vec::new()).await {
            Ok(committed) => return Ok(answer(request, &committed)),
            Err(Refused::Store(StoreError::VersionConflict { current, .. })) => {
                if matches!(wanted, Wanted::Firm(_)) {
                    return Err(precondition(current));
                }
            }
            Err(refused) => return Err(refused.into()),
        }
    }
    Err(too_many_races())
}

fn write(kind: TypeId, id: ResourceId, expect: Expect) -> Write {
    Write { kind, id, method: Method::Delete, expect, content: None }
}

fn answer(request: &Request, committed: &[Committed]) -> Reply {
    let one = match committed {
        [one] if one.version > 0 => Some(one),
        _ => None,
    };
    let (effect, content) = if request.prefer.returns == Some(Return::OperationOutcome) {
        let text = format!("{} deleted", committed.iter().filter(|c| c.effect == store::Effect::Deleted).count());
        let issue = Issue::new(Severity::Information, IssueCode::Informational, text);
        (Effect::Ok, ReplyContent::Outcome(vec![issue]))
    } else {
        (Effect::NoContent, ReplyContent::Nothing)
    };
    Reply {
        effect,
        content,
        version: one.map(|c| c.version),
        last_updated: one.map(|c| c.last_updated),
        location: None,
    }
}

/// Checks how many resources a conditional delete may take.
pub(crate) fn bounded(service: &Service, rows: &[Version]) -> Result<(), Failure> {
    if rows.len() > 1 && !service.settings.delete_multiple {
        return Err(conditional::several());
    }
    if rows.len() > MOST {
        return Err(Failure::new(
            FailureKind::TooCostly,
            IssueCode::TooCostly,
            format!("the criteria match more than {MOST} resources"),
        ));
    }
    Ok(())
}

/// How many matches a conditional delete has to look at.
pub(crate) fn limit(service: &Service) -> usize {
    if service.settings.delete_multiple { MOST + 1 } else { 2 }
}

/// conditional delete
pub(super) async fn perform_conditional(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
) -> Result<Reply, Failure> {
    let criteria = conditional::of_address(request)?;
    let condition = conditional::criteria(service, context, kind, &criteria)?;
    for _ in 0..ATTEMPTS {
        let snapshot = service.snapshot_to_write(context).await?;
        let rows = conditional::rows(&*snapshot, &context.budget, kind, &condition, limit(service)).await?;
        bounded(service, &rows)?;
        if let [] | [_] = rows.as_slice() {
            let version = rows.first().map(|v| v.version);
            if version.is_some() || request.preconditions.if_match.is_some() {
                holds(request, version)?;
            }
        }
        if rows.is_empty() {
            return Ok(answer(request, &[]));
        }
        let guard = Guard { kind, condition: condition.clone(), as_of: snapshot.position() };
        drop(snapshot);
        let writes = rows.into_iter().map(|v| write(kind, v.id, Expect::Version(v.version))).collect();
        match commit(service, context, request, writes, vec![guard]).await {
            Ok(committed) => return Ok(answer(request, &committed)),
            Err(Refused::Store(error)) if lost_race(&error) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Err(too_many_races())
}
