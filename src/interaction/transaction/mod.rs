//! transaction (R4 http.html#trules): all entries in one commit, or none.
//!
//! 1. All resources are checked before anything else (`perform`): what of their codes only the outside terminology server
//!    could decide is asked for all of them together.
//! 2. `identity`: which resource each entry is about: new ids, criteria, preconditions.
//! 3. `links`: references to other entries and conditional references become references to what is stored.
//! 4. `attempt`: one commit, guarded; if another client came between, all from 2 again.
//! 5. What only reads is answered afterwards, from the new state.

mod answer;
mod identity;
mod links;

use super::commit::{commit, precondition};
use super::entry::{self, Entry, at_entry, join};
use super::examiner::Examiner;
use super::incoming::{self, Draft};
use super::race::{ATTEMPTS, Refused, too_many_races};
use super::{Context, Interaction, Reply, Request, Service, outcome, patch, read};
use crate::base::{Failure, FailureKind, Issue, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::json::{Document, Limits};
use crate::store::{Committed, Content, Expect, Guard, Method, StoreError, Write};
use identity::{About, Identities};
use links::{Ground, Links};
use rustc_hash::FxHashSet;

/// An entry that was checked.
struct Item<'d> {
    entry: Entry<'d>,
    /// The type of the resource that it writes.
    writes: Option<TypeId>,
    /// The id that a new resource gets.
    fresh: Option<ResourceId>,
    /// The id in the resource.
    own: Option<ResourceId>,
    /// Warnings of the validation.
    warnings: Vec<Issue>,
    /// Whether the validation left something open that others may decide: then it says nothing yet.
    open: bool,
}

/// What became of the entries.
struct Done {
    identities: Identities,
    committed: Vec<Committed>,
    /// For each write its body, if it is shown.
    bodies: Vec<Option<Vec<u8>>>,
    /// For each entry what searchers have to know of what it writes.
    noticed: Vec<Vec<Issue>>,
}

pub(super) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    entries: Vec<Entry<'_>>,
) -> Result<Reply, Failure> {
    let mut items = Vec::with_capacity(entries.len());
    let mut failures = Vec::new();
    let mut full_urls = FxHashSet::default();
    let examiner = service.examiner(context, request).await?;
    for entry in entries {
        let index = entry.index;
        let mut entry = entry;
        let admitted = service.admit(context, &entry.request, &entry.interaction).await;
        match admitted.map(|request| request.into_owned()) {
            Ok(request) => entry.request = request,
            Err(failure) => return Err(at_entry(index, failure)),
        }
        let twice = entry.full_url.as_ref().is_some_and(|url| !full_urls.insert(url.to_string()));
        let checked = if twice { Err(same_full_url(index)) } else { check(service, &examiner, entry) };
        match checked {
            Ok(item) => items.push(item),
            Err(failure) => failures.push(at_entry(index, failure)),
        }
        if failures.len() > 20 {
            break;
        }
    }
    drop(full_urls);
    // What is wrong already stays wrong, whatever others would say.
    if failures.is_empty() && examiner.ask(service, context).await {
        for item in items.iter_mut().filter(|item| item.open) {
            if let Err(failure) = item.judge_again(service, &examiner) {
                failures.push(at_entry(item.entry.index, failure));
            }
        }
    }
    if let Some(failure) = join(failures) {
        return Err(failure);
    }
    // Once more where patches left something open.
    let mut again = false;
    for _ in 0..=ATTEMPTS {
        match attempt(service, context, request, (&examiner, again), &items).await {
            Ok(Some(done)) => return answer::reply(service, context, items, done).await,
            Ok(None) => again = examiner.ask(service, context).await,
            Err(Refused::Store(_)) => {}
            Err(Refused::Failed(failure)) => return Err(failure),
        }
    }
    Err(too_many_races())
}

fn same_full_url(index: usize) -> Failure {
    Failure::malformed(IssueCode::Duplicate, "another entry has the same 'fullUrl'")
        .at(&format!("Bundle.entry[{index}].fullUrl"))
}

