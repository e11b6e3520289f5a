//! What outlives the process: parameters after a restart, and a job that was killed.

use super::{BIRTHPLACE, Status, ids, parameter, wait_until_ready};
use crate::support::Client;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A server of its own process; killed when this is dropped.
pub(super) struct Process {
    child: Child,
    pub client: Client,
}

impl Process {
    pub fn start(data: &Path) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_vesta"))
            .args(["serve", "--auth", "off", "--bind", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let base = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, base) = line.split_once("FHIR base")?;
            Some(base.trim().to_owned())
        });
        // What it says afterwards is read away, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let client = Client::new(&base.expect("it says its base"));
        Process { child, client }
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn fill(client: &Client, round: usize) {
    let entry = |n: usize| {
        let id = format!("r{round}-{n}");
        let city = if n.is_multiple_of(2) { "Oslo" } else { "Bergen" };
        let patient = json!({"resourceType": "Patient", "id": id,
            "extension": [{"url": BIRTHPLACE, "valueAddress": {"city": city, "country": "NO"}}]});
        json!({"resource": patient, "request": {"method": "PUT", "url": format!("Patient/{id}")}})
    };
    let entries: Vec<Value> = (0..600).map(entry).collect();
    client.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(200);
}

fn birth(of: &str) -> Value {
    parameter("x-birth", "string", &format!("Patient.extension('{BIRTHPLACE}').value.as(Address).{of}"))
}

#[test]
fn a_job_that_was_killed_goes_on_at_the_start() {
    let data = tempfile::tempdir().expect("a directory");
    for round in 0..6 {
        let server = Process::start(data.path());
        fill(&server.client, round);
        let of = if round % 2 == 0 { "city" } else { "country" };
        let answer = server.client.put("PUT", "SearchParameter/x-birth", &birth(of));
        assert!([200, 201].contains(&answer.status), "{}", answer.text());
        // The moment of the kill moves through the job.
        std::thread::sleep(std::time::Duration::from_millis(7 * round as u64));
        server.kill();
        let server = Process::start(data.path());
        wait_until_ready(&server.client, &["x-birth"]);
        let expected = if of == "city" { 300 } else { 0 } * (round + 1);
        let total = |query: &str| server.client.get(query).is(200).json()["total"].as_u64().expect("a total") as usize;
        assert_eq!(total("Patient?x-birth=oslo&_summary=count"), expected, "round {round}");
        let all = if of == "city" { 0 } else { 600 } * (round + 1);
        assert_eq!(total("Patient?x-birth=no&_summary=count"), all, "round {round}");
        server.kill();
    }
    // A job that is done leaves a segment, made by a server of another address than the check assumes: no fault.
    let server = Process::start(data.path());
    server.client.put("PUT", "SearchParameter/x-birth", &birth("city")).is(200);
    wait_until_ready(&server.client, &["x-birth"]);
    server.kill();
    assert!(std::fs::read_dir(data.path().join("index")).expect("an index").count() > 0);
    let checked = Command::new(env!("CARGO_BIN_EXE_vesta")).args(["check", "--data"]).arg(data.path()).output();
    let checked = checked.expect("it runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    // And what was ended before a restart stays ended.
    let server = Process::start(data.path());
    server.client.send("DELETE", "SearchParameter/x-birth", &[], None).is(204);
    server.kill();
    let server = Process::start(data.path());
    assert_eq!(Status::of(&server.client).ready("x-birth"), None);
    server.client.get_with("Patient?x-birth=oslo", &[("prefer", "handling=strict")]).refuses(400, "not-supported");
    assert!(ids(&server.client, "Patient?_id=r0-0").contains(&"r0-0".to_owned()));
}
