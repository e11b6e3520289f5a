//! Transactions that share one transaction of the database: each is checked against everything before it, those of the
//! group included, and all of it is written at the end. The counter of the tenant is taken first, so that of several
//! processes only one at a time numbers versions, and a guard that holds then holds at the commit.

use super::Shared;
use super::document::{CURRENT, Head, NewVersion, is_older, name_of, numbered, terms_of, unpack};
use super::filter::{Settled, led};
use super::lead::{Mark, fields, has_too_many};
use super::notices::increments;
use super::queue::{Job, Prepared};
use super::terms::{Found, TRIES};
use super::trail;
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use crate::index::{Alone, Condition, Terms};
use crate::store::{Committed, Effect, Expect, Guard, Item, ItemExpect, ItemWrite, Method, StoreError, item};
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::Error;
use std::collections::HashMap;
use std::time::Duration;

/// The counter of a tenant remembers the last attempt of each process; of so many, those of long ago are forgotten.
const REMEMBERED: usize = 32;
/// After this nobody asks for the outcome of an attempt any more.
const FORGOTTEN: Duration = Duration::from_secs(3600);
/// Whoever has committed within this may be about to do it again, or has tried since: longer than anybody tries.
const LATELY: Duration = Duration::from_secs(60);

/// Versions that are written by one command at most.
const CHUNK: usize = 200;

/// A group that was begun.
pub struct Opened<'g> {
    /// It.
    pub group: Group<'g>,
    /// The last attempt of this process that was committed.
    pub last: Option<String>,
    /// Whether other processes write, too.
    pub crowded: bool,
}

/// The open group.
pub struct Group<'g> {
    shared: &'g Shared,
    tenant: TenantId,
    attempt: &'g str,
    position: u64,
    /// Where the group begins, and how far versions have what leads to them.
    begun: (u64, Mark),
    /// Whether one of the group has too many digests.
    crowded: bool,
    last_updated: Timestamp,
    /// The newest version of each resource that was asked for, as it is with what the group has added.
    newest: HashMap<(TypeId, ResourceId), Option<Head>>,
    /// The terms of what the group has added and not superseded.
    added: HashMap<(TypeId, ResourceId), (u64, Option<Terms>)>,
    versions: Vec<Document>,
    /// Numbers that are superseded: by which, and when.
    superseded: Vec<(u64, u64, Timestamp)>,
    /// Items as they are with what the group has written.
    items: HashMap<(&'static str, String), Option<Item>>,
    item_writes: Vec<(ItemWrite, u64)>,
    /// Where the audit trail ends with what the group appends, and that.
    trail: Option<trail::Head>,
    records: Vec<Document>,
    /// Processes whose last attempt is forgotten.
    stale: Vec<String>,
    /// The schema by which what is written has to be found.
    schema: u64,
    /// What the counter is to say of the list that everything is indexed by, if that is new.
    fence: Option<u64>,
    /// Whether that is to be written even if nothing else is.
    fenced: bool,
}

