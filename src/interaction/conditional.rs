//! Criteria of the conditional forms (R4 http.html#ccreate, #cond-update, #cdelete) and what they match. Writes
//! nothing: the caller guards its write with the same criteria, so that a race is noticed and tried again.

use super::{Context, Request, Service, outcome};
use crate::base::{Failure, FailureKind, IssueCode};
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::search;
use crate::store::{Budget, Query, Snapshot, Version};

/// What criteria match.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing.
    None,
    /// One resource.
    One(Box<Version>),
    /// More than one.
    Many,
}

/// The criteria of a conditional create: `If-None-Exist`, or the query string of `POST [type]?…`.
pub(super) fn of_create(request: &Request) -> Result<Option<String>, Failure> {
    let query = without_presentation(&request.query);
    match (&request.preconditions.if_none_exist, query.as_str()) {
        (Some(_), query) if !query.is_empty() => Err(Failure::malformed(
            IssueCode::Invalid,
            "criteria stand in If-None-Exist or in the address, not in both",
        )),
        (Some(header), _) => {
            let header = header.trim();
            // Some clients send the whole search, with the type in front; a `?` further behind is part of a value.
            let search = header.split_once('?').filter(|(before, _)| !before.contains('='));
            Ok(Some(search.map_or(header, |(_, criteria)| criteria).to_owned()))
        }
        (None, "") => Ok(None),
        (None, query) => Ok(Some(query.to_owned())),
    }
}

/// The criteria in the address of a conditional update, patch or delete; without them the request is refused.
pub(super) fn of_address(request: &Request) -> Result<String, Failure> {
    let criteria = without_presentation(&request.query);
    if criteria.is_empty() {
        return Err(Failure::malformed(
            IssueCode::Required,
            "neither an id nor criteria: this interaction needs [type]/[id] or [type]?criteria",
        ));
    }
    Ok(criteria)
}

/// A query string without what only says how the answer is written.
fn without_presentation(query: &str) -> String {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !matches!(pair.split('=').next(), Some("_format" | "_pretty")))
        .collect();
    kept.join("&")
}

/// The condition that criteria mean. Anything that is not known makes them useless, so it is refused.
pub(crate) fn criteria(
    service: &Service,
    context: &Context,
    kind: TypeId,
    criteria: &str,
) -> Result<Condition, Failure> {
    let options = service.search_options(context, super::Handling::Strict);
    search::criteria(&service.search_definitions(), kind, criteria, &options)
}

/// What a condition matches.
pub(crate) async fn find(
    snapshot: &dyn Snapshot,
    budget: &Budget,
    kind: TypeId,
    condition: &Condition,
) -> Result<Found, Failure> {
    let mut rows = rows(snapshot, budget, kind, condition, 2).await?;
    Ok(match (rows.pop(), rows.pop()) {
        (None, _) => Found::None,
        (Some(one), None) => Found::One(Box::new(one)),
        _ => Found::Many,
    })
}

/// The first matches of a condition.
pub(crate) async fn rows(
    snapshot: &dyn Snapshot,
    budget: &Budget,
    kind: TypeId,
    condition: &Condition,
    limit: usize,
) -> Result<Vec<Version>, Failure> {
    let query = Query {
        kinds: vec![kind],
        condition: condition.clone(),
        sort: Vec::new(),
        after: None,
        skip: 0,
        limit,
        total: false,
        budget: budget.clone(),
    };
    Ok(snapshot.search(&query).await.map_err(outcome::of_store)?.rows)
}

/// The failure where criteria match several resources.
pub(crate) fn several() -> Failure {
    Failure::new(
        FailureKind::PreconditionFailed,
        IssueCode::MultipleMatches,
        "the criteria match more than one resource",
    )
}
