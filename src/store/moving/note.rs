//! The note in a store that is being filled: what from. It is written before anything else and taken away at the end, in
//! the commit that tells the audit trail of it: a store that is whole has been told what it was filled from.

use super::{RawTarget, UNFINISHED};
use crate::base::TenantId;
use crate::store::{AuditRecord, Item, ItemExpect, ItemWrite, RawItem, Store, StoreError, Transaction};

/// Whose item the note is.
const TENANT: TenantId = TenantId(0);
/// Its key.
const KEY: &str = "from";

/// Writes the note.
pub async fn put(to: &dyn RawTarget, from: &str) -> Result<(), StoreError> {
    let item = Item { key: KEY.into(), revision: 1, value: from.as_bytes().to_vec(), expires: None };
    to.replay_items(vec![RawItem { tenant: TENANT, collection: UNFINISHED.into(), item }]).await
}

/// Takes the note away and tells the audit trail: the store is whole.
pub async fn remove(to: &dyn RawTarget, told: Vec<AuditRecord>) -> Result<(), StoreError> {
    let (collection, key) = (UNFINISHED, KEY.to_owned());
    let gone = ItemWrite { collection, key, expect: ItemExpect::Any, value: None, expires: None };
    to.finish(Transaction { items: vec![gone], audit: told, ..Transaction::default() }).await
}

/// What a note says.
pub fn read(item: &RawItem) -> Option<String> {
    (item.collection == UNFINISHED).then(|| String::from_utf8_lossy(&item.item.value).into_owned())
}

/// What a store is an unfinished copy of; none where it is whole.
pub async fn unfinished(store: &dyn Store) -> Result<Option<String>, StoreError> {
    let note = store.item(TENANT, UNFINISHED, KEY).await?;
    Ok(note.map(|item| String::from_utf8_lossy(&item.value).into_owned()))
}
