//! `vesta terminology`: large code systems from the files that their owners publish. Whoever uses them needs their
//! owners' licence; Vesta ships none.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::Event;
use crate::interaction::Service;
use crate::terminology::release::{Kind, Release};
use indicatif::{ProgressBar, ProgressStyle};
use std::path::PathBuf;

/// What is done with code systems.
#[derive(Debug, clap::Subcommand)]
pub enum TerminologyCommand {
    /// Import the release files of a code system; one of the same version is replaced
    Import {
        /// The unpacked release: the folder that holds the snapshot of SNOMED CT, Loinc.csv, or RXNCONSO.RRF
        folder: PathBuf,
        /// Whose files they are, where their names do not tell
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// The version, where the files do not tell it: 2.77 of LOINC; of an edition of SNOMED CT its canonical with
        /// /MODULE/version/YYYYMMDD behind it
        #[arg(long = "release", value_name = "VERSION")]
        version: Option<String>,
    },
    /// List the imported code systems: canonical, version, concepts
    List,
    /// Remove an imported code system, named as CANONICAL|VERSION
    Remove {
        /// Such as `http://loinc.org|2.77`
        canonical: String,
    },
}

/// The form of release files.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Format {
    /// SNOMED CT
    Rf2,
    /// LOINC
    Loinc,
    /// RxNorm
    Rxnorm,
}

/// Runs a command on code systems.
pub fn run(settings: &Settings, command: &TerminologyCommand) -> Result<(), Fault> {
    let told = |failure: crate::base::Failure| Fault::Store(failure.to_string());
    let record = |service: &Service, done: &str, system: &str| {
        wire::wait(wire::record(service, settings, Event::administration(done, "code-system", system)))?
    };
    match command {
        TerminologyCommand::Import { folder, format, version } => {
            let kind = format.map(|format| match format {
                Format::Rf2 => Kind::Rf2,
                Format::Loinc => Kind::Loinc,
                Format::Rxnorm => Kind::Rxnorm,
            });
            // What cannot be read is said before the data directory is opened.
            let reading = ProgressBar::new_spinner().with_message(format!("reading {}", folder.display()));
            reading.enable_steady_tick(std::time::Duration::from_millis(100));
            let release = Release::read(folder, kind, version.as_deref()).map_err(Fault::Resource)?;
            reading.finish_and_clear();
            let service = wire::open(settings)?.service;
            let bar = ProgressBar::new(0);
            let style = ProgressStyle::with_template("storing: {bar:30} {pos} of {len} parts");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            let told_of = |done: usize, all: usize| {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
            };
            let info = wire::wait(service.add_release(release, told_of))?.map_err(told)?;
            bar.finish_and_clear();
            record(&service, "import", &format!("{}|{}", info.url, info.version))?;
            println!("imported {}|{}: {} concepts", info.url, info.version, info.concepts);
        }
        TerminologyCommand::List => {
            let service = wire::open(settings)?.service;
            for info in wire::wait(service.releases())?.map_err(told)? {
                println!("{}\t{}\t{} concepts", info.url, info.version, info.concepts);
            }
        }
        TerminologyCommand::Remove { canonical } => {
            let (url, version) = canonical.split_once('|').unwrap_or((canonical, ""));
            let service = wire::open(settings)?.service;
            if !wire::wait(service.remove_release(url, version))?.map_err(told)? {
                return Err(Fault::Resource(format!("no code system {canonical} was imported")));
            }
            record(&service, "remove", canonical)?;
            println!("removed {canonical}");
        }
    }
    Ok(())
}
