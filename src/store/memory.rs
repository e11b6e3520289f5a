//! The reference: all versions in a list, every question answered by looking at all of them. It is what the other
//! engines are compared with, so it is plain before it is fast, and it keeps nothing after the process ends.

mod raw;

use super::{
    AuditRecord, Body, ChangeLog, Committed, Effect, Expect, FhirVocabulary, Guard, Hash, Head, HistoryQuery,
    HistoryScope, Item, Link, LinkContent, Method, Page, Place, Query, Snapshot, Sort, Store, StoreError, Transaction,
    Version, Vocabulary, Write, item,
};
use crate::base::{Clock, ResourceId, TenantId, Timestamp};
use crate::definitions::{Definitions, TypeId};
use crate::index::{Extractor, Related, Terms};
use crate::json::{Document, Limits};
use async_trait::async_trait;
use parking_lot::RwLock;
use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A version with what it is found by.
#[derive(Clone)]
struct Entry {
    version: Version,
    terms: Terms,
    /// Number of the first version of its commit.
    commit: u64,
}

type Log = Arc<Vec<Arc<Entry>>>;

/// Items by collection and key.
type Items = BTreeMap<(String, String), Item>;

/// The store of one process's memory.
pub struct MemoryStore {
    vocabulary: Arc<dyn Vocabulary>,
    clock: Arc<dyn Clock>,
    logs: RwLock<HashMap<TenantId, Log>>,
    /// Written only while `logs` is held for writing.
    items: RwLock<HashMap<TenantId, Items>>,
    /// The hashes of the audit trails; the records are in `logs`. Written only while `logs` is held for writing.
    hashes: RwLock<HashMap<TenantId, Vec<Hash>>>,
}

impl MemoryStore {
    /// An empty store of FHIR resources.
    pub fn new(definitions: Arc<Definitions>, extractor: Arc<Extractor>, clock: Arc<dyn Clock>) -> Self {
        MemoryStore::with(Arc::new(FhirVocabulary::new(definitions, extractor)), clock)
    }

    /// An empty store of another vocabulary.
    pub fn with(vocabulary: Arc<dyn Vocabulary>, clock: Arc<dyn Clock>) -> Self {
        MemoryStore { vocabulary, clock, logs: RwLock::default(), items: RwLock::default(), hashes: RwLock::default() }
    }

    /// Appends records to an audit trail.
    fn append(&self, logs: &mut HashMap<TenantId, Log>, tenant: TenantId, records: Vec<AuditRecord>) {
        let mut all = self.hashes.write();
        let hashes = all.entry(tenant).or_default();
        let log = logs.entry(tenant.trail()).or_default();
        for record in records {
            let last_updated = log.last().map_or(Timestamp(i64::MIN), |e| e.version.last_updated);
            let head = Head {
                number: log.len() as u64,
                hash: hashes.last().copied().unwrap_or(Head::NONE.hash),
                last_updated,
            };
            let next = head.next(tenant, self.clock.now(), &record.digest());
            let Some(id) = ResourceId::new(&next.number.to_string()) else { continue };
            let terms = self.terms(&record, &id, next.last_updated);
            let version = Version {
                number: next.number,
                kind: record.kind,
                id,
                version: 1,
                last_updated: next.last_updated,
                method: Method::Create,
                newest: true,
                body: Some(record.body.0),
            };
            hashes.push(next.hash);
            Arc::make_mut(log).push(Arc::new(Entry { version, terms, commit: next.number }));
        }
    }

    /// What a record of an audit trail is found by.
    fn terms(&self, record: &AuditRecord, id: &ResourceId, updated: Timestamp) -> Terms {
        self.found(record.kind, id, 1, updated, &record.body.0)
    }

    /// What a stored body is found by now.
    fn found(&self, kind: TypeId, id: &ResourceId, version: u64, updated: Timestamp, body: &[u8]) -> Terms {
        let mut text = Vec::new();
        Body::write_resource(body, self.vocabulary.name(kind), id.as_str(), version, updated, &mut text);
        let read = Document::parse(&text, &Limits::NONE);
        let mut terms = read.map_or_else(|_| Terms::default(), |d| self.vocabulary.extract(kind, d.root()));
        self.vocabulary.stamp(&mut terms, kind, id, updated);
        terms
    }

    fn view(&self, tenant: TenantId, position: Option<u64>) -> Result<View, StoreError> {
        let log = self.logs.read().get(&tenant).cloned().unwrap_or_default();
        let newest = log.len() as u64;
        let position = position.unwrap_or(newest);
        if position > newest {
            return Err(StoreError::UnknownPosition);
        }
        Ok(View::new(log, position, self.vocabulary.clone()))
    }
}

