//! Every search parameter tried on the examples of the specification: each example that has a value is found by it, and
//! one that has only other values is not. Parameters without an example are listed in `without-example.txt`, those whose
//! examples cannot be told apart for sure in `without-counter-example.txt` (`VESTA_BLESS=1` writes both).

use super::super::extract::branches;
use super::super::{Alone, Extractor, Terms};
use super::{BASE, condition};
use crate::definitions::{Definitions, SearchKind, SearchParameter, TypeId};
use crate::fhirpath::{Found, Plan, Start};
use crate::index::fold::fold;
use crate::json::{Document, Kind, Limits, Value};
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

/// All texts in a value.
fn texts(value: Value<'_>, found: &mut Vec<String>) {
    match value.kind() {
        Kind::String => found.extend(value.as_str().map(|text| text.into_owned())),
        Kind::Array => value.items().for_each(|item| texts(item, found)),
        Kind::Object => value.entries().for_each(|(_, part)| texts(part, found)),
        _ => {}
    }
}

/// The values that a resource has under a parameter.
#[derive(Default)]
struct Has {
    /// As they are searched for, as far as a test can write them.
    written: Vec<String>,
    /// Of strings: all texts that are looked at, or more.
    texts: Vec<String>,
    /// Whether there are values that a test cannot write.
    more: bool,
}

impl Has {
    fn add(&mut self, kind: SearchKind, type_name: &str, value: Found<'_>) {
        match value {
            Found::Value(value) => {
                let written = written(kind, type_name, value);
                self.more |= written.is_empty();
                self.written.extend(written);
                if kind == SearchKind::String {
                    texts(value, &mut self.texts);
                }
            }
            Found::Boolean(truth) => self.written.push(truth.to_string()),
        }
    }
}

fn values(definitions: &Definitions, kind: TypeId, p: &SearchParameter, resource: Value<'_>) -> Has {
    let mut has = Has::default();
    let start = Start { resource: kind, context: None };
    let Ok(ways) = branches(definitions, start, &p.expression) else { return has };
    if p.kind == SearchKind::Composite {
        for way in &ways {
            let mut repetitions = Plan::default();
            repetitions.add(way, ());
            let context = Start { resource: kind, context: Some(way) };
            repetitions.walk(resource, &mut |(), repetition| {
                if let Found::Value(repetition) = repetition {
                    combined(definitions, context, p, (resource, repetition), &mut has);
                }
            });
        }
        return has;
    }
    let mut plan = Plan::default();
    for way in &ways {
        plan.add(way, way.type_name.clone());
    }
    plan.walk(resource, &mut |type_name, value| has.add(p.kind, type_name, value));
    has
}

