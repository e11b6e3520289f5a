//! A group of transactions that share one LMDB transaction and one flush: each is checked against everything before
//! it, those of the group included, and written only if all of it may be.

use super::Shared;
use super::index::Indexed;
use super::rebuild::{Damage, read_chunk};
use super::record::{Header, Newest};
use super::truth::{Fault, Look, Writing, meta};
use super::type_index::TypeIndex;
use super::writer::{Job, Prepared};
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use crate::index::Alone;
use crate::store::{Committed, Effect, Expect, Guard, Head, ItemWrite, StoreError, item};
use rustc_hash::FxHashMap;

/// The open group.
pub struct Group<'g> {
    shared: &'g Shared,
    writing: Writing<'g>,
    tenants: FxHashMap<TenantId, Pending>,
    /// Types that got their first resource in this group, in order of their stored numbers.
    new_types: Vec<TypeId>,
    /// Whether items were written.
    items: bool,
    /// Where audit trails end now that the group has appended to them.
    heads: FxHashMap<TenantId, Head>,
}

/// What the group has added to a tenant.
struct Pending {
    position: u64,
    last_updated: Timestamp,
    versions: Vec<Indexed>,
    /// The newest version of a resource, as an index into `versions`.
    newest: FxHashMap<(TypeId, ResourceId), usize>,
}

/// What a write has to know of the versions before it.
#[derive(Default)]
struct Before {
    newest: Option<Newest>,
    last_updated: Timestamp,
    /// Where the new version jumps to.
    jump: Option<(u64, u64)>,
}

fn failed(error: StoreError) -> Fault {
    Fault::Failed(error.to_string())
}

