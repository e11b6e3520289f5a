//! Search parameters of one's own on several processes: posted to one they are usable on all when their job is done;
//! one process does the job and another takes it over when that dies; what is written meanwhile is found as everything
//! else.

use super::{Three, until};
use crate::search_parameters::{BIRTHPLACE, Status, parameter};
use crate::support::mongodb::TestDatabase;
use crate::support::processes::{Process, run};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vesta::base::{ResourceId, SystemClock, TenantId};
use vesta::definitions::{CustomParameter, CustomParameters, Definitions, SearchKind, TypeId};
use vesta::index::{Condition, Extractor, Term};
use vesta::json::{Document, Limits};
use vesta::store::mongodb::MongoStore;
use vesta::store::{Body, Content, Expect, ItemWrite, Method, Query, Store, Transaction, Write};

/// A change has to be used everywhere within this. Generous: the machine that tests may be busy.
const SOON: Duration = Duration::from_secs(60);
/// The same where a process was killed in the middle of a transaction, which the database gives up after a minute.
const LATE: Duration = Duration::from_secs(150);
/// The job is left to a process that does not go on with it for so long.
const OPEN: &[&str] = &["--auth", "off", "--validation", "off", "--job-lease", "3s"];
/// What a process logs that takes the job.
const TAKEN: &str = "indexing again by other search parameters";

fn birth(id: &str, of: &str) -> Value {
    parameter(id, "string", &format!("Patient.extension('{BIRTHPLACE}').value.as(Address).{of}"))
}

fn patient(id: &str, city: &str) -> Value {
    json!({"resourceType": "Patient", "id": id,
        "extension": [{"url": BIRTHPLACE, "valueAddress": {"city": city, "country": "NO"}}]})
}

/// Puts patients, half of them of Oslo.
fn fill(process: &Process, name: &str, count: usize) {
    let entry = |n: usize| {
        let city = if n.is_multiple_of(2) { "Oslo" } else { "Bergen" };
        let resource = patient(&format!("{name}-{n}"), city);
        json!({"request": {"method": "PUT", "url": format!("Patient/{name}-{n}")}, "resource": resource})
    };
    let entries: Vec<Value> = (0..count).map(entry).collect();
    for some in entries.chunks(500) {
        process.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": some})).is(200);
    }
}

fn total(process: &Process, query: &str) -> u64 {
    process.get(&format!("{query}&_summary=count")).is(200).json()["total"].as_u64().expect("a total")
}

fn is_ready(process: &Process, code: &str) -> bool {
    let status = Status::of(process);
    status.ready(code) == Some(true) && status.state() == "completed"
}

/// Asserts that every version is found by exactly the terms that its body gives now.
fn is_whole(three: &Three) {
    let output = run(three.database.uri(), &["check"]);
    println!("{}", String::from_utf8_lossy(&output.stdout));
}

/// The item that lists the parameters.
fn kept(uri: &str) -> (u64, CustomParameters) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (collection, key) = CustomParameters::PLACE;
    let item = runtime.block_on(super::store(uri).item(TenantId::default(), collection, key)).expect("read");
    let item = item.expect("it is kept");
    (item.revision, CustomParameters::decode(&item.value).expect("a list"))
}

/// Until it is ready a process refuses it; then all answer by it, also one that is started afterwards. It is written
/// once, changed and taken away.
#[test]
fn a_search_parameter_of_one_is_usable_on_all() {
    let Some(three) = Three::start(OPEN) else { return };
    fill(&three.a, "p", 40);
    three.a.put("PUT", "SearchParameter/x-birth", &birth("x-birth", "city")).is(201);
    for process in three.all() {
        let took = until("it is usable", SOON, || {
            let answer = process.get_with("Patient?x-birth=oslo", &[("prefer", "handling=strict")]);
            assert!([200, 400].contains(&answer.status), "{}", answer.text());
            answer.status == 200
        });
        println!("usable after {took:?}");
        assert_eq!(total(process, "Patient?x-birth=oslo"), 20);
        assert_eq!(total(process, "Patient?x-birth:missing=true"), 0);
        assert!(is_ready(process, "x-birth"));
    }
    for (n, process) in three.all().into_iter().enumerate() {
        process.put("PUT", &format!("Patient/new-{n}"), &patient(&format!("new-{n}"), "Oslo")).is(201);
    }
    let late = Process::start(&three.uri, OPEN);
    for process in three.all().into_iter().chain([&late]) {
        assert_eq!(total(process, "Patient?x-birth=oslo"), 23);
    }
    let (revision, _) = kept(three.database.uri());
    // Long enough for many turns, had the processes told each other in a circle.
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(kept(three.database.uri()).0, revision);
    is_whole(&three);
    // Changed at another process: what was found before is not found any more.
    three.b.put("PUT", "SearchParameter/x-birth", &birth("x-birth", "country")).is(200);
    for process in three.all().into_iter().chain([&late]) {
        until("it has changed", SOON, || {
            let answer = process.get("Patient?x-birth=no&_summary=count");
            answer.status == 200 && answer.json()["total"] == 43
        });
        assert_eq!(total(process, "Patient?x-birth=oslo"), 0);
    }
    three.c.send("DELETE", "SearchParameter/x-birth", &[], None).is(204);
    for process in three.all() {
        until("it is gone", SOON, || Status::of(process).ready("x-birth").is_none());
        let strict = [("prefer", "handling=strict")];
        until("it is unknown", SOON, || process.get_with("Patient?x-birth=no", &strict).status == 400);
        until("the job is done", SOON, || Status::of(process).state() == "completed");
    }
    is_whole(&three);
}

