//! The answer to a transaction: one entry for each, in the order of the request. What only reads is read here, after
//! the commit, so that it sees the new state.

use super::identity::About;
use super::{Done, Item};
use crate::base::{Failure, ResourceId};
use crate::definitions::TypeId;
use crate::interaction::batch::{self, Answer};
use crate::interaction::commit::Shown;
use crate::interaction::entry::{Entry, at_entry};
use crate::interaction::update::version_id;
use crate::interaction::{Context, Effect, Interaction, Reply, ReplyContent, Service, history, outcome, read};
use crate::operation;
use crate::store::{self, Snapshot, Write};
use rustc_hash::FxHashMap;

/// Checks before the commit that what only reads will succeed after it, as far as that can be known: if not, the
/// transaction fails as a whole. What it does not write itself is tried.
pub(super) async fn check_reads(
    service: &Service,
    context: &Context,
    snapshot: &dyn Snapshot,
    items: &[Item<'_>],
    about: &[About],
    writes: &[Write],
) -> Result<(), Failure> {
    let written: FxHashMap<_, _> = writes.iter().map(|w| ((w.kind, &w.id), w)).collect();
    let redefines = writes.iter().any(|w| service.operations_depend_on(w.kind));
    for (item, _) in items.iter().zip(about).filter(|(_, about)| matches!(about, About::Reads)) {
        let entry = &item.entry;
        let own = instance(&entry.interaction).and_then(|key| written.get(&key));
        let tried = match (own, &entry.interaction) {
            (Some(write), _) => foreseen(service, context, snapshot, entry, write).await,
            // What an operation says of codes and profiles may be another thing when these are stored.
            (None, Interaction::Operation { name, kind, id }) if redefines => {
                operation::find(service, entry.request.verb, name, *kind, id.as_ref()).map(|_| ())
            }
            (None, _) => try_out(service, context, entry).await,
        };
        tried.map_err(|failure| at_entry(entry.index, failure))?;
    }
    Ok(())
}

/// The resource that an interaction reads.
fn instance(interaction: &Interaction) -> Option<(TypeId, &ResourceId)> {
    match interaction {
        Interaction::Read { kind, id }
        | Interaction::VersionRead { kind, id, .. }
        | Interaction::HistoryInstance { kind, id }
        | Interaction::Operation { kind: Some(kind), id: Some(id), .. } => Some((*kind, id)),
        _ => None,
    }
}

async fn try_out(service: &Service, context: &Context, entry: &Entry<'_>) -> Result<(), Failure> {
    let mut request = entry.request.clone();
    request.body = batch::body(entry)?;
    // Boxed, because what an entry leads to is as large as the transaction itself.
    Box::pin(service.try_out(context, &request, entry.interaction.clone())).await
}

/// What can be known of reading a resource that the transaction itself writes.
async fn foreseen(
    service: &Service,
    context: &Context,
    snapshot: &dyn Snapshot,
    entry: &Entry<'_>,
    write: &Write,
) -> Result<(), Failure> {
    let (kind, id) = (write.kind, &write.id);
    let newest = snapshot.read(kind, id).await.map_err(outcome::of_store)?.map_or(0, |version| version.version);
    let deleted = || Failure::not_found("this transaction deletes what the entry reads");
    match &entry.interaction {
        // The versions that were there before stay.
        Interaction::VersionRead { version, .. } => match version_id(version) {
            Some(number) if number <= newest => try_out(service, context, entry).await,
            Some(number) if number == newest + 1 && write.content.is_some() => read::judge(&entry.request),
            Some(number) if number == newest + 1 => Err(deleted()),
            _ => Err(read::no_version(service, kind, id, version)),
        },
        Interaction::HistoryInstance { .. } if newest > 0 => try_out(service, context, entry).await,
        Interaction::HistoryInstance { .. } => history::judge(&entry.request),
        _ if write.content.is_none() => Err(deleted()),
        Interaction::Operation { name, .. } => {
            operation::find(service, entry.request.verb, name, Some(kind), Some(id)).map(|_| ())
        }
        _ => read::judge(&entry.request),
    }
}

pub(super) async fn reply(
    service: &Service,
    context: &Context,
    items: Vec<Item<'_>>,
    done: Done,
) -> Result<Reply, Failure> {
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(items.len());
    let mut reads = Vec::new();
    let mut results = done.committed.iter().zip(&done.bodies);
    for ((mut item, about), noticed) in items.into_iter().zip(&done.identities.about).zip(done.noticed) {
        item.warnings.extend(noticed);
        let answer = match about {
            About::Reads => {
                reads.push(item.entry);
                None
            }
            About::Existing(version) => {
                let shown = Shown {
                    kind: version.kind,
                    id: &version.id,
                    version: version.version,
                    last_updated: version.last_updated,
                    body: version.body.as_deref(),
                };
                Some(service.written(&item.entry.request, Effect::Ok, &shown, item.warnings))
            }
            About::Writes { targets, .. } => {
                let results: Vec<_> = results.by_ref().take(targets.len()).collect();
                Some(written(service, item, about, &results))
            }
        };
        answers.push(answer.map(|reply| Answer::of(None, Ok(reply))));
    }
    batch::side_by_side(service, context, reads, batch::SIDE_BY_SIDE, &mut answers).await;
    Ok(batch::reply(service, context, "transaction-response", answers))
}

/// The answer to an entry that wrote.
fn written(
    service: &Service,
    item: Item<'_>,
    about: &About,
    results: &[(&store::Committed, &Option<Vec<u8>>)],
) -> Reply {
    let deletes = matches!(item.entry.interaction, Interaction::Delete { .. } | Interaction::ConditionalDelete { .. });
    match (about.targets(), results) {
        ([target], [(done, body)]) if !deletes => {
            let effect = if done.effect == store::Effect::Created { Effect::Created } else { Effect::Ok };
            let shown = Shown {
                kind: target.kind,
                id: &target.id,
                version: done.version,
                last_updated: done.last_updated,
                body: body.as_deref(),
            };
            service.written(&item.entry.request, effect, &shown, item.warnings)
        }
        (_, results) => {
            let mut reply = Reply::of(Effect::NoContent, ReplyContent::Nothing);
            if let [(done, _)] = results
                && done.version > 0
            {
                reply.version = Some(done.version);
                reply.last_updated = Some(done.last_updated);
            }
            reply
        }
    }
}
