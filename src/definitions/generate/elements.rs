//! The tables of elements and invariants, from the snapshots of the structure definitions.

use super::package::{Constraint, ElementDefinition, Package, StructureDefinition, TypeReference};
use super::{Summary, field, tail};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

const VALUE_SETS: &str = "http://hl7.org/fhir/ValueSet/";
const FHIR_TYPE: &str = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type";

/// The element table. A structure stands after the one that it inherits from.
pub fn elements(package: &Package, summary: &mut Summary) -> Result<String, String> {
    let open = open_types(package)?;
    let mut table = format!("*\t{open}\n");
    for definition in ordered(package)? {
        summary.resources += usize::from(kind(definition) == 'R');
        for (path, parent) in structures(definition)? {
            summary.structures += 1;
            let letter = if path.contains('.') { 'B' } else { kind(definition) };
            let _ = writeln!(table, "{path}\t{letter}\t{parent}");
            let base = package.structure(&parent).map(|p| children(p, &p.name)).unwrap_or_default();
            for element in children(definition, &path) {
                let own = line(definition, element, &open)?;
                match base.iter().find(|b| last(&b.path) == last(&element.path)) {
                    None => {
                        summary.elements += 1;
                        table.push_str(&own);
                    }
                    Some(inherited) if line(definition, inherited, &open)? == own => {}
                    Some(_) => return Err(format!("{} is not as it was inherited", element.path)),
                }
            }
        }
    }
    Ok(table)
}

/// The invariants: on structures, and those that an element has beyond its type.
pub fn invariants(package: &Package, summary: &mut Summary) -> Result<String, String> {
    let mut rows = BTreeSet::new();
    for definition in ordered(package)? {
        let inherited = inherited_names(package, definition);
        for (path, parent) in structures(definition)? {
            let known = keys(package, &parent);
            for own in elements_of(definition).iter().filter(|e| e.path == path) {
                rows.extend(rows_of(&path, "", &own.constraint, &known));
            }
            for element in children(definition, &path) {
                let name = last(&element.path);
                if inherited.contains(name) && !path.contains('.') || is_structure(definition, &element.path) {
                    continue;
                }
                let mut known = keys(package, "Element");
                for kind in &element.types {
                    known.extend(keys(package, &type_name(element, kind)));
                }
                if let Some(reference) = &element.content_reference {
                    let target = elements_of(definition).iter().find(|e| Some(&*e.path) == reference.strip_prefix('#'));
                    known.extend(target.into_iter().flat_map(|t| t.constraint.iter().map(|c| c.key.as_str())));
                }
                rows.extend(rows_of(&path, name, &element.constraint, &known));
                rows.extend(profile_rows(package, &path, element));
            }
        }
    }
    summary.invariants = rows.len();
    let mut table = String::new();
    for (path, element, key, severity, expression) in rows {
        let _ = writeln!(table, "{path}\t{element}\t{key}\t{severity}\t{expression}");
    }
    Ok(table)
}

type Row = (String, String, String, char, String);

fn rows_of(path: &str, element: &str, constraints: &[Constraint], known: &HashSet<&str>) -> Vec<Row> {
    let new = constraints.iter().filter(|c| !known.contains(c.key.as_str()));
    new.map(|c| {
        let severity = if c.severity == "error" { 'E' } else { 'W' };
        (path.into(), element.into(), c.key.clone(), severity, field(&c.expression))
    })
    .collect()
}

/// A type with a profile (`SimpleQuantity`) brings the invariants of that profile.
fn profile_rows(package: &Package, path: &str, element: &ElementDefinition) -> Vec<Row> {
    let mut rows = Vec::new();
    for kind in &element.types {
        for profile in kind.profile.iter().filter_map(|p| package.structure(p)) {
            let known = keys(package, &kind.code);
            let name = match last(&element.path).strip_suffix("[x]") {
                Some(stem) => format!("{stem}{}", capitalised(&kind.code)),
                None => last(&element.path).to_owned(),
            };
            let root = elements_of(profile).first();
            rows.extend(root.into_iter().flat_map(|r| rows_of(path, &name, &r.constraint, &known)));
        }
    }
    rows
}

/// Keys of the invariants that a type has, inherited ones included.
fn keys<'p>(package: &'p Package, name: &str) -> HashSet<&'p str> {
    let root = package.structure(name).and_then(|d| elements_of(d).first());
    root.into_iter().flat_map(|e| e.constraint.iter().map(|c| c.key.as_str())).collect()
}

/// The structures that a server needs: data types first, then resources; no profiles, logical models or primitives.
pub fn ordered(package: &Package) -> Result<Vec<&StructureDefinition>, String> {
    let wanted = |d: &&StructureDefinition| {
        d.derivation.as_deref() != Some("constraint") && (d.kind == "complex-type" || d.kind == "resource")
    };
    let mut definitions: Vec<_> = package.structures.values().filter(wanted).collect();
    definitions.sort_by_key(|d| (d.kind == "resource", &d.name));
    let mut done: Vec<&StructureDefinition> = Vec::new();
    while done.len() < definitions.len() {
        let before = done.len();
        for definition in &definitions {
            let ready = match &definition.base_definition {
                Some(base) => done.iter().any(|d| d.url == *base),
                None => true,
            };
            if ready && !done.iter().any(|d| d.url == definition.url) {
                done.push(definition);
            }
        }
        if done.len() == before {
            return Err("a structure is based on one that is not in the package".into());
        }
    }
    done.sort_by_key(|d| d.kind == "resource");
    Ok(done)
}

