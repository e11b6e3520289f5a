//! The raw door on MongoDB: the database read as of one moment, and versions, records and items written as they were
//! elsewhere. A moment is a transaction with read concern snapshot that reads the counters and all items (so that they
//! have to be read within the 60 s that a transaction may take); versions are read afterwards, as logs only grow.

use super::database::{Collections, is_transient, is_unknown, transaction_options};
use super::document::{CURRENT, NewVersion, between, name_of, numbered, pack, version_of};
use super::items::{item_of, key_of};
use super::lead::{Mark, fields, has_too_many};
use super::terms::Found;
use super::trail::{binary, hash_of};
use super::{MongoStore, Shared};
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::store::raw::{not_next, not_next_of_resource};
use crate::store::{
    RawItem, RawStore, RawTarget, RawVersion, Still, Store, StoreError, Taker, Transaction, UNFINISHED,
};
use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::error::Error;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Versions that are read at once, at most.
const BATCH: i64 = 1000;
/// Bytes of bodies after which a batch ends, as they are or to be written.
const BYTES: usize = 8 << 20;
/// Documents of one command.
const CHUNK: usize = 500;
/// How long a batch, or the end, is tried: longer than the database keeps the transaction of a process that was killed,
/// so that the same command goes on right after that.
const PATIENCE: Duration = Duration::from_secs(90);
/// After so long it is said what is waited for.
const QUIET: Duration = Duration::from_secs(5);

/// A document as a version with what only the raw door asks for.
fn raw_of(shared: &Shared, found: &Document) -> Result<RawVersion, StoreError> {
    let read = version_of(found, &*shared.vocabulary, u64::MAX >> 1)?;
    let commit = super::document::Head::of(found)?.commit;
    let crate::store::Version { number, kind, id, version, last_updated, method, body, .. } = read;
    Ok(RawVersion { number, commit, kind, id, version, last_updated, method, body, hash: hash_of(found) })
}

impl Shared {
    /// Reads counters and items in one transaction and sends them.
    async fn send_still(&self, parts: &mpsc::Sender<Still>) -> Result<(), StoreError> {
        let mut session = self.client.start_session().await?;
        session.start_transaction().with_options(transaction_options()).await?;
        let gone = |_| StoreError::Unavailable("nobody takes what is read".into());
        let mut ends = Vec::new();
        let mut rows = self.tenants.find(doc! {}).sort(doc! { "_id": 1 }).session(&mut session).await?;
        while let Some(counter) = rows.next(&mut session).await {
            let counter = counter?;
            let tenant = counter.get_i64("_id").ok().and_then(|t| u32::try_from(t).ok());
            let number = counter.get_i64("n").unwrap_or(0);
            if let Some(tenant) = tenant.filter(|_| number > 0) {
                ends.push((TenantId(tenant), number as u64));
            }
        }
        for (tenant, number) in ends {
            let last = self
                .versions
                .find_one(numbered(tenant, number))
                .projection(doc! { "x": 0 })
                .session(&mut session)
                .await?;
            let last = last.ok_or_else(|| missing(tenant, number))?;
            parts.send(Still::End(tenant, raw_of(self, &last)?)).await.map_err(gone)?;
        }
        let mut rows = self.items.find(doc! {}).session(&mut session).await?;
        while let Some(found) = rows.next(&mut session).await {
            let found = found?;
            let tenant = found.get_i64("t").ok().and_then(|t| u32::try_from(t).ok());
            let (Some(tenant), Ok(collection)) = (tenant, found.get_str("c")) else {
                return Err(super::document::damaged(&found));
            };
            let (tenant, collection) = (TenantId(tenant), collection.to_owned());
            parts.send(Still::Item(RawItem { tenant, collection, item: item_of(&found)? })).await.map_err(gone)?;
        }
        drop(rows);
        // That a majority has what was read is known once it is committed.
        session.commit_transaction().await?;
        Ok(())
    }

