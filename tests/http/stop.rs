//! Stopping: SIGTERM lets what is in flight end, refuses what is new, and gives the directory back.

use crate::support::Client;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The program in a process of its own.
pub struct Program {
    pub child: Child,
    pub base: String,
}

/// Starts it on a directory, without access control.
pub fn start(data: &std::path::Path, more: &[&str]) -> Program {
    let mut child = Command::new(env!("CARGO_BIN_EXE_vesta"))
        .args(["--bind", "127.0.0.1:0", "--grace", "5s", "--log-level", "error", "--auth", "off", "--data"])
        .arg(data)
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
    let base =
        lines.map_while(Result::ok).find_map(|l| l.trim().strip_prefix("FHIR base").map(|b| b.trim().to_owned()));
    Program { child, base: base.expect("it says where it serves") }
}

fn terminate(program: &Program) {
    let told = Command::new("kill").args(["-TERM", &program.child.id().to_string()]).status().expect("kill");
    assert!(told.success());
}

#[test]
fn sigterm_lets_requests_end_and_refuses_new_ones() {
    let data = tempfile::tempdir().expect("a directory");
    let mut program = start(data.path(), &[]);
    let address = program.base.split('/').nth(2).expect("an address").to_owned();
    let client = Client::new(&program.base);
    let id = client.create(&super::patient("Shaw"));

    // A request whose body is only half there when the signal comes.
    let body = super::patient("Bell").to_string();
    let mut slow = TcpStream::connect(&address).expect("connects");
    let head = format!(
        "POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-type: application/fhir+json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    slow.write_all(head.as_bytes()).expect("sends");
    slow.write_all(&body.as_bytes()[..10]).expect("sends");
    std::thread::sleep(Duration::from_millis(200));
    terminate(&program);
    std::thread::sleep(Duration::from_millis(200));

    let refused = Client::new(&program.base).get("metadata");
    refused.refuses(503, "transient");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(client.get("/health/ready").status, 503);
    assert_eq!(client.get("/health/live").status, 200);

    slow.write_all(&body.as_bytes()[10..]).expect("sends");
    let mut answer = String::new();
    slow.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    let _ = slow.read_to_string(&mut answer);
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");

    let began = Instant::now();
    let ended = loop {
        match program.child.try_wait().expect("waits") {
            Some(ended) => break ended,
            None if began.elapsed() > Duration::from_secs(10) => panic!("it does not end"),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(ended.success(), "{ended}");

    // What was acknowledged is there, and the directory can be opened again.
    let again = start(data.path(), &[]);
    let client = Client::new(&again.base);
    client.get(&format!("Patient/{id}")).is(200);
    assert_eq!(client.get("Patient?name=bell&_summary=count").json()["total"], 1);
    terminate(&again);
    let mut child = again.child;
    child.wait().expect("ends");
}
