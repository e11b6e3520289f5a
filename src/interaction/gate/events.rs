//! AuditEvents that lie among the data, from a time without a trail: where there is a trail, they are not shown, so that
//! nobody takes them for records of it. What the trail is is told at the start; from then on nobody writes any more.

use crate::base::{Failure, ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Condition;
use crate::interaction::{Context, Service, outcome};
use crate::store::{Budget, HistoryQuery, HistoryScope, Page, Place, Query, Snapshot, StoreError, Version};
use async_trait::async_trait;
use std::sync::atomic::{AtomicBool, Ordering};

/// Versions of a history that are read at once, at least.
const PAGE: usize = 64;

/// What was found at the start.
#[derive(Default)]
pub(super) struct Events {
    /// The trail has records.
    recorded: AtomicBool,
    /// There are, or were, AuditEvents among the data.
    among_data: AtomicBool,
}

impl Service {
    /// Looks whether there are records of an audit trail, and AuditEvents beside them.
    pub async fn look_at_trail(&self) -> Result<(), Failure> {
        let (tenant, store) = (TenantId::default(), &self.gate.store);
        let head = store.audit_head(tenant).await.map_err(outcome::of_store)?;
        self.gate.events.recorded.store(head.number > 0, Ordering::Relaxed);
        let Some(kind) = self.definitions.resource("AuditEvent") else { return Ok(()) };
        let snapshot = store.snapshot(tenant).await.map_err(outcome::of_store)?;
        let query = HistoryQuery {
            scope: HistoryScope::Type(kind),
            since: None,
            current_during: None,
            place: Place::Newest,
            limit: 1,
            total: false,
            budget: Budget::default(),
        };
        let found = snapshot.history(&query).await.map_err(outcome::of_store)?;
        self.gate.events.among_data.store(!found.rows.is_empty(), Ordering::Relaxed);
        Ok(())
    }

    /// Whether the data hold a trail, which this process may go on with or not.
    pub(in crate::interaction) fn holds_trail(&self) -> bool {
        self.gate.events.recorded.load(Ordering::Relaxed)
    }

    /// A state of the data in which no AuditEvents are, if there is a trail.
    pub(super) fn without_events(&self, context: &Context, inner: Box<dyn Snapshot>) -> Box<dyn Snapshot> {
        let hides = self.has_trail() && !context.trail && self.gate.events.among_data.load(Ordering::Relaxed);
        match self.definitions.resource("AuditEvent").filter(|_| hides) {
            Some(kind) => Box::new(Without { inner, kind }),
            None => inner,
        }
    }
}

/// A snapshot without the resources of a type.
struct Without {
    inner: Box<dyn Snapshot>,
    kind: TypeId,
}

impl Without {
    fn rest(&self, kinds: &[TypeId]) -> Vec<TypeId> {
        kinds.iter().copied().filter(|kind| *kind != self.kind).collect()
    }

    /// How many a history of the system has without those of the type, if that is asked.
    async fn left(&self, query: &HistoryQuery) -> Result<Option<u64>, StoreError> {
        if !query.total {
            return Ok(None);
        }
        let all = HistoryQuery { limit: 0, ..query.clone() };
        let hidden = HistoryQuery { scope: HistoryScope::Type(self.kind), ..all.clone() };
        let (all, hidden) = (self.inner.history(&all).await?.total, self.inner.history(&hidden).await?.total);
        Ok(all.zip(hidden).map(|(all, hidden)| all.saturating_sub(hidden)))
    }

    /// What is asked, without the steps to resources of the type.
    fn asked(&self, condition: &Condition) -> Condition {
        match condition {
            Condition::Not(inner) => Condition::Not(Box::new(self.asked(inner))),
            Condition::And(all) => Condition::all(all.iter().map(|one| self.asked(one))),
            Condition::Or(any) => Condition::any(any.iter().map(|one| self.asked(one))),
            Condition::Chain { parameter, targets, condition } => {
                let targets = self.rest(targets);
                if targets.is_empty() {
                    return Condition::Nothing;
                }
                Condition::Chain { parameter: *parameter, targets, condition: Box::new(self.asked(condition)) }
            }
            Condition::Reverse { source, .. } if *source == self.kind => Condition::Nothing,
            Condition::Reverse { source, parameter, condition } => {
                let condition = Box::new(self.asked(condition));
                Condition::Reverse { source: *source, parameter: *parameter, condition }
            }
            Condition::Everything
            | Condition::Nothing
            | Condition::Kind(_)
            | Condition::Term(_)
            | Condition::Range(_) => condition.clone(),
        }
    }
}

#[async_trait]
impl Snapshot for Without {
    fn position(&self) -> u64 {
        self.inner.position()
    }

    async fn read(&self, kind: TypeId, id: &ResourceId) -> Result<Option<Version>, StoreError> {
        if kind == self.kind { Ok(None) } else { self.inner.read(kind, id).await }
    }

    async fn version(&self, kind: TypeId, id: &ResourceId, version: u64) -> Result<Option<Version>, StoreError> {
        if kind == self.kind { Ok(None) } else { self.inner.version(kind, id, version).await }
    }

    async fn search(&self, query: &Query) -> Result<Page, StoreError> {
        let kinds = self.rest(&query.kinds);
        if kinds.is_empty() {
            return Ok(Page { total: query.total.then_some(0), ..Page::default() });
        }
        self.inner.search(&Query { kinds, condition: self.asked(&query.condition), ..query.clone() }).await
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page, StoreError> {
        match &query.scope {
            HistoryScope::Instance(kind, _) | HistoryScope::Type(kind) if *kind == self.kind => {
                return Ok(Page { total: query.total.then_some(0), ..Page::default() });
            }
            HistoryScope::Instance(..) | HistoryScope::Type(_) => return self.inner.history(query).await,
            HistoryScope::System => {}
        }
        let mut page = Page { total: self.left(query).await?, ..Page::default() };
        if query.limit == 0 {
            return Ok(page);
        }
        let back = matches!(query.place, Place::Above(_));
        let mut raw = HistoryQuery { limit: query.limit.max(PAGE), total: false, ..query.clone() };
        loop {
            let mut found = self.inner.history(&raw).await?;
            if back {
                found.rows.reverse();
            }
            let reached = found.rows.last().map(|version| version.number);
            for version in found.rows.into_iter().filter(|version| version.kind != self.kind) {
                if page.rows.len() == query.limit {
                    page.more = true;
                    break;
                }
                page.rows.push(version);
            }
            match reached {
                Some(number) if found.more && !page.more => {
                    raw.place = if back { Place::Above(number) } else { Place::Below(number) };
                }
                _ => break,
            }
        }
        if back {
            page.rows.reverse();
        }
        Ok(page)
    }

    async fn follows_delete(&self, version: &Version) -> Result<bool, StoreError> {
        self.inner.follows_delete(version).await
    }
}
