//! The lexical rules of the primitive types (R4 datatypes.html#primitive), on the characters of one value. Whether
//! JSON wrote it as the right kind of value, and what a code or reference means, is judged elsewhere.

use super::{Primitive, date};

/// The most characters a string may have (R4 datatypes.html#string: 1024 * 1024).
const STRING_MAX: usize = 1024 * 1024;

/// Checks the characters of a value against the rules of its type; for numbers, the lexeme.
///
/// The message says what the rule is, and never repeats the value.
pub fn check(kind: Primitive, text: &str) -> Result<(), &'static str> {
    match kind {
        Primitive::Boolean => rule(matches!(text, "true" | "false"), "a boolean is true or false"),
        Primitive::Integer => {
            rule(integer(text, b"+-").is_some(), "an integer is a whole number of 32 bits without leading zeros")
        }
        Primitive::PositiveInt => rule(
            integer(text, b"+").is_some_and(|n| n >= 1),
            "a positiveInt is a whole number from 1 to 2147483647 without leading zeros",
        ),
        Primitive::UnsignedInt => rule(
            integer(text, b"").is_some_and(|n| n >= 0),
            "an unsignedInt is a whole number from 0 to 2147483647 without leading zeros",
        ),
        Primitive::Decimal => rule(is_decimal(text), "a decimal is written like -12.30 or 1.5e-3"),
        Primitive::String | Primitive::Markdown => string(text),
        Primitive::Code => {
            rule(is_code(text), "a code is not empty and has no white space but single spaces between other characters")
        }
        Primitive::Id => {
            rule(crate::base::ResourceId::is_legal(text), "an id has 1 to 64 characters out of A-Z a-z 0-9 - .")
        }
        Primitive::Uri | Primitive::Url | Primitive::Canonical => rule(
            !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control()),
            "a uri is not empty and has no white space",
        ),
        Primitive::Oid => rule(is_oid(text), "an oid is written like urn:oid:1.2.3"),
        Primitive::Uuid => rule(is_uuid(text), "a uuid is written like urn:uuid:c757873d-ec9a-4326-a141-556f43239520"),
        Primitive::Date => rule(
            date::parts(text).is_some_and(|p| p.is_date()),
            "a date is a year, a month or a day of the calendar: YYYY, YYYY-MM or YYYY-MM-DD",
        ),
        Primitive::DateTime => rule(
            date::parts(text).is_some_and(|p| p.is_date() || (p.has_seconds() && p.has_zone())),
            "a dateTime is a date, or YYYY-MM-DDThh:mm:ss with a time zone",
        ),
        Primitive::Instant => rule(
            date::parts(text).is_some_and(|p| p.has_seconds() && p.has_zone()),
            "an instant is written YYYY-MM-DDThh:mm:ss with a time zone",
        ),
        Primitive::Time => {
            rule(date::is_time(text), "a time is written hh:mm:ss, from 00:00:00 on, without a time zone")
        }
        Primitive::Base64Binary => base64(text),
        Primitive::Xhtml => rule(!text.trim().is_empty(), "xhtml is not empty"),
    }
}

fn rule(kept: bool, message: &'static str) -> Result<(), &'static str> {
    if kept { Ok(()) } else { Err(message) }
}

/// Digits with one of the given signs before them; R4 allows no sign before 0 and no leading zeros.
fn integer(text: &str, signs: &[u8]) -> Option<i32> {
    let digits = match text.as_bytes() {
        [sign, rest @ ..] if signs.contains(sign) => rest,
        all => all,
    };
    let signed = digits.len() != text.len();
    match digits {
        [b'0'] if !signed => Some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => text.parse().ok(),
        _ => None,
    }
}

/// R4 datatypes.html#decimal, which is also the grammar of numbers in JSON.
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['+', '-']).unwrap_or(e)))
}

