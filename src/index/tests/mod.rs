//! Tests of the whole room: resources in, conditions over their terms out.

mod composite;
mod date;
mod examples;
mod hostile;
mod lead;
mod number;
mod official;
mod reference;
mod string;
mod token;

use super::criteria::{self, CompositePart, ReferenceMatch, StringMatch, SystemMatch, UnitMatch, UriMatch};
use super::{Alone, Comparator, Condition, Extracted, Extractor, Terms};
use crate::base::Timestamp;
use crate::definitions::{Definitions, SearchKind, SearchParameter, TypeId};
use crate::json::{Document, Limits};
use crate::primitive::{DateTime, Decimal, Reference};
use std::sync::OnceLock;

/// What `ap` measures the distance to: 2020-01-01.
const NOW: Timestamp = Timestamp(1_577_836_800_000_000);
const BASE: &str = "http://here/fhir";

fn extractor() -> &'static Extractor {
    static EXTRACTOR: OnceLock<Extractor> = OnceLock::new();
    EXTRACTOR.get_or_init(|| Extractor::new(Definitions::core(), vec![format!("{BASE}/")]))
}

/// The terms of a resource given without its type and in single quotes.
fn terms(kind: &str, resource: &str) -> (TypeId, Terms) {
    let terms = extracted(kind, resource).terms;
    (Definitions::core().resource(kind).expect("resource type"), terms)
}

/// The same, with what was left out.
fn extracted(kind: &str, resource: &str) -> Extracted {
    let text = format!("{{\"resourceType\":\"{kind}\",{}}}", resource.replace('\'', "\""));
    let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
    let kind = Definitions::core().resource(kind).expect("resource type");
    extractor().extract_marked(kind, document.root())
}

fn comparator(text: &str) -> (Comparator, &str) {
    use Comparator as C;
    let all = [
        ("eq", C::Eq),
        ("ne", C::Ne),
        ("gt", C::Gt),
        ("lt", C::Lt),
        ("ge", C::Ge),
        ("le", C::Le),
        ("sa", C::Sa),
        ("eb", C::Eb),
        ("ap", C::Ap),
    ];
    all.iter().find_map(|(word, c)| Some((*c, text.strip_prefix(word)?))).unwrap_or((C::Eq, text))
}

fn token_of(text: &str) -> (SystemMatch<'_>, Option<&str>) {
    match text.split_once('|') {
        None => (SystemMatch::Any, Some(text)),
        Some(("", code)) => (SystemMatch::None, Some(code).filter(|c| !c.is_empty())),
        Some((system, code)) => (SystemMatch::Is(system), Some(code).filter(|c| !c.is_empty())),
    }
}

fn quantity_of(text: &str) -> (Comparator, Decimal, UnitMatch<'_>) {
    let (comparator, rest) = comparator(text);
    let mut parts = rest.split('|');
    let value = parts.next().and_then(Decimal::parse).expect("number");
    let unit = match (parts.next(), parts.next()) {
        (Some(system), Some(code)) => UnitMatch::Is { system: Some(system).filter(|s| !s.is_empty()), code },
        _ => UnitMatch::Any,
    };
    (comparator, value, unit)
}

fn string_of(text: &str) -> (StringMatch, &str) {
    match text.split_once(':') {
        Some(("exact", value)) => (StringMatch::Exact, value),
        Some(("contains", value)) => (StringMatch::Contains, value),
        _ => (StringMatch::Starts, text),
    }
}

fn uri_of(text: &str) -> (UriMatch, &str) {
    match text.split_once(':') {
        Some(("below", value)) => (UriMatch::Below, value),
        Some(("above", value)) => (UriMatch::Above, value),
        _ => (UriMatch::Exact, text),
    }
}

