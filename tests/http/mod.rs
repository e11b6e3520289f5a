//! HTTP as clients see it: one test for each rule on headers, formats, limits, and bad input.

mod answers;
mod bad_input;
mod bombs;
mod bounds;
mod cors;
mod declared;
mod declared_forms;
mod history;
mod limits;
mod negotiation;
mod packages;
mod paging;
mod panics;
mod patching;
pub mod people;
pub mod profiles;
mod searching;
mod site;
mod stop;
mod stored_profiles;
mod tls;

use crate::support::TestServer;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// One server for the tests that do not change its settings and do not mind what others store.
static SERVER: LazyLock<TestServer> = LazyLock::new(TestServer::start);

/// A small legal resource.
fn patient(family: &str) -> Value {
    json!({"resourceType": "Patient", "name": [{"family": family, "given": ["Amy"]}], "birthDate": "1987-02-20"})
}