/// While clients create, update and delete at all processes: afterwards every resource is found as its content says.
#[test]
fn what_is_written_meanwhile_is_found() {
    let Some(three) = Three::start(OPEN) else { return };
    fill(&three.a, "p", 1000);
    let stop = AtomicBool::new(false);
    let ids: Vec<String> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..6_usize)
            .map(|writer| {
                let (three, stop) = (&three, &stop);
                scope.spawn(move || {
                    let process = three.all()[writer % 3];
                    let mut oslo = HashSet::new();
                    for n in 0_usize.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let id = format!("w{writer}-{}", n % 50);
                        let to_oslo = super::at_once::scatter((writer * 100_000 + n) as u64).is_multiple_of(2);
                        let answer = if n % 7 == 6 {
                            oslo.remove(&id);
                            process.send("DELETE", &format!("Patient/{id}"), &[], None)
                        } else {
                            if to_oslo {
                                oslo.insert(id.clone())
                            } else {
                                oslo.remove(&id)
                            };
                            let city = if to_oslo { "Oslo" } else { "Bergen" };
                            process.put("PUT", &format!("Patient/{id}"), &patient(&id, city))
                        };
                        assert!([200, 201, 204].contains(&answer.status), "{}", answer.text());
                    }
                    oslo
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs(1));
        for (process, id, of) in
            [(&three.a, "x-birth", "city"), (&three.b, "x-land", "country"), (&three.c, "x-birth", "city")]
        {
            let answer = process.put("PUT", &format!("SearchParameter/{id}"), &birth(id, of));
            assert!([200, 201].contains(&answer.status), "{}", answer.text());
            std::thread::sleep(Duration::from_millis(300));
        }
        for process in three.all() {
            until("both are usable", LATE, || is_ready(process, "x-birth") && is_ready(process, "x-land"));
        }
        std::thread::sleep(Duration::from_secs(1));
        stop.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().expect("ran")).collect()
    });
    for process in three.all() {
        assert_eq!(total(process, "Patient?x-birth=oslo"), 500 + ids.len() as u64);
        assert_eq!(total(process, "Patient?x-land=no"), total(process, "Patient?_lastUpdated=gt2000"));
        for id in &ids {
            assert_eq!(total(process, &format!("Patient?x-birth=oslo&_id={id}")), 1, "{id}");
        }
    }
    is_whole(&three);
    three.is_gapless();
}

/// The process that does the job is killed in the midst of it; another goes on.
#[test]
fn the_job_moves_when_its_process_dies() {
    let Some(mut three) = Three::start(OPEN) else { return };
    fill(&three.a, "p", 6000);
    three.a.put("PUT", "SearchParameter/x-birth", &birth("x-birth", "city")).is(201);
    let mut holder = None;
    until("somebody is in the midst of it", SOON, || {
        holder = three.all().iter().position(|process| process.log().contains(TAKEN));
        let done = |status: Status| status.0["parameter"][1]["valueDecimal"].as_f64().unwrap_or_default();
        holder.is_some_and(|holder| {
            let status = Status::of(three.all()[holder]);
            assert_ne!(status.state(), "completed", "it was too fast for this test");
            done(status) >= 400.0
        })
    });
    let holder = holder.expect("one");
    let dying = [&mut three.a, &mut three.b, &mut three.c].into_iter().nth(holder).expect("one of the three");
    dying.kill();
    println!("killed in the midst of the job");
    let left: Vec<&Process> =
        three.all().into_iter().enumerate().filter(|(n, _)| *n != holder).map(|(_, p)| p).collect();
    for process in &left {
        let took = until("it is usable", LATE, || {
            let answer = process.get("Patient?x-birth=oslo&_summary=count");
            answer.status == 200 && answer.json()["total"] == 3000
        });
        println!("usable {took:?} after the kill");
    }
    let went_on = left.iter().filter(|process| process.log().contains("everything is indexed again")).count();
    assert_eq!(went_on, 1, "one has ended it");
    let log = left.iter().map(|process| process.log()).find(|log| log.contains(TAKEN)).expect("it took the job");
    let line = log.lines().find(|line| line.contains(TAKEN)).expect("the line");
    assert!(!line.contains("done=0 ") && !line.contains("\"done\":0,"), "it went on and did not begin anew: {line}");
    is_whole(&three);
}

