//! Encrypting a store that is plain, and the other way round: everything is copied into a second store, which then
//! takes the place of the first. Nothing is in place before all of it is whole, so a crash leaves the old store.

use super::Options;
use super::cipher::{MasterKey, rewrap};
use super::lock::DirectoryLock;
use super::record::Header;
use super::truth::{Truth, meta};
use crate::store::StoreError;
use std::path::Path;

/// Rows that are copied in one transaction.
const BATCH: usize = 10_000;

/// Copies the store in a directory, read with one key (or plain), into one with another key (or plain).
pub fn convert(
    directory: &Path,
    from: Option<&MasterKey>,
    to: Option<&MasterKey>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<u64, StoreError> {
    let _lock = DirectoryLock::take(directory)?;
    let (old, new) = (directory.join("truth"), directory.join("truth.new"));
    let unavailable = |e: std::io::Error| StoreError::Unavailable(format!("{}: {e}", directory.display()));
    if new.exists() {
        std::fs::remove_dir_all(&new).map_err(unavailable)?;
    }
    let source = Truth::open(&old, Options::default().map_size, from)?;
    let target = Truth::open(&new, Options::default().map_size, to)?;
    let count = copy(&source, &target, progress)?;
    target.sync()?;
    drop((source, target));
    // From here on the directory of the new one is whole: `Truth::open` takes it if only the names are missing.
    let done = directory.join("truth.old");
    std::fs::rename(&old, &done).map_err(unavailable)?;
    std::fs::rename(&new, &old).map_err(unavailable)?;
    std::fs::File::open(directory).and_then(|d| d.sync_all()).map_err(unavailable)?;
    // Segments are of the old form; they are made again.
    for rest in [done, directory.join("index")] {
        if rest.exists() {
            std::fs::remove_dir_all(&rest).map_err(unavailable)?;
        }
    }
    Ok(count)
}

/// Gives the data key of a store another master key.
pub fn rotate(directory: &Path, old: &MasterKey, new: &MasterKey) -> Result<(), StoreError> {
    let _lock = DirectoryLock::take(directory)?;
    let path = directory.join("truth");
    let truth = Truth::open(&path, Options::default().map_size, Some(old))?;
    rewrap(&truth, &path, old, new)
}

fn copy(source: &Truth, target: &Truth, progress: &mut dyn FnMut(u64, u64)) -> Result<u64, StoreError> {
    let all = source.read()?.versions()?;
    let mut done = 0;
    let mut after = None;
    loop {
        let rows = source.read()?.version_rows(after.as_deref(), BATCH)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        let mut writing = target.write()?;
        for (key, record) in &rows {
            let (tenant, number) = super::record::version_of(key).ok_or_else(|| broken("a key"))?;
            let (header, hash, body) = Header::decode_any(tenant, number, record).ok_or_else(|| broken("a version"))?;
            let body = source.opened(key, body)?;
            match hash {
                Some(hash) => writing.put_record(tenant, &header, hash, &body)?,
                None => writing.put_version(tenant, &header, &body)?,
            }
        }
        writing.commit()?;
        done += rows.len() as u64;
        progress(done, all);
    }
    let rows = source.read()?.all_meta()?;
    let mut writing = target.write()?;
    for (key, value) in &rows {
        match key.first() {
            Some(b'd') => writing.put_dictionary(key, &source.opened(key, value)?)?,
            _ if [meta::DATA_KEY, meta::NONCES, meta::FORMAT].contains(&key.as_slice()) => {}
            _ => writing.put_meta(key, value)?,
        }
    }
    writing.commit()?;
    let items = source.read()?.item_rows()?;
    for some in items.chunks(BATCH) {
        let mut writing = target.write()?;
        some.iter().try_for_each(|(key, item)| writing.put_item_row(key, item))?;
        writing.commit()?;
    }
    Ok(done)
}

fn broken(what: &str) -> StoreError {
    StoreError::Broken(format!("{what} is damaged: verify the store with `vesta check` first"))
}