fn string(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Err("a string is not empty");
    }
    if text.bytes().any(|b| b < 0x20 && !matches!(b, b'\t' | b'\r' | b'\n')) {
        return Err("a string has no control characters but tab, carriage return and line feed");
    }
    if text.trim().is_empty() {
        return Err("a string is not only white space");
    }
    // Bytes first: only a text of more than so many bytes can have more than so many characters.
    if text.len() > STRING_MAX && text.chars().count() > STRING_MAX {
        return Err("a string has at most 1048576 characters");
    }
    Ok(())
}

fn is_code(text: &str) -> bool {
    let mut space = true; // as if one stood before the beginning
    for c in text.chars() {
        if c.is_control() || (c.is_whitespace() && (c != ' ' || space)) {
            return false;
        }
        space = c == ' ';
    }
    !space
}

fn is_oid(text: &str) -> bool {
    let Some(arcs) = text.strip_prefix("urn:oid:") else {
        return false;
    };
    let mut arcs = arcs.split('.');
    let root = matches!(arcs.next(), Some("0" | "1" | "2"));
    let mut more = 0;
    root && arcs.all(|arc| {
        more += 1;
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    }) && more > 0
}

fn is_uuid(text: &str) -> bool {
    text.strip_prefix("urn:uuid:").is_some_and(|uuid| {
        uuid.len() == 36
            && uuid.bytes().enumerate().all(|(i, b)| match i {
                8 | 13 | 18 | 23 => b == b'-',
                _ => matches!(b, b'0'..=b'9' | b'a'..=b'f'),
            })
    })
}

