//! create and conditional create (R4 http.html#create, #ccreate). The server gives the id; what the client says of
//! id, version and time is not regarded.

use super::commit::{Shown, commit, shows_body};
use super::conditional::{self, Found};
use super::race::{ATTEMPTS, Refused, lost_race, too_many_races};
use super::{Context, Effect, Reply, Request, Service, incoming, outcome};
use crate::base::Failure;
use crate::definitions::TypeId;
use crate::store::{Expect, Guard, Method, Write};

pub(super) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
) -> Result<Reply, Failure> {
    let condition = match conditional::of_create(request)? {
        Some(criteria) => Some(conditional::criteria(service, context, kind, &criteria)?),
        None => None,
    };
    let examiner = service.examiner(context, request).await?;
    let draft = {
        let text = incoming::resource_text(service, request, kind)?;
        let document = incoming::parse(&text, &service.settings.limits)?;
        service.draft(context, &examiner, kind, document.root()).await?
    };
    let id = service.ids.next();
    let body = shows_body(request).then(|| draft.content.body.0.clone());
    let mut content = Some(draft.content);
    for _ in 0..ATTEMPTS {
        let mut guards = Vec::new();
        if let Some(condition) = &condition {
            let snapshot = service.snapshot_to_write(context).await?;
            match conditional::find(&*snapshot, &context.budget, kind, condition).await? {
                Found::None => {
                    guards.push(Guard { kind, condition: condition.clone(), as_of: snapshot.position() });
                }
                Found::One(existing) => {
                    let shown = Shown {
                        kind,
                        id: &existing.id,
                        version: existing.version,
                        last_updated: existing.last_updated,
                        body: existing.body.as_deref(),
                    };
                    return Ok(service.written(request, Effect::Ok, &shown, draft.warnings));
                }
                Found::Many => return Err(conditional::several()),
            }
        }
        // Only a guarded write can lose a race, and only then is the content needed again.
        let content = if condition.is_some() { content.clone() } else { content.take() };
        let write = Write { kind, id: id.clone(), method: Method::Create, expect: Expect::Absent, content };
        match commit(service, context, request, vec![write], guards).await {
            Ok(committed) => {
                let Some(done) = committed.first() else { break };
                let shown = Shown {
                    kind,
                    id: &id,
                    version: done.version,
                    last_updated: done.last_updated,
                    body: body.as_deref(),
                };
                return Ok(service.written(request, Effect::Created, &shown, draft.warnings));
            }
            Err(Refused::Store(error)) if condition.is_some() && lost_race(&error) => {}
            Err(Refused::Store(error)) => return Err(outcome::of_store(error)),
            Err(Refused::Failed(failure)) => return Err(failure),
        }
    }
    Err(too_many_races())
}
