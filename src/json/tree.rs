//! An owned JSON tree for editing (patch, subsetting, reference rewriting). Numbers keep their lexeme, objects
//! their order.

use super::{Document, Kind, Limits, SyntaxError, Value, escape_into};

/// An owned JSON value.
#[derive(Clone, Debug, PartialEq)]
pub enum Tree {
    /// `null`
    Null,
    /// A boolean.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string, decoded.
    String(String),
    /// An array.
    Array(Vec<Tree>),
    /// An object, in order.
    Object(Vec<(String, Tree)>),
}

impl Tree {
    /// Reads a text that passed a reader before (a stored resource): without limits.
    pub fn parse(bytes: &[u8]) -> Result<Tree, SyntaxError> {
        Ok(Tree::from(Document::parse(bytes, &Limits::NONE)?.root()))
    }

    /// A string.
    pub fn string(text: impl Into<String>) -> Tree {
        Tree::String(text.into())
    }

    /// An object.
    pub fn object<const N: usize>(entries: [(&str, Tree); N]) -> Tree {
        Tree::Object(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
    }

    /// The value under a key of an object.
    pub fn get(&self, key: &str) -> Option<&Tree> {
        match self {
            Tree::Object(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The value under a key of an object, to be changed.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Tree> {
        match self {
            Tree::Object(entries) => entries.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }

    /// Sets a key of an object, in its place if it is there, else at the end. Does nothing on other kinds.
    pub fn set(&mut self, key: &str, value: Tree) {
        if let Tree::Object(entries) = self {
            match entries.iter_mut().find(|(k, _)| k == key) {
                Some((_, v)) => *v = value,
                None => entries.push((key.to_owned(), value)),
            }
        }
    }

    /// Removes a key of an object.
    pub fn remove(&mut self, key: &str) -> Option<Tree> {
        match self {
            Tree::Object(entries) => {
                let i = entries.iter().position(|(k, _)| k == key)?;
                Some(entries.remove(i).1)
            }
            _ => None,
        }
    }

    /// The characters of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Tree::String(s) => Some(s),
            _ => None,
        }
    }

    /// The items of an array, or none.
    pub fn items(&self) -> &[Tree] {
        match self {
            Tree::Array(items) => items,
            _ => &[],
        }
    }

    /// Appends the JSON text, without white space.
    pub fn write(&self, out: &mut String) {
        match self {
            Tree::Null => out.push_str("null"),
            Tree::Bool(true) => out.push_str("true"),
            Tree::Bool(false) => out.push_str("false"),
            Tree::Number(lexeme) => out.push_str(lexeme),
            Tree::String(text) => escape_into(text, out),
            Tree::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Tree::Object(entries) => {
                out.push('{');
                for (i, (key, value)) in entries.iter().enumerate() {
                    if i > 0 {
                        out.push(',');
                    }
                    escape_into(key, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }

    /// The JSON text, without white space.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}

impl From<Value<'_>> for Tree {
    fn from(value: Value<'_>) -> Tree {
        match value.kind() {
            Kind::Null => Tree::Null,
            Kind::Bool => Tree::Bool(value.raw() == "true"),
            Kind::Number => Tree::Number(value.raw().to_owned()),
            Kind::String => Tree::String(value.as_str().unwrap_or_default().into_owned()),
            Kind::Array => Tree::Array(value.items().map(Tree::from).collect()),
            Kind::Object => Tree::Object(value.entries().map(|(k, v)| (k.into_owned(), Tree::from(v))).collect()),
        }
    }
}
