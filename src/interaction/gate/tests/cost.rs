//! What the gate costs in processor time: the same reads with access control off, by a user and by an app of one
//! patient. Run by hand on an optimised build: `cargo test --release --lib gate::tests::cost -- --ignored --nocapture`.

use super::World;
use crate::access::{Caller, Role};
use std::sync::LazyLock;
use std::time::Instant;

#[test]
#[ignore = "a measurement"]
fn reads() {
    super::DOUBT.store(false, std::sync::atomic::Ordering::Relaxed);
    let world = World::new();
    world.put(&format!(
        r#"{{"resourceType":"Observation","id":"large","status":"final","subject":{{"reference":"Patient/a"}},"code":{{"text":"x"}},"note":[{}]}}"#,
        [r#"{"text":"some words that make the resource about as large as they are in practice"}"#; 12].join(",")
    ));
    let callers = [
        ("off", Caller::Open),
        ("user", world.user(Role::Doctor, "Practitioner/shared", "user/*.rs")),
        ("patient", world.app("patient/*.rs", Some("a"))),
    ];
    for line in ["GET Observation/large", "GET Observation?_id=large,lab-a,vital-a,focus-a"] {
        let mut best = [f64::MAX; 3];
        // In turns, so that all of them meet the same machine.
        for _ in 0..30 {
            for ((_, caller), best) in callers.iter().zip(&mut best) {
                let start = spent();
                for _ in 0..300 {
                    world.ask(caller, line, "");
                }
                *best = best.min((spent() - start) / 300.0 * 1e6);
            }
        }
        for ((name, _), cost) in callers.iter().zip(&best) {
            println!("{line}: {name} {cost:.1} µs ({:+.0} %)", (cost / best[0] - 1.0) * 100.0);
        }
    }
}

/// Seconds that this thread has had a processor, where the system tells; else those that have passed.
fn spent() -> f64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| BEGAN.elapsed().as_secs_f64(), |nanoseconds| nanoseconds / 1e9)
}
