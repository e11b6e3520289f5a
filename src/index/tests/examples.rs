//! Every search parameter tried on the examples of the specification: an example that has a value is found by it, and one
//! that has only other values is not. Parameters without an example are listed in `without-example.txt`
//! (`VESTA_BLESS=1` writes it).

use super::super::extract::branches;
use super::super::{Alone, Extractor, Terms};
use super::{BASE, condition};
use crate::definitions::{Definitions, SearchKind, SearchParameter, TypeId};
use crate::fhirpath::{Found, Plan, Start};
use crate::json::{Document, Limits, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

fn text(value: Value<'_>, key: &str) -> Option<String> {
    Some(value.get(key)?.as_str()?.into_owned()).filter(|text| !text.is_empty())
}

fn items<'d>(value: Value<'d>, key: &str) -> Vec<Value<'d>> {
    value.get(key).into_iter().flat_map(Value::each).collect()
}

fn coded(value: Value<'_>, code: &str) -> Option<String> {
    let code = text(value, code)?;
    Some(text(value, "system").map_or(code.clone(), |system| format!("{system}|{code}")))
        .filter(|t| !code.contains('|') && !t.is_empty())
}

/// What a search for a value would be written as; the forms that a test can write.
fn written(kind: SearchKind, type_name: &str, value: Value<'_>) -> Vec<String> {
    let plain = || value.as_str().map(|text| text.into_owned()).or_else(|| Some(value.raw().to_owned()));
    let all = match (kind, type_name) {
        (SearchKind::Token, "Coding") => vec![coded(value, "code")],
        (SearchKind::Token, "CodeableConcept") => {
            items(value, "coding").into_iter().map(|c| coded(c, "code")).collect()
        }
        (SearchKind::Token, "Identifier" | "ContactPoint") => vec![text(value, "value")],
        (SearchKind::String, "HumanName") => vec![text(value, "family")],
        (SearchKind::String, "Address") => vec![text(value, "city"), text(value, "state")],
        (SearchKind::String, "CodeableConcept") => vec![text(value, "text")],
        (SearchKind::Date, "Period") => {
            vec![text(value, "start").map(|t| format!("ge{t}")), text(value, "end").map(|t| format!("le{t}"))]
        }
        (SearchKind::Date, "Timing") => {
            items(value, "event").into_iter().map(|e| Some(format!("ge{}", e.as_str()?))).collect()
        }
        (SearchKind::Quantity, "Money") => vec![value.get("value").map(|v| v.raw().to_owned())],
        (SearchKind::Quantity | SearchKind::Number, "Range") => {
            vec![value.get("low").and_then(|low| Some(format!("ge{}", low.get("value")?.raw())))]
        }
        (SearchKind::Quantity, _) if value.get("value").is_some() => vec![value.get("value").map(|number| {
            let unit = text(value, "system").zip(text(value, "code"));
            let prefix = if value.get("comparator").is_some() { "ap" } else { "" };
            unit.map_or(format!("{prefix}{}", number.raw()), |(system, code)| {
                format!("{prefix}{}|{system}|{code}", number.raw())
            })
        })],
        (SearchKind::Number, _) if value.get("value").is_some() => vec![value.get("value").map(|v| v.raw().to_owned())],
        (SearchKind::Reference, "Reference") => vec![text(value, "reference")],
        (SearchKind::Reference, "Resource") => {
            vec![text(value, "resourceType").zip(text(value, "id")).map(|(t, i)| format!("{t}/{i}"))]
        }
        // A text in the place of a time is no date.
        (SearchKind::Special, _) | (SearchKind::Date, "string") => Vec::new(),
        // A canonical that is only a word is not what a search would take it for.
        (SearchKind::Reference, _) => vec![plain().filter(|text| text.contains(['/', ':']))],
        (_, name) if name.starts_with(char::is_lowercase) => vec![plain()],
        _ => Vec::new(),
    };
    let told = |t: &String| !t.is_empty() && !t.starts_with('#') && !t.contains('?') && !t.contains('\n');
    all.into_iter().flatten().filter(told).collect()
}

/// The values that a resource has under a parameter, as they are searched for.
fn values(definitions: &Definitions, kind: TypeId, p: &SearchParameter, resource: Value<'_>) -> Vec<String> {
    if p.kind == SearchKind::Composite {
        let parts: Vec<Vec<String>> = p
            .components
            .iter()
            .filter_map(|c| definitions.search_parameter_by_url(&c.definition))
            .map(|c| values(definitions, kind, c, resource))
            .collect();
        let mut all = vec![String::new()];
        for part in parts {
            all = all
                .iter()
                .flat_map(|a| {
                    part.iter().take(12).map(move |b| if a.is_empty() { b.clone() } else { format!("{a}${b}") })
                })
                .take(400)
                .collect();
        }
        return all;
    }
    let Ok(ways) = branches(definitions, Start { resource: kind, context: None }, &p.expression) else {
        return Vec::new();
    };
    let mut plan = Plan::default();
    for way in &ways {
        plan.add(way, way.type_name.clone());
    }
    let mut found = Vec::new();
    plan.walk(resource, &mut |type_name, value| match value {
        Found::Value(value) => found.extend(written(p.kind, type_name, value)),
        Found::Boolean(truth) => found.push(truth.to_string()),
    });
    found
}

