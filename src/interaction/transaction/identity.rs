//! Which resource each entry of a transaction is about: new ids, what criteria match, and what must be true of it
//! when it is written. No resource may be meant by two entries (R4 http.html#trules).

use super::Item;
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::index::{Alone, Condition, Term};
use crate::interaction::conditional::{self, Found};
use crate::interaction::entry::{at_entry, rank};
use crate::interaction::update;
use crate::interaction::{Context, Interaction, Service, delete, outcome, patch};
use crate::store::{Budget, Expect, Guard, Snapshot, Version, Write};
use rustc_hash::{FxHashMap, FxHashSet};

/// A resource that is written.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub kind: TypeId,
    pub id: ResourceId,
    pub expect: Expect,
}

/// What an entry is about.
#[derive(Clone, Debug)]
pub(super) enum About {
    /// It writes these (several only for a conditional delete). `firm`: the client named the version.
    Writes { targets: Vec<Target>, firm: bool },
    /// A conditional create that found what it would create.
    Existing(Box<Version>),
    /// It reads, after the commit.
    Reads,
}

impl About {
    /// What it writes.
    pub(super) fn targets(&self) -> &[Target] {
        match self {
            About::Writes { targets, .. } => targets,
            _ => &[],
        }
    }

    /// Whether the client named the version that it expects.
    pub(super) fn is_firm(&self) -> bool {
        matches!(self, About::Writes { firm: true, .. })
    }
}

/// What all entries are about, in their order.
#[derive(Debug, Default)]
pub(super) struct Identities {
    pub about: Vec<About>,
    /// What keeps the criteria true until the commit.
    pub guards: Vec<Guard>,
    /// Deleted by this transaction: does not match any more.
    pub deleted: FxHashSet<(TypeId, ResourceId)>,
    /// Conditional creates and updates without a match: entry, type and criteria.
    pub creating: Vec<(usize, TypeId, Condition)>,
}

