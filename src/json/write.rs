//! Writing: escaping, minifying a value, pretty-printing. Numbers are copied as they were written.

use super::{Kind, Value};
use std::borrow::Cow;

/// The characters of the inside of a JSON string that has been checked by the reader.
pub fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', inner.as_bytes()) else {
        return Cow::Borrowed(inner);
    };
    let mut out = String::with_capacity(inner.len());
    out.push_str(&inner[..first]);
    let mut rest = inner[first..].chars();
    let unit = |rest: &mut std::str::Chars<'_>| {
        (0..4).filter_map(|_| rest.next()).fold(0, |v, c| v * 16 + c.to_digit(16).unwrap_or(0))
    };
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next() {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let mut code = unit(&mut rest);
                if (0xD800..0xDC00).contains(&code) {
                    rest.next();
                    rest.next();
                    let low = unit(&mut rest);
                    code = 0x10000 + ((code - 0xD800) << 10) + (low.wrapping_sub(0xDC00) & 0x3FF);
                }
                out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    Cow::Owned(out)
}

/// Appends a string in quotes, escaping what JSON needs escaped and no more.
pub fn escape_into(text: &str, out: &mut String) {
    out.push('"');
    let mut from = 0;
    for (i, b) in text.bytes().enumerate() {
        let escape: &str = match b {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1F => "",
            _ => continue,
        };
        out.push_str(&text[from..i]);
        if escape.is_empty() {
            use std::fmt::Write;
            let _ = write!(out, "\\u{b:04x}");
        } else {
            out.push_str(escape);
        }
        from = i + 1;
    }
    out.push_str(&text[from..]);
    out.push('"');
}

/// Appends a value without insignificant white space; strings and numbers as they were written.
pub fn minify_into(value: Value<'_>, out: &mut String) {
    let raw = value.raw();
    let mut from = 0;
    let bytes = raw.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'"' => {
                i += 1;
                while bytes[i] != b'"' {
                    i += if bytes[i] == b'\\' { 2 } else { 1 };
                }
                i += 1;
            }
            b' ' | b'\n' | b'\r' | b'\t' => {
                out.push_str(&raw[from..i]);
                while let Some(b' ' | b'\n' | b'\r' | b'\t') = bytes.get(i) {
                    i += 1;
                }
                from = i;
            }
            _ => i += 1,
        }
    }
    out.push_str(&raw[from..]);
}

/// The value on many lines, indented by two spaces; strings and numbers as they were written.
pub fn pretty(value: Value<'_>) -> String {
    let mut out = String::with_capacity(value.raw().len() * 2);
    pretty_into(value, 0, &mut out);
    out
}

fn pretty_into(value: Value<'_>, level: usize, out: &mut String) {
    let line = |out: &mut String, level: usize| {
        out.push('\n');
        for _ in 0..level {
            out.push_str("  ");
        }
    };
    match value.kind() {
        Kind::Object if !value.is_empty() => {
            out.push('{');
            for (i, (key, item)) in value.entries().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                escape_into(&key, out);
                out.push_str(": ");
                pretty_into(item, level + 1, out);
            }
            line(out, level);
            out.push('}');
        }
        Kind::Array if !value.is_empty() => {
            out.push('[');
            for (i, item) in value.items().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                line(out, level + 1);
                pretty_into(item, level + 1, out);
            }
            line(out, level);
            out.push(']');
        }
        Kind::Object => out.push_str("{}"),
        Kind::Array => out.push_str("[]"),
        _ => out.push_str(value.raw()),
    }
}
