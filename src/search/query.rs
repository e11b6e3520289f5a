//! Query strings: taking them apart into decoded pairs and writing them again, and the escapes inside values
//! (R4 search.html#escaping). Knows no parameter.

use super::MAX_PARAMETERS;
use crate::base::{Failure, IssueCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// What is encoded in links: all but letters, digits and what FHIR uses and RFC 3986 3.4 allows in a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b',')
    .remove(b'$')
    .remove(b'*');

/// The pairs of a query string or of a form (`application/x-www-form-urlencoded`), decoded, in order.
pub fn pairs(query: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut all = Vec::new();
    for piece in query.split('&').filter(|p| !p.is_empty()) {
        if all.len() == MAX_PARAMETERS {
            return Err(too_many());
        }
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let name = decode(name)?;
        all.push((name, decode(value)?));
    }
    Ok(all)
}

pub(super) fn too_many() -> Failure {
    Failure::malformed(IssueCode::TooLong, format!("more than {MAX_PARAMETERS} search parameters"))
}

fn decode(text: &str) -> Result<String, Failure> {
    let text = text.replace('+', " ");
    match percent_decode(text.as_bytes()).decode_utf8() {
        Ok(decoded) if !decoded.contains('\0') => Ok(decoded.into_owned()),
        Ok(_) => Err(Failure::malformed(IssueCode::Invalid, "the query string holds the character U+0000")),
        Err(_) => Err(Failure::malformed(IssueCode::Invalid, "the query string is not UTF-8 when percent-decoded")),
    }
}

/// A query string from pairs; the same pairs always give the same text.
pub fn encode<'p>(pairs: impl IntoIterator<Item = (&'p str, &'p str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.extend(utf8_percent_encode(name, ENCODED));
        out.push('=');
        out.extend(utf8_percent_encode(value, ENCODED));
    }
    out
}

/// Splits at a separator (`,`, `$` or `|`) that is not escaped by `\`. The parts keep their escapes.
pub fn split(text: &str, separator: u8) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (i, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == separator => {
                // An ASCII byte is never inside a character.
                parts.push(text.get(start..i).unwrap_or_default());
                start = i + 1;
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

/// Takes the escapes away. A `\` before anything that needs none is a character like others.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match characters.peek() {
            Some(&next @ (',' | '$' | '|' | '\\')) if c == '\\' => {
                out.push(next);
                characters.next();
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn query_strings_come_apart_and_together() {
        for (query, expected, again) in [
            ("", "", ""),
            ("&&", "", ""),
            ("a=1&b=2", "a=1;b=2", "a=1&b=2"),
            ("a=1&a=2", "a=1;a=2", "a=1&a=2"),
            ("a", "a=", "a="),
            ("a=b=c", "a=b=c", "a=b%3Dc"),
            ("name=J+ones%20%2B", "name=J ones +", "name=J%20ones%20%2B"),
            ("n%3Aexact=%C3%A9", "n:exact=é", "n:exact=%C3%A9"),
            ("x=100%&y=%zz", "x=100%;y=%zz", "x=100%25&y=%25zz"),
            ("code=http://loinc.org|1-8,b", "code=http://loinc.org|1-8,b", "code=http://loinc.org%7C1-8,b"),
        ] {
            let pairs = pairs(query).expect("legal");
            let shown: Vec<_> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
            assert_eq!(shown.join(";"), expected, "{query}");
            assert_eq!(encode(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()))), again, "{query}");
        }
        assert!(pairs("a=%FF").is_err());
        assert!(pairs("%FF=a").is_err());
        assert!(pairs("a=%00").is_err());
        assert!(pairs(&"a=1&".repeat(1000)).is_ok());
        assert!(pairs(&"a=1&".repeat(1001)).is_err());
    }

    #[test]
    fn separators_can_be_escaped() {
        for (text, expected) in [
            ("", vec![""]),
            ("a,b", vec!["a", "b"]),
            (r"a\,b", vec![r"a\,b"]),
            (r"a\\,b", vec![r"a\\", "b"]),
            (",", vec!["", ""]),
            (r"\", vec![r"\"]),
            ("é,ü", vec!["é", "ü"]),
        ] {
            assert_eq!(split(text, b','), expected, "{text}");
        }
        for (text, expected) in
            [(r"a\,b\$c\|d\\e", r"a,b$c|d\e"), (r"\a\", r"\a\"), (r"\\,", r"\,"), (r"\\\,", r"\,"), ("é", "é")]
        {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
