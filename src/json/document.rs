//! The reader: a flat list of nodes over the text. Nothing is copied; numbers and strings stay as they were
//! written. Refuses what RFC 8259 refuses, and also duplicate keys, lone surrogates and too deep nesting.

use super::write::unescape;
use std::borrow::Cow;
use std::ops::Range;

/// What a reader accepts at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Levels of arrays and objects.
    pub depth: usize,
    /// Values and keys in the document.
    pub nodes: usize,
    /// Characters of one number.
    pub number: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth: 128, nodes: 20_000_000, number: 1_000 }
    }
}

/// Why a text is not a JSON document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// Byte offset into the text.
    pub offset: usize,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: &'static str,
}

impl std::fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} at line {}, column {}", self.message, self.line, self.column)
    }
}

impl std::error::Error for SyntaxError {}

/// The kinds of JSON values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    start: u32,
    end: u32,
    /// Index of the first node after this value and all that is in it.
    next: u32,
    kind: Kind,
    /// A string with at least one backslash.
    escaped: bool,
}

/// A document: its text and a list of nodes in the order of the text.
#[derive(Debug)]
pub struct Document<'t> {
    text: &'t str,
    nodes: Vec<Node>,
}

/// A value of a document; cheap to copy.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    text: &'d str,
    nodes: &'d [Node],
    at: u32,
}

impl<'t> Document<'t> {
    /// Reads a text.
    pub fn parse(bytes: &'t [u8], limits: &Limits) -> Result<Self, SyntaxError> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => {
                return Err(error_at(bytes, e.valid_up_to(), "the text is not UTF-8"));
            }
        };
        if bytes.len() >= u32::MAX as usize {
            return Err(error_at(bytes, 0, "the text is longer than 4 GiB"));
        }
        let mut reader = Reader { bytes, at: 0, nodes: Vec::with_capacity(bytes.len() / 12 + 8), limits };
        match reader.document() {
            Ok(()) => Ok(Document { text, nodes: reader.nodes }),
            Err((offset, message)) => Err(error_at(bytes, offset, message)),
        }
    }

    /// The outermost value.
    pub fn root(&self) -> Value<'_> {
        Value { text: self.text, nodes: &self.nodes, at: 0 }
    }

    /// The text that was read.
    pub fn text(&self) -> &'t str {
        self.text
    }
}

fn error_at(bytes: &[u8], offset: usize, message: &'static str) -> SyntaxError {
    let before = &bytes[..offset.min(bytes.len())];
    let line = before.iter().filter(|b| **b == b'\n').count() as u32 + 1;
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let column = before[start..].iter().filter(|b| (**b & 0xC0) != 0x80).count() as u32 + 1;
    SyntaxError { offset, line, column, message }
}

type Fault = (usize, &'static str);

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
            // A plain loop: most strings are short, and one pass also finds control characters.
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
        let mut keys: [u32; 24] = [0; 24];
        let mut count = 0;
        while at < end {
            if count == keys.len() {
                return self.no_duplicate_keys_in_many(object);
            }
            keys[count] = at;
            count += 1;
            at = self.nodes[at as usize + 1].next;
        }
        for (i, a) in keys[..count].iter().enumerate() {
            let a = self.nodes[*a as usize];
            for b in &keys[..i] {
                let b = self.nodes[*b as usize];
                let (ka, kb) = (&text[a.start as usize..a.end as usize], &text[b.start as usize..b.end as usize]);
                if ka == kb || ((a.escaped || b.escaped) && decoded(ka) == decoded(kb)) {
                    return Err((a.start as usize, "this key stands twice in the object"));
                }
            }
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

/// The characters of a quoted string that has been checked.
fn decoded(quoted: &[u8]) -> Cow<'_, str> {
    let inner = std::str::from_utf8(&quoted[1..quoted.len() - 1]).unwrap_or_default();
    unescape(inner)
}

impl<'d> Value<'d> {
    fn node(self) -> Node {
        self.nodes[self.at as usize]
    }

    fn with(self, at: u32) -> Value<'d> {
        Value { at, ..self }
    }

    /// What kind of value it is.
    pub fn kind(self) -> Kind {
        self.node().kind
    }

    /// Where it stands in the text, quotes and brackets included.
    pub fn span(self) -> Range<usize> {
        let node = self.node();
        node.start as usize..node.end as usize
    }

    /// The text of the value exactly as written, quotes and brackets included.
    pub fn raw(self) -> &'d str {
        &self.text[self.span()]
    }

    /// The characters of a string.
    pub fn as_str(self) -> Option<Cow<'d, str>> {
        let node = self.node();
        if node.kind != Kind::String {
            return None;
        }
        let inner = &self.text[node.start as usize + 1..node.end as usize - 1];
        Some(if node.escaped { unescape(inner) } else { Cow::Borrowed(inner) })
    }

    /// The characters of a string that has no escapes; cheaper where the value is compared with something known.
    pub fn as_plain(self) -> Option<&'d str> {
        let node = self.node();
        (node.kind == Kind::String && !node.escaped).then(|| &self.text[node.start as usize + 1..node.end as usize - 1])
    }

    /// The lexeme of a number.
    pub fn as_number(self) -> Option<&'d str> {
        (self.kind() == Kind::Number).then(|| self.raw())
    }

    /// A boolean.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.raw() == "true")
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// The value under a key of an object.
    pub fn get(self, key: &str) -> Option<Value<'d>> {
        self.entries().find(|(k, _)| *k == key).map(|(_, v)| v)
    }

    /// Keys and values of an object, in order; nothing for other kinds.
    pub fn entries(self) -> Entries<'d> {
        let node = self.node();
        let (at, end) = if node.kind == Kind::Object { (self.at + 1, node.next) } else { (0, 0) };
        Entries { of: self, at, end }
    }

    /// The items of an array, in order; nothing for other kinds.
    pub fn items(self) -> Items<'d> {
        let node = self.node();
        let (at, end) = if node.kind == Kind::Array { (self.at + 1, node.next) } else { (0, 0) };
        Items { of: self, at, end }
    }

    /// The items of an array, or the value itself where it is none.
    pub fn each(self) -> Items<'d> {
        if self.kind() == Kind::Array { self.items() } else { Items { of: self, at: self.at, end: self.node().next } }
    }

    /// Whether an array or object has nothing in it.
    pub fn is_empty(self) -> bool {
        matches!(self.kind(), Kind::Array | Kind::Object) && self.node().next == self.at + 1
    }

    /// An identity within the document: two values are the same place if it is equal.
    pub fn place(self) -> u32 {
        self.at
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.raw())
    }
}

