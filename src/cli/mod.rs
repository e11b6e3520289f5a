//! The command line: commands and settings, and the one place where the parts are wired together (`wire`).

#[allow(dead_code)] // until the other commands are in
mod documents;
#[allow(dead_code)]
mod fault;
mod log;
mod serve;
#[allow(dead_code)]
mod settings;
mod units;
mod wire;

use clap::{Parser, Subcommand};
use fault::Fault;
use settings::Settings;
use std::path::PathBuf;
use std::process::ExitCode;

const AFTER_HELP: &str = "\
Every setting can be a flag (--max-body 8MB), a variable of the environment (VESTA_MAX_BODY=8MB) or a line of the file
given with --config (max-body = \"8MB\"). A flag wins over the environment, that over the file, and the file over the
default.

Examples:
  vesta                                       serve http://127.0.0.1:8080/fhir, data in ./data
  vesta --data /var/lib/vesta --bind 127.0.0.1:9000
  vesta --tls-cert chain.pem --tls-key key.pem --metrics-bind 127.0.0.1:9090
  vesta import bundles/ more.ndjson.gz        load files into the data directory
  vesta export backup/                        write everything as NDJSON, a file for each type
  vesta validate patient.json                 say what is wrong with a resource";

/// Vesta: a FHIR R4 server in one binary.
#[derive(Debug, Parser)]
#[command(name = "vesta", version, after_help = AFTER_HELP, max_term_width = 110)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// TOML file with settings
    #[arg(long, env = "VESTA_CONFIG", value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve FHIR over HTTP (also without any command)
    Serve,
    /// Print the OpenAPI document
    Openapi,
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("vesta: {fault}");
            ExitCode::from(fault.exit_code())
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Fault> {
    let settings = match &arguments.config {
        Some(file) => arguments.settings.over(Settings::of_file(file)?)?,
        None => arguments.settings,
    };
    log::begin(&settings)?;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&settings),
        Command::Openapi => documents::openapi(&settings),
    }
}
