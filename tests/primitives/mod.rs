//! The lexical rules against values of each type from a public conformance suite, right and wrong ones.

use vesta::json::{Document, Kind, Limits, Tree, Value};
use vesta::primitive::{JsonForm, Primitive, check};

#[test]
fn published_values() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/primitives/primitive-values.dev.json");
    let Ok(bytes) = std::fs::read(path) else {
        crate::support::skipped(format_args!("{path} is missing"));
        return;
    };
    let cases = Tree::parse(&bytes).expect("the list of values is JSON");
    let mut wrong = Vec::new();
    let mut seen = 0;
    for case in cases.items() {
        let (kind, json) = (case.get("type").and_then(Tree::as_str), case.get("json").and_then(Tree::as_str));
        let (Some(kind), Some(json)) = (kind.and_then(Primitive::named), json) else {
            continue; // references are objects, and not for the lexical rules
        };
        if kind == Primitive::Xhtml && json == "\"\"" {
            continue; // called valid there; R4 narrative.html#rules wants content in the div
        }
        seen += 1;
        let valid = Document::parse(json.as_bytes(), &Limits::default()).is_ok_and(|d| legal(kind, d.root()));
        if case.get("valid") != Some(&Tree::Bool(valid)) {
            wrong.push((kind, json.to_owned(), valid));
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(seen > 90, "{seen}");
}

/// As the validator does: the kind of JSON value first, then the rule. Null stands for an absent value, which xhtml
/// cannot have, since it takes no extensions.
fn legal(kind: Primitive, value: Value<'_>) -> bool {
    let form = match value.kind() {
        Kind::Null => return kind != Primitive::Xhtml,
        Kind::Bool => JsonForm::Boolean,
        Kind::Number => JsonForm::Number,
        Kind::String => JsonForm::String,
        _ => return false,
    };
    let text = value.as_str().unwrap_or(value.raw().into());
    form == kind.json_form() && check(kind, &text).is_ok()
}
