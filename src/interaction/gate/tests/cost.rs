//! What the gate costs: the same reads with access control off, by a user and by an app of one patient. Run by hand
//! on an optimised build: `cargo test --release --lib gate::tests::cost -- --ignored --nocapture`.

use super::World;
use crate::access::{Caller, Role};
use std::time::Instant;

#[test]
#[ignore = "a measurement"]
fn reads() {
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
        for (name, caller) in &callers {
            let mut best = f64::MAX;
            for _ in 0..7 {
                let start = Instant::now();
                for _ in 0..2_000 {
                    world.ask(caller, line, "");
                }
                best = best.min(start.elapsed().as_secs_f64() / 2_000.0 * 1e6);
            }
            println!("{line}: {name} {best:.1} µs");
        }
    }
}