/// The structure itself and its backbone elements, each with the name of the type that it inherits from.
pub fn structures(definition: &StructureDefinition) -> Result<Vec<(String, String)>, String> {
    let base = definition.base_definition.as_deref().map_or("", tail);
    let mut all = vec![(definition.name.clone(), base.to_owned())];
    for element in elements_of(definition).iter().skip(1) {
        if is_structure(definition, &element.path) {
            match element.types.as_slice() {
                [kind] if kind.code == "BackboneElement" || kind.code == "Element" => {
                    all.push((element.path.clone(), kind.code.clone()));
                }
                _ => return Err(format!("{} has elements but is no backbone element", element.path)),
            }
        }
    }
    Ok(all)
}

fn elements_of(definition: &StructureDefinition) -> &[ElementDefinition] {
    definition.snapshot.as_ref().map_or(&[], |s| &s.element)
}

pub fn children<'d>(definition: &'d StructureDefinition, path: &str) -> Vec<&'d ElementDefinition> {
    let child = |e: &&ElementDefinition| e.path.rsplit_once('.').is_some_and(|(parent, _)| parent == path);
    elements_of(definition).iter().filter(child).collect()
}

fn is_structure(definition: &StructureDefinition, path: &str) -> bool {
    !children(definition, path).is_empty()
}

fn inherited_names<'p>(package: &'p Package, definition: &StructureDefinition) -> HashSet<&'p str> {
    let base = definition.base_definition.as_deref().and_then(|b| package.structure(b));
    base.into_iter().flat_map(|b| children(b, &b.name)).map(|e| last(&e.path)).collect()
}

fn kind(definition: &StructureDefinition) -> char {
    match (definition.kind.as_str(), definition.is_abstract) {
        ("resource", false) => 'R',
        ("resource", true) => 'A',
        _ => 'C',
    }
}

fn line(definition: &StructureDefinition, element: &ElementDefinition, open: &str) -> Result<String, String> {
    if !matches!(element.max.as_str(), "1" | "*") {
        return Err(format!("{}: at most {}", element.path, element.max));
    }
    let mut flags = String::new();
    for (set, letter) in [
        (element.is_summary, 'S'),
        (element.is_modifier, 'M'),
        (element.representation.iter().any(|r| r == "xmlAttr"), 'A'),
    ] {
        if set {
            flags.push(letter);
        }
    }
    let types = match &element.content_reference {
        Some(reference) => reference.clone(),
        None if is_structure(definition, &element.path) => format!("+{}", element.types[0].code),
        None => types_of(element, open),
    };
    let binding = element.binding.as_ref().and_then(|b| {
        let value_set = b.value_set.as_deref()?.split('|').next()?;
        let letter = match b.strength.as_str() {
            "required" => 'R',
            "extensible" => 'E',
            "preferred" => 'P',
            _ => 'X',
        };
        Some(format!("{letter}{}", value_set.strip_prefix(VALUE_SETS).unwrap_or(value_set)))
    });
    let name = last(&element.path);
    let line = format!("\t{name}\t{}{}\t{flags}\t{types}\t{}", element.min, element.max, binding.unwrap_or_default());
    Ok(line.trim_end().to_owned() + "\n")
}

fn types_of(element: &ElementDefinition, open: &str) -> String {
    let all: Vec<String> = element
        .types
        .iter()
        .map(|kind| {
            let targets: Vec<&str> = kind.target_profile.iter().map(|t| tail(t)).collect();
            match targets.is_empty() || targets.contains(&"Resource") {
                true => type_name(element, kind),
                false => format!("{}({})", type_name(element, kind), targets.join("|")),
            }
        })
        .collect();
    let text = all.join(" ");
    if text == open { "*".to_owned() } else { text }
}

/// The list of types of an open choice, as `Extension.value[x]` has it.
fn open_types(package: &Package) -> Result<String, String> {
    let extension = package.structure("Extension").ok_or("the package has no Extension")?;
    let value = children(extension, "Extension").into_iter().find(|e| last(&e.path) == "value[x]");
    Ok(types_of(value.ok_or("Extension has no value")?, ""))
}

/// The FHIR type: where the package names a FHIRPath system type, an extension says which one is meant.
/// That of the id of resources (which alone is no attribute) is `string` there, though the specification says `id`
/// (resource.html#id).
fn type_name(element: &ElementDefinition, kind: &TypeReference) -> String {
    if last(&element.path) == "id" && element.representation.is_empty() {
        return "id".to_owned();
    }
    let fhir = kind.extension.iter().find(|x| x.url == FHIR_TYPE).and_then(|x| x.value_url.clone());
    fhir.unwrap_or_else(|| kind.code.clone())
}

pub fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

pub fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|c| c.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
