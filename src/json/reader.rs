//! The reader: from a text to the flat list of nodes of a [`super::Document`]. Nothing is copied; numbers and strings
//! stay as they were written. Refuses what RFC 8259 refuses, and also duplicate keys, lone surrogates and too deep
//! nesting.

use super::document::{Kind, Node};
use super::{Limits, SyntaxError, unescape};
use std::borrow::Cow;

/// An error at a byte offset.
pub(super) fn error_at(bytes: &[u8], offset: usize, message: &'static str) -> SyntaxError {
    let before = &bytes[..offset.min(bytes.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() as u32 + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let column = before[start..].iter().filter(|b| (**b & 0xC0) != 0x80).count() as u32 + 1;
    SyntaxError { offset, line, column, message }
}

/// Where, and what is wrong.
type Fault = (usize, &'static str);

/// The nodes of a text, which is UTF-8 and shorter than 4 GiB.
pub(super) fn nodes(bytes: &[u8], limits: &Limits) -> Result<Vec<Node>, SyntaxError> {
    let mut reader = Reader { bytes, at: 0, nodes: Vec::with_capacity(bytes.len() / 12 + 8), limits };
    match reader.document() {
        Ok(()) => Ok(reader.nodes),
        Err((offset, message)) => Err(error_at(bytes, offset, message)),
    }
}

struct Reader<'t, 'l> {
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
    limits: &'l Limits,
}

impl Reader<'_, '_> {
    fn document(&mut self) -> Result<(), Fault> {
        // Open containers, as indexes into `nodes`.
        let mut open: Vec<u32> = Vec::with_capacity(16);
        loop {
            // One value is expected here.
            self.space();
            if self.nodes.len() >= self.limits.nodes {
                return Err((self.at, "too many values"));
            }
            match self.bytes.get(self.at) {
                Some(b'{') | Some(b'[') => {
                    let object = self.bytes[self.at] == b'{';
                    if open.len() >= self.limits.depth {
                        return Err((self.at, "nested too deeply"));
                    }
                    open.push(self.nodes.len() as u32);
                    self.push(self.at, self.at, if object { Kind::Object } else { Kind::Array }, false);
                    self.at += 1;
                    self.space();
                    let close = if object { b'}' } else { b']' };
                    if self.bytes.get(self.at) == Some(&close) {
                        // empty: closed below
                    } else if object {
                        self.key()?;
                        continue;
                    } else {
                        continue;
                    }
                }
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true", Kind::Bool)?,
                Some(b'f') => self.word(b"false", Kind::Bool)?,
                Some(b'n') => self.word(b"null", Kind::Null)?,
                Some(_) => return Err((self.at, "a value is expected here")),
                None => return Err((self.at, "the text ends where a value is expected")),
            }
            // After a value: close what ends here, or go on.
            loop {
                self.space();
                let Some(&container) = open.last() else {
                    return if self.at == self.bytes.len() {
                        Ok(())
                    } else {
                        Err((self.at, "text after the end of the document"))
                    };
                };
                let object = self.nodes[container as usize].kind == Kind::Object;
                match self.bytes.get(self.at) {
                    Some(b',') if self.nodes.len() as u32 > container + 1 => {
                        self.at += 1;
                        if object {
                            self.space();
                            self.key()?;
                        }
                        break;
                    }
                    Some(b'}') if object => {}
                    Some(b']') if !object => {}
                    Some(_) if object => return Err((self.at, "',' or '}' is expected here")),
                    Some(_) => return Err((self.at, "',' or ']' is expected here")),
                    None => return Err((self.at, "the text ends inside an array or object")),
                }
                self.at += 1;
                open.pop();
                let next = self.nodes.len() as u32;
                let node = &mut self.nodes[container as usize];
                node.end = self.at as u32;
                node.next = next;
                if object {
                    self.no_duplicate_keys(container)?;
                }
            }
        }
    }

    fn push(&mut self, start: usize, end: usize, kind: Kind, escaped: bool) {
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { start: start as u32, end: end as u32, next, kind, escaped });
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    fn word(&mut self, word: &'static [u8], kind: Kind) -> Result<(), Fault> {
        if self.bytes[self.at..].starts_with(word) {
            self.push(self.at, self.at + word.len(), kind, false);
            self.at += word.len();
            Ok(())
        } else {
            Err((self.at, "a value is expected here"))
        }
    }

    fn key(&mut self) -> Result<(), Fault> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err((self.at, "a key in quotes is expected here"));
        }
        self.string()?;
        self.space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err((self.at, "':' is expected here"));
        }
        self.at += 1;
        Ok(())
    }

    fn string(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut i = start + 1;
        let mut escaped = false;
        loop {
            // Eight bytes at a time over what needs no look, then one by one.
            while let Some(eight) = self.bytes.get(i..i + 8).and_then(|b| b.try_into().ok()) {
                let plain = plain_bytes(u64::from_le_bytes(eight));
                i += plain;
                if plain < 8 {
                    break;
                }
            }
            match self.bytes.get(i) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    i = self.escape(i)?;
                }
                Some(0..=0x1F) => return Err((i, "a control character in a string must be escaped")),
                Some(_) => i += 1,
                None => return Err((start, "this string does not end")),
            }
        }
        self.at = i + 1;
        self.push(start, self.at, Kind::String, escaped);
        Ok(())
    }

    /// Checks the escape at `i`; gives the place after it.
    fn escape(&self, i: usize) -> Result<usize, Fault> {
        match self.bytes.get(i + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(i + 2),
            Some(b'u') => match self.hex(i + 2)? {
                0xD800..=0xDBFF => {
                    if self.bytes.get(i + 6) == Some(&b'\\')
                        && self.bytes.get(i + 7) == Some(&b'u')
                        && (0xDC00..=0xDFFF).contains(&self.hex(i + 8)?)
                    {
                        Ok(i + 12)
                    } else {
                        Err((i, "a lone surrogate is not a character"))
                    }
                }
                0xDC00..=0xDFFF => Err((i, "a lone surrogate is not a character")),
                _ => Ok(i + 6),
            },
            _ => Err((i, "unknown escape")),
        }
    }

    fn hex(&self, i: usize) -> Result<u32, Fault> {
        let digits = self.bytes.get(i..i + 4).ok_or((i, "four hexadecimal digits are expected"))?;
        let mut value = 0;
        for d in digits {
            let d = (*d as char).to_digit(16).ok_or((i, "four hexadecimal digits are expected"))?;
            value = value * 16 + d;
        }
        Ok(value)
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        let mut i = start;
        let digits = |mut i: usize| {
            let from = i;
            while let Some(b'0'..=b'9') = self.bytes.get(i) {
                i += 1;
            }
            (i, i > from)
        };
        if self.bytes[i] == b'-' {
            i += 1;
        }
        match self.bytes.get(i) {
            Some(b'0') => i += 1,
            Some(b'1'..=b'9') => i = digits(i).0,
            _ => return Err((i, "a digit is expected here")),
        }
        if self.bytes.get(i) == Some(&b'.') {
            let (end, some) = digits(i + 1);
            if !some {
                return Err((i, "a digit is expected after the point"));
            }
            i = end;
        }
        if let Some(b'e' | b'E') = self.bytes.get(i) {
            i += 1;
            if let Some(b'+' | b'-') = self.bytes.get(i) {
                i += 1;
            }
            let (end, some) = digits(i);
            if !some {
                return Err((i, "a digit is expected in the exponent"));
            }
            i = end;
        }
        if let Some(b'0'..=b'9') = self.bytes.get(i) {
            return Err((i, "a number does not begin with 0"));
        }
        if i - start > self.limits.number {
            return Err((start, "this number is too long"));
        }
        self.at = i;
        self.push(start, i, Kind::Number, false);
        Ok(())
    }

    fn no_duplicate_keys(&self, object: u32) -> Result<(), Fault> {
        let text = self.bytes;
        let end = self.nodes[object as usize].next;
        let mut at = object + 1;
        let (mut keys, mut marks) = ([0u32; 24], [0u64; 24]);
        let mut count = 0;
        while at < end {
            let key = self.nodes[at as usize];
            if count == keys.len() || key.escaped {
                return self.no_duplicate_keys_in_many(object);
            }
            let written = &text[key.start as usize..key.end as usize];
            let mark = fingerprint(written);
            for (other, _) in keys.iter().zip(&marks[..count]).filter(|(_, m)| **m == mark) {
                let other = self.nodes[*other as usize];
                if written == &text[other.start as usize..other.end as usize] {
                    return Err((key.start as usize, "this key stands twice in the object"));
                }
            }
            (keys[count], marks[count]) = (at, mark);
            count += 1;
            at = self.nodes[at as usize + 1].next;
        }
        Ok(())
    }

    fn no_duplicate_keys_in_many(&self, object: u32) -> Result<(), Fault> {
        let end = self.nodes[object as usize].next;
        let mut at = object + 1;
        // The standard hasher: keys come from outside, and must not be able to collide on purpose.
        let mut seen = std::collections::HashSet::new();
        while at < end {
            let key = self.nodes[at as usize];
            if !seen.insert(decoded(&self.bytes[key.start as usize..key.end as usize])) {
                return Err((key.start as usize, "this key stands twice in the object"));
            }
            at = self.nodes[at as usize + 1].next;
        }
        Ok(())
    }
}

