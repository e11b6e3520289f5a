//! A segment as a file: header, trailer, checksum; verified as a whole before anything of it is used, then mapped.
//! The bytes may also be held in memory (a full disk, or a store whose files are encrypted): everything else reads
//! them through [`Bytes`] and does not know the difference.

use super::super::coding::Reader;
use super::column::ColumnShape;
use super::ordered::Place;
use super::section::{Group, Section};
use std::fmt::{Display, Formatter};
use std::fs::File;
use std::io::Read;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// What a segment begins with: what it is,
const KIND: &[u8] = b"vesta segment ";
/// and its form. Another one is not read but made again.
pub(super) const MAGIC: &[u8; 16] = b"vesta segment 3\n";
/// What stands before the checksum.
pub(super) const TRAILER_MAGIC: &[u8; 4] = b"end\n";
/// Bytes of the header.
pub(super) const HEADER: usize = 64;
/// Bytes of the trailer with the checksum.
const TRAILER: usize = 24;

/// What a segment is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Whose.
    pub tenant: u32,
    /// The first number that it covers.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// Checksum of the version `to` in the truth: a segment of another truth is not used.
    pub mark: u32,
    /// Which terms resources had when it was made.
    pub schema: u64,
}

/// The bytes of a segment.
pub enum Bytes {
    /// A mapped file.
    Mapped(memmap2::Mmap),
    /// In memory.
    Held(Vec<u8>),
}

impl Bytes {
    /// Lets go of the memory in which a mapped file was looked at; what is needed is looked at again.
    pub(super) fn let_go(&self) {
        if let Bytes::Mapped(map) = self {
            // SAFETY: the map is of a file and only read: its pages come back from the file unchanged.
            #[allow(unsafe_code)]
            let _ = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Held(bytes) => bytes,
        }
    }
}

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Another version of this program made it.
    OtherForm,
    /// What is wrong with it.
    Wrong(String),
}

impl From<String> for Unfit {
    fn from(why: String) -> Unfit {
        Unfit::Wrong(why)
    }
}

impl Display for Unfit {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Unfit::OtherForm => f.write_str("it is of another form"),
            Unfit::Wrong(why) => f.write_str(why),
        }
    }
}

/// A segment that was verified.
pub struct Segment {
    /// What it is of.
    pub info: Info,
    /// What is of each type, by its stored number.
    pub sections: Vec<(u16, Arc<Section>)>,
    /// Its size.
    pub length: u64,
}

/// The name of a segment's file.
pub fn file_name(info: &Info) -> String {
    format!("{:08x}-{}-{}.segment", info.tenant, info.from, info.to)
}

/// Tenant, first and last number that a file's name says.
pub fn info_of_name(name: &str) -> Option<(u32, u64, u64)> {
    let mut parts = name.strip_suffix(".segment")?.split('-');
    let tenant = u32::from_str_radix(parts.next()?, 16).ok()?;
    let (from, to) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (parts.next().is_none() && 0 < from && from <= to).then_some((tenant, from, to))
}

impl Segment {
    /// Verifies a file and maps it.
    pub fn open(path: &Path) -> Result<Segment, Unfit> {
        let file = File::open(path).map_err(|e| e.to_string())?;
        verify(&file).map_err(|e| e.to_string())?;
        // SAFETY: the file was written whole, flushed and given its name before; nobody writes to a segment after
        // that, and the directory is locked, so that no other process of ours has it. A file that somebody else
        // shortens while it is mapped ends the process by a signal, as with every database that maps files; no
        // reference to other memory is involved.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|e| e.to_string())?;
        Segment::of(Bytes::Mapped(map))
    }

    /// Lets go of the memory in which the file was looked at; what is needed is looked at again.
    pub fn let_go(&self) {
        if let Some((_, section)) = self.sections.first() {
            section.let_go();
        }
    }

    /// A segment that was just written to memory.
    pub fn held(bytes: Vec<u8>) -> Result<Segment, Unfit> {
        Segment::of(Bytes::Held(bytes))
    }

    /// Reads the table of contents of a segment whose checksum is right. Everything that it says is checked against
    /// the size, so that no damage that the checksum did not find leads outside.
    pub(super) fn of(bytes: Bytes) -> Result<Segment, Unfit> {
        if bytes.starts_with(KIND) && !bytes.starts_with(MAGIC) {
            return Err(Unfit::OtherForm);
        }
        let bytes = Arc::new(bytes);
        read(&bytes).ok_or_else(|| Unfit::Wrong("the table of contents is damaged".to_owned()))
    }
}

