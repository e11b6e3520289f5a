//! The truth: four LMDB databases and how they are read. `versions` holds every version by tenant and number,
//! `current` the newest version of every resource, `meta` the format, the type table and the dictionaries, `items`
//! what is no resource (see the file `items`). What the writer does with them is in `writer`.

use super::cipher::{self, Cipher, MasterKey};
use super::mapping;
use super::record::{Header, Newest, current_key, version_key, version_of};
use crate::base::{TenantId, Timestamp};
use crate::store::{Hash, StoreError};
use heed::types::Bytes;
use heed::{CommitOrAbort, Env, EnvFlags, EnvOpenOptions, MdbError, PutFlags, RoTxn, RwTxn, WithoutTls};
use parking_lot::{RwLock, RwLockReadGuard};
use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A key and a value of `meta`.
pub type MetaRow = (Vec<u8>, Vec<u8>);

pub(super) type Database = heed::Database<'static, Bytes, Bytes>;

/// The form of what is stored. A store of another form is refused.
const FORMAT: &[u8] = b"vesta 1";

/// Keys of `meta`.
pub mod meta {
    /// The form of what is stored.
    pub const FORMAT: &[u8] = b"f";
    /// The data key of an encrypted store, wrapped.
    pub const DATA_KEY: &[u8] = b"k";
    /// The number of the last opening of an encrypted store, which is the row of its nonces.
    pub const NONCES: &[u8] = b"n";

    /// A row of the type table.
    pub fn kind(stored: u16) -> [u8; 3] {
        let [a, b] = stored.to_be_bytes();
        [b't', a, b]
    }

    /// A dictionary.
    pub fn dictionary(id: u32) -> [u8; 5] {
        let [a, b, c, d] = id.to_be_bytes();
        [b'd', a, b, c, d]
    }

    /// Where the audit trail of a tenant ends.
    pub fn head(tenant: super::TenantId) -> [u8; 5] {
        let [a, b, c, d] = tenant.0.to_be_bytes();
        [b'a', a, b, c, d]
    }
}

/// Versions, current, meta, items.
type Databases = (Database, Database, Database, Database);

/// The open databases.
pub struct Truth {
    env: Env<WithoutTls>,
    versions: Database,
    current: Database,
    meta: Database,
    pub(super) items: Database,
    map_size: AtomicUsize,
    /// None: the store is not encrypted.
    cipher: Option<Cipher>,
    /// Read by everything that has a transaction, written while the map grows: LMDB wants none then.
    gate: RwLock<()>,
    /// Every flush fails.
    #[cfg(test)]
    pub(super) flush_fails: std::sync::atomic::AtomicBool,
}

/// Why a write did not work.
#[derive(Debug)]
pub enum Fault {
    /// The map is too small: grow it and do it again.
    MapFull,
    /// The disk is full. Nothing was written, nothing is damaged.
    DiskFull,
    /// More pages than one LMDB transaction takes.
    TooLarge,
    /// Anything else before the flush: nothing was written.
    Failed(String),
    /// The flush failed: what is on the disk is not known.
    Flush(String),
}

