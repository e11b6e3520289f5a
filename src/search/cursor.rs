//! The place in a search that a page link names (`_page`): opaque to clients, and sealed for the one it was given to.
//! It grants nothing: whoever follows a link is judged like the first time.

use super::Seal;
use super::seal::LENGTH;
use crate::base::{Failure, IssueCode, Timestamp};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Commit position of the snapshot in which the search began; all pages show that moment.
    pub position: u64,
    /// Matches before this page.
    pub offset: u64,
    /// Number of the version that the last row before this page has, where the order is that of the numbers.
    pub after: Option<u64>,
    /// Number of all matches, counted for the first page.
    pub total: Option<u64>,
    /// When the search began: what `ap` on dates is measured from.
    pub began: Timestamp,
}

const VERSION: u8 = 2;

impl Cursor {
    /// The text in the link. `criteria` is what it belongs to.
    pub fn encode(&self, criteria: &str, seal: &Seal) -> String {
        let mut bytes = vec![VERSION];
        for number in [Some(self.position), Some(self.offset), self.after, self.total] {
            write_number(number.map_or(0, |n| n.saturating_add(1)), &mut bytes);
        }
        write_number(self.began.0 as u64, &mut bytes);
        bytes.extend_from_slice(&sum(criteria).to_be_bytes());
        let check = seal.on(&bytes);
        bytes.extend_from_slice(&check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads the text of a link that belongs to `criteria`; any other is refused.
    pub fn decode_for(text: &str, criteria: &str, seal: &Seal) -> Result<Cursor, Failure> {
        let (cursor, belongs) = Cursor::decode(text, seal)?;
        if belongs == sum(criteria) { Ok(cursor) } else { Err(broken()) }
    }

    /// Reads the text of a link, with the [`sum`] of what it belongs to.
    pub(super) fn decode(text: &str, seal: &Seal) -> Result<(Cursor, u32), Failure> {
        if text.len() > 128 {
            return Err(broken());
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| broken())?;
        let (rest, check) = bytes.split_last_chunk::<LENGTH>().ok_or_else(broken)?;
        let (payload, criteria) = rest.split_last_chunk::<4>().ok_or_else(broken)?;
        if !seal.is_on(rest, check) {
            return Err(broken());
        }
        let cursor = read(payload).ok_or_else(broken)?;
        Ok((cursor, u32::from_be_bytes(*criteria)))
    }
}

/// The sum of what a cursor belongs to; a link with other criteria is refused.
pub(super) fn sum(criteria: &str) -> u32 {
    crc32fast::hash(criteria.as_bytes())
}

fn read(payload: &[u8]) -> Option<Cursor> {
    let (version, mut rest) = payload.split_first()?;
    if *version != VERSION {
        return None;
    }
    let mut next = || read_number(&mut rest);
    let (position, offset, after, total, began) = (next()?, next()?, next()?, next()?, next()?);
    rest.is_empty().then_some(Cursor {
        position: position.checked_sub(1)?,
        offset: offset.checked_sub(1)?,
        after: after.checked_sub(1),
        total: total.checked_sub(1),
        began: Timestamp(began as i64),
    })
}

pub(super) fn broken() -> Failure {
    Failure::malformed(
        IssueCode::Invalid,
        "'_page' is not a place in this search; follow the links of the first page as they are given",
    )
}

/// Seven bits a byte, the lowest first.
fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (position, offset, after, total) in
            [(0, 0, None, None), (7, 50, Some(49), Some(0)), (u64::MAX - 1, 1 << 40, Some(1 << 63), Some(12345))]
        {
            let cursor = Cursor { position, offset, after, total, began: Timestamp(1_792_828_800_123_456) };
            let text = cursor.encode("Patient name=x", &Seal::default());
            assert_eq!(Cursor::decode(&text, &Seal::default()).expect("legal"), (cursor, sum("Patient name=x")));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let good = Cursor { position: 9, offset: 8, after: Some(7), total: None, began: Timestamp(-5) }
            .encode("", &Seal::default());
        for i in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            assert!(Cursor::decode(&String::from_utf8(bytes).expect("ascii"), &Seal::default()).is_err(), "byte {i}");
            assert!(Cursor::decode(&good[..i], &Seal::default()).is_err(), "cut at {i}");
        }
        for text in ["", "%", "AAAA", "ä", "====", &"A".repeat(129)] {
            assert!(Cursor::decode(text, &Seal::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn links_are_for_one() {
        let cursor = Cursor { position: 9, offset: 8, after: Some(7), total: None, began: Timestamp(-5) };
        let own = Seal::new(b"key").of("0 a");
        let text = cursor.encode("Patient", &own);
        assert!(Cursor::decode_for(&text, "Patient", &own).is_ok());
        for other in [Seal::new(b"key"), Seal::new(b"key").of("0 b"), Seal::new(b"other").of("0 a"), Seal::default()] {
            assert!(Cursor::decode_for(&text, "Patient", &other).is_err());
        }
        assert!(Cursor::decode_for(&text, "Observation", &own).is_err());
    }
}
