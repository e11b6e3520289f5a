//! The terminology that a tenant has stored: its code systems, value sets and concept maps, made once for each version of
//! each resource and kept until the change log tells of another. Behind it stands what packages bring. Whoever asks works with those that they may read, by
//! the gate's judgement: what is hidden from them is not there, under whatever name it is asked for.

use super::outside::{Of, around};
use super::{Context, Service, outcome};
use crate::access::Action;
use crate::base::{Failure, ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::json::Tree;
use crate::search::{CodeList, CodesOf};
use crate::store::{Query, Snapshot, Version};
use crate::terminology::{self, Both, CodeSystem, ConceptMap, Library, Packaged, Problem, Rules, Shelf, ValueSet};
use parking_lot::Mutex;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// The types that are terminology.
const KINDS: [&str; 3] = ["CodeSystem", "ValueSet", "ConceptMap"];
/// Changes that are read before all resources are looked at instead.
const CHANGES: usize = 2_000;
/// Rows that are read at once.
const ROWS: usize = 500;

/// Codes that a search may mean by one value set or one code.
const CODES: usize = 10_000;

/// What a search wants to know, and the codes, or why there are none.
pub(crate) type Known = ((CodesOf, String), Result<CodeList, String>);

/// What is kept of all tenants.
#[derive(Default)]
pub(crate) struct Terminology {
    tenants: Mutex<FxHashMap<TenantId, Arc<Held>>>,
    /// Code systems that were imported from release files. They serve every tenant.
    releases: Mutex<Vec<Arc<CodeSystem>>>,
}

impl Terminology {
    /// Says which code systems were imported; what is kept is made anew.
    pub(crate) fn set_releases(&self, systems: Vec<Arc<CodeSystem>>) {
        *self.releases.lock() = systems;
        self.tenants.lock().clear();
    }

    fn releases(&self) -> Vec<Arc<CodeSystem>> {
        self.releases.lock().clone()
    }
}

/// What is kept of a tenant: the state of a position.
struct Held {
    position: u64,
    made: FxHashMap<(TypeId, String), (u64, Made)>,
    /// Those that may have a security label: whom they are hidden from is a matter of the grant.
    guarded: Vec<(TypeId, ResourceId)>,
    shelf: Arc<Shelf>,
}

/// The terminology that a caller may read: what is stored and imported, and behind it what packages bring.
pub(crate) struct Readable {
    stored: Arc<Shelf>,
    packaged: Arc<Packaged>,
    /// Who may not read the code systems, value sets or concept maps of the server gets none of packages either.
    denied: [bool; 3],
}

impl Readable {
    /// Asks what is stored and, unless the caller may not read the type, the packages.
    fn ask<T>(&self, kind: usize, f: impl FnOnce(&dyn Library) -> T) -> T {
        match self.denied.get(kind) {
            Some(false) => f(&Both(&*self.stored, &*self.packaged)),
            _ => f(&*self.stored),
        }
    }
}

impl Library for Readable {
    fn code_systems(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        self.ask(0, |library| library.code_systems(url))
    }

    fn value_sets(&self, url: &str) -> Vec<Arc<ValueSet>> {
        self.ask(1, |library| library.value_sets(url))
    }

    fn supplements(&self, url: &str) -> Vec<Arc<CodeSystem>> {
        self.ask(0, |library| library.supplements(url))
    }

    fn concept_maps(&self) -> Vec<Arc<ConceptMap>> {
        self.ask(2, |library| library.concept_maps())
    }
}

#[derive(Clone)]
enum Made {
    System(Arc<CodeSystem>),
    Set(Arc<ValueSet>),
    Map(Arc<ConceptMap>),
}

impl Service {
    /// The terminology of the tenant as it is now, as far as the caller may read it.
    pub(crate) async fn terminology(&self, context: &Context) -> Result<Readable, Failure> {
        let held = self.held(context).await?;
        let readable = |stored: Arc<Shelf>, denied: [bool; 3]| {
            let packaged = self.validator().packaged().clone();
            Ok(Readable { stored, packaged, denied })
        };
        let Some(grant) = self.grant(context).await? else { return readable(held.shelf.clone(), [false; 3]) };
        let kinds: Vec<TypeId> = KINDS.iter().filter_map(|name| self.definitions.resource(name)).collect();
        let may_not =
            |name: &&str| self.definitions.resource(name).is_none_or(|kind| !grant.allows(kind, Action::Read));
        let all_denied = [may_not(&KINDS[0]), may_not(&KINDS[1]), may_not(&KINDS[2])];
        let denied: Vec<TypeId> = kinds.iter().copied().filter(|kind| !grant.allows(*kind, Action::Read)).collect();
        let bound: Vec<TypeId> = kinds.into_iter().filter(|kind| grant.is_bound(*kind, Action::Read)).collect();
        let judged = |kind: &TypeId| bound.contains(kind) && !denied.contains(kind);
        // What scope and policy leave whole can only have a label that hides it.
        let asked = held.made.keys().filter(|(kind, _)| judged(kind)).map(|(kind, id)| (*kind, ResourceId::new(id)));
        let labelled = held.guarded.iter().filter(|(kind, _)| !bound.contains(kind));
        let asked = asked.chain(labelled.map(|(kind, id)| (*kind, Some(id.clone()))));
        let snapshot = self.snapshot(context).await?;
        let mut hidden: FxHashSet<(TypeId, String)> = FxHashSet::default();
        for (kind, id) in asked {
            let Some(id) = id else { continue };
            if snapshot.read(kind, &id).await.map_err(outcome::of_store)?.is_none() {
                hidden.insert((kind, id.to_string()));
            }
        }
        if hidden.is_empty() && denied.is_empty() {
            return readable(held.shelf.clone(), all_denied);
        }
        let seen = |key: &&(TypeId, String)| !denied.contains(&key.0) && !hidden.contains(*key);
        // What was imported is read like any code system.
        let systems = self.definitions.resource("CodeSystem");
        let imported = systems.is_some_and(|kind| !denied.contains(&kind));
        let releases = if imported { self.terminology.releases() } else { Vec::new() };
        let seen = held.made.iter().filter(|(key, _)| seen(key)).map(|(_, (_, made))| made);
        readable(Arc::new(shelved(releases, seen)), all_denied)
    }

    /// The terminology of the tenant as it is now, whoever may read it: for what all are held against.
    pub(super) async fn whole_terminology(&self, context: &Context) -> Result<Arc<Shelf>, Failure> {
        Ok(self.held(context).await?.shelf.clone())
    }

    /// The terminology of the tenant as it is now, whole.
    async fn held(&self, context: &Context) -> Result<Arc<Held>, Failure> {
        let kinds: Vec<TypeId> = KINDS.iter().filter_map(|name| self.definitions.resource(name)).collect();
        let held = self.terminology.tenants.lock().get(&context.tenant).cloned();
        // Definitions hold nothing of patients, and what is kept serves every caller: all of them are read.
        let snapshot = self.everything(context.tenant).await?;
        let position = snapshot.position();
        if let Some(held) = &held {
            if held.position == position {
                return Ok(held.clone());
            }
            let changes = self
                .behind_the_gate()
                .changes(context.tenant, held.position, CHANGES)
                .await
                .map_err(outcome::of_store)?;
            let all_seen = changes.position >= position;
            if all_seen && !changes.versions.iter().any(|v| kinds.contains(&v.kind)) {
                let (made, guarded, shelf) = (held.made.clone(), held.guarded.clone(), held.shelf.clone());
                let same = Arc::new(Held { position, made, guarded, shelf });
                self.terminology.tenants.lock().insert(context.tenant, same.clone());
                return Ok(same);
            }
        }
        let (made, guarded) = self.make(&*snapshot, kinds, held.as_deref()).await?;
        let shelf = Arc::new(shelved(self.terminology.releases(), made.values().map(|(_, made)| made)));
        let fresh = Arc::new(Held { position, made, guarded, shelf });
        self.terminology.tenants.lock().insert(context.tenant, fresh.clone());
        Ok(fresh)
    }

    /// Looks up what searches want to know: the codes of value sets, and those below or above a code. What is not held
    /// here is asked of the outside terminology server, if there is one.
    pub(crate) async fn codes(&self, context: &Context, wanted: Vec<(CodesOf, String)>) -> Result<Vec<Known>, Failure> {
        let held = self.terminology(context).await?;
        let mut known = Vec::new();
        for (of, what) in wanted {
            let found = match of {
                CodesOf::ValueSet => match self.value_set_named(context, &what).await? {
                    Some(set) => listed(&held, &set),
                    None => listed_by_canonical(&held, &what),
                },
                CodesOf::Below => hierarchy(&held, &what, true),
                CodesOf::Above => hierarchy(&held, &what, false),
            };
            let found = match found {
                Ok(codes) => Ok(codes),
                Err(Refused::Missing(problem, of)) => self.listed_outside(context, &problem, of, CODES).await,
                Err(Refused::Otherwise(why)) => Err(why),
            };
            known.push(((of, what), found));
        }
        Ok(known)
    }

    /// The value set that is stored under `ValueSet/[id]`; none where a canonical is meant.
    async fn value_set_named(&self, context: &Context, what: &str) -> Result<Option<ValueSet>, Failure> {
        let relative = what.strip_prefix(context.base.as_str()).unwrap_or(what).trim_start_matches('/');
        let Some(id) = relative.strip_prefix("ValueSet/").and_then(ResourceId::new) else { return Ok(None) };
        let Some(kind) = self.definitions.resource("ValueSet") else { return Ok(None) };
        let found = self.snapshot(context).await?.read(kind, &id).await.map_err(outcome::of_store)?;
        let json = found.and_then(|version| version.to_json("ValueSet"));
        Ok(json.and_then(|json| Tree::parse(&json).ok()).map(|tree| ValueSet::of(&tree)))
    }

    /// Reads all resources of terminology; those whose version is known are not made again.
    async fn make(
        &self,
        snapshot: &dyn Snapshot,
        kinds: Vec<TypeId>,
        held: Option<&Held>,
    ) -> Result<(FxHashMap<(TypeId, String), (u64, Made)>, Vec<(TypeId, ResourceId)>), Failure> {
        let mut made = FxHashMap::default();
        let mut guarded = Vec::new();
        let mut query = Query {
            kinds,
            condition: Condition::Everything,
            sort: Vec::new(),
            after: None,
            skip: 0,
            limit: ROWS,
            total: false,
            budget: Default::default(),
        };
        loop {
            let page = snapshot.search(&query).await.map_err(outcome::of_store)?;
            for version in &page.rows {
                let key = (version.kind, version.id.to_string());
                let known = held.and_then(|h| h.made.get(&key)).filter(|(number, _)| *number == version.version);
                let one = match known {
                    Some((_, made)) => Some(made.clone()),
                    None => self.read_terminology(version),
                };
                let Some(one) = one else { continue };
                made.insert(key, (version.version, one));
                if version.body.as_ref().is_some_and(|body| memchr::memmem::find(body, b"\"security\"").is_some()) {
                    guarded.push((version.kind, version.id.clone()));
                }
            }
            query.after = page.rows.last().map(|v| v.number);
            if !page.more || query.after.is_none() {
                return Ok((made, guarded));
            }
        }
    }

    fn read_terminology(&self, version: &Version) -> Option<Made> {
        let name = self.definitions.name(version.kind);
        let tree = Tree::parse(&version.to_json(name)?).ok()?;
        Some(match name {
            "CodeSystem" => Made::System(Arc::new(CodeSystem::of(&tree))),
            "ValueSet" => Made::Set(Arc::new(ValueSet::of(&tree))),
            _ => Made::Map(Arc::new(ConceptMap::of(&tree))),
        })
    }
}

fn shelved<'m>(releases: Vec<Arc<CodeSystem>>, all: impl Iterator<Item = &'m Made>) -> Shelf {
    let mut shelf = Shelf::default();
    releases.into_iter().for_each(|system| shelf.add_code_system(system));
    for made in all {
        match made {
            Made::System(system) => shelf.add_code_system(system.clone()),
            Made::Set(set) => shelf.add_value_set(set.clone()),
            Made::Map(map) => shelf.add_concept_map(map.clone()),
        }
    }
    shelf
}

