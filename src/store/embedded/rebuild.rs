//! The index made again from the truth, where no segment covers it: some threads read and extract, one adds in
//! order. A record that is damaged stops the start; which ones they are is the business of `check`.

use super::Shared;
use super::index::Indexed;
use super::keeper::Seal;
use super::record::Header;
use super::seal::seal;
use super::truth::damaged;
use crate::base::TenantId;
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::json::{Document, Limits};
use crate::store::{Body, StoreError};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

/// Versions that a thread takes at once.
const CHUNK: u64 = 256;

/// What is done about damaged records.
#[derive(Clone, Copy, PartialEq)]
pub enum Damage {
    /// The store is not opened.
    Refuse,
    /// They are left out, so that a check can tell all of them.
    LeaveOut,
}

/// Adds the versions of a tenant from one number up to and including another; has them sealed as they become many.
pub fn rebuild(
    shared: &Shared,
    tenant: TenantId,
    (from, to): (u64, u64),
    threads: usize,
    damage: Damage,
    progress: &mut dyn FnMut(u64),
) -> Result<(), StoreError> {
    let index = shared.index.tenant(tenant);
    let next_chunk = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel(threads * 4);
        for _ in 0..threads.max(1) {
            let send = send.clone();
            scope.spawn(|| {
                let send = send;
                loop {
                    let chunk = next_chunk.fetch_add(1, Ordering::Relaxed);
                    let first = from + chunk * CHUNK;
                    if first > to || stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let versions = read_chunk(shared, tenant, first, to.min(first + CHUNK - 1), damage);
                    if send.send((chunk, versions)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(send);
        // Chunks may come out of order; they are added in order.
        let mut early = BTreeMap::new();
        let mut expected = 0;
        for (chunk, versions) in receive {
            early.insert(chunk, versions.inspect_err(|_| stop.store(true, Ordering::Relaxed))?);
            while let Some(versions) = early.remove(&expected) {
                index.add(&*shared.vocabulary, &versions);
                progress(versions.len() as u64);
                expected += 1;
                let reached = to.min(from + expected * CHUNK - 1);
                if shared.keeper.is_due(&index, reached) {
                    let first = index.freeze(reached);
                    seal(shared, &Seal { tenant, from: first, to: reached, schema: shared.keeper.schema() });
                }
            }
        }
        Ok::<(), StoreError>(())
    })
}

/// Reads some versions and finds their terms.
pub fn read_chunk(
    shared: &Shared,
    tenant: TenantId,
    from: u64,
    to: u64,
    damage: Damage,
) -> Result<Vec<Indexed>, StoreError> {
    let reading = shared.truth.read()?;
    let mut found = Vec::with_capacity((to - from + 1) as usize);
    let mut text = Vec::new();
    let mut expected = from;
    for record in reading.records(tenant, from, to)? {
        let (number, record) = record?;
        if number != expected && damage == Damage::Refuse {
            break;
        }
        expected = number + 1;
        match read_one(shared, tenant, number, record, &mut text) {
            Ok(version) => found.push(version),
            Err(_) if damage == Damage::LeaveOut => {}
            Err(error) => return Err(error),
        }
    }
    if expected != to + 1 && damage == Damage::Refuse {
        return Err(damaged(tenant, expected, "is missing"));
    }
    Ok(found)
}

fn read_one(
    shared: &Shared,
    tenant: TenantId,
    number: u64,
    record: &[u8],
    text: &mut Vec<u8>,
) -> Result<Indexed, StoreError> {
    let (header, body) = Header::decode(tenant, number, record).ok_or_else(|| damaged(tenant, number, "is damaged"))?;
    let kind = shared.types.kind(header.stored_type)?;
    let schema = shared.vocabulary.schema();
    let terms = terms(shared, tenant, kind, &header, body, text)?;
    Ok(Indexed { number, kind, previous: header.previous, id: header.id, terms, schema })
}

/// The terms of a stored version, stamped; none for a delete.
pub fn terms(
    shared: &Shared,
    tenant: TenantId,
    kind: TypeId,
    header: &Header,
    body: &[u8],
    text: &mut Vec<u8>,
) -> Result<Option<Terms>, StoreError> {
    if header.is_deleted() {
        return Ok(None);
    }
    let wrong = |what: &dyn std::fmt::Display| damaged(tenant, header.number, &format!("is damaged: {what}"));
    let body = shared.body(tenant, header, body)?;
    text.clear();
    let name = shared.vocabulary.name(kind);
    Body::write_resource(&body, name, header.id.as_str(), header.version, header.last_updated, text);
    let document = Document::parse(text, &Limits::NONE).map_err(|e| wrong(&e))?;
    let mut terms = shared.vocabulary.extract(kind, document.root());
    shared.vocabulary.stamp(&mut terms, kind, &header.id, header.last_updated);
    Ok(Some(terms))
}