impl From<heed::Error> for Fault {
    fn from(error: heed::Error) -> Fault {
        match &error {
            heed::Error::Mdb(MdbError::MapFull) => Fault::MapFull,
            heed::Error::Mdb(MdbError::TxnFull) => Fault::TooLarge,
            heed::Error::Io(e) if matches!(e.kind(), std::io::ErrorKind::StorageFull) => Fault::DiskFull,
            heed::Error::Io(e) if matches!(e.kind(), std::io::ErrorKind::QuotaExceeded) => Fault::DiskFull,
            other => Fault::Failed(other.to_string()),
        }
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> StoreError {
        match fault {
            Fault::MapFull | Fault::DiskFull => StoreError::Full,
            Fault::TooLarge => StoreError::TooLarge("the commit has more pages than this engine takes at once".into()),
            Fault::Failed(why) | Fault::Flush(why) => StoreError::Broken(why),
        }
    }
}

pub(super) fn broken(error: heed::Error) -> StoreError {
    Fault::from(error).into()
}

fn failed(error: StoreError) -> Fault {
    Fault::Failed(error.to_string())
}

/// A record that cannot be trusted.
pub fn damaged(tenant: TenantId, number: u64, what: &str) -> StoreError {
    StoreError::Broken(format!("version {number} of tenant {} {what}", tenant.0))
}

impl Truth {
    /// Opens or makes the databases in a directory that is locked. With a key they are encrypted.
    pub fn open(directory: &Path, map_size: usize, key: Option<&MasterKey>) -> Result<Truth, StoreError> {
        finish_conversion(directory)?;
        std::fs::create_dir_all(directory)
            .map_err(|e| StoreError::Unavailable(format!("{} cannot be made: {e}", directory.display())))?;
        let (env, map_size) = open_env(directory, map_size, EnvFlags::empty())?;
        // A process that was killed leaves its readers in the table.
        env.clear_stale_readers().map_err(broken)?;
        let opened = {
            let txn = env.write_txn().map_err(broken)?;
            env.create_databases_and_commit(txn, |opener, txn| -> heed::Result<_> {
                let versions = opener.create_database::<Bytes, Bytes>(txn, Some("versions"))?;
                let current = opener.create_database::<Bytes, Bytes>(txn, Some("current"))?;
                let meta = opener.create_database::<Bytes, Bytes>(txn, Some("meta"))?;
                let items = opener.create_database::<Bytes, Bytes>(txn, Some("items"))?;
                Ok(CommitOrAbort::<_, ()>::Commit((versions, current, meta, items)))
            })
            .map_err(broken)?
        };
        let CommitOrAbort::Commit(databases) = opened else {
            return Err(StoreError::Broken("the databases were not opened".into()));
        };
        let mut truth = Truth::of(env, databases, map_size);
        truth.check_format(directory)?;
        truth.cipher = cipher::unlock(&truth, directory, key)?;
        Ok(truth)
    }

    fn of(env: Env<WithoutTls>, (versions, current, meta, items): Databases, map_size: usize) -> Truth {
        Truth {
            env,
            versions,
            current,
            meta,
            items,
            map_size: AtomicUsize::new(map_size),
            cipher: None,
            gate: RwLock::new(()),
            #[cfg(test)]
            flush_fails: Default::default(),
        }
    }

    /// Opens the databases to be read only, whether or not another process has them open. Makes nothing.
    pub fn open_to_read(directory: &Path, map_size: usize, key: Option<&MasterKey>) -> Result<Truth, StoreError> {
        let shown = directory.display();
        if !directory.join("data.mdb").is_file() {
            return Err(StoreError::Unavailable(format!("there is no store in {shown}")));
        }
        let (env, map_size) = open_env(directory, map_size, EnvFlags::READ_ONLY)?;
        // A reader that was killed keeps the server's pages from being used again: the next one clears up after it.
        let _ = env.clear_stale_readers();
        let opened = env
            .open_databases_and_commit(env.read_txn().map_err(broken)?, |opener, txn| -> heed::Result<_> {
                let open = |name| opener.open_database::<Bytes, Bytes>(txn, Some(name));
                Ok(CommitOrAbort::<_, ()>::Commit((open("versions")?, open("current")?, open("meta")?, open("items")?)))
            })
            .map_err(broken)?;
        let CommitOrAbort::Commit((Some(versions), Some(current), Some(meta), Some(items))) = opened else {
            return Err(StoreError::Unavailable(format!("the store in {shown} is not whole")));
        };
        let mut truth = Truth::of(env, (versions, current, meta, items), map_size);
        let format = truth.read()?.meta(meta::FORMAT)?.map(<[u8]>::to_vec);
        match format {
            Some(format) if format == FORMAT => {}
            other => return Err(other_format(directory, &other.unwrap_or_default())),
        }
        truth.cipher = cipher::unlock_to_read(&truth, directory, key)?;
        Ok(truth)
    }

