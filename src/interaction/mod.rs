//! Floor 7: the RESTful interactions (R4 http.html). The gate: nothing above can name the store.

#![allow(dead_code)] // until the interactions that use it are in

pub mod outcome;
mod request;
pub mod route;
mod service;

pub use request::{
    Context, Effect, Handling, Interaction, Media, Payload, Preconditions, Prefer, Reply, ReplyContent, Request,
    Return, Verb,
};
pub use service::{Service, Settings};
