//! Filters by what refers to a resource and by lists of resources: `_list` (R4 search.html#list, lists.html) and
//! `_not-referenced`, this server's own: resources that nothing refers to.

use super::filter::{Filters, targets};
use super::refusal::{Refusal, brief};
use super::value::is_served;
use crate::base::ResourceId;
use crate::definitions::{SearchKind, TypeId};
use crate::index::criteria::{self, SystemMatch};
use crate::index::{Condition, id_term};

/// The functional lists (R4 lifecycle.html#current): name, and the code that a List of it has.
const FUNCTIONAL: [(&str, &str); 4] = [
    ("$current-problems", "problems"),
    ("$current-medications", "medications"),
    ("$current-allergies", "allergies"),
    ("$current-drug-allergies", "drug-allergies"),
];

/// The system of those codes.
const LIST_CODES: &str = "http://terminology.hl7.org/CodeSystem/list-example-use-codes";

/// That one of these lists names the resource.
pub(super) fn listed(filters: &Filters<'_>, value: &str) -> Result<Condition, Refusal> {
    let definitions = filters.reader.definitions;
    let missing = || Refusal::unusable("'_list' cannot be used with these definitions");
    let list = definitions.resource("List").ok_or_else(missing)?;
    let parameter = |code| definitions.search_parameter(list, code).ok_or_else(missing);
    let (item, id, code, status) = (parameter("item")?, parameter("_id")?, parameter("code")?, parameter("status")?);
    let mut any = Vec::new();
    for piece in value.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        let condition = match FUNCTIONAL.iter().find(|(name, _)| *name == piece) {
            Some((_, of)) => Condition::all([
                criteria::token(status, SystemMatch::Any, Some("current")),
                criteria::token(code, SystemMatch::Is(LIST_CODES), Some(of)),
            ]),
            None if ResourceId::is_legal(piece) => Condition::Term(id_term(id.number, piece)),
            None => {
                let names: Vec<_> = FUNCTIONAL.iter().map(|(name, _)| *name).collect();
                return Err(Refusal::value("_list", piece, &format!("the id of a List, or {}", names.join(", "))));
            }
        };
        filters.spend_step("_list")?;
        any.push(Condition::Reverse { source: list, parameter: item.number, condition: Box::new(condition) });
    }
    if any.is_empty() { Err(Refusal::empty("_list")) } else { Ok(Condition::any(any)) }
}

/// That no resource refers to it: by `*:*` under any parameter, by `Type:*` under any of a type, by `Type:parameter`.
pub(super) fn not_referenced(filters: &Filters<'_>, kinds: &[TypeId], value: &str) -> Result<Condition, Refusal> {
    let definitions = filters.reader.definitions;
    let form = || Refusal::value("_not-referenced", value, "of the form *:*, [type]:* or [type]:[reference parameter]");
    let mut any = Vec::new();
    for piece in value.split(',').map(str::trim).filter(|piece| !piece.is_empty()) {
        let (source, code) = piece.split_once(':').ok_or_else(form)?;
        let sources = match source {
            "*" if code == "*" => definitions.resources.clone(),
            name => vec![definitions.resource(name).ok_or_else(form)?],
        };
        for source in sources {
            let parameters = match code {
                "*" => definitions.search_parameters_of(source),
                code => {
                    vec![definitions.search_parameter(source, code).ok_or_else(|| filters.unknown(source, 1, code))?]
                }
            };
            let before = any.len();
            for p in parameters {
                let arrives = p.kind == SearchKind::Reference
                    && is_served(p)
                    && targets(definitions, p).iter().any(|target| kinds.contains(target));
                if arrives {
                    filters.spend_step("_not-referenced")?;
                    let condition = Box::new(Condition::Everything);
                    any.push(Condition::Reverse { source, parameter: p.number, condition });
                }
            }
            if code != "*" && any.len() == before {
                let name = definitions.name(source);
                let reason =
                    format!("'_not-referenced': '{}' of {name} does not refer to what is searched", brief(code));
                return Err(Refusal::illegal(reason));
            }
        }
    }
    match any.is_empty() {
        true => Err(Refusal::empty("_not-referenced")),
        false => Ok(Condition::Not(Box::new(Condition::any(any)))),
    }
}