    /// What encrypts, if the store is encrypted.
    pub fn cipher(&self) -> Option<&Cipher> {
        self.cipher.as_ref()
    }

    /// Bytes as they are to be stored in a place.
    pub fn sealed<'b>(&self, place: &[u8], plain: &'b [u8]) -> Result<Cow<'b, [u8]>, StoreError> {
        match &self.cipher {
            None => Ok(Cow::Borrowed(plain)),
            Some(cipher) => cipher.seal(place, plain).map(Cow::Owned),
        }
    }

    /// Bytes that are stored in a place, as they were before.
    pub fn opened<'b>(&self, place: &[u8], stored: &'b [u8]) -> Result<Cow<'b, [u8]>, StoreError> {
        match &self.cipher {
            None => Ok(Cow::Borrowed(stored)),
            Some(cipher) => {
                let opened = cipher.open(place, stored).map(Cow::Owned);
                opened.ok_or_else(|| StoreError::Broken("what is stored cannot be decrypted: it was changed".into()))
            }
        }
    }

    /// Writes everything to the disk.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.env.force_sync().map_err(broken)
    }

    fn check_format(&self, directory: &Path) -> Result<(), StoreError> {
        let found = self.read()?.meta(meta::FORMAT)?.map(<[u8]>::to_vec);
        match found {
            Some(format) if format == FORMAT => Ok(()),
            Some(other) => Err(other_format(directory, &other)),
            None => {
                let mut writing = self.write().map_err(StoreError::from)?;
                writing.put_meta(meta::FORMAT, FORMAT).map_err(StoreError::from)?;
                writing.commit().map_err(StoreError::from)
            }
        }
    }

    /// A short look at the truth. Never held while waiting: old pages are kept for it.
    pub fn read(&self) -> Result<Reading<'_>, StoreError> {
        let gate = self.gate.read_recursive();
        let txn = self.env.read_txn().map_err(broken)?;
        Ok(Reading { txn, truth: self, _gate: gate })
    }

    /// The one write transaction.
    pub fn write(&self) -> Result<Writing<'_>, Fault> {
        let gate = self.gate.read_recursive();
        let txn = self.env.write_txn()?;
        Ok(Writing { txn, truth: self, _gate: gate })
    }

    /// Doubles the map. Nobody reads or writes meanwhile.
    pub fn grow(&self) -> Result<(), Fault> {
        let _alone = self.gate.write();
        let size = self.map_size.load(Ordering::Relaxed).saturating_mul(2);
        // SAFETY: LMDB wants that no transaction of this process is active. Every transaction is made by `read` or
        // `write` and holds the gate for reading as long as it lives; the gate is held for writing here.
        #[allow(unsafe_code)]
        unsafe {
            self.env.resize(size)?;
        }
        self.map_size.store(size, Ordering::Relaxed);
        tracing::info!(bytes = size, "the map of the store has grown");
        Ok(())
    }

    /// Makes sure that some of the file behind its last used page is there already, filled with zeros: a flush that
    /// makes the file longer has to write the file system's journal too and takes a third longer. Gives the size of
    /// the file now. Nothing depends on it; if it fails, pages are appended as they come.
    pub fn keep_room(&self, known: u64) -> u64 {
        const LEAST: u64 = 1 << 20;
        const MOST: u64 = 8 << 20;
        let page = u64::from(self.env.unnamed_database_stat().page_size);
        let used = (self.env.info().last_page_number as u64 + 1) * page;
        if used + LEAST / 4 <= known {
            return known;
        }
        let enlarged = || -> std::io::Result<u64> {
            let file = std::fs::OpenOptions::new().write(true).open(self.env.path().join("data.mdb"))?;
            let size = file.metadata()?.len();
            let wanted = used + (used / 64).clamp(LEAST, MOST);
            let zeros = vec![0; LEAST as usize];
            let mut at = size.max(used);
            while at < wanted {
                let chunk = &zeros[..(wanted - at).min(LEAST) as usize];
                std::os::unix::fs::FileExt::write_all_at(&file, chunk, at)?;
                at += chunk.len() as u64;
            }
            file.sync_data()?;
            Ok(at)
        };
        enlarged().unwrap_or(used + LEAST)
    }

    /// Lets go of the memory in which the file was looked at; what is needed is looked at again.
    pub fn let_go(&self) {
        // The map stays where it is.
        let _gate = self.gate.read_recursive();
        mapping::let_go(&self.env.path().join("data.mdb"));
    }

    /// Bytes of the data file.
    pub fn file_size(&self) -> u64 {
        self.env.real_disk_size().unwrap_or(0)
    }
}

