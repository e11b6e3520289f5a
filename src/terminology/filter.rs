//! The filters of value sets (R4 valueset-filter-operator, and `child-of` and `descendent-leaf`, which came later): which
//! concepts of a code system pass.

use super::value_set::{ConceptSet, Filter};
use super::{CodeSystem, Concept, Problem};
use regex::{Regex, RegexBuilder};

/// The largest compiled expression.
const REGEX_MAX: usize = 1 << 20;

/// The concepts that pass all filters of a set, marked in a list of all.
pub(super) fn passing(system: &CodeSystem, set: &ConceptSet) -> Result<Vec<bool>, Problem> {
    let mut all = vec![true; system.concepts.len()];
    for (i, filter) in set.filters.iter().enumerate() {
        let place = format!("{}.filter[{i}]", set.place);
        let passed = one(system, filter).map_err(|p| p.at(place))?;
        for (all, passed) in all.iter_mut().zip(passed) {
            *all &= passed;
        }
    }
    Ok(all)
}

fn one(system: &CodeSystem, filter: &Filter) -> Result<Vec<bool>, Problem> {
    let (property, op) = (&*filter.property, &*filter.op);
    if filter.value.is_empty() {
        return Err(Problem::error(
            "invalid",
            "vs-invalid",
            "UNABLE_TO_HANDLE_SYSTEM_FILTER_WITH_NO_VALUE",
            format!("The system {} filter with property = {property}, op = {op} has no value", system.url),
        ));
    }
    if matches!(property, "concept" | "code") {
        return by_code(system, filter);
    }
    let value = &*filter.value;
    let of = |c: &Concept| -> Vec<String> {
        match property {
            "display" => c.display.iter().map(|d| d.to_string()).collect(),
            "definition" => c.definition.iter().map(|d| d.to_string()).collect(),
            "parent" => named(system, &c.parents),
            "child" => named(system, &c.children),
            _ => c.properties.iter().filter(|p| *p.code == *property).map(|p| p.text()).collect(),
        }
    };
    let test = |test: &dyn Fn(&[String]) -> bool| system.concepts.iter().map(|c| test(&of(c))).collect();
    Ok(match op {
        "=" => test(&|values| values.iter().any(|v| v == value)),
        "in" => {
            let wanted = list(value);
            test(&|values| values.iter().any(|v| wanted.contains(&v.as_str())))
        }
        "not-in" => {
            let wanted = list(value);
            test(&|values| !values.iter().any(|v| wanted.contains(&v.as_str())))
        }
        "exists" => test(&|values| values.is_empty() != (value == "true")),
        "regex" => {
            let regex = regex(system, filter)?;
            test(&|values| values.iter().any(|v| regex.is_match(v)))
        }
        _ => return Err(unknown(system, filter)),
    })
}

fn by_code(system: &CodeSystem, filter: &Filter) -> Result<Vec<bool>, Problem> {
    let value = &*filter.value;
    let number = || system.find(value);
    let nothing = || vec![false; system.concepts.len()];
    let below = |itself: bool| {
        number().map_or_else(nothing, |n| {
            let mut marked = system.below(n);
            if let Some(mark) = marked.get_mut(n as usize) {
                *mark = itself;
            }
            marked
        })
    };
    let test = |test: &dyn Fn(&Concept) -> bool| system.concepts.iter().map(test).collect();
    Ok(match &*filter.op {
        "is-a" => below(true),
        "descendent-of" => below(false),
        "is-not-a" => below(true).into_iter().map(|m| !m).collect(),
        "descendent-leaf" => {
            system.concepts.iter().zip(below(false)).map(|(c, m)| m && c.children.is_empty()).collect()
        }
        "child-of" => number().map_or_else(nothing, |n| test(&|c| c.parents.contains(&n))),
        "generalizes" => number().map_or_else(nothing, |n| {
            let mut marked = system.above(n);
            if let Some(mark) = marked.get_mut(n as usize) {
                *mark = true;
            }
            marked
        }),
        "=" => test(&|c| *c.code == *value),
        "in" => {
            let wanted = list(value);
            test(&|c| wanted.contains(&&*c.code))
        }
        "not-in" => {
            let wanted = list(value);
            test(&|c| !wanted.contains(&&*c.code))
        }
        "exists" => vec![value == "true"; system.concepts.len()],
        "regex" => {
            let regex = regex(system, filter)?;
            test(&|c| regex.is_match(&c.code))
        }
        _ => return Err(unknown(system, filter)),
    })
}

fn named(system: &CodeSystem, numbers: &[u32]) -> Vec<String> {
    numbers.iter().filter_map(|n| system.concept(*n)).map(|c| c.code.to_string()).collect()
}

fn list(value: &str) -> Vec<&str> {
    value.split(',').map(str::trim).collect()
}

/// An expression of a filter matches the whole value. It is matched in linear time, whatever it says.
fn regex(system: &CodeSystem, filter: &Filter) -> Result<Regex, Problem> {
    let pattern = format!("^(?:{})$", filter.value);
    RegexBuilder::new(&pattern).size_limit(REGEX_MAX).build().map_err(|_| {
        let text = format!(
            "The filter with property = {}, op = regex of the system {} has no regular expression that can be read",
            filter.property, system.url
        );
        Problem::error("invalid", "vs-invalid", "INVALID_REGEX", text)
    })
}

fn unknown(system: &CodeSystem, filter: &Filter) -> Problem {
    let short = |text: &str| text.chars().take(100).collect::<String>();
    let text = format!(
        "The filter with property = {}, op = {} is not known for the system {}",
        short(&filter.property),
        short(&filter.op),
        system.url
    );
    Problem::error("not-supported", "vs-invalid", "FILTER_NOT_UNDERSTOOD", text)
}
