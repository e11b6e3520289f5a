//! Which segments there are: their directory, the order to make a new one once a tenant has enough versions in
//! memory, and the choice of those to be merged. Making them is in `seal`.

use super::cipher::Cipher;
use super::index::TenantIndex;
use super::segment::{Info, Segment, Unfit, file_name, info_of_name};
use crate::base::TenantId;
use crate::store::Indexing;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;

/// So many small segments are merged at least: fewer are not worth it.
const MERGED: usize = 4;

/// A segment in use.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The first number that it covers.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// Its file; none if it is held in memory.
    pub file: Option<PathBuf>,
    /// Which terms resources had when it was made.
    pub schema: u64,
}

impl Kept {
    /// How many versions it has.
    pub fn size(&self) -> u64 {
        self.to - self.from + 1
    }
}

/// Versions to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct Seal {
    /// Whose.
    pub tenant: TenantId,
    /// The first number.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// Which terms their resources had.
    pub schema: u64,
}

/// What the sealer is asked to do.
pub enum Order {
    /// Seal.
    Seal(Seal),
    /// Merge, and index again if that is asked for.
    Tend,
    /// Say when all before it is done.
    Say(mpsc::Sender<()>),
}

/// Knows the segments.
pub struct Keeper {
    /// None: segments are held in memory only.
    directory: Option<PathBuf>,
    /// Whether files may be read but not written.
    read_only: bool,
    /// Segments that something is wrong with, and what.
    refused: Mutex<Vec<String>>,
    /// Which terms resources have now.
    schema: AtomicU64,
    /// Versions in memory after which they are sealed.
    seal_after: u64,
    /// Bytes that a segment may have.
    pub room: u64,
    kept: Mutex<FxHashMap<TenantId, Vec<Kept>>>,
    orders: Mutex<Option<mpsc::Sender<Order>>>,
    stopping: AtomicBool,
    /// Whether and how far all is indexed again.
    indexing: Mutex<Indexing>,
}

impl Keeper {
    /// Of the segments in a directory, which is made if it is not there; if it cannot be made, segments are held in
    /// memory and every start makes them again.
    pub fn new(directory: Option<&Path>, schema: u64, seal_after: usize, room: u64) -> Keeper {
        let directory = directory.filter(|directory| {
            std::fs::create_dir_all(directory)
                .inspect_err(|error| tracing::warn!(%error, "the directory of the index cannot be made"))
                .is_ok()
        });
        Keeper {
            directory: directory.map(Path::to_owned),
            read_only: false,
            refused: Mutex::default(),
            schema: AtomicU64::new(schema),
            seal_after: seal_after.max(1) as u64,
            room,
            kept: Mutex::default(),
            orders: Mutex::default(),
            stopping: AtomicBool::new(false),
            indexing: Mutex::default(),
        }
    }

    /// Of the segments in a directory, of which nothing is changed.
    pub fn reading(directory: &Path, schema: u64, seal_after: usize) -> Keeper {
        let directory = Some(directory.to_owned());
        Keeper { directory, read_only: true, ..Keeper::new(None, schema, seal_after, u64::MAX) }
    }

