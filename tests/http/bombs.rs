//! Many small bodies that unpack to large ones, at the same time: each is refused, memory stays bounded, and others are
//! served. The program has a process of its own, so that its memory can be measured.
#![cfg(target_os = "linux")]

use super::stop::{Program, start};
use crate::support::Client;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

/// Ends with the test, however that ends.
struct Running(Program);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.child.kill();
        let _ = self.0.child.wait();
    }
}

/// The most memory that a process has used so far, in MB.
fn most_used(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the mark");
    line.trim().trim_end_matches("kB").trim().parse::<u64>().expect("a number") >> 10
}

#[test]
fn gzip_bombs_at_once_do_not_fill_the_memory() {
    const BOMBS: usize = 50;
    let data = tempfile::tempdir().expect("a directory");
    let running = Running(start(data.path(), &["--max-body", "16MB", "--max-bodies", "64MB"]));
    let program = &running.0;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..17 {
        packed.write_all(&[b' '; 1 << 20]).expect("packs");
    }
    let bomb = packed.finish().expect("packs");
    assert!(bomb.len() < 100 << 10);
    let headers = [("content-type", "application/fhir+json"), ("content-encoding", "gzip")];
    let client = Client::new(&program.base);
    let id = client.create(&super::patient("Shaw"));
    // What one of them needs is no surprise.
    client.send("POST", "Patient", &headers, Some(&bomb)).refuses(413, "too-long");
    let before = most_used(program.child.id());
    let (over, base) = (AtomicBool::new(false), program.base.clone());
    let (answers, served) = std::thread::scope(|threads| {
        let sending: Vec<_> = (0..BOMBS)
            .map(|_| threads.spawn(|| Client::new(&base).send("POST", "Patient", &headers, Some(&bomb))))
            .collect();
        let others = threads.spawn(|| {
            let mut served = 0;
            while !over.load(Ordering::Relaxed) || served == 0 {
                client.get(&format!("Patient/{id}")).is(200);
                served += 1;
            }
            served
        });
        let answers: Vec<_> = sending.into_iter().map(|one| one.join().expect("an answer")).collect();
        over.store(true, Ordering::Relaxed);
        (answers, others.join().expect("the others are served"))
    });
    for answer in &answers {
        match answer.status {
            413 => answer.refuses(413, "too-long"),
            _ => answer.refuses(503, "throttled"),
        };
    }
    let grown = most_used(program.child.id()) - before;
    // All of them unpacked at once would be 800 MB, and half as much again while they grow.
    assert!(grown < 400, "{grown} MB more than for one of them; {served} others were served");
    client.create(&super::patient("Bell"));
}