/// Keys and values of an object.
#[derive(Clone)]
pub struct Entries<'d> {
    of: Value<'d>,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Entries<'d> {
    type Item = (Cow<'d, str>, Value<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.end {
            return None;
        }
        let key = self.of.with(self.at).as_str()?;
        let value = self.of.with(self.at + 1);
        self.at = value.node().next;
        Some((key, value))
    }
}

/// The items of an array.
#[derive(Clone)]
pub struct Items<'d> {
    of: Value<'d>,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Items<'d> {
    type Item = Value<'d>;

    fn next(&mut self) -> Option<Value<'d>> {
        if self.at >= self.end {
            return None;
        }
        let value = self.of.with(self.at);
        self.at = value.node().next;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Document<'_>, SyntaxError> {
        Document::parse(text.as_bytes(), &Limits::default())
    }

    #[test]
    fn values_and_lexemes() {
        let doc = read(r#" {"a":[1.00, -0, 1e-5, "x\u00e9\n"], "b":{"c":null,"d":true}, "e":[] } "#).expect("legal");
        let root = doc.root();
        let a: Vec<_> = root.get("a").expect("a").items().map(|v| v.raw()).collect();
        assert_eq!(a, ["1.00", "-0", "1e-5", r#""x\u00e9\n""#]);
        assert_eq!(root.get("a").and_then(|a| a.items().nth(3)).and_then(|v| v.as_str()).as_deref(), Some("xé\n"));
        assert_eq!(root.get("b").and_then(|b| b.get("d")).and_then(|d| d.as_bool()), Some(true));
        assert!(root.get("e").expect("e").is_empty());
        assert_eq!(root.entries().map(|(k, _)| k.into_owned()).collect::<Vec<_>>(), ["a", "b", "e"]);
    }

    #[test]
    fn refused_with_place() {
        for (text, message) in [
            ("", "the text ends where a value is expected"),
            ("{", "a key in quotes is expected here"),
            ("[1,]", "a value is expected here"),
            ("[,1]", "a value is expected here"),
            ("{\"a\":1,}", "a key in quotes is expected here"),
            ("[1 2]", "',' or ']' is expected here"),
            ("01", "a number does not begin with 0"),
            ("1.", "a digit is expected after the point"),
            ("\"\u{1}\"", "a control character in a string must be escaped"),
            ("\"\\ud800\"", "a lone surrogate is not a character"),
            ("\"\\udc00x\"", "a lone surrogate is not a character"),
            ("{\"a\":1,\"\\u0061\":2}", "this key stands twice in the object"),
            ("{} {}", "text after the end of the document"),
            ("nul", "a value is expected here"),
            ("\"abc", "this string does not end"),
        ] {
            assert_eq!(read(text).map(|_| ()).map_err(|e| e.message), Err(message), "{text}");
        }
        let e = read("{\n  \"é\": x}").map(|_| ()).expect_err("illegal");
        assert_eq!((e.line, e.column), (2, 8));
    }

    #[test]
    fn bounds() {
        assert!(read(&"[".repeat(100_000)).is_err());
        let deep = "[".repeat(128) + &"]".repeat(128);
        assert!(read(&deep).is_ok());
        assert!(read(&format!("[{deep}]")).is_err());
        assert!(read(&"1".repeat(1_000_000)).is_err());
    }
}
