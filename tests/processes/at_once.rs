//! Three processes write at once: conditional forms, version checks, paging, history and change log hold as if there
//! were one.

use super::Three;
use super::recorded::Recorded;
use crate::support::processes::BASE;
use crate::support::{Answer, json};
use serde_json::json;
use std::collections::HashSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

const OPEN: &[&str] = &["--auth", "off", "--validation", "off"];

/// A small generator of numbers (splitmix64).
pub fn scatter(n: u64) -> u64 {
    let z = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[test]
fn of_conditional_creates_in_three_processes_one_creates() {
    let Some(three) = Three::start(OPEN) else { return };
    for round in 0..5 {
        let criteria = format!("identifier=urn:one|{round}");
        let body =
            json!({"resourceType": "Patient", "identifier": [{"system": "urn:one", "value": round.to_string()}]});
        let body = serde_json::to_vec(&body).expect("JSON");
        let barrier = Barrier::new(12);
        let answers: Vec<Answer> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..12)
                .map(|n| {
                    let (three, barrier, criteria, body) = (&three, &barrier, &criteria, &body);
                    scope.spawn(move || {
                        let headers = [("content-type", "application/fhir+json"), ("if-none-exist", criteria.as_str())];
                        barrier.wait();
                        three.all()[n % 3].send("POST", "Patient", &headers, Some(body))
                    })
                })
                .collect();
            clients.into_iter().map(|c| c.join().expect("ran")).collect()
        });
        let created = answers.iter().filter(|a| a.status == 201).count();
        assert_eq!(created, 1, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|a| [200, 201, 409, 503].contains(&a.status)));
        for process in three.all() {
            let found = process.get(&format!("Patient?{}", criteria.replace('|', "%7C"))).is(200).json();
            assert_eq!(found["total"], 1);
        }
    }
}

#[test]
fn of_updates_of_one_version_in_three_processes_one_wins() {
    let Some(three) = Three::start(OPEN) else { return };
    three.a.put("PUT", "Patient/x", &json(r#"{"resourceType":"Patient","id":"x"}"#)).is(201);
    for version in 1..=5 {
        let etag = format!("W/\"{version}\"");
        let barrier = Barrier::new(9);
        let answers: Vec<u16> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..9)
                .map(|n| {
                    let (three, barrier, etag) = (&three, &barrier, &etag);
                    scope.spawn(move || {
                        let headers = [("content-type", "application/fhir+json"), ("if-match", etag.as_str())];
                        let body = json!({"resourceType": "Patient", "id": "x", "multipleBirthInteger": n});
                        let body = serde_json::to_vec(&body).expect("JSON");
                        barrier.wait();
                        three.all()[n % 3].send("PUT", "Patient/x", &headers, Some(&body)).status
                    })
                })
                .collect();
            clients.into_iter().map(|c| c.join().expect("ran")).collect()
        });
        assert_eq!(answers.iter().filter(|s| **s == 200).count(), 1, "{answers:?}");
        assert!(answers.iter().all(|s| [200, 409, 412, 503].contains(s)), "{answers:?}");
    }
    for process in three.all() {
        assert_eq!(process.get("Patient/x/_history?_count=100").is(200).json()["total"], 6);
    }
}

/// A chain of pages that is begun at one process and followed at the others shows the moment at which it began, whatever
/// is written meanwhile.
#[test]
fn a_chain_of_pages_is_followed_from_process_to_process() {
    let Some(three) = Three::start(OPEN) else { return };
    let entry = |n: u64| {
        json!({
            "resource": {"resourceType": "Patient", "id": format!("p{n}"), "gender": "female", "multipleBirthInteger": 0},
            "request": {"method": "PUT", "url": format!("Patient/p{n}")}
        })
    };
    let entries: Vec<_> = (0..120).map(entry).collect();
    three.a.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(200);
    let done = AtomicBool::new(false);
    let wrote = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for n in 0..3_u64 {
            let (three, done, wrote) = (&three, &done, &wrote);
            scope.spawn(move || {
                for step in 0.. {
                    if done.load(Ordering::SeqCst) {
                        return;
                    }
                    let at = scatter(n * 1000 + step) % 120;
                    let process = three.all()[n as usize];
                    let body = json!({"resourceType": "Patient", "id": format!("p{at}"), "gender": "female", "multipleBirthInteger": step + 1});
                    let answer = match step % 3 {
                        0 => process.put("PUT", &format!("Patient/p{at}"), &body),
                        1 => process.send("DELETE", &format!("Patient/p{at}"), &[], None),
                        _ => process.put("POST", "Patient", &json!({"resourceType": "Patient", "gender": "female", "multipleBirthInteger": 1})),
                    };
                    assert!([200, 201, 204, 409, 503].contains(&answer.status), "{}", answer.text());
                    wrote.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        // What a chain has to show is what a whole page of the same moment shows; the moment stands in the link.
        for round in 0..3 {
            let begun_after = wrote.load(Ordering::SeqCst);
            let (mut seen, mut versions) = (HashSet::new(), Vec::new());
            let mut next = Some("Patient?gender=female&_count=10&_total=accurate".to_owned());
            let (mut total, mut pages) = (None, 0);
            while let Some(path) = next {
                let page = three.all()[(round + pages) % 3].get(&path).is(200).json();
                pages += 1;
                total = total.or(page["total"].as_u64());
                for entry in page["entry"].as_array().into_iter().flatten() {
                    let id = entry["resource"]["id"].as_str().expect("an id").to_owned();
                    versions.push((id.clone(), entry["resource"]["meta"]["lastUpdated"].to_string()));
                    assert!(seen.insert(id.clone()), "{id} was shown twice");
                }
                let links = page["link"].as_array().into_iter().flatten();
                let link = links.filter(|l| l["relation"] == "next").find_map(|l| l["url"].as_str());
                next = link.and_then(|u| u.strip_prefix(BASE)).map(|p| p.trim_start_matches('/').to_owned());
            }
            assert_eq!(Some(seen.len() as u64), total, "the chain shows what there was at its beginning");
            assert!(pages >= 8, "{pages} pages");
            let during = wrote.load(Ordering::SeqCst) - begun_after;
            println!("{pages} pages, {} resources, {during} writes meanwhile", seen.len());
        }
        done.store(true, Ordering::SeqCst);
    });
}

/// Clients write, read and move through three processes; the recorded history is judged.
#[test]
fn a_recorded_history_of_three_processes_is_right() {
    let Some(three) = Three::start(OPEN) else { return };
    let recorded = Recorded::default();
    recorded.prepare(&three.a);
    std::thread::scope(|scope| {
        for n in 0..6_u64 {
            let (three, recorded) = (&three, &recorded);
            scope.spawn(move || {
                for step in 0..40 {
                    recorded.act(three.all()[n as usize % 3], scatter(n * 10_007 + step));
                }
            });
        }
    });
    println!("{}", recorded.summary());
    for process in three.all() {
        let faults = recorded.faults(process);
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }
    three.is_gapless();
}
