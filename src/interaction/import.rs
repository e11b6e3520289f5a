//! Putting data in from the command line: Bundles of type batch and transaction are processed as such; everything
//! else (single resources, NDJSON, Bundles of other types) is stored under the id that it has. What is refused is
//! reported; the rest is stored.

use super::bundle::{self, at_entry};
use super::incoming::{Draft, id_of, parse};
use super::{Context, Media, Payload, Prefer, ReplyContent, Request, Return, Service, Verb, outcome};
use crate::base::{Failure, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::json::Value;
use crate::store::{Expect, Method, Transaction, Write};
use rustc_hash::FxHashMap;

/// Resources that are committed at once.
const GROUP: usize = 500;

/// What became of an import.
#[derive(Debug, Default)]
pub struct Imported {
    /// Number of resources stored.
    pub stored: u64,
    /// What was refused.
    pub refused: Vec<Refused>,
}

/// Something that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Where it stands in the input: a line, an entry, or the type and id.
    pub place: String,
    /// Why.
    pub failure: Failure,
}

/// A resource that waits to be stored.
struct Waiting {
    place: String,
    id: ResourceId,
    draft: Draft,
}

impl Service {
    /// Imports a JSON document: a Bundle or one resource.
    pub async fn import(&self, context: &Context, json: &[u8]) -> Imported {
        let mut imported = Imported::default();
        let document = match parse(json, &self.settings.limits) {
            Ok(document) => document,
            Err(failure) => {
                imported.refused.push(Refused { place: "document".to_owned(), failure });
                return imported;
            }
        };
        let root = document.root();
        let text = |name: &str| root.get(name).and_then(Value::as_plain);
        match (text("resourceType"), text("type")) {
            (Some("Bundle"), Some("transaction" | "batch")) => self.import_bundle(context, root, &mut imported).await,
            (Some("Bundle"), Some("collection" | "searchset" | "history")) => {
                let entries = root.get("entry").into_iter().flat_map(Value::items).enumerate();
                let resources = entries.filter_map(|(i, entry)| {
                    let resource = entry.get("resource")?;
                    Some((format!("Bundle.entry[{i}].resource"), resource))
                });
                self.import_resources(context, resources, &mut imported).await;
            }
            _ => self.import_resources(context, [("document".to_owned(), root)], &mut imported).await,
        }
        imported
    }

    /// Imports NDJSON: a resource on each line. `first` is the number of the first line, for the reports.
    pub async fn import_lines(&self, context: &Context, lines: &[u8], first: u64) -> Imported {
        let mut imported = Imported::default();
        let mut waiting = Vec::new();
        for (number, line) in (first..).zip(lines.split(|b| *b == b'\n')) {
            let line = line.trim_ascii();
            if line.is_empty() {
                continue;
            }
            let place = format!("line {number}");
            let read =
                parse(line, &self.settings.limits).and_then(|document| self.waiting(place.clone(), document.root()));
            match read {
                Ok(one) => waiting.push(one),
                Err(failure) => imported.refused.push(Refused { place, failure }),
            }
            if waiting.len() >= GROUP {
                self.store_waiting(context, std::mem::take(&mut waiting), &mut imported).await;
            }
        }
        self.store_waiting(context, waiting, &mut imported).await;
        imported
    }

    async fn import_bundle(&self, context: &Context, root: Value<'_>, imported: &mut Imported) {
        let request = Request {
            prefer: Prefer { returns: Some(Return::Minimal), ..Prefer::default() },
            body: Some(Payload { media: Media::Json, bytes: Vec::new() }),
            ..Request::new(Verb::Post, "")
        };
        match bundle::perform_value(self, context, &request, root).await {
            Ok(reply) => count(&reply.content, imported),
            Err(failure) => imported.refused.push(Refused { place: "Bundle".to_owned(), failure }),
        }
    }

    async fn import_resources<'d>(
        &self,
        context: &Context,
        resources: impl IntoIterator<Item = (String, Value<'d>)>,
        imported: &mut Imported,
    ) {
        let mut waiting = Vec::new();
        for (place, resource) in resources {
            match self.waiting(place.clone(), resource) {
                Ok(one) => waiting.push(one),
                Err(failure) => imported.refused.push(Refused { place, failure }),
            }
            if waiting.len() >= GROUP {
                self.store_waiting(context, std::mem::take(&mut waiting), imported).await;
            }
        }
        self.store_waiting(context, waiting, imported).await;
    }

