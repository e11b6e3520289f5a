//! The authorization server as apps, browsers and attackers see it. Which test shows which case of the threat model
//! stands in `docs/security.md`.

mod attack;
mod authorize;
mod backend;
mod consents;
mod discovery;
mod issuer;
mod limits;
mod oracles;
mod outside_tokens;
mod registration;
mod scene;
mod time;
mod tokens;
mod trail;
pub mod world;