/// Groups of four characters, with white space between groups (R4 datatypes.html#base64Binary); `=` only at the end.
fn base64(text: &str) -> Result<(), &'static str> {
    let (mut count, mut padding) = (0usize, 0usize);
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' if padding == 0 => count += 1,
            b'=' => (count, padding) = (count + 1, padding + 1),
            b' ' | b'\t' | b'\r' | b'\n' if count.is_multiple_of(4) => {}
            b' ' | b'\t' | b'\r' | b'\n' => {
                return Err("white space in base64 stands between groups of four characters");
            }
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'+' | b'/' => {
                return Err("nothing follows the padding of base64");
            }
            _ => return Err("base64 has only the characters A-Z a-z 0-9 + / ="),
        }
    }
    if count == 0 {
        return Err("base64Binary is not empty");
    }
    rule(count.is_multiple_of(4) && padding <= 2, "base64 is padded with = to groups of four characters")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cases(kind: Primitive, valid: &[&str], invalid: &[&str]) {
        for text in valid {
            assert_eq!(check(kind, text), Ok(()), "{kind:?} {text:?}");
        }
        for text in invalid {
            assert!(check(kind, text).is_err(), "{kind:?} {text:?}");
        }
    }

    #[test]
    fn numbers() {
        cases(Primitive::Boolean, &["true", "false"], &["True", "", "1", " true"]);
        cases(
            Primitive::Integer,
            &["0", "-1", "+7", "2147483647", "-2147483648"],
            &[
                "",
                "-",
                "00",
                "01",
                "-0",
                "+0",
                "1.0",
                "1e3",
                "2147483648",
                "-2147483649",
                " 1",
                "--1",
                "+-1",
                "99999999999",
            ],
        );
        cases(Primitive::PositiveInt, &["1", "+1", "2147483647"], &["0", "-1", "01", "2147483648", ""]);
        cases(Primitive::UnsignedInt, &["0", "1", "2147483647"], &["-1", "-0", "+1", "00", ""]);
        cases(
            Primitive::Decimal,
            &["0", "-0", "0.0", "1.50", "-3.7", "1e5", "1E-5", "1.5e+10", "123456789012345678901234567890.5"],
            &["", "-", ".5", "1.", "01", "+1", "1e", "1e+", "1.5.2", "1,5", "NaN", "0x1", "1e5.5", "- 1"],
        );
    }

    #[test]
    fn texts() {
        let long = "é".repeat(STRING_MAX + 1);
        cases(
            Primitive::String,
            &["a", " a ", "a\tb\r\nc", "\u{a0}x", &long[2..]],
            &["", " ", "\t\n", "a\u{0}", "\u{1f}x", &long],
        );
        cases(Primitive::Markdown, &["* a\n* b"], &["", "\u{b}"]);
        cases(Primitive::Code, &["a", "a b", "1234.5", "<="], &["", " a", "a ", "a  b", "a\tb", "a\nb"]);
        cases(Primitive::Id, &["a", "A-1.b", &"x".repeat(64)], &["", "a_b", "a b", "é", &"x".repeat(65)]);
        cases(Primitive::Uri, &["http://x/y", "urn:oid:1.2", "x"], &["", " ", "a b", "a\n"]);
        cases(Primitive::Canonical, &["http://x/y|1.0#z"], &["http://x/y |1"]);
        cases(
            Primitive::Oid,
            &["urn:oid:1.2.3", "urn:oid:2.0"],
            &["1.2.3", "urn:oid:1", "urn:oid:3.1", "urn:oid:1.02", "urn:oid:1..2", "urn:oid:1.2."],
        );
        cases(
            Primitive::Uuid,
            &["urn:uuid:c757873d-ec9a-4326-a141-556f43239520"],
            &[
                "c757873d-ec9a-4326-a141-556f43239520",
                "urn:uuid:C757873D-EC9A-4326-A141-556F43239520",
                "urn:uuid:c757873dec9a-4326-a141-556f43239520-",
            ],
        );
        cases(
            Primitive::Base64Binary,
            &["QUJD", "QUI=", "QQ==", "QUJD\r\n QUJD ", " QUJD"],
            &["", " ", "QUJ", "QU=D", "Q===", "====", "QUJD=", "QU JD", "QUJ-", "QQ==QQ=="],
        );
        cases(Primitive::Xhtml, &["<div/>"], &["", " "]);
    }

    #[test]
    fn dates() {
        cases(
            Primitive::Date,
            &["2020", "0001", "9999-12-31", "2020-02-29", "2000-02-29", "1970-01"],
            &[
                "0000",
                "20",
                "20200",
                "2019-02-29",
                "1900-02-29",
                "2020-13",
                "2020-00",
                "2020-01-32",
                "2020-04-31",
                "2020-1-1",
                "2020-01-01T00:00:00Z",
                "2020-",
                "2020-01-",
                "+2020",
                " 2020",
                "２０２０",
            ],
        );
        cases(
            Primitive::DateTime,
            &[
                "2020",
                "2020-02",
                "2020-02-29",
                "2020-02-29T00:00:00Z",
                "2020-02-29T23:59:60.123456789+14:00",
                "2020-02-29T10:00:00-00:30",
            ],
            &[
                "2020-02-29T00:00:00",
                "2020-02-29T24:00:00Z",
                "2020-02-29T10:00Z",
                "2020-02-29T10:00:00+14:01",
                "2020-02-29T10:00:00+15:00",
                "2020-02-29T10:00:00+1:00",
                "2020-02-29T10:00:61Z",
                "2020-02-29T10:60:00Z",
                "2020-02-29T10:00:00.Z",
                "2020-02T10:00:00Z",
                "2020-02-29 10:00:00Z",
                "2020-02-29T10:00:00z",
                "2020-02-29TZ",
                "2020-02-29T",
            ],
        );
        cases(
            Primitive::Instant,
            &["2020-02-29T10:00:00.1Z"],
            &["2020", "2020-02-29", "2020-02-29T10:00Z", "2020-02-29T10:00:00"],
        );
        cases(
            Primitive::Time,
            &["00:00:00", "23:59:60", "10:00:00.123"],
            &["24:00:00", "10:00", "10:00:00Z", "T10:00:00", "1:00:00", "10:00:00.", "10:00:61", "10:00:00+01:00"],
        );
    }
}
