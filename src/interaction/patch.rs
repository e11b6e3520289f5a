//! patch and conditional patch (R4 http.html#patch) on the newest version, in whatever way the patch is written. The
//! result is judged like an update; how a patch is applied is in the room `patch`.

use super::commit::{Shown, commit};
use super::conditional::{self, Found};
use super::examiner::Examiner;
use super::incoming::{self, Draft, payload};
use super::race::{ATTEMPTS, Refused, lost_race, too_many_races};
use super::references::Rewriter;
use super::update::holds;
use super::{Context, Effect, Media, Payload, Reply, Request, Service, outcome, read};
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::json::{Document, Kind, Limits, SyntaxError, Tree, Value};
use crate::patch;
use crate::store::{Budget, Expect, Guard, Method, Snapshot, Version, Write};
use crate::xml;

/// What is patched.
pub(super) enum Target {
    /// The resource with this id.
    Id(ResourceId),
    /// The one resource that the criteria of the address match.
    Criteria,
}

/// A patch that was read.
pub(crate) struct Patch<'p> {
    form: Form<'p>,
}

enum Form<'p> {
    Json(Document<'p>),
    Merge(Document<'p>),
    FhirPath(Document<'p>),
    Xml(&'p str),
}

impl<'p> Patch<'p> {
    /// Reads the patch in a body.
    pub(crate) fn read(service: &Service, media: &Media, bytes: &'p [u8]) -> Result<Self, Failure> {
        if matches!(media, Media::Form | Media::Raw(_)) {
            return Err(incoming::unsupported(media));
        }
        if *media == Media::XmlPatch {
            let text = std::str::from_utf8(bytes)
                .map_err(|_| Failure::malformed(IssueCode::Structure, "the patch is not UTF-8").at("patch"))?;
            return Ok(Patch { form: Form::Xml(text) });
        }
        let document = incoming::parse(bytes, &service.settings.limits)?;
        let root = document.root();
        let parameters = root.get("resourceType").and_then(Value::as_plain) == Some("Parameters");
        let form = match (media, root.kind()) {
            (Media::JsonPatch, _) | (Media::Json, Kind::Array) => Form::Json(document),
            (Media::Json, Kind::Object) if parameters => Form::FhirPath(document),
            _ => Form::Merge(document),
        };
        Ok(Patch { form })
    }

    /// The tree as the patch makes it.
    fn on(&self, service: &Service, context: &Context, json: &[u8]) -> Result<Tree, Failure> {
        let before = || Tree::parse(json).map_err(Failure::internal);
        match &self.form {
            Form::Json(patch) => patch::json_patch(&before()?, patch.root()),
            Form::Merge(patch) => patch::merge_patch(&before()?, patch.root()),
            Form::FhirPath(patch) => {
                let (before, now) = (before()?, service.clock.now().0);
                context
                    .steps
                    .spend(|left| patch::fhirpath_patch(&before, patch.root(), &service.definitions, now, left))
            }
            Form::Xml(patch) => {
                let document = Document::parse(json, &Limits::NONE).map_err(Failure::internal)?;
                let text = xml::from_json(document.root(), &*service.definitions)?;
                let patched = patch::xml_patch(&text, patch)?;
                // What a patch leaves is the resource that is judged: no longer the request that cannot be read.
                let json = xml::to_json(patched.as_bytes(), &*service.definitions, &service.settings.limits)
                    .map_err(|failure| Failure::of(FailureKind::Unprocessable, failure.issues))?;
                Tree::parse(json.as_bytes()).map_err(Failure::internal)
            }
        }
    }
}

/// Applies a patch to a version; gives the text of the resource as the patch leaves it.
pub(crate) fn changed(
    service: &Service,
    context: &Context,
    version: &Version,
    patch: &Patch<'_>,
) -> Result<String, Failure> {
    let json = version.to_json(service.definitions.name(version.kind)).unwrap_or_default();
    let before = Tree::parse(&json).map_err(Failure::internal)?;
    let after = patch.on(service, context, &json)?;
    if !matches!(after, Tree::Object(_)) {
        return Err(Failure::new(
            FailureKind::Unprocessable,
            IssueCode::Structure,
            "the patch would leave something that is no resource",
        ));
    }
    for element in ["resourceType", "id"] {
        if after.get(element) != before.get(element) {
            return Err(Failure::new(
                FailureKind::Unprocessable,
                IssueCode::BusinessRule,
                format!("a patch may not change '{element}'"),
            )
            .at(&format!("{}.{element}", service.definitions.name(version.kind))));
        }
    }
    Ok(after.to_json())
}

/// Reads the text that a patch left. What cannot be read is the patched resource, not the request.
pub(crate) fn read_changed<'t>(service: &Service, text: &'t str) -> Result<Document<'t>, Failure> {
    let unreadable = |e: SyntaxError| Failure::new(FailureKind::Unprocessable, IssueCode::Structure, e.message);
    Document::parse(text.as_bytes(), &service.settings.limits).map_err(unreadable)
}

/// The draft of the next version in a transaction; `links`: what references become. What only others could decide is
/// noted by the examiner; `again`: it was asked.
pub(crate) fn draft(
    service: &Service,
    (examiner, again): (&Examiner, bool),
    kind: TypeId,
    document: &Document<'_>,
    links: &Rewriter,
) -> Result<Draft, Failure> {
    let of = |resource: Value<'_>| {
        service.check_type(kind, resource)?;
        let looked = if again { examiner.look_again(kind, resource) } else { examiner.look(kind, resource) };
        service.drafted(kind, resource, looked?)
    };
    match links.rewrite(&service.definitions, kind, document.root(), None) {
        None => of(document.root()),
        Some(text) => of(read_changed(service, &text)?.root()),
    }
}

