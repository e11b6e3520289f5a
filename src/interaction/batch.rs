//! batch (R4 http.html#brules): every entry for itself, in the order DELETE, POST, PUT and PATCH, GET. Entries of
//! one sort run side by side, so that they share a flush of the store.

use super::entry::{Entry, at_entry, patch, rank};
use super::page::{Page, Response};
use super::{Context, Effect, Interaction, Media, Payload, Reply, ReplyContent, Service, Verb, outcome};
use crate::base::{Failure, FailureKind, IssueCode};
use futures_util::future::join_all;

/// Entries that run at the same time.
pub(super) const SIDE_BY_SIDE: usize = 32;

/// Bytes of answers after which no entry is read any more.
const MOST_BYTES: usize = 64 << 20;

pub(super) async fn perform(
    service: &Service,
    context: &Context,
    entries: Vec<Result<Entry<'_>, Failure>>,
) -> Result<Reply, Failure> {
    let mut answers: Vec<Option<Answer>> = Vec::with_capacity(entries.len());
    let mut groups: [Vec<Entry<'_>>; 4] = Default::default();
    for entry in entries {
        match entry {
            Ok(entry) => {
                answers.push(None);
                if let Some(group) = groups.get_mut(rank(entry.request.verb)) {
                    group.push(entry);
                }
            }
            Err(failure) => answers.push(Some(Answer::of(None, Err(failure)))),
        }
    }
    for group in groups {
        // Several writes to one address happen in the order in which they are given.
        let width = if addresses_differ(&group) { SIDE_BY_SIDE } else { 1 };
        side_by_side(service, context, group, width, &mut answers).await;
    }
    Ok(reply(service, context, "batch-response", answers))
}

/// Performs entries for themselves, some at a time, and puts the answers in their places. Reading stops where the
/// answers become too large to send.
pub(super) async fn side_by_side(
    service: &Service,
    context: &Context,
    entries: Vec<Entry<'_>>,
    width: usize,
    answers: &mut [Option<Answer>],
) {
    let mut bytes = 0;
    let mut entries = entries.into_iter().peekable();
    while entries.peek().is_some() {
        let some: Vec<Entry<'_>> = entries.by_ref().take(width).collect();
        let done = join_all(some.into_iter().map(|entry| answer(service, context, entry, bytes < MOST_BYTES))).await;
        for (index, answer) in done {
            bytes += answer.size();
            if let Some(slot) = answers.get_mut(index) {
                *slot = Some(answer);
            }
        }
    }
}

fn addresses_differ(group: &[Entry<'_>]) -> bool {
    let mut seen = rustc_hash::FxHashSet::default();
    group.iter().all(|e| matches!(e.request.verb, Verb::Get | Verb::Head | Verb::Post) || seen.insert(&e.request.path))
}

async fn answer(service: &Service, context: &Context, entry: Entry<'_>, room: bool) -> (usize, Answer) {
    let index = entry.index;
    let result = match (room, entry.request.verb) {
        (false, Verb::Get | Verb::Head) => Err(Failure::new(
            FailureKind::TooCostly,
            IssueCode::TooCostly,
            format!("the answers before this one have {MOST_BYTES} bytes already; ask alone"),
        )),
        _ => perform_entry(service, context, entry).await,
    };
    (index, result.unwrap_or_else(|failure| Answer::of(None, Err(at_entry(index, failure)))))
}

/// Performs an entry alone.
async fn perform_entry(service: &Service, context: &Context, entry: Entry<'_>) -> Result<Answer, Failure> {
    let body = body(&entry)?;
    let Entry { mut request, interaction, .. } = entry;
    request.body = body;
    let full_url = match &interaction {
        Interaction::Read { kind, id } | Interaction::VersionRead { kind, id, .. } => {
            Some(format!("{}/{}/{id}", context.base, service.definitions.name(*kind)))
        }
        _ => None,
    };
    // Boxed, because what an entry leads to is as large as the batch itself.
    let mut reply = Box::pin(service.perform_one(context, &request, interaction)).await?;
    if request.verb == Verb::Head {
        reply.content = ReplyContent::Nothing;
    }
    Ok(Answer::of(full_url, Ok(reply)))
}

/// The body that the request of an entry would have if it came alone.
pub(super) fn body(entry: &Entry<'_>) -> Result<Option<Payload>, Failure> {
    match (&entry.interaction, entry.resource) {
        (_, None) => Ok(None),
        (Interaction::Patch { .. } | Interaction::ConditionalPatch { .. }, Some(resource)) => patch(resource).map(Some),
        (_, Some(resource)) => Ok(Some(Payload { media: Media::Json, bytes: resource.raw().as_bytes().to_vec() })),
    }
}

/// What became of an entry.
pub(super) struct Answer {
    full_url: Option<String>,
    result: Result<Reply, Failure>,
}

impl Answer {
    pub(super) fn of(full_url: Option<String>, result: Result<Reply, Failure>) -> Answer {
        Answer { full_url, result }
    }

    fn size(&self) -> usize {
        match &self.result {
            Ok(Reply { content: ReplyContent::Json(json), .. }) => json.len(),
            _ => 0,
        }
    }

    fn write(&self, context: &Context, bundle: &mut Page) {
        let mut entry = bundle.entry();
        match &self.result {
            Ok(reply) => {
                if let ReplyContent::Json(json) = &reply.content {
                    match (&self.full_url, &reply.location) {
                        (Some(url), _) => full_url(&mut entry, url),
                        (None, Some(location)) => {
                            let resource = location.split("/_history/").next().unwrap_or_default();
                            full_url(&mut entry, &format!("{}/{resource}", context.base));
                        }
                        (None, None) => {}
                    }
                    entry.resource(json);
                }
                let outcome = match &reply.content {
                    ReplyContent::Outcome(issues) => Some(outcome::write(issues)),
                    _ => None,
                };
                entry.response(&Response {
                    status: outcome::status_of_effect(reply.effect),
                    location: reply.location.as_deref(),
                    version: reply.version,
                    last_updated: reply.last_updated,
                    outcome: outcome.as_deref(),
                });
            }
            Err(failure) => {
                let outcome = outcome::write(&failure.issues);
                let status = outcome::status_of(failure.kind);
                entry.response(&Response { status, outcome: Some(&outcome), ..Response::default() });
            }
        }
        entry.end();
    }
}

fn full_url(entry: &mut super::page::Entry<'_>, url: &str) {
    let mut json = String::with_capacity(url.len() + 2);
    crate::json::escape_into(url, &mut json);
    entry.member("fullUrl", &json);
}

/// The Bundle with the answers, in the order of the requests.
pub(super) fn reply(service: &Service, context: &Context, kind: &str, answers: Vec<Option<Answer>>) -> Reply {
    let room = answers.len() * 256;
    let mut bundle = Page::new(service, kind, None, &Vec::new(), room);
    for answer in answers.iter().flatten() {
        answer.write(context, &mut bundle);
    }
    Reply::of(Effect::Ok, ReplyContent::Json(bundle.finish()))
}
