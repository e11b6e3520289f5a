//! `$meta`, `$meta-add` and `$meta-delete` (R4 resource-operation-meta.html): profiles, tags and security labels of
//! one resource, or those in use on a type or the whole server.

use super::Call;
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::interaction::examiner::Examiner;
use crate::interaction::incoming::{parse, payload, unsupported};
use crate::interaction::race::{ATTEMPTS, lost_race, too_many_races};
use crate::interaction::{Effect, Media, Reply, ReplyContent, outcome, read};
use crate::json::{Document, Limits, Tree, Value};
use crate::store::{Expect, Method, Query, Snapshot, Transaction, Version, Write};
use rustc_hash::FxHashSet;

/// Most resources that are looked at for the labels of a type or the system.
const MOST: usize = 10_000;
const LISTS: [&str; 3] = ["profile", "security", "tag"];

/// How meta is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Add,
    Delete,
}

/// `$meta`
pub(super) async fn perform(call: Call<'_>) -> Result<Reply, Failure> {
    let snapshot = call.service.snapshot(call.context).await?;
    match (call.kind, &call.id) {
        (Some(kind), Some(id)) => Ok(answer(meta_of(&call, &newest(&call, &*snapshot, kind, id).await?)?)),
        (kind, _) => Ok(answer(in_use(&call, &*snapshot, kind).await?)),
    }
}

async fn newest(call: &Call<'_>, snapshot: &dyn Snapshot, kind: TypeId, id: &ResourceId) -> Result<Version, Failure> {
    let version = snapshot.read(kind, id).await.map_err(outcome::of_store)?;
    read::existing(call.service, kind, id, version)
}

fn meta_of(call: &Call<'_>, version: &Version) -> Result<Tree, Failure> {
    let json = version.to_json(call.service.definitions.name(version.kind)).unwrap_or_default();
    let document = parse(&json, &Limits::NONE)?;
    Ok(document.root().get("meta").map_or(Tree::Object(Vec::new()), Tree::from))
}

/// All profiles, tags and labels in use.
async fn in_use(call: &Call<'_>, snapshot: &dyn Snapshot, kind: Option<TypeId>) -> Result<Tree, Failure> {
    let mut all = Labels::of(Tree::Object(Vec::new()));
    let mut query = Query {
        kinds: kind.map_or_else(|| call.service.definitions.resources.clone(), |kind| vec![kind]),
        condition: Condition::Everything,
        sort: Vec::new(),
        after: None,
        skip: 0,
        limit: 1_000,
        total: false,
        budget: call.context.budget.clone(),
    };
    let mut seen = 0;
    loop {
        let page = snapshot.search(&query).await.map_err(outcome::of_store)?;
        for version in &page.rows {
            all.add(&meta_of(call, version)?);
        }
        seen += page.rows.len();
        query.after = page.rows.last().map(|v| v.number);
        if !page.more || query.after.is_none() {
            return Ok(all.meta);
        }
        if seen >= MOST {
            return Err(Failure::new(
                FailureKind::TooCostly,
                IssueCode::TooCostly,
                format!("more than {MOST} resources would have to be read; ask for one type or one resource"),
            ));
        }
    }
}

/// What makes a label of one list the same as another: system and code, or the profile. Sets of these keep the work
/// in proportion: one resource may have very many labels.
fn identity(label: &Tree) -> String {
    let part = |name| label.get(name).map(Tree::to_json).unwrap_or_default();
    match label {
        Tree::Object(_) => format!("{}|{}", part("system"), part("code")),
        other => other.to_json(),
    }
}

fn identities(list: &[Tree]) -> FxHashSet<String> {
    list.iter().map(identity).collect()
}

/// Labels while they are gathered.
struct Labels {
    meta: Tree,
    known: [FxHashSet<String>; LISTS.len()],
}

impl Labels {
    fn of(meta: Tree) -> Labels {
        let known = LISTS.map(|name| identities(meta.get(name).map_or(&[], Tree::items)));
        Labels { meta, known }
    }

    /// Adds what is not there yet.
    fn add(&mut self, more: &Tree) {
        for (name, known) in LISTS.iter().zip(&mut self.known) {
            let items = more.get(name).map_or(&[][..], Tree::items);
            let new: Vec<Tree> = items.iter().filter(|label| known.insert(identity(label))).cloned().collect();
            match self.meta.get_mut(name) {
                Some(Tree::Array(list)) => list.extend(new),
                _ if new.is_empty() => {}
                _ => self.meta.set(name, Tree::Array(new)),
            }
        }
    }
}

