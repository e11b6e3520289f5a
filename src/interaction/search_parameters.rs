//! Custom search parameters: SearchParameter resources that are stored, and those of packages. What they come to is
//! written down with the number of each (an item of the store, which shows it to the index at a start), resources get
//! the new terms from then on, and the store is asked to index again what it has. Until that is done searches refuse
//! them. Everything is made of what is stored at the moment, so that a failure in between is mended by the next time. Of
//! several server processes each does this for itself; the list is written by compare-and-set, so that a number means the
//! same to all of them.

use super::race::{ATTEMPTS, too_many_races};
use super::{Service, outcome};
use crate::base::{Failure, FailureKind, Issue, IssueCode, Severity, TenantId};
use crate::definitions::{CustomParameter, CustomParameters, Definitions, MOST_CUSTOM, TypeId};
use crate::index::{Condition, Defined, defined};
use crate::json::{Document, Limits, Value};
use crate::store::{Body, Indexing, ItemExpect, ItemWrite, Query, StoreError, Transaction, Write};
use parking_lot::RwLock;
use rustc_hash::FxHashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Rows that are read at once.
const ROWS: usize = 500;

/// What is known of custom search parameters.
#[derive(Default)]
pub(crate) struct Parameters {
    /// Held while they are made anew.
    turn: tokio::sync::Mutex<()>,
    /// Whether some are not ready: asked by every search.
    waiting: AtomicBool,
    state: RwLock<State>,
}

#[derive(Clone, Default)]
struct State {
    all: CustomParameters,
    /// Numbers of those by which resources are not indexed yet.
    pending: FxHashSet<u16>,
    /// Whether the store was asked to index by them.
    asked: bool,
    /// Why the store cannot.
    refused: Option<String>,
    left_out: Vec<LeftOut>,
}

/// A SearchParameter that is not in effect though it should be.
#[derive(Clone, Debug)]
pub(crate) struct LeftOut {
    /// Where it comes from.
    pub origin: String,
    /// Its canonical.
    pub url: String,
    /// What is wrong with it.
    pub issues: Vec<Issue>,
}

/// A custom parameter and whether searches can use it.
pub(crate) struct Listed {
    pub parameter: CustomParameter,
    pub ready: bool,
}

/// How it stands with custom search parameters.
pub(crate) struct Standing {
    pub parameters: Vec<Listed>,
    pub left_out: Vec<LeftOut>,
    pub indexing: Indexing,
    /// Why the store cannot index again.
    pub refused: Option<String>,
}

/// How far the indexing is that search parameters wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether it is going on, or about to.
    pub running: bool,
    /// Versions that are done,
    pub done: u64,
    /// of so many.
    pub total: u64,
    /// Search parameters that searches cannot use yet.
    pub waiting: usize,
}

impl Service {
    /// How far the indexing is that search parameters wait for.
    pub fn indexing_progress(&self) -> Progress {
        let Standing { parameters, indexing, .. } = self.standing();
        Progress {
            running: indexing.asked || indexing.running,
            done: indexing.done,
            total: indexing.all,
            waiting: parameters.iter().filter(|p| !p.ready).count(),
        }
    }

    /// The definitions by which searches are read: those of the specification and the custom parameters that are
    /// ready.
    pub(crate) fn search_definitions(&self) -> Arc<Definitions> {
        self.settle();
        self.extractor.definitions()
    }

    /// Whether resources of this type define search parameters.
    pub(crate) fn is_search_parameter(&self, kind: TypeId) -> bool {
        self.definitions.name(kind) == "SearchParameter"
    }

    /// Whether a write may change which search parameters are in effect. Servers are filled with those of the
    /// specification one by one, which changes nothing.
    pub(super) fn may_define(&self, write: &Write) -> bool {
        if !self.is_search_parameter(write.kind) {
            return false;
        }
        let origin = format!("SearchParameter/{}", write.id);
        let state = self.parameters.state.read();
        let known = state.all.parameters.iter().any(|p| p.origin == origin);
        if known || state.left_out.iter().any(|of| of.origin == origin) {
            return true;
        }
        drop(state);
        let Some(content) = &write.content else { return false };
        let mut json = Vec::new();
        let (id, now) = (write.id.as_str(), self.clock.now());
        Body::write_resource(&content.body.0, "SearchParameter", id, 1, now, &mut json);
        let definitions = self.extractor.definitions();
        Document::parse(&json, &Limits::NONE).is_ok_and(|document| {
            let defined = defined(&definitions, &origin, document.root(), false);
            !matches!(defined, Defined::Inactive | Defined::Known)
        })
    }

