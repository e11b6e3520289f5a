//! Writing a store into a file, as of one moment: its items and the logs up to it, or, on top of an earlier backup, what
//! the logs have got since. The first row says what the file holds.

use super::file::{BackupReader, BackupWriter, FileError, Sealing};
use super::rows::{Row, item_row, mark, read_row, version_row};
use super::{Progress, RawStore, note};
use crate::base::{TenantId, Timestamp};
use crate::store::{Still, StoreError, Vocabulary};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};

/// The row that comes first.
const HEAD: u8 = b'H';

/// What a backup holds, as its first row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What it is known by.
    pub id: String,
    /// When it was taken, in microseconds.
    pub made: i64,
    /// Version of the program.
    pub program: String,
    /// The backup that comes before it; none if it is a whole one.
    pub base: Option<String>,
    /// The logs, in order.
    pub logs: Vec<LogPart>,
}

/// What a backup holds of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPart {
    /// The tenant, or its audit trail.
    pub log: u32,
    /// The versions after this one,
    pub after: u64,
    /// up to and including this one.
    pub to: u64,
    /// The hash over that one, by which the store is recognised.
    pub mark: String,
}

impl Summary {
    fn row(&self) -> Result<Vec<u8>, FileError> {
        let json = serde_json::to_vec(self).map_err(|e| FileError(e.to_string()))?;
        Ok([&[HEAD], &json[..]].concat())
    }

    fn of_row(row: &[u8], vocabulary: &dyn Vocabulary) -> Result<Summary, FileError> {
        let said = match read_row(row, vocabulary) {
            Ok(Row::Other(HEAD, json)) => serde_json::from_slice(&json).ok(),
            _ => None,
        };
        said.ok_or_else(|| FileError("the backup does not begin with what it holds".into()))
    }

    /// Reads the first row of a backup.
    pub fn read<R: Read>(reader: &mut BackupReader<R>, vocabulary: &dyn Vocabulary) -> Result<Summary, FileError> {
        let first = reader.next_row()?.unwrap_or_default();
        Summary::of_row(&first, vocabulary)
    }

    /// What it holds of a log.
    pub fn of_log(&self, log: TenantId) -> Option<&LogPart> {
        self.logs.iter().find(|part| part.log == log.0)
    }
}

/// A hash as text.
pub(super) fn text(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What was written.
#[derive(Clone, Debug)]
pub struct BackupReport {
    /// What the file holds.
    pub summary: Summary,
    /// Versions and records.
    pub versions: u64,
    /// Items.
    pub items: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

fn told(error: FileError) -> StoreError {
    StoreError::Unavailable(format!("the backup cannot be written: {error}"))
}

/// Writes a store, or what it has got since a backup, whose summary is `base`. The caller makes the file durable and
/// gives it its name: until then it is none.
pub async fn backup<W: Write + Send>(
    from: &dyn RawStore,
    out: W,
    sealing: Option<&Sealing>,
    base: Option<&Summary>,
    now: Timestamp,
    vocabulary: &dyn Vocabulary,
    progress: &mut Progress<'_>,
) -> Result<(W, BackupReport), StoreError> {
    if let Some(base) = base {
        same_store(from, base, vocabulary).await?;
    }
    let mut writer = BackupWriter::begin(out, sealing).map_err(told)?;
    let mut summary = Summary {
        id: uuid::Uuid::new_v4().hyphenated().to_string(),
        made: now.0,
        program: env!("CARGO_PKG_VERSION").into(),
        base: base.map(|base| base.id.clone()),
        logs: Vec::new(),
    };
    let (mut items, mut headed) = (0, false);
    let mut take = |part: Still| match part {
        Still::End(log, last) => {
            let after = base.and_then(|base| base.of_log(log)).map_or(0, |part| part.to);
            let mark = text(&mark(log, &last, vocabulary));
            summary.logs.push(LogPart { log: log.0, after, to: last.number, mark });
            Ok(())
        }
        Still::Item(item) => {
            if let Some(from) = note::read(&item) {
                return Err(StoreError::Unavailable(format!("this is an unfinished copy of {from}: finish it first")));
            }
            // The ends have all come: what the file holds is known.
            if !std::mem::replace(&mut headed, true) {
                writer.row(&summary.row().map_err(told)?).map_err(told)?;
            }
            items += 1;
            writer.row(&item_row(&item)).map_err(told)
        }
    };
    from.still(&mut take).await?;
    if !headed {
        writer.row(&summary.row().map_err(told)?).map_err(told)?;
    }
    let all: u64 = summary.logs.iter().map(|part| part.to - part.after).sum();
    let mut versions = 0;
    for part in &summary.logs {
        let mut after = part.after;
        let mut ends = None;
        while after < part.to {
            for raw in from.raw_versions(TenantId(part.log), after, part.to).await? {
                after = raw.number;
                writer.row(&version_row(TenantId(part.log), &raw, vocabulary)).map_err(told)?;
                versions += 1;
                if raw.number == part.to {
                    ends = Some(text(&mark(TenantId(part.log), &raw, vocabulary)));
                }
            }
            progress("saved", versions, all);
        }
        if ends.is_some_and(|end| end != part.mark) {
            let why = "what was read last is not what was there first (a fail-over meanwhile): take the backup again";
            return Err(StoreError::Unavailable(why.into()));
        }
    }
    let (out, bytes) = writer.end().map_err(told)?;
    Ok((out, BackupReport { summary, versions, items, bytes }))
}

/// Refuses a store that the base is not a backup of.
async fn same_store(from: &dyn RawStore, base: &Summary, vocabulary: &dyn Vocabulary) -> Result<(), StoreError> {
    for part in base.logs.iter().filter(|part| part.to > 0) {
        let log = TenantId(part.log);
        let there = from.raw_versions(log, part.to - 1, part.to).await.ok();
        let same = there.and_then(|some| some.first().map(|raw| text(&mark(log, raw, vocabulary)) == part.mark));
        if same != Some(true) {
            return Err(StoreError::Unavailable(
                "the earlier backup is of another store, or of one that was restored to an earlier moment since: take a \
                 whole backup"
                    .into(),
            ));
        }
    }
    Ok(())
}
