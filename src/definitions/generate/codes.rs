//! The code systems and value sets of the package with their facts only: codes, displays, properties, hierarchies, and
//! what value sets include. One JSON resource a line, sorted, compressed. Definitions, descriptions and designations are
//! left out.

use super::package::Package;
use crate::json::Tree;

/// How hard the table is compressed: it is written once and read often.
const LEVEL: i32 = 19;

/// Members that are kept of a CodeSystem or ValueSet.
const HEAD: [&str; 10] = [
    "resourceType",
    "url",
    "version",
    "name",
    "status",
    "experimental",
    "caseSensitive",
    "content",
    "supplements",
    "language",
];

/// A resource with its facts only; none where it is no terminology.
pub(super) fn facts(text: &[u8]) -> Option<(String, String)> {
    let resource = Tree::parse(text).ok()?;
    let kind = resource.get("resourceType")?.as_str()?;
    let mut kept = only(&resource, &HEAD);
    match kind {
        "CodeSystem" => {
            list(&mut kept, &resource, "property", |p| only(p, &["code", "uri", "type"]));
            list(&mut kept, &resource, "concept", concept);
        }
        "ValueSet" => {
            if let Some(compose) = resource.get("compose") {
                let mut short = only(compose, &["inactive"]);
                for key in ["include", "exclude"] {
                    list(&mut short, compose, key, include);
                }
                kept.set("compose", short);
            }
        }
        _ => return None,
    }
    Some((format!("{kind} {}", resource.get("url")?.as_str()?), kept.to_json()))
}

/// The table of all of them.
pub(super) fn table(package: &Package) -> Result<Vec<u8>, String> {
    let mut text = String::new();
    for line in package.terminology.values() {
        text.push_str(line);
        text.push('\n');
    }
    zstd::encode_all(text.as_bytes(), LEVEL).map_err(|e| e.to_string())
}

fn only(of: &Tree, keys: &[&str]) -> Tree {
    let member = |key: &&str| Some(((*key).to_owned(), of.get(key)?.clone()));
    Tree::Object(keys.iter().filter_map(member).collect())
}

fn list(kept: &mut Tree, of: &Tree, key: &str, short: fn(&Tree) -> Tree) {
    let items = of.get(key).map_or(&[][..], Tree::items);
    if !items.is_empty() {
        kept.set(key, Tree::Array(items.iter().map(short).collect()));
    }
}

fn concept(of: &Tree) -> Tree {
    let mut kept = only(of, &["code", "display"]);
    list(&mut kept, of, "property", property);
    list(&mut kept, of, "concept", concept);
    kept
}

fn property(of: &Tree) -> Tree {
    let Tree::Object(entries) = of else { return Tree::Null };
    Tree::Object(entries.iter().filter(|(key, _)| key == "code" || key.starts_with("value")).cloned().collect())
}

fn include(of: &Tree) -> Tree {
    let mut kept = only(of, &["system", "version", "filter", "valueSet"]);
    list(&mut kept, of, "concept", |c| only(c, &["code", "display"]));
    kept
}
