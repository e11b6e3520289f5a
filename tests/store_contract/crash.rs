//! kill -9 in the middle of commits: every write that was acknowledged is there afterwards, and no half transaction.

use super::world::*;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use vesta::base::SystemClock;
use vesta::store::embedded::Options;
use vesta::store::{Store, Transaction};

const ROUNDS: u64 = 10;

/// In most rounds versions are sealed and merged all the time, so that the kill falls into it.
fn options(round: u64) -> Options {
    sealed_after([10, 3, 1, 50, 16_384][round as usize % 5])
}

/// Writes until it is killed: transactions of several resources from several tasks. Says what was acknowledged.
/// Not a test of its own: the process that the one below kills.
#[test]
fn child_that_writes() {
    let Some(directory) = std::env::var_os("VESTA_TEST_CRASH") else { return };
    let round: u64 = std::env::var("VESTA_TEST_ROUND").expect("a round").parse().expect("a number");
    let store = open_with(Path::new(&directory), Arc::new(SystemClock), &options(round)).expect("opened");
    let store = Arc::new(store);
    wait(async {
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut dice = Dice(round * 100 + task);
                    for n in 0_u64.. {
                        let tag = format!("{round}-{task}-{n}");
                        let size = 1 + dice.below(5);
                        // Resources of the task's own, so that what is newest is known.
                        let writes = (0..size)
                            .map(|i| put(PATIENT, &format!("t{task}-{i}"), &[term(20, tag.as_bytes())]))
                            .chain([put(OBSERVATION, &tag, &[term(21, size.to_string().as_bytes())])]);
                        let audit = vec![record(&[term(22, tag.as_bytes())], &tag)];
                        let whole = Transaction { writes: writes.collect(), audit, ..Transaction::default() };
                        store.commit(TENANT, whole).await.expect("committed");
                        println!("\ndone {tag} {size}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
    });
}

#[test]
fn nothing_acknowledged_is_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut acknowledged: HashMap<String, u64> = HashMap::new();
    for round in 0..ROUNDS {
        acknowledged.extend(write_and_kill(directory.path(), round));
        wait(verify(directory.path(), round, &acknowledged));
    }
    assert!(acknowledged.len() as u64 > ROUNDS * 5, "{} transactions", acknowledged.len());
}

/// Lets a child write for a while and kills it; gives what it had acknowledged.
fn write_and_kill(directory: &Path, round: u64) -> Vec<(String, u64)> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "store_contract::crash::child_that_writes", "--nocapture"])
        .env("VESTA_TEST_CRASH", directory)
        .env("VESTA_TEST_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let mut done = Vec::new();
    let read = |line: String, done: &mut Vec<_>| {
        // A line that was cut off by the kill is not an acknowledgement.
        if let Some((tag, size)) = line.strip_prefix("done ").and_then(|l| l.split_once(' '))
            && let Ok(size) = size.parse()
        {
            done.push((tag.to_owned(), size));
        }
    };
    while done.len() < 20 {
        read(lines.next().expect("it writes").expect("text"), &mut done);
    }
    std::thread::sleep(Duration::from_millis(20 + 37 * (round % 6)));
    child.kill().expect("killed");
    for line in lines.map_while(Result::ok) {
        read(line, &mut done);
    }
    child.wait().expect("ended");
    done
}

async fn verify(directory: &Path, round: u64, acknowledged: &HashMap<String, u64>) {
    let store = open_with(directory, Arc::new(SystemClock), &options(round)).expect("opened after the kill");
    let report = store.check(&mut |_, _| {}).expect("checked");
    assert!(report.is_sound(), "{report:?}");
    for tag in acknowledged.keys() {
        let read = now(&store).await.read(OBSERVATION, &id(tag)).await.expect("read");
        assert!(read.is_some(), "{tag} was acknowledged and is lost");
    }
    let (faults, records) = trail_faults(&store).await;
    assert!(faults.is_empty(), "{faults:?}");
    let trail = store.snapshot(TENANT.trail()).await.expect("a snapshot");
    assert_eq!(trail.position(), records);
    for tag in acknowledged.keys() {
        let told = trail.search(&query(ENCOUNTER, has(22, tag))).await.expect("found");
        assert_eq!(told.total, Some(1), "the record of {tag} was acknowledged");
    }
    // Every transaction that is there, acknowledged or not, is there as a whole.
    let mut position = 0;
    loop {
        let log = store.changes(TENANT, position, 1).await.expect("a log");
        if log.versions.is_empty() {
            break;
        }
        position = log.position;
        let last = log.versions.last().expect("not empty");
        assert_eq!(last.kind, OBSERVATION, "the last write of a transaction");
        let expected = acknowledged.get(last.id.as_str());
        assert!(expected.is_none_or(|size| size + 1 == log.versions.len() as u64), "half of {}", last.id);
        let size = log.versions.len() as u64 - 1;
        let json = String::from_utf8(last.to_json("Observation").expect("a body")).expect("text");
        let term: String = term(21, size.to_string().as_bytes()).0.iter().map(|b| format!("{b:02x}")).collect();
        assert!(json.contains(&term), "half of {}: {} resources", last.id, size);
    }
}
