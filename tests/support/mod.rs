//! What the integration tests stand on: a real server in this process, on a free port and an empty data directory,
//! and a client that shows answers as they are.

mod client;
mod device;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(feature = "mongodb")]
pub mod processes;
#[cfg(feature = "mongodb")]
pub mod proxy;
mod server;

pub use client::{Answer, Client, json};
pub use device::Device;
pub use server::TestServer;

/// Says that a test was skipped, where `cargo test` shows it: what the macros print is kept back.
pub fn skipped(why: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// The folder with the data that is not in this repository, or `None` where it is missing; then it says that the
/// test was skipped.
pub fn shared_data(test: &str) -> Option<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if folder.is_dir() {
        return Some(folder);
    }
    skipped(format_args!("{test} needs {}", folder.display()));
    None
}
