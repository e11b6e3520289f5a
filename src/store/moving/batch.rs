//! Rows on their way into a target, gathered into batches that every engine takes at once.

use super::RawTarget;
use crate::base::TenantId;
use crate::store::{RawItem, RawVersion, StoreError};

/// Rows of a batch at most.
const ROWS: usize = 1000;
/// Bytes of a batch, roughly, at most: a row alone may have more.
const BYTES: usize = 4 << 20;

/// What waits.
#[derive(Default)]
pub struct Batch {
    log: TenantId,
    versions: Vec<RawVersion>,
    items: Vec<RawItem>,
    bytes: usize,
}

impl Batch {
    /// Adds a version; writes what waits when it is enough.
    pub async fn version(&mut self, log: TenantId, raw: RawVersion, to: &dyn RawTarget) -> Result<(), StoreError> {
        let size = raw.body.as_ref().map_or(0, Vec::len);
        if self.log != log || self.versions.len() >= ROWS || self.bytes + size > BYTES {
            self.flush(to).await?;
        }
        self.log = log;
        self.bytes += size;
        self.versions.push(raw);
        Ok(())
    }

    /// Adds an item; writes what waits when it is enough.
    pub async fn item(&mut self, raw: RawItem, to: &dyn RawTarget) -> Result<(), StoreError> {
        let size = raw.item.value.len();
        if self.items.len() >= ROWS / 2 || self.bytes + size > BYTES {
            self.flush(to).await?;
        }
        self.bytes += size;
        self.items.push(raw);
        Ok(())
    }

    /// Writes what waits.
    pub async fn flush(&mut self, to: &dyn RawTarget) -> Result<(), StoreError> {
        self.bytes = 0;
        if !self.items.is_empty() {
            to.replay_items(std::mem::take(&mut self.items)).await?;
        }
        if !self.versions.is_empty() {
            to.replay(self.log, std::mem::take(&mut self.versions)).await?;
        }
        Ok(())
    }
}