    /// Takes note of a segment that something is wrong with.
    pub fn refuse(&self, path: &Path, why: &str) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        tracing::warn!(%name, why, "a segment of the index is not used and made again");
        self.refused.lock().push(format!("the index segment {name}: {why}"));
    }

    /// Says that a segment is not used though nothing is wrong with it: resources have other terms now (other search
    /// parameters, another address of the server), or another version of this program made it.
    pub fn leave(&self, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        tracing::info!(%name, "a segment of the index is out of date and is made again");
    }

    /// Segments that something is wrong with, and what.
    pub fn refused(&self) -> Vec<String> {
        self.refused.lock().clone()
    }

    /// Orders to seal are given here from now on.
    pub fn send_to(&self, orders: mpsc::Sender<Order>) {
        *self.orders.lock() = Some(orders);
    }

    /// No more orders are given, and merges end early.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        *self.orders.lock() = None;
    }

    /// Whether merges should end.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Has the versions in memory sealed if they are enough.
    pub fn look_after(&self, tenant: TenantId, index: &TenantIndex) {
        self.seal_beyond(tenant, index, self.seal_after);
    }

    /// Has the versions in memory sealed if it would take long to read them again at the next start.
    pub fn look_after_at_end(&self, tenant: TenantId, index: &TenantIndex) {
        self.seal_beyond(tenant, index, self.seal_after.div_ceil(16));
    }

    /// Has the versions in memory sealed.
    pub fn seal_now(&self, tenant: TenantId, index: &TenantIndex) {
        self.seal_beyond(tenant, index, 1);
    }

    fn seal_beyond(&self, tenant: TenantId, index: &TenantIndex, most: u64) {
        if !self.is_enough(index, index.position(), most) {
            return;
        }
        let orders = self.orders.lock();
        // Read before anything is frozen: a label that is too old is only made again, one that is too new would stay.
        let schema = self.schema();
        if let Some(orders) = &*orders
            && let Some((from, to)) = index.freeze_published(most)
        {
            // Nobody listens any more only while the store is closed; what is frozen serves as it is.
            let _ = orders.send(Order::Seal(Seal { tenant, from, to, schema }));
        }
    }

    /// Which terms resources have now.
    pub fn schema(&self) -> u64 {
        self.schema.load(Ordering::Acquire)
    }

    /// Resources have other terms from now on.
    pub fn set_schema(&self, schema: u64) {
        self.schema.store(schema, Ordering::Release);
    }

    /// Waits until the sealer has done what it was asked before.
    pub fn wait_for_sealer(&self) {
        let (say, said) = mpsc::channel();
        let sent = self.orders.lock().as_ref().is_some_and(|orders| orders.send(Order::Say(say)).is_ok());
        if sent {
            let _ = said.recv();
        }
    }

    /// Asks that all is indexed again that was indexed with other terms.
    pub fn ask_to_index(&self) -> bool {
        let orders = self.orders.lock();
        let Some(orders) = &*orders else { return false };
        self.indexing.lock().asked = true;
        orders.send(Order::Tend).is_ok()
    }

    /// Whether indexing again was asked for since the last time.
    pub fn begin_indexing(&self) -> bool {
        let mut indexing = self.indexing.lock();
        let asked = std::mem::take(&mut indexing.asked);
        if asked {
            *indexing = Indexing { running: true, ..Indexing::default() };
        }
        asked
    }

    /// How far it is.
    pub fn tell_progress(&self, done: u64, all: u64) {
        let mut indexing = self.indexing.lock();
        (indexing.done, indexing.all) = (done, all);
    }

    /// It has ended.
    pub fn end_indexing(&self, failed: Option<String>) {
        let mut indexing = self.indexing.lock();
        (indexing.running, indexing.failed) = (false, failed);
    }

    /// Whether and how far all is indexed again.
    pub fn indexing(&self) -> Indexing {
        self.indexing.lock().clone()
    }

    /// Whether there are enough versions in memory to be sealed, those up to a number counted.
    pub fn is_due(&self, index: &TenantIndex, number: u64) -> bool {
        self.is_enough(index, number, self.seal_after)
    }

    fn is_enough(&self, index: &TenantIndex, number: u64, most: u64) -> bool {
        number.saturating_sub(index.frozen()) >= most
    }

    /// Takes note of a segment that is in use now, in the place of those that it covers; gives the files of those.
    pub fn keep(&self, tenant: TenantId, segment: Kept) -> Vec<PathBuf> {
        let mut kept = self.kept.lock();
        let own = kept.entry(tenant).or_default();
        let start = own.partition_point(|k| k.from < segment.from);
        let end = own.partition_point(|k| k.from <= segment.to);
        let file = segment.file.clone();
        let covered: Vec<_> = own.splice(start..end, [segment]).collect();
        covered.into_iter().filter_map(|k| k.file).filter(|old| Some(old) != file.as_ref()).collect()
    }

    /// The segments of a tenant, in order.
    pub fn kept(&self, tenant: TenantId) -> Vec<Kept> {
        self.kept.lock().get(&tenant).cloned().unwrap_or_default()
    }

    /// Whether the segments of a tenant cover all numbers up to this one.
    pub fn covers(&self, tenant: TenantId, last: u64) -> bool {
        let next = self.kept(tenant).iter().fold(1, |next, k| if k.from == next { k.to + 1 } else { next });
        next > last
    }

    /// First and last number, and schema, of neighbouring segments that should be one: of the last ones as many as are each not
    /// larger than all after them together. So there are few segments, and each version is written a number of times
    /// that grows with the logarithm of how many there are.
    pub fn to_merge(&self, tenant: TenantId) -> Option<(u64, u64, u64)> {
        let kept = self.kept(tenant);
        // Small ones may stand before larger ones after a rebuild of a hole: every end of a run is tried.
        (MERGED..=kept.len()).rev().find_map(|end| {
            let mut start = end - 1;
            let mut total = kept[start].size();
            let alike = |a: &Kept, b: &Kept| a.to + 1 == b.from && a.schema == b.schema;
            while start > 0 && kept[start - 1].size() <= total && alike(&kept[start - 1], &kept[start]) {
                start -= 1;
                total += kept[start].size();
            }
            (end - start >= MERGED).then(|| (kept[start].from, kept[end - 1].to, kept[start].schema))
        })
    }

    /// The same when nothing is written: the last two, if that is not much more work than the smaller one is worth. A
    /// search looks into each segment.
    pub fn to_merge_at_rest(&self, tenant: TenantId) -> Option<(u64, u64, u64)> {
        const MOST: u64 = 4_000_000;
        let kept = self.kept(tenant);
        let [.., a, b] = &*kept else { return None };
        let (small, large) = (a.size().min(b.size()), a.size().max(b.size()));
        let alike = a.to + 1 == b.from && a.schema == b.schema;
        (alike && small * 4 >= large && small + large <= MOST).then_some((a.from, b.to, a.schema))
    }

    /// The files of a tenant's segments, by first number, the longest first; none of them is verified.
    pub fn files(&self, tenant: TenantId) -> Vec<(u64, u64, PathBuf)> {
        let mut found: Vec<_> = self
            .all_files()
            .into_iter()
            .filter_map(|path| {
                let (owner, from, to) = info_of_name(path.file_name()?.to_str()?)?;
                (owner == tenant.0).then_some((from, to, path))
            })
            .collect();
        found.sort_by_key(|(from, to, _)| (*from, u64::MAX - *to));
        found
    }

    fn all_files(&self) -> Vec<PathBuf> {
        let entries = self.directory.as_ref().and_then(|directory| std::fs::read_dir(directory).ok());
        entries.into_iter().flatten().flatten().map(|entry| entry.path()).collect()
    }

    /// Removes what is left of segments that are not in use: merged ones, damaged ones, unfinished ones.
    pub fn tidy(&self) {
        let kept = self.kept.lock();
        let used: Vec<_> = kept.values().flatten().filter_map(|k| k.file.as_deref()).collect();
        for path in self.all_files() {
            // Those of audit trails are looked at when somebody looks at the trail.
            let name = path.file_name().and_then(|name| name.to_str()).and_then(info_of_name);
            if name.is_some_and(|(owner, ..)| TenantId(owner).is_trail()) {
                continue;
            }
            let ours = path.extension().is_some_and(|e| e == "segment" || e == "part");
            if ours && !used.contains(&&*path) {
                remove(&path);
            }
        }
    }

    /// Opens a segment of the directory; the error says what is wrong with it. An encrypted one is held in memory.
    pub fn open(path: &Path, cipher: Option<&Cipher>) -> Result<Segment, Unfit> {
        let Some(cipher) = cipher else { return Segment::open(path) };
        let sealed = std::fs::read(path).map_err(|e| e.to_string())?;
        let plain = cipher.open(&place(path), &sealed).ok_or_else(|| "it cannot be decrypted".to_owned())?;
        Segment::held(plain)
    }

    /// Writes a segment into the directory: under another name until it is whole and flushed. Gives it back verified
    /// and mapped, and its file.
    pub fn write(
        &self,
        info: &Info,
        cipher: Option<&Cipher>,
        build: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) -> std::io::Result<(Segment, Option<PathBuf>)> {
        let invalid = |why: Unfit| std::io::Error::new(std::io::ErrorKind::InvalidData, why.to_string());
        let Some(directory) = self.directory.as_ref().filter(|_| !self.read_only) else {
            let mut bytes = Vec::new();
            build(&mut bytes)?;
            return Ok((Segment::held(bytes).map_err(invalid)?, None));
        };
        let path = directory.join(file_name(info));
        let part = path.with_extension("part");
        let mut held = None;
        let written = File::create(&part).and_then(|mut file| {
            match cipher {
                None => {
                    let mut out = BufWriter::with_capacity(1 << 18, file);
                    build(&mut out)?;
                    file = out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
                }
                Some(cipher) => {
                    let mut plain = Vec::new();
                    build(&mut plain)?;
                    let sealed = cipher.seal(&place(&path), &plain).map_err(std::io::Error::other)?;
                    file.write_all(&sealed)?;
                    held = Some(plain);
                }
            }
            file.sync_all()?;
            std::fs::rename(&part, &path)?;
            File::open(directory)?.sync_all()
        });
        if let Err(error) = written {
            remove(&part);
            return Err(error);
        }
        let segment = match held {
            Some(plain) => Segment::held(plain),
            None => Segment::open(&path),
        };
        Ok((segment.map_err(invalid)?, Some(path)))
    }
}

