//! The storage contract as tests, each written once against `dyn Store` and run on every engine. Types and terms are
//! made up here, so that nothing of FHIR stands between a test and the engine.
//!
//! `VESTA_TEST_STORE=memory`, `embedded`, `sealing` (embedded, with few versions in memory), `encrypted` or `mongodb` runs
//! one engine only. The engine on MongoDB (feature `mongodb`) is tested where `VESTA_TEST_MONGODB_URI` names a replica set.

mod backup;
mod budgets;
mod change_log;
#[cfg(feature = "mongodb")]
mod checking;
mod commits;
mod crash;
mod differential;
mod directory;
mod encryption;
mod guards;
mod history;
mod items;
#[cfg(feature = "mongodb")]
mod leading;
mod lease;
mod moving;
mod paging;
mod searches;
mod segments;
mod snapshots;
mod tampering;
mod trail;
mod world;
