//! Compares an answer with the answer that the published terminology tests expect: the order of lists does not count,
//! and `$…$` in the expected one stands for a pattern, a choice, or what need not be there.

use serde_json::{Map, Value, json};

/// Extensions that hold in R4 what later versions have elements for; the tests are written in later terms.
const PROPERTY: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property";
const PROPERTY_DEFINITION: &str = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.property";

/// The answer in the terms of the tests.
pub fn later(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(later).collect(),
        Value::Object(entries) => {
            let mut out: Map<String, Value> = entries.iter().map(|(k, v)| (k.clone(), later(v))).collect();
            let Some(Value::Array(extensions)) = out.get("extension").cloned() else { return Value::Object(out) };
            let (ours, rest): (Vec<Value>, Vec<Value>) =
                extensions.into_iter().partition(|e| e["url"] == PROPERTY || e["url"] == PROPERTY_DEFINITION);
            if !ours.is_empty() {
                let property = |e: &Value| {
                    let mut property = Map::new();
                    for part in e["extension"].as_array().into_iter().flatten() {
                        let Some((key, value)) = part.as_object().and_then(|p| p.iter().find(|(k, _)| *k != "url"))
                        else {
                            continue;
                        };
                        match part["url"].as_str() {
                            Some("value") => property.insert(key.clone(), value.clone()),
                            Some(name) => property.insert(name.to_owned(), value.clone()),
                            None => None,
                        };
                    }
                    Value::Object(property)
                };
                out.insert("property".into(), ours.iter().map(property).collect());
                out.remove("extension");
                if !rest.is_empty() {
                    out.insert("extension".into(), json!(rest));
                }
            }
            Value::Object(out)
        }
        other => other.clone(),
    }
}

/// What is different, with its path; none where nothing is.
pub fn difference(expected: &Value, actual: &Value, path: &str) -> Option<String> {
    match (expected, actual) {
        (Value::Object(e), Value::Object(a)) => {
            let optional: Vec<&str> = e
                .get("$optional-properties$")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let more = e.get("$optional").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            // Some tests want `location` beside `expression` and some do not: they say the same.
            let optional: Vec<&str> = optional.into_iter().chain(more).chain(["location"]).collect();
            for (key, value) in e.iter().filter(|(k, _)| !k.starts_with('$')) {
                match a.get(key) {
                    Some(found) => {
                        if let Some(difference) = difference(value, found, &format!("{path}.{key}")) {
                            return Some(difference);
                        }
                    }
                    None if optional.contains(&key.as_str()) => {}
                    // A list of what need not be there need not be there.
                    None if value.as_array().is_some_and(|v| v.iter().all(is_optional)) => {}
                    None => return Some(format!("{path}.{key} is missing: {value}")),
                }
            }
            let extra = a.iter().find(|(k, _)| !e.contains_key(*k) && !optional.contains(&k.as_str()));
            extra.map(|(key, value)| format!("{path}.{key} is too much: {value}"))
        }
        (Value::Array(e), Value::Array(a)) => {
            let mut left: Vec<&Value> = a.iter().collect();
            let mut missing = Vec::new();
            for item in e {
                match left.iter().position(|found| difference(item, found, path).is_none()) {
                    Some(i) => drop(left.remove(i)),
                    None if is_optional(item) => {}
                    None => missing.push(item),
                }
            }
            match (missing.as_slice(), left.as_slice()) {
                ([], []) => None,
                ([one], [other]) => difference(one, other, &format!("{path}[]")),
                ([one, ..], left) => Some(format!("{path}[] is missing: {one} among {left:?}")),
                ([], [one, ..]) => Some(format!("{path}[] is too much: {one}")),
            }
        }
        (Value::String(e), Value::String(a)) if e.starts_with('$') && e.ends_with('$') => {
            (!fits(e, a)).then(|| format!("{path}: {a:?} does not fit {e:?}"))
        }
        (Value::String(e), Value::String(a)) if e.ends_with("|$version$") => {
            let url = e.trim_end_matches("$version$");
            (!a.starts_with(url)).then(|| format!("{path}: {a:?} does not fit {e:?}"))
        }
        (Value::Number(e), Value::Number(a)) if e.as_f64() == a.as_f64() => None,
        (e, a) => (e != a).then(|| format!("{path}: {a} is not {e}")),
    }
}

fn is_optional(item: &Value) -> bool {
    item.get("$optional$").is_some()
}

fn fits(pattern: &str, text: &str) -> bool {
    let inner = pattern.trim_matches('$');
    match inner.split_once(':') {
        Some(("choice", choices)) => choices.split('|').any(|c| c == text),
        Some(("fragments", fragments)) => fragments.split('|').all(|f| text.contains(f)),
        Some(("external", rest)) => rest.split_once(':').is_none_or(|(_, words)| text.contains(words)),
        _ => !text.is_empty(),
    }
}