impl<'g> Group<'g> {
    /// Takes the counter of the tenant.
    pub async fn open(
        shared: &'g Shared,
        tenant: TenantId,
        attempt: &'g str,
        session: &mut ClientSession,
    ) -> Result<Opened<'g>, Error> {
        let remember = format!("p.{}", shared.process);
        let counter = shared
            .tenants
            .find_one_and_update(doc! { "_id": i64::from(tenant.0) }, doc! { "$set": { remember: attempt } })
            .upsert(true)
            .session(&mut *session)
            .await?;
        let (position, last_updated) = match &counter {
            None => (0, Timestamp(i64::MIN)),
            Some(counter) => {
                (counter.get_i64("n").unwrap_or(0) as u64, Timestamp(counter.get_i64("u").unwrap_or(i64::MIN)))
            }
        };
        // Where nobody has written before, the fence is that of the tenant 0, which is taken as well: otherwise a list
        // that is stored in this moment would be missed, as would this tenant by those who index again by it.
        let first = counter.is_none() && tenant != TenantId::default();
        let fence = match first {
            true => shared.take_fence(session).await?,
            false => counter.as_ref().and_then(|c| c.get_i64("f").ok()).unwrap_or(0) as u64,
        };
        let schema = shared.fit(fence, session).await?;
        let attempts = counter.as_ref().and_then(|c| c.get_document("p").ok());
        let last = attempts.and_then(|p| p.get_str(&shared.process).ok()).map(str::to_owned);
        let stale = match attempts {
            Some(attempts) if attempts.len() > REMEMBERED => {
                let is_stale = |attempt: &Bson| attempt.as_str().is_none_or(|a| is_older(a, FORGOTTEN));
                let stale = attempts.iter().filter(|(process, a)| **process != shared.process && is_stale(a));
                stale.map(|(process, _)| process.clone()).collect()
            }
            _ => Vec::new(),
        };
        let group = Group {
            shared,
            tenant,
            attempt,
            position,
            begun: (position, Mark::of(counter.as_ref())),
            crowded: false,
            last_updated,
            newest: HashMap::new(),
            added: HashMap::new(),
            versions: Vec::new(),
            superseded: Vec::new(),
            items: HashMap::new(),
            item_writes: Vec::new(),
            trail: None,
            records: Vec::new(),
            stale,
            schema,
            fence: Some(fence).filter(|fence| first && *fence != 0),
            fenced: false,
        };
        let others = attempts.into_iter().flatten().filter(|(process, _)| **process != shared.process);
        let crowded = others.filter_map(|(_, attempt)| attempt.as_str()).any(|attempt| !is_older(attempt, LATELY));
        Ok(Opened { group, last, crowded })
    }

    /// Adds a transaction, or says why it may not be. An error is one of the whole group.
    pub async fn add(
        &mut self,
        job: &Job,
        session: &mut ClientSession,
    ) -> Result<Result<Vec<Committed>, StoreError>, Error> {
        for (index, guard) in job.guards.iter().enumerate() {
            if !self.holds(guard, session).await? {
                return Ok(Err(StoreError::GuardFailed(index)));
            }
        }
        self.read_newest(&job.writes, session).await?;
        for (write, prepared) in job.writes.iter().enumerate() {
            let newest = self.newest_of(prepared);
            if !fulfilled(prepared.expect, newest) {
                return Ok(Err(StoreError::VersionConflict { write, current: newest.map(|n| n.version) }));
            }
        }
        let mut revisions = Vec::with_capacity(job.items.len());
        for (index, write) in job.items.iter().enumerate() {
            match self.check_item(index, write, session).await? {
                Ok(revision) => revisions.push(revision),
                Err(error) => return Ok(Err(error)),
            }
        }
        // Every transaction has an instant of its own, later than all before, whatever the clock says.
        let now = Timestamp(self.shared.clock.now().0.max(self.last_updated.0.saturating_add(1)));
        let commit = self.position + 1;
        let mut found = Vec::with_capacity(job.writes.len());
        for prepared in &job.writes {
            found.push(self.terms(prepared, now, session).await?);
        }
        let done = job.writes.iter().zip(found).map(|(prepared, terms)| self.put(prepared, terms, commit, now));
        let done = done.collect();
        self.fence = job.fence.or(self.fence);
        self.fenced |= job.fence.is_some();
        for (write, revision) in job.items.iter().zip(revisions) {
            let (key, expires) = (write.key.clone(), write.expires);
            let made = write.value.clone().map(|value| Item { key, revision, value, expires });
            self.items.insert((write.collection, write.key.clone()), made);
            self.item_writes.push((write.clone(), revision));
        }
        for (record, body) in &job.audit {
            let before = match self.trail {
                Some(head) => head,
                None => self.shared.take_trail(self.tenant, self.attempt, session).await?,
            };
            let (document, head) = self.shared.link(self.tenant, record, body, &before, self.attempt)?;
            self.records.push(document);
            self.trail = Some(head);
        }
        Ok(Ok(done))
    }

    fn newest_of(&self, prepared: &Prepared) -> Option<&Head> {
        self.newest.get(&(prepared.kind, prepared.id.clone())).and_then(Option::as_ref)
    }

    /// Reads the newest versions of what will be written, as far as they are not known.
    async fn read_newest(&mut self, writes: &[Prepared], session: &mut ClientSession) -> Result<(), Error> {
        let mut wanted: Vec<(TypeId, ResourceId)> = Vec::new();
        for write in writes {
            let key = (write.kind, write.id.clone());
            if !self.newest.contains_key(&key) {
                self.newest.insert(key.clone(), None);
                wanted.push(key);
            }
        }
        for some in wanted.chunks(200) {
            let vocabulary = &*self.shared.vocabulary;
            let mut by_kind: HashMap<TypeId, Vec<&str>> = HashMap::new();
            for (kind, id) in some {
                by_kind.entry(*kind).or_default().push(id.as_str());
            }
            for (kind, ids) in by_kind {
                let tenant = i64::from(self.tenant.0);
                let lead = doc! { "t": tenant, "k": vocabulary.name(kind), "i": { "$in": ids } };
                let filter = led(lead, vec![doc! { "s": CURRENT }]);
                let find = self.shared.versions.find(filter).projection(Head::fields());
                let mut rows = find.session(&mut *session).await?;
                while let Some(found) = rows.next(session).await {
                    let found = found?;
                    let head = Head::of(&found).map_err(Error::custom)?;
                    self.newest.insert(name_of(&found, vocabulary).map_err(Error::custom)?, Some(head));
                }
            }
        }
        Ok(())
    }

    /// Whether nothing that was committed since the guard's search fulfils its condition.
    async fn holds(&self, guard: &Guard, session: &mut ClientSession) -> Result<bool, Error> {
        if self.position <= guard.as_of {
            return Ok(true);
        }
        if guard.condition.joins() {
            return Ok(false);
        }
        let of_group = self.added.iter().any(|((kind, _), (_, terms))| {
            *kind == guard.kind && terms.as_ref().is_some_and(|t| guard.condition.matches(*kind, t, &Alone))
        });
        if of_group {
            return Ok(false);
        }
        let settled = alone(&guard.condition);
        let filter = settled.filter(&*self.shared.vocabulary);
        // What came since is little, however common the criteria are.
        let lead = doc! {
            "t": i64::from(self.tenant.0),
            "k": self.shared.vocabulary.name(guard.kind),
            "n": { "$gt": guard.as_of as i64 },
        };
        let query = led(lead, vec![doc! { "s": CURRENT, "d": false }, filter.document]);
        let find = self.shared.versions.find(query).projection(doc! { "k": 1, "i": 1, "x": 1 });
        let mut rows = find.session(&mut *session).await?;
        while let Some(found) = rows.next(session).await {
            let found = found?;
            let (kind, id) = name_of(&found, &*self.shared.vocabulary).map_err(Error::custom)?;
            let terms = terms_of(&found).map_err(Error::custom)?;
            let superseded = self.added.contains_key(&(kind, id.clone()));
            if !superseded && settled.matches(kind, &id, &terms) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what an item's write expects is so; the revision that it makes.
    async fn check_item(
        &mut self,
        index: usize,
        write: &ItemWrite,
        session: &mut ClientSession,
    ) -> Result<Result<u64, StoreError>, Error> {
        let key = (write.collection, write.key.clone());
        if !self.items.contains_key(&key) {
            let stored = self.shared.stored_item(self.tenant, write.collection, &write.key, Some(session)).await?;
            self.items.insert(key.clone(), stored);
        }
        let stored = self.items.get(&key).and_then(Option::as_ref);
        let now = self.shared.clock.now();
        let found = stored.filter(|i| i.is_alive(now));
        if write.expect != ItemExpect::Any && !item::fulfilled(write.expect, found) {
            return Ok(Err(StoreError::ItemConflict { item: index, current: found.map(|i| i.revision) }));
        }
        Ok(Ok(stored.map_or(0, |i| i.revision) + 1))
    }

    /// What a write is found by: found again where that was done by another list of search parameters.
    async fn terms(
        &self,
        prepared: &Prepared,
        now: Timestamp,
        session: &mut ClientSession,
    ) -> Result<Option<Terms>, Error> {
        let Some((packed, terms)) = &prepared.content else { return Ok(None) };
        let (kind, id) = (prepared.kind, &prepared.id);
        if prepared.schema == self.schema {
            let mut terms = terms.clone();
            self.shared.vocabulary.stamp(&mut terms, kind, id, now);
            return Ok(Some(terms));
        }
        let broken = |why: &str| Error::custom(StoreError::Broken(format!("what is to be stored as {id}: {why}")));
        let body = unpack(packed).ok_or_else(|| broken("it cannot be decompressed"))?;
        for _ in 0..TRIES {
            let of = Found { kind, id, version: 1, last_updated: now, body: &body };
            let (terms, schema) = self.shared.found(&of).map_err(|error| broken(&error.to_string()))?;
            if schema == self.schema {
                return Ok(Some(terms));
            }
            // It was taught another list since the group was begun.
            self.shared.learn(Some(&mut *session)).await?;
        }
        Err(Error::custom(StoreError::Unavailable("the search parameters are being changed; try again".into())))
    }

    /// Adds one write.
    fn put(&mut self, prepared: &Prepared, terms: Option<Terms>, commit: u64, now: Timestamp) -> Committed {
        let newest = self.newest_of(prepared).cloned();
        let exists = newest.as_ref().is_some_and(|n| !n.deleted);
        let effect = match (&prepared.content, exists) {
            (Some(_), true) => Effect::Updated,
            (Some(_), false) => Effect::Created,
            (None, true) => Effect::Deleted,
            (None, false) => {
                let (number, version, last_updated) =
                    newest.map_or((0, 0, Timestamp(0)), |n| (n.number, n.version, n.last_updated));
                return Committed { effect: Effect::Nothing, version, last_updated, number };
            }
        };
        let number = self.position + 1;
        let version = newest.as_ref().map_or(0, |n| n.version) + 1;
        let content = prepared.content.as_ref().map(|(body, _)| &body[..]).zip(terms.as_ref());
        let new = NewVersion {
            tenant: self.tenant,
            number,
            commit,
            kind: self.shared.vocabulary.name(prepared.kind),
            id: &prepared.id,
            version,
            last_updated: now,
            method: prepared.method,
            content,
            attempt: self.attempt,
        };
        let mut document = new.document();
        if let Some(terms) = &terms {
            let fields = fields(self.shared.vocabulary.leads(prepared.kind), terms);
            self.crowded |= has_too_many(&fields);
            document.extend(fields);
        }
        self.versions.push(document);
        if let Some(newest) = &newest {
            self.superseded.push((newest.number, number, now));
        }
        let deleted = prepared.method == Method::Delete;
        let head = Head { number, commit, version, last_updated: now, deleted };
        let key = (prepared.kind, prepared.id.clone());
        self.newest.insert(key.clone(), Some(head));
        self.added.insert(key, (number, terms));
        self.position = number;
        self.last_updated = now;
        Committed { effect, version, last_updated: now, number }
    }

    /// Writes all of it; false if there is nothing to write.
    pub async fn write(self, session: &mut ClientSession) -> Result<bool, Error> {
        let nothing = self.versions.is_empty() && self.item_writes.is_empty() && self.records.is_empty();
        if nothing && !self.fenced {
            return Ok(false);
        }
        let mut versions = self.versions;
        let first = versions.first().and_then(|v| v.get_i64("n").ok()).unwrap_or(i64::MAX) as u64;
        let mut updates = Vec::new();
        for (number, by, at) in self.superseded {
            if number >= first {
                // A version of this group that another of the same group superseded.
                if let Some(version) = versions.get_mut((number - first) as usize) {
                    version.insert("s", by as i64);
                    version.insert("e", at.0);
                }
                continue;
            }
            let query = numbered(self.tenant, number);
            updates.push(doc! { "q": query, "u": { "$set": { "s": by as i64, "e": at.0 } } });
        }
        // In parts: what is broken off in the midst is ended as soon as its part is done.
        for some in versions.chunks(CHUNK) {
            self.shared.versions.insert_many(some).session(&mut *session).await?;
        }
        for some in updates.chunks(500) {
            let expected = some.len();
            let command = doc! { "update": "versions", "updates": some.to_vec() };
            let done = self.shared.database.run_command(command).session(&mut *session).await?;
            let count = done.get_i32("n").map(i64::from).or_else(|_| done.get_i64("n")).unwrap_or(-1);
            if done.contains_key("writeErrors") || count != expected as i64 {
                let why = StoreError::Broken(format!("of {expected} superseded versions {count} were marked"));
                return Err(Error::custom(why));
            }
        }
        for (write, revision) in &self.item_writes {
            self.shared.put_item(self.tenant, write, *revision, session).await?;
        }
        if let Some(head) = &self.trail {
            self.shared.versions.insert_many(&self.records).session(&mut *session).await?;
            self.shared.put_trail(self.tenant, head, session).await?;
        }
        let mut end = doc! { "n": self.position as i64, "u": self.last_updated.0 };
        if !versions.is_empty() {
            let (begun, mark) = self.begun;
            end.extend(mark.moved(begun, self.position, self.crowded));
        }
        if let Some(fence) = self.fence {
            end.insert("f", fence as i64);
        }
        let mut set = doc! { "$set": end };
        let collections = self.item_writes.iter().map(|(write, _)| write.collection);
        let grow = increments(collections, versions.iter().filter_map(|v| v.get_str("k").ok()));
        if !grow.is_empty() {
            set.insert("$inc", grow);
        }
        if !self.stale.is_empty() {
            let gone: Document = self.stale.iter().map(|process| (format!("p.{process}"), "".into())).collect();
            set.insert("$unset", gone);
        }
        self.shared.tenants.update_one(doc! { "_id": i64::from(self.tenant.0) }, set).session(session).await?;
        Ok(true)
    }
}

/// A condition without chains.
fn alone(condition: &Condition) -> Settled {
    match condition {
        Condition::Not(inner) => Settled::Not(Box::new(alone(inner))),
        Condition::And(all) => Settled::And(all.iter().map(alone).collect()),
        Condition::Or(any) => Settled::Or(any.iter().map(alone).collect()),
        plain => Settled::Plain(plain.clone()),
    }
}

fn fulfilled(expect: Expect, newest: Option<&Head>) -> bool {
    match expect {
        Expect::Any => true,
        Expect::Absent => newest.is_none(),
        Expect::Version(version) => newest.is_some_and(|n| n.version == version && !n.deleted),
        Expect::Newest(version) => newest.is_some_and(|n| n.version == version),
    }
}
