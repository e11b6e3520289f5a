//! `$reindex-status`: which search parameters were added to those of the specification, whether searches can use them,
//! how far the indexing is that they wait for, and which could not be taken. An operation of this server's own; where
//! there is access control, for administrators.

use super::Call;
use crate::base::Failure;
use crate::interaction::search_parameters::{LeftOut, Listed};
use crate::interaction::{Effect, Reply, ReplyContent};
use crate::json::Tree;

pub(super) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let standing = call.service.standing();
    let indexing = &standing.indexing;
    let failed = standing.refused.as_ref().or(indexing.failed.as_ref());
    let status = match (failed, indexing.asked || indexing.running) {
        (_, true) => "in-progress",
        (Some(_), false) => "failed",
        (None, false) => "completed",
    };
    let mut parameters = vec![
        part("status", "valueCode", Tree::string(status)),
        part("done", "valueDecimal", Tree::Number(indexing.done.to_string())),
        part("total", "valueDecimal", Tree::Number(indexing.all.to_string())),
    ];
    parameters.extend(failed.map(|why| part("reason", "valueString", Tree::string(why.as_str()))));
    parameters.extend(standing.parameters.iter().map(listed));
    parameters.extend(standing.left_out.iter().map(left_out));
    let answer = [("resourceType", Tree::string("Parameters")), ("parameter", Tree::Array(parameters))];
    Ok(Reply::of(Effect::Ok, ReplyContent::Json(Tree::object(answer).to_json().into_bytes())))
}

fn part(name: &str, of: &str, value: Tree) -> Tree {
    Tree::object([("name", Tree::string(name)), (of, value)])
}

fn group(name: &str, parts: Vec<Tree>) -> Tree {
    Tree::object([("name", Tree::string(name)), ("part", Tree::Array(parts))])
}

fn listed(listed: &Listed) -> Tree {
    let Listed { parameter, ready } = listed;
    let mut parts = vec![
        part("url", "valueUri", Tree::string(parameter.url.as_str())),
        part("code", "valueCode", Tree::string(parameter.code.as_str())),
        part("source", "valueString", Tree::string(parameter.origin.as_str())),
        part("ready", "valueBoolean", Tree::Bool(*ready)),
    ];
    parts.extend(parameter.bases.iter().map(|base| part("base", "valueCode", Tree::string(base.as_str()))));
    group("parameter", parts)
}

fn left_out(of: &LeftOut) -> Tree {
    let mut parts = vec![
        part("url", "valueUri", Tree::string(of.url.as_str())),
        part("source", "valueString", Tree::string(of.origin.as_str())),
    ];
    for issue in &of.issues {
        let place = issue.expression.as_deref().unwrap_or("SearchParameter");
        parts.push(part("reason", "valueString", Tree::string(format!("{place}: {}", issue.diagnostics))));
    }
    group("leftOut", parts)
}