    async fn read_raw(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError> {
        let find = self.versions.find(between(log, after, up_to)).sort(doc! { "_id": 1 }).limit(BATCH);
        let mut rows = find.projection(doc! { "x": 0 }).await?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        while bytes < BYTES
            && let Some(row) = rows.try_next().await?
        {
            let version = raw_of(self, &row)?;
            let expected = after + found.len() as u64 + 1;
            if version.number != expected {
                return Err(missing(log, expected));
            }
            bytes += version.body.as_ref().map_or(0, Vec::len);
            found.push(version);
        }
        if found.is_empty() && after < up_to {
            return Err(missing(log, after + 1));
        }
        Ok(found)
    }

    /// Terms and document of a version.
    fn raw_document(&self, log: TenantId, raw: &RawVersion, attempt: &str) -> Result<Document, StoreError> {
        let packed = match &raw.body {
            Some(body) => Some((pack(body)?, self.raw_terms(log, raw, body)?)),
            None => None,
        };
        let version = NewVersion {
            tenant: log,
            number: raw.number,
            commit: raw.commit,
            kind: self.vocabulary.name(raw.kind),
            id: &raw.id,
            version: raw.version,
            last_updated: raw.last_updated,
            method: raw.method,
            content: packed.as_ref().map(|(body, terms)| (&body[..], terms)),
            attempt,
        };
        let mut document = version.document();
        if let Some((_, terms)) = packed.as_ref().filter(|_| !log.is_trail()) {
            document.extend(fields(self.vocabulary.leads(raw.kind), terms));
        }
        if let Some(hash) = &raw.hash {
            document.insert("h", binary(hash));
        }
        Ok(document)
    }

    fn raw_terms(&self, log: TenantId, raw: &RawVersion, body: &[u8]) -> Result<Terms, StoreError> {
        let RawVersion { kind, id, version, last_updated, .. } = raw;
        let of = Found { kind: *kind, id, version: *version, last_updated: *last_updated, body };
        match self.found(&of) {
            Ok((terms, _)) => Ok(terms),
            // A record that cannot be read is found by its number still, as where it comes from.
            Err(_) if log.is_trail() => Ok(self.stamped(raw.kind, &raw.id, raw.last_updated)),
            Err(error) => Err(StoreError::Broken(format!("version {} of log {}: {error}", raw.number, log.0))),
        }
    }

    /// Replays a batch, again where the database asks for that.
    async fn replay_batch(&self, log: TenantId, batch: &[RawVersion]) -> Result<(), StoreError> {
        let attempt = uuid::Uuid::new_v4().simple().to_string();
        let documents = batch.iter().map(|raw| self.raw_document(log, raw, &attempt)).collect::<Result<Vec<_>, _>>()?;
        let mut waiting = Waiting::begin();
        loop {
            let error = match self.replay_once(log, batch, documents.clone()).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if let Some(own) = error.get_custom::<StoreError>() {
                return Err(own.clone());
            }
            if !(is_transient(&error) || is_unknown(&error)) || !waiting.goes_on() {
                return Err(error.into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            // It may have been committed though the answer was lost.
            if let Some(last) = batch.last()
                && self.position(log).await? == last.number
                && let Some(found) = self.versions.find_one(numbered(log, last.number)).await?
                && found.get_str("w").is_ok_and(|written| written == attempt)
            {
                return Ok(());
            }
        }
    }

    async fn replay_once(&self, log: TenantId, batch: &[RawVersion], documents: Vec<Document>) -> Result<(), Error> {
        let mut session = self.client.start_session().await?;
        session.start_transaction().with_options(transaction_options()).await?;
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else { return Ok(()) };
        let mut set = doc! { "n": last.number as i64, "u": last.last_updated.0 };
        if !log.is_trail() {
            // They are found by what the vocabulary was taught before.
            set.insert("f", self.vocabulary.taught().0 as i64);
        }
        if let Some(hash) = &last.hash {
            set.insert("h", binary(hash));
        }
        let taken = self.tenants.find_one_and_update(doc! { "_id": i64::from(log.0) }, doc! { "$set": set });
        let before = taken.upsert(true).session(&mut session).await?;
        let position = before.as_ref().and_then(|c| c.get_i64("n").ok()).unwrap_or(0) as u64;
        let mark = Mark::of(before.as_ref());
        if first.number != position + 1 {
            return Err(Error::custom(not_next(log, first, position + 1)));
        }
        let (documents, updates) = match log.is_trail() {
            true => (documents, Vec::new()),
            false => self.supersede(log, batch, documents, &mut session).await?,
        };
        for some in documents.chunks(CHUNK) {
            self.versions.insert_many(some).session(&mut session).await?;
        }
        for some in updates.chunks(CHUNK) {
            let command = doc! { "update": "versions", "updates": some.to_vec() };
            let done = self.database.run_command(command).session(&mut session).await?;
            let count = done.get_i32("n").map(i64::from).or_else(|_| done.get_i64("n")).unwrap_or(-1);
            if done.contains_key("writeErrors") || count != some.len() as i64 {
                let why = format!("of {} superseded versions {count} were marked", some.len());
                return Err(Error::custom(StoreError::Broken(why)));
            }
        }
        if !log.is_trail() {
            let moved = mark.moved(position, last.number, documents.iter().any(has_too_many));
            let counter = doc! { "_id": i64::from(log.0) };
            self.tenants.update_one(counter, doc! { "$set": moved }).session(&mut session).await?;
        }
        session.commit_transaction().await
    }

    /// Marks what the versions of a batch supersede: those of the batch in their documents, others by the commands that
    /// it gives.
    async fn supersede(
        &self,
        log: TenantId,
        batch: &[RawVersion],
        mut documents: Vec<Document>,
        session: &mut ClientSession,
    ) -> Result<(Vec<Document>, Vec<Document>), Error> {
        let mut newest = self.newest_of(log, batch, session).await?;
        let mut updates = Vec::new();
        let first = batch.first().map_or(0, |raw| raw.number);
        for (index, raw) in batch.iter().enumerate() {
            if raw.number != first + index as u64 {
                return Err(Error::custom(not_next(log, raw, first + index as u64)));
            }
            let before = newest.insert((raw.kind, &raw.id), (raw.number, raw.version, raw.body.is_none()));
            let (version, deleted) = before.map_or((0, true), |(_, version, deleted)| (version, deleted));
            if raw.version != version + 1 || (raw.body.is_none() && deleted) {
                return Err(Error::custom(not_next_of_resource(log, raw, version)));
            }
            let Some((number, ..)) = before else { continue };
            let (by, at) = (raw.number as i64, raw.last_updated.0);
            match number.checked_sub(first).and_then(|at| documents.get_mut(at as usize)) {
                Some(document) => {
                    document.insert("s", by);
                    document.insert("e", at);
                }
                None => {
                    let query = numbered(log, number);
                    updates.push(doc! { "q": query, "u": { "$set": { "s": by, "e": at } } });
                }
            }
        }
        Ok((documents, updates))
    }

    /// Number, version id and whether it is a delete of the newest version of each resource of a batch.
    async fn newest_of<'b>(
        &self,
        log: TenantId,
        batch: &'b [RawVersion],
        session: &mut ClientSession,
    ) -> Result<HashMap<(TypeId, &'b ResourceId), (u64, u64, bool)>, Error> {
        let mut by_kind: HashMap<TypeId, Vec<&'b ResourceId>> = HashMap::new();
        // The first version of a resource has none before it.
        for raw in batch.iter().filter(|raw| raw.version > 1) {
            by_kind.entry(raw.kind).or_default().push(&raw.id);
        }
        let mut newest = HashMap::new();
        for (kind, mut ids) in by_kind {
            ids.sort();
            ids.dedup();
            for some in ids.chunks(200) {
                let names: Vec<&str> = some.iter().map(|id| id.as_str()).collect();
                let (tenant, name) = (i64::from(log.0), self.vocabulary.name(kind));
                let filter = doc! { "t": tenant, "k": name, "i": { "$in": names }, "s": CURRENT };
                let find = self.versions.find(filter).projection(super::document::Head::fields());
                let mut rows = find.session(&mut *session).await?;
                while let Some(found) = rows.next(session).await {
                    let found = found?;
                    let head = super::document::Head::of(&found).map_err(Error::custom)?;
                    let (_, id) = name_of(&found, &*self.vocabulary).map_err(Error::custom)?;
                    if let Some(id) = some.iter().find(|wanted| ***wanted == id) {
                        newest.insert((kind, *id), (head.number, head.version, head.deleted));
                    }
                }
            }
        }
        Ok(newest)
    }
}

impl Collections {
    /// Puts items as they are.
    async fn put_raw_items(&self, items: &[RawItem]) -> Result<(), StoreError> {
        for some in items.chunks(CHUNK) {
            let updates = some.iter().map(|RawItem { tenant, collection, item }| {
                let key = key_of(*tenant, collection, &item.key);
                let value = Binary { subtype: BinarySubtype::Generic, bytes: item.value.clone() };
                let mut document = doc! {
                    "_id": &key, "t": i64::from(tenant.0), "c": collection, "y": &item.key,
                    "r": item.revision as i64, "v": value,
                };
                if let Some(end) = item.expires {
                    document.insert("e", end.0);
                }
                Bson::Document(doc! { "q": { "_id": key }, "u": document, "upsert": true })
            });
            let concern = doc! { "w": "majority", "j": true };
            let command = doc! { "update": "items", "updates": updates.collect::<Vec<_>>(), "writeConcern": concern };
            let done = self.database.run_command(command).await?;
            if done.contains_key("writeErrors") || done.contains_key("writeConcernError") {
                return Err(StoreError::Broken(format!("items were not written: {done}")));
            }
        }
        Ok(())
    }
}

/// How long it has been tried, and whether that was said.
struct Waiting {
    began: Instant,
    said: bool,
}

impl Waiting {
    fn begin() -> Waiting {
        Waiting { began: Instant::now(), said: false }
    }

    /// Whether it is to be tried again; says once what is waited for.
    fn goes_on(&mut self) -> bool {
        if self.began.elapsed() > QUIET && !std::mem::replace(&mut self.said, true) {
            let most = PATIENCE.as_secs();
            tracing::warn!(
                "something else writes to this database: the transaction of a process that was killed is ended by the \
                 database within a minute; waiting for up to {most} s"
            );
        }
        self.began.elapsed() <= PATIENCE
    }
}

fn missing(log: TenantId, number: u64) -> StoreError {
    StoreError::Broken(format!("version {number} of log {} is missing", log.0))
}

#[async_trait]
impl RawStore for MongoStore {
    async fn still(&self, each: &mut Taker<'_>) -> Result<(), StoreError> {
        let (send, mut parts) = mpsc::channel(256);
        let shared: Arc<Shared> = self.shared.clone();
        let reading = self.shared.run(async move { shared.send_still(&send).await });
        // It has the receiver: where it ends early, the sender is told.
        let taking = async move {
            while let Some(part) = parts.recv().await {
                each(part)?;
            }
            Ok::<(), StoreError>(())
        };
        let (read, taken) = tokio::join!(reading, taking);
        taken.and(read)
    }

    async fn raw_versions(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError> {
        let shared = self.shared.clone();
        self.shared.run(async move { shared.read_raw(log, after, up_to).await }).await
    }
}

#[async_trait]
impl RawTarget for MongoStore {
    async fn replay(&self, log: TenantId, versions: Vec<RawVersion>) -> Result<(), StoreError> {
        // All or none, as a transaction is bounded only where each batch is one: batches that are larger are cut before.
        let bytes: usize = versions.iter().filter_map(|raw| raw.body.as_ref()).map(Vec::len).sum();
        if versions.len() as i64 > BATCH || bytes > 12 * BYTES {
            return Err(StoreError::TooLarge(super::database::TOO_LARGE.into()));
        }
        let shared = self.shared.clone();
        self.shared.run(async move { shared.replay_batch(log, &versions).await }).await
    }

    async fn replay_items(&self, items: Vec<RawItem>) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        self.shared.run(async move { shared.put_raw_items(&items).await }).await
    }

    async fn clear_items(&self, collection: Option<&str>) -> Result<(), StoreError> {
        let shared = self.shared.clone();
        let filter = match collection {
            Some(name) => doc! { "c": name },
            None => doc! { "c": { "$ne": UNFINISHED } },
        };
        let clear = async move {
            shared.items.delete_many(filter).await?;
            Ok(())
        };
        self.shared.run(clear).await
    }

    async fn finish(&self, last: Transaction) -> Result<(), StoreError> {
        let mut waiting = Waiting::begin();
        loop {
            match self.commit(TenantId::default(), last.clone()).await {
                // Nothing of it was written.
                Err(StoreError::Unavailable(_)) if waiting.goes_on() => {
                    self.shared.after(Duration::from_millis(500)).await;
                }
                done => return done.map(drop),
            }
        }
    }
}
