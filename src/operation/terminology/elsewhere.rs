//! What is not held here is asked of an outside terminology server, where the settings name one: the same operation
//! with the same parameters, once it turned out that a code system, value set or concept map is missing here. What it is
//! told is what the caller asked; its answer goes back as it is. Where it does not know either, our own answer stands.

use super::translate::NO_MAP;
use crate::base::{Failure, FailureKind, IssueCode, agent};
use crate::interaction::{Context, Effect, Reply, ReplyContent, Request, Service, Verb};
use crate::json::Tree;
use std::sync::OnceLock;
use std::time::Duration;

/// The operations that can be asked elsewhere.
const OPERATIONS: [&str; 5] = ["expand", "lookup", "subsumes", "translate", "validate-code"];
/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer at most.
const LARGEST: u64 = 64 << 20;

/// The answer of an operation, by another server where that is needed, configured and of use.
pub(in crate::operation) async fn or_elsewhere(
    service: &Service,
    context: &Context,
    request: &Request,
    (kind, name): (&str, &str),
    done: Result<Reply, Failure>,
) -> Result<Reply, Failure> {
    let Some(server) = &service.settings.terminology_server else { return done };
    if !OPERATIONS.contains(&name) || !is_missing(&done, name) {
        return done;
    }
    let mut url = format!("{}/{kind}/${name}", server.trim_end_matches('/'));
    let body = match request.verb {
        Verb::Post => Some(request.body.as_ref().map(|body| body.bytes.to_vec()).unwrap_or_default()),
        _ => None,
    };
    if !request.query.is_empty() {
        url = format!("{url}?{}", request.query);
    }
    let language = context.language.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&url, language.as_deref(), body));
    match asked.await.map_err(Failure::internal)? {
        Ok((200, bytes)) if Tree::parse(&bytes).is_ok_and(|answer| answer.get("resourceType").is_some()) => {
            Ok(Reply::of(Effect::Ok, ReplyContent::Json(bytes)))
        }
        Ok((status, _)) => {
            tracing::debug!(status, "the outside terminology server has no answer either");
            done
        }
        Err(error) => {
            tracing::warn!(%error, "the outside terminology server cannot be asked");
            let why = "what is asked for is not held here, and the outside terminology server does not answer";
            Err(Failure::new(FailureKind::Unavailable, IssueCode::Transient, why))
        }
    }
}

/// Whether an answer says that a code system, value set or concept map is not held here.
fn is_missing(done: &Result<Reply, Failure>, operation: &str) -> bool {
    match done {
        Err(failure) => {
            let unknown = |id: &str| {
                ["UNKNOWN_CODESYSTEM", "Unable_to_resolve_value_Set_", "VS_EXP_IMPORT_UNK"]
                    .iter()
                    .any(|begin| id.starts_with(begin))
            };
            failure.issues.iter().filter_map(|issue| issue.details.as_ref()).any(|details| unknown(details.id))
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

fn ask(url: &str, language: Option<&str>, body: Option<Vec<u8>>) -> Result<(u16, Vec<u8>), ureq::Error> {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    let agent = AGENT.get_or_init(|| agent(PATIENCE));
    let language = language.unwrap_or("*");
    let fhir = "application/fhir+json";
    let answer = match body {
        None => agent.get(url).header("accept", fhir).header("accept-language", language).call()?,
        Some(body) => {
            let asked = agent.post(url).header("accept", fhir).header("accept-language", language);
            asked.header("content-type", fhir).send(body.as_slice())?
        }
    };
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().into_with_config().limit(LARGEST).read_to_vec()?))
}
