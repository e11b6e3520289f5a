//! One process per directory: a file with a lock of the operating system, which ends with the process.

use crate::store::StoreError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// What the refusal says when another process has the directory.
pub const IN_USE: &str = "is in use by another process";

/// Held as long as the store is open.
pub struct DirectoryLock(#[allow(dead_code)] File);

impl DirectoryLock {
    /// Locks the directory; refuses if another process has it.
    pub fn take(directory: &Path) -> Result<DirectoryLock, StoreError> {
        let path = directory.join("lock");
        let failed = |e: &dyn std::fmt::Display| {
            StoreError::Unavailable(format!("the data directory {} cannot be locked: {e}", directory.display()))
        };
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(|e| failed(&e))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                return Err(StoreError::Unavailable(format!(
                    "the data directory {} {IN_USE} ({}); only one may have it open",
                    directory.display(),
                    if holder.trim().is_empty() { "process id not known" } else { holder.trim() },
                )));
            }
            Err(TryLockError::Error(e)) => return Err(failed(&e)),
        }
        // Who holds it is a hint for people; the lock itself does not depend on it.
        let _ = file.set_len(0);
        let _ = file.rewind();
        let _ = writeln!(file, "process {}", std::process::id());
        Ok(DirectoryLock(file))
    }
}

/// Refuses, as opening would, if another process has a directory.
pub fn is_free(directory: &Path) -> Result<(), StoreError> {
    match directory.join("lock").exists() {
        true => DirectoryLock::take(directory).map(drop),
        false => Ok(()),
    }
}
