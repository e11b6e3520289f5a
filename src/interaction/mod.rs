//! Floor 7: the RESTful interactions (R4 http.html). The gate: nothing above can name the store.
//!
//! A request comes in at [`Service::perform`]; [`route`] says which interaction it is; one file answers each:
//! `read`, `create`, `update`, `patch`, `delete` with their conditional forms, `history`, `search` with `include`,
//! `bundle` with `batch` and `transaction` (over `entry`), `capabilities`. They share `incoming` (what clients send),
//! `commit` (what is written, and the answer to it), `race` (when a write is tried again), `page` (the Bundles that
//! answer) and `subset` (`_summary`, `_elements`).
//! Between all of them and the store stands `gate`: it alone hands out states of the store and takes commits. `follow`
//! keeps what is in memory in step with other server processes.
//! Knows nothing of HTTP.

mod auditor;
mod batch;
mod binary;
mod bundle;
mod capabilities;
mod commit;
mod conditional;
mod conformance;
mod contained;
mod create;
mod delete;
mod entry;
pub(crate) mod examiner;
mod explain;
mod export;
mod follow;
mod gate;
mod history;
mod include;
pub(crate) mod incoming;
mod indexed;
pub mod outcome;
pub(crate) mod outside;
mod packages;
pub(crate) mod page;
mod patch;
mod provenance;
pub(crate) mod race;
pub(crate) mod read;
mod records;
pub(crate) mod references;
mod releases;
mod request;
pub mod route;
pub(crate) mod search;
pub(crate) mod search_parameters;
mod security;
mod service;
mod subset;
pub(crate) mod terminology;
mod terminology_capabilities;
#[cfg(test)]
pub(crate) mod tests;
mod trail;
mod transaction;
mod update;

pub use crate::store::{Budget, Lease, Limit, Notice, Notices, Waiting};
pub use auditor::Listed;
pub use history::PARAMETERS as HISTORY_PARAMETERS;
pub use records::{Item, ItemExpect, ItemWrite, Records};
pub use request::{
    Context, Effect, Handling, Interaction, Media, Payload, Preconditions, Prefer, Reply, ReplyContent, Request,
    Return, Strictness, Verb, version_ids,
};
pub use search_parameters::Progress;
pub use security::{Endpoints, PATH as AUTHORIZATION_PATH, origin};
pub use service::{Policy, Service, Settings};
pub use trail::without_tokens;
