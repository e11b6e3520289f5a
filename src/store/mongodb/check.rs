//! Verifies what is stored in the database: that every version is there, follows the one before it and can be read, that
//! what it is found by is what its body says now, that exactly the superseded ones are marked, and that items and audit
//! trails are whole. Repairs nothing. Pages are checksummed by the database itself, bodies by zstd.

use super::document::{CURRENT, Head, between, terms_of, version_of};
use super::lead::{self, Mark};
use super::terms::Found;
use super::{MongoStore, Shared};
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::definitions::{FIRST_CUSTOM, TypeId};
use crate::index::{Term, Terms};
use crate::store::{Chain, CheckReport, StoreError, UNFINISHED, Version};
use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};
use std::collections::HashMap;

/// What is known of a resource so far.
struct Last {
    number: u64,
    version: u64,
    deleted: bool,
    /// By which version and when it says that it was superseded.
    marked: Option<(u64, i64)>,
}

/// A log that is looked at.
struct Check<'c> {
    shared: &'c Shared,
    log: TenantId,
    /// Whether everything is indexed by the search parameters that were added.
    indexed: bool,
    /// How far versions have what leads to them.
    mark: Mark,
    resources: HashMap<(TypeId, ResourceId), Last>,
    last: Option<(u64, Timestamp)>,
}

impl MongoStore {
    /// Verifies everything up to where the logs end now.
    pub async fn check(&self, progress: &mut (dyn FnMut(u64, u64) + Send)) -> Result<CheckReport, StoreError> {
        let mut report = CheckReport::default();
        let shared = self.shared.clone();
        let known = async move { Ok((shared.is_indexed().await?, shared.ends().await?, shared.unfinished().await?)) };
        let (indexed, ends, notes) = self.shared.run(known).await?;
        notes.iter().for_each(|from| report.unfinished(from));
        let all: u64 = ends.iter().map(|(_, end)| end).sum();
        for (log, end) in ends {
            // Records of the audit trail are found by the specification's parameters, whatever they contain.
            let indexed = indexed && !log.is_trail();
            let shared = self.shared.clone();
            let (_, mark) = self.shared.run(async move { shared.stands(log).await }).await?;
            let mut check = Check { shared: &self.shared, log, indexed, mark, resources: HashMap::new(), last: None };
            let mut chain = log.owner().map(Chain::of);
            let mut after = 0;
            while after < end {
                let (shared, from) = (self.shared.clone(), after);
                let some = self.shared.run(async move { shared.documents(log, from, end).await }).await?;
                let Some(reached) = some.last().and_then(number_of) else {
                    report.fault(|| format!("the versions {} to {end} of log {} are missing", after + 1, log.0));
                    break;
                };
                for found in &some {
                    check.version(found, &mut after, &mut report);
                    if let Some(why) = chain.as_mut().and_then(|chain| chain.follow(&self.shared.link_of(found))) {
                        report.fault(|| format!("audit trail of tenant {}: {why}", log.owner().unwrap_or(log).0));
                    }
                }
                after = reached;
                report.versions += some.len() as u64;
                progress(report.versions, all);
            }
            if let (Some(chain), Some(owner)) = (chain, log.owner()) {
                let shared = self.shared.clone();
                let head = self.shared.run(async move { shared.audit_head(owner).await }).await?;
                if let Some(why) = chain.ends(&head) {
                    report.fault(|| format!("audit trail of tenant {}: {why}", owner.0));
                }
            } else {
                check.ends(end, &mut report);
                report.resources += check.resources.len() as u64;
            }
        }
        let shared = self.shared.clone();
        let damaged = self.shared.run(async move { shared.damaged_items().await }).await?;
        damaged.into_iter().for_each(|why| report.fault(|| why));
        Ok(report)
    }
}

/// The terms under search parameters of the specification: all that can be compared until everything is indexed by those
/// that were added.
fn specified(terms: &Terms) -> impl Iterator<Item = &Term> {
    let is_custom = |term: &&Term| {
        let number = term.0.first_chunk::<2>().map(|head| u16::from_be_bytes(*head));
        number.is_some_and(|number| number >= FIRST_CUSTOM)
    };
    terms.as_slice().iter().filter(move |term| !is_custom(term))
}

fn number_of(found: &Document) -> Option<u64> {
    u64::from_str_radix(found.get_str("_id").ok()?.get(8..)?, 16).ok()
}

impl Shared {
    /// Where the logs end.
    async fn ends(&self) -> Result<Vec<(TenantId, u64)>, StoreError> {
        let counters: Vec<Document> = self.tenants.find(doc! {}).sort(doc! { "_id": 1 }).await?.try_collect().await?;
        let end = |counter: &Document| {
            let tenant = counter.get_i64("_id").ok().and_then(|t| u32::try_from(t).ok())?;
            Some((TenantId(tenant), counter.get_i64("n").ok().filter(|n| *n > 0)? as u64))
        };
        Ok(counters.iter().filter_map(end).collect())
    }

