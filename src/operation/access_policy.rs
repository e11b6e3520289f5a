//! `$access-policy`: the policies of the roles, to be read and changed by an administrator. A policy is a Parameters
//! resource of the form that `access` describes; GET gives one or all of them, POST replaces one.

use super::Call;
use crate::access::{Policy, policy_names};
use crate::base::{Failure, FailureKind, IssueCode};
use crate::interaction::incoming::{payload, unsupported};
use crate::interaction::{Effect, Media, Reply, ReplyContent, Verb};
use crate::json::Tree;
use crate::search;

pub(super) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    match call.request.verb {
        Verb::Get | Verb::Head => show(call).await,
        _ => replace(call).await,
    }
}

async fn show(call: Call<'_>) -> Result<Reply, Failure> {
    let asked = search::pairs(&call.request.query)?;
    let role = asked.iter().find(|(name, _)| name == "role").map(|(_, role)| role.as_str());
    let mut policies = Vec::new();
    for name in policy_names().filter(|name| role.is_none_or(|role| role == *name)) {
        let policy = call.service.policy(call.context.tenant, name).await?;
        let resource = policy.to_tree(&call.service.definitions);
        policies.push(Tree::object([("name", Tree::string("policy")), ("resource", resource)]));
    }
    if policies.is_empty() {
        return Err(Failure::not_found("there is no policy of this name"));
    }
    Ok(answer(Tree::object([("resourceType", Tree::string("Parameters")), ("parameter", Tree::Array(policies))])))
}

async fn replace(call: Call<'_>) -> Result<Reply, Failure> {
    let payload = payload(call.request)?;
    if payload.media != Media::Json {
        return Err(unsupported(&payload.media));
    }
    let document = crate::interaction::incoming::parse(&payload.bytes, &call.service.settings.limits)?;
    let policy = Policy::parse(&Tree::from(document.root()), &call.service.definitions)
        .map_err(|why| Failure::new(FailureKind::Unprocessable, IssueCode::Invalid, why).at("Parameters.parameter"))?;
    call.service.set_policy(call.context, &policy).await?;
    Ok(answer(policy.to_tree(&call.service.definitions)))
}

fn answer(tree: Tree) -> Reply {
    Reply::of(Effect::Ok, ReplyContent::Json(tree.to_json().into_bytes()))
}
