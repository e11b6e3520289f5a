//! What the integration tests stand on: a real server in this process, on a free port and an empty data directory,
//! and a client that shows answers as they are.

mod client;
mod server;

pub use client::{Answer, Client, json};
pub use server::TestServer;