/// A store of another form.
fn other_format(directory: &Path, found: &[u8]) -> StoreError {
    StoreError::Unavailable(format!(
        "the store in {} has the form {:?}; this program reads {:?}",
        directory.display(),
        String::from_utf8_lossy(found),
        String::from_utf8_lossy(FORMAT)
    ))
}

/// A conversion that was ended by a crash between its last two steps is ended: the new databases were whole.
fn finish_conversion(directory: &Path) -> Result<(), StoreError> {
    let new = directory.with_extension("new");
    if directory.exists() || !new.exists() || !directory.with_extension("old").exists() {
        return Ok(());
    }
    std::fs::rename(&new, directory)
        .map_err(|e| StoreError::Unavailable(format!("{} cannot be renamed: {e}", new.display())))
}

/// Opens the environment; where so large a map is not granted (address space is limited), with a smaller one.
fn open_env(directory: &Path, wanted: usize, flags: EnvFlags) -> Result<(Env<WithoutTls>, usize), StoreError> {
    const PAGE: usize = 1 << 16;
    let mut size = wanted.max(PAGE).next_multiple_of(PAGE);
    loop {
        // Readers belong to their transactions. Those of threads are given back when a thread ends, which may be while
        // the environment is being closed: then LMDB writes to memory that is no more.
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options.map_size(size).max_readers(2048).max_dbs(8);
        // SAFETY: the file is mapped; it must not be changed but by LMDB. The directory is ours and locked by
        // `DirectoryLock`, so that one process writes at most; others open it to read only (`READ_ONLY` is the one
        // flag that is ever set), which LMDB's own locking, which stays on, keeps apart from the writer.
        #[allow(unsafe_code)]
        let opened = unsafe { options.flags(flags).open(directory) };
        match opened {
            Ok(env) => return Ok((env, size)),
            Err(heed::Error::Io(e)) if e.kind() == std::io::ErrorKind::OutOfMemory && size > 1 << 28 => size /= 2,
            Err(e) => {
                return Err(StoreError::Unavailable(format!(
                    "the store in {} cannot be opened: {e}",
                    directory.display()
                )));
            }
        }
    }
}

/// A consistent look at the truth.
pub struct Reading<'t> {
    pub(super) txn: RoTxn<'t, WithoutTls>,
    pub(super) truth: &'t Truth,
    // Let go after the transaction: fields are dropped in this order.
    _gate: RwLockReadGuard<'t, ()>,
}

