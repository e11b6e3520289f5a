//! `_include` and `_revinclude` (R4 search.html#include): the resources that matches refer to and those that refer
//! to them, each once, in the snapshot of the search, and never more than a bound. Where a reference names a version,
//! that version is included.

use super::incoming::parse;
use super::{Service, outcome};
use crate::base::{Failure, FailureKind, Issue, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::index::{Condition, Referred, reference_term};
use crate::json::Limits;
use crate::search::{Include, Plan};
use crate::store::{Budget, Query, Snapshot, StoreError, Version};
use rustc_hash::FxHashSet;

/// References looked for in one question to the store.
const CHUNK: usize = 200;

/// What is gathered.
struct Gathered<'p> {
    /// Versions that are on the page.
    seen: FxHashSet<(TypeId, ResourceId, u64)>,
    /// What was looked for, or is on the page as its newest version.
    followed: FxHashSet<Referred>,
    included: Vec<Version>,
    limit: usize,
    full: bool,
    plan: &'p Plan,
    budget: &'p Budget,
}

impl Gathered<'_> {
    fn add(&mut self, version: Version) {
        if version.is_deleted() || !self.seen.insert((version.kind, version.id.clone(), version.version)) {
            return;
        }
        if version.newest {
            self.followed.insert(newest(&version));
        }
        if self.included.len() < self.limit {
            self.included.push(version);
        } else {
            self.full = true;
        }
    }
}

/// A version as a reference without a version names it.
fn newest(version: &Version) -> Referred {
    Referred { kind: version.kind, id: version.id.clone(), version: None }
}

/// Follows the references of a page of matches.
pub(super) async fn resolve(
    service: &Service,
    snapshot: &dyn Snapshot,
    plan: &Plan,
    budget: &Budget,
    matches: &[Version],
    issues: &mut Vec<Issue>,
) -> Result<Vec<Version>, Failure> {
    let mut gathered = Gathered {
        seen: matches.iter().map(|v| (v.kind, v.id.clone(), v.version)).collect(),
        followed: matches.iter().map(newest).collect(),
        included: Vec::new(),
        limit: service.settings.max_includes,
        full: false,
        plan,
        budget,
    };
    let mut ended = enough(round(service, snapshot, &mut gathered, matches, false).await)?;
    // What was added is followed in its turn, for those that say so.
    let mut done = 0;
    let iterates = plan.includes.iter().chain(&plan.revincludes).any(|i| i.iterate);
    while iterates && done < gathered.included.len() && !gathered.full && !ended {
        let fresh: Vec<Version> = gathered.included.get(done..).unwrap_or_default().to_vec();
        done += fresh.len();
        ended = enough(round(service, snapshot, &mut gathered, &fresh, true).await)?;
    }
    if ended {
        let reason = "not all resources that belong here are included: finding them costs more than this server allows";
        issues.push(Issue::warning(IssueCode::Incomplete, reason));
    }
    if gathered.full {
        let bound = service.settings.max_includes;
        issues.push(Issue::warning(
            IssueCode::Incomplete,
            format!("no more than {bound} resources are included on one page; ask for smaller pages"),
        ));
    }
    Ok(gathered.included)
}

/// Whether the budget ended the work: what was found so far is shown then.
fn enough(round: Result<(), Failure>) -> Result<bool, Failure> {
    match round {
        Ok(()) => Ok(false),
        Err(failure) if failure.kind == FailureKind::TooCostly => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// Follows the references of some resources once.
async fn round(
    service: &Service,
    snapshot: &dyn Snapshot,
    gathered: &mut Gathered<'_>,
    from: &[Version],
    again: bool,
) -> Result<(), Failure> {
    let plan = gathered.plan;
    let wanted = |include: &&Include| !again || include.iterate;
    let forward: Vec<&Include> = plan.includes.iter().filter(wanted).collect();
    for version in from {
        for referred in referred(service, version, &forward)? {
            if gathered.full {
                return Ok(());
            }
            if !gathered.followed.insert(referred.clone()) {
                continue;
            }
            let found = match referred.version {
                Some(version) => snapshot.version(referred.kind, &referred.id, version).await,
                None => snapshot.read(referred.kind, &referred.id).await,
            };
            if let Some(found) = found.map_err(outcome::of_store)? {
                gathered.add(found);
            }
        }
    }
    for include in plan.revincludes.iter().filter(wanted) {
        for chunk in from.chunks(CHUNK) {
            referring(service, snapshot, gathered, chunk, include).await?;
        }
    }
    Ok(())
}

/// What a resource refers to under the parameters of some includes.
fn referred(service: &Service, version: &Version, includes: &[&Include]) -> Result<Vec<Referred>, Failure> {
    let mut all = Vec::new();
    if !includes.iter().any(|i| i.source == version.kind) {
        return Ok(all);
    }
    let json = version.to_json(service.definitions.name(version.kind)).unwrap_or_default();
    let document = parse(&json, &Limits::NONE)?;
    for include in includes.iter().filter(|i| i.source == version.kind) {
        for parameter in &include.parameters {
            let references = service.extractor.references(version.kind, document.root(), *parameter);
            all.extend(references.into_iter().filter(|r| include.target.is_none_or(|t| t == r.kind)));
        }
    }
    Ok(all)
}

/// Adds the resources that refer to some under the parameters of a `_revinclude`.
async fn referring(
    service: &Service,
    snapshot: &dyn Snapshot,
    gathered: &mut Gathered<'_>,
    to: &[Version],
    include: &Include,
) -> Result<(), Failure> {
    let mut terms = Vec::new();
    for version in to.iter().filter(|v| include.target.is_none_or(|t| t == v.kind)) {
        let kind = service.definitions.name(version.kind);
        for parameter in &include.parameters {
            terms.push(Condition::Term(reference_term(*parameter, kind, version.id.as_str())));
        }
    }
    if terms.is_empty() || gathered.full {
        return Ok(());
    }
    let query = Query {
        kinds: vec![include.source],
        condition: Condition::Or(terms),
        sort: Vec::new(),
        after: None,
        skip: 0,
        // One more than fits, and those that are there already may come again.
        limit: gathered.limit + gathered.seen.len() + 1,
        total: false,
        budget: gathered.budget.clone(),
    };
    let found = match snapshot.search(&query).await {
        // What may not be searched is not included; the search itself is none of its business.
        Err(StoreError::Refused(_)) => return Ok(()),
        found => found.map_err(outcome::of_store)?,
    };
    for version in found.rows {
        gathered.add(version);
    }
    Ok(())
}
