//! JSON merge patch (RFC 7396): members of the patch replace those of the resource, null removes, objects are merged.

use super::measure::{Cost, size};
use crate::base::{Failure, IssueCode};
use crate::json::{Kind, Tree, Value};
use std::collections::HashMap;

/// From this many members on an object is searched by a table.
const MANY: usize = 32;

/// The resource as the patch makes it. A patch that is no object would put something else in the place of the
/// resource, and is refused.
pub fn merge_patch(resource: &Tree, patch: Value<'_>) -> Result<Tree, Failure> {
    if patch.kind() != Kind::Object {
        let message = "a JSON merge patch of a resource is an object";
        return Err(Failure::malformed(IssueCode::Structure, message).at("patch"));
    }
    let merged = merge(Some(resource.clone()), patch);
    Cost::default().put(0, size(&merged)).map_err(|f| f.at("patch"))?;
    Ok(merged)
}

fn merge(target: Option<Tree>, patch: Value<'_>) -> Tree {
    if patch.kind() != Kind::Object {
        return Tree::from(patch);
    }
    let entries = match target {
        Some(Tree::Object(entries)) => entries,
        _ => Vec::new(),
    };
    let table: Option<HashMap<String, usize>> =
        (entries.len() > MANY).then(|| entries.iter().enumerate().map(|(i, (key, _))| (key.clone(), i)).collect());
    let mut places: Vec<(String, Option<Tree>)> = entries.into_iter().map(|(key, value)| (key, Some(value))).collect();
    // No key stands twice in a patch, so that what it adds need not be searched.
    let before = places.len();
    for (key, value) in patch.entries() {
        let place = match &table {
            Some(table) => table.get(&*key).copied(),
            None => places.iter().take(before).position(|(k, _)| *k == key),
        };
        let old = place.and_then(|i| places.get_mut(i)).map(|(_, value)| value);
        match (old, value.is_null()) {
            (Some(old), true) => *old = None,
            (Some(old), false) => *old = Some(merge(old.take(), value)),
            (None, true) => {}
            (None, false) => places.push((key.into_owned(), Some(merge(None, value)))),
        }
    }
    Tree::Object(places.into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}

#[cfg(test)]
mod tests {
    use super::merge_patch;
    use crate::base::FailureKind;
    use crate::json::{Document, Limits, Tree};

    /// The examples of RFC 7396, appendix A, as far as document and patch are objects, and some more.
    #[test]
    fn merged() {
        for (resource, patch, expected) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, r#"{}"#),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#),
            (r#"{"e":null}"#, r#"{"a":1}"#, r#"{"e":null,"a":1}"#),
            (r#"{}"#, r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#),
            (r#"{"a":1.00}"#, r#"{"b":2.50,"c":[null,{"d":null}]}"#, r#"{"a":1.00,"b":2.50,"c":[null,{"d":null}]}"#),
        ] {
            let document = Document::parse(patch.as_bytes(), &Limits::default()).expect("JSON");
            let merged = merge_patch(&Tree::parse(resource.as_bytes()).expect("JSON"), document.root());
            assert_eq!(merged.map(|t| t.to_json()).map_err(|f| f.to_string()).as_deref(), Ok(expected), "{patch}");
        }
    }

    #[test]
    fn large_objects() {
        let pairs = |from: usize, value: &str| -> String {
            let pairs: Vec<String> = (from..from + 1000).map(|i| format!(r#""k{i}":{value}"#)).collect();
            format!("{{{}}}", pairs.join(","))
        };
        let patch = pairs(500, "2");
        let document = Document::parse(patch.as_bytes(), &Limits::default()).expect("JSON");
        let merged =
            merge_patch(&Tree::parse(pairs(0, "1").as_bytes()).expect("JSON"), document.root()).expect("legal");
        let Tree::Object(entries) = merged else { panic!("no object") };
        assert_eq!(entries.len(), 1500);
        assert_eq!(entries[499].1, Tree::Number("1".into()));
        assert_eq!(entries[500].1, Tree::Number("2".into()));
    }

    #[test]
    fn refused() {
        for patch in ["null", "[]", "\"x\"", "1"] {
            let document = Document::parse(patch.as_bytes(), &Limits::default()).expect("JSON");
            let failure = merge_patch(&Tree::Object(Vec::new()), document.root()).expect_err(patch);
            assert_eq!(failure.kind, FailureKind::Malformed);
        }
    }
}