/// Checks an entry by itself.
fn check<'d>(service: &Service, examiner: &Examiner, entry: Entry<'d>) -> Result<Item<'d>, Failure> {
    let mut item = Item { entry, writes: None, fresh: None, own: None, warnings: Vec::new(), open: false };
    let kind = match &item.entry.interaction {
        Interaction::Create { kind } | Interaction::ConditionalUpdate { kind } | Interaction::Update { kind, .. } => {
            *kind
        }
        Interaction::Operation { name, .. } if item.entry.request.verb == super::Verb::Post => {
            return if crate::operation::affects_state(name) {
                Err(Failure::new(
                    FailureKind::NotSupported,
                    IssueCode::NotSupported,
                    format!("${name} cannot be part of a transaction"),
                ))
            } else {
                Ok(item)
            };
        }
        _ => return Ok(item),
    };
    let Some(resource) = item.entry.resource else { return Ok(item) };
    service.check_type(kind, resource)?;
    let own = incoming::id_of(service.definitions.name(kind), resource)?;
    match &item.entry.interaction {
        Interaction::Update { id, .. } => super::update::check_id(service.definitions.name(kind), id, own.as_deref())?,
        Interaction::ConditionalUpdate { .. } => {
            item.own = match own.as_deref().map(|id| (id, ResourceId::new(id))) {
                None => None,
                // In a Bundle the id may be that of the fullUrl, which says nothing here.
                Some((_, Some(id))) => Some(id),
                Some((_, None)) => return Err(Failure::malformed(IssueCode::Value, "'id' is no logical id")),
            };
        }
        _ => item.fresh = Some(service.ids.next()),
    }
    item.writes = Some(kind);
    let before = examiner.missed();
    let looked = examiner.look(kind, resource);
    item.open = examiner.missed() > before;
    // What is not decided yet may be right as well as wrong.
    item.warnings = if item.open { Vec::new() } else { looked? };
    item.warnings.extend(service.check_search_parameter(kind, resource)?);
    Ok(item)
}

impl Item<'_> {
    /// Judges the resource with what the outside terminology server said.
    fn judge_again(&mut self, service: &Service, examiner: &Examiner) -> Result<(), Failure> {
        let (Some(kind), Some(resource)) = (self.writes, self.entry.resource) else { return Ok(()) };
        self.warnings = examiner.look_again(kind, resource)?;
        self.warnings.extend(service.check_search_parameter(kind, resource)?);
        Ok(())
    }
}

