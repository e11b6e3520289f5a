//! Patient `$everything` (R4 patient-operation-everything.html): the patient, all of its compartment, and what those
//! refer to directly. A page is a page of the compartment; what is referred to comes with it.

use super::Call;
use crate::base::{Failure, Issue, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::interaction::incoming::{parse, payload, unsupported};
use crate::interaction::references::{Site, sites};
use crate::interaction::{Effect, Media, Reply, ReplyContent, Verb, outcome, read, search as searching};
use crate::json::{Limits, Value};
use crate::primitive::Reference;
use crate::search::{self, Scope};
use crate::store::{Snapshot, Version};
use rustc_hash::FxHashSet;

pub(super) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let (Some(kind), Some(id)) = (call.kind, call.id.clone()) else {
        return Err(Failure::internal("$everything without a patient"));
    };
    let asked = parameters(&call)?;
    let service = call.service;
    let snapshot = service.snapshot(call.context).await?;
    read::existing(service, kind, &id, snapshot.read(kind, &id).await.map_err(outcome::of_store)?)?;
    drop(snapshot);
    let mut options = service.search_options(call.context, call.request.prefer.handling);
    // Whoever asks for everything and names no page gets as much as one page may hold.
    options.default_count = service.settings.max_page;
    let scope = Scope::Compartment { compartment: kind, id: id.clone(), kind: None };
    let plan = search::plan(&service.search_definitions(), &scope, &asked, &options)?;
    let mut found = searching::run(service, call.context, &plan).await?;
    let snapshot = service.snapshot_at(call.context, found.position).await?;
    let first = plan.cursor.is_none_or(|c| c.offset == 0);
    let patient_there = found.matches.iter().any(|v| v.kind == kind && v.id == id);
    let mut gathered = FxHashSet::default();
    gathered.extend(found.matches.iter().map(|v| (v.kind, v.id.clone())));
    // The patient itself leads its record, also where the compartment does not name it.
    if !patient_there && gathered.insert((kind, id.clone())) && first {
        let patient = snapshot.read(kind, &id).await.map_err(outcome::of_store)?;
        found.included.extend(patient.filter(|v| !v.is_deleted()));
    }
    referred(&call, &*snapshot, &mut found, &mut gathered).await?;
    let path = format!("{}/{id}/$everything", service.definitions.name(kind));
    let links = searching::links(call.context, &path, &plan, &found);
    let bytes = searching::write(service, call.context, &plan, &found, &links)?;
    Ok(Reply::of(Effect::Ok, ReplyContent::Json(bytes)))
}

/// The parameters of the operation as those of a search; `_page` and the like come from links.
fn parameters(call: &Call<'_>) -> Result<Vec<(String, String)>, Failure> {
    let mut given = search::pairs(&call.request.query)?;
    if let (Verb::Post, Some(body)) = (call.request.verb, &call.request.body)
        && !body.bytes.is_empty()
    {
        if body.media != Media::Json {
            return Err(unsupported(&body.media));
        }
        let document = parse(&payload(call.request)?.bytes, &call.service.settings.limits)?;
        for parameter in document.root().get("parameter").into_iter().flat_map(Value::items) {
            let name = parameter.get("name").and_then(Value::as_str);
            let value = parameter.entries().find(|(key, _)| key.starts_with("value")).map(|(_, value)| value);
            let value = value.map(|v| v.as_str().map_or_else(|| v.raw().to_owned(), |t| t.into_owned()));
            given.extend(name.map(|n| n.into_owned()).zip(value));
        }
    }
    let mut asked = Vec::new();
    for (name, value) in given {
        match name.as_str() {
            "_since" => asked.push(("_lastUpdated".to_owned(), format!("ge{value}"))),
            "_type" | "_count" | "_page" | "_format" | "_pretty" | "_elements" | "_summary" | "_lastUpdated" => {
                asked.push((name, value));
            }
            "start" | "end" => {
                return Err(Failure::malformed(
                    IssueCode::NotSupported,
                    format!("the parameter '{name}' of $everything is not served yet"),
                ));
            }
            _ => {}
        }
    }
    Ok(asked)
}

/// Adds what the resources of a page refer to directly.
async fn referred(
    call: &Call<'_>,
    snapshot: &dyn Snapshot,
    found: &mut searching::Results,
    gathered: &mut FxHashSet<(TypeId, ResourceId)>,
) -> Result<(), Failure> {
    let limit = call.service.settings.max_includes;
    let mut targets = Vec::new();
    for version in &found.matches {
        for (kind, id) in references(call, version)? {
            if gathered.insert((kind, id.clone())) {
                targets.push((kind, id));
            }
        }
    }
    if targets.len() > limit {
        found.issues.push(Issue::warning(
            IssueCode::Incomplete,
            format!("no more than {limit} resources that are referred to stand on one page; ask for smaller pages"),
        ));
        targets.truncate(limit);
    }
    for (kind, id) in targets {
        let version = snapshot.read(kind, &id).await.map_err(outcome::of_store)?;
        found.included.extend(version.filter(|v| !v.is_deleted()));
    }
    Ok(())
}

/// The resources of this server that a resource refers to.
fn references(call: &Call<'_>, version: &Version) -> Result<Vec<(TypeId, ResourceId)>, Failure> {
    let definitions = &call.service.definitions;
    let json = version.to_json(definitions.name(version.kind)).unwrap_or_default();
    let document = parse(&json, &Limits::NONE)?;
    let mut all = Vec::new();
    for (site, value) in sites(definitions, version.kind, document.root()) {
        let Some(text) = value.as_str().filter(|_| site == Site::Reference) else { continue };
        let (kind, id) = match Reference::parse(&text) {
            Reference::Relative { kind, id, .. } => (kind, id),
            Reference::Absolute { base, kind, id, .. } if base == call.context.base => (kind, id),
            _ => continue,
        };
        all.extend(definitions.resource(kind).zip(ResourceId::new(id)));
    }
    Ok(all)
}
