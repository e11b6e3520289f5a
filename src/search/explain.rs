//! How a search was read (`_explain=true`): the steps that its condition is made of, each in words and as a condition of
//! its own, so that whoever has a store can count what it finds. Decides nothing.

use super::Plan;
use crate::definitions::{Definitions, SearchKind, TypeId};
use crate::index::{Condition, id_of, target_of};

/// A step of a search.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it asks and by which index it is answered.
    pub text: String,
    /// The condition.
    pub condition: Condition,
    /// The types it is asked of.
    pub kinds: Vec<TypeId>,
}

/// Most steps that are told.
const MOST: usize = 30;
/// Conditions shown of a long list.
const SHOWN: usize = 4;

impl Plan {
    /// The steps of the search: what it asks of the resources, one by one, and behind chains of the others.
    pub fn steps(&self, definitions: &Definitions) -> Vec<Step> {
        let mut steps = Vec::new();
        gather(definitions, &self.kinds, &self.condition, &mut steps);
        steps.truncate(MOST);
        steps
    }

    /// Order, page and includes in words.
    pub fn shape(&self, definitions: &Definitions) -> Vec<String> {
        let code = |number: u16| definitions.search_parameter_numbered(number).map_or("?", |p| &*p.code);
        let mut lines = Vec::new();
        let kinds = match self.kinds.len() {
            0..=6 => self.kinds.iter().map(|k| definitions.name(*k)).collect::<Vec<_>>().join(", "),
            many => format!("{many} types"),
        };
        lines.push(format!("looked in: {kinds}"));
        let used: Vec<_> = self.applied.iter().map(|(name, value)| format!("{name}={value}")).collect();
        lines.push(format!("used: {}", if used.is_empty() { "no parameters".to_owned() } else { used.join(" & ") }));
        let keys: Vec<_> = self
            .sort
            .iter()
            .map(|sort| {
                let number =
                    sort.from.first().zip(sort.from.get(1)).map_or(u16::MAX, |(a, b)| u16::from_be_bytes([*a, *b]));
                format!("{}{}", if sort.descending { "-" } else { "" }, code(number))
            })
            .collect();
        lines.push(match keys.is_empty() {
            true => "order: as stored".to_owned(),
            false => {
                format!("order: {}, by the terms of the index; resources without a value come last", keys.join(", "))
            }
        });
        for (name, includes) in [("_include", &self.includes), ("_revinclude", &self.revincludes)] {
            for include in includes.iter().take(SHOWN) {
                let codes: Vec<_> = include.parameters.iter().take(SHOWN).map(|n| code(*n)).collect();
                let iterate = if include.iterate { ", again from what was added" } else { "" };
                lines.push(format!("{name}: {} by {}{iterate}", definitions.name(include.source), codes.join(", ")));
            }
        }
        lines
    }
}

fn gather(definitions: &Definitions, kinds: &[TypeId], condition: &Condition, steps: &mut Vec<Step>) {
    if steps.len() > MOST {
        return;
    }
    match condition {
        Condition::And(all) => all.iter().for_each(|c| gather(definitions, kinds, c, steps)),
        other => {
            let text = format!("{} — {}", words(definitions, other), index(other));
            steps.push(Step { text, condition: other.clone(), kinds: kinds.to_vec() });
            match other {
                Condition::Chain { targets, condition, .. } => gather(definitions, targets, condition, steps),
                Condition::Reverse { source, condition, .. } => gather(definitions, &[*source], condition, steps),
                _ => {}
            }
        }
    }
}

/// By which index a condition is answered.
fn index(condition: &Condition) -> &'static str {
    match condition {
        Condition::Everything | Condition::Nothing | Condition::Kind(_) => "no index needed",
        Condition::Term(_) => "postings of one term",
        Condition::Range(range) if range.test.is_some() => "postings of a range of terms, each tested",
        Condition::Range(_) => "postings of a range of terms",
        Condition::Not(_) => "all of the type less the postings of",
        Condition::Or(_) => "postings united",
        Condition::And(_) => "postings intersected",
        Condition::Chain { .. } => "references followed to the resources found there",
        Condition::Reverse { .. } => "references of the resources found there followed back",
    }
}

fn words(definitions: &Definitions, condition: &Condition) -> String {
    let list = |all: &[Condition], word: &str| {
        let mut shown: Vec<_> = all.iter().take(SHOWN).map(|c| words(definitions, c)).collect();
        if all.len() > SHOWN {
            shown.push(format!("… {} in all", all.len()));
        }
        format!("({})", shown.join(word))
    };
    let parameter = |number: u16| definitions.search_parameter_numbered(number);
    let code =
        |number: u16| parameter(number).map_or_else(|| "presence or contained".to_owned(), |p| p.code.to_string());
    match condition {
        Condition::Everything => "everything".to_owned(),
        Condition::Nothing => "nothing".to_owned(),
        Condition::Kind(kind) => format!("is a {}", definitions.name(*kind)),
        Condition::Not(inner) => format!("not {}", words(definitions, inner)),
        Condition::And(all) => list(all, " and "),
        Condition::Or(any) => list(any, " or "),
        Condition::Term(term) => {
            let value = match (id_of(term), target_of(term)) {
                (Some(id), _) => id.to_owned(),
                (_, Some((kind, id))) => format!("{kind}/{id}"),
                _ => printable(parameter(term.parameter()).map(|p| p.kind), term.0.get(3..).unwrap_or_default()),
            };
            format!("{} is '{value}'", code(term.parameter()))
        }
        Condition::Range(range) => {
            let number =
                range.from.first().zip(range.from.get(1)).map_or(u16::MAX, |(a, b)| u16::from_be_bytes([*a, *b]));
            let kind = parameter(number).map(|p| p.kind);
            let from = printable(kind, range.from.get(3..).unwrap_or_default());
            if from.is_empty() {
                format!("{} in a range", code(number))
            } else {
                format!("{} from '{from}'", code(number))
            }
        }
        Condition::Chain { parameter, targets, condition } => {
            let kinds: Vec<_> = targets.iter().take(SHOWN).map(|t| definitions.name(*t)).collect();
            format!("{} refers to {} where {}", code(*parameter), kinds.join(" or "), words(definitions, condition))
        }
        Condition::Reverse { source, parameter, condition } => {
            let source = definitions.name(*source);
            format!("a {source} refers to it by {} where {}", code(*parameter), words(definitions, condition))
        }
    }
}

/// The text in the bytes of a value, where it is one.
fn printable(kind: Option<SearchKind>, bytes: &[u8]) -> String {
    match kind {
        Some(SearchKind::String | SearchKind::Token | SearchKind::Reference | SearchKind::Uri) => {
            let text: String = String::from_utf8_lossy(bytes).chars().filter(|c| *c != '\u{fffd}').collect();
            text.trim_end_matches('\0').replace('\0', "|").chars().take(80).collect()
        }
        _ => String::new(),
    }
}
