//! The storage contract as tests, each written once against `dyn Store` and run on every engine. Types and terms are
//! made up here, so that nothing of FHIR stands between a test and the engine.
//!
//! `VESTA_TEST_STORE=memory`, `embedded`, `sealing` (embedded, with few versions in memory) or `encrypted` runs one
//! engine only.

mod change_log;
mod commits;
mod crash;
mod differential;
mod directory;
mod encryption;
mod guards;
mod history;
mod items;
mod searches;
mod segments;
mod snapshots;
mod tampering;
mod trail;
mod world;
