//! Search parameters of one's own on several processes: posted to one they are usable on all when their job is done;
//! one process does the job and another takes it over when that dies; what is written meanwhile is found as everything
//! else.

use super::{Three, until};
use crate::search_parameters::{BIRTHPLACE, Status, parameter};
use crate::support::mongodb::TestDatabase;
use crate::support::processes::{Process, run};
use crate::support::proxy::Mishap;
use mongodb::bson::doc;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vesta::base::TenantId;
use vesta::definitions::CustomParameters;
use vesta::store::Store;

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

/// A process that starts while a job for another parameter goes on answers at once by those that were ready before. The
/// job is held up: a tenant's counter is taken by a transaction that does not end.
#[test]
fn what_was_ready_stays_so_for_who_starts_during_a_job() {
    let Some(database) = TestDatabase::new() else { return };
    let (uri, runtime) = (database.uri(), tokio::runtime::Runtime::new().expect("a runtime"));
    const OTHER: i64 = 5;
    let other = {
        let store = super::store(uri);
        runtime.block_on(store.commit(TenantId(OTHER as u32), super::bounds::of(0..1)))
    };
    assert_eq!(other.expect("committed").len(), 1);
    let first = Process::start(uri, OPEN);
    fill(&first, "p", 40);
    first.put("PUT", "SearchParameter/x-birth", &birth("x-birth", "city")).is(201);
    until("it is usable", SOON, || first.get("Patient?x-birth=oslo").status == 200 && is_ready(&first, "x-birth"));
    let mut held = runtime.block_on(async {
        let client = mongodb::Client::with_uri_str(uri).await.expect("connects");
        let tenants = client.default_database().expect("named").collection::<mongodb::bson::Document>("tenants");
        let mut session = client.start_session().await.expect("a session");
        session.start_transaction().await.expect("begun");
        let (key, set) = (doc! { "_id": OTHER }, doc! { "$set": { "held": true } });
        assert_eq!(tenants.update_one(key, set).session(&mut session).await.expect("taken").matched_count, 1);
        session
    });
    first.put("PUT", "SearchParameter/x-land", &birth("x-land", "country")).is(201);
    until("the second job goes on", SOON, || first.log().matches(TAKEN).count() >= 2);
    let late = Process::start(uri, OPEN);
    let strict = [("prefer", "handling=strict")];
    assert_eq!(total(&late, "Patient?x-birth=oslo"), 20, "at once");
    let status = Status::of(&late);
    assert_eq!((status.ready("x-birth"), status.ready("x-land")), (Some(true), Some(false)));
    assert_eq!(late.get_with("Patient?x-land=no", &strict).status, 400);
    assert_ne!(Status::of(&late).state(), "completed");
    runtime.block_on(async { held.abort_transaction().await }).expect("ended");
    until("the other one is usable, too", LATE, || late.get_with("Patient?x-land=no", &strict).status == 200);
    assert_eq!(total(&late, "Patient?x-land=no"), 40);
    assert_eq!(total(&late, "Patient?x-birth=oslo"), 20);
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

/// Primaries come and go, the database is away, and of steps of the job the end is not known: it is done all the same.
#[test]
fn the_job_outlives_what_befalls_the_database() {
    let Some((three, set)) = Three::behind_a_proxy(OPEN) else { return };
    fill(&three.a, "p", 4000);
    three.a.put("PUT", "SearchParameter/x-birth", &birth("x-birth", "city")).is(201);
    until("somebody is in the midst of it", SOON, || three.all().iter().any(|process| process.log().contains(TAKEN)));
    set.befall(&[Mishap::DoneAndForgotten, Mishap::EndedAndForgotten, Mishap::DoneAndCut, Mishap::CutBefore]);
    until("the steps went wrong", SOON, || set.happened() == 4);
    set.elect(Some(1));
    std::thread::sleep(Duration::from_millis(500));
    set.reachable(false);
    std::thread::sleep(Duration::from_secs(1));
    set.reachable(true);
    set.cut();
    for process in three.all() {
        until("it is usable", LATE, || {
            let answer = process.get("Patient?x-birth=oslo&_summary=count");
            answer.status == 200 && answer.json()["total"] == 2000
        });
    }
    is_whole(&three);
}
