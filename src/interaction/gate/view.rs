//! A state of the store as somebody sees it. Searches are narrowed before they run, and every single resource is judged
//! again on its way out, by what stands in it. What may not be seen is not there: it is not found, not counted, not
//! referred to.

use super::{forbidden, refused};
use crate::access::{Access, Action, Grant, Hidden, Restriction, Subject, guarded, looks_inside};
use crate::base::{Failure, FailureKind, IssueCode, ResourceId};
use crate::definitions::{Definitions, TypeId};
use crate::index::{Condition, INSIDE};
use crate::json::{Document, Limits, Tree};
use crate::store::{Body, HistoryQuery, HistoryScope, Page, Place, Query, Snapshot, StoreError, Version};
use async_trait::async_trait;
use std::sync::Arc;

/// Most versions that are looked at for one page of a history.
pub(super) const MOST_VERSIONS: usize = 50_000;

/// A snapshot behind a grant.
pub(super) struct View {
    pub inner: Box<dyn Snapshot>,
    pub grant: Arc<Grant>,
    pub definitions: Arc<Definitions>,
    /// What may be written is seen, too.
    pub writing: bool,
}

pub(super) fn denied(failure: Failure) -> StoreError {
    StoreError::Refused(Box::new(failure))
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Broken(format!("a stored resource cannot be read: {error}"))
}

/// Whether there are resources inside another, by its body: the head, which names its own type, is not part of it.
pub(super) fn holds_resources(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"\"resourceType\"").is_some()
}

/// Whether what a quick look has shown is judged all the same: in the tests, which hold the two to each other.
fn in_doubt() -> bool {
    #[cfg(test)]
    return super::tests::DOUBT.load(std::sync::atomic::Ordering::Relaxed);
    #[cfg(not(test))]
    return false;
}