    /// Makes those ready by which everything is indexed now.
    pub(super) fn settle(&self) {
        if !self.parameters.waiting.load(Ordering::Acquire) || !self.behind_the_gate().indexing().is_done() {
            return;
        }
        let mut state = self.parameters.state.write();
        // What was asked for after the first look is not done.
        if state.pending.is_empty() || !state.asked || !self.behind_the_gate().indexing().is_done() {
            return;
        }
        // The store has been taught another list, of another process, and it is that one that is done: it comes here, too.
        if self.extractor.definitions().custom_mark() != state.all.mark() {
            return;
        }
        tracing::info!(parameters = state.pending.len(), "custom search parameters are ready");
        state.pending.clear();
        self.extractor.replace(Arc::new(self.definitions.with_custom(&state.all, |_| true)));
        self.parameters.waiting.store(false, Ordering::Release);
        drop(state);
        self.gate.changed();
        self.statements.forget();
    }

    /// Refuses a SearchParameter that cannot be; gives what is worth knowing of one that can.
    pub(super) fn check_search_parameter(&self, kind: TypeId, resource: Value<'_>) -> Result<Vec<Issue>, Failure> {
        let issues = if self.is_search_parameter(kind) { self.examine_search_parameter(resource) } else { Vec::new() };
        match issues.iter().any(Issue::is_error) {
            true => Err(Failure::of(FailureKind::Unprocessable, issues)),
            false => Ok(issues),
        }
    }

    /// What is wrong with a SearchParameter that is to be stored, or worth knowing.
    fn examine_search_parameter(&self, resource: Value<'_>) -> Vec<Issue> {
        let definitions = self.extractor.definitions();
        match defined(&definitions, "", resource, false) {
            Defined::Inactive => Vec::new(),
            Defined::Wrong(issues) => issues,
            Defined::Known => {
                let why = "this is a search parameter of the specification, which is in effect in any case";
                vec![Issue::new(Severity::Information, IssueCode::Informational, why).at("SearchParameter.code")]
            }
            Defined::New(parameter) => {
                let state = self.parameters.state.read();
                let other = state
                    .all
                    .parameters
                    .iter()
                    .find(|other| other.url != parameter.url && collide(&definitions, other, &parameter));
                let full = state.all.parameters.len() >= MOST_CUSTOM
                    && state.all.parameters.iter().all(|other| other.url != parameter.url);
                let taken = other.map(|other| taken(other, &parameter));
                let full = full.then(|| {
                    let why = format!("there are {MOST_CUSTOM} custom search parameters; retire some first");
                    Issue::error(IssueCode::TooCostly, why).at("SearchParameter")
                });
                taken.into_iter().chain(full).collect()
            }
        }
    }

    /// Takes up what another process wrote; what this one wrote itself is known.
    pub(super) async fn follow_search_parameters(&self) -> Result<(), Failure> {
        let (_, kept) = self.kept_search_parameters().await?;
        if kept == self.parameters.state.read().all {
            return Ok(());
        }
        self.take_search_parameters().await
    }

    /// What the store holds, and what to expect of it for another to be put in its place.
    async fn kept_search_parameters(&self) -> Result<(ItemExpect, CustomParameters), Failure> {
        let (collection, key) = CustomParameters::PLACE;
        let store = self.behind_the_gate();
        let item = store.item(TenantId::default(), collection, key).await.map_err(outcome::of_store)?;
        let expect = item.as_ref().map_or(ItemExpect::Absent, |item| ItemExpect::Revision(item.revision));
        Ok((expect, item.and_then(|item| CustomParameters::decode(&item.value)).unwrap_or_default()))
    }

    /// Puts another list in the place of one; whether that was there still.
    async fn keep_search_parameters(&self, expect: ItemExpect, all: &CustomParameters) -> Result<bool, Failure> {
        let (collection, key) = CustomParameters::PLACE;
        let write = ItemWrite { collection, key: key.to_owned(), expect, value: Some(all.encode()), expires: None };
        let transaction = Transaction { items: vec![write], ..Transaction::default() };
        match self.behind_the_gate().commit(TenantId::default(), transaction).await {
            Ok(_) => Ok(true),
            Err(StoreError::ItemConflict { .. }) => Ok(false),
            Err(error) => Err(outcome::of_store(error)),
        }
    }

    /// Takes part in finding resources again, where several processes share that.
    pub(super) fn take_part_in_indexing(&self) {
        self.behind_the_gate().take_part();
    }

