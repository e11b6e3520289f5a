//! Following `next` while others write: every resource that matched when the search began comes exactly once, in the
//! order of that moment, with what it includes; also backwards.

use crate::support::{Answer, TestServer};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vesta::cli::settings::Settings;

/// A small generator of numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

fn patient(world: &str, number: u64, family: u64) -> Value {
    json!({
        "resourceType": "Patient",
        "id": format!("{world}-{number}"),
        "name": [{"family": format!("f{family:05}")}],
        "identifier": [{"system": "urn:world", "value": world}],
        "managingOrganization": {"reference": format!("Organization/{world}")},
    })
}

/// Makes a world of patients by transactions; the families are a shuffle of their numbers.
fn fill(server: &TestServer, world: &str, count: u64) {
    let organization = json!({"resourceType": "Organization", "id": world, "name": world});
    server.put("PUT", &format!("Organization/{world}"), &organization).is(201);
    let numbers: Vec<u64> = (0..count).collect();
    for chunk in numbers.chunks(500) {
        let entry = |number: &u64| {
            let request = json!({"method": "PUT", "url": format!("Patient/{world}-{number}")});
            json!({"resource": patient(world, *number, number * 7919 % count), "request": request})
        };
        let entries: Vec<_> = chunk.iter().map(entry).collect();
        server.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(200);
    }
}

fn link(answer: &Value, relation: &str) -> Option<String> {
    let links = answer["link"].as_array().expect("links").iter();
    links.filter(|l| l["relation"] == relation).find_map(|l| Some(l["url"].as_str()?.to_owned()))
}

/// Ids of matches and of included resources.
fn ids(answer: &Value) -> (Vec<String>, Vec<String>) {
    let of = |mode: &str| {
        let entries = answer["entry"].as_array().into_iter().flatten().filter(|e| e["search"]["mode"] == mode);
        entries.map(|e| e["resource"]["id"].as_str().expect("an id").to_owned()).collect()
    };
    (of("match"), of("include"))
}

fn follow(server: &TestServer, url: &str) -> Value {
    let root = server.base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    server.get(url.strip_prefix(&root).expect("a link of this server")).is(200).json()
}

/// One change: a patient is moved across the order, deleted, created or changed in place.
fn disturb(server: &TestServer, world: &str, count: u64, dice: &mut Dice) {
    let number = dice.below(count + count / 5);
    let path = format!("Patient/{world}-{number}");
    let answer: Answer = match dice.below(4) {
        0 => server.send("DELETE", &path, &[], None),
        _ => server.put("PUT", &path, &patient(world, number, dice.below(count))),
    };
    assert!(answer.status < 300, "{}", answer.text());
}

/// Follows all pages; gives the ids in order, the last page, and a link to the first page of the same moment.
fn read_all(server: &TestServer, first: &str, mut between: impl FnMut()) -> (Vec<String>, Value, Option<String>) {
    let mut page = server.get(first).is(200).json();
    let mut seen = Vec::new();
    let (mut pages, mut begin) = (0, None);
    loop {
        pages += 1;
        if pages == 2 {
            begin = link(&page, "previous");
        }
        let (matches, included) = ids(&page);
        if first.contains("_include") {
            assert_eq!(included.len(), usize::from(!matches.is_empty()), "each included resource once a page");
        }
        seen.extend(matches);
        between();
        match link(&page, "next") {
            Some(next) => page = follow(server, &next),
            None => return (seen, page, begin),
        }
    }
}

fn numbers(seen: &[String]) -> Vec<u64> {
    seen.iter().map(|id| id.rsplit('-').next().expect("a number").parse().expect("a number")).collect()
}

