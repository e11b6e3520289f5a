//! Search by token (R4 search.html#token).

use super::super::encode::{self, FOLDED, push_text};
use super::super::fold::fold;
use super::super::{Range, Test};
use super::pattern::Pattern;
use super::{Condition, missing, term};
use crate::definitions::SearchParameter;

/// The system of a token search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemMatch<'t> {
    /// `code`: whatever the system.
    Any,
    /// `|code`: no system.
    None,
    /// `system|code` or `system|`
    Is(&'t str),
}

/// Tokens of this code.
pub(super) fn code(system: SystemMatch<'_>, code: &str) -> Vec<Pattern> {
    let mut plain = Vec::with_capacity(code.len() + 1);
    push_text(code, &mut plain);
    plain.push(0);
    let mut folded = Vec::with_capacity(code.len() + 2);
    push_text(&fold(code), &mut folded);
    folded.extend_from_slice(&[0, FOLDED]);
    match system {
        SystemMatch::Is(system) => {
            push_text(system, &mut plain);
            vec![Pattern::Exact(plain)]
        }
        SystemMatch::None => vec![Pattern::Exact(plain), Pattern::Exact(folded)],
        SystemMatch::Any if folded.starts_with(&plain) => vec![Pattern::prefix(plain)],
        SystemMatch::Any => vec![Pattern::prefix(plain), Pattern::Exact(folded)],
    }
}

/// Tokens of a code, or any of a system, where there is no separate term for the system.
pub(super) fn component(system: SystemMatch<'_>, of: Option<&str>) -> Vec<Pattern> {
    if let Some(of) = of {
        return code(system, of);
    }
    let suffix = |system: &str| {
        let mut suffix = vec![0];
        push_text(system, &mut suffix);
        Some(Test::EndsWith(suffix.into()))
    };
    let test = match system {
        SystemMatch::Any => None,
        SystemMatch::None => suffix(""),
        SystemMatch::Is(system) => suffix(system),
    };
    vec![Pattern::Range(Range { from: [].into(), to: [0xFF].into(), test })]
}

/// Any token of a system.
pub(super) fn of_system(parameter: &SearchParameter, system: SystemMatch<'_>) -> Condition {
    let of = match system {
        SystemMatch::Any => return missing(parameter, false),
        SystemMatch::None => "",
        SystemMatch::Is(system) => system,
    };
    let mut value = Vec::with_capacity(of.len());
    push_text(of, &mut value);
    term(parameter.number, encode::SYSTEM, &value)
}
