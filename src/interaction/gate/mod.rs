//! The gate: the only way from the interactions and operations to the store. With access control on, every state of
//! the store that is handed out is seen through a grant ([`view`](self)), and every commit is judged by it
//! (`writes`). What an interaction may be asked at all is decided before it runs (`admission`).
//!
//! The store is private to this folder: whoever wants data gets a snapshot here, so that nothing can forget to ask.

mod admission;
mod binaries;
mod circumstances;
mod consents;
mod events;
mod hidden;
mod operator;
#[cfg(test)]
mod tests;
mod view;
mod writes;

use super::{Context, Records, Service, outcome};
use crate::access::{Action, Grant, Principal};
use crate::base::{Failure, FailureKind, IssueCode, TenantId};
use crate::definitions::{Definitions, TypeId};
use crate::search::Seal;
use crate::store::{ItemWrite, Notices, Snapshot, Store, StoreError, Transaction, Version};
use parking_lot::{Mutex, RwLock};
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use view::View;

pub(in crate::interaction) use circumstances::POLICIES;

/// Most grants that are kept.
const MOST: usize = 10_000;
/// How long a grant is kept where other processes may change what it is made of: notices tell of it, but nothing depends
/// on them alone.
const FRESH: Duration = Duration::from_secs(10);

/// The store behind the gate, and the grants of those who were here lately.
pub(crate) struct Gate {
    store: Arc<dyn Store>,
    grants: RwLock<FxHashMap<Arc<Principal>, Kept>>,
    /// The Consents of all patients, for all grants.
    consents: consents::Known,
    /// What there is of an audit trail, and of AuditEvents beside it.
    events: events::Events,
    /// Counts the changes of what grants are made of: policies, Consents, teams, roles, groups and relatives.
    changes: AtomicU64,
    /// The types whose resources grants are made of.
    sources: Vec<TypeId>,
    /// What page links are sealed with.
    seal: RwLock<Seal>,
}

struct Kept {
    grant: Arc<Grant>,
    made_at: u64,
    since: Instant,
}

/// The grant that was found for a request, for whom, and after how many changes: a request asks for it several times.
#[derive(Default)]
pub(crate) struct Granted(Mutex<Option<Found>>);

struct Found {
    principal: Arc<Principal>,
    made_at: u64,
    grant: Arc<Grant>,
}

impl std::fmt::Debug for Granted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Granted")
    }
}

impl Granted {
    fn get(&self, principal: &Arc<Principal>, changes: u64) -> Option<Arc<Grant>> {
        let found = self.0.lock();
        let found = found.as_ref()?;
        (Arc::ptr_eq(&found.principal, principal) && found.made_at == changes).then(|| found.grant.clone())
    }

    fn set(&self, principal: &Arc<Principal>, changes: u64, grant: &Arc<Grant>) {
        *self.0.lock() = Some(Found { principal: principal.clone(), made_at: changes, grant: grant.clone() });
    }
}

impl Gate {
    pub(crate) fn new(store: Arc<dyn Store>, definitions: &Definitions) -> Gate {
        let sources = ["Consent", "CareTeam", "PractitionerRole", "Group", "RelatedPerson"];
        let sources = sources.iter().filter_map(|name| definitions.resource(name)).collect();
        Gate {
            store,
            grants: RwLock::default(),
            consents: consents::Known::default(),
            events: events::Events::default(),
            changes: AtomicU64::new(0),
            sources,
            seal: RwLock::new(seal()),
        }
    }

    /// Whether grants are made of resources of this type.
    pub(in crate::interaction) fn is_source(&self, kind: TypeId) -> bool {
        self.sources.contains(&kind)
    }

    /// What other processes change; none where there are no others.
    pub(in crate::interaction) fn notices(&self) -> Option<Notices> {
        self.store.notices()
    }