/// Parameters that are posted at the same time to several processes get numbers of their own.
#[test]
fn numbers_are_given_once() {
    let Some(three) = Three::start(OPEN) else { return };
    fill(&three.a, "p", 10);
    for round in 0..4 {
        let barrier = Barrier::new(3);
        std::thread::scope(|scope| {
            for (n, process) in three.all().into_iter().enumerate() {
                let barrier = &barrier;
                scope.spawn(move || {
                    let id = format!("x-{round}-{n}");
                    barrier.wait();
                    let of = if n == 0 { "city" } else { "country" };
                    process.put("PUT", &format!("SearchParameter/{id}"), &birth(&id, of)).is(201);
                });
            }
        });
    }
    let all: Vec<String> = (0..4).flat_map(|round| (0..3).map(move |n| format!("x-{round}-{n}"))).collect();
    for process in three.all() {
        until("all are usable", LATE, || all.iter().all(|code| is_ready(process, code)));
        for code in &all {
            assert_eq!(
                total(process, &format!("Patient?{code}=oslo")),
                if code.ends_with('0') { 5 } else { 0 },
                "{code}"
            );
        }
    }
    let numbers: HashSet<u16> = kept(three.database.uri()).1.parameters.iter().map(|p| p.number).collect();
    assert_eq!(numbers.len(), all.len());
    is_whole(&three);
}

/// Those of a package come and go with it, once for each time: no process takes them away because it has not read the
/// package yet.
#[test]
fn parameters_of_a_package_do_not_come_and_go() {
    let Some(three) = Three::start(OPEN) else { return };
    fill(&three.a, "p", 10);
    let package = crate::search_parameters::packages::archive(&[birth("x-packed", "city")]);
    let headers = [("content-type", "application/octet-stream")];
    for _ in 0..4 {
        three.a.send("POST", "$package-add", &headers, Some(&package)).is(200);
        for process in three.all() {
            until("it is usable", SOON, || is_ready(process, "x-packed"));
            assert_eq!(total(process, "Patient?x-packed=oslo"), 5);
        }
        three.a.send("POST", "$package-remove?name=example.parameters&version=1.0.0", &[], None).is(200);
        for process in three.all() {
            until("it is gone", SOON, || Status::of(process).ready("x-packed").is_none());
        }
    }
    assert_eq!(kept(three.database.uri()).0, 8, "it was written as often as it was changed");
}

/// A store with a vocabulary of its own, as another process has one.
struct Own {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
    store: MongoStore,
    runtime: tokio::runtime::Runtime,
}

const COLOUR: &str = r#"{"resourceType":"Patient","id":"x","extension":[{"url":"urn:colour","valueCode":"red"}]}"#;

impl Own {
    fn on(uri: &str) -> Own {
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
        let store =
            MongoStore::open(uri, definitions.clone(), extractor.clone(), Arc::new(SystemClock)).expect("opened");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Own { definitions, extractor, store, runtime }
    }

    fn patient(&self) -> TypeId {
        self.definitions.resource("Patient").expect("a type")
    }

    fn content(&self) -> Content {
        let document = Document::parse(COLOUR.as_bytes(), &Limits::NONE).expect("JSON");
        let (terms, schema) = self.extractor.extract_marked(self.patient(), document.root());
        Content { body: Body::of(document.root()), terms, schema }
    }

    fn put_content(&self, tenant: TenantId, ids: impl Iterator<Item = String>, content: &Content) {
        let write = |id: String| Write {
            kind: self.patient(),
            id: ResourceId::new(&id).expect("an id"),
            method: Method::Update,
            expect: Expect::Any,
            content: Some(content.clone()),
        };
        let transaction = Transaction { writes: ids.map(write).collect(), ..Transaction::default() };
        self.runtime.block_on(self.store.commit(tenant, transaction)).expect("committed");
    }

    fn put(&self, tenant: TenantId, id: &str) {
        self.put_content(tenant, [id.to_owned()].into_iter(), &self.content());
    }

