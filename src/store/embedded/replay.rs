//! Writing the truth as it was elsewhere: versions with their numbers and instants, records with their hashes, items
//! with their revisions. Goes through the writer's thread like every write, one durable LMDB transaction for each call.

use super::group::find_again;
use super::index::Indexed;
use super::record::{Header, Newest};
use super::truth::{Fault, Look, Writing, meta};
use super::writer::{Order, poisoned};
use super::{EmbeddedStore, Shared, closing, stopped};
use crate::base::TenantId;
use crate::index::Terms;
use crate::json::{Document, Limits};
use crate::store::raw::{not_next, not_next_of_resource};
use crate::store::{Body, Head, RawItem, RawTarget, RawVersion, Store, StoreError, Transaction};
use async_trait::async_trait;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;

/// Threads that extract and compress.
const THREADS: usize = 4;

/// What is to be replayed.
pub enum Replay {
    /// Versions of a log.
    Versions(TenantId, Vec<Prepared>),
    /// Items.
    Items(Vec<RawItem>),
    /// Items go: of a collection, or all but what says that this is an unfinished copy.
    Clear(Option<String>),
}

/// A version whose body is compressed and whose terms are known.
pub struct Prepared {
    raw: RawVersion,
    terms: Option<Terms>,
    /// The schema that they were found by.
    schema: u64,
    dictionary: u32,
    body: Vec<u8>,
}

/// Replays, with a larger map if need be. Called by the writer only.
pub fn replay(shared: &Shared, what: &Replay) -> Result<(), StoreError> {
    loop {
        if shared.poisoned.load(Ordering::Acquire) {
            return Err(poisoned());
        }
        let done = match what {
            Replay::Versions(log, versions) => put_versions(shared, *log, versions),
            Replay::Items(items) => put_items(shared, items).map(Ok),
            Replay::Clear(collection) => clear(shared, collection.as_deref()).map(Ok),
        };
        match shared.noted(done) {
            Ok(done) => return done,
            Err(Fault::MapFull) => shared.truth.grow()?,
            Err(fault) => return Err(fault.into()),
        }
    }
}

fn put_items(shared: &Shared, items: &[RawItem]) -> Result<(), Fault> {
    let mut writing = shared.truth.write()?;
    items.iter().try_for_each(|item| writing.put_raw_item(item))?;
    writing.commit()
}

fn clear(shared: &Shared, collection: Option<&str>) -> Result<(), Fault> {
    let keys = shared.truth.read().and_then(|reading| reading.item_keys(collection));
    let keys = keys.map_err(|e| Fault::Failed(e.to_string()))?;
    let mut writing = shared.truth.write()?;
    keys.iter().try_for_each(|key| writing.delete_item(key))?;
    writing.commit()
}

/// Why versions were not written: a fault of the engine, or (inside) one of the versions.
type Done = Result<Result<(), StoreError>, Fault>;

fn put_versions(shared: &Shared, log: TenantId, versions: &[Prepared]) -> Done {
    let index = shared.index.tenant(log);
    let next = match log.owner() {
        Some(owner) => shared.head(owner).map_err(|e| Fault::Failed(e.to_string()))?.number,
        None => index.position(),
    } + 1;
    let Some(last) = versions.last() else { return Ok(Ok(())) };
    if next + versions.len() as u64 >= u64::from(u32::MAX) {
        return Ok(Err(StoreError::TooLarge("a tenant has at most 4294967294 versions in this engine".into())));
    }
    let mut writing = shared.truth.write()?;
    let (mut indexed, mut new_types) = (Vec::with_capacity(versions.len()), Vec::new());
    for (expected, version) in (next..).zip(versions) {
        let raw = &version.raw;
        if raw.number != expected {
            return Ok(Err(not_next(log, raw, expected)));
        }
        let known = shared.types.stored(raw.kind);
        let made = || new_types.iter().position(|k| *k == raw.kind).map(|i| shared.types.len() + i as u16);
        let stored_type = match known.or_else(made) {
            Some(stored) => stored,
            None => {
                let stored = shared.types.len() + new_types.len() as u16;
                writing.put_meta(&meta::kind(stored), shared.vocabulary.name(raw.kind).as_bytes())?;
                new_types.push(raw.kind);
                stored
            }
        };
        let put = match log.is_trail() {
            true => put_record(&mut writing, log, stored_type, version)?,
            false => put_version(&mut writing, log, stored_type, version)?,
        };
        match put {
            Ok(previous) => indexed.push(Indexed {
                number: raw.number,
                kind: raw.kind,
                id: raw.id.clone(),
                previous,
                terms: version.terms.clone(),
                schema: version.schema,
            }),
            Err(error) => return Ok(Err(error)),
        }
    }
    let head =
        Head { number: last.raw.number, hash: last.raw.hash.unwrap_or_default(), last_updated: last.raw.last_updated };
    if let Some(owner) = log.owner() {
        writing.put_head(owner, &head)?;
    }
    writing.commit()?;
    new_types.into_iter().for_each(|kind| shared.types.add(kind));
    match log.owner() {
        // A trail is made findable when somebody looks.
        Some(owner) => shared.set_head(owner, head),
        None => {
            let again = |version: &mut Indexed| find_again(shared, log, version);
            index.add_and_publish(&*shared.vocabulary, &mut indexed, last.raw.number, again);
            shared.keeper.look_after(log, &index);
        }
    }
    Ok(Ok(()))
}

fn header(version: &Prepared, stored_type: u16, previous: Option<u64>, jump: (u64, u64)) -> Header {
    let RawVersion { number, commit, id, version: counted, last_updated, method, .. } = version.raw.clone();
    let dictionary = version.dictionary;
    Header { number, commit, stored_type, version: counted, last_updated, method, previous, jump, dictionary, id }
}

