//! What the tests of a `_filter` mean: path, operator and value become a condition, as the parameters of a query string
//! do. The grammar is in `expression`.

use super::codes::CodesOf;
use super::expression::{Expression, Segment, Test, parse};
use super::filter::{Filters, targets};
use super::modifier::Modifier;
use super::refusal::{Refusal, brief};
use super::value::{Question, is_served};
use crate::definitions::{SearchKind, SearchParameter, TypeId};
use crate::index::Condition;
use crate::index::criteria::{self, Comparator, StringMatch, UriMatch};

/// The condition of a filter on resources of these types.
pub(super) fn condition(filters: &Filters<'_>, kinds: &[TypeId], text: &str) -> Result<Condition, Refusal> {
    let expression = parse(text).map_err(|wrong| {
        Refusal::illegal(format!("'_filter': {} at character {} of '{}'", wrong.why, wrong.at + 1, brief(text)))
    })?;
    read(filters, kinds, &expression)
}

fn read(filters: &Filters<'_>, kinds: &[TypeId], expression: &Expression) -> Result<Condition, Refusal> {
    let all = |all: &[Expression]| all.iter().map(|e| read(filters, kinds, e)).collect::<Result<Vec<_>, _>>();
    Ok(match expression {
        Expression::And(conditions) => Condition::all(all(conditions)?),
        Expression::Or(conditions) => Condition::any(all(conditions)?),
        Expression::Not(inner) => not(read(filters, kinds, inner)?),
        Expression::Test(test) => path(filters, kinds, &test.path, test)?,
    })
}

fn not(condition: Condition) -> Condition {
    match condition {
        Condition::Everything => Condition::Nothing,
        Condition::Nothing => Condition::Everything,
        other => Condition::Not(Box::new(other)),
    }
}

/// One step of a path.
fn path(filters: &Filters<'_>, kinds: &[TypeId], path: &[Segment], test: &Test) -> Result<Condition, Refusal> {
    let Some((first, rest)) = path.split_first() else { return Ok(Condition::Nothing) };
    if let Some(has) = first.name.strip_prefix("_has:") {
        return reverse(filters, kinds, has, rest, test);
    }
    let (code, kind) = first.name.split_once(':').map_or((&*first.name, None), |(code, kind)| (code, Some(kind)));
    let definitions = filters.reader.definitions;
    // The specification's own examples write `id` for `_id`.
    let code = if code == "id" { "_id" } else { code };
    filters.indexed(kinds, code)?;
    if let Some(without) = kinds.iter().find(|k| definitions.search_parameter(**k, code).is_none()) {
        return Err(filters.unknown(*without, kinds.len(), code).within("_filter"));
    }
    if rest.is_empty() {
        let positive = filters.each(kinds, code, |p| leaf(filters, p, test))?;
        // Under several types the code may belong to several parameters: it is none of them that has such a value.
        return Ok(if negates(test) { not(positive) } else { positive });
    }
    filters.each(kinds, code, |p| {
        if p.kind == SearchKind::Composite {
            return composite(filters, p, first, rest, test);
        }
        if p.kind != SearchKind::Reference {
            let kind = p.kind.code();
            return Err(Refusal::illegal(format!(
                "'_filter': '{code}' is a {kind} parameter and leads to no resource"
            )));
        }
        let mut targets = targets(definitions, p);
        if let Some(name) = kind {
            let wanted = definitions.resource(name);
            targets.retain(|t| Some(*t) == wanted);
        }
        if let Some(next) = rest.first().filter(|next| !next.name.starts_with("_has:")) {
            let next = next.name.split(':').next().unwrap_or_default();
            let next = if next == "id" { "_id" } else { next };
            filters.indexed(&targets, next)?;
            targets.retain(|t| definitions.search_parameter(*t, next).is_some());
        }
        if targets.is_empty() {
            return Err(Refusal::illegal(format!("'_filter': nothing that '{code}' refers to can be tested so")));
        }
        filters.spend_step("_filter")?;
        let narrowed = first.filter.as_ref().map(|filter| read(filters, &targets, filter)).transpose()?;
        let condition = Condition::all(narrowed.into_iter().chain([self::path(filters, &targets, rest, test)?]));
        Ok(Condition::Chain { parameter: p.number, targets, condition: Box::new(condition) })
    })
}

