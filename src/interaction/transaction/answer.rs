//! The answer to a transaction: one entry for each, in the order of the request. What only reads is read here, after
//! the commit, so that it sees the new state.

use super::identity::About;
use super::{Done, Item};
use crate::base::Failure;
use crate::interaction::batch::{self, Answer};
use crate::interaction::commit::Shown;
use crate::interaction::entry::at_entry;
use crate::interaction::{Context, Effect, Interaction, Reply, ReplyContent, Service, outcome, read};
use crate::store::{self, Snapshot, Write};
use rustc_hash::FxHashMap;

/// Checks before the commit that what is to be read will be there: if not, the transaction fails as a whole.
pub(super) async fn check_reads(
    service: &Service,
    context: &Context,
    snapshot: &dyn Snapshot,
    items: &[Item<'_>],
    writes: &[Write],
) -> Result<(), Failure> {
    let written: FxHashMap<_, _> = writes.iter().map(|w| ((w.kind, &w.id), w)).collect();
    for item in items {
        let (kind, id) = match &item.entry.interaction {
            Interaction::Read { kind, id } => (kind, id),
            // A version or a history of what this transaction makes is not there yet.
            Interaction::VersionRead { kind, id, .. } | Interaction::HistoryInstance { kind, id }
                if written.contains_key(&(*kind, id)) =>
            {
                continue;
            }
            other if only_reads(other) => {
                // Boxed, because what an entry leads to is as large as the transaction itself.
                let tried = Box::pin(service.perform_one(context, &item.entry.request, other.clone())).await;
                tried.map_err(|f| at_entry(item.entry.index, f))?;
                continue;
            }
            _ => continue,
        };
        match written.get(&(*kind, id)) {
            Some(write) if write.content.is_some() => continue,
            Some(_) => {
                let failure = Failure::not_found("this transaction deletes what the entry reads");
                return Err(at_entry(item.entry.index, failure));
            }
            None => {
                let newest = snapshot.read(*kind, id).await.map_err(outcome::of_store)?;
                read::existing(service, *kind, id, newest).map_err(|f| at_entry(item.entry.index, f))?;
            }
        }
    }
    Ok(())
}

/// Interactions other than read that change nothing, and can be tried before the commit.
fn only_reads(interaction: &Interaction) -> bool {
    matches!(
        interaction,
        Interaction::VersionRead { .. }
            | Interaction::HistoryInstance { .. }
            | Interaction::HistoryType { .. }
            | Interaction::HistorySystem
            | Interaction::SearchType { .. }
            | Interaction::SearchSystem
            | Interaction::SearchCompartment { .. }
    )
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
    for (item, about) in items.into_iter().zip(&done.identities.about) {
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