    /// Grants are made anew from now on.
    pub(in crate::interaction) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl Service {
    /// Whether writes can succeed: if not, this process is of no use but for reading.
    pub fn can_write(&self) -> bool {
        self.gate.store.writable().is_ok()
    }

    /// What is kept besides resources, for the floors above.
    pub fn records(&self, tenant: TenantId) -> Records {
        Records::new(self.gate.store.clone(), tenant)
    }

    /// The present state of the tenant, as far as the caller may see it.
    pub(crate) async fn snapshot(&self, context: &Context) -> Result<Box<dyn Snapshot>, Failure> {
        let inner = self.gate.store.snapshot(context.log()).await.map_err(outcome::of_store)?;
        self.seen(context, inner, false).await
    }

    /// The state of the tenant that a page link names, as far as the caller may see it.
    pub(crate) async fn snapshot_at(&self, context: &Context, position: u64) -> Result<Box<dyn Snapshot>, Failure> {
        let inner = self.gate.store.snapshot_at(context.log(), position).await.map_err(outcome::of_store)?;
        self.seen(context, inner, false).await
    }

    /// The present state for somebody who is about to change something: what may be changed is seen as well as what
    /// may be read. What is taken from it is not shown.
    pub(crate) async fn snapshot_to_write(&self, context: &Context) -> Result<Box<dyn Snapshot>, Failure> {
        let inner = self.gate.store.snapshot(context.log()).await.map_err(outcome::of_store)?;
        self.seen(context, inner, true).await
    }

    /// A version that was found to be changed, if the caller may read it as well: what a change makes of it tells what
    /// stands in it.
    pub(crate) async fn readable(
        &self,
        context: &Context,
        version: Option<Version>,
    ) -> Result<Option<Version>, Failure> {
        let Some(version) = version else { return Ok(None) };
        let snapshot = self.snapshot(context).await?;
        let read = snapshot.version(version.kind, &version.id, version.version).await.map_err(outcome::of_store)?;
        Ok(read.map(|_| version))
    }

    async fn seen(
        &self,
        context: &Context,
        inner: Box<dyn Snapshot>,
        writing: bool,
    ) -> Result<Box<dyn Snapshot>, Failure> {
        let inner = self.without_events(context, inner);
        match self.grant(context).await? {
            None => Ok(inner),
            Some(grant) => Ok(Box::new(View { inner, grant, definitions: self.search_definitions(), writing })),
        }
    }

    /// What the caller may do; nothing where access control is off.
    pub(crate) async fn grant(&self, context: &Context) -> Result<Option<Arc<Grant>>, Failure> {
        let Some(principal) = context.caller.principal() else { return Ok(None) };
        if principal.tenant != context.tenant {
            return Err(Failure::new(
                FailureKind::Unauthenticated,
                IssueCode::Login,
                "the token is not for this server",
            ));
        }
        // What scopes ask for may have become searchable.
        self.settle();
        let changes = self.gate.changes.load(Ordering::Acquire);
        if let Some(grant) = context.granted.get(principal, changes) {
            return Ok(Some(grant));
        }
        let shared = self.gate.store.is_shared();
        let holds = |kept: &&Kept| kept.made_at == changes && (!shared || kept.since.elapsed() < FRESH);
        let kept = self.gate.grants.read().get(principal).filter(holds).map(|kept| kept.grant.clone());
        if let Some(grant) = kept
            && grant.valid_until().is_none_or(|moment| self.clock.now() < moment)
        {
            context.granted.set(principal, changes, &grant);
            return Ok(Some(grant));
        }
        let grant = Arc::new(circumstances::grant(self, principal).await?);
        context.granted.set(principal, changes, &grant);
        let mut grants = self.gate.grants.write();
        if grants.len() >= MOST {
            grants.clear();
        }
        let kept = Kept { grant: grant.clone(), made_at: changes, since: Instant::now() };
        grants.insert(principal.clone(), kept);
        Ok(Some(grant))
    }
}

impl Service {
    /// What the page links of a caller are sealed with.
    pub(crate) fn seal(&self, context: &Context) -> Seal {
        let seal = self.gate.seal.read().clone();
        match context.caller.principal() {
            None => seal.of(&context.tenant.0.to_string()),
            Some(principal) => {
                let part = |text: Option<&str>| text.unwrap_or("-").to_owned();
                let patient = part(principal.patient.as_ref().map(|id| id.as_str()));
                let (tenant, client) = (principal.tenant.0, part(principal.client.as_deref()));
                seal.of(&format!("{tenant}\n{}\n{client}\n{patient}", principal.subject))
            }
        }
    }

    /// Takes the key of page links from the store, where it is made on the first start, so that links outlive the
    /// process. Until this is called they do not.
    pub async fn keep_page_links(&self) -> Result<(), Failure> {
        const PLACE: (&str, &str) = ("secret", "page-links");
        let tenant = TenantId::default();
        loop {
            let item = self.gate.store.item(tenant, PLACE.0, PLACE.1).await.map_err(outcome::of_store)?;
            if let Some(item) = item {
                *self.gate.seal.write() = Seal::new(&item.value);
                return Ok(());
            }
            let items = vec![ItemWrite::create(PLACE.0, PLACE.1, random().to_vec())];
            match self.gate.store.commit(tenant, Transaction { items, ..Transaction::default() }).await {
                Ok(_) | Err(StoreError::ItemConflict { .. }) => {}
                Err(other) => return Err(outcome::of_store(other)),
            }
        }
    }
}

/// A seal that nobody knows.
fn seal() -> Seal {
    Seal::new(&random())
}

fn random() -> [u8; 32] {
    let (one, two) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    let mut bytes = [0; 32];
    bytes.iter_mut().zip(one.as_bytes().iter().chain(two.as_bytes())).for_each(|(byte, random)| *byte = *random);
    bytes
}

/// The failure where a right is missing; the same whatever is stored.
fn forbidden(action: Action, kind: &str) -> Failure {
    let what = match action {
        Action::Create => "create",
        Action::Read => "read",
        Action::Update => "update",
        Action::Delete => "delete",
        Action::Search => "search",
    };
    refused(format!("what was granted does not allow to {what} {kind} (the right '{}')", action.letter()))
}

fn refused(why: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Forbidden, IssueCode::Forbidden, why)
}
