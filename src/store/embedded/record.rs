//! The record of one version and the keys of the truth: how they are written as bytes. Every record carries a
//! checksum over its key and content. What stands in the compressed body is not known here.

use super::coding::{Reader, put};
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::store::{Hash, Method};

/// What is known of a version besides its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Place in the change log.
    pub number: u64,
    /// Number of the first version of the same commit.
    pub commit: u64,
    /// Number of the type in the type table of the store.
    pub stored_type: u16,
    /// Version id.
    pub version: u64,
    /// When it was committed.
    pub last_updated: Timestamp,
    /// What it came from.
    pub method: Method,
    /// Number of the previous version of the resource; none for the first.
    pub previous: Option<u64>,
    /// Number and version id of an earlier version, chosen so that any version is found in few steps; the version
    /// itself for the first.
    pub jump: (u64, u64),
    /// Dictionary of the body; 0 is none.
    pub dictionary: u32,
    /// Logical id.
    pub id: ResourceId,
}

const DELETED: u8 = 0b0000_0011;
const UUID: u8 = 0b0000_0100;

impl Header {
    /// Whether it is a delete.
    pub fn is_deleted(&self) -> bool {
        self.method == Method::Delete
    }

    /// Writes header and compressed body.
    pub fn encode(&self, tenant: TenantId, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + body.len());
        out.extend_from_slice(&[0; 4]);
        let uuid = pack_uuid(self.id.as_str());
        let method = match self.method {
            Method::Create => 0,
            Method::Update => 1,
            Method::Patch => 2,
            Method::Delete => DELETED,
        };
        out.push(method | if uuid.is_some() { UUID } else { 0 });
        put(&mut out, self.stored_type.into());
        put(&mut out, self.version);
        out.extend_from_slice(&self.last_updated.0.to_le_bytes());
        put(&mut out, self.number - self.commit);
        put(&mut out, self.previous.map_or(0, |p| self.number - p));
        put(&mut out, self.number - self.jump.0);
        put(&mut out, self.version - self.jump.1);
        put(&mut out, self.dictionary.into());
        match uuid {
            Some(packed) => out.extend_from_slice(&packed),
            None => {
                out.push(self.id.as_str().len() as u8);
                out.extend_from_slice(self.id.as_str().as_bytes());
            }
        }
        out.extend_from_slice(body);
        let sum = checksum(tenant, self.number, &out[4..]);
        out[..4].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads a record: header and compressed body. `None` if it is damaged.
    pub fn decode(tenant: TenantId, number: u64, record: &[u8]) -> Option<(Header, &[u8])> {
        match tenant.is_trail() {
            true => Header::decode_link(tenant, number, record).map(|(header, _, body)| (header, body)),
            false => Header::decode_whole(tenant, number, record),
        }
    }

    /// Reads a record of either sort: header, the hash of an audit trail's, and stored body.
    pub fn decode_any(tenant: TenantId, number: u64, record: &[u8]) -> Option<(Header, Option<&Hash>, &[u8])> {
        match tenant.is_trail() {
            true => Header::decode_link(tenant, number, record).map(|(header, hash, body)| (header, Some(hash), body)),
            false => Header::decode_whole(tenant, number, record).map(|(header, body)| (header, None, body)),
        }
    }

    /// Reads a record of an audit trail: header, hash and compressed body.
    pub fn decode_link(tenant: TenantId, number: u64, record: &[u8]) -> Option<(Header, &Hash, &[u8])> {
        let (header, rest) = Header::decode_whole(tenant, number, record)?;
        let (hash, body) = rest.split_first_chunk::<32>()?;
        Some((header, hash, body))
    }

    fn decode_whole(tenant: TenantId, number: u64, record: &[u8]) -> Option<(Header, &[u8])> {
        let (sum, rest) = record.split_first_chunk::<4>()?;
        if u32::from_le_bytes(*sum) != checksum(tenant, number, rest) {
            return None;
        }
        let mut at = Reader(rest);
        let flags = at.byte()?;
        let method = match flags & DELETED {
            0 => Method::Create,
            1 => Method::Update,
            2 => Method::Patch,
            _ => Method::Delete,
        };
        let stored_type = at.number()?.try_into().ok()?;
        let version = at.number()?;
        let last_updated = Timestamp(i64::from_le_bytes(*at.chunk::<8>()?));
        let commit = number.checked_sub(at.number()?)?;
        let previous = match at.number()? {
            0 => None,
            back => Some(number.checked_sub(back)?),
        };
        let jump = (number.checked_sub(at.number()?)?, version.checked_sub(at.number()?)?);
        let dictionary = at.number()?.try_into().ok()?;
        let id = if flags & UUID != 0 {
            ResourceId::new(&unpack_uuid(at.chunk::<16>()?))?
        } else {
            let length = at.byte()? as usize;
            ResourceId::new(std::str::from_utf8(at.take(length)?).ok()?)?
        };
        let header =
            Header { number, commit, stored_type, version, last_updated, method, previous, jump, dictionary, id };
        Some((header, at.0))
    }
}

