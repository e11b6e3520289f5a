//! The gate under attack (cases A of the project's list of abuse cases): a world with two patients, whose every
//! resource is marked, and principals who may see only one of them. What a case means stands beside it; `generated`
//! expands those that are about all types and all routes.

mod cases;
mod consents;
mod cost;
mod generated;
mod policies;
mod terminology;
mod world;

use std::sync::atomic::AtomicBool;
use world::World;

/// Whether what a quick look at a body has shown is judged whole all the same, so that every request of these tests
/// holds the two judgements to each other.
pub(super) static DOUBT: AtomicBool = AtomicBool::new(true);
