//! `$package-add`, `$package-remove`, `$package-list`: the implementation guides that this server holds resources
//! against. Operations of this server's own; where there is access control, for administrators.

use super::Call;
use crate::access::{Caller, Role};
use crate::base::{Failure, FailureKind, IssueCode};
use crate::definitions::{Package, PackageInfo};
use crate::interaction::incoming::{parse, payload};
use crate::interaction::{Effect, Media, Reply, ReplyContent};
use crate::json::{Value, escape_into};
use crate::search;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Adds the package in the body: the archive itself, or Parameters with `package` as base64Binary.
pub(super) async fn add(call: Call<'_>) -> Result<Reply, Failure> {
    administrator(&call)?;
    let payload = payload(call.request)?;
    let bytes = match &payload.media {
        Media::Raw(_) => payload.bytes.clone(),
        Media::Json => {
            let document = parse(&payload.bytes, &call.service.settings.limits)?;
            let data = parameter(document.root(), "package").and_then(|p| p.get("valueBase64Binary")?.as_str());
            let Some(data) = data else { return Err(missing("package")) };
            let decoded = STANDARD.decode(data.split_ascii_whitespace().collect::<String>());
            decoded.map_err(|_| {
                Failure::malformed(IssueCode::Value, "'package' is not base64").at("Parameters.parameter")
            })?
        }
        other => return Err(crate::interaction::incoming::unsupported(other)),
    };
    let read = move || Package::read_archive(&bytes[..]);
    let package =
        tokio::task::spawn_blocking(read).await.map_err(|_| Failure::internal("reading a package panicked"))?;
    let package = package.map_err(|why| {
        let why = format!("this is no package that can be used: {why}");
        Failure::new(FailureKind::Unprocessable, IssueCode::Invalid, why)
    })?;
    let info = call.service.add_package(package).await?;
    Ok(listed(&[info]))
}

/// Removes the package that `name` and `version` name.
pub(super) async fn remove(call: Call<'_>) -> Result<Reply, Failure> {
    administrator(&call)?;
    let pairs = search::pairs(&call.request.query)?;
    let mut asked: Vec<(String, String)> = pairs.into_iter().collect();
    if let Some(body) = call.request.body.as_ref().filter(|b| b.media == Media::Json && !b.bytes.is_empty()) {
        let document = parse(&body.bytes, &call.service.settings.limits)?;
        for name in ["name", "version"] {
            let value = parameter(document.root(), name).and_then(|p| p.get("valueString")?.as_str());
            asked.extend(value.map(|v| (name.to_owned(), v.into_owned())));
        }
    }
    let of = |name: &str| asked.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()).ok_or_else(|| missing(name));
    let (name, version) = (of("name")?, of("version")?);
    if !call.service.remove_package(&name, &version).await? {
        return Err(Failure::not_found("no such package is loaded"));
    }
    Ok(listed(&call.service.packages()))
}

/// Lists the packages.
pub(super) async fn list(call: Call<'_>) -> Result<Reply, Failure> {
    administrator(&call)?;
    Ok(listed(&call.service.packages()))
}

fn administrator(call: &Call<'_>) -> Result<(), Failure> {
    match &call.context.caller {
        Caller::Open => Ok(()),
        Caller::Known(principal) if principal.role == Some(Role::Administrator) => Ok(()),
        Caller::Known(_) => {
            let why = "packages are for administrators";
            Err(Failure::new(FailureKind::Forbidden, IssueCode::Forbidden, why))
        }
    }
}

fn parameter<'d>(parameters: Value<'d>, name: &str) -> Option<Value<'d>> {
    parameters.get("parameter")?.items().find(|p| p.get("name").and_then(Value::as_plain) == Some(name))
}

fn missing(name: &str) -> Failure {
    Failure::malformed(IssueCode::Required, format!("there is no parameter '{name}'")).at("Parameters.parameter")
}

fn listed(packages: &[PackageInfo]) -> Reply {
    let mut out = String::from(r#"{"resourceType":"Parameters""#);
    for (i, package) in packages.iter().enumerate() {
        out.push_str(if i == 0 { r#","parameter":["# } else { "," });
        out.push_str(r#"{"name":"package","part":[{"name":"name","valueString":"#);
        escape_into(&package.name, &mut out);
        out.push_str(r#"},{"name":"version","valueString":"#);
        escape_into(&package.version, &mut out);
        out.push_str(&format!(r#"}},{{"name":"resources","valueInteger":{}}}]}}"#, package.resources));
    }
    out.push_str(if packages.is_empty() { "}" } else { "]}" });
    Reply::of(Effect::Ok, ReplyContent::Json(out.into_bytes()))
}
