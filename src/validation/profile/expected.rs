//! Fixed values and patterns: whether a value is exactly one, or contains one (R4 elementdefinition.html, `fixed[x]` and
//! `pattern[x]`).

use crate::fhirpath::eval::Number;
use crate::json::{Kind, Tree, Value};

/// Whether a value is exactly what is expected.
pub(super) fn equals(expected: &Tree, value: Value<'_>) -> bool {
    match (expected, value.kind()) {
        (Tree::Object(entries), Kind::Object) => {
            entries.len() == value.entries().count()
                && entries.iter().all(|(key, e)| value.get(key).is_some_and(|v| equals(e, v)))
        }
        (Tree::Array(items), Kind::Array) => {
            items.len() == value.items().count() && items.iter().zip(value.items()).all(|(e, v)| equals(e, v))
        }
        _ => same_primitive(expected, value),
    }
}

/// Whether a value contains what is expected: the properties of objects, some item for each of an array.
pub(super) fn contains(pattern: &Tree, value: Value<'_>) -> bool {
    match (pattern, value.kind()) {
        (Tree::Object(entries), Kind::Object) => {
            entries.iter().all(|(key, p)| value.get(key).is_some_and(|v| contains(p, v)))
        }
        (Tree::Array(items), Kind::Array) => items.iter().all(|p| value.items().any(|v| contains(p, v))),
        _ => same_primitive(pattern, value),
    }
}

fn same_primitive(expected: &Tree, value: Value<'_>) -> bool {
    match (expected, value.kind()) {
        (Tree::String(text), Kind::String) => value.as_str().is_some_and(|v| v == *text),
        (Tree::Bool(truth), Kind::Bool) => value.as_bool() == Some(*truth),
        (Tree::Number(number), Kind::Number) => {
            number == value.raw() || Number::parse(number).is_some_and(|n| Number::parse(value.raw()) == Some(n))
        }
        (Tree::Null, Kind::Null) => true,
        _ => false,
    }
}

/// What is expected, as a short text for messages.
pub(super) fn shown(expected: &Tree) -> String {
    let mut text = String::new();
    write(expected, &mut text);
    match text.char_indices().nth(200) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn write(tree: &Tree, out: &mut String) {
    let list = |parts: Vec<String>, open: char, close: char, out: &mut String| {
        out.push(open);
        out.push_str(&parts.join(", "));
        out.push(close);
    };
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
        Tree::Number(number) => out.push_str(number),
        Tree::String(text) => {
            out.push('\'');
            out.push_str(text);
            out.push('\'');
        }
        Tree::Array(items) => list(items.iter().map(shown).collect(), '[', ']', out),
        Tree::Object(entries) => {
            list(entries.iter().map(|(key, value)| format!("{key}: {}", shown(value))).collect(), '{', '}', out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Document, Limits};

    #[test]
    fn fixed_and_pattern() {
        let judge = |expected: &str, value: &str| {
            let expected = Tree::parse(expected.as_bytes()).expect("JSON");
            let document = Document::parse(value.as_bytes(), &Limits::default()).expect("JSON");
            (equals(&expected, document.root()), contains(&expected, document.root()))
        };
        assert_eq!(judge(r#"{"a":1}"#, r#"{"a":1}"#), (true, true));
        assert_eq!(judge(r#"{"a":1}"#, r#"{"a":1.0,"b":2}"#), (false, true));
        assert_eq!(judge(r#"[{"a":"x"}]"#, r#"[{"a":"y"},{"a":"x"}]"#), (false, true));
        assert_eq!(judge(r#"[{"a":"x"}]"#, r#"[{"a":"y"}]"#), (false, false));
        assert_eq!(judge(r#""a""#, r#""b""#), (false, false));
    }
}
