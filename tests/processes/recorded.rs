//! A history that is recorded while several clients write through several processes at once, and the checker that
//! judges it afterwards against what the store says. Every write carries a tag of its own, so that it can be found
//! again in the versions that are there.
//!
//! What is judged: every acknowledged write is there exactly once; one whose outcome was not told is there once or not
//! at all; a refused one is not there; version ids have no gaps; on each resource, what ended before something else
//! began has the lower version, and a read is never older than what was acknowledged before it began, nor of anything
//! that is not in the history; transactions are there as a whole, and move without creating or losing; conditional
//! creates with the same criteria made one resource.

use crate::support::processes::BASE;
use crate::support::{Answer, Client};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const TAG: &str = "urn:tag";
const KEY: &str = "urn:key";
/// Resources that are counted up, resources between which something is moved, and keys of conditional creates.
const COUNTERS: u64 = 3;
const ACCOUNTS: u64 = 3;
const KEYS: u64 = 12;
/// What lies in an account at the beginning.
const FUNDS: i64 = 1000;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Acknowledged,
    Refused,
    /// Nothing was told: it may be there or not.
    Unknown,
}

#[derive(Clone, Debug)]
struct Wrote {
    tag: String,
    began: Instant,
    ended: Instant,
    outcome: Outcome,
    /// What was written: resource, and the version if it was told.
    parts: Vec<(String, Option<u64>)>,
}

#[derive(Clone, Debug)]
struct Read {
    began: Instant,
    ended: Instant,
    resource: String,
    version: u64,
    tag: String,
}

/// The recorded history.
#[derive(Default)]
pub struct Recorded {
    wrote: Mutex<Vec<Wrote>>,
    reads: Mutex<Vec<Read>>,
    next: AtomicU64,
    /// How long the longest refusal of a server that was not there took, and how many there were.
    refusals: Mutex<(Duration, u64)>,
}

fn patient(id: Option<&str>, tag: &str, number: i64) -> Value {
    let mut patient = json!({
        "resourceType": "Patient", "identifier": [{"system": TAG, "value": tag}], "multipleBirthInteger": number
    });
    if let Some(id) = id {
        patient["id"] = json!(id);
    }
    patient
}

fn tag_of(patient: &Value) -> String {
    let tag = patient["identifier"].as_array().into_iter().flatten().find(|i| i["system"] == TAG);
    tag.and_then(|i| i["value"].as_str()).unwrap_or_default().to_owned()
}

fn version_of(patient: &Value) -> u64 {
    patient["meta"]["versionId"].as_str().and_then(|v| v.parse().ok()).expect("a version")
}

/// The version that a `location` or `etag` tells.
fn told_version(location: &str) -> Option<u64> {
    location.rsplit_once("/_history/")?.1.parse().ok()
}

impl Recorded {
    /// Makes what the clients write on.
    pub fn prepare(&self, client: &Client) {
        for n in 0..COUNTERS {
            self.begin(client, &format!("counter-{n}"), 0);
        }
        for n in 0..ACCOUNTS {
            self.begin(client, &format!("account-{n}"), FUNDS);
        }
    }

    fn begin(&self, client: &Client, id: &str, number: i64) {
        let tag = self.tag();
        self.write(&tag, vec![format!("Patient/{id}")], || {
            client.put("PUT", &format!("Patient/{id}"), &patient(Some(id), &tag, number))
        })
        .is(201);
    }

    fn tag(&self) -> String {
        self.next.fetch_add(1, Ordering::SeqCst).to_string()
    }

    /// How many writes were acknowledged, refused, and not told; and how long the longest 503 took.
    pub fn summary(&self) -> String {
        let wrote = self.wrote.lock().expect("a lock");
        let count = |outcome| wrote.iter().filter(|w| w.outcome == outcome).count();
        let (longest, refusals) = *self.refusals.lock().expect("a lock");
        format!(
            "{} writes acknowledged, {} refused, {} without a word; {} reads; {refusals} times 503, the longest after {longest:?}",
            count(Outcome::Acknowledged),
            count(Outcome::Refused),
            count(Outcome::Unknown),
            self.reads.lock().expect("a lock").len(),
        )
    }

    fn away(&self, answer: &Answer, took: Duration) {
        assert!(!answer.header("retry-after").is_empty(), "a 503 says when to come again: {}", answer.text());
        let mut refusals = self.refusals.lock().expect("a lock");
        *refusals = (refusals.0.max(took), refusals.1 + 1);
    }

    fn write(&self, tag: &str, resources: Vec<String>, send: impl FnOnce() -> Answer) -> Answer {
        let began = Instant::now();
        let answer = send();
        let ended = Instant::now();
        let outcome = match answer.status {
            200 | 201 => Outcome::Acknowledged,
            409 | 412 => Outcome::Refused,
            503 => {
                self.away(&answer, ended - began);
                Outcome::Unknown
            }
            other => panic!("a write was answered with {other}: {}", answer.text()),
        };
        let versions: Vec<Option<u64>> = match answer.json() {
            body if body["type"] == "transaction-response" => {
                let entries = body["entry"].as_array().expect("entries").iter();
                entries.map(|e| told_version(e["response"]["location"].as_str().unwrap_or_default())).collect()
            }
            _ => vec![told_version(answer.header("location"))],
        };
        let mut parts: Vec<_> = resources.into_iter().zip(versions).collect();
        if parts.is_empty()
            && let Some(made) = answer.header("location").strip_prefix(BASE)
            && outcome == Outcome::Acknowledged
        {
            let resource = made.split("/_history").next().unwrap_or_default().trim_start_matches('/').to_owned();
            parts.push((resource, told_version(answer.header("location"))));
        }
        self.wrote.lock().expect("a lock").push(Wrote { tag: tag.to_owned(), began, ended, outcome, parts });
        answer
    }