/// How many of eight bytes, from the first (lowest) on, are neither a quote, a backslash nor a control character.
fn plain_bytes(eight: u64) -> usize {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    // A byte of a difference is exact up to the first that goes below zero, and only the first matters.
    let below = |word: u64, bound: u8| word.wrapping_sub(ONES * u64::from(bound)) & !word & HIGHS;
    let equal = |byte: u8| below(eight ^ (ONES * u64::from(byte)), 1);
    let special = below(eight, 0x20) | equal(b'"') | equal(b'\\');
    special.trailing_zeros() as usize / 8
}

/// A number that is the same for the same key (its length and up to seven bytes), and mostly another for others.
fn fingerprint(quoted: &[u8]) -> u64 {
    let length = quoted.len() as u64;
    match quoted.get(1..9).and_then(|b| b.try_into().ok()) {
        Some(eight) => u64::from_le_bytes(eight) ^ length.rotate_right(8),
        None => quoted.iter().fold(length, |f, b| f << 8 ^ u64::from(*b)),
    }
}

/// The characters of a quoted string that has been checked.
fn decoded(quoted: &[u8]) -> Cow<'_, str> {
    let inner = std::str::from_utf8(&quoted[1..quoted.len() - 1]).unwrap_or_default();
    unescape(inner)
}
