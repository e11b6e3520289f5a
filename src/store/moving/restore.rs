//! Reading a store from backups: a whole one and what was taken on top of it, in order. All files are read and tried
//! before anything is written; what was written is read again and compared at the end.
//!
//! To a point in time: the logs of resources are cut behind the last commit that is not later. Audit trails are not cut,
//! as they tell what happened, also what is undone hereby; that it was restored is told behind their ends. Items
//! (accounts, keys, sessions) have no history: they are those of the last file, so that nobody who was shut out comes in
//! again.

use super::backup::{LogPart, Summary, text};
use super::batch::Batch;
use super::copy::{learn, moment, sum};
use super::file::{BackupReader, FileError, Sealing};
use super::rows::{ItemSum, LogSum, Row, mark, read_row};
use super::{Filled, Progress, RawTarget, note};
use crate::base::{TenantId, Timestamp};
use crate::store::{Hash, RawVersion, StoreError, Vocabulary};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Whose commits are counted.
const TENANT: TenantId = TenantId(0);

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// What was committed at this moment or before.
    Instant(Timestamp),
    /// All commits that end at this number of the change log or before; of other tenants what was there then.
    Commit(u64),
}

/// What was restored.
#[derive(Clone, Debug, Default)]
pub struct RestoreReport {
    /// Versions of resources.
    pub versions: u64,
    /// Records of audit trails.
    pub records: u64,
    /// Items.
    pub items: u64,
    /// Versions in the files that are later than the point in time.
    pub cut: u64,
    /// When the last version of a resource was committed.
    pub last: Option<Timestamp>,
}

fn wrong<T>(file: &Path, error: impl std::fmt::Display) -> Result<T, StoreError> {
    Err(StoreError::Broken(format!("{}: {error}", file.display())))
}

/// Reads a backup whole and hands over its rows; what is wrong with it is told with its name.
fn each_row(
    file: &Path,
    sealing: Option<&Sealing>,
    vocabulary: &dyn Vocabulary,
    each: &mut dyn FnMut(&Summary, Row) -> Result<(), FileError>,
) -> Result<Summary, StoreError> {
    let mut read = || -> Result<Summary, FileError> {
        let opened = File::open(file).map_err(|e| FileError(e.to_string()))?;
        let mut reader = BackupReader::begin(BufReader::with_capacity(1 << 18, opened), sealing)?;
        let summary = Summary::read(&mut reader, vocabulary)?;
        while let Some(row) = reader.next_row()? {
            each(&summary, read_row(&row, vocabulary).map_err(FileError)?)?;
        }
        Ok(summary)
    };
    read().or_else(|error| wrong(file, error))
}

/// Tries a backup: every block, every row, and that it holds what it says. Gives what that is.
pub fn verify_file(
    file: &Path,
    sealing: Option<&Sealing>,
    vocabulary: &dyn Vocabulary,
    each_version: &mut dyn FnMut(TenantId, &RawVersion),
) -> Result<Summary, StoreError> {
    let mut ends: BTreeMap<u32, (u64, Hash)> = BTreeMap::new();
    let summary = each_row(file, sealing, vocabulary, &mut |summary, row| {
        let (log, raw) = match row {
            Row::Version(log, raw) => (log, raw),
            // Those of the last file are the ones that count.
            Row::Item(item) => {
                learn(&item, vocabulary);
                return Ok(());
            }
            Row::Other(..) => return Ok(()),
        };
        let part = summary.of_log(log).ok_or_else(|| FileError(format!("log {} is not announced", log.0)))?;
        let before = ends.get(&log.0).map_or(part.after, |(number, _)| *number);
        if raw.number != before + 1 {
            return Err(FileError(format!("version {} of log {} is missing", before + 1, log.0)));
        }
        ends.insert(log.0, (raw.number, mark(log, &raw, vocabulary)));
        each_version(log, &raw);
        Ok(())
    })?;
    for LogPart { log, after, to, mark } in &summary.logs {
        let right = match ends.get(log) {
            Some((number, hash)) => number == to && text(hash) == *mark,
            None => after == to,
        };
        if !right {
            return wrong(file, format!("log {log} does not end as it should"));
        }
    }
    Ok(summary)
}

