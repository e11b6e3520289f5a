//! `_include` and `_revinclude` (R4 search.html#include): which references of which resources are followed. Follows
//! none itself.

use super::filter::{pending, targets};
use super::refusal::{Refusal, brief};
use super::suggest::hint;
use super::value::is_served;
use crate::definitions::{Definitions, SearchKind, SearchParameter, TypeId};

/// References to follow: from a match to what it refers to (`_include`), or from other resources to a match
/// (`_revinclude`). A wildcard is given as one of these for each type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Include {
    /// The type that has the reference: for `_include` the type of the match, for `_revinclude` of what is added.
    pub source: TypeId,
    /// Numbers of the reference parameters; at least one.
    pub parameters: Vec<u16>,
    /// Only references to this type.
    pub target: Option<TypeId>,
    /// Followed from added resources as well, again and again (`:iterate`).
    pub iterate: bool,
}

/// Which way the references are followed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Forward,
    Reverse,
}

/// Reads one value of `_include` or `_revinclude` (`name`, with its modifier) on these types.
pub(super) fn read(
    definitions: &Definitions,
    kinds: &[TypeId],
    name: &str,
    value: &str,
) -> Result<(Direction, Vec<Include>), Refusal> {
    let (control, modifier) = name.split_once(':').map_or((name, None), |(n, m)| (n, Some(m)));
    let direction = if control == "_include" { Direction::Forward } else { Direction::Reverse };
    // `recurse` is what `iterate` was called in STU3.
    let iterate = match modifier {
        None => false,
        Some("iterate" | "recurse") => true,
        Some(other) => {
            return Err(Refusal::illegal(format!(
                "'{control}': the modifier ':{}' does not exist; it takes :iterate",
                brief(other)
            )));
        }
    };
    let parts: Vec<_> = value.trim().split(':').collect();
    let (source, code, target) = match parts.as_slice() {
        ["*"] => ("*", "*", None),
        ["*", code, ..] if *code != "*" => return Err(form(control, value)),
        [source, code] => (*source, *code, None),
        [source, code, target] => (*source, *code, Some(*target).filter(|t| !t.is_empty() && *t != "*")),
        _ => return Err(form(control, value)),
    };
    let target = target.map(|t| resource(definitions, control, t)).transpose()?;
    let sources = match (source, direction) {
        ("*", Direction::Forward) if !iterate => kinds.to_vec(),
        ("*", _) => definitions.resources.clone(),
        (source, _) => vec![resource(definitions, control, source)?],
    };
    let reach = Reach { definitions, kinds, direction, iterate, target };
    let mut includes = Vec::new();
    for source in sources {
        let parameters = match code {
            "*" => reach.all(source),
            code => vec![reach.named(source, code, control)?],
        };
        if !parameters.is_empty() {
            includes.push(Include { source, parameters, target, iterate });
        }
    }
    if includes.is_empty() {
        return Err(Refusal::unusable(format!("'{control}': '{}' follows no reference", brief(value))));
    }
    Ok((direction, includes))
}

fn form(control: &str, value: &str) -> Refusal {
    Refusal::unusable(format!(
        "'{control}': '{}' is not of the form [type]:[parameter], [type]:[parameter]:[target type] or *",
        brief(value)
    ))
}

/// What decides whether a parameter can be followed.
struct Reach<'d> {
    definitions: &'d Definitions,
    kinds: &'d [TypeId],
    direction: Direction,
    iterate: bool,
    target: Option<TypeId>,
}

impl Reach<'_> {
    /// All reference parameters of a type that can be followed.
    fn all(&self, source: TypeId) -> Vec<u16> {
        let parameters = self.definitions.search_parameters_of(source);
        parameters.into_iter().filter(|p| self.reaches(p)).map(|p| p.number).collect()
    }

    fn reaches(&self, p: &SearchParameter) -> bool {
        if p.kind != SearchKind::Reference || !is_served(p) {
            return false;
        }
        let targets = targets(self.definitions, p);
        let wanted = self.target.is_none_or(|t| targets.contains(&t));
        // Backwards it must be able to point to a match, unless what it points to may itself have been added.
        let arrives =
            self.direction == Direction::Forward || self.iterate || self.kinds.iter().any(|k| targets.contains(k));
        wanted && arrives
    }

    fn named(&self, source: TypeId, code: &str, control: &str) -> Result<u16, Refusal> {
        let definitions = self.definitions;
        let name = definitions.name(source);
        let references = || {
            let all = definitions.search_parameters_of(source);
            all.into_iter().filter(|p| p.kind == SearchKind::Reference)
        };
        match definitions.search_parameter(source, code) {
            Some(p) if self.reaches(p) => Ok(p.number),
            Some(p) if p.kind == SearchKind::Reference => {
                let to = match self.target {
                    Some(target) => definitions.name(target),
                    None => "what is searched",
                };
                Err(Refusal::unusable(format!("'{control}': the parameter '{code}' of {name} does not refer to {to}")))
            }
            Some(p) => {
                let kind = p.kind.code();
                let reason = format!("'{control}': '{code}' of {name} is a {kind} parameter, not a reference");
                Err(Refusal::unusable(reason))
            }
            None => {
                if let Some(refusal) = pending(definitions, source, code) {
                    return Err(refusal.within(control));
                }
                let hint = hint(code, references().map(|p| &*p.code));
                let reason = format!("'{control}': {name} has no search parameter '{}'{hint}", brief(code));
                Err(Refusal::unusable(reason))
            }
        }
    }
}

fn resource(definitions: &Definitions, control: &str, name: &str) -> Result<TypeId, Refusal> {
    definitions.resource(name).ok_or_else(|| {
        let hint = hint(name, definitions.resources.iter().map(|r| definitions.name(*r)));
        Refusal::unusable(format!("'{control}': there is no resource type '{}'{hint}", brief(name)))
    })
}