pub(super) async fn perform(
    service: &Service,
    context: &Context,
    request: &Request,
    kind: TypeId,
    target: Target,
) -> Result<Reply, Failure> {
    let condition = match target {
        Target::Id(_) => None,
        Target::Criteria => Some(conditional::criteria(service, context, kind, &conditional::of_address(request)?)?),
    };
    let Payload { media, bytes } = payload(request)?;
    let patch = Patch::read(service, media, bytes)?;
    let examiner = service.examiner(context, request).await?.of_own_making();
    for _ in 0..ATTEMPTS {
        let snapshot = service.snapshot_to_write(context).await?;
        let (before, guards) = match (&target, &condition) {
            (Target::Id(id), _) => {
                let newest = snapshot.read(kind, id).await.map_err(outcome::of_store)?;
                (read::existing(service, kind, id, service.readable(context, newest).await?)?, Vec::new())
            }
            (_, Some(condition)) => {
                let (before, guards) = matching(&*snapshot, &context.budget, kind, condition).await?;
                let before = service.readable(context, Some(before)).await?;
                (before.ok_or_else(matches_nothing)?, guards)
            }
            (Target::Criteria, None) => return Err(Failure::internal("a conditional patch without criteria")),
        };
        holds(request, Some(before.version))?;
        drop(snapshot);
        let text = changed(service, context, &before, &patch)?;
        let draft = service.draft(context, &examiner, kind, read_changed(service, &text)?.root()).await?;
        let body = draft.content.body.0.clone();
        let expect = Expect::Version(before.version);
        let write = Write { kind, id: before.id.clone(), method: Method::Patch, expect, content: Some(draft.content) };
        match commit(service, context, request, vec![write], guards).await {
            Ok(committed) => {
                let Some(done) = committed.first() else { break };
                let shown = Shown {
                    kind,
                    id: &before.id,
                    version: done.version,
                    last_updated: done.last_updated,
                    body: Some(&body),
                };
                return Ok(service.written(request, Effect::Ok, &shown, draft.warnings));
            }
            // With If-Match the next round finds that it does not hold any more.
            Err(Refused::Store(error)) if lost_race(&error) => {}
            Err(refused) => return Err(refused.into()),
        }
    }
    Err(too_many_races())
}

/// The refusal where criteria match nothing, or only what may not be read.
pub(super) fn matches_nothing() -> Failure {
    Failure::not_found("the criteria match nothing")
}

/// The one match of criteria.
async fn matching(
    snapshot: &dyn Snapshot,
    budget: &Budget,
    kind: TypeId,
    condition: &Condition,
) -> Result<(Version, Vec<Guard>), Failure> {
    match conditional::find(snapshot, budget, kind, condition).await? {
        Found::One(version) => {
            Ok((*version, vec![Guard { kind, condition: condition.clone(), as_of: snapshot.position() }]))
        }
        Found::None => Err(matches_nothing()),
        Found::Many => Err(conditional::several()),
    }
}