/// `_has:Type:reference:parameter`
fn reverse(
    filters: &Filters<'_>,
    kinds: &[TypeId],
    has: &str,
    rest: &[Segment],
    test: &Test,
) -> Result<Condition, Refusal> {
    let bad = || Refusal::illegal("'_filter': '_has' is written as _has:[type]:[reference parameter]:[parameter]");
    let mut parts = has.splitn(3, ':');
    let (Some(source), Some(code), Some(next)) = (parts.next(), parts.next(), parts.next()) else { return Err(bad()) };
    let definitions = filters.reader.definitions;
    let source = definitions.resource(source).ok_or_else(bad)?;
    let p = definitions.search_parameter(source, code).ok_or_else(|| filters.unknown(source, 1, code))?;
    if p.kind != SearchKind::Reference || !targets(definitions, p).iter().any(|t| kinds.contains(t)) {
        return Err(Refusal::illegal(format!("'_filter': '{code}' does not refer to what is searched")));
    }
    filters.spend_step("_filter")?;
    let mut inner = vec![Segment { name: next.to_owned(), filter: None }];
    inner.extend_from_slice(rest);
    let condition = Box::new(path(filters, &[source], &inner, test)?);
    Ok(Condition::Reverse { source, parameter: p.number, condition })
}

/// `composite[component eq value].component eq value`: both in one repetition.
fn composite(
    filters: &Filters<'_>,
    p: &SearchParameter,
    first: &Segment,
    rest: &[Segment],
    test: &Test,
) -> Result<Condition, Refusal> {
    let bad = || {
        let names: Vec<_> = p.components.iter().filter_map(|c| filters.reader.component(c)).map(|c| &*c.code).collect();
        let code = &p.code;
        Refusal::illegal(format!(
            "'_filter': of the composite '{code}' one component is tested in brackets and the other behind it, both with \
             eq; its components are {}",
            names.join(" and ")
        ))
    };
    let (Some(Expression::Test(inner)), [last]) = (&first.filter, rest) else { return Err(bad()) };
    let ([own], 2) = (inner.path.as_slice(), p.components.len()) else { return Err(bad()) };
    let mut parts = Vec::new();
    for component in &p.components {
        let definition = filters.reader.component(component).ok_or_else(bad)?;
        let is = |segment: &Segment| {
            *definition.code == *segment.name || definition.code.ends_with(&format!("-{}", segment.name))
        };
        let test = if is(own) {
            inner
        } else if is(last) {
            test
        } else {
            return Err(bad());
        };
        parts.push(question(filters, definition, test)?.ok_or_else(bad)?);
    }
    Ok(filters.condition(p, &Question::Composite(parts)))
}

