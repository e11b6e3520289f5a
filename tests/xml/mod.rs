//! XML both ways: official examples there and back, official XML inputs against their JSON, and what is refused where.

use std::io::Read;
use std::path::PathBuf;
use vesta::base::Failure;
use vesta::definitions::Definitions;
use vesta::json::{Document, Limits, Tree};
use vesta::xml::{from_json, to_json};

fn data(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is missing", path.display());
    None
}

fn written(json: &str) -> Result<String, Failure> {
    let document = Document::parse(json.as_bytes(), &Limits::default()).expect("JSON");
    from_json(document.root(), &*Definitions::core())
}

fn read(xml: &str) -> Result<String, Failure> {
    to_json(xml.as_bytes(), &*Definitions::core(), &Limits::default())
}

/// A tree in which the order of keys, and null slots at the end of arrays, make no difference.
fn settled(tree: Tree) -> Tree {
    match tree {
        Tree::Object(mut entries) => {
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Tree::Object(entries.into_iter().map(|(k, v)| (k, settled(v))).collect())
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

fn tree(json: &str) -> Tree {
    settled(Tree::parse(json.as_bytes()).expect("JSON"))
}

/// The first place where two trees differ.
fn difference(a: &Tree, b: &Tree, place: &str) -> Option<String> {
    match (a, b) {
        (Tree::Object(x), Tree::Object(y)) => {
            let keys = x.iter().chain(y).map(|(k, _)| k);
            keys.into_iter().find_map(|k| match (a.get(k), b.get(k)) {
                (Some(p), Some(q)) => difference(p, q, &format!("{place}.{k}")),
                (p, q) => Some(format!("{place}.{k}: {p:?} / {q:?}")),
            })
        }
        (Tree::Array(x), Tree::Array(y)) if x.len() == y.len() => {
            x.iter().zip(y).enumerate().find_map(|(i, (p, q))| difference(p, q, &format!("{place}[{i}]")))
        }
        _ if a == b => None,
        _ => Some(format!("{place}: {} / {}", a.to_json(), b.to_json())),
    }
}

#[test]
fn official_examples_there_and_back() {
    let Some(path) = data("r4-examples/r4-examples-dev.tar.zst") else {
        return;
    };
    let packed = std::fs::read(path).expect("readable");
    let mut archive = tar::Archive::new(zstd::Decoder::new(&packed[..]).expect("zstd"));
    let mut seen = 0;
    let mut wrong = Vec::new();
    for file in archive.entries().expect("tar") {
        let mut file = file.expect("tar");
        let name = file.path().expect("name").display().to_string();
        let mut json = String::new();
        file.read_to_string(&mut json).expect("UTF-8");
        let result = written(&json).and_then(|xml| read(&xml));
        match result {
            Ok(back) => wrong.extend(difference(&tree(&json), &tree(&back), &name)),
            Err(failure) => wrong.push(format!("{name}: {failure}")),
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{} of {seen}: {wrong:#?}", wrong.len());
    assert!(seen > 500, "{seen}");
}
