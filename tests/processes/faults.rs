//! The database fails while three processes write: the primary moves, nobody is primary for a while, connections are
//! cut, answers to commits are lost, everything is away. A proxy rehearses it (`support::proxy` says what it cannot).
//! The recorded history decides what is right. `VESTA_TEST_GONE_SECONDS=60` keeps the database away for a minute.

use super::recorded::Recorded;
use super::{Three, at_once::scatter, until};
use crate::support::processes::run;
use crate::support::proxy::{Mishap, ReplicaSet};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

const OPEN: &[&str] = &["--auth", "off", "--validation", "off"];
/// With a trail, so that there is one to verify.
const WATCHED: &[&str] = &["--auth", "off", "--validation", "off", "--audit", "writes"];
/// The machine that tests may be slow: within this everything has to be well again.
const WELL: Duration = Duration::from_secs(30);

/// Six clients write through three processes while something happens.
fn while_writing(three: &Three, recorded: &Recorded, happens: impl FnOnce()) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for n in 0..6_u64 {
            let (three, recorded, done) = (three, recorded, &done);
            scope.spawn(move || {
                for step in 0.. {
                    if done.load(Ordering::SeqCst) {
                        return;
                    }
                    recorded.act(three.all()[n as usize % 3], scatter(n * 10_007 + step));
                }
            });
        }
        let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(happens));
        done.store(true, Ordering::SeqCst);
        if let Err(panic) = happened {
            std::panic::resume_unwind(panic);
        }
    });
}

fn judge(three: &Three, recorded: &Recorded) {
    println!("{}", recorded.summary());
    for process in three.all() {
        until("the process is ready again", WELL, || process.get("/health/ready").status == 200);
    }
    let faults = recorded.faults(&three.a);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    three.is_gapless();
    let told = |arguments: &[&str]| String::from_utf8(run(three.database.uri(), arguments).stdout).expect("text");
    let checked = told(&["check"]);
    assert!(checked.contains(" 0 faults"), "{checked}");
    println!("{}; {}", checked.trim(), told(&["audit", "verify"]).trim());
}

/// How often the processes say that they looked up a commit that took place, or did not.
fn looked_up(three: &Three, took_place: bool) -> usize {
    let said = format!("took_place={took_place}");
    let logs = three.all().map(|p| p.log());
    logs.iter().flat_map(|log| log.lines()).filter(|l| l.contains("was looked up") && l.contains(&said)).count()
}

#[test]
fn the_primary_moves_while_three_processes_write() {
    let Some((three, set)) = Three::behind_a_proxy(WATCHED) else { return };
    let recorded = Recorded::default();
    recorded.prepare(&three.a);
    while_writing(&three, &recorded, || {
        sleep(Duration::from_millis(700));
        set.elect(None);
        sleep(Duration::from_secs(2));
        set.elect(Some(1));
        sleep(Duration::from_millis(1500));
        set.elect(Some(2));
        sleep(Duration::from_millis(1500));
        set.cut();
        sleep(Duration::from_millis(700));
        set.cut();
        sleep(Duration::from_millis(700));
    });
    judge(&three, &recorded);
}

#[test]
fn answers_to_commits_are_lost_and_looked_up() {
    let Some((three, set)) = Three::behind_a_proxy(WATCHED) else { return };
    let recorded = Recorded::default();
    recorded.prepare(&three.a);
    let every = [Mishap::DoneAndForgotten, Mishap::EndedAndForgotten, Mishap::DoneAndCut, Mishap::CutBefore];
    while_writing(&three, &recorded, || {
        for round in 1..=4 {
            set.befall(&every);
            until("the commits went wrong", WELL, || set.happened() == round * every.len() as u64);
            sleep(Duration::from_millis(200));
        }
    });
    judge(&three, &recorded);
    let (took_place, did_not) = (looked_up(&three, true), looked_up(&three, false));
    println!("{took_place} commits were looked up and had taken place, {did_not} had not");
    // Of each round two; the second of them may befall a commit that is sent again and was done before.
    let each = took_place + did_not >= 8 && took_place >= 4 && did_not >= 1;
    assert!(each, "each of the commits that went wrong was looked up");
}