/// Where the logs of resources are cut: the last instant that counts.
#[derive(Default)]
struct Cut {
    /// The number, the commit and the time of the last version of the first tenant that was seen within.
    within: Option<(u64, Timestamp)>,
    /// The time of the commit before that.
    earlier: Option<Timestamp>,
    /// Whether the commit goes on beyond the number.
    torn: bool,
    last: u64,
}

impl Cut {
    fn see(&mut self, raw: &RawVersion, number: u64) {
        self.last = raw.number;
        if raw.number > number {
            self.torn |= self.within.is_some_and(|(commit, _)| commit == raw.commit);
            return;
        }
        if let Some((commit, time)) = self.within
            && commit != raw.commit
        {
            self.earlier = Some(time);
        }
        self.within = Some((raw.commit, raw.last_updated));
    }

    fn instant(&self) -> Timestamp {
        let time = if self.torn { self.earlier } else { self.within.map(|(_, time)| time) };
        time.unwrap_or(Timestamp(i64::MIN))
    }
}

/// Tries all files and that they follow one another; gives what they hold, and the instant of the point in time.
fn try_files(
    files: &[PathBuf],
    sealing: Option<&Sealing>,
    until: Option<Until>,
    vocabulary: &dyn Vocabulary,
) -> Result<(Vec<Summary>, Option<Timestamp>), StoreError> {
    let mut summaries: Vec<Summary> = Vec::new();
    let mut cut = Cut::default();
    for file in files {
        let mut see = |log: TenantId, raw: &RawVersion| {
            if let (Some(Until::Commit(number)), true) = (until, log == TENANT) {
                cut.see(raw, number);
            }
        };
        let summary = verify_file(file, sealing, vocabulary, &mut see)?;
        let before = summaries.last();
        if summary.base.as_ref() != before.map(|before| &before.id) {
            return wrong(
                file,
                match (&summary.base, before) {
                    (Some(_), None) => "this holds only what came after an earlier backup: name that one before it",
                    (None, _) => "this is a whole backup: nothing can come before it",
                    _ => "this was not taken on top of the backup that is named before it",
                },
            );
        }
        summaries.push(summary);
    }
    let made = summaries.last().map_or(0, |last| last.made);
    let reached = Timestamp(made).to_instant();
    let instant = match until {
        None => None,
        Some(Until::Instant(instant)) if instant.0 > made => {
            let asked = instant.to_instant();
            return Err(StoreError::Unavailable(format!("the backup is of {reached} and does not reach {asked}")));
        }
        Some(Until::Instant(instant)) => Some(instant),
        Some(Until::Commit(number)) if number > cut.last => {
            return Err(StoreError::Unavailable(format!(
                "the backup ends with {} and does not reach {number}",
                cut.last
            )));
        }
        Some(Until::Commit(_)) => Some(cut.instant()),
    };
    Ok((summaries, instant))
}

