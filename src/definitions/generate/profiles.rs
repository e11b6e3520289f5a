//! The table of profiles and extensions that the specification itself defines: their differentials, as far as they
//! say what is legal. No prose.

use super::package::Package;
use serde_json::{Map, Value};
use std::fmt::Write;

/// What is kept of a StructureDefinition.
const HEAD: [&str; 9] =
    ["resourceType", "url", "version", "name", "kind", "type", "baseDefinition", "derivation", "contextInvariant"];

/// What is kept of an element beside its fixed, pattern, minimal and maximal values.
const ELEMENT: [&str; 8] = ["id", "path", "sliceName", "min", "max", "contentReference", "isModifier", "maxLength"];

/// One line for each: canonical, type, and a StructureDefinition with a differential.
pub fn profiles(package: &Package) -> String {
    let mut table = String::new();
    for (url, definition) in &package.constraints {
        let mut out = kept(definition, &HEAD);
        if let Some(contexts) = definition.get("context") {
            out.insert("context".into(), each(contexts, |c| Value::Object(kept(c, &["type", "expression"]))));
        }
        let elements = definition.pointer("/differential/element").unwrap_or(&Value::Null);
        let mut differential = Map::new();
        differential.insert("element".into(), each(elements, |e| Value::Object(element(e))));
        out.insert("differential".into(), Value::Object(differential));
        let kind = definition.get("type").and_then(Value::as_str).unwrap_or_default();
        let _ = writeln!(table, "{url}\t{kind}\t{}", Value::Object(out));
    }
    table
}

fn kept(of: &Value, names: &[&str]) -> Map<String, Value> {
    let entries = names.iter().filter_map(|name| Some(((*name).to_owned(), of.get(*name)?.clone())));
    entries.collect()
}

fn each(list: &Value, map: impl Fn(&Value) -> Value) -> Value {
    Value::Array(list.as_array().into_iter().flatten().map(map).collect())
}

fn element(of: &Value) -> Map<String, Value> {
    let mut out = kept(of, &ELEMENT);
    for (name, value) in of.as_object().into_iter().flatten() {
        if ["fixed", "pattern", "minValue", "maxValue"].iter().any(|p| name.starts_with(p)) {
            out.insert(name.clone(), value.clone());
        }
    }
    if let Some(slicing) = of.get("slicing") {
        let mut kept_slicing = kept(slicing, &["ordered", "rules"]);
        let discriminators = slicing.get("discriminator").unwrap_or(&Value::Null);
        kept_slicing
            .insert("discriminator".into(), each(discriminators, |d| Value::Object(kept(d, &["type", "path"]))));
        out.insert("slicing".into(), Value::Object(kept_slicing));
    }
    if let Some(types) = of.get("type") {
        let kind = |t: &Value| Value::Object(kept(t, &["code", "profile", "targetProfile"]));
        out.insert("type".into(), each(types, kind));
    }
    if let Some(constraints) = of.get("constraint") {
        out.insert(
            "constraint".into(),
            each(constraints, |c| Value::Object(kept(c, &["key", "severity", "expression"]))),
        );
    }
    if let Some(binding) = of.get("binding") {
        const MAXIMUM: &str = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet";
        let mut bound = kept(binding, &["strength", "valueSet"]);
        let extensions = binding.get("extension").and_then(Value::as_array);
        let most: Vec<Value> = extensions
            .into_iter()
            .flatten()
            .filter(|e| e.get("url").and_then(Value::as_str) == Some(MAXIMUM))
            .map(|e| Value::Object(kept(e, &["url", "valueCanonical"])))
            .collect();
        if !most.is_empty() {
            bound.insert("extension".into(), Value::Array(most));
        }
        out.insert("binding".into(), Value::Object(bound));
    }
    out
}
