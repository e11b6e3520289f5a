//! Floor 7: the RESTful interactions (R4 http.html). The gate: nothing above can name the store.

mod batch;
mod binary;
mod bundle;
mod capabilities;
pub(crate) mod commit;
mod conditional;
mod create;
mod delete;
mod export;
mod history;
mod import;
mod include;
pub(crate) mod incoming;
pub mod outcome;
pub(crate) mod page;
mod patch;
mod provenance;
pub(crate) mod read;
pub(crate) mod references;
mod request;
pub mod route;
pub(crate) mod search;
mod service;
mod subset;
#[cfg(test)]
mod tests;
mod transaction;
mod update;

pub use import::{Imported, Refused};
pub use request::{
    Context, Effect, Handling, Interaction, Media, Payload, Preconditions, Prefer, Reply, ReplyContent, Request,
    Return, Verb,
};
pub use service::{Service, Settings};