/// Settles everything on one snapshot and commits. A lost race is given back as what the store said. None: nothing was
/// done, since patches left something open that the outside terminology server may decide.
async fn attempt(
    service: &Service,
    context: &Context,
    request: &Request,
    (examiner, again): (&Examiner, bool),
    items: &[Item<'_>],
) -> Result<Option<Done>, Refused> {
    let snapshot = service.snapshot_to_write(context).await?;
    let identities = identity::settle(service, context, &*snapshot, items).await?;
    let ground = Ground { service, context, snapshot: &*snapshot, items, identities: &identities };
    let mut links = links::gather(ground).await?;
    let mut writes = Vec::with_capacity(items.len());
    let mut owners = Vec::with_capacity(items.len());
    let mut bodies = Vec::with_capacity(items.len());
    let mut noticed = vec![Vec::new(); items.len()];
    for ((item, about), noticed) in items.iter().zip(&identities.about).zip(&mut noticed) {
        let index = item.entry.index;
        let shown = super::commit::shows_body(&item.entry.request);
        for target in about.targets() {
            let (method, content) = match (&item.entry.interaction, item.writes) {
                (_, Some(kind)) => {
                    // Where the server gives the id it is a create.
                    let given = matches!(item.entry.interaction, Interaction::ConditionalUpdate { .. })
                        && item.own.is_none()
                        && target.expect == Expect::Absent;
                    let create = item.fresh.is_some() || given;
                    let method = if create { Method::Create } else { Method::Update };
                    let (content, issues) =
                        content(service, item, kind, &links.rewriter).map_err(|failure| at_entry(index, failure))?;
                    *noticed = issues;
                    (method, Some(content))
                }
                (Interaction::Patch { .. } | Interaction::ConditionalPatch { .. }, None) => {
                    let draft = match patched(ground, (examiner, again), item, target, &mut links).await {
                        // With the answers it may turn out differently.
                        Err(_) if examiner.is_open() => continue,
                        draft => draft.map_err(|f| at_entry(index, f))?,
                    };
                    *noticed = draft.warnings;
                    (Method::Patch, Some(draft.content))
                }
                _ => (Method::Delete, None),
            };
            bodies.push(content.as_ref().filter(|_| shown).map(|c| c.body.0.clone()));
            owners.push(index);
            writes.push(Write { kind: target.kind, id: target.id.clone(), method, expect: target.expect, content });
        }
    }
    if examiner.is_open() {
        return Ok(None);
    }
    identity::no_new_duplicates(items, &identities, &owners, &writes)?;
    answer::check_reads(service, context, &*snapshot, items, &identities.about, &writes).await?;
    drop(snapshot);
    let guards: Vec<Guard> = identities.guards.clone();
    match commit(service, context, request, writes, guards).await {
        Ok(committed) => Ok(Some(Done { identities, committed, bodies, noticed })),
        Err(Refused::Store(StoreError::VersionConflict { write, current })) => {
            let owner = owners.get(write).copied();
            let firm = owner.filter(|index| identities.about.get(*index).is_some_and(About::is_firm));
            match firm {
                Some(index) => Err(at_entry(index, precondition(current)).into()),
                None => Err(Refused::Store(StoreError::VersionConflict { write, current })),
            }
        }
        Err(Refused::Store(error)) if super::race::lost_race(&error) => Err(Refused::Store(error)),
        Err(Refused::Store(error)) => Err(outcome::of_store(error).into()),
        Err(failed) => Err(failed),
    }
}

/// What is stored of an entry, its references rewritten.
fn content(
    service: &Service,
    item: &Item<'_>,
    kind: TypeId,
    rewriter: &super::references::Rewriter,
) -> Result<(Content, Vec<Issue>), Failure> {
    let Some(resource) = item.entry.resource else {
        let (body, schema) = (crate::store::Body(b"}}".to_vec()), service.extractor.fingerprint());
        return Ok((Content { body, terms: crate::index::Terms::default(), schema }, Vec::new()));
    };
    let rewritten = rewriter.rewrite(&service.definitions, kind, resource, item.entry.full_url.as_deref());
    let document = rewritten.as_ref().and_then(|text| {
        // The text passed the reader before; only strings changed.
        Document::parse(text.as_bytes(), &service.settings.limits).ok()
    });
    match &document {
        Some(document) => service.content(kind, document.root()),
        None => service.content(kind, resource),
    }
}

/// The draft of a patched resource.
async fn patched(
    ground: Ground<'_, '_>,
    (examiner, again): (&Examiner, bool),
    item: &Item<'_>,
    target: &identity::Target,
    links: &mut Links,
) -> Result<Draft, Failure> {
    let Ground { service, context, snapshot, .. } = ground;
    let newest = snapshot.read(target.kind, &target.id).await.map_err(outcome::of_store)?;
    let newest = service.readable(ground.context, newest).await?;
    let before = match (newest, &item.entry.interaction) {
        (None, Interaction::ConditionalPatch { .. }) => return Err(patch::matches_nothing()),
        (newest, _) => read::existing(service, target.kind, &target.id, newest)?,
    };
    let Some(resource) = item.entry.resource else {
        return Err(Failure::malformed(IssueCode::Required, "the entry has no 'resource'"));
    };
    let payload = entry::patch(resource)?;
    let patch = patch::Patch::read(service, &payload.media, &payload.bytes)?;
    let text = patch::changed(service, context, &before, &patch)?;
    let after = patch::read_changed(service, &text)?;
    let stored = before.to_json(service.definitions.name(target.kind)).unwrap_or_default();
    let stored = Document::parse(&stored, &Limits::NONE).map_err(Failure::internal)?;
    links.resolve_new(ground, target.kind, stored.root(), after.root()).await?;
    patch::draft(service, (&examiner.clone().of_own_making(), again), target.kind, &after, &links.rewriter)
}