/// Compares the checksum, without mapping, so that what is only verified takes no memory.
fn verify(file: &File) -> std::io::Result<()> {
    let wrong = |what| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let length = file.metadata()?.len();
    let body = length.checked_sub(4).filter(|_| length >= (HEADER + TRAILER) as u64).ok_or(wrong("it is too short"))?;
    let mut sum = crc32fast::Hasher::new();
    let mut chunk = vec![0; 1 << 18];
    let mut reader = file.take(body);
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        sum.update(&chunk[..read]);
    }
    let mut stored = [0; 4];
    reader.into_inner().read_exact(&mut stored)?;
    if u32::from_le_bytes(stored) != sum.finalize() {
        return Err(wrong("its checksum is wrong"));
    }
    Ok(())
}

fn read(bytes: &Arc<Bytes>) -> Option<Segment> {
    let mut header = Reader(bytes.get(..HEADER)?);
    if header.chunk::<16>()? != MAGIC {
        return None;
    }
    let tenant = u32::from_le_bytes(*header.chunk()?);
    let mark = u32::from_le_bytes(*header.chunk()?);
    let (from, to) = (u64::from_le_bytes(*header.chunk()?), u64::from_le_bytes(*header.chunk()?));
    let schema = u64::from_le_bytes(*header.chunk()?);
    let info = Info { tenant, from, to, mark, schema };
    if from == 0 || from > to || to > u64::from(u32::MAX) {
        return None;
    }
    let trailer = bytes.len().checked_sub(TRAILER)?;
    let mut end = Reader(bytes.get(trailer..)?);
    let start = usize::try_from(u64::from_le_bytes(*end.chunk()?)).ok()?;
    let count = u64::from_le_bytes(*end.chunk()?);
    if end.chunk::<4>()? != TRAILER_MAGIC || start < HEADER {
        return None;
    }
    let mut contents = Reader(bytes.get(start..trailer)?);
    let mut sections = Vec::new();
    for _ in 0..count {
        let stored_type = contents.small()?.try_into().ok()?;
        sections.push((stored_type, Arc::new(section(bytes, &info, start, &mut contents)?)));
    }
    let docs: u64 = sections.iter().map(|(_, s): &(u16, Arc<Section>)| u64::from(s.docs)).sum();
    // Every number belongs to one version of one type.
    let whole = contents.0.is_empty() && docs == to - from + 1;
    whole.then(|| Segment { info, sections, length: bytes.len() as u64 })
}

fn section(bytes: &Arc<Bytes>, info: &Info, end: usize, contents: &mut Reader<'_>) -> Option<Section> {
    let docs = contents.small()?;
    let id_parameter = *contents.chunk::<2>()?;
    let numbers = part(end, contents)?;
    let previous = part(end, contents)?;
    let deleted = contents.small()?;
    let deletes = part(end, contents)?;
    let mut groups: Vec<Group> = Vec::new();
    loop {
        let terms = contents.small()?;
        if terms == 0 {
            break;
        }
        let key = *contents.chunk::<3>()?;
        let (blocks, fences) = (part(end, contents)?, part(end, contents)?);
        let (lists, column) = (part(end, contents)?, part(end, contents)?);
        let shape = ColumnShape { listed: contents.small()?, several: contents.small()?, length: contents.small()? };
        if groups.last().is_some_and(|last| last.key >= key)
            || terms.checked_add(shape.several)?.checked_add(1).is_none()
        {
            return None;
        }
        let last = OnceLock::new();
        groups.push(Group { key, terms, blocks, fences, lists, column, shape, last });
    }
    let mut ordered: Vec<Place> = Vec::new();
    loop {
        let (many, several) = (contents.small()?, contents.small()?);
        if (many, several) == (0, 0) {
            break;
        }
        let (group, rank, column) = (contents.small()?, contents.small()?, contents.small()?);
        let place = Place { group, rank, column, ordered: many, several, part: part(end, contents)? };
        let are_there = (group.max(column) as usize) < groups.len() && many.checked_add(several)? <= docs;
        if !are_there || ordered.last().is_some_and(|last| last.key() >= place.key()) {
            return None;
        }
        ordered.push(place);
    }
    let bytes = bytes.clone();
    let section = Section { bytes, docs, id_parameter, groups, ordered, numbers, previous, deletes, deleted };
    section.is_sound(info).then_some(section)
}

fn part(end: usize, contents: &mut Reader<'_>) -> Option<Range<usize>> {
    let start = contents.size()?;
    let stop = start.checked_add(contents.size()?)?;
    (stop <= end).then_some(start..stop)
}
