//! From one question to a condition over terms. The encodings belong to the index; this only names what is asked.

use super::value::{Hierarchy, Question, System, Unit};
use super::words::Words;
use crate::base::Timestamp;
use crate::definitions::SearchParameter;
use crate::index::criteria::{self, CompositePart, ReferenceMatch, SystemMatch, UnitMatch};
use crate::index::{Condition, id_term, reference_term};

/// The condition that a resource has a value like this under the parameter.
pub(super) fn condition(p: &SearchParameter, question: &Question, now: Timestamp) -> Condition {
    match question {
        Question::Present => criteria::missing(p, false),
        Question::String { value, how } => criteria::string(p, value, *how),
        Question::Token { system, code } => criteria::token(p, system_match(system), code.as_deref()),
        Question::Label(text) => criteria::label(p, text),
        Question::OfType { system, code, value } => criteria::of_type(p, system, code, value),
        Question::Words { words, also } => {
            let numbers: Vec<u16> = [p.number].into_iter().chain(*also).collect();
            has_words(&numbers, words)
        }
        Question::Near { centre, metres } => criteria::near(p, *centre, *metres),
        Question::Identifier { system, code } => criteria::identifier(p, system_match(system), code.as_deref()),
        Question::Date { comparator, value } => criteria::date(p, *comparator, value, now),
        Question::Number { comparator, value } => criteria::number(p, *comparator, value),
        Question::Quantity { comparator, value, unit } => {
            criteria::quantity(p, *comparator, value, unit_match(unit.as_ref()))
        }
        Question::Uri { value, how } => criteria::uri(p, value, *how),
        Question::Hierarchy(hierarchy) => in_hierarchy(p, hierarchy),
        Question::Local { .. } | Question::Url(_) | Question::Canonical { .. } => {
            reference_match(question).map_or(Condition::Nothing, |value| criteria::reference(p, &value))
        }
        Question::Composite(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(|part| composite_part(part, now)).collect();
            parts.and_then(|parts| criteria::composite(p, &parts)).unwrap_or(Condition::Nothing)
        }
    }
}

fn composite_part(question: &Question, now: Timestamp) -> Option<CompositePart<'_>> {
    Some(match question {
        Question::String { value, how } => CompositePart::String(value, *how),
        Question::Token { system, code } => CompositePart::Token(system_match(system), code.as_deref()),
        Question::Date { comparator, value } => CompositePart::Date(*comparator, *value, now),
        Question::Number { comparator, value } => CompositePart::Number(*comparator, value.clone()),
        Question::Quantity { comparator, value, unit } => {
            CompositePart::Quantity(*comparator, value.clone(), unit_match(unit.as_ref()))
        }
        Question::Uri { value, how } => CompositePart::Uri(value, *how),
        Question::Local { .. } | Question::Url(_) => CompositePart::Reference(reference_match(question)?),
        _ => return None,
    })
}

fn has_words(numbers: &[u16], words: &Words) -> Condition {
    let each = |all: &[Words]| all.iter().map(|words| has_words(numbers, words)).collect::<Vec<_>>();
    match words {
        Words::Have(text) => criteria::has_words(numbers, text),
        Words::All(all) => Condition::all(each(all)),
        Words::Any(any) => Condition::any(each(any)),
        Words::Not(inner) => Condition::Not(Box::new(has_words(numbers, inner))),
    }
}

/// Levels of a hierarchy that are followed. A cycle ends there, too.
const LEVELS: usize = 20;

/// References to a resource, or to one below or above it.
fn in_hierarchy(p: &SearchParameter, of: &Hierarchy) -> Condition {
    let value = ReferenceMatch::Id { kind: Some(&of.kind_name), id: &of.id };
    let itself = criteria::reference(p, &value);
    let (kind, parent) = (of.kind, of.parent);
    let mut far = if of.below {
        Condition::Term(reference_term(parent, &of.kind_name, &of.id))
    } else {
        let condition = Box::new(Condition::Term(id_term(of.own_id, &of.id)));
        Condition::Reverse { source: kind, parameter: parent, condition }
    };
    for _ in 1..LEVELS {
        far = if of.below {
            let nearest = Condition::Term(reference_term(parent, &of.kind_name, &of.id));
            let condition = Box::new(far);
            Condition::any([nearest, Condition::Chain { parameter: parent, targets: vec![kind], condition }])
        } else {
            let condition = Condition::any([Condition::Term(id_term(of.own_id, &of.id)), far]);
            Condition::Reverse { source: kind, parameter: parent, condition: Box::new(condition) }
        };
    }
    let condition = Box::new(far);
    Condition::any([itself, Condition::Chain { parameter: p.number, targets: vec![kind], condition }])
}

fn reference_match(question: &Question) -> Option<ReferenceMatch<'_>> {
    match question {
        Question::Local { kind, id } => Some(ReferenceMatch::Id { kind: kind.as_deref(), id }),
        Question::Url(url) => Some(ReferenceMatch::Url(url)),
        Question::Canonical { url, below: true } => Some(ReferenceMatch::Below(url)),
        Question::Canonical { url, below: false } => Some(ReferenceMatch::Above(url)),
        _ => None,
    }
}

fn system_match(system: &System) -> SystemMatch<'_> {
    match system {
        System::Any => SystemMatch::Any,
        System::None => SystemMatch::None,
        System::Is(system) => SystemMatch::Is(system),
    }
}

fn unit_match(unit: Option<&Unit>) -> UnitMatch<'_> {
    match unit {
        None => UnitMatch::Any,
        Some(unit) => UnitMatch::Is { system: unit.system.as_deref(), code: &unit.code },
    }
}