/// The versions up to a position, and which of them are the newest of their resource.
struct View {
    log: Log,
    position: u64,
    newest: HashMap<(TypeId, ResourceId), Arc<Entry>>,
    vocabulary: Arc<dyn Vocabulary>,
}

impl View {
    fn new(log: Log, position: u64, vocabulary: Arc<dyn Vocabulary>) -> View {
        let mut newest = HashMap::new();
        for entry in log.iter().take(position as usize) {
            newest.insert((entry.version.kind, entry.version.id.clone()), entry.clone());
        }
        View { log, position, newest, vocabulary }
    }

    fn entries(&self) -> &[Arc<Entry>] {
        &self.log[..self.position as usize]
    }

    fn newest(&self, kind: TypeId, id: &ResourceId) -> Option<&Arc<Entry>> {
        self.newest.get(&(kind, id.clone()))
    }

    fn is_newest(&self, entry: &Entry) -> bool {
        self.newest(entry.version.kind, &entry.version.id).is_some_and(|n| n.version.number == entry.version.number)
    }

    /// The current resources of a type, in order of their number.
    fn current(&self, kind: TypeId) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries().iter().filter(move |e| e.version.kind == kind && !e.version.is_deleted() && self.is_newest(e))
    }

    fn row(&self, entry: &Entry) -> Version {
        Version { newest: self.is_newest(entry), ..entry.version.clone() }
    }

    fn holds(&self, guard: &Guard) -> bool {
        if guard.condition.joins() {
            return self.position <= guard.as_of;
        }
        !self
            .current(guard.kind)
            .filter(|e| e.version.number > guard.as_of)
            .any(|e| guard.condition.matches(guard.kind, &e.terms, self))
    }

    fn expected(&self, write: &Write) -> Result<(), Option<u64>> {
        let newest = self.newest(write.kind, &write.id).map(|e| &e.version);
        let holds = match write.expect {
            Expect::Any => true,
            Expect::Absent => newest.is_none(),
            Expect::Version(version) => newest.is_some_and(|n| n.version == version && !n.is_deleted()),
            Expect::Newest(version) => newest.is_some_and(|n| n.version == version),
        };
        if holds { Ok(()) } else { Err(newest.map(|n| n.version)) }
    }
}

impl Related for View {
    fn referred(&self, terms: &Terms, parameter: u16, targets: &[TypeId]) -> Vec<Terms> {
        terms
            .as_slice()
            .iter()
            .filter(|t| t.parameter() == parameter)
            .filter_map(|t| self.vocabulary.target_of(t))
            .filter(|(kind, _)| targets.contains(kind))
            .filter_map(|(kind, id)| self.newest(kind, &ResourceId::new(id)?))
            .filter(|e| !e.version.is_deleted())
            .map(|e| e.terms.clone())
            .collect()
    }

    fn referring(&self, kind: TypeId, terms: &Terms, source: TypeId, parameter: u16) -> Vec<Terms> {
        let Some(id) = terms.as_slice().iter().find_map(|t| self.vocabulary.id_of(t)) else { return Vec::new() };
        let refers =
            |t: &crate::index::Term| t.parameter() == parameter && self.vocabulary.target_of(t) == Some((kind, id));
        self.current(source).filter(|e| e.terms.as_slice().iter().any(refers)).map(|e| e.terms.clone()).collect()
    }
}

/// The part of a term that a sort compares.
fn sort_key<'t>(sort: &Sort, terms: &'t Terms) -> Option<&'t [u8]> {
    let keys = terms.range(&sort.from, &sort.to).iter().map(|t| t.0.get(sort.skip..).unwrap_or_default());
    if sort.descending { keys.max() } else { keys.min() }
}

