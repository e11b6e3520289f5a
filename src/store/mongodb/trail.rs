//! The audit trail: its records are ordinary versions of the trail's own tenant, with their hash of the chain in `h`;
//! where the trail ends stands in the counter of that tenant.

use super::Shared;
use super::database::Collections;
use super::document::{NewVersion, between, version_of};
use super::terms::Found;
use crate::base::{ResourceId, TenantId, Timestamp};
use crate::index::Terms;
pub use crate::store::Head;
use crate::store::{AuditRecord, Hash, Link, LinkContent, Method, StoreError};
use futures_util::TryStreamExt;
use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, doc};
use mongodb::error::Error;

pub(super) fn hash_of(found: &Document) -> Option<Hash> {
    found.get_binary_generic("h").ok()?.as_slice().try_into().ok()
}

pub(super) fn binary(hash: &Hash) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: hash.to_vec() }
}

fn head_of(counter: Option<&Document>) -> Option<Head> {
    let Some(counter) = counter.filter(|c| c.contains_key("n")) else { return Some(Head::NONE) };
    let last_updated = Timestamp(counter.get_i64("u").ok()?);
    Some(Head { number: counter.get_i64("n").ok()? as u64, hash: hash_of(counter)?, last_updated })
}

fn damaged() -> StoreError {
    StoreError::Broken("the end of the audit trail is damaged".into())
}

fn key(tenant: TenantId) -> Document {
    doc! { "_id": i64::from(tenant.trail().0) }
}

impl Collections {
    /// Takes the counter of a trail within a transaction: where it ends.
    pub async fn take_trail(
        &self,
        tenant: TenantId,
        attempt: &str,
        session: &mut ClientSession,
    ) -> Result<Head, Error> {
        let taken = doc! { "$set": { "a": attempt } };
        let counter = self.tenants.find_one_and_update(key(tenant), taken).upsert(true).session(session).await?;
        head_of(counter.as_ref()).ok_or_else(|| Error::custom(damaged()))
    }

    /// Notes where a trail ends.
    pub async fn put_trail(&self, tenant: TenantId, head: &Head, session: &mut ClientSession) -> Result<(), Error> {
        let set = doc! { "n": head.number as i64, "u": head.last_updated.0, "h": binary(&head.hash) };
        self.tenants.update_one(key(tenant), doc! { "$set": set }).session(session).await?;
        Ok(())
    }
}

impl Shared {
    /// A record as it is stored after the end of a trail, and the new end.
    pub fn link(
        &self,
        tenant: TenantId,
        record: &AuditRecord,
        body: &[u8],
        before: &Head,
        attempt: &str,
    ) -> Result<(Document, Head), Error> {
        let next = before.next(tenant, self.clock.now(), &record.digest());
        let no_id = || Error::custom(StoreError::Broken("a number is no id".into()));
        let id = ResourceId::new(&next.number.to_string()).ok_or_else(no_id)?;
        let terms = self.terms(record, &id, next.last_updated);
        let version = NewVersion {
            tenant: tenant.trail(),
            number: next.number,
            commit: next.number,
            kind: self.vocabulary.name(record.kind),
            id: &id,
            version: 1,
            last_updated: next.last_updated,
            method: Method::Create,
            content: Some((body, &terms)),
            attempt,
        };
        let mut document = version.document();
        document.insert("h", binary(&next.hash));
        Ok((document, next))
    }

    /// What a record is found by.
    fn terms(&self, record: &AuditRecord, id: &ResourceId, updated: Timestamp) -> Terms {
        let of = Found { kind: record.kind, id, version: 1, last_updated: updated, body: &record.body.0 };
        self.found(&of).map_or_else(|_| self.stamped(record.kind, id, updated), |(terms, _)| terms)
    }

    /// The end of a tenant's trail, as it was noted.
    pub async fn audit_head(&self, tenant: TenantId) -> Result<Head, StoreError> {
        let counter = self.tenants.find_one(key(tenant)).await?;
        head_of(counter.as_ref()).ok_or_else(damaged)
    }

    /// Records of a tenant's trail as they are stored.
    pub async fn audit_links(&self, tenant: TenantId, after: u64, limit: usize) -> Result<Vec<Link>, StoreError> {
        let trail = tenant.trail();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let find = self.versions.find(between(trail, after, u64::MAX)).sort(doc! { "_id": 1 }).limit(limit);
        let found: Vec<Document> = find.projection(doc! { "x": 0 }).await?.try_collect().await?;
        Ok(found.iter().map(|found| self.link_of(found)).collect())
    }

    pub(super) fn link_of(&self, found: &Document) -> Link {
        let number = found.get_str("_id").ok().and_then(|key| u64::from_str_radix(key.get(8..)?, 16).ok());
        let read = || -> Result<LinkContent, StoreError> {
            let version = version_of(found, &*self.vocabulary, u64::MAX >> 1)?;
            let hash = hash_of(found).ok_or_else(|| StoreError::Broken("it has no hash".into()))?;
            let body = version.body.ok_or_else(|| StoreError::Broken("it has no content".into()))?;
            Ok(LinkContent { last_updated: version.last_updated, id: version.id, body, hash })
        };
        Link { number: number.unwrap_or(0), content: read().map_err(|e| e.to_string()) }
    }
}
