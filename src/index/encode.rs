//! The bytes of terms: forms, texts, dates, numbers and intervals of numbers, composites. Each value has one
//! encoding, whether it stands alone or as a component of a composite. What is taken from a resource is in `values`,
//! what a search asks is in `criteria`.
//!
//! | form | value |
//! |---|---|
//! | [`SYSTEM`] | system of a token, so that `system\|` is one term |
//! | [`TOKEN`] | code NUL system; for texts without a system the folded text NUL `FF` |
//! | [`TEXT`] | folded text that goes with a token: display of a coding, text of a concept or an identifier's type |
//! | [`STRING`] | folded text NUL exact text |
//! | [`DATE`] | class by length, start, end |
//! | [`NUMBER`], [`QUANTITY`] | class (point or interval), bound, and for intervals the upper bound |
//! | [`UNIT`] | unit NUL number NUL system |
//! | [`CANONICAL`] | UCUM base units NUL number in them |
//! | [`LOCAL`] | id NUL type: a reference to a resource of this server |
//! | [`URL`] | uri, canonical, or a reference to elsewhere |
//! | [`IDENTIFIER`] | value NUL system of `Reference.identifier` |
//! | [`COMPOSITE`] | components, NUL between them, then where each but the last ends |
//! | [`ID`] | logical id |
//! | [`OF_TYPE`] | value NUL code NUL system of an identifier's type |
//! | [`POSITION`] | cell of a space-filling curve, latitude, longitude |
//! | [`WORD`] | folded word of a text |
//!
//! One more term, [`SHAPE`], says which parameters have a value. The terms of contained resources stand behind a head of
//! their own ([`CONTAINED`], see `contained`).

use crate::primitive::Decimal;

/// In place of the number of a parameter: the term lists the numbers of all parameters that have a value. Resources of
/// one sort have few different lists, so that this costs one short term and not one for each parameter.
pub(super) const SHAPE: u16 = u16::MAX;
/// In place of the number of a parameter: what follows is a term of a contained resource.
pub(super) const CONTAINED: u16 = u16::MAX - 1;
/// Systems of tokens.
pub(super) const SYSTEM: u8 = 0;
/// Tokens, code first.
pub(super) const TOKEN: u8 = 1;
/// Texts that go with tokens.
pub(super) const TEXT: u8 = 2;
/// Texts of strings.
pub(super) const STRING: u8 = 3;
/// Intervals of time.
pub(super) const DATE: u8 = 4;
/// Numbers.
pub(super) const NUMBER: u8 = 5;
/// Quantities whatever their unit.
pub(super) const QUANTITY: u8 = 6;
/// Quantities by unit.
pub(super) const UNIT: u8 = 7;
/// Quantities in the base units of UCUM.
pub(super) const CANONICAL: u8 = 8;
/// References to resources of this server.
pub(super) const LOCAL: u8 = 9;
/// Uris, canonicals and references to elsewhere.
pub(super) const URL: u8 = 10;
/// Identifiers of references.
pub(super) const IDENTIFIER: u8 = 11;
/// Composites.
pub(super) const COMPOSITE: u8 = 12;
/// The logical id of the resource.
pub(super) const ID: u8 = 13;
/// Identifiers by the type of the identifier.
pub(super) const OF_TYPE: u8 = 14;
/// Places on the earth.
pub(super) const POSITION: u8 = 15;
/// Words.
pub(super) const WORD: u8 = 16;

/// Stands in place of the system of a token that is a folded text.
pub(super) const FOLDED: u8 = 0xFF;
/// Bytes of one text in a term at most; longer ones are cut and end with a hash.
pub(super) const LONGEST: usize = 480;

/// The head of every term of a parameter under a form.
pub(super) fn head(parameter: u16, form: u8) -> [u8; 3] {
    let [high, low] = parameter.to_be_bytes();
    [high, low, form]
}

/// The least bytes that are greater than all that begin with `prefix`.
pub(super) fn after(prefix: &[u8]) -> Box<[u8]> {
    let mut bytes = prefix.to_vec();
    while let Some(last) = bytes.pop() {
        if last < 0xFF {
            bytes.push(last + 1);
            return bytes.into();
        }
    }
    // Nothing that we write begins with so many of these.
    vec![0xFF; prefix.len() + 8].into()
}