/// A criterion as a test writes it: the value of a query with its prefix, or `modifier:value`.
fn condition(parameter: &SearchParameter, text: &str) -> Condition {
    if let Some(missing) = text.strip_prefix("missing:") {
        return criteria::missing(parameter, missing == "true");
    }
    match parameter.kind {
        SearchKind::Token => {
            let (system, code) = token_of(text);
            criteria::token(parameter, system, code)
        }
        SearchKind::String => {
            let (how, value) = string_of(text);
            criteria::string(parameter, value, how)
        }
        SearchKind::Date => {
            let (comparator, value) = comparator(text);
            criteria::date(parameter, comparator, &DateTime::parse(value).expect("date"), NOW)
        }
        SearchKind::Number => {
            let (comparator, value) = comparator(text);
            criteria::number(parameter, comparator, &Decimal::parse(value).expect("number"))
        }
        SearchKind::Quantity => {
            let (comparator, value, unit) = quantity_of(text);
            criteria::quantity(parameter, comparator, &value, unit)
        }
        SearchKind::Uri => {
            let (how, value) = uri_of(text);
            criteria::uri(parameter, value, how)
        }
        SearchKind::Reference => match text.strip_prefix("identifier:") {
            Some(identifier) => {
                let (system, code) = token_of(identifier);
                criteria::identifier(parameter, system, code)
            }
            None => criteria::reference(parameter, &reference_match(text, &[BASE.to_owned()])),
        },
        SearchKind::Composite => {
            let definitions = Definitions::core();
            let kinds = parameter
                .components
                .iter()
                .map(|component| definitions.search_parameter_by_url(&component.definition).expect("component").kind);
            let parts: Vec<_> = kinds.zip(text.split('$')).map(|(kind, text)| part(kind, text)).collect();
            criteria::composite(parameter, &parts).expect("parts")
        }
        SearchKind::Special => Condition::Nothing,
    }
}

fn part(kind: SearchKind, text: &str) -> CompositePart<'_> {
    match kind {
        SearchKind::Token => {
            let (system, code) = token_of(text);
            CompositePart::Token(system, code)
        }
        SearchKind::String => {
            let (how, value) = string_of(text);
            CompositePart::String(value, how)
        }
        SearchKind::Date => {
            let (comparator, value) = comparator(text);
            CompositePart::Date(comparator, DateTime::parse(value).expect("date"), NOW)
        }
        SearchKind::Number => {
            let (comparator, value) = comparator(text);
            CompositePart::Number(comparator, Decimal::parse(value).expect("number"))
        }
        SearchKind::Quantity => {
            let (comparator, value, unit) = quantity_of(text);
            CompositePart::Quantity(comparator, value, unit)
        }
        SearchKind::Uri => {
            let (how, value) = uri_of(text);
            CompositePart::Uri(value, how)
        }
        _ => CompositePart::Reference(reference_match(text, &[])),
    }
}

/// Whether a resource (without its type, in single quotes) fulfils a criterion on a parameter.
fn check(kind: &str, resource: &str, code: &str, criterion: &str, expected: bool) {
    let definitions = Definitions::core();
    let (id, terms) = terms(kind, resource);
    let parameter = definitions.search_parameter(id, code).unwrap_or_else(|| panic!("{kind} has no parameter {code}"));
    let condition = condition(parameter, criterion);
    let found = condition.matches(id, &terms, &Alone);
    assert_eq!(found, expected, "{kind}?{code}={criterion} on {resource}\n{condition:?}\n{terms:?}");
}

/// Many criteria on one resource: those that find it and those that do not.
fn check_all(kind: &str, resource: &str, code: &str, found: &[&str], not_found: &[&str]) {
    found.iter().for_each(|criterion| check(kind, resource, code, criterion, true));
    not_found.iter().for_each(|criterion| check(kind, resource, code, criterion, false));
}

/// What a reference search asks for.
fn reference_match<'t>(text: &'t str, bases: &[String]) -> ReferenceMatch<'t> {
    match Reference::parse(text) {
        Reference::Relative { kind, id, .. } => ReferenceMatch::Id { kind: Some(kind), id },
        Reference::Absolute { base, kind, id, .. } if bases.iter().any(|b| b == base) => {
            ReferenceMatch::Id { kind: Some(kind), id }
        }
        Reference::Other(text) if !text.contains([':', '/']) => ReferenceMatch::Id { kind: None, id: text },
        _ => ReferenceMatch::Url(text.split("/_history/").next().unwrap_or(text)),
    }
}
