//! The command line: commands and settings, and the one place where the parts are wired together (`wire`).

mod aside;
mod audit;
mod backup;
mod check;
mod client;
pub mod documents;
mod encryption;
mod export;
pub mod fault;
mod fhirpath;
mod import;
mod issuer;
mod key;
mod key_source;
mod launch;
mod log;
mod package;
mod progress;
mod serve;
pub mod settings;
mod source;
mod store;
mod terminology;
mod token;
pub mod units;
mod user;
mod validate;
pub mod wire;

use crate::definitions::generate;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use fault::Fault;
use settings::Settings;
use std::path::{Path, PathBuf};
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
  vesta export resources/                     write every resource as NDJSON, a file for each type
  vesta backup monday.vesta                   write everything into a file, as of one moment
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
    /// Load resources: Bundles, single resources, NDJSON, archives (.json .xml .ndjson .tar, also .gz .zst)
    ///
    /// Files whose names hold "hospital" or "practitioner" come first, because others refer to them. The server
    /// must not be running on the same data directory. Ends with code 1 if anything was refused, and says why.
    Import {
        /// Files, or folders that are searched through
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// Write every resource as NDJSON; the records of the audit trail come by `vesta audit list --json`
    Export {
        /// Folder, made if it is missing; or - for standard output
        to: PathBuf,
    },
    /// Verify everything that is stored, and that the index tells the same
    Check,
    /// Write everything, as of one moment, into a file; also while a server runs
    ///
    /// A directory is read beside the server that has it, on the same machine (in the same container). The file is
    /// whole or not there.
    Backup {
        /// The file, which must not exist
        file: PathBuf,
        /// Write only what came after an earlier backup, or after one that was taken on top of one
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
        #[command(flatten)]
        key: backup::Key,
        /// Write the backup of an encrypted store unencrypted
        #[arg(long)]
        plain: bool,
    },
    /// Read a backup, and those taken on top of it, into an empty directory or database
    ///
    /// All files are tried before anything is written. If it is ended, the same command goes on.
    Restore {
        /// A whole backup, then those taken on top of it in order
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Only what was committed up to a moment (2026-11-23T08:00:00Z), or up to a number of the change log (1234)
        #[arg(long, value_name = "INSTANT|COMMIT")]
        until: Option<String>,
        #[command(flatten)]
        key: backup::Key,
    },
    /// Verify the audit trail, take a checkpoint of it, or look through it
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Encrypt what is stored, decrypt it, or change the key
    Encryption {
        #[command(subcommand)]
        command: encryption::Command,
    },
    /// Say what is wrong with the resources in some files
    Validate {
        /// Files, or folders that are searched through
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Canonical of a profile to hold them against, beside those that they declare
        #[arg(long = "profile", value_name = "CANONICAL")]
        profiles: Vec<String>,
        /// Package (.tgz or folder) whose definitions count
        #[arg(long = "package", value_name = "PACKAGE")]
        packages: Vec<PathBuf>,
    },
    /// Add, list or remove packages of implementation guides
    Package {
        #[command(subcommand)]
        command: package::PackageCommand,
    },
    /// Import, list or remove large code systems: SNOMED CT, LOINC, RxNorm
    ///
    /// The server must not be running on the same data directory. Servers on a database take it up by themselves.
    Terminology {
        #[command(subcommand)]
        command: terminology::TerminologyCommand,
    },
    /// Evaluate a FHIRPath expression on a resource
    ///
    /// Prints one result a line: its type, a tab, its value (elements as JSON; line breaks and backslashes in strings
    /// with the escapes of JSON); what trace() shows goes to standard error. Ends with code 2 if the expression does
    /// not parse, 3 if it fails while evaluated.
    Fhirpath {
        /// The expression, such as Patient.name.given
        expression: String,
        /// A resource as JSON or XML
        file: PathBuf,
        /// Package (.tgz or folder) whose profiles and value sets conformsTo() and memberOf() know
        #[arg(long = "package", value_name = "PACKAGE")]
        packages: Vec<PathBuf>,
    },
    /// The people who may sign in: add, list, show, set-password,
    /// reset-second-factor, disable, enable, delete
    ///
    /// The server must not be running on the same data directory.
    User {
        #[command(subcommand)]
        command: user::UserCommand,
    },
    /// The apps and backend services that may ask for tokens
    Client {
        #[command(subcommand)]
        command: client::ClientCommand,
    },
    /// The keys that id_tokens are signed with
    Key {
        #[command(subcommand)]
        command: key::KeyCommand,
    },
    /// Print an access token for a user that holds for an hour; the server must not be running on the same data
    Token(token::Wanted),
    /// Begin an EHR launch at a running server, as the user of an access token
    Launch(launch::Launched),
    /// What concerns the store itself: indexes, copy
    Store {
        #[command(subcommand)]
        command: store::StoreCommand,
    },
    /// Print the CapabilityStatement
    Capabilities,
    /// Print the OpenAPI document
    Openapi,
    /// Make the tables of definitions anew from the official package
    Definitions {
        /// The package: hl7.fhir.r4.core-4.0.1.tgz
        package: PathBuf,
        /// Folder of the tables: fhir-schemas
        out: PathBuf,
    },
}

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    // The help names the variables but not what is in them.
    let command = Arguments::command().mut_args(|argument| argument.hide_env_values(true));
    let arguments = Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|e| e.exit());
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
    settings.issuer().map_err(Fault::Settings)?;
    settings.tls().map_err(Fault::Settings)?;
    log::begin(&settings)?;
    match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(&settings),
        Command::Import { paths } => import::run(&settings, &paths),
        Command::Export { to } => export::run(&settings, &to),
        Command::Check => check::run(&settings),
        Command::Backup { file, since, key, plain } => backup::save(&settings, &file, since.as_deref(), &key, plain),
        Command::Restore { files, until, key } => backup::restore(&settings, &files, until.as_deref(), &key),
        Command::Encryption { command } => encryption::run(&settings, &command),
        Command::Audit { command } => audit::run(&settings, &command),
        Command::Validate { paths, profiles, packages } => validate::run(&paths, &profiles, &packages),
        Command::Package { command } => package::run(&settings, &command),
        Command::Terminology { command } => terminology::run(&settings, &command),
        Command::Fhirpath { expression, file, packages } => fhirpath::run(&expression, &file, &packages),
        Command::User { command } => user::run(&settings, command),
        Command::Client { command } => client::run(&settings, command),
        Command::Key { command } => key::run(&settings, command),
        Command::Token(wanted) => token::run(&settings, &wanted),
        Command::Launch(launched) => launch::run(&launched),
        Command::Store { command } => store::run(&settings, &command),
        Command::Capabilities => documents::capabilities(&settings),
        Command::Openapi => documents::openapi(&settings),
        Command::Definitions { package, out } => regenerate(&package, &out),
    }
}

fn regenerate(package: &Path, out: &Path) -> Result<(), Fault> {
    let summary = generate::write(package, out).map_err(Fault::Settings)?;
    println!("{summary}");
    Ok(())
}
