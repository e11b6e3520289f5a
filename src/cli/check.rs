//! `vesta check`: verifies everything that is stored and compares the index with it.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use indicatif::{ProgressBar, ProgressStyle};

/// Checks the data directory.
pub fn run(settings: &Settings) -> Result<(), Fault> {
    wire::filled(settings)?;
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} versions, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let checked = wire::check(settings, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    })?;
    bar.finish_and_clear();
    println!("{} versions of {} resources, {} faults", checked.versions, checked.resources, checked.faults);
    for fault in &checked.listed {
        println!("  {fault}");
    }
    if checked.faults == 0 { Ok(()) } else { Err(Fault::Found(checked.faults)) }
}
