//! Indexes again, beside everything else, what was indexed when resources had other terms: a search parameter was
//! added or changed. Segment by segment is read from the truth again and put in the place of the old one, which
//! serves until then. Runs in the thread that merges, so that the two never work on the same segments. When it is
//! interrupted the next start makes the rest again, as with every segment that does not fit.

use super::Shared;
use super::index::TenantIndex;
use super::keeper::Kept;
use super::rebuild::{Damage, read_chunk};
use super::seal::{build, mark, put_in_place, stretches};
use super::segment::{Info, Section, Segment};
use super::type_index::Stretch;
use crate::base::TenantId;
use crate::store::StoreError;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Versions that are read at once.
const CHUNK: u64 = 256;
/// Versions that are in memory unsealed.
const PIECE: u64 = 16_384;

/// Indexes again all that was indexed with another schema than resources have now.
pub fn reindex(shared: &Shared) -> Result<(), StoreError> {
    let keeper = &shared.keeper;
    // What is in memory now belongs to the old schema. What comes from now on has the new one: the writer finds the
    // terms of what was on its way again.
    let schema = shared.vocabulary.schema();
    // Audit trails are made findable when somebody looks; what does not fit is made again after the next start.
    let tenants: Vec<_> = shared.index.tenants().into_iter().filter(|tenant| !tenant.is_trail()).collect();
    let mut frozen = Vec::new();
    for tenant in &tenants {
        let index = shared.index.tenant(*tenant);
        keeper.seal_now(*tenant, &index);
        frozen.push((*tenant, index.frozen()));
    }
    keeper.set_schema(schema);
    keeper.wait_for_sealer();
    for (tenant, last) in frozen {
        if !keeper.covers(tenant, last) {
            return Err(StoreError::Unavailable("a part of the index could not be sealed".into()));
        }
    }
    let old = |tenant: &TenantId| keeper.kept(*tenant).into_iter().filter(|k| k.schema != schema).collect::<Vec<_>>();
    let all = tenants.iter().flat_map(old).map(|k| k.size()).sum();
    let mut done = 0;
    keeper.tell_progress(done, all);
    for tenant in &tenants {
        for kept in old(tenant) {
            if shared.vocabulary.schema() != schema {
                // It changed again, and is asked for again.
                return Ok(());
            }
            again(shared, *tenant, &kept, schema, &mut |added| {
                done += added;
                keeper.tell_progress(done, all);
            })?;
        }
    }
    Ok(())
}

/// Makes one segment again.
fn again(
    shared: &Shared,
    tenant: TenantId,
    kept: &Kept,
    schema: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<(), StoreError> {
    let index = shared.index.tenant(tenant);
    let mut sections: BTreeMap<u16, Vec<Arc<Section>>> = BTreeMap::new();
    let mut first = kept.from;
    while first <= kept.to {
        let last = kept.to.min(first + PIECE - 1);
        for (stored_type, section) in piece(shared, tenant, (first, last), schema, progress)?.sections {
            sections.entry(stored_type).or_default().push(section);
        }
        first = last + 1;
    }
    let mut made: Vec<(u16, Stretch)> = Vec::new();
    for (stored_type, sections) in sections {
        let kind = shared.types.kind(stored_type)?;
        let old = index.with(kind, |index| index.stretch(kept.from, kept.to));
        let new = old.and_then(|old| old.with_sections(sections));
        made.push((stored_type, new.ok_or_else(|| StoreError::Broken("the index and the data do not fit".into()))?));
    }
    let info = Info { tenant: tenant.0, from: kept.from, to: kept.to, mark: mark(shared, tenant, kept.to)?, schema };
    let keeper = &shared.keeper;
    let written =
        keeper.write(&info, shared.truth.cipher(), |out| build(out, &info, &made, keeper, keeper.room, false));
    let (segment, file) = written.map_err(|e| StoreError::Unavailable(format!("the index cannot be written: {e}")))?;
    put_in_place(shared, &index, tenant, &segment, file);
    let is_new = |k: &Kept| (k.from, k.to, k.schema) == (kept.from, kept.to, schema);
    match shared.keeper.kept(tenant).iter().any(is_new) {
        true => Ok(()),
        false => Err(StoreError::Broken("a segment that was made again does not fit".into())),
    }
}

/// A few versions, indexed with the terms that they have now and sealed in memory.
fn piece(
    shared: &Shared,
    tenant: TenantId,
    (from, to): (u64, u64),
    schema: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Segment, StoreError> {
    let fresh = TenantIndex::default();
    for first in (from..=to).step_by(CHUNK as usize) {
        if shared.keeper.is_stopping() {
            return Err(StoreError::Unavailable("the store is closing".into()));
        }
        let versions = read_chunk(shared, tenant, first, to.min(first + CHUNK - 1), Damage::Refuse)?;
        fresh.add(&*shared.vocabulary, &versions);
        progress(versions.len() as u64);
    }
    fresh.freeze(to);
    let info = Info { tenant: tenant.0, from, to, mark: 0, schema };
    let broken = |why: String| StoreError::Broken(format!("a piece of the index cannot be made: {why}"));
    let stretches = stretches(shared, &fresh, from, to).map_err(|e| broken(e.to_string()))?;
    let mut bytes = Vec::new();
    build(&mut bytes, &info, &stretches, &shared.keeper, u64::MAX, true).map_err(|e| broken(e.to_string()))?;
    Segment::held(bytes).map_err(|e| broken(e.to_string()))
}
