//! The storage contract as tests, each written once against `dyn Store` and run on every engine. Types and terms are
//! made up here, so that nothing of FHIR stands between a test and the engine.
//!
//! `VESTA_TEST_STORE=memory`, `embedded` or `sealing` (embedded, with few versions in memory) runs one engine only.

mod change_log;
mod commits;
mod crash;
mod differential;
mod directory;
mod guards;
mod history;
mod items;
mod searches;
mod segments;
mod snapshots;
mod trail;
mod world;
