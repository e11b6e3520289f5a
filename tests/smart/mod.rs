//! The authorization server as apps, browsers and attackers see it. Which test shows which case of the threat model
//! stands in `docs/security.md`.

mod authorize;
mod backend;
mod discovery;
mod issuer;
mod limits;
mod outside_tokens;
mod registration;
mod tokens;
mod world;
