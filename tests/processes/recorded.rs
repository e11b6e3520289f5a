//! A history that is recorded while several clients write through several processes at once: creates, updates, patches
//! and deletes by version, conditional creates, transactions, reads and searches. Every write carries a tag of its own,
//! so that it can be found again in the versions that are there. `judging` judges it afterwards.

use crate::support::processes::BASE;
use crate::support::{Answer, Client};
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

pub const TAG: &str = "urn:tag";
pub const KEY: &str = "urn:key";
/// Resources that are counted up, resources between which something is moved, resources that come and go, and keys of
/// conditional creates.
pub const COUNTERS: u64 = 3;
pub const ACCOUNTS: u64 = 3;
const PASSING: u64 = 3;
const KEYS: u64 = 12;
/// What lies in an account at the beginning.
pub const FUNDS: i64 = 1000;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was said to be done.
    Acknowledged,
    /// It was refused.
    Refused,
    /// Nothing was told: it may be there or not.
    Unknown,
}

/// A write with a content.
#[derive(Clone, Debug)]
pub struct Wrote {
    pub tag: String,
    pub began: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
    /// What was written: resource, and the version if it was told.
    pub parts: Vec<(String, Option<u64>)>,
}

/// A delete of a resource as it was in a version.
#[derive(Clone, Debug)]
pub struct Deleted {
    pub began: Instant,
    pub ended: Instant,
    pub outcome: Outcome,
    pub resource: String,
    /// The version that the delete makes.
    pub version: u64,
}

/// A read that found something.
#[derive(Clone, Debug)]
pub struct Read {
    pub began: Instant,
    pub ended: Instant,
    pub resource: String,
    pub version: u64,
    pub tag: String,
}

/// The recorded history.
#[derive(Default)]
pub struct Recorded {
    pub wrote: Mutex<Vec<Wrote>>,
    pub deleted: Mutex<Vec<Deleted>>,
    pub reads: Mutex<Vec<Read>>,
    /// What searches found that they must not find, or did not find.
    pub missed: Mutex<Vec<String>>,
    searches: AtomicU64,
    next: AtomicU64,
    /// How long each refusal of a server that was not there took.
    refusals: Mutex<Vec<Duration>>,
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

/// The tag that a patient carries.
pub fn tag_of(patient: &Value) -> String {
    let tag = patient["identifier"].as_array().into_iter().flatten().find(|i| i["system"] == TAG);
    tag.and_then(|i| i["value"].as_str()).unwrap_or_default().to_owned()
}

/// The version id of a patient.
pub fn version_of(patient: &Value) -> u64 {
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
        let (median, longest) = self.refusals();
        format!(
            "{} writes acknowledged, {} refused, {} without a word; {} deletes; {} reads; {} searches; {} times 503, \
             half of them after {median:?}, the longest after {longest:?}",
            count(Outcome::Acknowledged),
            count(Outcome::Refused),
            count(Outcome::Unknown),
            self.deleted.lock().expect("a lock").len(),
            self.reads.lock().expect("a lock").len(),
            self.searches.load(Ordering::SeqCst),
            self.refusals.lock().expect("a lock").len(),
        )
    }

    /// How long a 503 took: the median, and the longest.
    pub fn refusals(&self) -> (Duration, Duration) {
        let mut all = self.refusals.lock().expect("a lock").clone();
        all.sort();
        (all.get(all.len() / 2).copied().unwrap_or_default(), all.last().copied().unwrap_or_default())
    }

    fn away(&self, answer: &Answer, took: Duration) {
        assert!(!answer.header("retry-after").is_empty(), "a 503 says when to come again: {}", answer.text());
        self.refusals.lock().expect("a lock").push(took);
    }

    fn outcome(&self, answer: &Answer, took: Duration) -> Outcome {
        match answer.status {
            200 | 201 | 204 => Outcome::Acknowledged,
            409 | 412 => Outcome::Refused,
            503 => {
                self.away(answer, took);
                Outcome::Unknown
            }
            other => panic!("a write was answered with {other}: {}", answer.text()),
        }
    }