/// The checksum of a record. The key is part of it, so that a record in the wrong place is found.
fn checksum(tenant: TenantId, number: u64, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version_key(tenant, number));
    hasher.update(rest);
    hasher.finalize()
}

/// The key of a version.
pub fn version_key(tenant: TenantId, number: u64) -> [u8; 12] {
    let mut key = [0; 12];
    key[..4].copy_from_slice(&tenant.0.to_be_bytes());
    key[4..].copy_from_slice(&number.to_be_bytes());
    key
}

/// Tenant and number of a version's key.
pub fn version_of(key: &[u8]) -> Option<(TenantId, u64)> {
    let (tenant, number) = key.split_first_chunk::<4>()?;
    Some((TenantId(u32::from_be_bytes(*tenant)), u64::from_be_bytes(number.try_into().ok()?)))
}

/// The key of a resource in the map of newest versions.
pub fn current_key(tenant: TenantId, stored_type: u16, id: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(24);
    key.extend_from_slice(&tenant.0.to_be_bytes());
    key.extend_from_slice(&stored_type.to_be_bytes());
    match pack_uuid(id) {
        Some(packed) => {
            key.push(1);
            key.extend_from_slice(&packed);
        }
        None => {
            key.push(0);
            key.extend_from_slice(id.as_bytes());
        }
    }
    key
}

/// The newest version of a resource, as the map of newest versions holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// Its number.
    pub number: u64,
    /// Its version id.
    pub version: u64,
    /// Whether it is a delete.
    pub deleted: bool,
}

impl Newest {
    /// As bytes.
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(12);
        put(&mut out, self.number);
        put(&mut out, self.version << 1 | u64::from(self.deleted));
        out
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<Newest> {
        let mut at = Reader(bytes);
        let number = at.number()?;
        let rest = at.number()?;
        Some(Newest { number, version: rest >> 1, deleted: rest & 1 == 1 })
    }
}

/// The sixteen bytes of a UUID in its usual form (lower case, four hyphens): most ids are one, and take less than
/// half the room so.
fn pack_uuid(id: &str) -> Option<[u8; 16]> {
    let text = id.as_bytes();
    if text.len() != 36 || [8, 13, 18, 23].iter().any(|i| text[*i] != b'-') {
        return None;
    }
    let mut digits = text.iter().filter(|b| **b != b'-').map(|b| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    });
    let mut packed = [0; 16];
    for byte in &mut packed {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    digits.next().is_none().then_some(packed)
}

fn unpack_uuid(packed: &[u8; 16]) -> String {
    uuid::Uuid::from_bytes(*packed).hyphenated().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(id: &str) -> Header {
        Header {
            number: 70_000,
            commit: 69_990,
            stored_type: 3,
            version: 9,
            last_updated: Timestamp(1_792_828_800_123_456),
            method: Method::Patch,
            previous: Some(300),
            jump: (200, 2),
            dictionary: 7,
            id: ResourceId::new(id).expect("legal"),
        }
    }

    #[test]
    fn records_are_read_back() {
        for id in ["1", "057aa36e-b892-9964-75b9-ffb46b097e34", "057AA36E-b892-9964-75b9-ffb46b097e34", "a-b.c"] {
            let bytes = header(id).encode(TenantId(2), b"body");
            assert_eq!(Header::decode(TenantId(2), 70_000, &bytes), Some((header(id), &b"body"[..])));
            assert_eq!(Header::decode(TenantId(1), 70_000, &bytes), None, "another tenant's");
            assert_eq!(Header::decode(TenantId(2), 70_001, &bytes), None, "another place");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_torn_tail_is_found() {
        let bytes = header("p1").encode(TenantId(0), b"some body");
        for i in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[i / 8] ^= 1 << (i % 8);
            assert_eq!(Header::decode(TenantId(0), 70_000, &damaged), None);
        }
        for end in 0..bytes.len() {
            assert_eq!(Header::decode(TenantId(0), 70_000, &bytes[..end]), None);
        }
    }

    #[test]
    fn newest_is_read_back() {
        let newest = Newest { number: 1 << 40, version: 12, deleted: true };
        assert_eq!(Newest::decode(&newest.encode()), Some(newest));
        assert_eq!(Newest::decode(&[0x80]), None);
    }

    #[test]
    fn ids_that_look_alike_have_different_keys() {
        let key = |id| current_key(TenantId(0), 1, id);
        assert_ne!(key("057aa36e-b892-9964-75b9-ffb46b097e34"), key("057AA36E-b892-9964-75b9-ffb46b097e34"));
        assert_ne!(key("057aa36e-b892-9964-75b9-ffb46b097e3-"), key("057aa36e-b892-9964-75b9-ffb46b097e34"));
    }
}
