//! A document: a flat list of nodes over the text, and values that walk it. How the list is made is in `reader`.

use super::{reader, unescape};
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

impl Limits {
    /// The most that `depth` may be set to: what walks a document calls itself for each level, and the stack of a
    /// thread has an end.
    pub const DEEPEST: usize = 500;

    /// For texts that are our own or passed a reader before: what was accepted must stay readable, whatever the
    /// limits were then.
    pub const NONE: Limits = Limits { depth: usize::MAX, nodes: usize::MAX, number: usize::MAX };
}

impl Default for Limits {
    fn default() -> Self {
        Limits { depth: 128, nodes: 10_000_000, number: 1_000 }
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

/// A value or key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Where it begins in the text, quotes and brackets included.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// Index of the first node after this value and all that is in it.
    pub next: u32,
    /// Its kind; a key is a string.
    pub kind: Kind,
    /// A string with at least one backslash.
    pub escaped: bool,
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
                return Err(reader::error_at(bytes, e.valid_up_to(), "the text is not UTF-8"));
            }
        };
        if bytes.len() >= u32::MAX as usize {
            return Err(reader::error_at(bytes, 0, "the text is longer than 4 GiB"));
        }
        Ok(Document { text, nodes: reader::nodes(bytes, limits)? })
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

    /// Line and column of its beginning, both from 1, the column in characters.
    pub fn line_and_column(self) -> (u32, u32) {
        let before = &self.text[..self.node().start as usize];
        let line = before.bytes().filter(|b| *b == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        (line as u32 + 1, column as u32 + 1)
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

    /// How many values and keys it has in it, itself included.
    pub fn size(self) -> usize {
        (self.node().next - self.at) as usize
    }

    /// Whether another value of the document is in it, or is it.
    pub fn encloses(self, other: Value<'_>) -> bool {
        (self.at..self.node().next).contains(&other.at)
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

    /// G05 of the abuse cases: keys that look alike to the quick comparison of a few.
    #[test]
    fn many_keys_that_are_alike_are_told_apart() {
        let keys: Vec<String> = (0..20_000).map(|i| format!("\"collide{i:06}\":1")).collect();
        let text = format!("{{{}}}", keys.join(","));
        assert_eq!(read(&text).expect("legal").root().entries().count(), keys.len());
        let twice = format!("{{{},\"collid\\u0065{:06}\":2}}", keys.join(","), 77);
        let refused = read(&twice).map(|_| ()).map_err(|e| e.message);
        assert_eq!(refused, Err("this key stands twice in the object"));
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
