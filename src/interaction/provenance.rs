//! The `X-Provenance` header (R4 provenance.html#header): a Provenance that is created in the same commit as what it
//! is about, with the versions written as its targets.

use super::examiner::Examiner;
use super::race::{ATTEMPTS, Refused, lost_race, too_many_races};
use super::{Context, Request, Service, incoming, outcome};
use crate::base::Failure;
use crate::json::{Document, Limits, Tree};
use crate::store::{Committed, Content, Expect, Method, StoreError, Transaction, Write};

/// Commits writes together with a Provenance about them. Gives the results of the writes alone.
pub(super) async fn commit(
    service: &Service,
    context: &Context,
    request: &Request,
    header: &str,
    transaction: Transaction,
) -> Result<Vec<Committed>, Refused> {
    let template = read(service, header)?;
    let examiner = service.examiner(context, request).await?.of_own_making();
    let Some(kind) = service.definitions.resource("Provenance") else {
        return Err(Failure::internal("Provenance is not defined").into());
    };
    let count = transaction.writes.len();
    let id = service.ids.next();
    for _ in 0..ATTEMPTS {
        let mut attempt = transaction.clone();
        let targets = settle(service, context, &mut attempt.writes).await?;
        if targets.is_empty() {
            // Nothing will be written (a delete of what is not there), so there is nothing to tell of.
            return service.commit(context, attempt).await.map_err(Refused::Store);
        }
        let content = about(service, context, &examiner, &template, targets).await?;
        let expect = Expect::Absent;
        attempt.writes.push(Write { kind, id: id.clone(), method: Method::Create, expect, content: Some(content) });
        match service.commit(context, attempt).await {
            Ok(mut committed) => {
                committed.truncate(count);
                return Ok(committed);
            }
            // What was settled here only to know the version may be tried again; the rest is for the caller.
            Err(StoreError::VersionConflict { write, .. })
                if transaction.writes.get(write).is_some_and(|w| w.expect == Expect::Any) => {}
            Err(error) if lost_race(&error) => return Err(Refused::Store(error)),
            Err(error) => return Err(outcome::of_store(error).into()),
        }
    }
    Err(too_many_races().into())
}

fn read(service: &Service, header: &str) -> Result<Tree, Failure> {
    let document = incoming::parse(header.as_bytes(), &service.settings.limits).map_err(|f| f.at("X-Provenance"))?;
    let kind = service.definitions.resource("Provenance").ok_or_else(|| Failure::internal("no Provenance"))?;
    service.check_type(kind, document.root()).map_err(|f| f.at("X-Provenance"))?;
    Ok(Tree::from(document.root()))
}

/// Makes certain which version each write will be; gives the references to them.
async fn settle(service: &Service, context: &Context, writes: &mut [Write]) -> Result<Vec<Tree>, Failure> {
    let mut targets = Vec::new();
    let snapshot = service.snapshot_to_write(context).await?;
    for write in writes {
        let before = match write.expect {
            Expect::Absent => 0,
            Expect::Version(version) | Expect::Newest(version) => version,
            Expect::Any => {
                let newest = snapshot.read(write.kind, &write.id).await.map_err(outcome::of_store)?;
                if write.content.is_none() && newest.as_ref().is_none_or(|v| v.is_deleted()) {
                    continue;
                }
                write.expect = newest.as_ref().map_or(Expect::Absent, |v| Expect::Newest(v.version));
                newest.map_or(0, |v| v.version)
            }
        };
        let reference = service.location(write.kind, &write.id, before + 1);
        targets.push(Tree::object([("reference", Tree::string(reference))]));
    }
    Ok(targets)
}

/// The Provenance with its targets.
async fn about(
    service: &Service,
    context: &Context,
    examiner: &Examiner,
    template: &Tree,
    targets: Vec<Tree>,
) -> Result<Content, Failure> {
    let mut provenance = template.clone();
    provenance.set("target", Tree::Array(targets));
    let text = provenance.to_json();
    let document = Document::parse(text.as_bytes(), &Limits::NONE).map_err(incoming::of_syntax)?;
    let kind = service.definitions.resource("Provenance").ok_or_else(|| Failure::internal("no Provenance"))?;
    let draft = service.draft(context, examiner, kind, document.root()).await;
    Ok(draft.map_err(|f| f.at("X-Provenance"))?.content)
}