impl<'g> Group<'g> {
    /// An empty group.
    pub fn new(shared: &'g Shared) -> Result<Group<'g>, Fault> {
        let writing = shared.truth.write()?;
        Ok(Group {
            shared,
            writing,
            tenants: FxHashMap::default(),
            new_types: Vec::new(),
            items: false,
            heads: FxHashMap::default(),
        })
    }

    /// Adds a transaction, or says why it may not be. A fault is one of the whole group.
    pub fn add(&mut self, job: &Job) -> Result<Result<Vec<Committed>, StoreError>, Fault> {
        // Most are nothing but the record of a read: the state of the tenant does not matter to them.
        if job.writes.is_empty() && job.guards.is_empty() && job.items.is_empty() {
            self.append(job)?;
            return Ok(Ok(Vec::new()));
        }
        self.open(job.tenant)?;
        if let Some(guard) = job.guards.iter().position(|g| !self.holds(job.tenant, g)) {
            return Ok(Err(StoreError::GuardFailed(guard)));
        }
        let mut checked = Vec::with_capacity(job.writes.len());
        for (write, prepared) in job.writes.iter().enumerate() {
            // What cannot be read concerns this transaction only: nothing of it has been written yet.
            match self.check(job.tenant, write, prepared) {
                Ok(found) => checked.push(found),
                Err(error) => return Ok(Err(error)),
            }
        }
        let mut items = Vec::with_capacity(job.items.len());
        for (item, write) in job.items.iter().enumerate() {
            match self.check_item(job.tenant, item, write) {
                Ok(revision) => items.push(revision),
                Err(error) => return Ok(Err(error)),
            }
        }
        let position = self.tenants.get(&job.tenant).map_or(0, |p| p.position);
        if position + job.writes.len() as u64 >= u64::from(u32::MAX) {
            return Ok(Err(StoreError::TooLarge("a tenant has at most 4294967294 versions in this engine".into())));
        }
        let now = self.next_instant(job.tenant);
        let mut done = Vec::with_capacity(job.writes.len());
        for (prepared, before) in job.writes.iter().zip(checked) {
            done.push(self.write(job.tenant, prepared, &before, position + 1, now)?);
        }
        for (write, revision) in job.items.iter().zip(items) {
            self.writing.put_item(job.tenant, write, revision)?;
            self.items = true;
        }
        self.append(job)?;
        Ok(Ok(done))
    }

    /// Appends what a transaction tells the audit trail.
    fn append(&mut self, job: &Job) -> Result<(), Fault> {
        for record in &job.audit {
            let before = match self.heads.get(&job.tenant) {
                Some(head) => *head,
                None => self.shared.head(job.tenant).map_err(failed)?,
            };
            let stored_type = self.stored_type_made(record.kind)?;
            let now = self.shared.clock.now();
            let head = self.writing.append(job.tenant, stored_type, record, &before, now)?;
            self.heads.insert(job.tenant, head);
        }
        Ok(())
    }

    /// Whether what an item's write expects is so; the revision that it makes.
    fn check_item(&self, tenant: TenantId, item: usize, write: &ItemWrite) -> Result<u64, StoreError> {
        let stored = self.writing.item(tenant, write.collection, &write.key)?;
        let revision = stored.as_ref().map_or(0, |i| i.revision) + 1;
        let now = self.shared.clock.now();
        let found = stored.filter(|i| i.is_alive(now));
        if !item::fulfilled(write.expect, found.as_ref()) {
            return Err(StoreError::ItemConflict { item, current: found.map(|i| i.revision) });
        }
        Ok(revision)
    }

    /// Whether what a write expects is so; what it has to know of the versions before.
    fn check(&self, tenant: TenantId, write: usize, prepared: &Prepared) -> Result<Before, StoreError> {
        let newest = match self.stored_type(prepared.kind) {
            None => None,
            Some(stored) => self.writing.newest(tenant, stored, prepared.id.as_str())?,
        };
        if !fulfilled(prepared.expect, newest) {
            return Err(StoreError::VersionConflict { write, current: newest.map(|n| n.version) });
        }
        let Some(newest) = newest else { return Ok(Before::default()) };
        let header = self.writing.version(tenant, newest.number)?.0;
        let jump = jump(&self.writing, tenant, &header)?;
        Ok(Before { newest: Some(newest), last_updated: header.last_updated, jump: Some(jump) })
    }

    /// Makes sure that the state of a tenant is at hand.
    fn open(&mut self, tenant: TenantId) -> Result<(), Fault> {
        if self.tenants.contains_key(&tenant) {
            return Ok(());
        }
        let position = self.shared.index.tenant(tenant).position();
        let last_updated = match position {
            0 => Timestamp(i64::MIN),
            last => self.writing.version(tenant, last).map_err(failed)?.0.last_updated,
        };
        let pending = Pending { position, last_updated, versions: Vec::new(), newest: FxHashMap::default() };
        self.tenants.insert(tenant, pending);
        Ok(())
    }

    /// Every transaction has an instant of its own, later than all before, whatever the clock says.
    fn next_instant(&mut self, tenant: TenantId) -> Timestamp {
        let now = self.shared.clock.now();
        let last = self.tenants.get(&tenant).map_or(i64::MIN, |p| p.last_updated.0);
        Timestamp(now.0.max(last.saturating_add(1)))
    }

    /// Whether nothing that was committed since the guard's search fulfils its condition.
    fn holds(&self, tenant: TenantId, guard: &Guard) -> bool {
        let Some(pending) = self.tenants.get(&tenant) else { return true };
        if pending.position <= guard.as_of {
            return true;
        }
        if guard.condition.joins() {
            return false;
        }
        let added = pending.newest.iter().any(|((kind, _), at)| {
            let version = pending.versions.get(*at);
            *kind == guard.kind
                && version
                    .and_then(|v| v.terms.as_ref())
                    .is_some_and(|terms| guard.condition.matches(guard.kind, terms, &Alone))
        });
        let tenant = self.shared.index.tenant(tenant);
        !added && !tenant.with(guard.kind, |index| self.matches_since(index, pending, guard))
    }

    /// Whether a committed version since then, which the group has not superseded, fulfils the condition.
    fn matches_since(&self, index: &TypeIndex, pending: &Pending, guard: &Guard) -> bool {
        (index.bound(guard.as_of)..index.len())
            .filter(|ordinal| index.live().contains(*ordinal))
            .filter(|ordinal| index.fulfils(guard.kind, *ordinal, &guard.condition))
            .any(|ordinal| {
                let term = index.id_term(ordinal);
                let id = term.as_ref().and_then(|t| self.shared.vocabulary.id_of(t)).and_then(ResourceId::new);
                id.is_none_or(|id| !pending.newest.contains_key(&(guard.kind, id)))
            })
    }

    fn stored_type(&self, kind: TypeId) -> Option<u16> {
        let new = || self.new_types.iter().position(|k| *k == kind).map(|i| self.shared.types.len() + i as u16);
        self.shared.types.stored(kind).or_else(new)
    }

    fn stored_type_made(&mut self, kind: TypeId) -> Result<u16, Fault> {
        if let Some(stored) = self.stored_type(kind) {
            return Ok(stored);
        }
        let stored = self.shared.types.len() + self.new_types.len() as u16;
        self.writing.put_meta(&meta::kind(stored), self.shared.vocabulary.name(kind).as_bytes())?;
        self.new_types.push(kind);
        Ok(stored)
    }

    fn write(
        &mut self,
        tenant: TenantId,
        prepared: &Prepared,
        before: &Before,
        commit: u64,
        now: Timestamp,
    ) -> Result<Committed, Fault> {
        let newest = before.newest;
        let exists = newest.is_some_and(|n| !n.deleted);
        let effect = match (&prepared.content, exists) {
            (Some(_), true) => Effect::Updated,
            (Some(_), false) => Effect::Created,
            (None, true) => Effect::Deleted,
            (None, false) => {
                let (number, version) = newest.map_or((0, 0), |n| (n.number, n.version));
                return Ok(Committed { effect: Effect::Nothing, version, last_updated: before.last_updated, number });
            }
        };
        let stored_type = self.stored_type_made(prepared.kind)?;
        let version = newest.map_or(0, |n| n.version) + 1;
        let Some(pending) = self.tenants.get_mut(&tenant) else { return Err(Fault::Failed("no such tenant".into())) };
        let number = pending.position + 1;
        let (dictionary, body) = prepared.content.as_ref().map_or((0, &[][..]), |c| (c.dictionary, &c.body));
        let header = Header {
            number,
            commit,
            stored_type,
            version,
            last_updated: now,
            method: prepared.method,
            previous: newest.map(|n| n.number),
            jump: before.jump.unwrap_or((number, version)),
            dictionary,
            id: prepared.id.clone(),
        };
        self.writing.put_version(tenant, &header, body)?;
        let terms = prepared.content.as_ref().map(|content| {
            let mut terms = content.terms.clone();
            self.shared.vocabulary.stamp(&mut terms, prepared.kind, &prepared.id, now);
            terms
        });
        pending.position = number;
        pending.last_updated = now;
        pending.newest.insert((prepared.kind, prepared.id.clone()), pending.versions.len());
        let previous = newest.map(|n| n.number);
        let schema = prepared.content.as_ref().map_or(0, |content| content.schema);
        pending.versions.push(Indexed {
            number,
            kind: prepared.kind,
            previous,
            id: prepared.id.clone(),
            terms,
            schema,
        });
        Ok(Committed { effect, version, last_updated: now, number })
    }

    /// Makes the group durable, adds it to the index, and lets readers see it.
    pub fn commit(self) -> Result<(), Fault> {
        let Group { shared, mut writing, tenants, new_types, items, heads } = self;
        if !items && heads.is_empty() && tenants.values().all(|p| p.versions.is_empty()) {
            return Ok(());
        }
        heads.iter().try_for_each(|(tenant, head)| writing.put_head(*tenant, head))?;
        writing.commit()?;
        heads.into_iter().for_each(|(tenant, head)| shared.set_head(tenant, head));
        new_types.into_iter().for_each(|kind| shared.types.add(kind));
        for (tenant, mut pending) in tenants {
            let index = shared.index.tenant(tenant);
            let again = |version: &mut Indexed| find_again(shared, tenant, version);
            index.add_and_publish(&*shared.vocabulary, &mut pending.versions, pending.position, again);
            shared.keeper.look_after(tenant, &index);
        }
        Ok(())
    }
}

/// Finds the terms of a committed version again: they were found before a search parameter was added or changed.
pub fn find_again(shared: &Shared, tenant: TenantId, version: &mut Indexed) {
    match read_chunk(shared, tenant, version.number, version.number, Damage::Refuse) {
        Ok(found) => found.into_iter().for_each(|found| *version = found),
        Err(error) => tracing::error!(%error, number = version.number, "a version is indexed with terms of before"),
    }
}

fn fulfilled(expect: Expect, newest: Option<Newest>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => newest.is_none(),
        Expect::Version(version) => newest.is_some_and(|n| n.version == version && !n.deleted),
        Expect::Newest(version) => newest.is_some_and(|n| n.version == version),
    }
}

/// Where the version after `newest` jumps to: so far that any earlier version is reached in a number of steps that
/// grows with the logarithm of their number (Myers, "An applicative random-access stack", 1983).
pub fn jump(look: &impl Look, tenant: TenantId, newest: &Header) -> Result<(u64, u64), StoreError> {
    let second = look.version(tenant, newest.jump.0)?.0;
    let equal = newest.version - newest.jump.1 == second.version.saturating_sub(second.jump.1);
    let first = newest.version == newest.jump.1;
    Ok(if equal && !first { second.jump } else { (newest.number, newest.version) })
}
