//! The index at the start: segments that are whole and of this truth are mapped, what they do not cover is read from
//! the truth again and sealed. A segment that is missing, torn, damaged, of another form, of another truth or with
//! other terms than resources have now counts as one that is not there.

use super::Shared;
use super::keeper::{Keeper, Kept, Seal};
use super::rebuild::{Damage, rebuild, terms};
use super::record::Header;
use super::seal::{mark, seal};
use super::segment::{Info, Section, Segment, Unfit};
use super::truth::Look;
use crate::base::TenantId;
use crate::store::StoreError;
use std::path::{Path, PathBuf};

/// Versions of a segment whose terms are compared with the truth before it is used.
const PROBES: u64 = 32;

/// Fills the index of all tenants and publishes their positions.
pub fn load(
    shared: &Shared,
    threads: usize,
    damage: Damage,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StoreError> {
    let (tenants, total) = {
        let reading = shared.truth.read()?;
        (reading.tenants()?, reading.versions()?)
    };
    let mut done = 0;
    // Audit trails are made findable when somebody looks.
    for (tenant, last) in tenants.into_iter().filter(|(tenant, _)| !tenant.is_trail()) {
        load_tenant(shared, tenant, last, threads, damage, &mut |added| {
            done += added;
            progress(done, total);
        })?;
    }
    Ok(())
}

/// Fills the index of a tenant and publishes its position.
pub fn load_tenant(
    shared: &Shared,
    tenant: TenantId,
    last: u64,
    threads: usize,
    damage: Damage,
    progress: &mut dyn FnMut(u64),
) -> Result<(), StoreError> {
    let index = shared.index.tenant(tenant);
    let files = shared.keeper.files(tenant);
    let mut next = 1;
    while next <= last {
        let usable = |(from, to, path): &(u64, u64, PathBuf)| {
            if *from != next || *to > last { None } else { attach(shared, tenant, (*from, *to), path) }
        };
        if let Some(to) = files.iter().find_map(usable) {
            progress(to - next + 1);
            next = to + 1;
            continue;
        }
        let following = files.iter().map(|(from, ..)| *from).find(|from| *from > next && *from <= last);
        let end = following.map_or(last, |from| from - 1);
        rebuild(shared, tenant, (next, end), threads, damage, progress)?;
        if following.is_some() {
            let from = index.freeze(end);
            seal(shared, &Seal { tenant, from, to: end, schema: shared.keeper.schema() });
        }
        next = end + 1;
    }
    index.publish(last);
    Ok(())
}

/// Uses a segment, if it may be; gives the last number that it covers.
fn attach(shared: &Shared, tenant: TenantId, covers: (u64, u64), path: &Path) -> Option<u64> {
    let is_stale = |segment: &Segment| segment.info.schema != shared.keeper.schema();
    let segment = match Keeper::open(path, shared.truth.cipher()) {
        Ok(segment) if !is_stale(&segment) => segment,
        Ok(_) | Err(Unfit::OtherForm) => {
            shared.keeper.leave(path);
            return None;
        }
        Err(Unfit::Wrong(why)) => {
            shared.keeper.refuse(path, &why);
            return None;
        }
    };
    if let Err(why) = fits(shared, tenant, covers, &segment) {
        shared.keeper.refuse(path, &why);
        return None;
    }
    let index = shared.index.tenant(tenant);
    for (stored_type, section) in &segment.sections {
        let kind = shared.types.kind(*stored_type).ok()?;
        index.attach(kind, section.clone());
    }
    segment.let_go();
    let Info { from, to, schema, .. } = segment.info;
    index.freeze(to);
    shared.keeper.keep(tenant, Kept { from, to, file: Some(path.to_owned()), schema });
    Some(to)
}

/// Whether a segment is of this truth and has the terms that resources have now.
fn fits(shared: &Shared, tenant: TenantId, (from, to): (u64, u64), segment: &Segment) -> Result<(), String> {
    let info = &segment.info;
    if (info.tenant, info.from, info.to) != (tenant.0, from, to) {
        return Err("it is not what its name says".into());
    }
    if mark(shared, tenant, to).ok() != Some(info.mark) {
        return Err("it is of other data".into());
    }
    let mut seen = std::collections::HashSet::new();
    if !segment.sections.iter().all(|(stored, _)| shared.types.kind(*stored).is_ok() && seen.insert(*stored)) {
        return Err("it has a type that the store does not have".into());
    }
    let mut text = Vec::new();
    for (stored_type, section) in &segment.sections {
        let numbers = section.numbers();
        let probes = (PROBES * u64::from(section.docs) / (to - from + 1)).clamp(2, PROBES) as usize;
        for ordinal in (0..section.docs).step_by((numbers.len() / probes).max(1)) {
            let number = numbers.get(ordinal as usize).copied().unwrap_or(0);
            probe(shared, tenant, (*stored_type, section), ordinal, number.into(), &mut text)?;
        }
    }
    Ok(())
}

/// Compares the terms of one version. Damage of the truth is not the segment's, and told when it is read.
fn probe(
    shared: &Shared,
    tenant: TenantId,
    (stored_type, section): (u16, &Section),
    ordinal: u32,
    number: u64,
    text: &mut Vec<u8>,
) -> Result<(), String> {
    let reading = shared.truth.read().map_err(|e| e.to_string())?;
    let Ok((header, body)) = reading.version(tenant, number) else { return Ok(()) };
    compare(shared, tenant, (stored_type, section), ordinal, &header, body, text)
}

fn compare(
    shared: &Shared,
    tenant: TenantId,
    (stored_type, section): (u16, &Section),
    ordinal: u32,
    header: &Header,
    body: &[u8],
    text: &mut Vec<u8>,
) -> Result<(), String> {
    let kind = shared.types.kind(stored_type).map_err(|e| e.to_string())?;
    let Ok(terms) = terms(shared, tenant, kind, header, body, text) else { return Ok(()) };
    let terms = terms.unwrap_or_default();
    let mut expected = terms.as_slice().iter();
    let mut same = header.stored_type == stored_type;
    section.terms_of(ordinal, &mut |term: &[u8]| {
        same = same && expected.next().is_some_and(|e| *e.0 == *term);
        same
    });
    if same && expected.next().is_none() { Ok(()) } else { Err("resources have other terms now".into()) }
}
