//! From one question to a condition over terms. The encodings belong to the index; this only names what is asked.

use super::value::{Question, System, Unit};
use crate::base::Timestamp;
use crate::definitions::SearchParameter;
use crate::index::Condition;
use crate::index::criteria::{self, CompositePart, ReferenceMatch, SystemMatch, UnitMatch};

/// The condition that a resource has a value like this under the parameter.
pub(super) fn condition(p: &SearchParameter, question: &Question, now: Timestamp) -> Condition {
    match question {
        Question::Present => criteria::missing(p, false),
        Question::String { value, how } => criteria::string(p, value, *how),
        Question::Token { system, code } => criteria::token(p, system_match(system), code.as_deref()),
        Question::Identifier { system, code } => criteria::identifier(p, system_match(system), code.as_deref()),
        Question::Date { comparator, value } => criteria::date(p, *comparator, value, now),
        Question::Number { comparator, value } => criteria::number(p, *comparator, value),
        Question::Quantity { comparator, value, unit } => {
            criteria::quantity(p, *comparator, value, unit_match(unit.as_ref()))
        }
        Question::Uri { value, how } => criteria::uri(p, value, *how),
        Question::Local { .. } | Question::Url(_) => {
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
        Question::Present | Question::Identifier { .. } | Question::Composite(_) => return None,
    })
}

fn reference_match(question: &Question) -> Option<ReferenceMatch<'_>> {
    match question {
        Question::Local { kind, id } => Some(ReferenceMatch::Id { kind: kind.as_deref(), id }),
        Question::Url(url) => Some(ReferenceMatch::Url(url)),
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