/// Settles the identities on a snapshot, in the order of processing.
pub(super) async fn settle(
    service: &Service,
    context: &Context,
    snapshot: &dyn Snapshot,
    items: &[Item<'_>],
) -> Result<Identities, Failure> {
    let mut identities = Identities { about: vec![About::Reads; items.len()], ..Identities::default() };
    for place in 0..3 {
        for (at, item) in items.iter().enumerate().filter(|(_, i)| rank(i.entry.request.verb) == place) {
            let about = settle_one(service, context, snapshot, item, &mut identities)
                .await
                .map_err(|failure| at_entry(item.entry.index, failure))?;
            if place == 0 {
                identities.deleted.extend(about.targets().iter().map(|t| (t.kind, t.id.clone())));
            }
            if let Some(slot) = identities.about.get_mut(at) {
                *slot = about;
            }
        }
    }
    no_overlap(service, items, &identities.about)?;
    Ok(identities)
}

async fn settle_one(
    service: &Service,
    context: &Context,
    snapshot: &dyn Snapshot,
    item: &Item<'_>,
    identities: &mut Identities,
) -> Result<About, Failure> {
    let request = &item.entry.request;
    match &item.entry.interaction {
        Interaction::Create { kind } => create(service, context, snapshot, item, *kind, identities).await,
        Interaction::Update { kind, id } | Interaction::Delete { kind, id } | Interaction::Patch { kind, id } => {
            let update = matches!(item.entry.interaction, Interaction::Update { .. });
            let patch = matches!(item.entry.interaction, Interaction::Patch { .. });
            let asked = &request.preconditions;
            let unconditional = asked.if_match.is_none() && asked.if_none_match.is_none() && !patch;
            if unconditional && (!update || service.settings.update_create) {
                return Ok(one(*kind, id.clone(), Expect::Any, false));
            }
            let newest = snapshot.read(*kind, id).await.map_err(outcome::of_store)?;
            let current = newest.as_ref().filter(|v| !v.is_deleted()).map(|v| v.version);
            update::holds(request, current)?;
            if update && newest.is_none() && !service.settings.update_create {
                return Err(Failure::new(
                    FailureKind::NotAllowed,
                    IssueCode::BusinessRule,
                    "there is no such resource, and clients may not choose the id of a new one here",
                ));
            }
            let expect = newest.map_or(Expect::Absent, |v| Expect::Newest(v.version));
            Ok(one(*kind, id.clone(), expect, asked.if_match.is_some()))
        }
        Interaction::ConditionalUpdate { kind } => {
            let found = search(service, context, snapshot, item, *kind, identities).await?;
            if matches!(found, Found::None) {
                note_creating(item, *kind, identities);
            }
            let current = if let Found::One(version) = &found { Some(version.version) } else { None };
            update::holds(request, current)?;
            let resolved = update::resolve(service, snapshot, *kind, found, item.own.as_ref()).await?;
            Ok(one(*kind, resolved.id, resolved.expect, false))
        }
        Interaction::ConditionalPatch { kind } => {
            match search(service, context, snapshot, item, *kind, identities).await? {
                Found::One(version) => {
                    update::holds(request, Some(version.version))?;
                    Ok(one(*kind, version.id, Expect::Version(version.version), false))
                }
                Found::None => Err(patch::matches_nothing()),
                Found::Many => Err(conditional::several()),
            }
        }
        Interaction::ConditionalDelete { kind } => {
            let condition = criteria(service, context, item, *kind)?;
            let rows = conditional::rows(snapshot, &context.budget, *kind, &condition, delete::limit(service)).await?;
            delete::bounded(service, &rows)?;
            if request.preconditions.if_match.is_some() {
                let only = if let [row] = rows.as_slice() { Some(row.version) } else { None };
                update::holds(request, only)?;
            }
            identities.guards.push(Guard { kind: *kind, condition, as_of: snapshot.position() });
            let target = |v: Version| Target { kind: v.kind, id: v.id, expect: Expect::Version(v.version) };
            Ok(About::Writes { targets: rows.into_iter().map(target).collect(), firm: false })
        }
        _ => Ok(About::Reads),
    }
}

fn one(kind: TypeId, id: ResourceId, expect: Expect, firm: bool) -> About {
    About::Writes { targets: vec![Target { kind, id, expect }], firm }
}

async fn create(
    service: &Service,
    context: &Context,
    snapshot: &dyn Snapshot,
    item: &Item<'_>,
    kind: TypeId,
    identities: &mut Identities,
) -> Result<About, Failure> {
    let Some(fresh) = item.fresh.clone() else { return Ok(About::Reads) };
    if conditional::of_create(&item.entry.request)?.is_none() {
        return Ok(one(kind, fresh, Expect::Absent, false));
    }
    match search(service, context, snapshot, item, kind, identities).await? {
        Found::None => {
            note_creating(item, kind, identities);
            Ok(one(kind, fresh, Expect::Absent, false))
        }
        Found::One(version) => Ok(About::Existing(version)),
        Found::Many => Err(conditional::several()),
    }
}

/// Remembers that an entry creates what its criteria, the last that were searched, did not find.
fn note_creating(item: &Item<'_>, kind: TypeId, identities: &mut Identities) {
    if let Some(guard) = identities.guards.last() {
        identities.creating.push((item.entry.index, kind, guard.condition.clone()));
    }
}

fn criteria(service: &Service, context: &Context, item: &Item<'_>, kind: TypeId) -> Result<Condition, Failure> {
    let text = match conditional::of_create(&item.entry.request)? {
        Some(criteria) => criteria,
        None => conditional::of_address(&item.entry.request)?,
    };
    conditional::criteria(service, context, kind, &text)
}

/// What the criteria of an entry match, apart from what this transaction deletes; guarded until the commit.
async fn search(
    service: &Service,
    context: &Context,
    snapshot: &dyn Snapshot,
    item: &Item<'_>,
    kind: TypeId,
    identities: &mut Identities,
) -> Result<Found, Failure> {
    let condition = criteria(service, context, item, kind)?;
    let found = remaining(snapshot, &context.budget, kind, &condition, &identities.deleted).await?;
    if !matches!(found, Found::Many) {
        identities.guards.push(Guard { kind, condition, as_of: snapshot.position() });
    }
    Ok(found)
}

/// What a condition matches, apart from some resources.
pub(super) async fn remaining(
    snapshot: &dyn Snapshot,
    budget: &Budget,
    kind: TypeId,
    condition: &Condition,
    without: &FxHashSet<(TypeId, ResourceId)>,
) -> Result<Found, Failure> {
    // Mostly none of the matches is among those; only if one is, more have to be looked at.
    let mut limit = 2;
    loop {
        let mut rows = conditional::rows(snapshot, budget, kind, condition, limit).await?;
        let all = rows.len() < limit;
        rows.retain(|v| !without.contains(&(v.kind, v.id.clone())));
        match (rows.pop(), rows.pop()) {
            (Some(_), Some(_)) => return Ok(Found::Many),
            (None, _) if all => return Ok(Found::None),
            (Some(one), None) if all => return Ok(Found::One(Box::new(one))),
            _ => limit = limit.saturating_mul(8),
        }
    }
}

/// Refuses a transaction in which two entries write the same resource.
fn no_overlap(service: &Service, items: &[Item<'_>], about: &[About]) -> Result<(), Failure> {
    let mut seen: FxHashMap<(TypeId, &ResourceId), usize> = FxHashMap::default();
    for (item, about) in items.iter().zip(about) {
        for target in about.targets() {
            if let Some(first) = seen.insert((target.kind, &target.id), item.entry.index) {
                let name = service.definitions.name(target.kind);
                return Err(at_entry(
                    item.entry.index,
                    Failure::malformed(
                        IssueCode::Duplicate,
                        format!("{name}/{} is written by Bundle.entry[{first}] already", target.id),
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// Refuses a transaction in which another entry makes what a conditional create or update looked for in vain: together they
/// would make what the criteria are there to prevent.
pub(super) fn no_new_duplicates(
    items: &[Item<'_>],
    identities: &Identities,
    owners: &[usize],
    writes: &[Write],
) -> Result<(), Failure> {
    if identities.creating.is_empty() || items.len() < 2 {
        return Ok(());
    }
    // By a term that the criteria cannot do without, so that thousands of entries are not tried against each other.
    let mut by_term: FxHashMap<(TypeId, &Term), Vec<usize>> = FxHashMap::default();
    let mut others: FxHashMap<TypeId, Vec<usize>> = FxHashMap::default();
    for (n, (_, kind, condition)) in identities.creating.iter().enumerate() {
        match needed(condition) {
            Some(term) => by_term.entry((*kind, term)).or_default().push(n),
            None => others.entry(*kind).or_default().push(n),
        }
    }
    for (owner, write) in owners.iter().zip(writes) {
        let Some(content) = &write.content else { continue };
        let probed = content.terms.as_slice().iter().filter_map(|term| by_term.get(&(write.kind, term)));
        for n in probed.chain(others.get(&write.kind)).flatten() {
            let Some((creating, kind, condition)) = identities.creating.get(*n) else { continue };
            if creating != owner && condition.matches(*kind, &content.terms, &Alone) {
                let message = format!("Bundle.entry[{owner}] writes a resource that the criteria would match as well");
                let failure = Failure::new(FailureKind::PreconditionFailed, IssueCode::MultipleMatches, message);
                return Err(at_entry(*creating, failure));
            }
        }
    }
    Ok(())
}

/// A term that everything matching the condition has.
pub(super) fn needed(condition: &Condition) -> Option<&Term> {
    match condition {
        Condition::Term(term) => Some(term),
        Condition::And(all) => all.iter().find_map(needed),
        Condition::Or(any) if any.len() == 1 => any.first().and_then(needed),
        _ => None,
    }
}
