//! The filters of value sets (R4 valueset-filter-operator, and `child-of` and `descendent-leaf`, which came later): which
//! concepts of a code system pass.

use super::value_set::{ConceptSet, Filter};
use super::{CodeSystem, Concept, Problem};
use regex::{Regex, RegexBuilder};

/// What asks for the place of a concept in the hierarchy.
const HIERARCHY: [&str; 6] = ["is-a", "is-not-a", "descendent-of", "descendent-leaf", "child-of", "generalizes"];
/// The largest compiled expression.
const REGEX_MAX: usize = 1 << 20;

/// Whether one concept passes all filters of a set, without a look at the others.
pub(super) fn passes(system: &CodeSystem, set: &ConceptSet, number: u32) -> Result<bool, Problem> {
    let Some(concept) = system.concept(number) else { return Ok(false) };
    let mut all = true;
    for (i, filter) in set.filters.iter().enumerate() {
        let place = format!("{}.filter[{i}]", set.place);
        let test = test(system, filter, false).map_err(|p| p.at(place))?;
        all &= test(number, concept);
    }
    Ok(all)
}

/// The concepts that pass all filters of a set, marked in a list of all.
pub(super) fn passing(system: &CodeSystem, set: &ConceptSet) -> Result<Vec<bool>, Problem> {
    let mut all = vec![true; system.concepts.len()];
    for (i, filter) in set.filters.iter().enumerate() {
        let place = format!("{}.filter[{i}]", set.place);
        let test = test(system, filter, true).map_err(|p| p.at(place))?;
        for ((all, number), concept) in all.iter_mut().zip(0..).zip(&system.concepts) {
            *all = *all && test(number, concept);
        }
    }
    Ok(all)
}

/// What a filter asks of a concept.
type Test<'t> = Box<dyn Fn(u32, &Concept) -> bool + 't>;

/// What a filter asks; `whole`: of all concepts, so that what is below another is marked once for all.
fn test<'t>(system: &'t CodeSystem, filter: &'t Filter, whole: bool) -> Result<Test<'t>, Problem> {
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
        return by_code(system, filter, whole);
    }
    let value = &*filter.value;
    if matches!(property, "parent" | "child") {
        system.sound()?;
    }
    let of = move |c: &Concept| -> Vec<String> {
        match property {
            "display" => c.display.iter().map(|d| d.to_string()).collect(),
            "definition" => c.definition.iter().map(|d| d.to_string()).collect(),
            "parent" => named(system, &c.parents),
            "child" => named(system, &c.children),
            _ => c.properties.iter().filter(|p| *p.code == *property).map(|p| p.text()).collect(),
        }
    };
    Ok(match op {
        "=" => Box::new(move |_, c| of(c).iter().any(|v| v == value)),
        "in" => {
            let wanted = list(value);
            Box::new(move |_, c| of(c).iter().any(|v| wanted.contains(&v.as_str())))
        }
        "not-in" => {
            let wanted = list(value);
            Box::new(move |_, c| !of(c).iter().any(|v| wanted.contains(&v.as_str())))
        }
        "exists" => Box::new(move |_, c| of(c).is_empty() != (value == "true")),
        "regex" => {
            let regex = regex(system, filter)?;
            Box::new(move |_, c| of(c).iter().any(|v| regex.is_match(v)))
        }
        _ => return Err(unknown(system, filter)),
    })
}

fn by_code<'t>(system: &'t CodeSystem, filter: &'t Filter, whole: bool) -> Result<Test<'t>, Problem> {
    let value = &*filter.value;
    if HIERARCHY.contains(&&*filter.op) {
        system.sound()?;
    }
    let Some(named) = system.find(value) else {
        return Ok(match &*filter.op {
            "is-not-a" => Box::new(|_, _| true),
            "is-a" | "descendent-of" | "descendent-leaf" | "child-of" | "generalizes" => Box::new(|_, _| false),
            _ => return by_words(system, filter),
        });
    };
    let below: Test<'t> = if whole && matches!(&*filter.op, "is-a" | "is-not-a" | "descendent-of" | "descendent-leaf") {
        let marked = system.below(named);
        Box::new(move |number, _| number != named && marked.get(number as usize) == Some(&true))
    } else {
        Box::new(move |number, _| number != named && system.subsumes(named, number))
    };
    Ok(match &*filter.op {
        "is-a" => Box::new(move |number, c| number == named || below(number, c)),
        "is-not-a" => Box::new(move |number, c| number != named && !below(number, c)),
        "descendent-of" => below,
        "descendent-leaf" => Box::new(move |number, c| c.children.is_empty() && below(number, c)),
        "child-of" => Box::new(move |_, c| c.parents.contains(&named)),
        "generalizes" => {
            let marked = system.above(named);
            Box::new(move |number, _| number == named || marked.get(number as usize) == Some(&true))
        }
        _ => return by_words(system, filter),
    })
}

fn by_words<'t>(system: &'t CodeSystem, filter: &'t Filter) -> Result<Test<'t>, Problem> {
    let value = &*filter.value;
    Ok(match &*filter.op {
        "=" => Box::new(move |_, c| *c.code == *value),
        "in" => {
            let wanted = list(value);
            Box::new(move |_, c| wanted.contains(&&*c.code))
        }
        "not-in" => {
            let wanted = list(value);
            Box::new(move |_, c| !wanted.contains(&&*c.code))
        }
        "exists" => Box::new(move |_, _| value == "true"),
        "regex" => {
            let regex = regex(system, filter)?;
            Box::new(move |_, c| regex.is_match(&c.code))
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
