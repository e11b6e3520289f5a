//! The data has every element that US Core marks as to be supported, and the server gives it back.

use super::SERVER;
use serde_json::Value;
use std::collections::BTreeMap;

/// By profile: the elements, as paths below the resource.
const TABLE: &str = include_str!("../data/us-core-must-support.txt");

/// Whether a resource has a value at a path. `value[x]` is of any type, `extension(x)` an extension whose url ends so.
fn has(value: &Value, path: &[&str]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    let Some(object) = value.as_object() else { return false };
    let inside = |name: &str, found: &dyn Fn(&Value) -> bool| {
        // The extensions of a primitive stand beside it.
        [object.get(name), object.get(&format!("_{name}"))].into_iter().flatten().any(|value| match value.as_array() {
            Some(items) => items.iter().any(found),
            None => found(value),
        })
    };
    if let Some(name) = step.strip_prefix("extension(").and_then(|name| name.strip_suffix(')')) {
        let is = |extension: &Value| extension["url"].as_str().is_some_and(|url| url.rsplit('/').next() == Some(name));
        return inside("extension", &|extension| is(extension) && has(extension, rest));
    }
    match step.strip_suffix("[x]") {
        Some(stem) => object.keys().any(|key| {
            let typed = key.strip_prefix(stem).is_some_and(|kind| kind.starts_with(char::is_uppercase));
            typed && inside(key, &|value| has(value, rest))
        }),
        None => inside(step, &|value| has(value, rest)),
    }
}

/// What the server has, by profile.
fn stored() -> BTreeMap<String, Vec<Value>> {
    let mut by_profile: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let page = SERVER.get("?_profile:missing=false&_count=1000").is(200).json();
    for entry in page["entry"].as_array().expect("entries") {
        for profile in entry["resource"]["meta"]["profile"].as_array().expect("profiles") {
            let name = profile.as_str().expect("a profile").rsplit('/').next().expect("a name");
            by_profile.entry(name.to_owned()).or_default().push(entry["resource"].clone());
        }
    }
    by_profile
}

#[test]
fn every_element_to_be_supported_is_in_the_data_and_comes_back() {
    let stored = stored();
    let (mut profiles, mut elements, mut missing) = (0, 0, Vec::new());
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let (profile, paths) = line.split_once(": ").expect("a profile and its elements");
        let resources = stored.get(profile).map(Vec::as_slice).unwrap_or_default();
        profiles += 1;
        for path in paths.split(' ') {
            elements += 1;
            let steps: Vec<_> = path.split('.').collect();
            if !resources.iter().any(|resource| has(resource, &steps)) {
                missing.push(format!("{profile}: {path}"));
            }
        }
    }
    println!("{elements} elements of {profiles} profiles");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    assert!(profiles >= 50 && elements > 600, "{elements} elements of {profiles} profiles");
}