    /// Takes up what the store holds, at the start. What it was opened with is indexed, or what it says is.
    pub async fn load_search_parameters(&self) -> Result<(), Failure> {
        let (_, all) = self.kept_search_parameters().await?;
        let store = self.behind_the_gate();
        let indexed = store.indexes_at_start() || all.parameters.is_empty();
        // Read after the list: a number never means two things, and what was indexed by it stays so.
        let ready = if indexed { Vec::new() } else { store.indexed_by().await.map_err(outcome::of_store)? };
        let is_ready = |number: u16| indexed || ready.contains(&number);
        self.extractor.replace(Arc::new(self.definitions.with_custom(&all, is_ready)));
        {
            let mut state = self.parameters.state.write();
            if !indexed {
                state.pending = all.parameters.iter().map(|p| p.number).filter(|number| !is_ready(*number)).collect();
                state.refused = Some("it was not asked for yet".to_owned());
                self.parameters.waiting.store(true, Ordering::Release);
            }
            state.all = all;
        }
        self.take_search_parameters().await
    }

    /// The SearchParameters that are not in effect though they should be: where each comes from, and why.
    pub fn search_parameters_left_out(&self) -> Vec<(String, String)> {
        let why = |of: &LeftOut| of.issues.first().map_or(String::new(), |issue| issue.diagnostics.clone());
        self.parameters
            .state
            .read()
            .left_out
            .iter()
            .map(|of| (format!("{} of {}", of.url, of.origin), why(of)))
            .collect()
    }

    /// After SearchParameters or packages have changed. What fails is tried again at the next change and at the next
    /// start; what was stored stays stored.
    pub(crate) async fn search_parameters_changed(&self) {
        if let Err(failure) = self.take_search_parameters().await {
            tracing::error!(%failure, "the search parameters that are stored could not be taken up");
        }
    }

    async fn take_search_parameters(&self) -> Result<(), Failure> {
        let _turn = self.parameters.turn.lock().await;
        for _ in 0..ATTEMPTS {
            // First what is kept, then what is wanted: whoever changes the latter afterwards changes the former, too.
            let (expect, kept) = self.kept_search_parameters().await?;
            let before: Vec<String> = kept.parameters.iter().map(|p| p.origin.clone()).collect();
            let (wanted, left_out) = self.wanted(&before).await?;
            let next = kept.renewed(wanted);
            // What is the same is not written: other processes would be told of it, and this one.
            if next == kept || self.keep_search_parameters(expect, &next).await? {
                return self.use_search_parameters(next, left_out).await;
            }
        }
        Err(too_many_races())
    }

    /// From now on resources are found by these, those that are new as soon as all is indexed by them.
    async fn use_search_parameters(&self, next: CustomParameters, left_out: Vec<LeftOut>) -> Result<(), Failure> {
        self.settle();
        let mut state = self.parameters.state.read().clone();
        if next == state.all && state.refused.is_none() {
            self.parameters.state.write().left_out = left_out;
            return Ok(());
        }
        state.left_out = left_out;
        let store = self.behind_the_gate();
        let numbers = |of: &CustomParameters| of.parameters.iter().map(|p| p.number).collect::<FxHashSet<u16>>();
        let (before, after) = (numbers(&state.all), numbers(&next));
        state.pending = after.iter().copied().filter(|n| !before.contains(n) || state.pending.contains(n)).collect();
        let changed = before != after || state.refused.is_some();
        (state.all, state.asked) = (next, state.asked && !changed);
        let definitions = self.definitions.with_custom(&state.all, |number| !state.pending.contains(&number));
        let waiting = !state.pending.is_empty();
        {
            let mut held = self.parameters.state.write();
            self.parameters.waiting.store(waiting, Ordering::Release);
            self.extractor.replace(Arc::new(definitions));
            *held = state;
        }
        self.gate.changed();
        self.statements.forget();
        if changed {
            let store = store.clone();
            // The reference store does it on the spot.
            let asked = tokio::task::spawn_blocking(move || store.reindex()).await.map_err(Failure::internal)?;
            let mut held = self.parameters.state.write();
            held.refused = asked.err().filter(|_| waiting).map(|why| why.to_string());
            held.asked = held.refused.is_none();
        }
        self.settle();
        Ok(())
    }

