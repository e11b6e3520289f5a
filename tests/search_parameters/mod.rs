//! Custom search parameters: SearchParameters that are posted or come with packages, from the write to the answers.

mod access;
mod held;
mod life;
pub mod packages;
mod process;
mod real;
mod refused;

use crate::support::Client;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The extension that the parameters of these tests are about.
pub const BIRTHPLACE: &str = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";

/// An active SearchParameter on Patient.
pub fn parameter(code: &str, kind: &str, expression: &str) -> Value {
    json!({
        "resourceType": "SearchParameter", "id": code, "url": format!("http://example.org/SearchParameter/{code}"),
        "name": format!("Test_{}", code.replace('-', "_")), "status": "active", "description": "of a test", "code": code,
        "base": ["Patient"], "type": kind, "expression": expression
    })
}

/// What `$reindex-status` says.
pub struct Status(pub Value);

impl Status {
    pub fn of(client: &Client) -> Status {
        Status(client.get("$reindex-status").is(200).json())
    }

    fn named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'s Value> {
        self.0["parameter"].as_array().expect("parameters").iter().filter(move |p| p["name"] == name)
    }

    pub fn state(&self) -> &str {
        self.named("status").next().and_then(|p| p["valueCode"].as_str()).expect("a status")
    }

    /// Whether the parameter of a code is ready; `None` if there is none.
    pub fn ready(&self, code: &str) -> Option<bool> {
        let part = |of: &Value, name: &str| {
            of["part"].as_array().and_then(|all| all.iter().find(|p| p["name"] == name).cloned()).unwrap_or_default()
        };
        let found = self.named("parameter").find(|p| part(p, "code")["valueCode"] == code)?;
        part(found, "ready")["valueBoolean"].as_bool()
    }

    /// The groups of what was left out, as text.
    pub fn left_out(&self) -> Vec<String> {
        self.named("leftOut").map(Value::to_string).collect()
    }
}

/// Waits until the parameters are ready.
pub fn wait_until_ready(client: &Client, codes: &[&str]) {
    let begun = Instant::now();
    loop {
        let status = Status::of(client);
        if codes.iter().all(|code| status.ready(code) == Some(true)) {
            assert_eq!(status.state(), "completed");
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(300), "{}", status.0);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The ids that a search finds, sorted.
#[track_caller]
pub fn ids(client: &Client, query: &str) -> Vec<String> {
    let answer = client.get(query);
    let bundle = answer.is(200).json();
    let matches = bundle["entry"].as_array().into_iter().flatten().filter(|e| e["search"]["mode"] == "match");
    let mut ids: Vec<String> = matches.map(|e| e["resource"]["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

/// The search parameters of a type in the CapabilityStatement: name and definition.
pub fn declared(client: &Client, kind: &str) -> Vec<(String, String)> {
    let statement = client.get("metadata").is(200).json();
    let all = statement["rest"][0]["resource"].as_array().expect("resources");
    let of = all.iter().find(|r| r["type"] == kind).expect("the type");
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    of["searchParam"].as_array().expect("some").iter().map(|p| (text(&p["name"]), text(&p["definition"]))).collect()
}