/// Appends a text: without NUL, which separates, and cut where it is too long.
pub(super) fn push_text(text: &str, out: &mut Vec<u8>) {
    if text.len() <= LONGEST && !text.as_bytes().contains(&0) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    let kept = cut(text, LONGEST - 32);
    out.extend(kept.bytes().map(|b| if b == 0 { b' ' } else { b }));
    if kept.len() < text.len() {
        // FNV-1a of the whole, so that long texts stay different; written in hexadecimal, so that it has no NUL.
        let hash = text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        });
        out.extend_from_slice(format!("{hash:032x}").as_bytes());
    }
}

/// As much of a text as has at most `longest` bytes.
pub(super) fn cut(text: &str, longest: usize) -> &str {
    let mut end = longest.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Appends `code NUL system`.
pub(super) fn push_token(system: &str, code: &str, out: &mut Vec<u8>) {
    push_text(code, out);
    out.push(0);
    push_text(system, out);
}

/// Longest interval of each class of dates but the last, in microseconds.
pub(super) const DATE_CLASSES: [i64; 3] = [86_400_000_000, 32 * 86_400_000_000, 366 * 86_400_000_000];

/// A time so that its bytes have the order of times.
pub(super) fn time_bytes(time: i64) -> [u8; 8] {
    ((time as u64) ^ (1 << 63)).to_be_bytes()
}

/// Appends class, start and end of an interval of time.
pub(super) fn push_date(start: i64, end: i64, out: &mut Vec<u8>) {
    let length = end.saturating_sub(start);
    let class = DATE_CLASSES.iter().position(|longest| length <= *longest).unwrap_or(DATE_CLASSES.len());
    out.push(class as u8);
    out.extend_from_slice(&time_bytes(start));
    out.extend_from_slice(&time_bytes(end));
}

/// A number that is one value.
pub(super) const POINT: u8 = 1;
/// An interval of numbers.
pub(super) const INTERVAL: u8 = 2;
/// Before a quantity in the base units of UCUM, as a component of a composite.
pub(super) const IN_BASE: u8 = 3;
/// The system of UCUM.
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
/// A bound that is below all numbers.
pub(super) const LOWEST: u8 = 0;
const FINITE: u8 = 1;
/// A bound that is above all numbers.
pub(super) const HIGHEST: u8 = 2;

/// Where a bound lies beside its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Below = 0,
    At = 1,
    Above = 2,
}

/// Appends a bound: the number in an order-preserving, self-delimiting form, and the side of it.
pub(super) fn push_bound(number: &Decimal, side: Side, out: &mut Vec<u8>) {
    out.push(FINITE);
    let mut bytes = Vec::with_capacity(16);
    number.write_sortable(&mut bytes);
    for byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.push(0);
    out.push(side as u8);
}

/// Length of the bound that these bytes begin with.
pub(super) fn bound_length(bytes: &[u8]) -> usize {
    if bytes.first() != Some(&FINITE) {
        return 1;
    }
    let mut at = 1;
    while let Some(nul) = memchr::memchr(0, bytes.get(at..).unwrap_or_default()) {
        at += nul + 1;
        match bytes.get(at) {
            Some(0xFF) => at += 1,
            _ => return at + 1,
        }
    }
    bytes.len()
}

/// Appends a composite's components.
pub(super) fn push_parts(parts: &[&[u8]], out: &mut Vec<u8>) {
    let start = out.len();
    let mut ends = Vec::with_capacity(4);
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            ends.extend_from_slice(&((out.len() - start) as u16).to_be_bytes());
            out.push(0);
        }
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&ends);
}

/// The components of a composite of `count`.
pub(super) fn split_parts(bytes: &[u8], count: usize) -> Option<Vec<&[u8]>> {
    let (body, ends) = bytes.split_at_checked(bytes.len().checked_sub(2 * count.checked_sub(1)?)?)?;
    let mut parts = Vec::with_capacity(count);
    let mut start = 0;
    for end in ends.chunks_exact(2) {
        let end = usize::from(u16::from_be_bytes([end[0], end[1]]));
        parts.push(body.get(start..end)?);
        start = end + 1;
    }
    parts.push(body.get(start..)?);
    Some(parts)
}
