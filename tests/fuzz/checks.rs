//! What must hold of any input at all. Used by the mutation fuzzer beside this file and by the targets in `fuzz/`.

use std::sync::{Arc, OnceLock};
use vesta::definitions::{Definitions, TypeId};
use vesta::index::{Extractor, Terms};
use vesta::json::{Document, Kind, Limits, Tree, minify_into, pretty};
use vesta::search::{Handling, Options, Scope, encode, pairs, plan};
use vesta::validation::Validator;
use vesta::{patch, xml};

/// Two readers see the same JSON: what is accepted survives every way of writing it.
pub fn json(bytes: &[u8]) {
    let Ok(document) = Document::parse(bytes, &Limits::default()) else {
        return;
    };
    let tree = Tree::from(document.root());
    let mut small = String::new();
    minify_into(document.root(), &mut small);
    for text in [tree.to_json(), small, pretty(document.root())] {
        assert_eq!(Tree::parse(text.as_bytes()).as_ref(), Ok(&tree), "{text}");
    }
    assert!(serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok(), "another reader refuses it");
    resource(&document);
}

/// The rooms that take a document as it comes: XML, validation, terms of the index, patches.
fn resource(document: &Document<'_>) {
    static ROOMS: OnceLock<(Validator, Extractor)> = OnceLock::new();
    let definitions = Definitions::core();
    let (validator, extractor) = ROOMS.get_or_init(|| {
        (
            Validator::new(Definitions::core()),
            Extractor::new(Definitions::core(), vec!["http://localhost/fhir".to_owned()]),
        )
    });
    let root = document.root();
    if root.kind() != Kind::Object {
        return;
    }
    let kind = root.get("resourceType").and_then(|t| t.as_str()).and_then(|t| definitions.resource(&t));
    let issues = validator.validate(kind, root);
    if let Some(kind) = kind {
        let terms: Terms = extractor.extract(kind, root);
        assert!(terms.as_slice().is_sorted());
    }
    if let Ok(text) = xml::from_json(root, &*definitions) {
        let back = xml::to_json(text.as_bytes(), &*definitions, &Limits::default());
        // What is legal reads back the same.
        if !issues.iter().any(|i| i.is_error()) {
            let back = Tree::parse(back.expect("what was written").as_bytes()).expect("JSON");
            assert_eq!(settled(back), settled(Tree::from(root)), "{text}");
        }
    }
    let tree = Tree::from(root);
    for entry in root.entries() {
        let _ = patch::json_patch(&tree, entry.1);
        let _ = patch::merge_patch(&tree, entry.1);
    }
}

/// What is read from XML is JSON that is written as XML and read again without a difference.
pub fn xml(bytes: &[u8]) {
    let definitions = Definitions::core();
    let Ok(json) = xml::to_json(bytes, &*definitions, &Limits::default()) else {
        return;
    };
    let document = Document::parse(json.as_bytes(), &Limits::default()).expect("what was read is JSON");
    let text = xml::from_json(document.root(), &*definitions).expect("what was read can be written");
    let back = xml::to_json(text.as_bytes(), &*definitions, &Limits::default()).expect("and read again");
    assert_eq!(settled(Tree::parse(back.as_bytes()).expect("JSON")), settled(Tree::from(document.root())), "{text}");
    resource(&document);
}

/// A query string is planned or refused, and what was used of it gives the same plan again.
pub fn query(bytes: &[u8]) {
    static KINDS: OnceLock<(Arc<Definitions>, Vec<TypeId>)> = OnceLock::new();
    let (definitions, kinds) = KINDS.get_or_init(|| {
        let definitions = Definitions::core();
        let kinds =
            ["Patient", "Observation", "ValueSet"].iter().filter_map(|name| definitions.resource(name)).collect();
        (definitions, kinds)
    });
    let Some(parameters) = std::str::from_utf8(bytes).ok().and_then(|text| pairs(text).ok()) else {
        return;
    };
    let again = encode(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    assert_eq!(pairs(&again).ok().as_ref(), Some(&parameters));
    for scope in kinds.iter().map(|kind| Scope::Type(*kind)).chain([Scope::System]) {
        for handling in [Handling::Strict, Handling::Lenient] {
            let options = Options { handling, ..Options::default() };
            if let Ok(first) = plan(definitions, &scope, &parameters, &options) {
                let second = plan(definitions, &scope, &first.applied, &options).expect("what was used can be used");
                assert_eq!(first.condition, second.condition);
                assert_eq!(first.applied, second.applied);
            }
        }
    }
}

/// A tree in which the order of keys makes no difference, nor null slots at the end of arrays, nor empty arrays,
/// nor space around a narrative.
fn settled(tree: Tree) -> Tree {
    match tree {
        Tree::Object(entries) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(k, v)| (k, settled(v))).collect();
            entries.retain(|(_, v)| !matches!(v, Tree::Null) && *v != Tree::Array(Vec::new()));
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, value) in &mut entries {
                if let ("div", Tree::String(text)) = (key.as_str(), value) {
                    *text = text.trim().to_owned();
                }
            }
            Tree::Object(entries)
        }
        Tree::Array(items) => {
            let mut items: Vec<Tree> = items.into_iter().map(settled).collect();
            while items.last() == Some(&Tree::Null) {
                items.pop();
            }
            Tree::Array(items)
        }
        other => other,
    }
}