fn delete(meta: &mut Tree, less: &Tree) {
    for name in LISTS {
        let Some(list) = meta.get(name) else { continue };
        let gone = identities(less.get(name).map_or(&[], Tree::items));
        let list: Vec<Tree> = list.items().iter().filter(|label| !gone.contains(&identity(label))).cloned().collect();
        if list.is_empty() {
            meta.remove(name);
        } else {
            meta.set(name, Tree::Array(list));
        }
    }
}

/// `$meta-add` and `$meta-delete`
pub(super) async fn change(call: Call<'_>, change: Change) -> Result<Reply, Failure> {
    let (Some(kind), Some(id)) = (call.kind, call.id.clone()) else {
        return Err(Failure::internal("$meta-add without an instance"));
    };
    let payload = payload(call.request)?;
    if payload.media != Media::Json {
        return Err(unsupported(&payload.media));
    }
    let document = parse(&payload.bytes, &call.service.settings.limits)?;
    let given = parameter(document.root())?;
    let examiner = call.service.examiner(call.context, call.request).await?.of_own_making();
    for _ in 0..ATTEMPTS {
        let snapshot = call.service.snapshot_to_write(call.context).await?;
        let before = snapshot.read(kind, &id).await.map_err(outcome::of_store)?;
        drop(snapshot);
        let before = call.service.readable(call.context, before).await?;
        let before = read::existing(call.service, kind, &id, before)?;
        let (write, meta) = changed(&call, &examiner, &before, &given, change).await?;
        let Some(write) = write else { return Ok(answer(meta)) };
        let transaction = Transaction { writes: vec![write], ..Transaction::default() };
        match call.service.commit(call.context, transaction).await {
            Ok(committed) => {
                let mut meta = meta;
                if let Some(done) = committed.first() {
                    meta.set("versionId", Tree::string(done.version.to_string()));
                    meta.set("lastUpdated", Tree::string(done.last_updated.to_instant()));
                }
                return Ok(answer(meta));
            }
            Err(error) if lost_race(&error) => {}
            Err(error) => return Err(outcome::of_store(error)),
        }
    }
    Err(too_many_races())
}

/// The Meta in the parameters.
fn parameter(root: Value<'_>) -> Result<Tree, Failure> {
    let mut parameters = root.get("parameter").into_iter().flat_map(Value::items);
    let meta = parameters.find(|p| p.get("name").and_then(Value::as_plain) == Some("meta"));
    meta.and_then(|p| p.get("valueMeta")).map(Tree::from).ok_or_else(|| {
        Failure::malformed(IssueCode::Required, "there is no parameter 'meta' with a valueMeta")
            .at("Parameters.parameter")
    })
}

/// The write that a change comes to (none if it changes nothing), and the meta afterwards.
async fn changed(
    call: &Call<'_>,
    examiner: &Examiner,
    before: &Version,
    given: &Tree,
    change: Change,
) -> Result<(Option<Write>, Tree), Failure> {
    let json = before.to_json(call.service.definitions.name(before.kind)).unwrap_or_default();
    let mut resource = Tree::parse(&json).map_err(Failure::internal)?;
    let old = resource.get("meta").cloned().unwrap_or(Tree::Object(Vec::new()));
    let meta = match change {
        Change::Add => {
            let mut labels = Labels::of(old.clone());
            labels.add(given);
            labels.meta
        }
        Change::Delete => {
            let mut meta = old.clone();
            delete(&mut meta, given);
            meta
        }
    };
    if meta == old {
        return Ok((None, meta));
    }
    resource.set("meta", meta.clone());
    let text = resource.to_json();
    let document = Document::parse(text.as_bytes(), &Limits::NONE).map_err(Failure::internal)?;
    let draft = call.service.draft(call.context, examiner, before.kind, document.root()).await?;
    let write = Write {
        kind: before.kind,
        id: before.id.clone(),
        method: Method::Update,
        expect: Expect::Version(before.version),
        content: Some(draft.content),
    };
    Ok((Some(write), meta))
}

fn answer(meta: Tree) -> Reply {
    let parameter = Tree::object([("name", Tree::string("return")), ("valueMeta", meta)]);
    let parameters =
        Tree::object([("resourceType", Tree::string("Parameters")), ("parameter", Tree::Array(vec![parameter]))]);
    Reply::of(Effect::Ok, ReplyContent::Json(parameters.to_json().into_bytes()))
}
