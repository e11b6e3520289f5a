//! `vesta backup` and `vesta restore`: everything in one file, as of one moment, and back.

use super::fault::Fault;
use super::progress::Steps;
use super::settings::Settings;
use super::wire;
use super::wire::moving::Until;
use crate::base::Timestamp;
use crate::primitive::{DateTime, Precision};
use std::path::{Path, PathBuf};

/// The key of a backup.
#[derive(Debug, clap::Args)]
pub struct Key {
    /// Key of an encrypted backup: file:PATH, env:NAME or command:COMMAND
    #[arg(long, value_name = "KEY")]
    backup_key: Option<String>,
}

/// Writes a backup.
pub fn save(settings: &Settings, file: &Path, since: Option<&Path>, key: &Key, plain: bool) -> Result<(), Fault> {
    wire::filled(settings)?;
    if wire::moving::is_encrypted(settings) && key.backup_key.is_none() && !plain {
        let why = "the store is encrypted: name a key for the backup with --backup-key, or say --plain";
        return Err(Fault::Settings(why.into()));
    }
    // Told before anything leaves.
    wire::leaving(settings, &format!("backup to {}", file.display()))?;
    let mut steps = Steps::of("versions");
    let key = key.backup_key.as_deref();
    let done = wire::moving::backup(settings, file, since, key, &mut |step, done, all| steps.tell(step, done, all))?;
    steps.end();
    println!(
        "{} versions and audit records and {} items, as of {}, in {} ({} bytes)",
        done.versions,
        done.items,
        Timestamp(done.summary.made).to_instant(),
        file.display(),
        done.bytes
    );
    Ok(())
}

/// Restores backups.
pub fn restore(settings: &Settings, files: &[PathBuf], until: Option<&str>, key: &Key) -> Result<(), Fault> {
    let until = until.map(point).transpose()?;
    let mut steps = Steps::of("versions");
    let key = key.backup_key.as_deref();
    let done = wire::moving::restore(settings, files, until, key, &mut |step, done, all| steps.tell(step, done, all))?;
    steps.end();
    let last = done.last.map_or("none".to_owned(), Timestamp::to_instant);
    println!(
        "{} versions, {} audit records and {} items are restored; the last version is of {last}",
        done.versions, done.records, done.items
    );
    if done.cut > 0 {
        println!("{} later versions were left out", done.cut);
    }
    Ok(())
}

/// A point in time as it is given: a number of the change log, or a moment, which counts as a whole as far as it is
/// known (08:00:00 ends with that second).
fn point(text: &str) -> Result<Until, Fault> {
    if let Ok(number) = text.parse() {
        return Ok(Until::Commit(number));
    }
    let known = DateTime::parse(text).filter(|time| !matches!(time.precision(), Precision::Year | Precision::Month));
    let wrong = || Fault::Settings(format!("'{text}' is neither a moment such as 2026-11-23T08:00:00Z nor a number"));
    known.map(|time| Until::Instant(Timestamp(time.end() - 1))).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_in_time_is_a_number_or_a_moment() {
        assert_eq!(point("2026").ok(), Some(Until::Commit(2026)));
        let second = Timestamp(1_795_680_000_999_999);
        assert_eq!(point("2026-11-26T08:00:00Z").ok(), Some(Until::Instant(second)), "{}", second.to_instant());
        assert_eq!(point("2026-11-26T09:00:00+01:00").ok(), Some(Until::Instant(second)));
        for wrong in ["2026-11", "yesterday", "-5", ""] {
            assert!(point(wrong).is_err(), "{wrong}");
        }
    }
}
