//! JSON Schemas (draft 2020-12), one for each resource type and one that they share for the data types, made from the
//! element tables. They say names, types, lists, cardinality, patterns of primitives and codes of complete required
//! bindings, and that a choice has one type at most. They do not say that a mandatory choice is there, what resource
//! lies in a resource, and nothing of invariants: `validation` judges those.

use super::package::Package;
use crate::definitions::model::{BindingStrength, Definitions, Element, ElementType, Structure, StructureKind};
use crate::primitive::Primitive;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const VALUE_SETS: &str = "http://hl7.org/fhir/ValueSet/";
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The file of the data types.
pub const SHARED: &str = "datatypes.json";

/// File names and texts, and a list of them for the program.
pub fn schemas(package: &Package, definitions: &Definitions) -> Vec<(String, String)> {
    let mut files = vec![(SHARED.to_owned(), shared(package, definitions))];
    for id in &definitions.resources {
        let resource = definitions.structure(*id);
        files.push((format!("{}.json", resource.name), of_resource(resource, definitions)));
    }
    let mut list = String::from("[\n");
    for (name, _) in &files {
        let stem = name.trim_end_matches(".json");
        list.push_str(&format!("    (\"{stem}\", include_str!(\"{name}\")),\n"));
    }
    list.push_str("]\n");
    files.push(("files.rs".to_owned(), list));
    files
}

/// The schema of one resource type, its backbone elements in `$defs`.
fn of_resource(resource: &Structure, definitions: &Definitions) -> String {
    let mut schema = Map::from_iter([("$schema".to_owned(), json!(DIALECT))]);
    schema.extend(object(resource, definitions, "datatypes.json#/$defs/"));
    let mut defs = Map::new();
    for part in parts(&resource.name, definitions) {
        defs.insert(part.name.to_string(), Value::Object(object(part, definitions, "datatypes.json#/$defs/")));
    }
    if !defs.is_empty() {
        schema.insert("$defs".into(), Value::Object(defs));
    }
    print(&Value::Object(schema))
}

/// The schema of the data types, primitives and value sets.
fn shared(package: &Package, definitions: &Definitions) -> String {
    let mut defs = Map::new();
    for (name, schema) in primitives(package) {
        defs.insert(format!("{name}-list"), list(&format!("#/$defs/{name}")));
        defs.insert(name.to_owned(), schema);
    }
    for structure in &definitions.structures {
        let root = structure.name.split('.').next().and_then(|name| definitions.type_named(name));
        if root.is_some_and(|root| definitions.structure(root).kind == StructureKind::Complex) {
            defs.insert(structure.name.to_string(), Value::Object(object(structure, definitions, "#/$defs/")));
        }
    }
    defs.insert("Element-list".into(), list("#/$defs/Element"));
    let names: Vec<&str> = definitions.resources.iter().map(|id| definitions.name(*id)).collect();
    let kind = json!({"resourceType": {"enum": names}});
    defs.insert("Resource".into(), json!({"type": "object", "properties": kind, "required": ["resourceType"]}));
    for (name, codes) in enumerations(definitions) {
        defs.insert(format!("{name}-list"), list(&format!("#/$defs/{name}")));
        defs.insert(name, json!({"type": "string", "enum": codes}));
    }
    defs.sort_keys();
    print(&json!({"$schema": DIALECT, "$defs": defs}))
}

/// A repeated primitive: `null` stands where a value has only an extension.
fn list(reference: &str) -> Value {
    json!({"type": "array", "minItems": 1, "items": {"anyOf": [{"$ref": reference}, {"type": "null"}]}})
}

fn primitives(package: &Package) -> Vec<(&'static str, Value)> {
    let text = |pattern: &str| json!({"type": "string", "pattern": format!("^(?:{pattern})$")});
    let mut all = vec![
        ("boolean", json!({"type": "boolean"})),
        ("decimal", json!({"type": "number"})),
        ("integer", json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX})),
        ("unsignedInt", json!({"type": "integer", "minimum": 0, "maximum": i32::MAX})),
        ("positiveInt", json!({"type": "integer", "minimum": 1, "maximum": i32::MAX})),
        ("xhtml", json!({"type": "string", "minLength": 1})),
        // The patterns of the package for these do not say what is meant: `\S` leaves out no control characters but
        // the no-break space, that of uri allows no characters at all, and that of base64 can take exponential time.
        ("string", text(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]+")),
        ("markdown", text(r"[^\x00-\x08\x0b\x0c\x0e-\x1f]+")),
        ("uri", text(r"\S+")),
        ("url", text(r"\S+")),
        ("canonical", text(r"\S+")),
        ("base64Binary", text(r"[0-9a-zA-Z+/=\s]+")),
    ];
    for name in ["code", "id", "oid", "uuid", "date", "dateTime", "instant", "time"] {
        all.push((name, text(package.pattern(name).unwrap_or(".+"))));
    }
    all
}

