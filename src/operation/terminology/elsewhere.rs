//! What is not held here is asked of an outside terminology server, where the settings name one: the same operation
//! with the same parameters, once it turned out that a code system, value set or concept map is missing here. What it is
//! told is what the caller asked; its answer goes back as it is. Where it does not know either, our own answer stands.

use super::translate::NO_MAP;
use crate::base::{Failure, FailureKind, IssueCode};
use crate::interaction::outside::{Away, Call, PATIENCE};
use crate::interaction::{Context, Effect, Reply, ReplyContent, Request, Service, Verb};
use crate::json::Tree;
use crate::terminology::Problem;
use std::time::Instant;

/// The operations that can be asked elsewhere.
const OPERATIONS: [&str; 5] = ["expand", "lookup", "subsumes", "translate", "validate-code"];

/// The answer of an operation, by another server where that is needed, configured and of use.
pub(in crate::operation) async fn or_elsewhere(
    service: &Service,
    context: &Context,
    request: &Request,
    (kind, name): (&str, &str),
    done: Result<Reply, Failure>,
) -> Result<Reply, Failure> {
    if !service.outside.is_there() || !OPERATIONS.contains(&name) || !is_missing(&done, name) {
        return done;
    }
    let mut path = format!("{kind}/${name}");
    let body = match request.verb {
        Verb::Post => Some(request.body.as_ref().map(|body| body.bytes.to_vec()).unwrap_or_default()),
        _ => None,
    };
    if !request.query.is_empty() {
        path = format!("{path}?{}", request.query);
    }
    let call = Call { path, language: context.language.clone(), body };
    match service.outside.call(call, Instant::now() + PATIENCE).await {
        Ok((200, bytes)) if Tree::parse(&bytes).is_ok_and(|answer| answer.get("resourceType").is_some()) => {
            Ok(Reply::of(Effect::Ok, ReplyContent::Json(bytes)))
        }
        Ok((status, _)) => {
            tracing::debug!(status, "the outside terminology server has no answer either");
            done
        }
        Err(Away) => {
            let why = "what is asked for is not held here, and the outside terminology server does not answer";
            Err(Failure::new(FailureKind::Unavailable, IssueCode::Transient, why))
        }
    }
}

/// Whether an answer says that a code system, value set or concept map is not held here.
fn is_missing(done: &Result<Reply, Failure>, operation: &str) -> bool {
    match done {
        Err(failure) => {
            let mut details = failure.issues.iter().filter_map(|issue| issue.details.as_ref());
            details.any(|details| Problem::says_missing(details.id))
        }
        Ok(reply) => {
            let ReplyContent::Json(bytes) = &reply.content else { return false };
            let Ok(answer) = Tree::parse(bytes) else { return false };
            let parameters = answer.get("parameter").map_or(&[][..], Tree::items);
            if operation == "translate" {
                return parameters.iter().any(|p| p.get("valueString").and_then(Tree::as_str) == Some(NO_MAP));
            }
            let names = ["x-unknown-system", "x-caused-by-unknown-system"];
            parameters.iter().filter_map(|p| p.get("name")?.as_str()).any(|name| names.contains(&name))
        }
    }
}
