//! Verifies what is stored: checksums, bodies, the order of versions, the map of newest versions; and that the index
//! is what the truth says. Repairs nothing.

use super::Shared;
use super::part::{At, Part};
use super::rebuild::terms;
use super::record::Header;
use super::truth::{Look, Reading};
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::store::{Chain, CheckReport, StoreError, UNFINISHED};
use rustc_hash::FxHashMap;

/// The newest version of a resource, as the versions say.
struct Last {
    number: u64,
    version: u64,
    deleted: bool,
}

/// Looks at everything.
pub fn check(shared: &Shared, progress: &mut dyn FnMut(u64, u64)) -> Result<CheckReport, StoreError> {
    let mut report = CheckReport::default();
    let reading = shared.truth.read()?;
    for note in reading.items(TenantId::default(), UNFINISHED, None)?.flatten() {
        report.unfinished(&note.value);
    }
    let total = reading.versions()?;
    for (tenant, _) in reading.tenants()? {
        if tenant.is_trail() {
            continue;
        }
        // The index may be ahead of what this reading sees, but not behind.
        let mut check = Check { shared, tenant, reading: &reading, resources: FxHashMap::default(), last: None };
        check.versions(&mut report, &mut |done| progress(done, total))?;
        check.newest(&mut report)?;
        check.orders(&mut report);
        report.resources += check.resources.len() as u64;
    }
    let (_, damaged) = reading.check_items()?;
    damaged.into_iter().for_each(|error| report.fault(|| error.to_string()));
    let listed = reading.resources()?;
    if listed != report.resources {
        let known = report.resources;
        report.fault(|| format!("{listed} resources are in the map of newest versions, {known} have versions"));
    }
    let owners: Vec<TenantId> = reading.tenants()?.into_iter().filter_map(|(tenant, _)| tenant.owner()).collect();
    // A thread has one look at the truth at a time.
    drop(reading);
    owners.into_iter().try_for_each(|owner| trail(shared, owner, &mut report))?;
    Ok(report)
}

/// The records of a tenant's audit trail, and the chain from the first to the last.
fn trail(shared: &Shared, tenant: TenantId, report: &mut CheckReport) -> Result<(), StoreError> {
    let mut chain = Chain::of(tenant);
    let told = |why: String| format!("audit trail of tenant {}: {why}", tenant.0);
    loop {
        let links = shared.links(tenant, chain.head().number, 4096)?;
        if links.is_empty() {
            break;
        }
        report.versions += links.len() as u64;
        for link in links {
            if let Some(why) = chain.follow(&link) {
                report.fault(|| told(why));
            }
        }
    }
    if let Some(why) = chain.ends(&shared.head(tenant)?) {
        report.fault(|| told(why));
    }
    Ok(())
}

struct Check<'c> {
    shared: &'c Shared,
    tenant: TenantId,
    reading: &'c Reading<'c>,
    resources: FxHashMap<(u16, ResourceId), Last>,
    last: Option<(u64, Timestamp)>,
}