/// What reading and writing have in common.
pub trait Look {
    /// The transaction, and of what.
    fn within(&self) -> (&RoTxn<'_, WithoutTls>, &Truth);

    /// A value of `meta`.
    fn meta(&self, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        let (txn, truth) = self.within();
        truth.meta.get(txn, key).map_err(broken)
    }

    /// A record as stored.
    fn record(&self, tenant: TenantId, number: u64) -> Result<Option<&[u8]>, StoreError> {
        let (txn, truth) = self.within();
        truth.versions.get(txn, &version_key(tenant, number)).map_err(broken)
    }

    /// The newest version of a resource.
    fn newest(&self, tenant: TenantId, stored_type: u16, id: &str) -> Result<Option<Newest>, StoreError> {
        let (txn, truth) = self.within();
        let value = truth.current.get(txn, &current_key(tenant, stored_type, id)).map_err(broken)?;
        value.map(|v| Newest::decode(v).ok_or_else(|| not_a_newest(tenant, id))).transpose()
    }

    /// Header and compressed body of a version that must be there.
    fn version(&self, tenant: TenantId, number: u64) -> Result<(Header, &[u8]), StoreError> {
        let record = self.record(tenant, number)?.ok_or_else(|| damaged(tenant, number, "is missing"))?;
        Header::decode(tenant, number, record).ok_or_else(|| damaged(tenant, number, "is damaged"))
    }
}

impl Look for Reading<'_> {
    fn within(&self) -> (&RoTxn<'_, WithoutTls>, &Truth) {
        (&self.txn, self.truth)
    }
}

fn not_a_newest(tenant: TenantId, id: &str) -> StoreError {
    StoreError::Broken(format!("the entry of the newest version of {id} of tenant {} is damaged", tenant.0))
}

impl Reading<'_> {
    /// Whether nothing was stored yet.
    pub fn is_empty(&self) -> Result<bool, StoreError> {
        let count = |database: &Database| database.len(&self.txn).map_err(broken);
        Ok(count(&self.truth.versions)? == 0 && count(&self.truth.items)? == 0)
    }

    /// Keys and records after a key, as they are stored.
    pub fn version_rows(&self, after: Option<&[u8]>, limit: usize) -> Result<Vec<MetaRow>, StoreError> {
        let from = after.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let bounds = (from, std::ops::Bound::Unbounded);
        let rows = self.truth.versions.range(&self.txn, &bounds).map_err(broken)?;
        rows.take(limit).map(|row| row.map(|(k, v)| (k.to_vec(), v.to_vec())).map_err(broken)).collect()
    }

    /// All of `meta`, in order of its keys.
    pub fn all_meta(&self) -> Result<Vec<MetaRow>, StoreError> {
        let rows = self.truth.meta.iter(&self.txn).map_err(broken)?;
        rows.map(|row| row.map(|(k, v)| (k.to_vec(), v.to_vec())).map_err(broken)).collect()
    }

    /// The tenants that have versions, each with its last number.
    pub fn tenants(&self) -> Result<Vec<(TenantId, u64)>, StoreError> {
        let mut found = Vec::new();
        let mut from = Some(TenantId(0));
        while let Some(tenant) = from {
            let start = version_key(tenant, 0);
            let first = self.truth.versions.get_greater_than_or_equal_to(&self.txn, &start).map_err(broken)?;
            let Some((tenant, _)) = first.and_then(|(key, _)| version_of(key)) else { break };
            let end = version_key(tenant, u64::MAX);
            let last = self.truth.versions.get_lower_than_or_equal_to(&self.txn, &end).map_err(broken)?;
            let number = last.and_then(|(key, _)| version_of(key)).map_or(0, |(_, number)| number);
            found.push((tenant, number));
            from = tenant.0.checked_add(1).map(TenantId);
        }
        Ok(found)
    }

    /// The records of a tenant from a number up to and including another, as stored.
    pub fn records(
        &self,
        tenant: TenantId,
        from: u64,
        to: u64,
    ) -> Result<impl Iterator<Item = Result<(u64, &[u8]), StoreError>>, StoreError> {
        let range = (version_key(tenant, from), version_key(tenant, to));
        let bounds = (std::ops::Bound::Included(&range.0[..]), std::ops::Bound::Included(&range.1[..]));
        let rows = self.truth.versions.range(&self.txn, &bounds).map_err(broken)?;
        Ok(rows.map(|row| {
            let (key, record) = row.map_err(broken)?;
            let (_, number) =
                version_of(key).ok_or_else(|| StoreError::Broken("a key of a version is damaged".into()))?;
            Ok((number, record))
        }))
    }

    /// How many resources there are in the map of newest versions, deleted ones included, over all tenants.
    pub fn resources(&self) -> Result<u64, StoreError> {
        self.truth.current.len(&self.txn).map_err(broken)
    }

    /// How many versions there are, over all tenants.
    pub fn versions(&self) -> Result<u64, StoreError> {
        self.truth.versions.len(&self.txn).map_err(broken)
    }

    /// The last number up to `position` whose version was made before a moment; 0 if there is none.
    pub fn last_before(&self, tenant: TenantId, position: u64, moment: Timestamp) -> Result<u64, StoreError> {
        let (mut before, mut after) = (0, position + 1);
        while after - before > 1 {
            let middle = before + (after - before) / 2;
            if self.version(tenant, middle)?.0.last_updated < moment { before = middle } else { after = middle }
        }
        Ok(before)
    }
}

