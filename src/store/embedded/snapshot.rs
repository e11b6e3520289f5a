//! One state of one tenant: a position, and a short look at truth and index for each question.

use super::Shared;
use super::evaluate::Moment;
use super::history::History;
use super::index::TenantIndex;
use super::meter::Meter;
use super::order;
use super::record::{Header, version_key};
use super::trail;
use super::truth::{Look, Reading, damaged};
use super::type_index::TypeIndex;
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::store::{HistoryQuery, HistoryScope, Page, Query, Snapshot, StoreError, Version};
use async_trait::async_trait;
use std::sync::Arc;

/// A state of a tenant. Holds nothing open.
pub struct EmbeddedSnapshot {
    pub(super) shared: Arc<Shared>,
    pub(super) tenant: TenantId,
    pub(super) index: Arc<TenantIndex>,
    pub(super) position: u64,
}

impl EmbeddedSnapshot {
    /// The newest version of a resource at the position.
    fn newest(&self, reading: &Reading<'_>, kind: TypeId, id: &ResourceId) -> Result<Option<u64>, StoreError> {
        let Some(stored_type) = self.shared.types.stored(kind) else { return Ok(None) };
        if self.tenant.is_trail() {
            // Records have one version, and their ids are their numbers.
            let Some(number) = trail::number_of(id).filter(|n| *n <= self.position) else { return Ok(None) };
            let there = reading.record(self.tenant, number)?.is_some();
            let of_type = there && reading.version(self.tenant, number)?.0.stored_type == stored_type;
            return Ok(of_type.then_some(number));
        }
        let mut at = reading.newest(self.tenant, stored_type, id.as_str())?.map(|n| n.number);
        while let Some(number) = at.filter(|n| *n > self.position) {
            let (header, _) = reading.version(self.tenant, number)?;
            // A jump that does not go too far saves steps. (That of the first version goes nowhere.)
            let jump = header.jump.0;
            at = if jump > self.position && jump < number { Some(jump) } else { header.previous };
        }
        Ok(at)
    }

    /// A version with its body.
    fn load(&self, reading: &Reading<'_>, number: u64, newest: bool) -> Result<Version, StoreError> {
        let (header, body) = reading.version(self.tenant, number)?;
        self.shared.version(self.tenant, header, body, newest)
    }

    fn rows(&self, reading: &Reading<'_>, found: order::Found) -> Result<Page, StoreError> {
        let rows = found.numbers.into_iter().map(|number| {
            let (header, body) = reading.version(self.tenant, number)?;
            let newest = self.shared.is_newest(&self.index, self.tenant, &header, self.position)?;
            self.shared.version(self.tenant, header, body, newest)
        });
        Ok(Page { rows: rows.collect::<Result<_, _>>()?, total: found.total, more: found.more })
    }
}

impl Shared {
    /// A body as it was given, from what is stored.
    pub(super) fn body(&self, tenant: TenantId, header: &Header, stored: &[u8]) -> Result<Vec<u8>, StoreError> {
        let told = |error| match error {
            StoreError::Broken(why) => damaged(tenant, header.number, &format!("is damaged: {why}")),
            other => other,
        };
        let packed = self.truth.opened(&version_key(tenant, header.number), stored).map_err(told)?;
        self.codec.decompress(header.dictionary, &packed).map_err(told)
    }

    /// A version from its record.
    pub(super) fn version(
        &self,
        tenant: TenantId,
        header: Header,
        body: &[u8],
        newest: bool,
    ) -> Result<Version, StoreError> {
        let body = match header.is_deleted() {
            true => None,
            false => Some(self.body(tenant, &header, body)?),
        };
        let kind = self.types.kind(header.stored_type)?;
        Ok(Version {
            number: header.number,
            kind,
            id: header.id,
            version: header.version,
            last_updated: header.last_updated,
            method: header.method,
            newest,
            body,
        })
    }

    /// Whether a version is the newest of its resource at a position.
    pub(super) fn is_newest(
        &self,
        index: &TenantIndex,
        tenant: TenantId,
        header: &Header,
        position: u64,
    ) -> Result<bool, StoreError> {
        let kind = self.types.kind(header.stored_type)?;
        index
            .with(kind, |index| index.ordinal(header.number).map(|ordinal| index.is_newest(ordinal, position)))
            .ok_or_else(|| damaged(tenant, header.number, "is not in the index"))
    }
}

#[async_trait]
impl Snapshot for EmbeddedSnapshot {
    fn position(&self) -> u64 {
        self.position
    }

    async fn read(&self, kind: TypeId, id: &ResourceId) -> Result<Option<Version>, StoreError> {
        let reading = self.shared.truth.read()?;
        let newest = self.newest(&reading, kind, id)?;
        newest.map(|number| self.load(&reading, number, true)).transpose()
    }

    async fn version(&self, kind: TypeId, id: &ResourceId, version: u64) -> Result<Option<Version>, StoreError> {
        let reading = self.shared.truth.read()?;
        let newest = self.newest(&reading, kind, id)?;
        let mut at = newest;
        while let Some(number) = at {
            let (header, body) = reading.version(self.tenant, number)?;
            match header.version.cmp(&version) {
                std::cmp::Ordering::Equal => {
                    return self.shared.version(self.tenant, header, body, newest == Some(number)).map(Some);
                }
                std::cmp::Ordering::Less => return Ok(None),
                // Jump as long as that does not go too far.
                std::cmp::Ordering::Greater if header.jump.1 >= version && header.jump.0 < number => {
                    at = Some(header.jump.0);
                }
                std::cmp::Ordering::Greater => at = header.previous,
            }
        }
        Ok(None)
    }

    async fn search(&self, query: &Query) -> Result<Page, StoreError> {
        let vocabulary = &*self.shared.vocabulary;
        let meter = Meter::new(&query.budget);
        let moment = Moment { tenant: &self.index, vocabulary, position: self.position, meter: &meter };
        let found = order::page(&moment, query)?;
        let reading = self.shared.truth.read()?;
        let rows = found.numbers.into_iter().map(|number| self.load(&reading, number, true));
        Ok(Page { rows: rows.collect::<Result<_, _>>()?, total: found.total, more: found.more })
    }

    async fn history(&self, query: &HistoryQuery) -> Result<Page, StoreError> {
        let reading = self.shared.truth.read()?;
        let newest = match &query.scope {
            HistoryScope::Instance(kind, id) => self.newest(&reading, *kind, id)?,
            _ => None,
        };
        let history =
            History { reading: &reading, tenant: self.tenant, index: &self.index, position: self.position, query };
        let found = history.page(newest)?;
        self.rows(&reading, found)
    }

    async fn follows_delete(&self, version: &Version) -> Result<bool, StoreError> {
        let look = |index: &TypeIndex| index.ordinal(version.number).map(|ordinal| index.follows_delete(ordinal));
        let not_there = || damaged(self.tenant, version.number, "is not in the index");
        self.index.with(version.kind, look).ok_or_else(not_there)
    }
}
