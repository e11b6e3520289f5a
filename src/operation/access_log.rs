//! Patient `$access-log`: who has seen or changed a patient's record, newest first, for the patient and for auditors.
//! Shows the records of the audit trail that name the patient, without what they tell about anybody else: other
//! patients, what was asked for, network addresses, tokens.

use super::Call;
use crate::access::{Caller, Role};
use crate::base::{Failure, FailureKind, Issue, IssueCode, ResourceId, Severity};
use crate::definitions::TypeId;
use crate::interaction::{Effect, Reply, ReplyContent, search as searching};
use crate::json::{Document, Limits, Tree};
use crate::search::{self, Scope};
use crate::store::Body;

pub(super) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let (Some(kind), Some(id)) = (call.kind, call.id.clone()) else {
        return Err(Failure::internal("$access-log without a patient"));
    };
    allowed(&call, kind, &id)?;
    let service = call.service;
    let event = service.definitions.resource("AuditEvent").ok_or_else(|| Failure::internal("no AuditEvent"))?;
    let own = format!("Patient/{id}");
    let mut asked = vec![("patient".to_owned(), own.clone()), ("_sort".to_owned(), "-date".to_owned())];
    let given = search::pairs(&call.request.query)?;
    asked.extend(given.into_iter().filter(|(name, _)| matches!(name.as_str(), "_count" | "_page" | "date")));
    let options = service.search_options(call.context, call.request.prefer.handling);
    let plan = search::plan(&service.definitions, &Scope::Type(event), &asked, &options)?;
    // Whoever may ask for this sees the records in this form only, so they are read behind the gate.
    let mut trail = call.context.clone();
    (trail.caller, trail.trail) = (Caller::Open, true);
    let mut found = searching::run(service, &trail, &plan).await?;
    for version in &mut found.matches {
        let json = version.to_json("AuditEvent").unwrap_or_default();
        let shown = redacted(Tree::parse(&json).map_err(Failure::internal)?, &own).to_json();
        let document = Document::parse(shown.as_bytes(), &Limits::NONE).map_err(Failure::internal)?;
        version.body = Some(Body::of(document.root()).0);
    }
    if !service.settings.audit.is_on() {
        let why = "the audit trail is off: what happens now is not recorded";
        found.issues.push(Issue::new(Severity::Warning, IssueCode::Incomplete, why));
    }
    let links = searching::links(call.context, &format!("{own}/$access-log"), &plan, &found);
    let bytes = searching::write(service, call.context, &plan, &found, &links)?;
    Ok(Reply::of(Effect::Ok, ReplyContent::Json(bytes)))
}

/// The patient in person, and auditors.
fn allowed(call: &Call<'_>, kind: TypeId, id: &ResourceId) -> Result<(), Failure> {
    let Caller::Known(principal) = &call.context.caller else { return Ok(()) };
    let own = principal.role == Some(Role::Patient)
        && principal.user.as_ref().is_some_and(|user| user.kind == kind && user.id == *id);
    if own || principal.role == Some(Role::Auditor) {
        return Ok(());
    }
    let why = "only the patient and auditors may see who has seen a record";
    Err(Failure::new(FailureKind::Forbidden, IssueCode::Forbidden, why))
}

/// A record without what it tells about others.
fn redacted(mut event: Tree, own: &str) -> Tree {
    let reference = |entity: &Tree| {
        let what = entity.get("what").and_then(|what| what.get("reference"));
        what.and_then(Tree::as_str).map(str::to_owned)
    };
    let of_patient =
        |entity: &Tree| entity.get("role").and_then(|role| role.get("code")).and_then(Tree::as_str) == Some("1");
    let entities = event.get("entity").map_or(&[][..], Tree::items);
    let alone = entities.iter().filter(|e| of_patient(e)).count() <= 1;
    let kept: Vec<Tree> = entities
        .iter()
        .filter(|e| reference(e).is_some_and(|r| r == own || (alone && !of_patient(e))))
        .cloned()
        .collect();
    event.set("entity", Tree::Array(kept));
    let agents = event.get("agent").map_or(&[][..], Tree::items).iter().cloned();
    let agents = agents.map(|mut agent| {
        ["network", "policy", "altId"].into_iter().for_each(|member| drop(agent.remove(member)));
        agent
    });
    let agents = Tree::Array(agents.collect());
    event.set("agent", agents);
    event.remove("outcomeDesc");
    if let Some(meta) = event.get_mut("meta") {
        meta.remove("profile");
    }
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_about_other_patients() {
        let entity = |reference: &str, role: &str| {
            format!(r#"{{"what":{{"reference":"{reference}"}},"role":{{"code":"{role}"}}}}"#)
        };
        let event = |entities: &[String]| {
            let text = format!(
                r#"{{"resourceType":"AuditEvent","meta":{{"profile":["x"]}},"outcomeDesc":"y","agent":[{{"who":{{"display":"Dr"}},
                "network":{{"address":"10.0.0.1"}},"policy":["token"]}}],"entity":[{}]}}"#,
                entities.join(",")
            );
            redacted(Tree::parse(text.as_bytes()).expect("JSON"), "Patient/a").to_json()
        };
        let query = r#"{"role":{"code":"24"},"query":"R0VU"}"#.to_owned();
        let several = event(&[
            query.clone(),
            entity("Patient/a", "1"),
            entity("Patient/b", "1"),
            entity("Observation/of-b", "4"),
        ]);
        assert!(several.contains("Patient/a") && several.contains("Dr"), "{several}");
        for secret in ["Patient/b", "of-b", "R0VU", "10.0.0.1", "token", "profile", "\"y\""] {
            assert!(!several.contains(secret), "{secret}: {several}");
        }
        let one = event(&[query, entity("Observation/mine", "4"), entity("Patient/a", "1")]);
        assert!(one.contains("Observation/mine") && !one.contains("R0VU"), "{one}");
    }
}