    fn write(&self, tag: &str, resources: Vec<String>, send: impl FnOnce() -> Answer) -> Answer {
        let began = Instant::now();
        let answer = send();
        let ended = Instant::now();
        let outcome = self.outcome(&answer, ended - began);
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

    /// Creates one; gives the answer.
    pub fn create(&self, client: &Client) -> Answer {
        let tag = self.tag();
        self.write(&tag, Vec::new(), || client.put("POST", "Patient", &patient(None, &tag, 0)))
    }

    /// Reads one; gives the answer.
    pub fn look(&self, client: &Client, resource: &str) -> Answer {
        let began = Instant::now();
        let answer = client.get(resource);
        let ended = Instant::now();
        match answer.status {
            503 => self.away(&answer, ended - began),
            404 | 410 => {}
            _ => {
                let found = answer.is(200).json();
                let (version, tag) = (version_of(&found), tag_of(&found));
                let read = Read { began, ended, resource: resource.to_owned(), version, tag };
                self.reads.lock().expect("a lock").push(read);
            }
        }
        answer
    }

    /// Reads one that is there; nothing while the database is away.
    fn read(&self, client: &Client, resource: &str) -> Option<Value> {
        let answer = self.look(client, resource);
        (answer.status != 503).then(|| answer.is(200).json())
    }

    /// Does one thing, chosen by a number.
    pub fn act(&self, client: &Client, dice: u64) {
        let (choice, which) = (dice % 100, dice / 100);
        match choice {
            0..20 => drop(self.create(client)),
            20..37 => self.count(client, which, false),
            37..46 => self.count(client, which, true),
            46..58 => self.create_once(client, which),
            58..74 => self.transfer(client, which),
            74..84 => self.come_or_go(client, which),
            84..92 => self.search(client, which),
            _ => drop(self.read(client, &format!("Patient/counter-{}", which % COUNTERS))),
        }
    }

    /// Counts one up, by an update or a patch of the version that was read.
    fn count(&self, client: &Client, which: u64, patching: bool) {
        let tag = self.tag();
        let counter = format!("Patient/counter-{}", which % COUNTERS);
        let Some(before) = self.read(client, &counter) else { return };
        let id = before["id"].as_str().expect("an id");
        let next = patient(Some(id), &tag, before["multipleBirthInteger"].as_i64().expect("a number") + 1);
        let replace = |name: &str| json!({"op": "replace", "path": format!("/{name}"), "value": next[name]});
        let (method, form, body) = match patching {
            false => ("PUT", "application/fhir+json", serde_json::to_vec(&next)),
            true => {
                let operations = ["identifier", "multipleBirthInteger"].map(replace);
                ("PATCH", "application/json-patch+json", serde_json::to_vec(&operations))
            }
        };
        let (etag, body) = (format!("W/\"{}\"", version_of(&before)), body.expect("JSON"));
        let headers = [("content-type", form), ("if-match", etag.as_str())];
        drop(self.write(&tag, vec![counter.clone()], || client.send(method, &counter, &headers, Some(&body))));
    }

    /// Creates one unless one with the same key is there.
    fn create_once(&self, client: &Client, which: u64) {
        let (tag, key) = (self.tag(), which % KEYS);
        let mut one = patient(None, &tag, 0);
        let identifiers = one["identifier"].as_array_mut().expect("identifiers");
        identifiers.push(json!({"system": KEY, "value": key.to_string()}));
        let criteria = format!("identifier={KEY}|{key}");
        let headers = [("content-type", "application/fhir+json"), ("if-none-exist", criteria.as_str())];
        let body = serde_json::to_vec(&one).expect("JSON");
        let began = Instant::now();
        let answer = client.send("POST", "Patient", &headers, Some(&body));
        // 200 is one that was there already: nothing was written.
        if answer.status != 200 {
            drop(self.write_at(&tag, began, answer));
        }
    }

    /// Moves something between two in a transaction.
    fn transfer(&self, client: &Client, which: u64) {
        let tag = self.tag();
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

    /// Deletes one in the version that was read, or brings it back.
    fn come_or_go(&self, client: &Client, which: u64) {
        let id = format!("passing-{}", which % PASSING);
        let resource = format!("Patient/{id}");
        let found = self.look(client, &resource);
        match found.status {
            503 => {}
            200 => {
                let version = version_of(&found.json());
                let etag = format!("W/\"{version}\"");
                let began = Instant::now();
                let answer = client.send("DELETE", &resource, &[("if-match", etag.as_str())], None);
                let ended = Instant::now();
                let outcome = self.outcome(&answer, ended - began);
                let deleted = Deleted { began, ended, outcome, resource, version: version + 1 };
                self.deleted.lock().expect("a lock").push(deleted);
            }
            _ => {
                let tag = self.tag();
                let one = patient(Some(&id), &tag, 0);
                drop(self.write(&tag, vec![resource.clone()], || client.put("PUT", &resource, &one)));
            }
        }
    }

    /// Looks for one that was created and that nobody changes: every search after the word that it is there finds it.
    fn search(&self, client: &Client, which: u64) {
        let wanted = {
            let wrote = self.wrote.lock().expect("a lock");
            let named = ["counter-", "account-", "passing-"];
            let is_left_alone = |w: &&Wrote| match &w.parts[..] {
                [(resource, Some(1))] => {
                    w.outcome == Outcome::Acknowledged && !named.iter().any(|name| resource.contains(name))
                }
                _ => false,
            };
            let created: Vec<_> = wrote.iter().filter(is_left_alone).collect();
            let at = (which as usize).checked_rem(created.len());
            at.map(|at| (created[at].tag.clone(), created[at].parts[0].0.clone()))
        };
        let Some((tag, resource)) = wanted else { return };
        let began = Instant::now();
        let answer = client.get(&format!("Patient?identifier={TAG}|{tag}"));
        if answer.status == 503 {
            return self.away(&answer, began.elapsed());
        }
        let found = answer.is(200).json();
        let entries = found["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
        let names: Vec<_> = entries.iter().filter_map(|e| e["fullUrl"].as_str()).collect();
        if !matches!(names[..], [one] if one.ends_with(&resource)) {
            self.missed.lock().expect("a lock").push(format!("{resource} was created, and a search found {names:?}"));
        }
        self.searches.fetch_add(1, Ordering::SeqCst);
    }

    fn write_at(&self, tag: &str, began: Instant, answer: Answer) -> Answer {
        let took = Instant::now();
        let answer = self.write(tag, Vec::new(), || answer);
        if let Some(last) = self.wrote.lock().expect("a lock").iter_mut().rev().find(|w| w.tag == tag) {
            (last.began, last.ended) = (began, took);
        }
        answer
    }
}
