//! Moving a whole store: copied into another ([`copy()`]), written into a file ([`backup()`]), read from files again
//! ([`restore()`]). All of it goes through the raw door of the contract ([`RawStore`], [`RawTarget`]), so that every
//! engine can be either side: numbers, version ids, instants, order and the hashes of the audit trails stay.
//!
//! A moment of a store is where its logs end and what its items are then; logs only grow, so that everything else is
//! read at leisure. A store that is being filled carries a note (an item of [`UNFINISHED`]) from the first write to the
//! last; a server does not open it, and the same command goes on with it.
//!
//! `rows` is a row as bytes, `batch` gathers rows for the target, `file` is the form of a backup, `note` the note.

mod backup;
mod batch;
mod copy;
mod file;
mod note;
mod restore;
mod rows;

pub use backup::{BackupReport, LogPart, Summary, backup};
pub use copy::{CopyReport, copy};
pub use file::{BackupReader, BackupWriter, FileError, Sealing};
pub use note::unfinished;
pub use restore::{RestoreReport, Until, restore, verify_file};

use super::{AuditRecord, RawStore, RawTarget, UNFINISHED};

/// A store that is to be filled.
pub struct Filled<'t> {
    /// The store.
    pub store: &'t dyn RawTarget,
    /// What it is called in messages.
    pub name: &'t str,
    /// What its audit trail is told, in the commit by which it is whole: after all that was brought, so that this can be
    /// held against where it came from up to there.
    pub told: Vec<AuditRecord>,
}

/// How far it is: what is done, and how much of how much.
pub type Progress<'p> = dyn FnMut(&str, u64, u64) + Send + 'p;