impl View {
    /// The actions for which a resource that is read by its id may be seen.
    fn reading(&self) -> &'static [Action] {
        if self.writing { &[Action::Read, Action::Update, Action::Delete] } else { &[Action::Read] }
    }

    /// A version as it may be seen, if it may.
    async fn shown(&self, version: Option<Version>, actions: &[Action]) -> Result<Option<Version>, StoreError> {
        let Some(version) = version else { return Ok(None) };
        for action in actions {
            if self.inside(&version, *action).await? {
                return self.stripped(version).map(Some);
            }
        }
        Ok(None)
    }

    /// Whether a version may be seen: each is judged by its own content, a delete by what was deleted; a guarded label
    /// of the newest one counts for all.
    pub(super) async fn inside(&self, version: &Version, action: Action) -> Result<bool, StoreError> {
        if !self.within(version, action).await? {
            return Ok(false);
        }
        if version.newest || self.grant.hiding_labels().is_empty() {
            return Ok(true);
        }
        let newest = self.inner.read(version.kind, &version.id).await?;
        let newest = match newest {
            Some(deleted) if deleted.is_deleted() => self.before(&deleted).await?,
            other => other,
        };
        let Some(newest) = newest else { return Ok(true) };
        let hiding = self.grant.hiding_labels();
        let labels = self.labels(&newest)?;
        Ok(!labels.iter().any(|label| hiding.iter().any(|hidden| hidden == label)))
    }

    /// Whether the content of a version is inside the grant.
    async fn within(&self, version: &Version, action: Action) -> Result<bool, StoreError> {
        let access = self.grant.access(version.kind, action);
        if matches!(access, Access::Denied) {
            return Ok(false);
        }
        let earlier;
        let content = if version.is_deleted() {
            match self.before(version).await? {
                Some(before) => {
                    earlier = before;
                    &earlier
                }
                None => return Ok(matches!(access, Access::Everything)),
            }
        } else {
            version
        };
        let inside = match access {
            Access::Denied => false,
            Access::Everything => true,
            Access::Within(restriction) => self.judge(restriction, content)?,
        };
        Ok(inside && self.context_allows(content, action).await?)
    }

    /// What was there before a delete.
    async fn before(&self, deleted: &Version) -> Result<Option<Version>, StoreError> {
        let mut number = deleted.version;
        while number > 1 {
            number -= 1;
            let before = self.inner.version(deleted.kind, &deleted.id, number).await?;
            if let Some(before) = before.filter(|v| !v.is_deleted()) {
                return Ok(Some(before));
            }
        }
        Ok(None)
    }

    /// Judges what stands in a version.
    fn judge(&self, restriction: &Restriction, version: &Version) -> Result<bool, StoreError> {
        let sure = version.body.as_ref().is_some_and(|body| restriction.surely_holds(&version.id, body));
        if sure && !in_doubt() {
            return Ok(true);
        }
        let json = version.to_json(self.definitions.name(version.kind)).unwrap_or_default();
        let document = Document::parse(&json, &Limits::NONE).map_err(unreadable)?;
        let subject =
            Subject { kind: version.kind, id: &version.id, updated: version.last_updated, resource: document.root() };
        let holds = restriction.holds(self.grant.extractor(), &subject);
        debug_assert!(holds || !sure, "the quick look at {} and the whole judgement differ", version.id);
        Ok(holds)
    }

    fn labels(&self, version: &Version) -> Result<Vec<&'static str>, StoreError> {
        let json = version.to_json(self.definitions.name(version.kind)).unwrap_or_default();
        let document = Document::parse(&json, &Limits::NONE).map_err(unreadable)?;
        Ok(guarded(document.root()))
    }

    /// A version without the elements that are hidden.
    fn stripped(&self, mut version: Version) -> Result<Version, StoreError> {
        let own = self.grant.hidden(version.kind);
        // In a Bundle stand whole resources, as in `contained`.
        let inner =
            !self.grant.policy().hidden.is_empty() && version.body.as_ref().is_some_and(|body| holds_resources(body));
        if own.is_none() && !inner {
            return Ok(version);
        }
        let Some(json) = version.to_json(self.definitions.name(version.kind)) else { return Ok(version) };
        let mut tree = Tree::parse(&json).map_err(unreadable)?;
        let mut less = own.is_some_and(|hidden| hidden.strip(&mut tree));
        less |= self.strip_within(&mut tree);
        if less {
            let text = tree.to_json();
            let document = Document::parse(text.as_bytes(), &Limits::NONE).map_err(unreadable)?;
            version.body = Some(Body::of(document.root()).0);
        }
        Ok(version)
    }

    /// Takes the hidden elements out of the resources inside another; says whether there were any.
    pub(super) fn strip_within(&self, tree: &mut Tree) -> bool {
        let inner: Vec<&mut Tree> = match tree {
            Tree::Object(members) => members.iter_mut().map(|(_, value)| value).collect(),
            Tree::Array(items) => items.iter_mut().collect(),
            _ => return false,
        };
        let mut less = false;
        for value in inner {
            if let Some(hidden) = self.hidden_of(value) {
                less |= hidden.strip(value);
            }
            less |= self.strip_within(value);
        }
        less
    }

    /// The elements that are hidden in a resource inside another; none where it is no resource.
    pub(super) fn hidden_of(&self, tree: &Tree) -> Option<&Hidden> {
        let kind = self.definitions.resource(tree.get("resourceType")?.as_str()?)?;
        self.grant.hidden(kind)
    }

    /// The condition that a search is narrowed to, on some types that may be searched.
    fn narrowing(&self, kinds: &[TypeId]) -> Condition {
        let mut groups: Vec<(Condition, Vec<TypeId>)> = Vec::new();
        for kind in kinds {
            let condition = match self.grant.access(*kind, Action::Search) {
                Access::Denied => Condition::Nothing,
                Access::Everything => Condition::Everything,
                Access::Within(restriction) => restriction.condition().clone(),
            };
            match groups.iter_mut().find(|(same, _)| *same == condition) {
                Some((_, of)) => of.push(*kind),
                None => groups.push((condition, vec![*kind])),
            }
        }
        if let [(_, _)] = groups.as_slice() {
            return groups.pop().map_or(Condition::Nothing, |(condition, _)| condition);
        }
        Condition::any(groups.into_iter().map(|(condition, of)| {
            let of = Condition::any(of.into_iter().map(Condition::Kind));
            Condition::all([of, condition])
        }))
    }

    /// Those of some types that may be searched; if there are none, the search is refused.
    fn searchable(&self, kinds: &[TypeId]) -> Result<Vec<TypeId>, Failure> {
        let allowed: Vec<TypeId> =
            kinds.iter().copied().filter(|kind| self.grant.allows(*kind, Action::Search)).collect();
        match (allowed.is_empty(), kinds) {
            (false, _) => Ok(allowed),
            (true, [kind]) => Err(forbidden(Action::Search, self.definitions.name(*kind))),
            (true, _) => Err(refused("what was granted does not allow to search any of these types (the right 's')")),
        }
    }

    /// What is asked, with every step to other resources narrowed as well. What would ask for something that may not
    /// be searched is refused, whatever is stored.
    pub(super) fn scoped(&self, kinds: &[TypeId], condition: &Condition) -> Result<Condition, Failure> {
        Ok(match condition {
            Condition::Everything | Condition::Nothing | Condition::Kind(_) => condition.clone(),
            Condition::Term(_) | Condition::Range(_) => {
                let mut numbers = Vec::new();
                condition.parameters(&mut numbers);
                self.not_hidden(kinds, &numbers)?;
                condition.clone()
            }
            Condition::Not(inner) => Condition::Not(Box::new(self.scoped(kinds, inner)?)),
            Condition::And(all) => {
                Condition::all(all.iter().map(|c| self.scoped(kinds, c)).collect::<Result<Vec<_>, _>>()?)
            }
            Condition::Or(any) => {
                Condition::any(any.iter().map(|c| self.scoped(kinds, c)).collect::<Result<Vec<_>, _>>()?)
            }
            Condition::Chain { parameter, targets, condition } => {
                self.not_hidden(kinds, &[*parameter])?;
                let targets = self.searchable(targets)?;
                let asked = self.scoped(&targets, condition)?;
                let condition = Box::new(Condition::all([asked, self.narrowing(&targets)]));
                Condition::Chain { parameter: *parameter, targets, condition }
            }
            Condition::Reverse { source, parameter, condition } => {
                let source_only = [*source];
                self.searchable(&source_only)?;
                self.not_hidden(&source_only, &[*parameter])?;
                let asked = self.scoped(&source_only, condition)?;
                let condition = Box::new(Condition::all([asked, self.narrowing(&source_only)]));
                Condition::Reverse { source: *source, parameter: *parameter, condition }
            }
        })
    }

    /// What is asked of one type, narrowed.
    pub(super) fn narrowed(&self, kind: TypeId, asked: Condition) -> Condition {
        Condition::all([asked, self.narrowing(&[kind])])
    }

    /// Refuses what draws on hidden elements.
    fn not_hidden(&self, kinds: &[TypeId], numbers: &[u16]) -> Result<(), Failure> {
        if numbers.contains(&INSIDE) && !self.grant.policy().hidden.is_empty() {
            return Err(refused(
                "contained resources are not searched by your role, from which some elements are hidden",
            ));
        }
        let everywhere = |number: &&u16| looks_inside(&self.definitions, **number);
        if !self.grant.policy().hidden.is_empty()
            && let Some(number) = numbers.iter().find(everywhere)
        {
            let code = self.definitions.search_parameter_numbered(*number).map_or("", |p| &*p.code);
            return Err(refused(format!(
                "'{code}' draws on the resources inside others, too, in which elements are hidden from your role"
            )));
        }
        for hidden in kinds.iter().filter_map(|kind| self.grant.hidden(*kind)) {
            if let Some(number) = numbers.iter().find(|number| hidden.concerns(**number)) {
                let code = self.definitions.search_parameter_numbered(*number).map_or("", |p| &*p.code);
                return Err(refused(format!("'{code}' draws on an element that is hidden from your role")));
            }
        }
        Ok(())
    }

    /// Rows of a search or history as they may be seen.
    async fn rows(&self, rows: Vec<Version>, action: Action) -> Result<Vec<Version>, StoreError> {
        let mut seen = Vec::with_capacity(rows.len());
        for version in rows {
            seen.extend(self.shown(Some(version), &[action]).await?);
        }
        Ok(seen)
    }

    /// Rows that a narrowed search has found, as they may be seen.
    pub(super) async fn matches(&self, rows: Vec<Version>) -> Result<Vec<Version>, StoreError> {
        let certain = |rows: &[Version]| rows.iter().filter(|row| !self.is_binary(row.kind)).count();
        let found = certain(&rows);
        let rows = self.rows(rows, Action::Search).await?;
        let dropped = found - certain(&rows);
        if dropped > 0 {
            // Whose a Binary is cannot be searched by. Anything else is a defect of one of the two judgements.
            debug_assert!(false, "a search found what may not be seen");
            tracing::error!(dropped, "a search found what may not be seen");
        }
        Ok(rows)
    }

    /// Whether a whole history may be seen as it is.
    fn sees_all(&self, scope: &HistoryScope, action: Action) -> bool {
        let all = |kind: &TypeId| {
            matches!(self.grant.access(*kind, action), Access::Everything)
                && self.grant.hidden(*kind).is_none()
                && self.definitions.name(*kind) != "Binary"
        };
        match scope {
            HistoryScope::Instance(kind, _) | HistoryScope::Type(kind) => all(kind),
            HistoryScope::System => self.grant.hiding_labels().is_empty() && self.definitions.resources.iter().all(all),
        }
    }
}

