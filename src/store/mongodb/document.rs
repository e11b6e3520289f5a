//! Versions and terms as BSON. A version is one document: its head in fields of one letter, its body as compressed
//! bytes, and, unless it is a delete, what it is found by as an array of short strings. How conditions are asked is in
//! `filter`.
//!
//! | field | meaning |
//! |---|---|
//! | `_id` | tenant and number in hexadecimal, so that its order is the order of commits |
//! | `t`, `n` | tenant, number |
//! | `k`, `i`, `v` | type, logical id, version id |
//! | `u`, `m`, `c` | time in microseconds, method, number of the first version of the commit |
//! | `s`, `e` | number and time of the version that superseded it; `s` is [`CURRENT`] while there is none |
//! | `d` | whether it is a delete |
//! | `b` | body (zstd) |
//! | `x` | terms |
//! | `y`, `a`, `l`, `z` | what leads to it (`lead`) |
//! | `w` | the attempt that wrote it, by which a commit of unknown outcome is looked up |

use super::filter::led;
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use crate::index::{Term, Terms};
use crate::store::{Method, StoreError, Version, Vocabulary};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use std::time::Duration;

/// In `s`: not superseded.
pub const CURRENT: i64 = i64::MAX;
/// Level of zstd.
const LEVEL: i32 = 3;

/// The name of an attempt to commit: when it began (microseconds since 1970 in hexadecimal), and a random part.
pub fn new_attempt() -> String {
    format!("{:016x}-{}", micros(), uuid::Uuid::new_v4().simple())
}

/// Whether an attempt is older than this.
pub fn is_older(attempt: &str, than: Duration) -> bool {
    let began = attempt.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
    began.is_none_or(|began| u128::from(micros().saturating_sub(began)) > than.as_micros())
}

fn micros() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// The `_id` of a version.
pub fn version_key(tenant: TenantId, number: u64) -> String {
    format!("{:08x}{number:016x}", tenant.0)
}

/// The question for the version of a number. The tenant, which its key says already, is asked for as well: of a sharded
/// collection one shard is asked then.
pub fn numbered(tenant: TenantId, number: u64) -> Document {
    led(doc! { "_id": version_key(tenant, number) }, vec![doc! { "t": i64::from(tenant.0) }])
}

/// The same for those after a number up to another.
pub fn between(tenant: TenantId, after: u64, up_to: u64) -> Document {
    let range = doc! { "$gt": version_key(tenant, after), "$lte": version_key(tenant, up_to) };
    led(doc! { "_id": range }, vec![doc! { "t": i64::from(tenant.0) }])
}

/// Bytes of a term as a string of the same order: each byte is the character of that number.
pub fn term_text(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char::from(*b)).collect()
}

/// The bytes of [`term_text`].
fn term_bytes(text: &str) -> Option<Box<[u8]>> {
    text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
}

/// Terms as they are stored.
pub fn terms_array(terms: &Terms) -> Vec<Bson> {
    terms.as_slice().iter().map(|t| Bson::String(term_text(&t.0))).collect()
}

/// The terms of a document that was read with them.
pub fn terms_of(found: &Document) -> Result<Terms, StoreError> {
    let texts = found.get_array("x").map_err(|_| damaged(found))?;
    let term = |b: &Bson| b.as_str().and_then(term_bytes).map(Term);
    let terms = texts.iter().map(term).collect::<Option<Vec<_>>>().ok_or_else(|| damaged(found))?;
    Ok(Terms::new(terms))
}

/// What cannot be read: a broken store.
pub fn damaged(found: &Document) -> StoreError {
    let key = found.get_str("_id").unwrap_or("without a key");
    StoreError::Broken(format!("the document {key} is damaged"))
}

/// A new version as it is written.
pub struct NewVersion<'v> {
    pub tenant: TenantId,
    pub number: u64,
    pub commit: u64,
    pub kind: &'v str,
    pub id: &'v ResourceId,
    pub version: u64,
    pub last_updated: Timestamp,
    pub method: Method,
    /// Body, compressed, and terms; none for a delete.
    pub content: Option<(&'v [u8], &'v Terms)>,
    pub attempt: &'v str,
}

