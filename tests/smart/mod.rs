//! The authorization server as apps, browsers and attackers see it. Of the threat model's cases, C19 and C20 (forms and
//! passwords) are with the pages; C23 has no place to happen: no address takes one to go on to; D14 and D15 are in
//! `discovery` and `backend`; D16 in `discovery` (nothing private is published); H01 to H04 in `limits`.

mod authorize;
mod backend;
mod discovery;
mod limits;
mod registration;
mod tokens;
mod world;
