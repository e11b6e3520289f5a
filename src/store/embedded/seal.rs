//! Makes segments: of versions in memory (sealing) and of smaller segments (merging), each in a thread of its own
//! beside everything else. What is being sealed or merged serves until the new segment is in its place. If a segment
//! cannot be written (a full disk), nothing is lost: a sealed one is held in memory, a merge is left for later.

use super::Shared;
use super::index::TenantIndex;
use super::keeper::{Keeper, Kept, Order, Seal, remove};
use super::part::Stream;
use super::reindex::reindex;
use super::segment::{Info, SectionHead, Segment, SegmentWriter};
use super::truth::Look;
use super::type_index::Stretch;
use crate::base::TenantId;
use crate::definitions::TypeId;
use crate::store::StoreError;
use std::io::{Error, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

/// After so long without a new segment nothing is written, it is thought.
const REST: Duration = Duration::from_secs(1);

/// Bytes of terms and versions after which a merge lets go of what it has read.
const PASSED: usize = 16 << 20;

/// The threads.
pub struct Background {
    threads: Vec<JoinHandle<()>>,
}

impl Background {
    /// Starts them.
    pub fn start(shared: &Arc<Shared>) -> std::io::Result<Background> {
        let (orders, received) = mpsc::channel();
        let (sealed, to_merge) = mpsc::channel();
        let (sealing, merging) = (shared.clone(), shared.clone());
        let sealer = std::thread::Builder::new().name("store-sealer".into()).spawn(move || {
            for order in received {
                match order {
                    Order::Seal(order) => {
                        seal(&sealing, &order);
                        // What was written since the last time was looked at, too.
                        sealing.truth.let_go();
                        let _ = sealed.send(Some(order.tenant));
                    }
                    Order::Tend => drop(sealed.send(None)),
                    Order::Say(done) => drop(done.send(())),
                }
            }
        })?;
        let merger = std::thread::Builder::new().name("store-merger".into()).spawn(move || {
            let mut resting: Vec<TenantId> = Vec::new();
            loop {
                let next = match resting.is_empty() {
                    true => to_merge.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
                    false => to_merge.recv_timeout(REST),
                };
                let tenant = match next {
                    Ok(tenant) => tenant,
                    Err(mpsc::RecvTimeoutError::Timeout) => {
                        for tenant in resting.drain(..) {
                            merge(&merging, tenant, Keeper::to_merge_at_rest);
                        }
                        continue;
                    }
                    Err(mpsc::RecvTimeoutError::Disconnected) => break,
                };
                if merging.keeper.begin_indexing() {
                    tracing::info!("resources have other search parameters now and are indexed again");
                    let begun = std::time::Instant::now();
                    let failed = reindex(&merging).err().map(|e| e.to_string());
                    let (seconds, done) = (begun.elapsed().as_secs_f32(), merging.keeper.indexing().done);
                    match &failed {
                        None => tracing::info!(versions = done, seconds, "resources are indexed again"),
                        Some(why) => tracing::error!(why, "the index was not made again to the end"),
                    }
                    merging.keeper.end_indexing(failed);
                }
                if let Some(tenant) = tenant {
                    merge(&merging, tenant, Keeper::to_merge);
                    if !resting.contains(&tenant) {
                        resting.push(tenant);
                    }
                }
            }
        })?;
        shared.keeper.send_to(orders);
        Ok(Background { threads: vec![sealer, merger] })
    }

    /// Waits until what was ordered is sealed. Merges end where they are.
    pub fn end(self) {
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the index has panicked");
            }
        }
    }
}

/// Seals what was frozen. Without success it serves as it is.
pub fn seal(shared: &Shared, order: &Seal) {
    let Seal { tenant, from, to, .. } = *order;
    let index = shared.index.tenant(tenant);
    match make(shared, &index, order, true) {
        Ok((segment, file)) => put_in_place(shared, &index, tenant, &segment, file),
        Err(error) => tracing::warn!(%error, from, to, "a part of the index stays in memory"),
    }
}

/// Chooses what of a tenant is merged: first and last number, and schema.
type Choice = fn(&Keeper, TenantId) -> Option<(u64, u64, u64)>;

/// Merges as long as there is something to merge.
fn merge(shared: &Shared, tenant: TenantId, choice: Choice) {
    let index = shared.index.tenant(tenant);
    while !shared.keeper.is_stopping()
        && let Some((from, to, schema)) = choice(&shared.keeper, tenant)
    {
        match make(shared, &index, &Seal { tenant, from, to, schema }, false) {
            Ok((segment, file)) => put_in_place(shared, &index, tenant, &segment, file),
            Err(_) if shared.keeper.is_stopping() => return,
            Err(error) => {
                tracing::warn!(%error, from, to, "segments of the index are not merged now");
                return;
            }
        }
    }
}

