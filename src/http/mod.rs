//! Floor 9: HTTP. One handler turns a request into an [`interaction::Request`](crate::interaction::Request) and a
//! reply into a response. The only room that knows headers and media types; decides no rule of FHIR.

mod answer;
mod auth;
mod connection;
mod cors;
mod docs;
mod encoding;
mod exchange;
mod forwarded;
mod handler;
mod heavy;
mod held;
mod limits;
mod listener;
mod metrics;
mod negotiate;
pub mod openapi;
mod page;
mod request_id;
mod server;
mod site;
mod tls;

pub use forwarded::Network;
pub use limits::Limits;
pub use page::commands;
pub use server::{Server, told_to_stop};
pub use site::{Options, TlsFiles};
