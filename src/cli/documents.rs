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
    print(&openapi_document(settings))
}

/// The OpenAPI document, indented.
pub fn openapi_document(settings: &Settings) -> String {
    openapi::pretty(openapi::Described {
        definitions: &Definitions::core(),
        base_path: &settings.http().base_path,
        trail: settings.audit_level().is_on(),
        guarded: settings.access_control(),
    })
}

/// Prints the CapabilityStatement.
pub fn capabilities(settings: &Settings) -> Result<(), Fault> {
    print(&capability_statement(settings)?)
}

/// The CapabilityStatement, indented.
pub fn capability_statement(settings: &Settings) -> Result<String, Fault> {
    let service = wire::without_data(settings);
    let base = settings.bases().into_iter().next_back().unwrap_or_default();
    let statement = service.statement(&base);
    let value = serde_json::from_slice(&statement).map_err(|e| Fault::Settings(e.to_string()))?;
    Ok(openapi::indented(&value))
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