struct Example {
    text: String,
    terms: Terms,
}

fn examples(definitions: &Definitions, extractor: &Extractor, path: &Path) -> BTreeMap<TypeId, Vec<Example>> {
    let mut reader = zstd::Decoder::new(std::fs::File::open(path).expect("a file")).expect("zstd");
    reader.window_log_max(27).expect("zstd");
    let mut all: BTreeMap<TypeId, Vec<Example>> = BTreeMap::new();
    for entry in tar::Archive::new(reader).entries().expect("tar") {
        let mut entry = entry.expect("tar");
        if entry.path().expect("path").extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("tar");
        let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
        let name = document.root().get("resourceType").and_then(|name| name.as_str()).expect("a type");
        let kind = definitions.resource(&name).expect("a type");
        let terms = extractor.extract(kind, document.root());
        drop(document);
        all.entry(kind).or_default().push(Example { text, terms });
    }
    all
}

#[test]
fn every_parameter_finds_an_example_by_its_value_and_not_by_another() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/r4-examples/r4-examples-dev.tar.zst");
    if !path.exists() {
        crate::base::skipped(format_args!("{} is missing", path.display()));
        return;
    }
    let definitions = Definitions::core();
    let extractor = Extractor::new(definitions.clone(), vec![BASE.to_owned()]);
    let examples = examples(&definitions, &extractor, &path);
    let (mut tried, mut found, mut told_apart) = (0, 0, 0);
    let mut missed = Vec::new();
    let mut without = BTreeSet::new();
    let mut all: BTreeSet<u16> = BTreeSet::new();
    let mut with: BTreeSet<u16> = BTreeSet::new();
    for kind in &definitions.resources {
        let own = examples.get(kind).map(Vec::as_slice).unwrap_or_default();
        let documents: Vec<_> =
            own.iter().map(|e| Document::parse(e.text.as_bytes(), &Limits::default()).expect("JSON")).collect();
        for p in definitions.search_parameters_of(*kind) {
            if p.expression.is_empty() || matches!(&*p.code, "_id" | "_lastUpdated") || p.kind == SearchKind::Special {
                continue;
            }
            all.insert(p.number);
            let of: Vec<Vec<String>> = documents.iter().map(|d| values(&definitions, *kind, p, d.root())).collect();
            if of.iter().all(Vec::is_empty) {
                continue;
            }
            tried += 1;
            let matches = |value: &str, example: &Example| condition(p, value).matches(*kind, &example.terms, &Alone);
            let mut hit = None;
            'search: for (number, (values, example)) in of.iter().zip(own).enumerate() {
                for value in values {
                    // Composites are guessed from their parts: one guess has to be right.
                    if matches(value, example) {
                        hit = Some((number, value.clone()));
                        break 'search;
                    }
                    if p.kind != SearchKind::Composite {
                        missed.push(format!(
                            "{}?{}={value} does not find its own example",
                            definitions.name(*kind),
                            p.code
                        ));
                        break 'search;
                    }
                }
            }
            let Some((number, value)) = hit else {
                if p.kind == SearchKind::Composite {
                    tried -= 1;
                }
                continue;
            };
            found += 1;
            with.insert(p.number);
            // One that has a value, but not this, is not found.
            let bare = |text: &str| text.trim_start_matches(['g', 'l', 'e', 'a', 'p']).to_owned();
            let ordered = value.starts_with("ge") || value.starts_with("le") || value.starts_with("ap");
            let other = of.iter().enumerate().find(|(n, values)| {
                *n != number
                    && !values.is_empty()
                    && !ordered
                    && !values.iter().any(|v| {
                        bare(v).starts_with(&*value)
                            || value.starts_with(&bare(v))
                            || v.rsplit('|').next() == value.rsplit('|').next()
                            || v.to_lowercase().starts_with(&value.to_lowercase())
                    })
            });
            if let Some((n, values)) = other {
                told_apart += 1;
                if matches(&value, &own[n]) && p.kind != SearchKind::String && p.kind != SearchKind::Date {
                    missed.push(format!(
                        "{}?{}={value} finds an example that has {values:?}",
                        definitions.name(*kind),
                        p.code
                    ));
                }
            }
        }
    }
    for number in all.difference(&with) {
        without.insert(definitions.search_parameters[usize::from(*number)].url.to_string());
    }
    println!(
        "{} parameters, {} with an example; on types: {tried} tried, {found} found, {told_apart} told apart",
        all.len(),
        with.len()
    );
    assert!(missed.is_empty(), "{} wrong:\n{}", missed.len(), missed.join("\n"));
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/index/tests/without-example.txt");
    let text = without.iter().map(|url| format!("{url}\n")).collect::<String>();
    if std::env::var_os("VESTA_BLESS").is_some() {
        std::fs::write(&list, text).expect("written");
        return;
    }
    assert_eq!(std::fs::read_to_string(&list).unwrap_or_default(), text, "the parameters without an example");
}