#[test]
fn the_database_is_gone_for_a_while() {
    let Some((three, set)) = Three::behind_a_proxy(WATCHED) else { return };
    let seconds = std::env::var("VESTA_TEST_GONE_SECONDS").ok().and_then(|s| s.parse().ok()).unwrap_or(4);
    let recorded = Recorded::default();
    recorded.prepare(&three.a);
    let process = &three.b;
    const COUNTER: &str = "Patient/counter-0";
    let away = |told: &str, first_writes: bool, seconds: u64, gone: &dyn Fn(bool)| {
        gone(true);
        let began = Instant::now();
        let mut took = Vec::new();
        while began.elapsed() < Duration::from_secs(seconds) {
            for write in [first_writes, !first_writes] {
                let asked = Instant::now();
                let answer = if write { recorded.create(process) } else { recorded.look(process, COUNTER) };
                answer.refuses(503, "transient");
                assert!(!answer.header("retry-after").is_empty());
                took.push(asked.elapsed());
            }
            sleep(Duration::from_millis(20));
        }
        until("it says that it is not ready", WELL, || process.get("/health/ready").status == 503);
        assert_eq!(process.get("/health/live").status, 200);
        println!("{told}: the first took {:?}", took[0]);
        took.sort();
        let (count, median) = (took.len(), took[took.len() / 2]);
        let longest = took[count - 1];
        println!("{told}: {count} requests were refused, half of them within {median:?}, the longest took {longest:?}");
        // The first notice it, within a second; all others are told at once. The machine that tests may be busy.
        assert!(median < Duration::from_secs(1), "{told}: {median:?}");
        assert!(longest < Duration::from_secs(10), "{told}: {longest:?}");
        gone(false);
        let took = until("it is ready again", WELL, || process.get("/health/ready").status == 200);
        println!("{told}: ready again after {took:?}");
        recorded.look(process, COUNTER).is(200);
        recorded.create(process).is(201);
    };
    away("unreachable", false, seconds, &|gone| set.reachable(!gone));
    away("silent", false, seconds, &|gone| set.silent(gone));
    away("silent to a write", true, 2, &|gone| set.silent(gone));
    while_writing(&three, &recorded, || {
        sleep(Duration::from_millis(500));
        set.reachable(false);
        sleep(Duration::from_secs(2));
        set.reachable(true);
        sleep(Duration::from_millis(1500));
    });
    judge(&three, &recorded);
}

/// Without change streams the processes ask; with them again they are told.
#[test]
fn notices_come_with_change_streams_and_without() {
    let Some((three, set)) = Three::behind_a_proxy(OPEN) else { return };
    let store = super::store(&three.uri);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let heard = |streaming: bool| {
        until("it streams, or not", WELL, || store.is_streaming() == streaming);
        super::listening(&runtime, &store, || {
            three.b.put("POST", "Patient", &json!({"resourceType": "Patient"})).is(201);
        })
    };
    println!("by a change stream after {:?}", heard(true));
    set.streams(false);
    println!("by comparing after {:?}", heard(false));
    set.streams(true);
    println!("by a change stream after {:?}", heard(true));
}

/// A set with several members or names is one already; the tests behind a proxy are skipped there.
#[test]
fn a_real_set_is_not_stood_in_for() {
    for uri in ["mongodb://a:1,b:2/x?replicaSet=r", "mongodb://db.example.org/x", "mongodb://u:p@127.0.0.1:1/x"] {
        assert!(ReplicaSet::before(uri).is_none(), "{uri}");
    }
    assert!(ReplicaSet::before("mongodb://127.0.0.1:1/x?replicaSet=r").is_some());
}
