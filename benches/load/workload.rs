//! The workloads: which requests, and how their answers are checked.

use crate::client::{Answer, Connection};
use crate::generator::{self, Random};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

/// One request and what its answer must look like.
pub struct Call {
    /// HTTP method.
    pub method: &'static str,
    /// Path and query under the base.
    pub target: String,
    /// JSON body.
    pub body: Option<String>,
    status: u16,
    /// Must stand in the body.
    holds: String,
}

impl Call {
    fn get(target: String, holds: impl Into<String>) -> Call {
        Call { method: "GET", target, body: None, status: 200, holds: holds.into() }
    }

    /// Whether the answer is the right one.
    pub fn check(&self, answer: &Answer<'_>) -> Result<(), String> {
        let body = String::from_utf8_lossy(answer.body);
        if answer.status == self.status && body.contains(&self.holds) {
            Ok(())
        } else {
            let start: String = body.chars().take(300).collect();
            Err(format!(
                "a wrong answer voids the run: {} {} gave {} where {} with {:?} was expected: {start}",
                self.method, self.target, answer.status, self.status, self.holds
            ))
        }
    }
}

/// A row of the table.
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// Resources in one request, for rows that count resources.
    pub weight: usize,
    call: fn(&mut Random) -> Call,
}

/// The endless calls of one connection.
pub struct Calls {
    random: Random,
    call: fn(&mut Random) -> Call,
}

impl Calls {
    /// The next request.
    pub fn next(&mut self) -> Call {
        (self.call)(&mut self.random)
    }
}

impl Workload {
    /// The calls of connection `n`.
    pub fn calls(&self, n: u64) -> Calls {
        Calls { random: Random::new(n + 77), call: self.call }
    }
}

/// Patients that were loaded; set once by [`load`].
static PATIENTS: AtomicU64 = AtomicU64::new(2_000);
/// For values that must be new in every request.
static FRESH: AtomicUsize = AtomicUsize::new(1_000_000_000);

fn any_patient(random: &mut Random) -> u64 {
    random.below(PATIENTS.load(Ordering::Relaxed))
}

fn fresh() -> u64 {
    FRESH.fetch_add(1, Ordering::Relaxed) as u64
}

/// The fixed body of the probe.
pub static STATIC: Workload = Workload { name: "static body", weight: 1, call: |_| Call::get("/".to_owned(), "xxxx") };

/// The rows of `docs/performance.md`. Reads and searches come first, so that they see what was loaded and no more.
pub static ALL: &[Workload] = &[
    Workload {
        name: "read",
        weight: 1,
        call: |random| {
            let n = any_patient(random);
            Call::get(format!("/Patient/p{n}"), format!("\"id\":\"p{n}\""))
        },
    },
    Workload {
        name: "Patient?name=",
        weight: 1,
        call: |random| {
            // The family names carry the patient's number, so that one name gives few patients.
            let n = any_patient(random);
            let patient = generator::patient(n, None);
            let family = patient.split("\"family\":\"").nth(1).and_then(|s| s.split('"').next()).unwrap_or_default();
            Call::get(format!("/Patient?name={family}"), "\"searchset\"")
        },
    },
    Workload {
        name: "Observation?patient=&code=",
        weight: 1,
        call: |random| {
            let patient = generator::subject(random, PATIENTS.load(Ordering::Relaxed));
            let code = generator::code(random.zipf(generator::CODES));
            Call::get(
                format!("/Observation?patient=p{patient}&code=http://loinc.org%7C{code}&_count=20"),
                "\"searchset\"",
            )
        },
    },
    Workload {
        name: "Observation?code=&date=ge",
        weight: 1,
        call: |random| {
            let code = generator::code(random.zipf(generator::CODES));
            let (year, month) = (2010 + random.below(16), 1 + random.below(12));
            Call::get(
                format!("/Observation?code=http://loinc.org%7C{code}&date=ge{year}-{month:02}-01&_count=20"),
                "\"searchset\"",
            )
        },
    },
    Workload {
        name: "Observation?code=&_summary=count",
        weight: 1,
        call: |random| {
            let code = generator::code(random.zipf(generator::CODES));
            Call::get(format!("/Observation?code=http://loinc.org%7C{code}&_summary=count"), "\"total\"")
        },
    },
    Workload {
        name: "Observation?code= with _include",
        weight: 1,
        call: |random| {
            let code = generator::code(random.zipf(generator::CODES));
            Call::get(
                format!("/Observation?code=http://loinc.org%7C{code}&_count=10&_include=Observation:patient"),
                "\"searchset\"",
            )
        },
    },
    Workload {
        name: "create Patient (durable)",
        weight: 1,
        call: |_| {
            let body = generator::patient(fresh(), None);
            Call {
                method: "POST",
                target: "/Patient".to_owned(),
                body: Some(body),
                status: 201,
                holds: "\"versionId\":\"1\"".to_owned(),
            }
        },
    },
    Workload {
        name: "update Patient (durable)",
        weight: 1,
        call: |random| {
            let n = any_patient(random);
            let id = format!("p{n}");
            let body = generator::patient(n, Some(&id));
            Call {
                method: "PUT",
                target: format!("/Patient/{id}"),
                body: Some(body),
                status: 200,
                holds: format!("\"id\":\"{id}\""),
            }
        },
    },
    Workload {
        name: "transaction of 100, res./s (durable)",
        weight: 100,
        call: |_| {
            let entries: Vec<String> = (0..100)
                .map(|_| {
                    let resource = generator::observation(fresh(), PATIENTS.load(Ordering::Relaxed), None);
                    format!("{{\"resource\":{resource},\"request\":{{\"method\":\"POST\",\"url\":\"Observation\"}}}}")
                })
                .collect();
            let body =
                format!("{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{}]}}", entries.join(","));
            Call { method: "POST", target: String::new(), body: Some(body), status: 200, holds: "\"201".to_owned() }
        },
    },
];

/// What loading did.
pub struct Load {
    /// Resources stored.
    pub resources: usize,
    /// How long it took.
    pub seconds: f64,
    /// Bytes of their JSON text.
    pub json_bytes: usize,
}

/// Loads patients and their observations in transactions of 500, one after the other.
pub async fn load(base: &str, token: Option<&str>, resources: usize) -> Result<Load, String> {
    let patients = generator::patients(resources);
    PATIENTS.store(patients, Ordering::Relaxed);
    let mut connection = Connection::open(base, token).await?;
    let start = Instant::now();
    let mut json_bytes = 0;
    let mut at = 0;
    while at < resources {
        let end = (at + 500).min(resources);
        let entries: Vec<String> = (at..end)
            .map(|n| {
                let (kind, id) =
                    if (n as u64) < patients { ("Patient", format!("p{n}")) } else { ("Observation", format!("o{n}")) };
                let resource = match kind {
                    "Patient" => generator::patient(n as u64, Some(&id)),
                    _ => generator::observation(n as u64, patients, Some(&id)),
                };
                json_bytes += resource.len();
                format!("{{\"resource\":{resource},\"request\":{{\"method\":\"PUT\",\"url\":\"{kind}/{id}\"}}}}")
            })
            .collect();
        let body =
            format!("{{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{}]}}", entries.join(","));
        let call = Call {
            method: "POST",
            target: String::new(),
            body: Some(body),
            status: 200,
            holds: "transaction-response".to_owned(),
        };
        let answer = connection.send(&call).await?;
        call.check(&answer)?;
        at = end;
    }
    Ok(Load { resources, seconds: start.elapsed().as_secs_f64(), json_bytes })
}
