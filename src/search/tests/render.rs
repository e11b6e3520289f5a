//! Plans as short text for tests. Leaves are made of the question itself, so that the encodings of the index do not
//! matter here.

use super::super::value::{Question, System};
use super::super::{Include, Plan, Scope, Total, encode};
use crate::base::Timestamp;
use crate::definitions::{Definitions, SearchParameter, TypeId};
use crate::index::criteria::Comparator;
use crate::index::{Condition, Term, id_of, target_of};
use crate::store::Sort;

/// A condition that holds the question as text.
pub fn leaf(p: &SearchParameter, question: &Question, _now: Timestamp) -> Condition {
    let text = asked(question);
    Condition::Term(Term([&p.number.to_be_bytes()[..], b"?", text.as_bytes()].concat().into()))
}

fn asked(question: &Question) -> String {
    match question {
        Question::Present => "present".to_owned(),
        Question::String { value, how } => format!("{} '{value}'", format!("{how:?}").to_lowercase()),
        Question::Token { system, code } => format!("= {}", token(system, code.as_deref())),
        Question::Label(text) => format!("text '{text}'"),
        Question::OfType { system, code, value } => format!("of type {system}|{code} = {value}"),
        Question::Words { words, also } => {
            format!("words {words:?}{}", if also.is_some() { " or in _text" } else { "" })
        }
        Question::Near { centre, metres } => format!("within {metres} m of {} {}", centre.latitude, centre.longitude),
        Question::Canonical { url, below } => format!("{} <{url}>", if *below { "below" } else { "above" }),
        Question::Hierarchy(h) => format!("{} {}/{}", if h.below { "below" } else { "above" }, h.kind_name, h.id),
        Question::Identifier { system, code } => format!("identifier {}", token(system, code.as_deref())),
        Question::Date { comparator, value } => {
            let moment = |t| Timestamp(t).to_instant().replace(".000Z", "Z").replace("T00:00:00Z", "");
            format!("{} {}..{}", prefix(*comparator), moment(value.start()), moment(value.end()))
        }
        Question::Number { comparator, value } => format!("{} {value}", prefix(*comparator)),
        Question::Quantity { comparator, value, unit } => {
            let unit = unit.as_ref().map(|u| format!(" {}|{}", u.system.as_deref().unwrap_or("*"), u.code));
            format!("{} {value}{}", prefix(*comparator), unit.unwrap_or_default())
        }
        Question::Uri { value, how } => format!("{} <{value}>", format!("{how:?}").to_lowercase()),
        Question::Local { kind, id } => format!("-> {}/{id}", kind.as_deref().unwrap_or("*")),
        Question::Url(url) => format!("-> <{url}>"),
        Question::Composite(parts) => parts.iter().map(asked).collect::<Vec<_>>().join(" $ "),
    }
}

fn token(system: &System, code: Option<&str>) -> String {
    let system = match system {
        System::Any => "*",
        System::None => "",
        System::Is(system) => system,
    };
    format!("{system}|{}", code.unwrap_or("*"))
}

fn prefix(comparator: Comparator) -> String {
    format!("{comparator:?}").to_lowercase()
}

/// A condition in one line.
pub fn condition(definitions: &Definitions, c: &Condition) -> String {
    let inner = |c: &Condition| condition(definitions, c);
    let list = |all: &[Condition], word: &str| {
        let mut shown: Vec<_> = all.iter().take(6).map(inner).collect();
        if all.len() > 6 {
            shown.push(format!("… {} in all", all.len()));
        }
        format!("({})", shown.join(word))
    };
    let code = |number: u16| definitions.search_parameters[number as usize].code.to_string();
    match c {
        Condition::Everything => "everything".to_owned(),
        Condition::Nothing => "nothing".to_owned(),
        Condition::Kind(kind) => format!("type {}", definitions.name(*kind)),
        Condition::Not(c) => format!("not {}", inner(c)),
        Condition::And(all) => list(all, " and "),
        Condition::Or(any) => list(any, " or "),
        Condition::Term(term) => {
            let text = match term.0.get(2) {
                Some(b'?') => String::from_utf8_lossy(&term.0[3..]).into_owned(),
                _ => match (id_of(term), target_of(term)) {
                    (_, Some((kind, id))) => format!("-> {kind}/{id}"),
                    (Some(id), _) => format!("is {id}"),
                    _ => format!("{:?}", term.0),
                },
            };
            format!("{} {text}", code(term.parameter()))
        }
        Condition::Range(range) => format!("{range:?}"),
        Condition::Chain { parameter, targets, condition } => {
            format!("{}[{}].({})", code(*parameter), names(definitions, targets), inner(condition))
        }
        Condition::Reverse { source, parameter, condition } => {
            format!("has {} by {}.({})", definitions.name(*source), code(*parameter), inner(condition))
        }
    }
}

fn names(definitions: &Definitions, kinds: &[TypeId]) -> String {
    match kinds.len() {
        0..=6 => kinds.iter().map(|k| definitions.name(*k)).collect::<Vec<_>>().join(" "),
        many => format!("{many} types"),
    }
}

/// What is told of a plan; what is as if nothing had been said is left out.
pub fn plan(definitions: &Definitions, plan: &Plan, query: &str) -> Vec<String> {
    let mut rows = vec![condition(definitions, &plan.condition)];
    let mut row = |name: &str, text: String| rows.push(format!("{name}: {text}"));
    if matches!(plan.scope, Scope::System) && plan.kinds.len() < definitions.resources.len() {
        row("types", names(definitions, &plan.kinds));
    }
    if !plan.sort.is_empty() {
        row("sort", plan.sort.iter().map(|s| sort(definitions, s)).collect::<Vec<_>>().join(" "));
    }
    if plan.count != 50 {
        row("count", plan.count.to_string());
    }
    if let Some(summary) = plan.summary {
        row("summary", format!("{summary:?}").to_lowercase());
    }
    if plan.total != Total::Accurate {
        row("total", format!("{:?}", plan.total).to_lowercase());
    }
    if !plan.elements.is_empty() {
        row("elements", plan.elements.join(" "));
    }
    for (name, includes) in [("include", &plan.includes), ("revinclude", &plan.revincludes)] {
        for one in includes.iter().take(4) {
            row(name, include(definitions, one));
        }
        if includes.len() > 4 {
            row(name, format!("… {} in all", includes.len()));
        }
    }
    let own = encode(plan.applied.iter().map(|(n, v)| (n.as_str(), v.as_str())));
    if own != query {
        row("self", if own.is_empty() { "no parameters".to_owned() } else { own });
    }
    for issue in &plan.issues {
        row(issue.severity.code(), issue.diagnostics.clone());
    }
    rows
}

fn include(definitions: &Definitions, include: &Include) -> String {
    let codes: Vec<_> =
        include.parameters.iter().map(|n| definitions.search_parameters[*n as usize].code.to_string()).collect();
    let codes = if codes.len() > 6 { format!("{} parameters", codes.len()) } else { codes.join(" ") };
    let target = include.target.map(|t| format!(" to {}", definitions.name(t))).unwrap_or_default();
    let iterate = if include.iterate { ", iterating" } else { "" };
    format!("{} by {codes}{target}{iterate}", definitions.name(include.source))
}

fn sort(definitions: &Definitions, sort: &Sort) -> String {
    let number = u16::from_be_bytes([sort.from[0], sort.from[1]]);
    let sign = if sort.descending { "-" } else { "" };
    format!("{sign}{}", definitions.search_parameters[number as usize].code)
}