/// The operators of a type of parameter.
fn operators(p: &SearchParameter) -> &'static [&'static str] {
    match p.kind {
        SearchKind::String if matches!(&*p.code, "_text" | "_content") => &["eq", "co", "pr"],
        SearchKind::String => &["eq", "ne", "co", "sw", "ew", "pr"],
        SearchKind::Token => &["eq", "ne", "in", "ni", "ss", "sb", "pr"],
        SearchKind::Date | SearchKind::Number | SearchKind::Quantity => {
            &["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "po", "pr"]
        }
        SearchKind::Reference => &["eq", "ne", "re", "pr"],
        SearchKind::Uri => &["eq", "ne", "co", "sw", "ew", "pr"],
        SearchKind::Composite => &["eq"],
        SearchKind::Special => &["eq"],
    }
}

/// Whether a test asks that there is no such value.
fn negates(test: &Test) -> bool {
    test.operator == "ni" || (test.operator == "pr" && test.value == "false")
}

/// A test on a parameter itself; where it negates, what there must not be.
fn leaf(filters: &Filters<'_>, p: &SearchParameter, test: &Test) -> Result<Condition, Refusal> {
    if !is_served(p) || &*p.code == "_filter" {
        return Err(Refusal::illegal(format!("'_filter': '{}' cannot be tested", p.code)));
    }
    let legal = operators(p);
    if !legal.contains(&&*test.operator) {
        return Err(Refusal::illegal(format!(
            "'_filter': the operator '{}' does not go with the {} parameter '{}'; it takes {}",
            brief(&test.operator),
            p.kind.code(),
            p.code,
            legal.join(", ")
        )));
    }
    if test.operator == "pr" {
        return match &*test.value {
            "true" | "false" => Ok(filters.condition(p, &Question::Present)),
            _ => Err(Refusal::value("_filter", &test.value, "true or false, as 'pr' asks")),
        };
    }
    let of = match (p.kind, &*test.operator) {
        (SearchKind::Token, "in" | "ni") => Some(CodesOf::ValueSet),
        (SearchKind::Token, "ss") => Some(CodesOf::Below),
        (SearchKind::Token, "sb") => Some(CodesOf::Above),
        _ => None,
    };
    if let Some(of) = of {
        let questions = filters.reader.codes(of, "_filter", &test.value)?;
        filters.spend(questions.len(), "_filter")?;
        return Ok(Condition::any(questions.iter().map(|q| filters.condition(p, q))));
    }
    let question = question(filters, p, test)?
        .ok_or_else(|| Refusal::illegal(format!("'_filter': '{}' cannot be tested so", p.code)))?;
    let condition = filters.condition(p, &question);
    let unordered = matches!(p.kind, SearchKind::String | SearchKind::Token | SearchKind::Reference | SearchKind::Uri);
    if test.operator == "ne" && unordered {
        // An item of the set has another value.
        return criteria::others(&condition)
            .ok_or_else(|| Refusal::illegal(format!("'_filter': 'ne' with '{}' needs a whole value", p.code)));
    }
    Ok(condition)
}

/// The question that a test asks.
fn question(filters: &Filters<'_>, p: &SearchParameter, test: &Test) -> Result<Option<Question>, Refusal> {
    let value = test.value.as_str();
    // In quotes nothing has to be escaped.
    let escaped =
        if test.quoted && p.kind != SearchKind::Composite { value.replace('\\', "\\\\") } else { value.to_owned() };
    let plain = || filters.reader.one(p, Modifier::None, "_filter", &escaped);
    let comparator = match &*test.operator {
        "eq" => Comparator::Eq,
        "ne" => Comparator::Ne,
        "gt" => Comparator::Gt,
        "lt" => Comparator::Lt,
        "ge" => Comparator::Ge,
        "le" => Comparator::Le,
        "sa" => Comparator::Sa,
        "eb" => Comparator::Eb,
        "ap" => Comparator::Ap,
        "po" => Comparator::Po,
        _ => Comparator::Eq,
    };
    Ok(Some(match p.kind {
        SearchKind::String if matches!(&*p.code, "_text" | "_content") => plain()?,
        SearchKind::String => {
            let how = match &*test.operator {
                "co" => StringMatch::Contains,
                "sw" => StringMatch::Starts,
                "ew" => StringMatch::Ends,
                _ => StringMatch::Equals,
            };
            Question::String { value: value.to_owned(), how }
        }
        SearchKind::Uri => {
            let how = match &*test.operator {
                "co" => UriMatch::Contains,
                "sw" => UriMatch::Starts,
                "ew" => UriMatch::Ends,
                _ => UriMatch::Exact,
            };
            Question::Uri { value: value.to_owned(), how }
        }
        SearchKind::Date | SearchKind::Number | SearchKind::Quantity => match plain()? {
            Question::Date { value, .. } => Question::Date { comparator, value },
            Question::Number { value, .. } => Question::Number { comparator, value },
            Question::Quantity { value, unit, .. } => Question::Quantity { comparator, value, unit },
            other => other,
        },
        _ => plain()?,
    }))
}