#[test]
fn ten_thousand_come_once_while_writers_write() {
    const COUNT: u64 = 10_000;
    let server = Arc::new(TestServer::with(Settings { max_page: Some(20_000), ..Settings::default() }));
    fill(&server, "w", COUNT);
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..2)
        .map(|seed| {
            let (server, stop) = (server.clone(), stop.clone());
            std::thread::spawn(move || {
                let (mut dice, mut changes) = (Dice(seed), 0_u64);
                while !stop.load(Ordering::Relaxed) {
                    disturb(&server, "w", COUNT, &mut dice);
                    changes += 1;
                }
                changes
            })
        })
        .collect();
    // The state is that of the first page, which writers have begun to change by then: what it was is read in one go
    // from the same moment, by a page link with everything on it.
    for query in ["_sort=family&_include=Patient:organization", "_sort=-family,_id", ""] {
        let first = format!("Patient?identifier=urn:world%7Cw&_count=500&{query}");
        let (seen, last, begin) = read_all(&server, &first, || {});
        let begin = begin.expect("a way back to the first page").replace("_count=500", "_count=20000");
        assert_eq!(ids(&follow(&server, &begin)).0, seen, "all on one page of the same moment: {query}");
        let once: HashSet<_> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "each once: {query}");
        assert_eq!(last["total"].as_u64(), Some(seen.len() as u64), "all of them: {query}");
        // Back to the beginning by `previous`: the same, in the same order.
        let mut page = last;
        let mut back = vec![ids(&page).0];
        while let Some(previous) = link(&page, "previous") {
            page = follow(&server, &previous);
            back.push(ids(&page).0);
        }
        assert_eq!(back.into_iter().rev().flatten().collect::<Vec<_>>(), seen, "{query}");
        assert!(link(&page, "last").is_some());
    }
    stop.store(true, Ordering::Relaxed);
    let changes: u64 = writers.into_iter().map(|w| w.join().expect("no panic")).sum();
    assert!(changes > 100, "{changes} changes");
}

#[test]
fn two_hundred_small_worlds() {
    let server = TestServer::start();
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let (world, count) = (format!("s{seed}"), 8 + dice.below(25));
        fill(&server, &world, count);
        // What is expected is known before anything is changed.
        let mut expected: Vec<(u64, u64)> = (0..count).map(|n| (n * 7919 % count, n)).collect();
        expected.sort_unstable();
        let descending = dice.below(2) == 0;
        if descending {
            expected.sort_by_key(|(family, number)| (std::cmp::Reverse(*family), *number));
        }
        let sign = if descending { "-" } else { "" };
        let pages = 1 + dice.below(7);
        let first = format!(
            "Patient?identifier=urn:world%7C{world}&_sort={sign}family&_count={pages}&_include=Patient:organization"
        );
        let (seen, last, _) = read_all(&server, &first, || {
            for _ in 0..3 {
                disturb(&server, &world, count, &mut dice);
            }
        });
        let expected: Vec<_> = expected.into_iter().map(|(_, number)| number).collect();
        assert_eq!(numbers(&seen), expected, "world {seed}");
        assert_eq!(last["total"].as_u64(), Some(count));
        let begin = follow(&server, &link(&last, "first").expect("first"));
        assert_ne!(link(&begin, "self"), None);
    }
}

#[test]
fn a_link_belongs_to_its_search() {
    let server = TestServer::start();
    fill(&server, "x", 20);
    let page = server.get("Patient?identifier=urn:world%7Cx&_count=5").is(200).json();
    let next = link(&page, "next").expect("next");
    let place = next.split("_page=").nth(1).expect("a place").to_owned();
    server.get(&format!("Patient?identifier=urn:world%7Cx&_count=5&_page={place}")).is(200);
    server.get(&format!("Patient?identifier=urn:world%7Cy&_count=5&_page={place}")).refuses(400, "invalid");
    server.get(&format!("Organization?_count=5&_page={place}")).refuses(400, "invalid");
    let forged: String = place.chars().rev().collect();
    server.get(&format!("Patient?identifier=urn:world%7Cx&_count=5&_page={forged}")).refuses(400, "invalid");
}
