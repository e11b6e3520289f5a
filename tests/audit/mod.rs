//! The audit trail over HTTP and at the command line: what leaves a record, what the record says, who can read it, and
//! that tampering is found.

mod commands;
mod full;
mod own_account;
mod reading;
mod records;
mod refused;
mod routes;

use crate::support::{Answer, TestServer};
use serde_json::{Value, json};
use vesta::cli::settings::{AuditLevel, Settings};

/// A server that records everything.
fn server() -> TestServer {
    with(AuditLevel::All)
}

fn with(level: AuditLevel) -> TestServer {
    TestServer::with(Settings { audit: Some(level), ..Settings::default() })
}

/// How many records there are. Asking leaves one more.
fn count(server: &TestServer) -> u64 {
    server.get("AuditEvent?_summary=count").is(200).json()["total"].as_u64().expect("a total")
}

/// The one record that a request leaves, and the answer. Fails if it leaves none or several.
fn only_record(server: &TestServer, request: impl FnOnce() -> Answer) -> (Answer, Value) {
    let before = count(server);
    let answer = request();
    assert_eq!(count(server) - before, 2, "the request and the asking leave one record each: {}", answer.text());
    let record = server.get(&format!("AuditEvent/{}", before + 2)).is(200).json();
    (answer, record)
}

fn patient(family: &str) -> Value {
    json!({"resourceType": "Patient", "name": [{"family": family}]})
}

fn observation(patient: &str) -> Value {
    json!({"resourceType": "Observation", "status": "final", "code": {"text": "pulse"},
        "subject": {"reference": format!("Patient/{patient}")}})
}

/// The references of a record's entities.
fn about(record: &Value) -> Vec<&str> {
    let entities = record["entity"].as_array().map(Vec::as_slice).unwrap_or_default();
    entities.iter().filter_map(|e| e["what"]["reference"].as_str()).collect()
}