/// The values of a composite in one repetition: one of each component, where a test can write them.
fn combined(
    definitions: &Definitions,
    start: Start<'_>,
    p: &SearchParameter,
    (resource, repetition): (Value<'_>, Value<'_>),
    has: &mut Has,
) {
    let mut all = vec![String::new()];
    for component in &p.components {
        let definition = definitions.search_parameter_by_url(&component.definition).expect("a component");
        let mut part = Has::default();
        for way in branches(definitions, start, &component.expression).expect("an expression") {
            let mut plan = Plan::default();
            plan.add(&way, way.type_name.clone());
            let from = if way.from_resource { resource } else { repetition };
            plan.walk(from, &mut |type_name, value| part.add(definition.kind, type_name, value));
        }
        has.more |= part.more;
        let with = |before: &String| {
            let join = |one: &String| if before.is_empty() { one.clone() } else { format!("{before}${one}") };
            part.written.iter().take(4).map(join).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    has.written.extend(all);
}

/// Whether a resource with these values is surely not meant by a search for another value.
fn is_another(p: &SearchParameter, value: &str, has: &Has) -> bool {
    if has.written.is_empty() || has.more {
        return false;
    }
    let code = |text: &str| text.rsplit('|').next().unwrap_or_default().to_lowercase();
    let day = |text: &str| text.get(..10).map(str::to_owned);
    match p.kind {
        SearchKind::String => !has.texts.iter().any(|text| fold(text).starts_with(&*fold(value))),
        SearchKind::Composite => {
            let first = |text: &str| code(text.split('$').next().unwrap_or_default());
            has.written.iter().all(|other| first(other) != first(value))
        }
        SearchKind::Date => match value.strip_prefix("ge").or_else(|| value.strip_prefix("le")) {
            // Whole days apart, so that no time zone plays a part, and with an end on the side that counts.
            Some(bound) => {
                let (open, sign) = if value.starts_with("ge") { ("ge", -1) } else { ("le", 1) };
                let apart = |other: &String| {
                    let other = other.trim_start_matches("ge").trim_start_matches("le");
                    day(other).zip(day(bound)).is_some_and(
                        |(other, bound)| {
                            if sign < 0 { other < bound } else { other > bound }
                        },
                    )
                };
                let ends = has.written.iter().filter(|other| !other.starts_with(open)).count();
                let starts = has.written.iter().filter(|other| other.starts_with(open)).count();
                ends >= starts && ends > 0 && has.written.iter().all(apart)
            }
            None => has.written.iter().all(|other| {
                let plain = !other.starts_with("ge") && !other.starts_with("le");
                plain
                    && day(other).zip(day(value)).is_some_and(|(other, value)| {
                        // A day may begin on the one before.
                        other.get(..7) != value.get(..7)
                    })
            }),
        },
        SearchKind::Number | SearchKind::Quantity if value.starts_with(['g', 'a']) => false,
        _ => has.written.iter().all(|other| code(other) != code(value) && !code(other).starts_with(&code(value))),
    }
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
    let [mut all, mut with, mut apart]: [BTreeSet<u16>; 3] = Default::default();
    for kind in &definitions.resources {
        let own = examples.get(kind).map(Vec::as_slice).unwrap_or_default();
        let documents: Vec<_> =
            own.iter().map(|e| Document::parse(e.text.as_bytes(), &Limits::default()).expect("JSON")).collect();
        for p in definitions.search_parameters_of(*kind) {
            if p.expression.is_empty() || matches!(&*p.code, "_id" | "_lastUpdated") || p.kind == SearchKind::Special {
                continue;
            }
            all.insert(p.number);
            let of: Vec<Has> = documents.iter().map(|d| values(&definitions, *kind, p, d.root())).collect();
            let matches = |value: &str, example: &Example| condition(p, value).matches(*kind, &example.terms, &Alone);
            let name = format!("{}?{}", definitions.name(*kind), p.code);
            let mut told = false;
            tried += usize::from(of.iter().any(|has| !has.written.is_empty()));
            for (number, (has, example)) in of.iter().zip(own).enumerate() {
                let Some(value) = has.written.first() else { continue };
                with.insert(p.number);
                found += 1;
                if !matches(value, example) {
                    missed.push(format!("{name}={value} does not find its own example"));
                }
                // One that has a value, but not this, is not found.
                let other = of.iter().enumerate().find(|(n, other)| *n != number && is_another(p, value, other));
                if let Some((n, other)) = other {
                    told = true;
                    if matches(value, &own[n]) {
                        missed.push(format!("{name}={value} finds an example that has {:?}", other.written));
                    }
                }
            }
            if told {
                told_apart += 1;
                apart.insert(p.number);
            }
        }
    }
    println!(
        "{} parameters, {} with an example, {} with one of another value; on types: {tried} tried on {found} examples, \
         {told_apart} told apart",
        all.len(),
        with.len(),
        apart.len()
    );
    missed.truncate(100);
    assert!(missed.is_empty(), "{} wrong:\n{}", missed.len(), missed.join("\n"));
    let urls = |numbers: &mut dyn Iterator<Item = &u16>| -> BTreeSet<String> {
        numbers.map(|number| definitions.search_parameters[usize::from(*number)].url.to_string()).collect()
    };
    listed("without-example.txt", &urls(&mut all.difference(&with)));
    listed("without-counter-example.txt", &urls(&mut with.difference(&apart)));
}

/// Compares parameters with those in a file.
fn listed(file: &str, urls: &BTreeSet<String>) {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/index/tests").join(file);
    let text = urls.iter().map(|url| format!("{url}\n")).collect::<String>();
    if std::env::var_os("VESTA_BLESS").is_some() {
        std::fs::write(&list, text).expect("written");
        return;
    }
    assert_eq!(std::fs::read_to_string(&list).unwrap_or_default(), text, "{file}");
}
