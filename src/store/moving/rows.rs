//! A row of a store as bytes: what a backup holds, and what checksums are made of. Numbers are little-endian; types
//! stand by their names, so that a row means the same in every program and engine.

use crate::base::{ResourceId, TenantId, Timestamp};
use crate::store::{Hash, Item, Method, RawItem, RawVersion, Vocabulary, sha256};

/// A version of a log.
const VERSION: u8 = b'V';
/// An item.
const ITEM: u8 = b'I';

/// A row that was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Row {
    Version(TenantId, RawVersion),
    Item(RawItem),
    /// Anything else, which the form of the file gives a meaning: the tag and the bytes.
    Other(u8, Vec<u8>),
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// A version as bytes.
pub fn version_row(log: TenantId, raw: &RawVersion, vocabulary: &dyn Vocabulary) -> Vec<u8> {
    let mut out = Vec::with_capacity(128 + raw.body.as_ref().map_or(0, Vec::len));
    out.push(VERSION);
    out.extend_from_slice(&log.0.to_le_bytes());
    for number in [raw.number, raw.commit, raw.version] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&raw.last_updated.0.to_le_bytes());
    out.push(match raw.method {
        Method::Create => 0,
        Method::Update => 1,
        Method::Patch => 2,
        Method::Delete => 3,
    });
    text(&mut out, vocabulary.name(raw.kind));
    text(&mut out, raw.id.as_str());
    out.push(raw.hash.is_some().into());
    out.extend_from_slice(raw.hash.as_ref().map_or(&[][..], |hash| hash));
    out.extend_from_slice(raw.body.as_deref().unwrap_or_default());
    out
}

/// An item as bytes.
pub fn item_row(raw: &RawItem) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + raw.item.value.len());
    out.push(ITEM);
    out.extend_from_slice(&raw.tenant.0.to_le_bytes());
    out.extend_from_slice(&raw.item.revision.to_le_bytes());
    out.extend_from_slice(&raw.item.expires.map_or(i64::MAX, |end| end.0).to_le_bytes());
    text(&mut out, &raw.collection);
    text(&mut out, &raw.item.key);
    out.extend_from_slice(&raw.item.value);
    out
}

/// A row from its bytes. The error says what is wrong with it.
pub fn read_row(bytes: &[u8], vocabulary: &dyn Vocabulary) -> Result<Row, String> {
    let mut at = Reader(bytes);
    let cut = || "a row is cut off".to_owned();
    match at.byte().ok_or_else(cut)? {
        VERSION => version(&mut at, vocabulary),
        ITEM => item(&mut at).map(Row::Item).ok_or_else(cut),
        tag => Ok(Row::Other(tag, at.0.to_vec())),
    }
}

fn version(at: &mut Reader<'_>, vocabulary: &dyn Vocabulary) -> Result<Row, String> {
    let cut = || "the row of a version is cut off".to_owned();
    let head = |at: &mut Reader<'_>| {
        Some((
            TenantId(at.small()?),
            at.number()?,
            at.number()?,
            at.number()?,
            Timestamp(at.number()? as i64),
            at.byte()?,
        ))
    };
    let (log, number, commit, version, last_updated, method) = head(at).ok_or_else(cut)?;
    let method = match method {
        0 => Method::Create,
        1 => Method::Update,
        2 => Method::Patch,
        3 => Method::Delete,
        _ => return Err(format!("version {number} came from nothing that is known")),
    };
    let name = at.text().ok_or_else(cut)?;
    let kind = vocabulary.kind(name).ok_or_else(|| format!("the type {name:?} of version {number} is not known"))?;
    let id = at.text().ok_or_else(cut)?;
    let id = ResourceId::new(id).ok_or_else(|| format!("version {number} has no legal id"))?;
    let hash: Option<Hash> = match at.byte().ok_or_else(cut)? {
        0 => None,
        _ => Some(*at.chunk::<32>().ok_or_else(cut)?),
    };
    let body = (method != Method::Delete).then(|| at.0.to_vec());
    Ok(Row::Version(log, RawVersion { number, commit, kind, id, version, last_updated, method, body, hash }))
}

fn item(at: &mut Reader<'_>) -> Option<RawItem> {
    let tenant = TenantId(at.small()?);
    let revision = at.number()?;
    let expires = Some(at.number()? as i64).filter(|end| *end != i64::MAX).map(Timestamp);
    let (collection, key) = (at.text()?.to_owned(), at.text()?.to_owned());
    Some(RawItem { tenant, collection, item: Item { key, revision, value: at.0.to_vec(), expires } })
}

/// What is left to read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn chunk<const N: usize>(&mut self) -> Option<&'b [u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.chunk::<1>().map(|[byte]| *byte)
    }

    fn small(&mut self) -> Option<u32> {
        self.chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn number(&mut self) -> Option<u64> {
        self.chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
    }

    fn text(&mut self) -> Option<&'b str> {
        let length = u16::from_le_bytes(*self.chunk::<2>()?);
        let (taken, rest) = self.0.split_at_checked(length.into())?;
        self.0 = rest;
        std::str::from_utf8(taken).ok()
    }
}

/// What a version is recognised by: a hash over all of it.
pub fn mark(log: TenantId, raw: &RawVersion, vocabulary: &dyn Vocabulary) -> Hash {
    sha256(&[&version_row(log, raw, vocabulary)])
}

/// A checksum over the versions of a log, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSum {
    pub count: u64,
    pub hash: Hash,
}

impl LogSum {
    pub const NONE: LogSum = LogSum { count: 0, hash: [0; 32] };

    pub fn add(&mut self, log: TenantId, raw: &RawVersion, vocabulary: &dyn Vocabulary) {
        self.count += 1;
        self.hash = sha256(&[&self.hash, &version_row(log, raw, vocabulary)]);
    }
}

/// A checksum over items in any order, as engines give them in different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ItemSum {
    pub count: u64,
    pub hash: Hash,
}

impl ItemSum {
    pub const NONE: ItemSum = ItemSum { count: 0, hash: [0; 32] };

    pub fn add(&mut self, raw: &RawItem) {
        self.count += 1;
        // Keys are different, and so are the hashes: none takes another away.
        self.hash.iter_mut().zip(sha256(&[&item_row(raw)])).for_each(|(sum, byte)| *sum ^= byte);
    }
}