    async fn documents(&self, log: TenantId, after: u64, end: u64) -> Result<Vec<Document>, StoreError> {
        Ok(self.versions.find(between(log, after, end)).sort(doc! { "_id": 1 }).limit(500).await?.try_collect().await?)
    }

    /// What the store is an unfinished copy of, if it is one. A note that is damaged is found with the other items.
    async fn unfinished(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let notes: Vec<Document> = self.items.find(doc! { "c": UNFINISHED }).await?.try_collect().await?;
        Ok(notes.iter().filter_map(|note| super::items::item_of(note).ok()).map(|item| item.value).collect())
    }

    async fn damaged_items(&self) -> Result<Vec<String>, StoreError> {
        let mut rows = self.items.find(doc! {}).await?;
        let mut damaged = Vec::new();
        while let Some(found) = rows.try_next().await? {
            damaged.extend(super::items::item_of(&found).err().map(|e| e.to_string()));
        }
        Ok(damaged)
    }
}

impl Check<'_> {
    fn version(&mut self, found: &Document, after: &mut u64, report: &mut CheckReport) {
        let log = self.log.0;
        let Some(number) = number_of(found) else {
            return report.fault(|| format!("a version of log {log} has no key"));
        };
        if number > *after + 1 {
            report.fault(|| format!("the versions {} to {} of log {log} are missing", *after + 1, number - 1));
        }
        *after = number;
        let told = |why: &dyn std::fmt::Display| format!("version {number} of log {log}: {why}");
        let (version, commit) = match (version_of(found, &*self.shared.vocabulary, u64::MAX >> 1), Head::of(found)) {
            (Ok(version), Ok(head)) => (version, head.commit),
            (Err(error), _) | (_, Err(error)) => return report.fault(|| told(&error)),
        };
        if version.number != number || found.get_i64("t").ok() != Some(i64::from(log)) {
            report.fault(|| told(&"it stands in another place than it says"));
        }
        if self.last.is_some_and(|(before, time)| commit < before || version.last_updated < time) || commit > number {
            report.fault(|| told(&"it is out of order"));
        }
        self.last = Some((commit, version.last_updated));
        if let Err(why) = self.terms(found, &version) {
            report.fault(|| told(&why));
        }
        if !self.log.is_trail() {
            self.follows(found, version, report);
        }
    }

    /// Compares what it is found by with what its body says now.
    fn terms(&self, found: &Document, version: &Version) -> Result<(), String> {
        let Some(body) = &version.body else {
            return if found.contains_key("x") { Err("a delete is found by something".into()) } else { Ok(()) };
        };
        let Version { kind, id, last_updated, .. } = version;
        let of = Found { kind: *kind, id, version: version.version, last_updated: *last_updated, body };
        let terms = match self.shared.found(&of) {
            Ok((terms, _)) => terms,
            Err(_) if self.log.is_trail() => self.shared.stamped(*kind, id, *last_updated),
            Err(error) => return Err(format!("its body cannot be read: {error}")),
        };
        if !self.log.is_trail() && (self.mark.has(version.number) || found.contains_key("y")) {
            let fields = lead::fields(self.shared.vocabulary.leads(version.kind), &terms);
            if !lead::has(found, &fields) {
                return Err("what leads to it is other than its body gives".into());
            }
        }
        match terms_of(found) {
            Ok(stored) if stored == terms => Ok(()),
            Ok(stored) if !self.indexed && specified(&stored).eq(specified(&terms)) => Ok(()),
            Ok(_) => Err("it is found by other terms than its body gives".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Holds it against the version before it of the same resource.
    fn follows(&mut self, found: &Document, version: Version, report: &mut CheckReport) {
        let superseded = found.get_i64("s").unwrap_or(0);
        let marked = (superseded != CURRENT).then(|| (superseded as u64, found.get_i64("e").unwrap_or(0)));
        let Version { number, kind, id, version: counted, last_updated, .. } = version;
        let deleted = version.body.is_none();
        let what = format!("version {number} of log {} ({id})", self.log.0);
        let before = self.resources.insert((kind, id), Last { number, version: counted, deleted, marked });
        if counted != before.as_ref().map_or(0, |b| b.version) + 1 {
            report.fault(|| format!("{what} does not follow the version before it of its resource"));
        }
        if deleted && before.as_ref().is_none_or(|b| b.deleted) {
            report.fault(|| format!("{what} deletes what is not there"));
        }
        if let Some(before) = before
            && before.marked != Some((number, last_updated.0))
        {
            report.fault(|| format!("version {} is not marked as superseded by {what}", before.number));
        }
    }

    /// The newest versions are not marked, unless by a version beyond the end.
    fn ends(&self, end: u64, report: &mut CheckReport) {
        for ((_, id), last) in &self.resources {
            if last.marked.is_some_and(|(by, _)| by <= end) {
                report.fault(|| format!("version {} ({id}), the newest, is marked as superseded", last.number));
            }
        }
    }
}