fn put_record(
    writing: &mut Writing<'_>,
    log: TenantId,
    stored_type: u16,
    version: &Prepared,
) -> Result<Result<Option<u64>, StoreError>, Fault> {
    let header = header(version, stored_type, None, (version.raw.number, 1));
    let Some(hash) = &version.raw.hash else {
        return Ok(Err(StoreError::Broken(format!("record {} of an audit trail has no hash", header.number))));
    };
    writing.put_record(log, &header, hash, &version.body)?;
    Ok(Ok(None))
}

/// Puts a version; gives the number of the one before it.
fn put_version(
    writing: &mut Writing<'_>,
    log: TenantId,
    stored_type: u16,
    version: &Prepared,
) -> Result<Result<Option<u64>, StoreError>, Fault> {
    let raw = &version.raw;
    let before = match look_back(writing, log, stored_type, raw) {
        Ok(before) => before,
        Err(error) => return Ok(Err(error)),
    };
    let (newest, jump) = before.map_or((None, None), |(newest, jump)| (Some(newest), Some(jump)));
    let previous = newest.map(|n| n.number);
    let deleted_twice = raw.body.is_none() && newest.is_none_or(|n| n.deleted);
    if raw.version != newest.map_or(0, |n| n.version) + 1 || deleted_twice {
        return Ok(Err(not_next_of_resource(log, raw, newest.map_or(0, |n| n.version))));
    }
    let header = header(version, stored_type, previous, jump.unwrap_or((raw.number, raw.version)));
    writing.put_version(log, &header, &version.body)?;
    Ok(Ok(previous))
}

/// The version before one of the same resource, and where that one jumps to.
type Before = (Newest, (u64, u64));

/// The newest version of the resource of a version.
fn look_back(
    writing: &Writing<'_>,
    log: TenantId,
    stored_type: u16,
    raw: &RawVersion,
) -> Result<Option<Before>, StoreError> {
    let Some(newest) = writing.newest(log, stored_type, raw.id.as_str())? else { return Ok(None) };
    let header = writing.version(log, newest.number)?.0;
    Ok(Some((newest, super::group::jump(writing, log, &header)?)))
}

impl EmbeddedStore {
    async fn order(&self, what: Replay) -> Result<(), StoreError> {
        let queue = self.queue.as_ref().ok_or_else(closing)?;
        let (answer, result) = oneshot::channel();
        queue.send(Order::Replay(what, answer)).await.map_err(|_| closing())?;
        result.await.map_err(|_| stopped())?
    }

    fn prepare_raw(&self, log: TenantId, mut raw: RawVersion) -> Result<Prepared, StoreError> {
        let Some(body) = raw.body.take() else {
            return Ok(Prepared { raw, terms: None, schema: 0, dictionary: 0, body: Vec::new() });
        };
        // Those of trails are found when somebody looks.
        let schema = self.shared.vocabulary.schema();
        let terms = if log.is_trail() { None } else { Some(self.raw_terms(log, &raw, &body)?) };
        let (dictionary, packed) = self.compress(raw.kind, &body)?;
        // Whether there is one is all that is asked of it from here on.
        raw.body = Some(Vec::new());
        Ok(Prepared { raw, terms, schema, dictionary, body: packed })
    }

    fn raw_terms(&self, log: TenantId, raw: &RawVersion, body: &[u8]) -> Result<Terms, StoreError> {
        let mut text = Vec::new();
        let vocabulary = &*self.shared.vocabulary;
        let name = vocabulary.name(raw.kind);
        Body::write_resource(body, name, raw.id.as_str(), raw.version, raw.last_updated, &mut text);
        let wrong = |e| StoreError::Broken(format!("version {} of log {}: {e}", raw.number, log.0));
        let document = Document::parse(&text, &Limits::NONE).map_err(wrong)?;
        let mut terms = vocabulary.extract(raw.kind, document.root());
        vocabulary.stamp(&mut terms, raw.kind, &raw.id, raw.last_updated);
        Ok(terms)
    }
}

#[async_trait]
impl RawTarget for EmbeddedStore {
    async fn replay(&self, log: TenantId, versions: Vec<RawVersion>) -> Result<(), StoreError> {
        let size = versions.len().div_ceil(THREADS).max(1);
        let mut rest = versions;
        let mut chunks = Vec::new();
        while !rest.is_empty() {
            let later = rest.split_off(size.min(rest.len()));
            chunks.push(std::mem::replace(&mut rest, later));
        }
        let prepare = |chunk: Vec<RawVersion>| -> Result<Vec<Prepared>, StoreError> {
            chunk.into_iter().map(|raw| self.prepare_raw(log, raw)).collect()
        };
        let prepared = std::thread::scope(|scope| -> Result<Vec<Prepared>, StoreError> {
            let threads: Vec<_> = chunks.into_iter().map(|chunk| scope.spawn(|| prepare(chunk))).collect();
            let mut all = Vec::new();
            for thread in threads {
                all.extend(thread.join().map_err(|_| StoreError::Broken("a thread that extracts panicked".into()))??);
            }
            Ok(all)
        })?;
        self.order(Replay::Versions(log, prepared)).await
    }

    async fn replay_items(&self, items: Vec<RawItem>) -> Result<(), StoreError> {
        self.order(Replay::Items(items)).await
    }

    async fn clear_items(&self, collection: Option<&str>) -> Result<(), StoreError> {
        self.order(Replay::Clear(collection.map(str::to_owned))).await
    }

    async fn finish(&self, last: Transaction) -> Result<(), StoreError> {
        self.commit(TenantId::default(), last).await.map(drop)
    }
}