impl NewVersion<'_> {
    /// As a document.
    pub fn document(&self) -> Document {
        let mut out = doc! {
            "_id": version_key(self.tenant, self.number),
            "t": i64::from(self.tenant.0),
            "n": self.number as i64,
            "k": self.kind,
            "i": self.id.as_str(),
            "v": self.version as i64,
            "u": self.last_updated.0,
            "m": method_code(self.method),
            "c": self.commit as i64,
            "s": CURRENT,
            "d": self.content.is_none(),
            "w": self.attempt,
        };
        if let Some((body, terms)) = self.content {
            out.insert("b", Binary { subtype: BinarySubtype::Generic, bytes: body.to_vec() });
            out.insert("x", terms_array(terms));
        }
        out
    }
}

fn method_code(method: Method) -> i32 {
    match method {
        Method::Create => 0,
        Method::Update => 1,
        Method::Patch => 2,
        Method::Delete => 3,
    }
}

/// The head of a version that was read: what other parts ask of it.
#[derive(Clone, Debug)]
pub struct Head {
    pub number: u64,
    pub commit: u64,
    pub version: u64,
    pub last_updated: Timestamp,
    pub deleted: bool,
}

impl Head {
    /// The fields that [`Head::of`] needs.
    pub fn fields() -> Document {
        doc! { "n": 1, "c": 1, "v": 1, "u": 1, "d": 1, "k": 1, "i": 1 }
    }

    /// Of a document.
    pub fn of(found: &Document) -> Result<Head, StoreError> {
        let read = || {
            Some(Head {
                number: found.get_i64("n").ok()? as u64,
                commit: found.get_i64("c").ok()? as u64,
                version: found.get_i64("v").ok()? as u64,
                last_updated: Timestamp(found.get_i64("u").ok()?),
                deleted: found.get_bool("d").ok()?,
            })
        };
        read().ok_or_else(|| damaged(found))
    }
}

/// The type and logical id of a document.
pub fn name_of(found: &Document, vocabulary: &dyn Vocabulary) -> Result<(TypeId, ResourceId), StoreError> {
    let read = || Some((vocabulary.kind(found.get_str("k").ok()?)?, ResourceId::new(found.get_str("i").ok()?)?));
    read().ok_or_else(|| damaged(found))
}

/// A whole version as it is at a position.
pub fn version_of(found: &Document, vocabulary: &dyn Vocabulary, position: u64) -> Result<Version, StoreError> {
    let head = Head::of(found)?;
    let (kind, id) = name_of(found, vocabulary)?;
    let method = match found.get_i32("m") {
        Ok(0) => Method::Create,
        Ok(1) => Method::Update,
        Ok(2) => Method::Patch,
        Ok(3) => Method::Delete,
        _ => return Err(damaged(found)),
    };
    let superseded = found.get_i64("s").map_err(|_| damaged(found))?;
    let body = match found.get_binary_generic("b") {
        Ok(packed) => Some(unpack(packed).ok_or_else(|| damaged(found))?),
        Err(_) if head.deleted => None,
        Err(_) => return Err(damaged(found)),
    };
    let Head { number, version, last_updated, .. } = head;
    let newest = superseded as u64 > position;
    Ok(Version { number, kind, id, version, last_updated, method, newest, body })
}

/// Compresses a body.
pub fn pack(body: &[u8]) -> Result<Vec<u8>, StoreError> {
    let packed = || {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        // Four bytes by which a body that was changed is known.
        compressor.include_checksum(true)?;
        compressor.compress(body)
    };
    packed().map_err(|e: std::io::Error| StoreError::Broken(format!("compression: {e}")))
}

/// The body that was compressed; none if it was changed.
pub fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let size = zstd::zstd_safe::get_frame_content_size(packed).ok()??;
    zstd::bulk::decompress(packed, usize::try_from(size).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_keep_their_bytes_and_their_order() {
        let terms: Vec<Vec<u8>> = vec![vec![0, 1, 0xFF], vec![0, 1], vec![0x7F, 0x80], vec![0x80], vec![0xFF, 0, 0xC3]];
        for a in &terms {
            assert_eq!(term_bytes(&term_text(a)).as_deref(), Some(a.as_slice()));
            for b in &terms {
                assert_eq!(a.cmp(b), term_text(a).cmp(&term_text(b)));
            }
        }
        assert_eq!(term_bytes("\u{100}"), None);
    }

    #[test]
    fn bodies_are_packed_and_unpacked() {
        let body = b"{\"a\":1}".repeat(40);
        assert_eq!(unpack(&pack(&body).expect("packs")), Some(body));
        assert_eq!(unpack(b"nothing"), None);
        let mut changed = pack(b"a body that is not the same").expect("packs");
        changed[12] ^= 1;
        assert_eq!(unpack(&changed), None, "a changed body is known by its checksum");
    }
}
