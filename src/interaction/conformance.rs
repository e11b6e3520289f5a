//! What the resources of a tenant are held against: the packages, and beside them the profiles, value sets, code systems,
//! questionnaires and measures that the tenant has stored as resources. What a package defines is not displaced by a resource of
//! the same canonical. Made anew when one of these resources has changed; a request that began before goes on with the
//! old.

use super::{Context, Service, outcome};
use crate::base::{Failure, ResourceId, TenantId};
use crate::definitions::{self, Registry, TypeId};
use crate::index::Condition;
use crate::json::{Document, Limits, Value};
use crate::store::{Query, Snapshot, Version};
use crate::validation::{KnownCodes, Validator};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The types of what is held against.
const KINDS: [&str; 5] = ["StructureDefinition", "ValueSet", "CodeSystem", "Questionnaire", "Measure"];
/// How long is trusted that no other process on the same store has changed any.
const TRUSTED: Duration = Duration::from_secs(1);
/// Rows that are read at once.
const ROWS: usize = 500;
/// The package that stored resources are said to be of.
const PACKAGE: &str = "(stored)";

/// What is kept of all tenants.
#[derive(Default)]
pub(crate) struct Stored {
    tenants: Mutex<FxHashMap<TenantId, Arc<Held>>>,
    /// Commits of this process that changed something.
    changes: AtomicU64,
}

impl Stored {
    /// Whether resources of this type are held against others.
    pub(super) fn regards(&self, kind: &str) -> bool {
        KINDS.contains(&kind)
    }

    /// Something was committed that is regarded.
    pub(super) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
    }
}

/// The place of each resource in the change log, and what was made of it, if it can be named.
type Made = FxHashMap<(TypeId, ResourceId), (u64, Option<Arc<definitions::Conformance>>)>;

/// What is kept of a tenant.
struct Held {
    /// What it is made over: the packages.
    over: Arc<Validator>,
    changes: u64,
    looked: Instant,
    made: Made,
    validator: Arc<Validator>,
}

impl Service {
    /// Whether what operations say depends on the stored resources of this type.
    pub(super) fn operations_depend_on(&self, kind: TypeId) -> bool {
        let name = self.definitions.name(kind);
        self.stored.regards(name) || name == "ConceptMap"
    }

    /// What the resources of a tenant are held against now.
    pub(crate) async fn validator_of(&self, context: &Context) -> Result<Arc<Validator>, Failure> {
        let over = self.validator();
        let changes = self.stored.changes.load(Ordering::Acquire);
        let held = self.stored.tenants.lock().get(&context.tenant).cloned();
        if let Some(held) = &held
            && Arc::ptr_eq(&held.over, &over)
            && held.changes == changes
            && held.looked.elapsed() < TRUSTED
        {
            return Ok(held.validator.clone());
        }
        let looked = Instant::now();
        // Definitions hold nothing of patients, and what is kept serves every caller: all of them are read.
        let snapshot = self.everything(context.tenant).await?;
        let (made, same) = self.definitions_in(&*snapshot, held.as_deref().map(|h| &h.made)).await?;
        let validator = match &held {
            Some(held) if same && Arc::ptr_eq(&held.over, &over) => held.validator.clone(),
            _ => {
                let resources = made.values().filter_map(|(_, made)| made.clone()).collect();
                let registry = Arc::new(Registry::over(over.registry().clone(), resources));
                // The rules are the same for every writer, whatever the first of them may read.
                let shelf = self.whole_terminology(context).await?;
                let codes = Arc::new(KnownCodes::with(shelf, over.packaged().clone()));
                Arc::new(over.beside(registry, codes))
            }
        };
        let fresh = Held { over, changes, looked, made, validator: validator.clone() };
        self.stored.tenants.lock().insert(context.tenant, Arc::new(fresh));
        Ok(validator)
    }

    /// The resources that are regarded, and whether they are those of before.
    async fn definitions_in(&self, snapshot: &dyn Snapshot, before: Option<&Made>) -> Result<(Made, bool), Failure> {
        let mut made = before.cloned().unwrap_or_default();
        let (mut same, total) = self.newer(snapshot, &mut made).await?;
        same &= before.is_some();
        if total != made.len() as u64 {
            // Some were deleted.
            made.clear();
            self.newer(snapshot, &mut made).await?;
            same = false;
        }
        Ok((made, same))
    }

    /// Reads what is newer than what was made; whether there is nothing, and how many there are in all.
    async fn newer(&self, snapshot: &dyn Snapshot, made: &mut Made) -> Result<(bool, u64), Failure> {
        let mut query = Query {
            kinds: KINDS.iter().filter_map(|name| self.definitions.resource(name)).collect(),
            condition: Condition::Everything,
            sort: Vec::new(),
            after: made.values().map(|(number, _)| *number).max(),
            skip: 0,
            limit: ROWS,
            total: true,
            budget: Default::default(),
        };
        let mut nothing = true;
        loop {
            let page = snapshot.search(&query).await.map_err(outcome::of_store)?;
            for version in &page.rows {
                nothing = false;
                let one = self.made_of(version).map(Arc::new);
                made.insert((version.kind, version.id.clone()), (version.number, one));
            }
            query.after = page.rows.last().map(|v| v.number).or(query.after);
            if !page.more || page.rows.is_empty() {
                return Ok((nothing, page.total.unwrap_or_default()));
            }
        }
    }

    /// A resource that has a canonical.
    fn made_of(&self, version: &Version) -> Option<definitions::Conformance> {
        let kind = self.definitions.name(version.kind);
        let json = version.to_json(kind)?;
        let document = Document::parse(&json, &Limits::NONE).ok()?;
        let of = |name: &str| document.root().get(name).and_then(Value::as_str).unwrap_or_default();
        let (url, about) = (of("url"), of("type"));
        if url.is_empty() {
            return None;
        }
        Some(definitions::Conformance::new(kind, &url, &of("version"), &about, PACKAGE.into(), &json))
    }
}
