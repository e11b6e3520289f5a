//! `vesta check`: verifies everything that is stored and compares the index with it. Another process reads, because
//! damage to the pages of the store's file may end whoever reads them at once; this one lives to tell.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use indicatif::{ProgressBar, ProgressStyle};
use std::process::{Command, ExitStatus};

/// Set for the process that reads.
const READS: &str = "VESTA_CHECK_READS";

/// Checks the data directory.
pub fn run(settings: &Settings) -> Result<(), Fault> {
    wire::filled(settings)?;
    // A database's files are not read here.
    match settings.database().is_some() || std::env::var_os(READS).is_some() {
        true => read(settings),
        false => watch(),
    }
}

/// Has another process read, and says it where that does not come to an end. All else that one has said.
fn watch() -> Result<(), Fault> {
    let own = std::env::current_exe().map_err(Fault::Server)?;
    let arguments = std::env::args_os().skip(1);
    let ended = Command::new(own).args(arguments).env(READS, "1").status().map_err(Fault::Server)?;
    match ended.code() {
        Some(0) => Ok(()),
        Some(code) => std::process::exit(code),
        None if is_crash(ended) => Err(Fault::Store(format!(
            "the file of the store is damaged so that its pages cannot be read ({ended}); restore a backup"
        ))),
        None => Err(Fault::Store(format!("the check was ended before it was done ({ended})"))),
    }
}

/// Whether a process was ended by what it did itself, and not by others.
fn is_crash(ended: ExitStatus) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        matches!(ended.signal(), Some(libc::SIGBUS | libc::SIGSEGV | libc::SIGABRT))
    }
    #[cfg(not(unix))]
    {
        let _ = ended;
        true
    }
}

fn read(settings: &Settings) -> Result<(), Fault> {
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
