//! `vesta export`: writes every current resource as NDJSON, a file for each type, or all to standard output.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Writes everything into a folder, or to standard output if it is `-`.
pub fn run(settings: &Settings, to: &Path) -> Result<(), Fault> {
    let wired = wire::open(settings)?;
    let moment = wired.moment()?;
    if to == Path::new("-") {
        let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
        for kind in &wired.definitions.resources {
            moment.each(*kind, &mut |json| line(&mut out, json).map_err(Fault::Server))?;
        }
        return out.flush().map_err(Fault::Server);
    }
    prepare(to)?;
    let mut all = 0;
    for kind in &wired.definitions.resources {
        let name = wired.definitions.name(*kind);
        let path = to.join(format!("{name}.ndjson"));
        let mut out = None;
        let mut count = 0u64;
        moment.each(*kind, &mut |json| {
            let out = match &mut out {
                Some(out) => out,
                // A type that has no resources gets no file.
                None => out.insert(BufWriter::new(File::create_new(&path).map_err(|e| Fault::file(&path, e))?)),
            };
            count += 1;
            line(out, json).map_err(|e| Fault::file(&path, e))
        })?;
        if let Some(out) = out {
            let file = out.into_inner().map_err(|e| Fault::file(&path, e.into_error()))?;
            file.sync_all().map_err(|e| Fault::file(&path, e))?;
            println!("{name:<36} {count:>10}");
        }
        all += count;
    }
    println!("{:<36} {all:>10}", "all");
    Ok(())
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

fn line(out: &mut impl Write, json: &[u8]) -> std::io::Result<()> {
    out.write_all(json)?;
    out.write_all(b"\n")
}