    /// Checks a resource; one without an id gets one.
    fn waiting(&self, place: String, resource: Value<'_>) -> Result<Waiting, Failure> {
        let name = resource.get("resourceType").and_then(Value::as_str);
        let name = name.ok_or_else(|| Failure::malformed(IssueCode::Required, "there is no 'resourceType'"))?;
        let kind = self.definitions.resource(&name).ok_or_else(|| {
            let short: String = name.chars().take(64).collect();
            Failure::malformed(IssueCode::NotSupported, format!("'{short}' is no resource type of FHIR R4"))
        })?;
        let id = match id_of(&name, resource)? {
            None => self.ids.next(),
            Some(id) => ResourceId::new(&id).ok_or_else(|| {
                Failure::malformed(IssueCode::Value, "'id' is no logical id").at(&format!("{name}.id"))
            })?,
        };
        Ok(Waiting { place, id, draft: self.draft(kind, resource)? })
    }

    /// Stores resources, as many at once as the store takes.
    async fn store_waiting(&self, context: &Context, waiting: Vec<Waiting>, imported: &mut Imported) {
        // Each resource once in a commit: of several with one id the last counts, and all are versions.
        let mut rounds: Vec<Vec<Waiting>> = Vec::new();
        let mut times: FxHashMap<(TypeId, ResourceId), usize> = FxHashMap::default();
        for one in waiting {
            let time = times.entry((one.draft.kind, one.id.clone())).or_default();
            if rounds.len() <= *time {
                rounds.push(Vec::new());
            }
            if let Some(round) = rounds.get_mut(*time) {
                round.push(one);
            }
            *time += 1;
        }
        for round in rounds {
            self.store_round(context, round, imported).await;
        }
    }

    async fn store_round(&self, context: &Context, round: Vec<Waiting>, imported: &mut Imported) {
        let places: Vec<String> = round.iter().map(|w| w.place.clone()).collect();
        let writes: Vec<Write> = round.into_iter().map(write).collect();
        let together = Transaction { writes, guards: Vec::new() };
        if places.len() == 1 {
            let place = places.into_iter().next().unwrap_or_default();
            match self.store.commit(context.tenant, together).await {
                Ok(_) => imported.stored += 1,
                Err(error) => imported.refused.push(Refused { place, failure: outcome::of_store(error) }),
            }
            return;
        }
        let single = together.writes.clone();
        if self.store.commit(context.tenant, together).await.is_ok() {
            imported.stored += places.len() as u64;
            return;
        }
        // One by one, to know which of them is at fault.
        for (place, write) in places.into_iter().zip(single) {
            let transaction = Transaction { writes: vec![write], guards: Vec::new() };
            match self.store.commit(context.tenant, transaction).await {
                Ok(_) => imported.stored += 1,
                Err(error) => imported.refused.push(Refused { place, failure: outcome::of_store(error) }),
            }
        }
    }
}

fn write(one: Waiting) -> Write {
    Write {
        kind: one.draft.kind,
        id: one.id,
        method: Method::Update,
        expect: Expect::Any,
        content: Some(one.draft.content),
    }
}

/// Counts the entries of a batch-response or transaction-response.
fn count(content: &ReplyContent, imported: &mut Imported) {
    let ReplyContent::Json(json) = content else { return };
    let Ok(document) = parse(json, &crate::json::Limits { nodes: usize::MAX, ..Default::default() }) else { return };
    for (i, entry) in document.root().get("entry").into_iter().flat_map(Value::items).enumerate() {
        let response = entry.get("response");
        let status = response.and_then(|r| r.get("status")).and_then(Value::as_plain).unwrap_or_default();
        if status.starts_with('2') {
            imported.stored += 1;
            continue;
        }
        let diagnostics = response
            .and_then(|r| r.get("outcome"))
            .and_then(|o| o.get("issue"))
            .and_then(|issues| issues.items().next())
            .and_then(|issue| issue.get("diagnostics"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let failure = at_entry(i, Failure::malformed(IssueCode::Processing, format!("{status}: {diagnostics}")));
        imported.refused.push(Refused { place: format!("Bundle.entry[{i}]"), failure });
    }
}