/// Restores a whole backup and those on top of it into an empty store, or goes on with that.
pub async fn restore(
    files: &[PathBuf],
    sealing: Option<&Sealing>,
    Filled { store: to, name, told }: Filled<'_>,
    until: Option<Until>,
    vocabulary: &dyn Vocabulary,
    progress: &mut Progress<'_>,
) -> Result<RestoreReport, StoreError> {
    let (summaries, instant) = try_files(files, sealing, until, vocabulary)?;
    let Some(last) = summaries.last() else { return Err(StoreError::Unavailable("no backup is named".into())) };
    let from = match instant {
        None => format!("the backup {}", last.id),
        Some(instant) => format!("the backup {} until {}", last.id, instant.to_instant()),
    };
    let target = moment(to).await?;
    match &target.note {
        Some(note) if *note == from => {}
        Some(note) => {
            return Err(StoreError::Unavailable(format!("{name} is an unfinished copy of {note}, not of {from}")));
        }
        None if target.ends.is_empty() && target.items.is_empty() => {}
        None => {
            let why = format!("{name} is not empty: restore into a new directory or database");
            return Err(StoreError::Unavailable(why));
        }
    }
    note::put(to, &from).await?;
    to.clear_items(None).await?;
    let reached = target.ends.iter().map(|(log, last)| (*log, last.number)).collect();
    let mut state =
        Restoring { reached, sums: BTreeMap::new(), items: ItemSum::NONE, report: RestoreReport::default() };
    let all: u64 = last.logs.iter().map(|part| part.to).sum();
    for (index, file) in files.iter().enumerate() {
        let with_items = index + 1 == files.len();
        state.file(file, sealing, with_items, instant, to, vocabulary, all, progress).await?;
    }
    for (log, expected) in &state.sums {
        if sum(to, *log, expected.count, vocabulary, &mut |_| {}).await? != *expected {
            return Err(StoreError::Broken(format!("log {} is not in {name} as it is in the backup", log.0)));
        }
    }
    let found = moment(to).await?;
    let ends: BTreeMap<TenantId, u64> = found.ends.iter().map(|(log, last)| (*log, last.number)).collect();
    let same = state.sums.iter().all(|(log, sum)| ends.get(log).copied().unwrap_or(0) == sum.count);
    if !same || found.sum != state.items {
        return Err(StoreError::Broken(format!("{name} does not hold the same as the backup")));
    }
    note::remove(to, told).await?;
    Ok(state.report)
}

/// What a restoring knows.
struct Restoring {
    /// Where the logs ended that an earlier run had written.
    reached: BTreeMap<TenantId, u64>,
    sums: BTreeMap<TenantId, LogSum>,
    items: ItemSum,
    report: RestoreReport,
}

impl Restoring {
    #[allow(clippy::too_many_arguments)]
    async fn file(
        &mut self,
        file: &Path,
        sealing: Option<&Sealing>,
        with_items: bool,
        until: Option<Timestamp>,
        to: &dyn RawTarget,
        vocabulary: &dyn Vocabulary,
        all: u64,
        progress: &mut Progress<'_>,
    ) -> Result<(), StoreError> {
        let told = |error: FileError| StoreError::Broken(format!("{}: {error}", file.display()));
        let opened = File::open(file).or_else(|error| wrong(file, error))?;
        let mut reader = BackupReader::begin(BufReader::with_capacity(1 << 18, opened), sealing).map_err(told)?;
        Summary::read(&mut reader, vocabulary).map_err(told)?;
        let mut batch = Batch::default();
        while let Some(row) = reader.next_row().map_err(told)? {
            match read_row(&row, vocabulary).map_err(|why| told(FileError(why)))? {
                Row::Item(item) if with_items => {
                    self.items.add(&item);
                    self.report.items += 1;
                    batch.item(item, to).await?;
                }
                Row::Version(log, raw) => {
                    if !log.is_trail() && until.is_some_and(|until| raw.last_updated > until) {
                        self.report.cut += 1;
                        continue;
                    }
                    self.version(log, raw, &mut batch, to, vocabulary).await?;
                    let done = self.report.versions + self.report.records;
                    if done.is_multiple_of(1000) {
                        progress("restored", done, all);
                    }
                }
                _ => {}
            }
        }
        batch.flush(to).await
    }

    async fn version(
        &mut self,
        log: TenantId,
        raw: RawVersion,
        batch: &mut Batch,
        to: &dyn RawTarget,
        vocabulary: &dyn Vocabulary,
    ) -> Result<(), StoreError> {
        self.sums.entry(log).or_insert(LogSum::NONE).add(log, &raw, vocabulary);
        match log.is_trail() {
            true => self.report.records += 1,
            false => {
                self.report.versions += 1;
                self.report.last = self.report.last.max(Some(raw.last_updated));
            }
        }
        if self.reached.get(&log).is_some_and(|reached| raw.number <= *reached) {
            return Ok(());
        }
        batch.version(log, raw, to).await
    }
}
