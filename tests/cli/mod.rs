//! The program as it is used from a shell: commands, settings, exit codes, what it says.

mod commands;
mod moving;
mod settings;
#[cfg(feature = "mongodb")]
mod unfinished;
mod user;

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program on a data directory, without the variables of this process.
pub fn vesta(data: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
    command.arg("--data").arg(data).args(arguments).env_clear().output().expect("runs")
}

pub fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
