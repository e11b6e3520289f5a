//! `_explain=true`: the answer also says how the search was read, by which index each step was answered, how many
//! resources each step finds, and how many rows were looked at.

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
        let found = snapshot.search(&query).await.map_err(outcome::of_store)?;
        issues.push(say(format!("step: {}: {} resources", step.text, found.total.unwrap_or_default())));
    }
    issues.push(say(format!("rows looked at for the answer: {searched}")));
    Ok(issues)
}