/// Why there are no codes.
enum Refused {
    /// Something is wrong or not here; of whom could be asked what, if it is not here.
    Missing(Box<Problem>, Of),
    Otherwise(String),
}

fn listed_by_canonical(held: &Readable, canonical: &str) -> Result<CodeList, Refused> {
    let set = terminology::with_core(&Shelf::default(), held, |library| {
        terminology::value_set(library, canonical, &Rules::default())
    });
    match set {
        Ok(set) => listed(held, &set),
        Err(problem) => Err(Refused::Missing(Box::new(problem), Of::Canonical(canonical.to_owned()))),
    }
}

/// The codes of a value set.
fn listed(held: &Readable, set: &ValueSet) -> Result<CodeList, Refused> {
    let rules = Rules { limit: CODES, ..Rules::default() };
    terminology::with_core(&Shelf::default(), held, |library| match terminology::expand(library, set, &rules) {
        Ok(found) => Ok(found.items.into_iter().map(|i| (i.system.into_string(), i.code.into_string())).collect()),
        Err(problem) => Err(Refused::Missing(Box::new(problem), Of::Sets(terminology::bare(library, set)))),
    })
}

/// A code, `system|code`, and those below or above it.
fn hierarchy(held: &Readable, what: &str, below: bool) -> Result<CodeList, Refused> {
    let Some((system, code)) = what.rsplit_once('|').filter(|(system, _)| !system.is_empty()) else {
        return Err(Refused::Otherwise("a code is written with its system: system|code".to_owned()));
    };
    let found =
        terminology::with_core(&Shelf::default(), held, |library| terminology::hierarchy(library, system, code, below));
    let codes = found.map_err(|problem| Refused::Missing(Box::new(problem), around(system, code, below)))?;
    if codes.len() > CODES {
        return Err(Refused::Otherwise(format!("it means more than {CODES} codes")));
    }
    Ok(codes.into_iter().map(|code| (system.to_owned(), code.into_string())).collect())
}