/// The codes of complete value sets that primitives are bound to, by the name that [`reference`] gives.
fn enumerations(definitions: &Definitions) -> Vec<(String, BTreeSet<&str>)> {
    let mut names = BTreeSet::new();
    for element in definitions.structures.iter().flat_map(|s| &s.elements) {
        names.extend(enumeration(element, definitions));
    }
    let codes = |name: &str| definitions.value_sets.get(format!("{VALUE_SETS}{name}").as_str()).map(|v| &v.codes);
    let entry = |name: &str| {
        let codes = codes(name).into_iter().flat_map(|codes| codes.keys());
        (format!("codes-{name}"), codes.map(|c| &**c).collect())
    };
    names.into_iter().map(entry).collect()
}

/// The last part of the canonical of the value set whose codes are all that a primitive can be.
fn enumeration<'d>(element: &'d Element, definitions: &Definitions) -> Option<&'d str> {
    let binding = element.binding.as_ref().filter(|b| b.strength == BindingStrength::Required)?;
    let complete = definitions.value_sets.get(&binding.value_set).is_some_and(|v| v.complete);
    let primitive = matches!(element.kind, ElementType::Primitive(_));
    binding.value_set.strip_prefix(VALUE_SETS).filter(|_| complete && primitive)
}

/// The backbone elements of a structure.
fn parts<'d>(name: &str, definitions: &'d Definitions) -> impl Iterator<Item = &'d Structure> {
    let prefix = format!("{name}.");
    definitions.structures.iter().filter(move |s| s.name.starts_with(&prefix))
}

fn object(structure: &Structure, definitions: &Definitions, types: &str) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut conditions = Vec::new();
    let mut required = Vec::new();
    if structure.kind == StructureKind::Resource {
        properties.insert("resourceType".into(), json!({"const": &*structure.name}));
        required.push("resourceType");
    }
    for element in &structure.elements {
        let extensible =
            matches!(element.kind, ElementType::Primitive(p) if p != Primitive::Xhtml) && !element.attribute;
        properties.insert(element.name.to_string(), property(element, definitions, types));
        if extensible {
            let suffix = if element.many { "-list" } else { "" };
            properties.insert(format!("_{}", element.name), json!({"$ref": format!("{types}Element{suffix}")}));
        }
        match (element.min > 0, extensible) {
            (true, false) => required.push(&*element.name),
            (true, true) => {
                // A primitive that must be there may have an extension in place of its value.
                let other = format!("_{}", element.name);
                conditions.push(json!({"anyOf": [{"required": [&*element.name]}, {"required": [other]}]}));
            }
            _ => {}
        }
    }
    conditions.extend((0..structure.choices.len()).map(|choice| one_at_most(structure, choice)));
    let mut schema = Map::from_iter([("type".to_owned(), json!("object")), ("properties".into(), properties.into())]);
    schema.insert("additionalProperties".into(), json!(false));
    if !required.is_empty() {
        schema.insert("required".into(), json!(required));
    }
    if !conditions.is_empty() {
        schema.insert("allOf".into(), json!(conditions));
    }
    schema
}

/// Either one of the types of a choice, or none.
fn one_at_most(structure: &Structure, choice: usize) -> Value {
    let types = structure.elements.iter().filter(|e| e.choice.map(usize::from) == Some(choice)).map(|e| &*e.name);
    let none: Map<String, Value> = types.clone().map(|name| (name.to_owned(), json!(false))).collect();
    let mut cases: Vec<Value> = types.map(|name| json!({"required": [name]})).collect();
    cases.push(json!({"properties": none}));
    json!({"oneOf": cases})
}

fn property(element: &Element, definitions: &Definitions, types: &str) -> Value {
    let reference = match element.kind {
        ElementType::Resource => format!("{types}Resource"),
        ElementType::Complex(id) => {
            let structure = definitions.structure(id);
            let types = if structure.kind == StructureKind::Backbone { "#/$defs/" } else { types };
            format!("{types}{}", structure.name)
        }
        ElementType::Primitive(_) => {
            let suffix = if element.many { "-list" } else { "" };
            let name = match enumeration(element, definitions) {
                Some(name) => format!("codes-{name}"),
                None => element.type_name.to_string(),
            };
            return json!({"$ref": format!("{types}{name}{suffix}")});
        }
    };
    match element.many {
        true => json!({"type": "array", "minItems": 1, "items": {"$ref": reference}}),
        false => json!({"$ref": reference}),
    }
}

/// A schema as text: one line for each property and each definition, so that differences can be read.
fn print(schema: &Value) -> String {
    let mut text = String::new();
    lines(schema, true, &mut text);
    text.push('\n');
    text
}

/// `schema` says whether the value is a schema (its `properties` and `$defs` are broken into lines).
fn lines(value: &Value, schema: bool, text: &mut String) {
    let Value::Object(members) = value else {
        text.push_str(&value.to_string());
        return;
    };
    text.push('{');
    for (i, (name, member)) in members.iter().enumerate() {
        text.push_str(if i > 0 { "," } else { "" });
        let broken = schema && (name == "properties" || name == "$defs");
        if !schema {
            text.push('\n');
        }
        text.push_str(&Value::String(name.clone()).to_string());
        text.push(':');
        match (broken, schema) {
            (true, _) => lines(member, false, text),
            (false, false) if member.get("properties").is_some() => lines(member, true, text),
            _ => text.push_str(&member.to_string()),
        }
    }
    text.push('}');
}
