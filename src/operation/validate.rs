//! `$validate` (R4 resource-operation-validate.html): would this resource be accepted, and does it keep some profiles?
//! Stores nothing.

use super::Call;
use crate::base::{Failure, Issue, IssueCode, Severity};
use crate::definitions::TypeId;
use crate::interaction::incoming::{parse, unsupported};
use crate::interaction::{Effect, Media, Reply, ReplyContent, read};
use crate::json::{Document, Limits, Value};
use crate::search;
use crate::validation::{Asked, Validator};

/// Profiles that one request may name.
const MOST_PROFILES: usize = 20;

/// What the parameters say besides the resource.
#[derive(Default)]
struct Parameters {
    mode: Option<String>,
    profiles: Vec<String>,
}

pub(super) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let Some(kind) = call.kind else { return Err(Failure::internal("$validate without a type")) };
    let mut given = Parameters::default();
    for (name, value) in search::pairs(&call.request.query)? {
        match name.as_str() {
            "mode" => given.mode = Some(value),
            "profile" => given.profiles.push(value),
            _ => {}
        }
    }
    let payload = call.request.body.as_ref().filter(|payload| !payload.bytes.is_empty());
    if let Some(payload) = payload.filter(|payload| payload.media != Media::Json) {
        return Err(unsupported(&payload.media));
    }
    let document = match payload.map(|payload| parse(&payload.bytes, &call.service.settings.limits)).transpose() {
        Ok(document) => document,
        // That the resource cannot be read is the answer, not a failure of the operation.
        Err(failure) => return Ok(answer(failure.issues)),
    };
    let resource = document.as_ref().map(Document::root).and_then(|root| {
        let parameters = root.get("resourceType").and_then(Value::as_plain) == Some("Parameters")
            && call.service.definitions.name(kind) != "Parameters";
        if parameters { from_parameters(root, &mut given) } else { Some(root) }
    });
    let mode = given.mode.as_deref();
    let fault = |code, why: &str| Err(Failure::malformed(code, why).at("Parameters.parameter"));
    match mode {
        None | Some("create" | "update" | "delete") => {}
        Some("profile") if given.profiles.is_empty() => {
            return fault(IssueCode::Required, "the mode 'profile' needs a parameter 'profile'");
        }
        Some("profile") => {}
        Some(_) => return fault(IssueCode::Value, "'mode' is one of create, update, delete and profile"),
    }
    if given.profiles.len() > MOST_PROFILES {
        return fault(IssueCode::TooCostly, "these are too many profiles");
    }
    let mut issues = Vec::new();
    // Nobody who asks for a profile by name is answered as if it had been looked at.
    let validator = call.service.validator_of(call.context).await?;
    for profile in given.profiles.iter().filter(|p| !validator.knows(p)) {
        let profile: String = profile.chars().take(200).collect();
        let message = format!("the profile {profile} is not known here, so that nothing was held against it");
        issues.push(Issue::error(IssueCode::NotFound, message));
    }
    given.profiles.retain(|p| validator.knows(p));
    let asked = Asked {
        profiles: given.profiles,
        columns: call.request.as_sent,
        // FHIR allows them (R4 extensibility.html), but nobody is answered as if they had been looked at.
        unknown_extensions: Some(Severity::Information),
        other_than_measure: Severity::Error,
        ..call.service.asked()
    };
    match (resource, mode) {
        (_, Some("delete")) => issues.extend(stored(&call, &validator, kind, None).await?),
        (Some(resource), _) => {
            issues.extend(judge(&call, &validator, kind, resource, &asked).await);
            if mode == Some("update") {
                issues.extend(under_id(&call, kind, resource));
            }
        }
        (None, _) if call.id.is_some() => issues.extend(stored(&call, &validator, kind, Some(&asked)).await?),
        (None, _) => return fault(IssueCode::Required, "there is no parameter 'resource'"),
    }
    Ok(answer(issues))
}

/// The resource in a Parameters resource; the other parameters go to `given`.
fn from_parameters<'d>(parameters: Value<'d>, given: &mut Parameters) -> Option<Value<'d>> {
    let mut resource = None;
    for parameter in parameters.get("parameter").into_iter().flat_map(Value::items) {
        let text = |names: &[&str]| {
            names.iter().find_map(|n| parameter.get(n).and_then(Value::as_str)).map(|t| t.into_owned())
        };
        match parameter.get("name").and_then(Value::as_plain) {
            Some("resource") => resource = parameter.get("resource"),
            Some("mode") => given.mode = text(&["valueCode", "valueString"]),
            Some("profile") => {
                given.profiles.extend(text(&["valueUri", "valueCanonical", "valueUrl", "valueString"]));
            }
            _ => {}
        }
    }
    resource
}

async fn judge(call: &Call<'_>, validator: &Validator, kind: TypeId, resource: Value<'_>, asked: &Asked) -> Vec<Issue> {
    match call.service.check_type(kind, resource) {
        Ok(()) => call.service.judged(call.context, validator, kind, resource, asked).await,
        Err(failure) => failure.issues,
    }
}

/// An update needs the id that the address names.
fn under_id(call: &Call<'_>, kind: TypeId, resource: Value<'_>) -> Option<Issue> {
    let place = format!("{}.id", call.service.definitions.name(kind));
    let own = resource.get("id").and_then(Value::as_str);
    match (own, &call.id) {
        (None, _) => Some(Issue::error(IssueCode::Required, "a resource that is updated has an id").at(place)),
        (Some(own), Some(id)) if own != id.as_str() => {
            Some(Issue::error(IssueCode::Value, "the id is not the one in the address").at(place))
        }
        _ => None,
    }
}

/// Whether the resource that is stored may be deleted, or is (still) legal.
async fn stored(
    call: &Call<'_>,
    validator: &Validator,
    kind: TypeId,
    validate: Option<&Asked>,
) -> Result<Vec<Issue>, Failure> {
    let Some(id) = &call.id else {
        return Err(Failure::malformed(IssueCode::Required, "a delete can only be validated on an instance"));
    };
    let newest = call.service.snapshot(call.context).await?.read(kind, id).await;
    let newest = newest.map_err(crate::interaction::outcome::of_store)?;
    let version = read::existing(call.service, kind, id, newest)?;
    let Some(asked) = validate else { return Ok(Vec::new()) };
    let json = version.to_json(call.service.definitions.name(kind)).unwrap_or_default();
    let document = parse(&json, &Limits::NONE)?;
    let asked = Asked { columns: false, ..asked.clone() };
    Ok(call.service.judged(call.context, validator, kind, document.root(), &asked).await)
}

fn answer(mut issues: Vec<Issue>) -> Reply {
    if issues.is_empty() {
        issues.push(Issue::new(Severity::Information, IssueCode::Informational, "no issues: the resource is valid"));
    }
    Reply::of(Effect::Ok, ReplyContent::Outcome(issues))
}