    /// Stores a list with one parameter, and uses it.
    fn define(&self, code: &str) {
        let parameter = CustomParameter {
            number: 0,
            origin: format!("SearchParameter/{code}"),
            url: format!("http://example.org/{code}"),
            code: code.to_owned(),
            kind: SearchKind::Token,
            bases: vec!["Patient".to_owned()],
            expression: "Patient.extension('urn:colour').value.as(code)".to_owned(),
            targets: Vec::new(),
            components: Vec::new(),
        };
        let (collection, key) = CustomParameters::PLACE;
        let found = self.runtime.block_on(self.store.item(TenantId::default(), collection, key)).expect("read");
        let before = found.as_ref().and_then(|item| CustomParameters::decode(&item.value)).unwrap_or_default();
        let all = before.renewed(vec![parameter]);
        let write = match &found {
            Some(item) => ItemWrite::replace(collection, item, all.encode()),
            None => ItemWrite::create(collection, key, all.encode()),
        };
        let transaction = Transaction { items: vec![write], ..Transaction::default() };
        self.runtime.block_on(self.store.commit(TenantId::default(), transaction)).expect("committed");
        self.extractor.replace(Arc::new(self.definitions.with_custom(&all, |_| true)));
    }

    /// The term of the parameter that is used.
    fn colour(&self) -> Term {
        let custom = |term: &&Term| term.parameter() >= vesta::definitions::FIRST_CUSTOM;
        let terms = self.content().terms;
        // Besides its value it has a shape: that there is one.
        let red = terms.as_slice().iter().filter(custom).find(|t| t.0.windows(3).any(|w| w == b"red"));
        red.expect("it is found by its colour").clone()
    }

    fn found(&self, tenant: TenantId) -> usize {
        let query = Query {
            kinds: vec![self.patient()],
            condition: Condition::Term(self.colour()),
            sort: Vec::new(),
            after: None,
            skip: 0,
            limit: 10_000,
            total: false,
            budget: Default::default(),
        };
        let page = self.runtime.block_on(async { self.store.snapshot(tenant).await?.search(&query).await });
        page.expect("found").rows.len()
    }

    fn reindex(&self) {
        self.store.reindex().expect("asked");
    }

    fn faults(&self) -> Vec<String> {
        self.runtime.block_on(self.store.check(&mut |_, _| {})).expect("checked").listed
    }
}

/// A process that has not heard of the parameter, nor ever hears of it, writes nothing by the list of before once the
/// job has passed: in a tenant that it knows, and in one that is new.
#[test]
fn nothing_is_written_by_a_list_of_before() {
    let Some(database) = TestDatabase::new() else { return };
    let (knowing, deaf) = (Own::on(database.uri()), Own::on(database.uri()));
    let known = TenantId(3);
    deaf.put(known, "before");
    deaf.put(TenantId::default(), "before");
    let stale = deaf.content();
    knowing.define("x-colour");
    knowing.reindex();
    assert!(!knowing.store.indexing().is_done(), "nobody takes part yet");
    deaf.put_content(known, ["between".to_owned()].into_iter(), &stale);
    knowing.store.take_part();
    until("it is indexed again", SOON, || knowing.store.indexing().is_done());
    assert_eq!((knowing.found(known), knowing.found(TenantId::default())), (2, 1));
    for tenant in [known, TenantId::default(), TenantId(4)] {
        let before = knowing.found(tenant);
        deaf.put_content(tenant, ["after".to_owned()].into_iter(), &stale);
        assert_eq!(knowing.found(tenant), before + 1, "{tenant:?}");
    }
    // A new list, and the process is deaf to that as well.
    let stale = deaf.content();
    knowing.define("x-hue");
    knowing.reindex();
    until("it is indexed again", SOON, || knowing.store.indexing().is_done());
    deaf.put_content(TenantId(5), (0..300).map(|n| format!("many-{n}")), &stale);
    assert_eq!((knowing.found(TenantId(5)), knowing.found(known), knowing.found(TenantId(4))), (300, 3, 1));
    assert_eq!(knowing.faults(), Vec::<String>::new());
}

/// Two processes take the job from each other all the time, as if each thought the other dead: it is done all the same.
#[test]
fn a_job_that_is_taken_too_early_is_done_all_the_same() {
    let Some(database) = TestDatabase::new() else { return };
    let (one, other) = (Own::on(database.uri()), Own::on(database.uri()));
    let content = one.content();
    for some in 0..4 {
        one.put_content(TenantId::default(), (0..500).map(|n| format!("p{some}-{n}")), &content);
    }
    for own in [&one, &other] {
        own.store.set_job_lease(Duration::from_millis(1));
        own.store.take_part();
    }
    for code in ["x-a", "x-b"] {
        one.define(code);
        one.reindex();
        other.reindex();
        until("it is indexed again", LATE, || one.store.indexing().is_done());
        assert_eq!(one.found(TenantId::default()), 2000);
        assert_eq!(one.faults(), Vec::<String>::new());
    }
}