    /// The parameters that are stored and in packages, and those of them that cannot be. Where two collide, the one
    /// that was there `before` stays.
    async fn wanted(&self, before: &[String]) -> Result<(Vec<CustomParameter>, Vec<LeftOut>), Failure> {
        let mut texts = self.stored_search_parameters().await?;
        let validator = self.validator();
        let mut packed: Vec<_> = validator.registry().of_packages("SearchParameter").collect();
        packed.sort_by(|a, b| (&a.package, &a.url).cmp(&(&b.package, &b.url)));
        texts.extend(packed.into_iter().map(|c| (c.package.to_string(), c.json().into_owned(), true)));
        texts.sort_by_key(|(origin, ..)| !before.contains(origin));
        let mut wanted = Wanted::default();
        // Composites are made of others, which have to be known first.
        for composites in [false, true] {
            let numbered = CustomParameters::default().renewed(wanted.parameters.clone());
            let definitions = self.definitions.with_custom(&numbered, |_| true);
            for (origin, text, drafts) in &texts {
                let Ok(document) = Document::parse(text, &Limits::NONE) else { continue };
                let resource = document.root();
                if (resource.get("type").and_then(Value::as_plain) == Some("composite")) == composites {
                    wanted.take(&definitions, origin, resource, *drafts);
                }
            }
        }
        Ok((wanted.parameters, wanted.left_out))
    }

    /// The SearchParameters that are stored, in the order in which they were written.
    async fn stored_search_parameters(&self) -> Result<Vec<(String, Vec<u8>, bool)>, Failure> {
        const NAME: &str = "SearchParameter";
        let Some(kind) = self.definitions.resource(NAME) else { return Ok(Vec::new()) };
        let snapshot = self.everything(TenantId::default()).await?;
        let mut query = Query {
            kinds: vec![kind],
            condition: Condition::Everything,
            sort: Vec::new(),
            after: None,
            skip: 0,
            limit: ROWS,
            total: false,
            budget: Default::default(),
        };
        let mut found = Vec::new();
        loop {
            let page = snapshot.search(&query).await.map_err(outcome::of_store)?;
            let json = page.rows.iter().filter_map(|v| Some((format!("{NAME}/{}", v.id), v.to_json(NAME)?, false)));
            found.extend(json);
            query.after = page.rows.last().map(|v| v.number);
            if !page.more || query.after.is_none() {
                return Ok(found);
            }
        }
    }

    /// How it stands with custom search parameters.
    pub(crate) fn standing(&self) -> Standing {
        self.settle();
        let state = self.parameters.state.read();
        let listed = |p: &CustomParameter| Listed { parameter: p.clone(), ready: !state.pending.contains(&p.number) };
        Standing {
            parameters: state.all.parameters.iter().map(listed).collect(),
            left_out: state.left_out.clone(),
            indexing: self.behind_the_gate().indexing(),
            refused: state.refused.clone(),
        }
    }
}

/// What is found to be in effect.
#[derive(Default)]
struct Wanted {
    parameters: Vec<CustomParameter>,
    left_out: Vec<LeftOut>,
}

impl Wanted {
    fn take(&mut self, definitions: &Definitions, origin: &str, resource: Value<'_>, drafts: bool) {
        let issues = match defined(definitions, origin, resource, drafts) {
            Defined::Inactive | Defined::Known => return,
            Defined::Wrong(issues) => issues,
            Defined::New(parameter) => {
                // The same one may come from a package and be stored as well.
                if self.parameters.iter().any(|other| other.means_the_same(&parameter)) {
                    return;
                }
                let other = self.parameters.iter().find(|other| collide(definitions, other, &parameter));
                match other.map(|other| taken(other, &parameter)) {
                    None if self.parameters.len() < MOST_CUSTOM => return self.parameters.push(*parameter),
                    None => vec![Issue::error(IssueCode::TooCostly, format!("there are {MOST_CUSTOM} already"))],
                    Some(taken) => vec![taken],
                }
            }
        };
        let url = resource.get("url").and_then(Value::as_str).unwrap_or_default().into_owned();
        tracing::warn!(
            origin,
            url,
            why = issues.first().map_or("", |i| &i.diagnostics),
            "a search parameter is not used"
        );
        self.left_out.push(LeftOut { origin: origin.to_owned(), url, issues });
    }
}

/// Whether two parameters cannot both be: one canonical, or one name on a type that both are for.
fn collide(definitions: &Definitions, one: &CustomParameter, other: &CustomParameter) -> bool {
    let kinds = || one.kinds(definitions);
    one.url == other.url || (one.code == other.code && other.kinds(definitions).iter().any(|k| kinds().contains(k)))
}

fn taken(by: &CustomParameter, parameter: &CustomParameter) -> Issue {
    let place = if by.url == parameter.url { "url" } else { "code" };
    let why = format!("'{}' is the search parameter {} already, of {}", by.code, by.url, by.origin);
    Issue::error(IssueCode::Duplicate, why).at(format!("SearchParameter.{place}"))
}
