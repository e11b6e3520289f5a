//! Items as documents: `_id` of tenant, collection and key; `t` tenant, `c` collection, `y` key, `r` revision, `e` end
//! in microseconds, `v` the value.

use super::Shared;
use super::document::damaged;
use crate::base::{TenantId, Timestamp};
use crate::store::{Item, ItemWrite, StoreError};
use futures_util::TryStreamExt;
use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};

pub(super) fn key_of(tenant: TenantId, collection: &str, key: &str) -> String {
    format!("{:08x}/{collection}/{key}", tenant.0)
}

pub(super) fn item_of(found: &Document) -> Result<Item, StoreError> {
    let read = || {
        Some(Item {
            key: found.get_str("y").ok()?.to_owned(),
            revision: found.get_i64("r").ok()? as u64,
            value: found.get_binary_generic("v").ok()?.clone(),
            expires: found.get_i64("e").ok().map(Timestamp),
        })
    };
    read().ok_or_else(|| damaged(found))
}

impl Shared {
    /// An item, also one that is over.
    pub async fn stored_item(
        &self,
        tenant: TenantId,
        collection: &str,
        key: &str,
        session: Option<&mut ClientSession>,
    ) -> Result<Option<Item>, mongodb::error::Error> {
        let find = self.items.find_one(doc! { "_id": key_of(tenant, collection, key) });
        let found = match session {
            Some(session) => find.session(session).await?,
            None => find.await?,
        };
        found.map(|f| item_of(&f).map_err(mongodb::error::Error::custom)).transpose()
    }

    /// Writes or deletes an item within a transaction.
    pub async fn put_item(
        &self,
        tenant: TenantId,
        write: &ItemWrite,
        revision: u64,
        session: &mut ClientSession,
    ) -> Result<(), mongodb::error::Error> {
        let key = key_of(tenant, write.collection, &write.key);
        match &write.value {
            Some(value) => {
                let mut document = doc! {
                    "_id": &key,
                    "t": i64::from(tenant.0),
                    "c": write.collection,
                    "y": &write.key,
                    "r": revision as i64,
                    "v": Binary { subtype: BinarySubtype::Generic, bytes: value.clone() },
                };
                if let Some(end) = write.expires {
                    document.insert("e", end.0);
                }
                self.items.replace_one(doc! { "_id": &key }, document).upsert(true).session(session).await?;
            }
            None => {
                self.items.delete_one(doc! { "_id": &key }).session(session).await?;
            }
        }
        Ok(())
    }

    /// Items of a collection in order of their keys; those that are over are left out.
    pub async fn list_items(
        &self,
        tenant: TenantId,
        collection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let prefix = key_of(tenant, collection, "");
        let from = match after {
            Some(key) => doc! { "$gt": key_of(tenant, collection, key) },
            None => doc! { "$gt": &prefix },
        };
        let end = format!("{}0", &prefix[..prefix.len() - 1]);
        let mut bounds = from;
        bounds.insert("$lt", end);
        let now = self.clock.now();
        let mut rows = self.items.find(doc! { "_id": bounds }).sort(doc! { "_id": 1 }).await?;
        let mut items = Vec::new();
        while items.len() < limit
            && let Some(found) = rows.try_next().await?
        {
            items.extend(Some(item_of(&found)?).filter(|i| i.is_alive(now)));
        }
        Ok(items)
    }

    /// Takes away items that are over.
    pub async fn sweep(&self, tenant: TenantId, limit: usize) -> Result<usize, StoreError> {
        let over = doc! { "t": i64::from(tenant.0), "e": { "$lte": self.clock.now().0 } };
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let found = self.items.find(over.clone()).projection(doc! { "_id": 1 }).limit(limit).await?;
        let keys: Vec<Document> = found.try_collect().await?;
        let keys: Vec<Bson> = keys.into_iter().filter_map(|k| k.get("_id").cloned()).collect();
        if keys.is_empty() {
            return Ok(0);
        }
        // An item that was written anew meanwhile is not over any more.
        let mut gone = over;
        gone.insert("_id", doc! { "$in": keys });
        Ok(self.items.delete_many(gone).await?.deleted_count as usize)
    }
}