/// The write transaction. Dropped without commit it leaves no trace.
pub struct Writing<'t> {
    pub(super) txn: RwTxn<'t>,
    pub(super) truth: &'t Truth,
    _gate: RwLockReadGuard<'t, ()>,
}

impl Look for Writing<'_> {
    fn within(&self) -> (&RoTxn<'_, WithoutTls>, &Truth) {
        (&self.txn, self.truth)
    }
}

impl Writing<'_> {
    /// Sets a value of `meta`.
    pub fn put_meta(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        Ok(self.truth.meta.put(&mut self.txn, key, value)?)
    }

    /// Sets a dictionary, which was made of bodies.
    pub fn put_dictionary(&mut self, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        let value = self.truth.sealed(key, value).map_err(failed)?;
        Ok(self.truth.meta.put(&mut self.txn, key, &value)?)
    }

    /// Adds a version, whose number follows the last one of its tenant, and makes it the newest of its resource.
    pub fn put_version(&mut self, tenant: TenantId, header: &Header, body: &[u8]) -> Result<(), Fault> {
        let key = version_key(tenant, header.number);
        let body = self.truth.sealed(&key, body).map_err(failed)?;
        let record = header.encode(tenant, &body);
        self.truth.versions.put(&mut self.txn, &key, &record)?;
        let newest = Newest { number: header.number, version: header.version, deleted: header.is_deleted() };
        let key = current_key(tenant, header.stored_type, header.id.as_str());
        Ok(self.truth.current.put(&mut self.txn, &key, &newest.encode())?)
    }

    /// Adds a record of an audit trail, whose number follows the last one.
    pub fn put_record(&mut self, trail: TenantId, header: &Header, hash: &Hash, body: &[u8]) -> Result<(), Fault> {
        let key = version_key(trail, header.number);
        let body = self.truth.sealed(&key, body).map_err(failed)?;
        let mut content = Vec::with_capacity(32 + body.len());
        content.extend_from_slice(hash);
        content.extend_from_slice(&body);
        let record = header.encode(trail, &content);
        // Trails come after all tenants: with one of them the record is the last, and pages are filled to the end.
        match self.truth.versions.put_with_flags(&mut self.txn, PutFlags::APPEND, &key, &record) {
            Err(heed::Error::Mdb(MdbError::KeyExist)) => {
                Ok(self.truth.versions.put_with_flags(&mut self.txn, PutFlags::NO_OVERWRITE, &key, &record)?)
            }
            other => Ok(other?),
        }
    }

    /// Makes it durable.
    pub fn commit(self) -> Result<(), Fault> {
        #[cfg(test)]
        if self.truth.flush_fails.load(Ordering::Relaxed) {
            return Err(Fault::Flush("the test wants it".into()));
        }
        self.txn.commit().map_err(|error| match Fault::from(error) {
            Fault::Failed(why) => Fault::Flush(why),
            // LMDB has let the transaction go before it touched what was there.
            other => other,
        })
    }
}