#[async_trait]
impl Snapshot for View {
    fn position(&self) -> u64 {
        self.inner.position()
    }

    async fn read(&self, kind: TypeId, id: &ResourceId) -> Result<Option<Version>, StoreError> {
        let version = self.inner.read(kind, id).await?;
        self.shown(version, self.reading()).await
    }

    async fn version(&self, kind: TypeId, id: &ResourceId, version: u64) -> Result<Option<Version>, StoreError> {
        let version = self.inner.version(kind, id, version).await?;
        self.shown(version, self.reading()).await
    }

    async fn search(&self, query: &Query) -> Result<Page, StoreError> {
        let kinds = self.searchable(&query.kinds).map_err(denied)?;
        let asked = self.scoped(&kinds, &query.condition).map_err(denied)?;
        for sort in &query.sort {
            let number = sort.from.first_chunk().map(|number| u16::from_be_bytes(*number));
            self.not_hidden(&kinds, number.as_slice()).map_err(denied)?;
        }
        let condition = Condition::all([asked, self.narrowing(&kinds)]);
        let narrowed = Query { kinds, condition, ..query.clone() };
        if narrowed.kinds.iter().any(|kind| self.is_binary(*kind)) {
            return self.search_binaries(&narrowed).await;
        }
        let mut page = self.inner.search(&narrowed).await?;
        page.rows = self.matches(page.rows).await?;
        Ok(page)
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page, StoreError> {
        let instance = matches!(query.scope, HistoryScope::Instance(..));
        let action = if instance { Action::Read } else { Action::Search };
        if let HistoryScope::Type(kind) = &query.scope {
            self.searchable(&[*kind]).map_err(denied)?;
        }
        if self.sees_all(&query.scope, action) {
            return self.inner.history(query).await;
        }
        // All are counted where the first page is asked for; the links of the others carry what was counted then.
        let counts = instance && query.total && query.place == Place::Newest;
        let back = matches!(query.place, Place::Above(_));
        let mut raw = HistoryQuery { limit: query.limit.clamp(64, 1_000), total: false, ..query.clone() };
        let mut page = Page::default();
        let (mut looked_at, mut seen) = (0, 0);
        loop {
            let found = self.inner.history(&raw).await?;
            looked_at += found.rows.len();
            let reached = if back { found.rows.first() } else { found.rows.last() }.map(|v| v.number);
            raw.place = reached.map_or(raw.place, if back { Place::Above } else { Place::Below });
            let mut rows = self.rows(found.rows, action).await?;
            if back {
                rows.reverse();
            }
            for version in rows {
                seen += 1;
                if page.rows.len() < query.limit {
                    page.rows.push(version);
                } else {
                    page.more = true;
                }
            }
            if !found.more || reached.is_none() || (page.more && !counts) {
                page.total = counts.then_some(seen);
                break;
            }
            if looked_at >= MOST_VERSIONS {
                if !page.rows.is_empty() {
                    page.more = true;
                    break;
                }
                return Err(denied(Failure::new(
                    FailureKind::TooCostly,
                    IssueCode::TooCostly,
                    format!(
                        "among {MOST_VERSIONS} versions there was none that you may see; name a type, an id or _since"
                    ),
                )));
            }
        }
        if back {
            page.rows.reverse();
        }
        Ok(page)
    }

    async fn follows_delete(&self, version: &Version) -> Result<bool, StoreError> {
        // What the version itself tells whoever may see it.
        self.inner.follows_delete(version).await
    }
}