    fn read(&self, client: &Client, resource: &str) -> Option<Value> {
        let began = Instant::now();
        let answer = client.get(resource);
        let ended = Instant::now();
        if answer.status == 503 {
            self.away(&answer, ended - began);
            return None;
        }
        let found = answer.is(200).json();
        let (version, tag) = (version_of(&found), tag_of(&found));
        self.reads.lock().expect("a lock").push(Read { began, ended, resource: resource.to_owned(), version, tag });
        Some(found)
    }

    /// Does one thing, chosen by a number.
    pub fn act(&self, client: &Client, dice: u64) {
        let (choice, which) = (dice % 100, dice / 100);
        let tag = self.tag();
        match choice {
            0..25 => drop(self.write(&tag, Vec::new(), || client.put("POST", "Patient", &patient(None, &tag, 0)))),
            25..50 => {
                let counter = format!("Patient/counter-{}", which % COUNTERS);
                let Some(before) = self.read(client, &counter) else { return };
                let id = before["id"].as_str().expect("an id");
                let next = patient(Some(id), &tag, before["multipleBirthInteger"].as_i64().expect("a number") + 1);
                let (etag, body) = (format!("W/\"{}\"", version_of(&before)), serde_json::to_vec(&next));
                let headers = [("content-type", "application/fhir+json"), ("if-match", etag.as_str())];
                let body = body.expect("JSON");
                drop(self.write(&tag, vec![counter.clone()], || client.send("PUT", &counter, &headers, Some(&body))));
            }
            50..65 => {
                let key = which % KEYS;
                let mut one = patient(None, &tag, 0);
                let identifiers = one["identifier"].as_array_mut().expect("identifiers");
                identifiers.push(json!({"system": KEY, "value": key.to_string()}));
                let criteria = format!("identifier={KEY}|{key}");
                let headers = [("content-type", "application/fhir+json"), ("if-none-exist", criteria.as_str())];
                let body = serde_json::to_vec(&one).expect("JSON");
                let began = Instant::now();
                let answer = client.send("POST", "Patient", &headers, Some(&body));
                // 200 is one that was there already: nothing was written.
                match answer.status {
                    200 => {}
                    _ => drop(self.write_at(&tag, began, answer)),
                }
            }
            65..85 => {
                let (from, to) = (which % ACCOUNTS, (which + 1) % ACCOUNTS);
                let accounts = [from, to].map(|n| format!("Patient/account-{n}"));
                let found: Vec<_> = accounts.iter().filter_map(|a| self.read(client, a)).collect();
                let [from, to] = &found[..] else { return };
                let entry = |before: &Value, change: i64| {
                    let id = before["id"].as_str().expect("an id");
                    let number = before["multipleBirthInteger"].as_i64().expect("a number") + change;
                    json!({
                        "resource": patient(Some(id), &tag, number),
                        "request": {"method": "PUT", "url": format!("Patient/{id}"), "ifMatch": format!("W/\"{}\"", version_of(before))}
                    })
                };
                let entries = [entry(from, -7), entry(to, 7)];
                let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
                drop(self.write(&tag, accounts.to_vec(), || client.put("POST", "", &bundle)));
            }
            _ => {
                let _ = self.read(client, &format!("Patient/counter-{}", which % COUNTERS));
            }
        }
    }

    fn write_at(&self, tag: &str, began: Instant, answer: Answer) -> Answer {
        let took = Instant::now();
        let answer = self.write(tag, Vec::new(), || answer);
        if let Some(last) = self.wrote.lock().expect("a lock").iter_mut().rev().find(|w| w.tag == tag) {
            (last.began, last.ended) = (began, took);
        }
        answer
    }

    /// Judges; gives what is wrong.
    pub fn faults(&self, client: &Client) -> Vec<String> {
        let mut faults = Vec::new();
        let versions = all_versions(client, &mut faults);
        let wrote = self.wrote.lock().expect("a lock");
        let mut by_tag: HashMap<&str, Vec<(&str, u64)>> = HashMap::new();
        for (resource, of) in &versions {
            for (version, content) in of {
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
        self.judge_order(&wrote, &versions, &mut faults);
        judge_numbers(&versions, &mut faults);
        faults
    }

    fn judge_order(&self, wrote: &[Wrote], versions: &Versions, faults: &mut Vec<String>) {
        let mut of: HashMap<&str, Vec<(Instant, Instant, u64)>> = HashMap::new();
        for write in wrote.iter().filter(|w| w.outcome == Outcome::Acknowledged) {
            for (resource, version) in &write.parts {
                of.entry(resource).or_default().extend(version.map(|v| (write.began, write.ended, v)));
            }
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
            let resource = format!("Patient/{}", patient["id"].as_str().expect("an id"));
            let updated = patient["meta"]["lastUpdated"].as_str().expect("a time").to_owned();
            if updated > last {
                faults.push(format!("{resource} of {updated} stands after one of {last}"));
            }
            last.clone_from(&updated);
            let keys = patient["identifier"].as_array().into_iter().flatten().find(|i| i["system"] == KEY);
            let content = Content {
                tag: tag_of(patient),
                number: patient["multipleBirthInteger"].as_i64().expect("a number"),
                updated,
                key: keys.and_then(|i| i["value"].as_str()).map(str::to_owned),
            };
            if versions.entry(resource.clone()).or_default().insert(version_of(patient), content).is_some() {
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
