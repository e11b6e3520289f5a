//! Hexadecimal digits of terms as half bytes: UUIDs, which most ids are, hashes and numbers. The hyphens of a UUID
//! stand where they must and are left out.

use super::super::coding::Reader;

/// Fewer bytes are not worth it.
const LEAST: usize = 6;
/// Bytes of a UUID as text.
const UUID: usize = 36;
/// Where its hyphens are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn text(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

/// Where the first UUID of a term begins.
fn uuid(term: &[u8]) -> Option<usize> {
    let fits = |(at, byte): (usize, &u8)| match HYPHENS.contains(&at) {
        true => *byte == b'-',
        false => digit(*byte).is_some(),
    };
    let hyphens = term.iter().enumerate().filter(|(_, byte)| **byte == b'-').map(|(at, _)| at);
    let starts = hyphens.filter_map(|at| at.checked_sub(HYPHENS[0]));
    starts
        .into_iter()
        .find(|start| term.get(*start..*start + UUID).is_some_and(|text| text.iter().enumerate().all(fits)))
}

/// Whether a hyphen of the UUID that begins at `start` stands at a place of a term.
fn is_hyphen(start: Option<usize>, at: usize) -> bool {
    start.and_then(|start| at.checked_sub(start)).is_some_and(|within| HYPHENS.contains(&within))
}

/// What stands between two places of a term as half bytes, and where the UUID that it is of begins, if it has
/// hyphens. `None` if it has other bytes or is short.
pub fn packed(term: &[u8], from: usize, to: usize) -> Option<(Option<usize>, Vec<u8>)> {
    let middle = term.get(from..to).filter(|middle| middle.len() >= LEAST)?;
    let start = if middle.contains(&b'-') { Some(uuid(term)?) } else { None };
    let mut out = Vec::with_capacity(middle.len() / 2 + 1);
    let mut half = None;
    for (at, byte) in (from..).zip(middle) {
        if is_hyphen(start, at) {
            continue;
        }
        let low = digit(*byte)?;
        match half.take() {
            None => half = Some(low),
            Some(high) => out.push(high << 4 | low),
        }
    }
    out.extend(half.map(|high: u8| high << 4));
    Some((start, out))
}

/// Appends what [`packed`] made of `length` bytes that stand `from` a place of the term on.
pub fn unpack(
    reader: &mut Reader<'_>,
    start: Option<usize>,
    from: usize,
    length: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    let to = from.checked_add(length)?;
    let within = |hyphen: &usize| start.is_some_and(|start| (from..to).contains(&(start + hyphen)));
    let digits = length - HYPHENS.iter().filter(|hyphen| within(hyphen)).count();
    let bytes = reader.take(digits.div_ceil(2))?;
    let mut halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    for at in from..to {
        out.push(if is_hyphen(start, at) { b'-' } else { text(halves.next()?) });
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_back(term: &[u8], from: usize, to: usize) -> Option<Vec<u8>> {
        let (start, bytes) = packed(term, from, to)?;
        let mut out = Vec::new();
        let mut reader = Reader(&bytes);
        unpack(&mut reader, start, from, to - from, &mut out).expect("read");
        assert!(reader.0.is_empty());
        Some(out)
    }

    #[test]
    fn uuids_take_half() {
        let term = b"\x01\x02\x03Patient/0b9e3f1c-77aa-4b11-9d2e-3f5a6b7c8d9e";
        let (start, bytes) = packed(term, 15, term.len()).expect("packed");
        assert_eq!((start, bytes.len()), (Some(11), 14));
        assert_eq!(read_back(term, 15, term.len()).as_deref(), Some(&term[15..]));
        // Numbers and hashes need no UUID; other letters and hyphens are left as they are.
        assert_eq!(read_back(b"xyz0123456789", 3, 13).as_deref(), Some(&b"0123456789"[..]));
        assert_eq!(packed(b"xyz0123456789", 2, 13), None);
        assert_eq!(packed(b"0123-4567", 0, 9), None);
        assert_eq!(packed(b"ABCDEF01", 0, 8), None);
        assert_eq!(packed(b"01234", 0, 5), None);
    }

    proptest! {
        #[test]
        fn every_piece_is_read_back(
            term in "[a-f0-9/-]{0,6}[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[a-f0-9-]{0,4}",
            from in 0_usize..40,
            length in 0_usize..50,
        ) {
            let term = term.as_bytes();
            let (from, to) = (from.min(term.len()), (from + length).min(term.len()));
            if let Some(read) = read_back(term, from, to) {
                prop_assert_eq!(&read[..], &term[from..to]);
            }
        }

        #[test]
        fn damage_is_not_followed(bytes: Vec<u8>, start: Option<usize>, from: usize, length in 0_usize..300) {
            let start = start.map(|s| s % (1 << 20));
            let mut out = Vec::new();
            let _ = unpack(&mut Reader(&bytes), start, from, length, &mut out);
            prop_assert!(out.len() <= length);
        }
    }
}
