//! Judges a recorded history against what the store says afterwards: every acknowledged write is there exactly once; one
//! whose outcome was not told is there once or not at all; a refused one is not there; version ids have no gaps; on each
//! resource, what ended before something else began has the lower version, and a read is never older than what was
//! acknowledged before it began, nor of anything that is not in the history; a delete is there because somebody asked for
//! it, and once; a search finds what was acknowledged before it; transactions are there as a whole, and move without
//! creating or losing; conditional creates with the same criteria made one resource.

use super::recorded::{ACCOUNTS, COUNTERS, FUNDS, KEY, Outcome, Recorded, Wrote, tag_of, version_of};
use crate::support::Client;
use crate::support::processes::BASE;
use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

impl Recorded {
    /// Judges; gives what is wrong.
    pub fn faults(&self, client: &Client) -> Vec<String> {
        let mut faults = Vec::new();
        let versions = all_versions(client, &mut faults);
        let wrote = self.wrote.lock().expect("a lock");
        let mut by_tag: HashMap<&str, Vec<(&str, u64)>> = HashMap::new();
        for (resource, of) in &versions {
            for (version, content) in of.iter().filter(|(_, content)| !content.deleted) {
                by_tag.entry(content.tag.as_str()).or_default().push((resource, *version));
            }
            let ids: Vec<u64> = of.keys().copied().collect();
            if ids != (1..=of.len() as u64).collect::<Vec<_>>() {
                faults.push(format!("{resource} has the versions {ids:?}"));
            }
        }
        for write in wrote.iter() {
            let there = by_tag.remove(write.tag.as_str()).unwrap_or_default();
            let parts = write.parts.len().max(1);
            let right = match write.outcome {
                Outcome::Acknowledged => there.len() == parts,
                Outcome::Unknown => there.is_empty() || there.len() == parts,
                Outcome::Refused => there.is_empty(),
            };
            if !right {
                faults.push(format!("{write:?} is there {} times: {there:?}", there.len()));
            }
            for (resource, version) in &write.parts {
                let told = version.is_none_or(|version| there.contains(&(resource.as_str(), version)));
                if write.outcome == Outcome::Acknowledged && !told {
                    faults.push(format!("{write:?} was told another version than it has: {there:?}"));
                }
            }
        }
        if !by_tag.is_empty() {
            faults.push(format!("nobody wrote {by_tag:?}"));
        }
        faults.extend(self.missed.lock().expect("a lock").iter().cloned());
        self.judge_deletes(&versions, &mut faults);
        self.judge_order(&wrote, &versions, &mut faults);
        judge_numbers(&versions, &mut faults);
        faults
    }

    /// Of the deletes of a version one at most was done, and none without having been asked for.
    fn judge_deletes(&self, versions: &Versions, faults: &mut Vec<String>) {
        let deleted = self.deleted.lock().expect("a lock");
        let is_deleted = |resource: &str, version: u64| {
            versions.get(resource).and_then(|of| of.get(&version)).is_some_and(|content| content.deleted)
        };
        let mut acknowledged: HashMap<(&str, u64), u64> = HashMap::new();
        for delete in deleted.iter().filter(|d| d.outcome == Outcome::Acknowledged) {
            *acknowledged.entry((&delete.resource, delete.version)).or_default() += 1;
            if !is_deleted(&delete.resource, delete.version) {
                faults.push(format!("{delete:?} is not there"));
            }
        }
        for (of, count) in acknowledged.iter().filter(|(_, count)| **count > 1) {
            faults.push(format!("{of:?} was deleted {count} times"));
        }
        for (resource, of) in versions {
            for (version, _) in of.iter().filter(|(_, content)| content.deleted) {
                let asked = deleted.iter().filter(|d| d.resource == *resource && d.version == *version);
                if asked.filter(|d| d.outcome != Outcome::Refused).count() == 0 {
                    faults.push(format!("nobody deleted {resource} with version {version}"));
                }
            }
        }
    }

