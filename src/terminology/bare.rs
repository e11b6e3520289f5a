//! A value set cut down to what it takes from where: code systems with versions, codes, filters and the canonicals that
//! it imports. That is what another server has to know of it to answer about its codes; its texts stay here.

use super::library::Library;
use super::value_set::ConceptSet;
use super::{Rules, ValueSet};
use crate::json::Tree;
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Value sets that come along at most.
const MOST: usize = 50;

/// The value set, and behind it those that it imports, by whatever way, as far as they are in the library.
pub fn bare(library: &dyn Library, set: &ValueSet) -> Vec<Tree> {
    let mut all = vec![cut(set)];
    let mut seen = FxHashSet::from_iter([set.canonical()]);
    let mut open: Vec<Arc<ValueSet>> = imports(library, set);
    while let Some(other) = open.pop() {
        if all.len() > MOST {
            break;
        }
        if seen.insert(other.canonical()) {
            all.push(cut(&other));
            open.extend(imports(library, &other));
        }
    }
    all
}

fn imports(library: &dyn Library, set: &ValueSet) -> Vec<Arc<ValueSet>> {
    let rules = Rules::default();
    let sets = set.include.iter().chain(&set.exclude);
    sets.flat_map(|of| of.value_sets.iter().filter_map(|url| of.value_set(library, url, &rules).ok())).collect()
}

fn cut(set: &ValueSet) -> Tree {
    let mut compose = Tree::Object(Vec::new());
    if let Some(inactive) = set.inactive {
        compose.set("inactive", Tree::Bool(inactive));
    }
    for (name, sets) in [("include", &set.include), ("exclude", &set.exclude)] {
        if !sets.is_empty() {
            compose.set(name, Tree::Array(sets.iter().map(part).collect()));
        }
    }
    let mut bare = Tree::object([("resourceType", Tree::string("ValueSet")), ("status", Tree::string("active"))]);
    texts(&mut bare, &[("url", &set.url), ("version", &set.version)]);
    bare.set("compose", compose);
    bare
}

fn part(of: &ConceptSet) -> Tree {
    let mut part = Tree::Object(Vec::new());
    texts(&mut part, &[("system", &of.system), ("version", &of.version)]);
    let mut list = |name: &str, items: Vec<Tree>| {
        if !items.is_empty() {
            part.set(name, Tree::Array(items));
        }
    };
    list("concept", of.concepts.iter().map(|c| Tree::object([("code", Tree::string(&*c.code))])).collect());
    let filter = |f: &super::value_set::Filter| {
        Tree::object([
            ("property", Tree::string(&*f.property)),
            ("op", Tree::string(&*f.op)),
            ("value", Tree::string(&*f.value)),
        ])
    };
    list("filter", of.filters.iter().map(filter).collect());
    list("valueSet", of.value_sets.iter().map(|url| Tree::string(&**url)).collect());
    part
}

fn texts(tree: &mut Tree, texts: &[(&str, &str)]) {
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        tree.set(name, Tree::string(*text));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Shelf;
    use super::*;

    #[test]
    fn only_codes_systems_and_canonicals_are_left() {
        let set = |json: &str| Tree::parse(json.as_bytes()).expect("JSON");
        let first =
            set(r#"{"resourceType":"ValueSet","id":"1","url":"s:a","version":"2","title":"Secret","publisher":"We",
            "text":{"div":"Secret"},"extension":[{"url":"x","valueString":"Secret"}],"compose":{"inactive":false,
            "include":[{"system":"s:s","version":"7","concept":[{"code":"c","display":"Secret",
            "designation":[{"value":"Secret"}]}]},{"valueSet":["s:b|1"]}],
            "exclude":[{"system":"s:s","filter":[{"property":"concept","op":"is-a","value":"d"}]}]}}"#);
        let second = set(r#"{"resourceType":"ValueSet","url":"s:b","version":"1","compose":{"include":[
            {"system":"s:t"},{"valueSet":["s:a"]}]}}"#);
        let mut shelf = Shelf::default();
        shelf.add(&first);
        shelf.add(&second);
        let all: Vec<String> = bare(&shelf, &ValueSet::of(&first)).iter().map(Tree::to_json).collect();
        assert_eq!(
            all,
            [
                r#"{"resourceType":"ValueSet","status":"active","url":"s:a","version":"2","compose":{"inactive":false,"include":[{"system":"s:s","version":"7","concept":[{"code":"c"}]},{"valueSet":["s:b|1"]}],"exclude":[{"system":"s:s","filter":[{"property":"concept","op":"is-a","value":"d"}]}]}}"#,
                r#"{"resourceType":"ValueSet","status":"active","url":"s:b","version":"1","compose":{"include":[{"system":"s:t"},{"valueSet":["s:a"]}]}}"#,
            ]
        );
    }
}
