//! Over the embedded store and patients of Synthea, with writers beside the job: an answer is either refused or whole.

use super::{BIRTHPLACE, Status, ids, parameter, wait_until_ready};
use crate::support::{TestServer, shared_data};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering};

const JSON: [(&str, &str); 1] = [("content-type", "application/fhir+json")];

/// The bundles of five patients, and how many of them were born where.
fn load(server: &TestServer) -> Option<Vec<(String, usize)>> {
    let data = shared_data("search parameters on patients of Synthea")?;
    let files = crate::real_data::json_files(&data.join("synthea/synthea-small-5.tar.zst"));
    let first = |name: &str| name.contains("hospital") || name.contains("practitioner");
    let (before, patients): (Vec<_>, Vec<_>) = files.iter().partition(|(name, _)| first(name));
    for (_, bundle) in before.into_iter().chain(patients) {
        server.send("POST", "", &JSON, Some(bundle)).is(200);
    }
    let all = server.get("Patient?_count=1000").is(200).json();
    let mut cities: Vec<(String, usize)> = Vec::new();
    for entry in all["entry"].as_array().expect("patients") {
        let extensions = entry["resource"]["extension"].as_array().expect("extensions");
        let place = extensions.iter().find(|e| e["url"] == BIRTHPLACE).expect("a birth place");
        let city = place["valueAddress"]["city"].as_str().expect("a city").to_owned();
        match cities.iter_mut().find(|(c, _)| *c == city) {
            Some((_, count)) => *count += 1,
            None => cities.push((city, 1)),
        }
    }
    Some(cities)
}

#[test]
fn real_patients_are_found_and_writers_beside_the_job_lose_nothing() {
    let server = TestServer::start();
    let Some(cities) = load(&server) else { return };
    let born = |id: &str| {
        json!({"resourceType": "Patient", "id": id,
            "extension": [{"url": BIRTHPLACE, "valueAddress": {"city": "Vestaville"}}]})
    };
    // Some are there before, and change while the job runs.
    for n in 0..50 {
        server.put("PUT", &format!("Patient/w0-{n}"), &born(&format!("w0-{n}"))).is(201);
    }
    let over = AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3)
            .map(|writer| {
                let (server, over, born) = (&server, &over, &born);
                scope.spawn(move || {
                    let mut written = Vec::new();
                    for n in 0.. {
                        let id = format!("w{writer}-{n}");
                        let answer = match n % 3 {
                            0 => {
                                let entry = json!({"resource": born(&id), "request": {"method": "PUT", "url": format!("Patient/{id}")}});
                                server.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}))
                            }
                            _ => server.put("PUT", &format!("Patient/{id}"), &born(&id)),
                        };
                        assert!([200, 201].contains(&answer.status), "{}", answer.text());
                        written.push(id);
                        if over.load(Ordering::SeqCst) && n >= 60 {
                            return written;
                        }
                    }
                    written
                })
            })
            .collect();
        let expression = format!("Patient.extension.where(url='{BIRTHPLACE}').value.ofType(Address).city");
        let posted = parameter("x-birth-city", "string", &expression);
        server.put("PUT", "SearchParameter/x-birth-city", &posted).is(201);
        // At any moment the answer is refused or whole.
        loop {
            let (city, count) = &cities[0];
            let answer = server.get(&format!("Patient?x-birth-city:exact={}", city.replace(' ', "%20")));
            match answer.status {
                400 => assert!(answer.text().contains("not indexed by it yet"), "{}", answer.text()),
                _ => {
                    assert_eq!(answer.is(200).json()["total"], *count);
                    break;
                }
            }
        }
        wait_until_ready(&server, &["x-birth-city"]);
        over.store(true, Ordering::SeqCst);
        let mut written: Vec<String> = writers.into_iter().flat_map(|w| w.join().expect("no panic")).collect();
        written.extend((0..50).map(|n| format!("w0-{n}")));
        written.sort();
        written.dedup();
        written
    });
    for (city, count) in &cities {
        let found = ids(&server, &format!("Patient?x-birth-city:exact={}", city.replace(' ', "%20")));
        assert_eq!(found.len(), *count, "{city}");
    }
    assert_eq!(ids(&server, "Patient?x-birth-city=vestaville&_count=1000&_elements=id"), written);
    // Changed while somebody searches: never an answer by half.
    let country = format!("Patient.extension.where(url='{BIRTHPLACE}').value.ofType(Address).country");
    server.put("PUT", "SearchParameter/x-birth-city", &parameter("x-birth-city", "string", &country)).is(200);
    wait_until_ready(&server, &["x-birth-city"]);
    assert!(ids(&server, "Patient?x-birth-city=vestaville").is_empty());
    let all: usize = cities.iter().map(|(_, count)| count).sum();
    assert_eq!(ids(&server, "Patient?x-birth-city:missing=false&_count=1000").len(), all);
    let metrics: Value = Status::of(&server).0;
    assert!(metrics["parameter"].is_array());
}