impl Check<'_> {
    fn versions(&mut self, report: &mut CheckReport, progress: &mut dyn FnMut(u64)) -> Result<(), StoreError> {
        let mut text = Vec::new();
        let mut expected = 1;
        for record in self.reading.records(self.tenant, 1, u64::MAX)? {
            let (number, record) = record?;
            while expected < number {
                report.fault(|| format!("version {expected} of tenant {} is missing", self.tenant.0));
                expected += 1;
            }
            expected = number + 1;
            match Header::decode(self.tenant, number, record) {
                None => report.fault(|| format!("version {number} of tenant {} has a wrong checksum", self.tenant.0)),
                Some((header, body)) => self.version(&header, body, &mut text, report),
            }
            report.versions += 1;
            if report.versions.is_multiple_of(1024) {
                progress(report.versions);
            }
        }
        progress(report.versions);
        Ok(())
    }

    fn version(&mut self, header: &Header, body: &[u8], text: &mut Vec<u8>, report: &mut CheckReport) {
        let what = format!("version {} of tenant {} ({})", header.number, self.tenant.0, header.id);
        if self.last.is_some_and(|(_, moment)| header.last_updated < moment) {
            report.fault(|| format!("{what} is older than the one before it"));
        }
        if header.commit > header.number || self.last.is_some_and(|(commit, _)| header.commit < commit) {
            report.fault(|| format!("{what} is of a commit out of order"));
        }
        self.last = Some((header.commit, header.last_updated));
        let last = Last { number: header.number, version: header.version, deleted: header.is_deleted() };
        let before = self.resources.insert((header.stored_type, header.id.clone()), last);
        let (previous, version) = before.as_ref().map_or((None, 0), |b| (Some(b.number), b.version));
        if (header.previous, header.version) != (previous, version + 1) {
            report.fault(|| format!("{what} does not follow version {version} of its resource"));
        }
        if header.is_deleted() && before.is_none_or(|b| b.deleted) {
            report.fault(|| format!("{what} deletes what is not there"));
        }
        if let Err(error) = self.index(header, body, text) {
            report.fault(|| format!("{what}: {error}"));
        }
    }

    /// Compares the index with what is extracted now.
    fn index(&self, header: &Header, body: &[u8], text: &mut Vec<u8>) -> Result<(), String> {
        let kind = self.shared.types.kind(header.stored_type).map_err(|e| e.to_string())?;
        let terms = terms(self.shared, self.tenant, kind, header, body, text).map_err(|e| e.to_string())?;
        self.shared.index.tenant(self.tenant).with(kind, |index| {
            let ordinal = index.ordinal(header.number).ok_or("it is not in the index")?;
            if index.is_delete(ordinal) != header.is_deleted() {
                return Err("the index has it wrong whether it is a delete".to_owned());
            }
            let Some(terms) = terms else { return Ok(()) };
            let id = self.shared.vocabulary.id_term(kind, header.id.as_str());
            if index.id_term(ordinal).as_ref() != Some(&id) {
                return Err("the index has another id".to_owned());
            }
            let (part, place) = index.part_of(ordinal);
            let mut expected = terms.as_slice().iter();
            let mut same = true;
            let mut missing = false;
            part.terms_of(place, |term| {
                same = expected.next().is_some_and(|e| *e.0 == *term);
                missing = !part.find(term).is_some_and(|stored| stored.open().contains(place));
                same && !missing
            });
            match (same && (missing || expected.next().is_none()), missing) {
                (false, _) => Err("the index has other terms".to_owned()),
                (true, true) => Err("the index lacks it among the versions of a term".to_owned()),
                (true, false) => Ok(()),
            }
        })
    }

    /// The map of newest versions, and which the index holds to be current.
    fn newest(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        for ((stored_type, id), last) in &self.resources {
            let found = self.reading.newest(self.tenant, *stored_type, id.as_str());
            let right = matches!(&found, Ok(Some(n)) if n.number == last.number
                && n.version == last.version && n.deleted == last.deleted);
            if !right {
                let number = last.number;
                report.fault(|| format!("the newest version of {id} is {number}; the map says {found:?}"));
            }
            let kind = self.shared.types.kind(*stored_type)?;
            self.shared.index.tenant(self.tenant).with(kind, |index| {
                let newest = index.ordinal(last.number).is_some_and(|o| match index.superseded_by(o, u64::MAX) {
                    None => last.deleted || index.live().contains(o),
                    // Superseded after this check began.
                    Some(by) => self.last.is_some() && self.is_later(by),
                });
                if !newest {
                    report.fault(|| format!("the index has another newest version of {id} than {}", last.number));
                }
            });
        }
        Ok(())
    }

    /// What the index keeps in the order of dates.
    fn orders(&self, report: &mut CheckReport) {
        let tenant = self.shared.index.tenant(self.tenant);
        for kind in tenant.kinds() {
            let is_right = |at: At<'_>| match at.part {
                Part::Sealed(section) => section.orders_are_right(),
                Part::Memory(_) => true,
            };
            if !tenant.with(kind, |index| index.parts().all(is_right)) {
                let name = self.shared.vocabulary.name(kind);
                report.fault(|| format!("the index has versions of {name} out of the order of their dates"));
            }
        }
    }

    /// Whether a number is beyond what this check reads.
    fn is_later(&self, number: u64) -> bool {
        matches!(self.reading.record(self.tenant, number), Ok(None))
    }
}
