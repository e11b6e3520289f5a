//! Where log lines go: to standard error, as text or as JSON; and panics with them.

use super::fault::Fault;
use super::settings::{LogFormat, Settings};
use std::io::IsTerminal;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::prelude::*;

/// Begins to log as the settings say. A second call changes nothing.
pub fn begin(settings: &Settings) -> Result<(), Fault> {
    let level = settings.log_level.as_deref().unwrap_or("info,actix_server=warn");
    let filter: Targets = level.parse().map_err(|e| Fault::Settings(format!("log-level {level:?}: {e}")))?;
    let colours = std::io::stderr().is_terminal();
    let lines = match settings.log.unwrap_or(LogFormat::Text) {
        LogFormat::Text => layer().with_ansi(colours).with_target(false).with_writer(std::io::stderr).boxed(),
        LogFormat::Json => layer().json().flatten_event(true).with_writer(std::io::stderr).boxed(),
    };
    let _ = tracing_subscriber::registry().with(filter).with(lines).try_init();
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        // A message that was put together may quote what was worked on, which is patients' data: only fixed ones.
        let what = panic.payload().downcast_ref::<&str>().copied().unwrap_or("(the message may quote data)");
        tracing::error!(place, what, "panic");
    }));
    Ok(())
}
