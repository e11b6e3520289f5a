//! Reading the truth as it is: for the open store, and for a reader beside a running server.
//!
//! A reader ([`EmbeddedReader`]) is another process that only reads. LMDB allows that: its lock file, which is on, keeps
//! the pages of a reader's transaction from being used anew, and a reader never waits for the writer nor the writer for
//! it. So a backup does not take the lock of the directory, which says who may write. Both have to be on the same
//! machine and in the same process namespace, as the lock file knows readers by their process ids.

use super::dictionary::Codec;
use super::record::Header;
use super::truth::{Reading, Truth, damaged};
use super::types::Types;
use super::{MasterKey, Options, Shared, load_dictionaries};
use crate::base::TenantId;
use crate::store::{RawStore, RawVersion, Still, StoreError, Taker, Vocabulary};
use async_trait::async_trait;
use parking_lot::RwLock;
use std::path::Path;
use std::sync::Arc;

/// Versions that are read in one look, at most.
const BATCH: usize = 1000;
/// Bytes of bodies after which a look ends.
const BYTES: usize = 4 << 20;

/// What reading versions needs: the tables as they are now.
struct Tables<'t> {
    truth: &'t Truth,
    types: &'t Types,
    codec: &'t Codec,
}

impl Tables<'_> {
    fn version(&self, log: TenantId, number: u64, record: &[u8]) -> Result<RawVersion, StoreError> {
        let wrong = |what: &str| damaged(log, number, what);
        let (header, hash, body) = Header::decode_any(log, number, record).ok_or_else(|| wrong("is damaged"))?;
        let body = match header.is_deleted() {
            true => None,
            false => {
                let told = |e: StoreError| wrong(&format!("is damaged: {e}"));
                let packed = self.truth.opened(&super::record::version_key(log, number), body).map_err(told)?;
                Some(self.codec.decompress(header.dictionary, &packed).map_err(told)?)
            }
        };
        let kind = self.types.kind(header.stored_type)?;
        let Header { number, commit, id, version, last_updated, method, .. } = header;
        Ok(RawVersion { number, commit, kind, id, version, last_updated, method, body, hash: hash.copied() })
    }

    fn versions(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError> {
        let reading = self.truth.read()?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for record in reading.records(log, after + 1, up_to)? {
            let (number, record) = record?;
            if number != after + 1 + found.len() as u64 {
                break;
            }
            let version = self.version(log, number, record)?;
            bytes += version.body.as_ref().map_or(0, Vec::len);
            found.push(version);
            if found.len() == BATCH || bytes > BYTES {
                return Ok(found);
            }
        }
        let reached = after + found.len() as u64;
        if reached < up_to { Err(damaged(log, reached + 1, "is missing")) } else { Ok(found) }
    }

    fn still(&self, reading: &Reading<'_>, each: &mut Taker<'_>) -> Result<(), StoreError> {
        for (log, last) in reading.tenants()? {
            for record in reading.records(log, last, last)? {
                let (number, record) = record?;
                each(Still::End(log, self.version(log, number, record)?))?;
            }
        }
        reading.each_item(&mut |item| each(Still::Item(item)))
    }
}

impl Shared {
    fn tables(&self) -> Tables<'_> {
        Tables { truth: &self.truth, types: &self.types, codec: &self.codec }
    }

    /// The store at one moment.
    pub fn still(&self, each: &mut Taker<'_>) -> Result<(), StoreError> {
        self.tables().still(&self.truth.read()?, each)
    }

    /// Some versions as they are stored.
    pub fn raw_versions(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError> {
        self.tables().versions(log, after, up_to)
    }
}

/// A reader of a data directory that another process may have open.
pub struct EmbeddedReader {
    truth: Truth,
    vocabulary: Arc<dyn Vocabulary>,
    /// As they were when the last moment was taken; a running server may add to them.
    tables: RwLock<(Types, Codec)>,
}

impl EmbeddedReader {
    /// Opens a data directory to be read. Shows the vocabulary which terms resources have.
    pub fn open(
        directory: &Path,
        vocabulary: Arc<dyn Vocabulary>,
        key: Option<&MasterKey>,
    ) -> Result<EmbeddedReader, StoreError> {
        let truth = Truth::open_to_read(&directory.join("truth"), Options::default().map_size, key)?;
        let (types, codec) = read_tables(&truth, &truth.read()?, &*vocabulary)?;
        super::learn::learn(&truth, &*vocabulary)?;
        Ok(EmbeddedReader { truth, vocabulary, tables: RwLock::new((types, codec)) })
    }

    /// Whether the store is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.truth.cipher().is_some()
    }
}

fn read_tables(
    truth: &Truth,
    reading: &Reading<'_>,
    vocabulary: &dyn Vocabulary,
) -> Result<(Types, Codec), StoreError> {
    let rows = reading.all_meta()?;
    let types = Types::load(&rows, vocabulary)?;
    let codec = Codec::new(Options::default().level, 0);
    load_dictionaries(truth, &rows, &types, &codec)?;
    Ok((types, codec))
}

#[async_trait]
impl RawStore for EmbeddedReader {
    async fn still(&self, each: &mut Taker<'_>) -> Result<(), StoreError> {
        // Types and dictionaries of the same moment: whatever a version up to its ends refers to is among them.
        let reading = self.truth.read()?;
        *self.tables.write() = read_tables(&self.truth, &reading, &*self.vocabulary)?;
        let tables = self.tables.read();
        Tables { truth: &self.truth, types: &tables.0, codec: &tables.1 }.still(&reading, each)
    }

    async fn raw_versions(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError> {
        let tables = self.tables.read();
        Tables { truth: &self.truth, types: &tables.0, codec: &tables.1 }.versions(log, after, up_to)
    }
}

#[async_trait]
impl RawStore for super::EmbeddedStore {
    async fn still(&self, each: &mut Taker<'_>) -> Result<(), StoreError> {
        self.shared.still(each)
    }

    async fn raw_versions(&self, log: TenantId, after: u64, up_to: u64) -> Result<Vec<RawVersion>, StoreError> {
        self.shared.raw_versions(log, after, up_to)
    }
}
