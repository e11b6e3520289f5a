//! Digits of terms as half bytes: hexadecimal ones (UUIDs, which most ids are, and hashes), and decimal ones with what
//! stands between them (UIDs, dates, telephone numbers). The hyphens of a UUID stand where they must and are left out;
//! what stands behind it is left as it is.

use super::super::coding::Reader;

/// Fewer bytes are not worth it.
const LEAST: usize = 6;
/// Bytes of a UUID as text.
const UUID: usize = 36;
/// Where its hyphens are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// What half bytes mean: hexadecimal digits,
const HEXADECIMAL: &[u8; 16] = b"0123456789abcdef";
/// or decimal ones and what stands between them.
const DECIMAL: &[u8; 16] = b"0123456789.-:/ +";

/// How a piece of a term is packed: hexadecimal digits, decimal ones, or, less this, where its UUID begins.
const FIRST_UUID: usize = 2;

fn alphabet(form: usize) -> &'static [u8; 16] {
    if form == 1 { DECIMAL } else { HEXADECIMAL }
}

fn digit(form: usize, byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' if form != 1 => Some(byte - b'a' + 10),
        _ if form == 1 => DECIMAL.iter().position(|letter| *letter == byte).map(|at| at as u8),
        _ => None,
    }
}

/// Where the first UUID of a term begins.
fn uuid(term: &[u8]) -> Option<usize> {
    let fits = |(at, byte): (usize, &u8)| match HYPHENS.contains(&at) {
        true => *byte == b'-',
        false => digit(0, *byte).is_some(),
    };
    let hyphens = term.iter().enumerate().filter(|(_, byte)| **byte == b'-').map(|(at, _)| at);
    let starts = hyphens.filter_map(|at| at.checked_sub(HYPHENS[0]));
    starts
        .into_iter()
        .find(|start| term.get(*start..*start + UUID).is_some_and(|text| text.iter().enumerate().all(fits)))
}

/// What of a piece of a term is digits: from its beginning up to here.
fn end_of(form: usize, from: usize, to: usize) -> usize {
    form.checked_sub(FIRST_UUID).map_or(to, |start| to.min(start.saturating_add(UUID)).max(from))
}

/// Whether a hyphen of the UUID, if the form has one, stands at a place of a term.
fn is_hyphen(form: usize, at: usize) -> bool {
    let within = form.checked_sub(FIRST_UUID).and_then(|start| at.checked_sub(start));
    within.is_some_and(|within| matches!(within, 8 | 13 | 18 | 23))
}

/// What stands between two places of a term, packed, and in which form. `None` if it has other bytes or is short.
pub fn packed(term: &[u8], from: usize, to: usize) -> Option<(usize, Vec<u8>)> {
    let middle = term.get(from..to).filter(|middle| middle.len() >= LEAST)?;
    let start = if middle.contains(&b'-') { uuid(term) } else { None };
    let form = match start.filter(|start| (*start..*start + UUID).contains(&from)) {
        Some(start) => FIRST_UUID + start,
        None => usize::from(!middle.iter().all(|byte| digit(0, *byte).is_some())),
    };
    let end = end_of(form, from, to);
    let mut out = Vec::with_capacity(middle.len() / 2 + 1);
    let mut half = None;
    for at in (from..end).filter(|at| !is_hyphen(form, *at)) {
        let low = digit(form, term[at])?;
        match half.take() {
            None => half = Some(low),
            Some(high) => out.push(high << 4 | low),
        }
    }
    out.extend(half.map(|high: u8| high << 4));
    out.extend_from_slice(&term[end..to]);
    Some((form, out))
}

/// Appends what [`packed`] made in a form of `length` bytes that stand `from` a place of the term on.
pub fn unpack(reader: &mut Reader<'_>, form: usize, from: usize, length: usize, out: &mut Vec<u8>) -> Option<()> {
    let to = from.checked_add(length)?;
    let (end, letters) = (end_of(form, from, to), alphabet(form));
    let hyphens = match form.checked_sub(FIRST_UUID) {
        Some(start) => HYPHENS.iter().filter(|hyphen| (from..end).contains(&start.saturating_add(**hyphen))).count(),
        None => 0,
    };
    let bytes = reader.take((end - from - hyphens).div_ceil(2))?;
    let mut halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xF]);
    for at in from..end {
        out.push(if is_hyphen(form, at) { b'-' } else { letters[usize::from(halves.next()?)] });
    }
    out.extend_from_slice(reader.take(to - end)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_back(term: &[u8], from: usize, to: usize) -> Option<Vec<u8>> {
        let (form, bytes) = packed(term, from, to)?;
        let mut out = Vec::new();
        let mut reader = Reader(&bytes);
        unpack(&mut reader, form, from, to - from, &mut out).expect("read");
        assert!(reader.0.is_empty());
        Some(out)
    }

    #[test]
    fn digits_take_half() {
        let term = b"\x01\x02\x03Patient/0b9e3f1c-77aa-4b11-9d2e-3f5a6b7c8d9e";
        let (form, bytes) = packed(term, 15, term.len()).expect("packed");
        assert_eq!((form, bytes.len()), (FIRST_UUID + 11, 14));
        assert_eq!(read_back(term, 15, term.len()).as_deref(), Some(&term[15..]));
        // What stands behind a UUID is left as it is.
        let term = b"\x01\x02\x030b9e3f1c-77aa-4b11-9d2e-3f5a6b7c8d9e\0Patient";
        let (form, bytes) = packed(term, 5, term.len()).expect("packed");
        assert_eq!((form, bytes.len()), (FIRST_UUID + 3, 15 + 8));
        assert_eq!(read_back(term, 5, term.len()).as_deref(), Some(&term[5..]));
        // Numbers and hashes need no UUID; other letters are left as they are.
        assert_eq!(read_back(b"xyz0123456789", 3, 13).as_deref(), Some(&b"0123456789"[..]));
        assert_eq!(packed(b"xyz0123456789", 2, 13), None);
        assert_eq!(packed(b"ABCDEF01", 0, 8), None);
        assert_eq!(packed(b"01234", 0, 5), None);
        assert_eq!(packed(b"1.2.840.99999", 0, 13).map(|(form, bytes)| (form, bytes.len())), Some((1, 7)));
        assert_eq!(read_back(b"x+41 44/2010-05", 1, 15).as_deref(), Some(&b"+41 44/2010-05"[..]));
        assert_eq!(packed(b"1.2.840.abcde", 0, 13), None);
    }

    proptest! {
        #[test]
        fn every_piece_is_read_back(
            term in "[a-f0-9/.-]{0,6}[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[a-z0-9-]{0,9}",
            from in 0_usize..40,
            length in 0_usize..55,
        ) {
            let term = term.as_bytes();
            let (from, to) = (from.min(term.len()), (from + length).min(term.len()));
            if let Some(read) = read_back(term, from, to) {
                prop_assert_eq!(&read[..], &term[from..to]);
            }
        }

        #[test]
        fn damage_is_not_followed(bytes: Vec<u8>, form: usize, near in any::<bool>(), from: usize, length in 0_usize..300) {
            let form = if near { form % 300 } else { form };
            let mut out = Vec::new();
            let _ = unpack(&mut Reader(&bytes), form, from, length, &mut out);
            prop_assert!(out.len() <= length);
        }
    }
}
