//! `_explain=true`: the answer also says how the search was read, by which index each step is answered, how many
//! resources each step finds and how many rows are looked at for that when it is asked alone, and how many rows were
//! looked at for the answer.

use super::outcome;
use crate::base::{Failure, Issue, IssueCode, Severity};
use crate::definitions::Definitions;
use crate::search::Plan;
use crate::store::{Budget, Query, Snapshot};

/// The account of a search, as issues for information.
pub(super) async fn account(
    definitions: &Definitions,
    snapshot: &dyn Snapshot,
    plan: &Plan,
    budget: &Budget,
) -> Result<Vec<Issue>, Failure> {
    let say = |text: String| Issue::new(Severity::Information, IssueCode::Informational, text);
    let searched = budget.spent();
    let mut issues: Vec<Issue> = plan.shape(definitions).into_iter().map(say).collect();
    for step in plan.steps(definitions) {
        let query = Query {
            kinds: step.kinds,
            condition: step.condition,
            sort: Vec::new(),
            after: None,
            skip: 0,
            limit: 0,
            total: true,
            budget: budget.clone(),
        };
        let before = budget.spent();
        let found = snapshot.search(&query).await.map_err(outcome::of_store)?;
        let (rows, total) = (budget.spent().saturating_sub(before), found.total.unwrap_or_default());
        issues.push(say(format!("step: {}: {total} resources, {rows} rows looked at", step.text)));
    }
    issues.push(say(format!("rows looked at for the answer: {searched}")));
    Ok(issues)
}
