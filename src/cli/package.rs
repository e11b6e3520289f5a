//! `vesta package`: the implementation guides in a data directory. The server must not be running on it; where it is,
//! the operations `$package-add`, `$package-remove` and `$package-list` do the same.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::Event;
use crate::definitions::Package;
use crate::interaction::Service;
use std::path::PathBuf;

/// What is done with packages.
#[derive(Debug, clap::Subcommand)]
pub enum PackageCommand {
    /// Add packages (.tgz, .tar.zst, or folders); one of the same name and version is replaced
    Add {
        /// Archives or folders
        #[arg(required = true)]
        paths: Vec<PathBuf>,
    },
    /// List the packages
    List,
    /// Remove a package, named as NAME#VERSION
    Remove {
        /// Such as hl7.fhir.us.core#6.1.0
        package: String,
    },
}

/// Runs a command on packages.
pub fn run(settings: &Settings, command: &PackageCommand) -> Result<(), Fault> {
    // What cannot be read is said before the data directory is opened.
    let mut packages = Vec::new();
    if let PackageCommand::Add { paths } = command {
        for path in paths {
            packages.push(Package::read(path).map_err(Fault::Resource)?);
        }
    }
    let service = wire::open(settings)?.service;
    let told = |failure: crate::base::Failure| Fault::Store(failure.to_string());
    let record = |done: &str, package: &str| {
        wire::wait(wire::record(&service, settings, Event::administration(done, "package", package)))?
    };
    match command {
        PackageCommand::Add { .. } => {
            for package in packages {
                let info = wire::wait(service.add_package(package))?.map_err(told)?;
                record("add", &format!("{}#{}", info.name, info.version))?;
                println!("added {}#{}: {} resources", info.name, info.version, info.resources);
            }
            // What is interrupted is made at the next start, which would take longer for it.
            while service.indexing_progress().running {
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
            for (parameter, why) in service.search_parameters_left_out() {
                println!("  not in effect: {parameter}: {why}");
            }
        }
        PackageCommand::List => list(&service),
        PackageCommand::Remove { package } => {
            let (name, version) = package.split_once('#').unwrap_or((package, ""));
            if !wire::wait(service.remove_package(name, version))?.map_err(told)? {
                return Err(Fault::Resource(format!("no package {package} is loaded")));
            }
            record("remove", package)?;
            println!("removed {package}");
        }
    }
    Ok(())
}

fn list(service: &Service) {
    for package in service.packages() {
        println!("{}#{}\t{} resources", package.name, package.version, package.resources);
    }
}