/// What an encrypted segment is bound to: its name, which says whose it is and of what.
fn place(path: &Path) -> Vec<u8> {
    path.file_name().unwrap_or_default().as_encoded_bytes().to_vec()
}

/// Removes a file of the index. If it stays it is of no harm.
pub fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "a file of the index cannot be removed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_few_and_are_not_written_often() {
        let keeper = Keeper::new(None, 0, 1, u64::MAX);
        let tenant = TenantId(1);
        let mut written = 0;
        let count = 1_000;
        for number in 1..=count {
            keeper.keep(tenant, Kept { from: number, to: number, file: None, schema: 0 });
            while let Some((from, to, _)) = keeper.to_merge(tenant) {
                written += to - from + 1;
                keeper.keep(tenant, Kept { from, to, file: None, schema: 0 });
            }
            let kept = keeper.kept(tenant);
            assert!(kept.len() <= 14, "{kept:?}");
            assert!(kept.windows(2).all(|pair| pair[0].to + 1 == pair[1].from));
        }
        assert!(written < count * 11, "{written}");
    }

    #[test]
    fn a_hole_is_not_merged_over() {
        let keeper = Keeper::new(None, 0, 1, u64::MAX);
        let tenant = TenantId(1);
        for number in [1, 2, 3, 5, 6, 7] {
            keeper.keep(tenant, Kept { from: number, to: number, file: None, schema: 0 });
        }
        assert_eq!(keeper.to_merge(tenant), None);
        keeper.keep(tenant, Kept { from: 8, to: 8, file: None, schema: 0 });
        assert_eq!(keeper.to_merge(tenant), Some((5, 8, 0)));
    }
}