fn in_order(sorts: &[Sort], a: &Entry, b: &Entry) -> Ordering {
    for sort in sorts {
        let order = match (sort_key(sort, &a.terms), sort_key(sort, &b.terms)) {
            (Some(a), Some(b)) if sort.descending => b.cmp(a),
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        if order.is_ne() {
            return order;
        }
    }
    a.version.number.cmp(&b.version.number)
}

#[async_trait]
impl Snapshot for View {
    fn position(&self) -> u64 {
        self.position
    }

    async fn read(&self, kind: TypeId, id: &ResourceId) -> Result<Option<Version>, StoreError> {
        Ok(self.newest(kind, id).map(|e| self.row(e)))
    }

    async fn version(&self, kind: TypeId, id: &ResourceId, version: u64) -> Result<Option<Version>, StoreError> {
        let wanted = |v: &Version| v.kind == kind && v.id == *id && v.version == version;
        Ok(self.entries().iter().find(|e| wanted(&e.version)).map(|e| self.row(e)))
    }

    async fn search(&self, query: &Query) -> Result<Page, StoreError> {
        let mut kinds = query.kinds.clone();
        kinds.sort();
        kinds.dedup();
        let mut found = Vec::new();
        for kind in &kinds {
            for entry in self.current(*kind) {
                query.budget.spend(1)?;
                if query.condition.matches(*kind, &entry.terms, self) {
                    found.push(entry);
                }
            }
        }
        let total = query.total.then_some(found.len() as u64);
        found.retain(|e| query.after.is_none_or(|after| e.version.number > after));
        found.sort_by(|a, b| in_order(&query.sort, a, b));
        let rest = found.get(query.skip as usize..).unwrap_or_default();
        let rows = rest.iter().take(query.limit).map(|e| self.row(e)).collect();
        Ok(Page { rows, total, more: rest.len() > query.limit })
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page, StoreError> {
        query.budget.check()?;
        let of_scope = |v: &Version| match &query.scope {
            HistoryScope::Instance(kind, id) => v.kind == *kind && v.id == *id,
            HistoryScope::Type(kind) => v.kind == *kind,
            HistoryScope::System => true,
        };
        let successor = |v: &Version| {
            self.entries().iter().map(|e| &e.version).find(|n| n.number > v.number && n.kind == v.kind && n.id == v.id)
        };
        let was_current = |v: &Version, (from, to): (Timestamp, Timestamp)| {
            let end = successor(v).map_or(to, |n| n.last_updated.min(to));
            v.last_updated.max(from) < end
        };
        let mut found: Vec<_> = self
            .entries()
            .iter()
            .filter(|e| of_scope(&e.version))
            .filter(|e| query.since.is_none_or(|since| e.version.last_updated >= since))
            .filter(|e| query.current_during.is_none_or(|during| was_current(&e.version, during)))
            .collect();
        let total = query.total.then_some(found.len() as u64);
        found.retain(|e| query.place.holds(e.version.number));
        let more = found.len() > query.limit;
        match query.place {
            Place::Above(_) => found.truncate(query.limit),
            Place::Newest | Place::Below(_) => drop(found.drain(..found.len().saturating_sub(query.limit))),
        }
        Ok(Page { rows: found.iter().rev().map(|e| self.row(e)).collect(), total, more })
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn snapshot(&self, tenant: TenantId) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.view(tenant, None)?))
    }

    async fn snapshot_at(&self, tenant: TenantId, position: u64) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(self.view(tenant, Some(position))?))
    }

    async fn commit(&self, tenant: TenantId, transaction: Transaction) -> Result<Vec<Committed>, StoreError> {
        transaction.check_shape(tenant)?;
        let mut held = self.logs.write();
        let logs = &mut *held;
        let log = logs.entry(tenant).or_default();
        let view = View::new(log.clone(), log.len() as u64, self.vocabulary.clone());
        if let Some(failed) = transaction.guards.iter().position(|g| !view.holds(g)) {
            return Err(StoreError::GuardFailed(failed));
        }
        for (write, w) in transaction.writes.iter().enumerate() {
            view.expected(w).map_err(|current| StoreError::VersionConflict { write, current })?;
        }
        let mut all = self.items.write();
        let items = all.entry(tenant).or_default();
        for (index, write) in transaction.items.iter().enumerate() {
            let found = items.get(&(write.collection.to_owned(), write.key.clone()));
            let found = found.filter(|i| i.is_alive(self.clock.now()));
            if !item::fulfilled(write.expect, found) {
                return Err(StoreError::ItemConflict { item: index, current: found.map(|i| i.revision) });
            }
        }
        for write in transaction.items {
            let key = (write.collection.to_owned(), write.key.clone());
            let revision = items.get(&key).map_or(0, |i| i.revision) + 1;
            match write.value {
                Some(value) => {
                    let item = Item { key: write.key, revision, value, expires: write.expires };
                    items.insert(key, item);
                }
                None => {
                    items.remove(&key);
                }
            }
        }
        let previous = log.last().map_or(0, |e| e.version.last_updated.0 + 1);
        let now = Timestamp(self.clock.now().0.max(previous));
        let commit = log.len() as u64 + 1;
        let mut done = Vec::new();
        for write in transaction.writes {
            let before = view.newest(write.kind, &write.id).map(|e| &e.version);
            let exists = before.is_some_and(|v| !v.is_deleted());
            let Some(version) = next(before, write.method, exists) else {
                done.push(Committed {
                    effect: Effect::Nothing,
                    version: before.map_or(0, |v| v.version),
                    last_updated: before.map_or(Timestamp(0), |v| v.last_updated),
                    number: before.map_or(0, |v| v.number),
                });
                continue;
            };
            let (body, mut terms) = match write.content {
                // They were found before a search parameter was added or changed.
                Some(content) if content.schema != self.vocabulary.schema() => {
                    let terms = self.found(write.kind, &write.id, version, now, &content.body.0);
                    (Some(content.body.0), terms)
                }
                Some(content) => (Some(content.body.0), content.terms),
                None => (None, Terms::default()),
            };
            if body.is_some() {
                self.vocabulary.stamp(&mut terms, write.kind, &write.id, now);
            }
            let number = log.len() as u64 + 1;
            let effect = match (&body, exists) {
                (None, _) => Effect::Deleted,
                (Some(_), true) => Effect::Updated,
                (Some(_), false) => Effect::Created,
            };
            done.push(Committed { effect, version, last_updated: now, number });
            let version = Version {
                number,
                kind: write.kind,
                id: write.id,
                version,
                last_updated: now,
                method: write.method,
                newest: true,
                body,
            };
            Arc::make_mut(log).push(Arc::new(Entry { version, terms, commit }));
        }
        self.append(logs, tenant, transaction.audit);
        Ok(done)
    }

    async fn item(&self, tenant: TenantId, collection: &'static str, key: &str) -> Result<Option<Item>, StoreError> {
        let (all, now) = (self.items.read(), self.clock.now());
        let found = all.get(&tenant).and_then(|items| items.get(&(collection.to_owned(), key.to_owned())));
        Ok(found.filter(|i| i.is_alive(now)).cloned())
    }

    async fn items(
        &self,
        tenant: TenantId,
        collection: &'static str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let (all, now) = (self.items.read(), self.clock.now());
        let own = all.get(&tenant).into_iter().flatten().filter(|((c, _), _)| c == collection);
        let later = own.filter(|((_, key), _)| after.is_none_or(|after| key.as_str() > after));
        Ok(later.map(|(_, item)| item).filter(|i| i.is_alive(now)).take(limit).cloned().collect())
    }

    async fn sweep_items(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        let (mut all, now) = (self.items.write(), self.clock.now());
        let Some(items) = all.get_mut(&tenant) else { return Ok(0) };
        let over: Vec<_> = items.iter().filter(|(_, i)| !i.is_alive(now)).map(|(k, _)| k.clone()).take(limit).collect();
        over.iter().for_each(|key| drop(items.remove(key)));
        Ok(over.len())
    }

    async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        let (logs, hashes) = (self.logs.read(), self.hashes.read());
        let last = logs.get(&tenant.trail()).and_then(|log| log.last());
        let hash = hashes.get(&tenant).and_then(|hashes| hashes.last());
        let (Some(last), Some(hash)) = (last, hash) else { return Ok(Head::NONE) };
        Ok(Head { number: last.version.number, hash: *hash, last_updated: last.version.last_updated })
    }

    async fn audit_links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        let (logs, hashes) = (self.logs.read(), self.hashes.read());
        let (Some(log), Some(hashes)) = (logs.get(&tenant.trail()), hashes.get(&tenant)) else { return Ok(Vec::new()) };
        let rows = log.iter().zip(hashes).skip(after as usize).take(limit);
        let link = |version: &Version, hash: &Hash| Link {
            number: version.number,
            content: Ok(LinkContent {
                last_updated: version.last_updated,
                id: version.id.clone(),
                body: version.body.clone().unwrap_or_default(),
                hash: *hash,
            }),
        };
        Ok(rows.map(|(entry, hash)| link(&entry.version, hash)).collect())
    }

    fn reindex(&self) -> Result<(), StoreError> {
        let mut logs = self.logs.write();
        for entry in logs.values_mut().flat_map(Arc::make_mut) {
            let version = &entry.version;
            if let Some(body) = &version.body {
                let terms = self.found(version.kind, &version.id, version.version, version.last_updated, body);
                *entry = Arc::new(Entry { version: version.clone(), terms, commit: entry.commit });
            }
        }
        Ok(())
    }

    async fn changes(&self, tenant: TenantId, after: u64, limit: usize) -> Result<ChangeLog, StoreError> {
        let view = self.view(tenant, None)?;
        if after > view.position {
            return Err(StoreError::UnknownPosition);
        }
        let mut log = ChangeLog { versions: Vec::new(), position: after };
        for entry in &view.entries()[after as usize..] {
            if log.versions.len() >= limit && entry.commit == entry.version.number {
                break;
            }
            log.versions.push(view.row(entry));
            log.position = entry.version.number;
        }
        Ok(log)
    }
}

/// The version id that a write makes; none for a delete of what is not there.
fn next(before: Option<&Version>, method: Method, exists: bool) -> Option<u64> {
    (method != Method::Delete || exists).then(|| before.map_or(0, |v| v.version) + 1)
}