    fn judge_order(&self, wrote: &[Wrote], versions: &Versions, faults: &mut Vec<String>) {
        let mut of: HashMap<&str, Vec<(Instant, Instant, u64)>> = HashMap::new();
        for write in wrote.iter().filter(|w| w.outcome == Outcome::Acknowledged) {
            for (resource, version) in &write.parts {
                of.entry(resource).or_default().extend(version.map(|v| (write.began, write.ended, v)));
            }
        }
        let deleted = self.deleted.lock().expect("a lock");
        for delete in deleted.iter().filter(|d| d.outcome == Outcome::Acknowledged) {
            of.entry(&delete.resource).or_default().push((delete.began, delete.ended, delete.version));
        }
        for (resource, writes) in &of {
            for (_, ended, version) in writes {
                let older = writes.iter().find(|(began, _, other)| began > ended && other < version);
                if let Some((_, _, other)) = older {
                    faults.push(format!("{resource}/{other} was begun after {version} was acknowledged"));
                }
            }
        }
        for read in self.reads.lock().expect("a lock").iter() {
            let content = versions.get(&read.resource).and_then(|v| v.get(&read.version));
            if content.is_none_or(|c| c.tag != read.tag) {
                faults.push(format!("{read:?} is not in the history: {content:?}"));
            }
            let writes = of.get(read.resource.as_str()).map(Vec::as_slice).unwrap_or_default();
            let before = writes.iter().filter(|(_, ended, _)| *ended < read.began).map(|w| w.2).max();
            if before.is_some_and(|version| version > read.version) {
                faults.push(format!("{read:?} does not see version {before:?}, which was acknowledged before"));
            }
            if writes.iter().any(|(began, _, version)| *began > read.ended && *version == read.version) {
                faults.push(format!("{read:?} sees what was written later"));
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Content {
    /// A delete has nothing else.
    deleted: bool,
    tag: String,
    number: i64,
    updated: String,
    key: Option<String>,
}

type Versions = BTreeMap<String, BTreeMap<u64, Content>>;

/// All versions of all patients, by the history of the type, page by page; it is in one order, without repetition.
fn all_versions(client: &Client, faults: &mut Vec<String>) -> Versions {
    let mut versions = Versions::new();
    let mut next = Some("Patient/_history?_count=200".to_owned());
    let mut last = "9".to_owned();
    while let Some(path) = next {
        let page = client.get(&path).is(200).json();
        for entry in page["entry"].as_array().into_iter().flatten() {
            let patient = &entry["resource"];
            let deleted = entry["request"]["method"] == "DELETE";
            let resource = entry["fullUrl"].as_str().and_then(|url| url.strip_prefix(BASE)).expect("an address");
            let resource = resource.trim_start_matches('/').to_owned();
            let updated = entry["response"]["lastModified"].as_str().expect("a time").to_owned();
            if updated > last {
                faults.push(format!("{resource} of {updated} stands after one of {last}"));
            }
            last.clone_from(&updated);
            let keys = patient["identifier"].as_array().into_iter().flatten().find(|i| i["system"] == KEY);
            let version = match deleted {
                false => version_of(patient),
                true => {
                    let etag = entry["response"]["etag"].as_str().expect("an etag");
                    etag.trim_start_matches("W/").trim_matches('"').parse().expect("a version")
                }
            };
            let content = Content {
                deleted,
                tag: tag_of(patient),
                number: patient["multipleBirthInteger"].as_i64().unwrap_or_default(),
                updated,
                key: keys.and_then(|i| i["value"].as_str()).map(str::to_owned),
            };
            if versions.entry(resource.clone()).or_default().insert(version, content).is_some() {
                faults.push(format!("{resource} has the same version twice"));
            }
        }
        let links = page["link"].as_array().into_iter().flatten();
        let link = links.filter(|l| l["relation"] == "next").find_map(|l| l["url"].as_str());
        next = link.and_then(|url| url.strip_prefix(BASE)).map(|path| path.trim_start_matches('/').to_owned());
    }
    versions
}

/// Counters go up by one, nothing is created or lost between accounts, and a key was used once.
fn judge_numbers(versions: &Versions, faults: &mut Vec<String>) {
    for n in 0..COUNTERS {
        for (version, content) in versions.get(&format!("Patient/counter-{n}")).into_iter().flatten() {
            if content.number != *version as i64 - 1 {
                faults.push(format!("counter {n} has {} in version {version}", content.number));
            }
        }
    }
    let accounts: Vec<_> = (0..ACCOUNTS).filter_map(|n| versions.get(&format!("Patient/account-{n}"))).collect();
    let sum: i64 = accounts.iter().filter_map(|v| v.last_key_value()).map(|(_, c)| c.number).sum();
    if sum != FUNDS * ACCOUNTS as i64 {
        faults.push(format!("the accounts hold {sum}"));
    }
    let mut halves: HashMap<&str, Vec<&str>> = HashMap::new();
    for content in accounts.iter().flat_map(|v| v.values()).filter(|c| c.number != FUNDS || !c.updated.is_empty()) {
        halves.entry(&content.tag).or_default().push(&content.updated);
    }
    // The two halves of a transaction are of one moment.
    for (tag, of) in halves.iter().filter(|(_, of)| of.len() == 2) {
        if of[0] != of[1] {
            faults.push(format!("the halves of {tag} are of two moments: {of:?}"));
        }
    }
    let mut keys: HashMap<&str, u64> = HashMap::new();
    for content in versions.values().filter_map(|v| v.get(&1)) {
        *keys.entry(content.key.as_deref().unwrap_or_default()).or_default() += 1;
    }
    for (key, count) in keys.iter().filter(|(key, count)| !key.is_empty() && **count > 1) {
        faults.push(format!("the key {key} was used {count} times"));
    }
}
