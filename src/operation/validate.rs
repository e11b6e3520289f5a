//! `$validate` (R4 resource-operation-validate.html): would this resource be accepted? Stores nothing. Profiles other
//! than the base definitions are not known yet.

use super::Call;
use crate::base::{Failure, Issue, IssueCode, Severity};
use crate::definitions::TypeId;
use crate::interaction::incoming::{parse, payload, unsupported};
use crate::interaction::{Effect, Media, Reply, ReplyContent, Service, read};
use crate::json::{Limits, Value};
use crate::search;

/// What the parameters say besides the resource.
#[derive(Default)]
struct Asked {
    mode: Option<String>,
    profile: Option<String>,
}

pub(super) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let Some(kind) = call.kind else { return Err(Failure::internal("$validate without a type")) };
    let mut asked = Asked::default();
    for (name, value) in search::pairs(&call.request.query)? {
        match name.as_str() {
            "mode" => asked.mode = Some(value),
            "profile" => asked.profile = Some(value),
            _ => {}
        }
    }
    let payload = payload(call.request)?;
    if payload.media != Media::Json {
        return Err(unsupported(&payload.media));
    }
    let document = match parse(&payload.bytes, &call.service.settings.limits) {
        Ok(document) => document,
        // That the resource cannot be read is the answer, not a failure of the operation.
        Err(failure) => return Ok(answer(failure.issues)),
    };
    let root = document.root();
    let parameters = root.get("resourceType").and_then(Value::as_plain) == Some("Parameters")
        && call.service.definitions.name(kind) != "Parameters";
    let resource = if parameters { from_parameters(root, &mut asked) } else { Some(root) };
    let mut issues = Vec::new();
    match asked.mode.as_deref() {
        None | Some("create" | "update" | "delete") => {}
        Some(_) => {
            let message = "'mode' is one of create, update and delete";
            return Err(Failure::malformed(IssueCode::Value, message).at("Parameters.parameter"));
        }
    }
    if let Some(profile) = &asked.profile {
        let profile: String = profile.chars().take(200).collect();
        issues.push(Issue::warning(
            IssueCode::NotSupported,
            format!(
                "the resource was not held against the profile {profile}: profiles are not known to this server yet"
            ),
        ));
    }
    match (resource, asked.mode.as_deref()) {
        (Some(resource), _) => issues.extend(judge(call.service, kind, resource)),
        (None, Some("delete")) => issues.extend(stored(&call, kind, false).await?),
        (None, _) if call.id.is_some() => issues.extend(stored(&call, kind, true).await?),
        (None, _) => {
            return Err(
                Failure::malformed(IssueCode::Required, "there is no parameter 'resource'").at("Parameters.parameter")
            );
        }
    }
    Ok(answer(issues))
}

/// The resource in a Parameters resource; the other parameters go to `asked`.
fn from_parameters<'d>(parameters: Value<'d>, asked: &mut Asked) -> Option<Value<'d>> {
    let mut resource = None;
    for parameter in parameters.get("parameter").into_iter().flat_map(Value::items) {
        let text = |names: &[&str]| {
            names.iter().find_map(|n| parameter.get(n).and_then(Value::as_str)).map(|t| t.into_owned())
        };
        match parameter.get("name").and_then(Value::as_plain) {
            Some("resource") => resource = parameter.get("resource"),
            Some("mode") => asked.mode = text(&["valueCode", "valueString"]),
            Some("profile") => asked.profile = text(&["valueUri", "valueCanonical", "valueUrl", "valueString"]),
            _ => {}
        }
    }
    resource
}

fn judge(service: &Service, kind: TypeId, resource: Value<'_>) -> Vec<Issue> {
    match service.check_type(kind, resource) {
        Ok(()) => service.validator.validate(Some(kind), resource),
        Err(failure) => failure.issues,
    }
}

/// Whether the resource that is stored may be deleted, or is (still) legal.
async fn stored(call: &Call<'_>, kind: TypeId, validate: bool) -> Result<Vec<Issue>, Failure> {
    let Some(id) = &call.id else {
        return Err(Failure::malformed(IssueCode::Required, "a delete can only be validated on an instance"));
    };
    let newest = call.service.snapshot(call.context).await?.read(kind, id).await;
    let newest = newest.map_err(crate::interaction::outcome::of_store)?;
    let version = read::existing(call.service, kind, id, newest)?;
    if !validate {
        return Ok(Vec::new());
    }
    let json = version.to_json(call.service.definitions.name(kind)).unwrap_or_default();
    let document = parse(&json, &Limits::NONE)?;
    Ok(call.service.validator.validate(Some(kind), document.root()))
}

fn answer(mut issues: Vec<Issue>) -> Reply {
    if issues.is_empty() {
        issues.push(Issue::new(Severity::Information, IssueCode::Informational, "no issues: the resource is valid"));
    }
    Reply::of(Effect::Ok, ReplyContent::Outcome(issues))
}
