//! `vesta openapi` and `vesta capabilities`: print the documents that say what this server does. They are the same for
//! the same version, so that they can be compared with the committed ones.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::definitions::Definitions;
use crate::http::openapi;
use std::io::Write;

/// Prints the OpenAPI document.
pub fn openapi(settings: &Settings) -> Result<(), Fault> {
    let definitions = Definitions::core();
    let base_path = settings.http().base_path;
    print(&openapi::pretty(&definitions, &wire::operations(&definitions), &base_path))
}

fn print(text: &str) -> Result<(), Fault> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
    match written {
        // Whoever closed the pipe has seen enough.
        Err(why) if why.kind() != std::io::ErrorKind::BrokenPipe => Err(Fault::Server(why)),
        _ => Ok(()),
    }
}
