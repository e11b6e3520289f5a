//! What references in a transaction become: the `fullUrl` of each entry that writes, and conditional references
//! (R4 http.html#trules).

use super::Item;
use super::identity::{About, Identities, needed, remaining};
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::index::{Alone, Condition, Term, Terms};
use crate::interaction::conditional::{self, Found};
use crate::interaction::references::{self, Rewriter};
use crate::interaction::{Context, Service};
use crate::json::Value;
use crate::primitive::Reference;
use crate::store::{Expect, Snapshot};
use rustc_hash::{FxHashMap, FxHashSet};

/// What references are resolved against.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a, 'd> {
    pub service: &'a Service,
    pub context: &'a Context,
    pub snapshot: &'a dyn Snapshot,
    pub items: &'a [Item<'d>],
    pub identities: &'a Identities,
}

/// What references become.
#[derive(Default)]
pub(super) struct Links {
    pub rewriter: Rewriter,
    pending: Pending,
}

/// Gathers what the references in the entries become.
pub(super) async fn gather(ground: Ground<'_, '_>) -> Result<Links, Failure> {
    let Ground { service, context, items, identities, .. } = ground;
    let mut links = Links::default();
    for (item, about) in items.iter().zip(&identities.about) {
        let Some(url) = &item.entry.full_url else { continue };
        let (kind, id, version) = match about {
            About::Existing(version) => (version.kind, &version.id, Some(version.version)),
            About::Writes { targets, .. } if item.writes.is_some() => match targets.first() {
                Some(target) => (target.kind, &target.id, (target.expect == Expect::Absent).then_some(1)),
                None => continue,
            },
            _ => continue,
        };
        let target = format!("{}/{id}", service.definitions.name(kind));
        // An address under our own base that names the resource itself stays as it is.
        if url.strip_prefix(&*context.base).and_then(|rest| rest.strip_prefix('/')) != Some(target.as_str()) {
            links.rewriter.add(url, target, version);
        }
    }
    for item in items {
        let (Some(kind), Some(resource)) = (item.writes, item.entry.resource) else { continue };
        for (text, value) in references::conditional(&service.definitions, kind, resource) {
            let place =
                || format!("Bundle.entry[{}].resource{}", item.entry.index, references::path_to(resource, value));
            links.resolve(ground, text).await.map_err(|failure| located(failure, &place()))?;
        }
    }
    Ok(links)
}

impl Links {
    /// Resolves the conditional references that a patch has brought into a resource. Those that were stored before are
    /// none of this transaction's.
    pub(super) async fn resolve_new(
        &mut self,
        ground: Ground<'_, '_>,
        kind: TypeId,
        before: Value<'_>,
        after: Value<'_>,
    ) -> Result<(), Failure> {
        let definitions = &ground.service.definitions;
        let brought = references::conditional(definitions, kind, after);
        if brought.is_empty() {
            return Ok(());
        }
        let old = references::conditional(definitions, kind, before);
        for (text, _) in brought {
            if !old.iter().any(|(stored, _)| *stored == text) {
                self.resolve(ground, text).await?;
            }
        }
        Ok(())
    }

    async fn resolve(&mut self, ground: Ground<'_, '_>, text: String) -> Result<(), Failure> {
        if !self.rewriter.knows(&text) {
            let target = find(ground, &mut self.pending, &text).await?;
            self.rewriter.resolve(text, target);
        }
        Ok(())
    }
}

fn located(mut failure: Failure, place: &str) -> Failure {
    for issue in &mut failure.issues {
        issue.expression = Some(place.to_owned());
    }
    failure
}

/// What this transaction writes, by type, with the terms that it will be found by: made once for each type that
/// conditional references ask for.
#[derive(Default)]
struct Pending(FxHashMap<TypeId, Written>);

/// The resources of one type that are written.
#[derive(Default)]
struct Written {
    resources: Vec<(ResourceId, Terms)>,
    by_term: FxHashMap<Term, Vec<usize>>,
    /// They and what is deleted: what is stored of them says nothing any more.
    replaced: FxHashSet<(TypeId, ResourceId)>,
}

impl Pending {
    fn of(&mut self, service: &Service, kind: TypeId, items: &[Item<'_>], identities: &Identities) -> &Written {
        self.0.entry(kind).or_insert_with(|| {
            let mut written = Written { replaced: identities.deleted.clone(), ..Written::default() };
            for (item, about) in items.iter().zip(&identities.about).filter(|(item, _)| item.writes == Some(kind)) {
                let (Some(target), Some(resource)) = (about.targets().first(), item.entry.resource) else { continue };
                let mut terms = service.extractor.extract(kind, resource);
                service.extractor.stamp(&mut terms, kind, &target.id, service.clock.now());
                for term in terms.as_slice() {
                    written.by_term.entry(term.clone()).or_default().push(written.resources.len());
                }
                written.replaced.insert((target.kind, target.id.clone()));
                written.resources.push((target.id.clone(), terms));
            }
            written
        })
    }
}

impl Written {
    /// Up to two of those that fulfil a condition.
    fn matching(&self, kind: TypeId, condition: &Condition) -> Vec<ResourceId> {
        let fulfils = |(_, terms): &&(ResourceId, Terms)| condition.matches(kind, terms, &Alone);
        let found: Vec<_> = match needed(condition) {
            Some(term) => {
                let numbers = self.by_term.get(term).map_or(&[][..], Vec::as_slice);
                numbers.iter().filter_map(|n| self.resources.get(*n)).filter(fulfils).take(2).collect()
            }
            None => self.resources.iter().filter(fulfils).take(2).collect(),
        };
        found.into_iter().map(|(id, _)| id.clone()).collect()
    }
}

/// The one resource that a conditional reference means: stored before, or written by this transaction.
async fn find(ground: Ground<'_, '_>, pending: &mut Pending, text: &str) -> Result<String, Failure> {
    let Ground { service, context, snapshot, items, identities } = ground;
    let Reference::Conditional { kind: name, query } = Reference::parse(text) else {
        return Err(Failure::malformed(IssueCode::Value, "this is no conditional reference"));
    };
    let kind = service
        .definitions
        .resource(name)
        .ok_or_else(|| Failure::malformed(IssueCode::Value, "the conditional reference names no resource type"))?;
    let condition = conditional::criteria(service, context, kind, query)?;
    let written = pending.of(service, kind, items, identities);
    let mut matching = written.matching(kind, &condition);
    match remaining(snapshot, &context.budget, kind, &condition, &written.replaced).await? {
        Found::Many => return Err(ambiguous("more than one resource")),
        Found::One(version) => matching.push(version.id.clone()),
        Found::None => {}
    }
    match matching.as_slice() {
        [id] => Ok(format!("{name}/{id}")),
        [] => Err(ambiguous("no resource")),
        _ => Err(ambiguous("more than one resource")),
    }
}

fn ambiguous(what: &str) -> Failure {
    let code = if what == "no resource" { IssueCode::NotFound } else { IssueCode::MultipleMatches };
    Failure::new(FailureKind::PreconditionFailed, code, format!("the conditional reference matches {what}"))
}