/// What is frozen or sealed between two numbers, by type.
pub fn stretches(shared: &Shared, index: &TenantIndex, from: u64, to: u64) -> std::io::Result<Vec<(u16, Stretch)>> {
    let mut stretches = Vec::new();
    for kind in index.kinds() {
        if let Some(stretch) = index.with(kind, |index| index.stretch(from, to)) {
            let stored = shared.types.stored(kind).ok_or_else(|| Error::other("a type has no number"))?;
            stretches.push((stored, stretch));
        }
    }
    Ok(stretches)
}

/// Makes the segment of what is frozen or sealed between two numbers.
fn make(shared: &Shared, index: &TenantIndex, order: &Seal, must: bool) -> std::io::Result<(Segment, Option<PathBuf>)> {
    let failed = |error: StoreError| Error::other(error.to_string());
    let Seal { tenant, from, to, schema } = *order;
    let info = Info { tenant: tenant.0, from, to, mark: mark(shared, tenant, to).map_err(failed)?, schema };
    let stretches = stretches(shared, index, from, to)?;
    let keeper = &shared.keeper;
    let made =
        keeper.write(&info, shared.truth.cipher(), |out| build(out, &info, &stretches, keeper, keeper.room, must));
    match made {
        Err(error) if must => {
            tracing::warn!(%error, from, to, "a segment of the index cannot be written; it is held in memory");
            let mut bytes = Vec::new();
            build(&mut bytes, &info, &stretches, keeper, u64::MAX, must)?;
            Ok((Segment::held(bytes).map_err(|why| Error::new(ErrorKind::InvalidData, why.to_string()))?, None))
        }
        made => made,
    }
}

/// The checksum of a version in the truth: what a segment is known by to be of this truth.
pub fn mark(shared: &Shared, tenant: TenantId, number: u64) -> Result<u32, StoreError> {
    let reading = shared.truth.read()?;
    let record = reading.record(tenant, number)?.ok_or_else(|| super::damaged(tenant, number, "is missing"))?;
    Ok(crc32fast::hash(record))
}

/// Writes a segment of these stretches, by stored type. What does not have to be ends when the store closes.
pub fn build(
    out: &mut dyn Write,
    info: &Info,
    stretches: &[(u16, Stretch)],
    keeper: &Keeper,
    room: u64,
    must: bool,
) -> std::io::Result<()> {
    let mut writer = SegmentWriter::new(out, info, room)?;
    for (stored_type, stretch) in stretches {
        let head = SectionHead {
            stored_type: *stored_type,
            id_parameter: stretch.id_parameter(),
            numbers: &stretch.numbers,
            previous: &stretch.previous,
            deletes: &stretch.deletes,
        };
        let mut merged = Merged::of(stretch);
        let (mut ended, mut passed) = (false, 0);
        writer.section(&head, |term, ordinals| {
            ended = !must && keeper.is_stopping();
            // What is merged is read once, from beginning to end: it need not all be in memory at a time.
            passed += term.len() + 4 * ordinals.len();
            if passed > PASSED {
                passed = 0;
                stretch.let_go();
            }
            !ended && merged.next(term, ordinals)
        })?;
        stretch.let_go();
        if ended {
            return Err(ErrorKind::Interrupted.into());
        }
    }
    writer.finish().map(|_| ())
}

/// The terms of several parts in order, each with its versions in all of them.
struct Merged<'s> {
    streams: Vec<(u32, Stream<'s>)>,
}

impl<'s> Merged<'s> {
    fn of(stretch: &'s Stretch) -> Merged<'s> {
        const FIRST: &[u8] = &[];
        // Greater than every term: no parameter has this number.
        const LAST: &[u8] = &[0xFF; 64];
        let mut streams: Vec<_> = stretch.parts().map(|at| (at.base, at.part.stream(FIRST, LAST, false))).collect();
        streams.retain_mut(|(_, stream)| stream.advance());
        Merged { streams }
    }

    fn next(&mut self, term: &mut Vec<u8>, ordinals: &mut Vec<u32>) -> bool {
        let Some(least) = self.streams.iter().map(|(_, stream)| stream.term()).min() else { return false };
        term.clear();
        term.extend_from_slice(least);
        ordinals.clear();
        self.streams.retain_mut(|(base, stream)| {
            if stream.term() != &**term {
                return true;
            }
            if let Some(stored) = stream.stored() {
                stored.for_each(|o| ordinals.push(*base + o));
            }
            stream.advance()
        });
        true
    }
}

/// Puts a new segment in the place of what it was made of, type by type.
pub fn put_in_place(shared: &Shared, index: &TenantIndex, tenant: TenantId, segment: &Segment, file: Option<PathBuf>) {
    let Info { from, to, schema, .. } = segment.info;
    for (stored_type, section) in &segment.sections {
        let kind: Result<TypeId, _> = shared.types.kind(*stored_type);
        if !kind.is_ok_and(|kind| index.replace(kind, from, to, section)) {
            // What it was made of serves on; the next start finds the segment.
            tracing::error!(from, to, "a segment does not fit into the index");
            return;
        }
    }
    segment.let_go();
    tracing::debug!(from, to, bytes = segment.length, "a segment of the index is in use");
    shared.keeper.keep(tenant, Kept { from, to, file, schema }).iter().for_each(|old| remove(old));
}
