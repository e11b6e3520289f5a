//! `vesta export`: writes every current resource as NDJSON, a file for each type, or all to standard output.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::Event;
use crate::base::{Failure, TenantId};
use crate::definitions::TypeId;
use crate::interaction::Service;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes everything into a folder, or to standard output if it is `-`.
pub fn run(settings: &Settings, to: &Path) -> Result<(), Fault> {
    wire::filled(settings)?;
    let wired = wire::open(settings)?;
    if to != Path::new("-") {
        prepare(to)?;
    }
    // Before anything leaves.
    let event = Event::export(&to.display().to_string());
    wire::wait(wire::record(&wired.service, settings, event))??;
    if to == Path::new("-") {
        let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout());
        each(&wired.service, &mut |_, line| out.write_all(line))?;
        return out.flush().map_err(Fault::Server);
    }
    let mut files: BTreeMap<String, (BufWriter<File>, u64)> = BTreeMap::new();
    let all = each(&wired.service, &mut |kind, line| {
        let name = wired.definitions.name(kind);
        if !files.contains_key(name) {
            let file = BufWriter::with_capacity(1 << 16, File::create_new(to.join(format!("{name}.ndjson")))?);
            files.insert(name.to_owned(), (file, 0));
        }
        let Some((file, count)) = files.get_mut(name) else { return Ok(()) };
        *count += 1;
        file.write_all(line)
    })?;
    for (name, (file, count)) in files {
        let path = to.join(format!("{name}.ndjson"));
        let file = file.into_inner().map_err(|e| Fault::file(&path, e.into_error()))?;
        file.sync_all().map_err(|e| Fault::file(&path, e))?;
        println!("{name:<36} {count:>10}");
    }
    println!("{:<36} {all:>10}", "all");
    Ok(())
}

/// Hands over every resource as a line; all are of one moment.
fn each(service: &Service, take: &mut (dyn FnMut(TypeId, &[u8]) -> std::io::Result<()> + Send)) -> Result<u64, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(Fault::Server)?;
    let told = |failure: Failure| Fault::Store(failure.to_string());
    runtime.block_on(service.export(TenantId::default(), &[], take)).map_err(told)
}

/// Makes the folder. Files of an earlier export in it would be taken for part of this one.
fn prepare(folder: &Path) -> Result<(), Fault> {
    std::fs::create_dir_all(folder).map_err(|e| Fault::file(folder, e))?;
    let mut entries = std::fs::read_dir(folder).map_err(|e| Fault::file(folder, e))?;
    if entries.any(|entry| entry.is_ok_and(|e| e.path().extension().is_some_and(|x| x == "ndjson"))) {
        let why = "there are NDJSON files in it already; choose an empty folder";
        return Err(Fault::Settings(format!("{}: {why}", folder.display())));
    }
    Ok(())
}
