//! Items in LMDB: a key of tenant, collection and the item's own key; a value of checksum, revision, end and bytes.

use super::truth::{Fault, Reading, Truth, Writing, broken};
use crate::base::{TenantId, Timestamp};
use crate::store::{Item, ItemWrite, RawItem, StoreError, UNFINISHED};

/// The key: tenant, collection, a zero, the item's key.
fn key_of(tenant: TenantId, collection: &str, key: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(5 + collection.len() + key.len());
    bytes.extend_from_slice(&tenant.0.to_be_bytes());
    bytes.extend_from_slice(collection.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

/// Tenant and collection of a key.
fn owner_of(key: &[u8]) -> Option<(TenantId, &str)> {
    let (tenant, rest) = key.split_first_chunk::<4>()?;
    let name = rest.get(..rest.iter().position(|b| *b == 0)?)?;
    Some((TenantId(u32::from_be_bytes(*tenant)), std::str::from_utf8(name).ok()?))
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(rest);
    hasher.finalize()
}

fn encode(key: &[u8], revision: u64, expires: Option<Timestamp>, value: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend_from_slice(&revision.to_le_bytes());
    out.extend_from_slice(&expires.map_or(i64::MAX, |e| e.0).to_le_bytes());
    out.extend_from_slice(value);
    let sum = checksum(key, &out[4..]);
    out[..4].copy_from_slice(&sum.to_le_bytes());
    out
}

fn decode(key: &[u8], bytes: &[u8]) -> Option<Item> {
    let (sum, rest) = bytes.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*sum) != checksum(key, rest) {
        return None;
    }
    let (revision, after) = rest.split_first_chunk::<8>()?;
    let (end, value) = after.split_first_chunk::<8>()?;
    let expires = Some(i64::from_le_bytes(*end)).filter(|e| *e != i64::MAX).map(Timestamp);
    let (_, own) = key.get(4..)?.split_at(key.get(4..)?.iter().position(|b| *b == 0)? + 1);
    let key = std::str::from_utf8(own).ok()?.to_owned();
    Some(Item { key, revision: u64::from_le_bytes(*revision), value: value.to_vec(), expires })
}

/// An item that must be readable.
fn sound(truth: &Truth, key: &[u8], bytes: &[u8]) -> Result<Item, StoreError> {
    let damaged = || {
        let name: String = String::from_utf8_lossy(key.get(4..).unwrap_or_default()).chars().take(32).collect();
        StoreError::Broken(format!("the item {name:?} is damaged"))
    };
    let mut item = decode(key, bytes).ok_or_else(damaged)?;
    item.value = truth.opened(&place(key), &item.value).map_err(|_| damaged())?.into_owned();
    Ok(item)
}

/// What the value of an item is bound to: its key, and that it is an item.
fn place(key: &[u8]) -> Vec<u8> {
    [b"item ", key].concat()
}

impl Reading<'_> {
    /// An item, whether or not it is over.
    pub fn item(&self, tenant: TenantId, collection: &str, key: &str) -> Result<Option<Item>, StoreError> {
        let key = key_of(tenant, collection, key);
        let value = self.truth.items.get(&self.txn, &key).map_err(broken)?;
        value.map(|bytes| sound(self.truth, &key, bytes)).transpose()
    }

    /// The items of a collection in order of their keys, those after a key; also those that are over.
    pub fn items(
        &self,
        tenant: TenantId,
        collection: &str,
        after: Option<&str>,
    ) -> Result<impl Iterator<Item = Result<Item, StoreError>>, StoreError> {
        let prefix = key_of(tenant, collection, "");
        let from = match after {
            Some(key) => std::ops::Bound::Excluded(key_of(tenant, collection, key)),
            None => std::ops::Bound::Included(prefix.clone()),
        };
        let bounds = (from.as_ref().map(Vec::as_slice), std::ops::Bound::Unbounded);
        let rows = self.truth.items.range(&self.txn, &bounds).map_err(broken)?;
        let own = move |row: &heed::Result<(&[u8], &[u8])>| row.as_ref().map_or(true, |(k, _)| k.starts_with(&prefix));
        Ok(rows.take_while(own).map(|row| {
            let (key, value) = row.map_err(broken)?;
            sound(self.truth, key, value)
        }))
    }

    /// The keys of items that are over at a moment.
    pub fn items_over(&self, tenant: TenantId, now: Timestamp, limit: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        let prefix = tenant.0.to_be_bytes();
        let mut over = Vec::new();
        for row in self.truth.items.prefix_iter(&self.txn, &prefix).map_err(broken)? {
            let (key, value) = row.map_err(broken)?;
            if over.len() == limit {
                break;
            }
            if sound(self.truth, key, value)?.expires.is_some_and(|end| end <= now) {
                over.push(key.to_vec());
            }
        }
        Ok(over)
    }

    /// All items with their keys.
    pub fn item_rows(&self) -> Result<Vec<(Vec<u8>, Item)>, StoreError> {
        let rows = self.truth.items.iter(&self.txn).map_err(broken)?;
        rows.map(|row| {
            let (key, value) = row.map_err(broken)?;
            Ok((key.to_vec(), sound(self.truth, key, value)?))
        })
        .collect()
    }

    /// Hands over all items, also those that are over.
    pub fn each_item(&self, each: &mut dyn FnMut(RawItem) -> Result<(), StoreError>) -> Result<(), StoreError> {
        for row in self.truth.items.iter(&self.txn).map_err(broken)? {
            let (key, value) = row.map_err(broken)?;
            let item = sound(self.truth, key, value)?;
            let (tenant, collection) = owner_of(key).ok_or_else(|| StoreError::Broken("an item has no key".into()))?;
            each(RawItem { tenant, collection: collection.to_owned(), item })?;
        }
        Ok(())
    }

    /// The keys of the items of a collection, or of all but those that say that this is an unfinished copy.
    pub fn item_keys(&self, collection: Option<&str>) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut keys = Vec::new();
        for row in self.truth.items.iter(&self.txn).map_err(broken)? {
            let (key, _) = row.map_err(broken)?;
            let name = owner_of(key).map(|(_, name)| name);
            if collection.map_or(name != Some(UNFINISHED), |wanted| name == Some(wanted)) {
                keys.push(key.to_vec());
            }
        }
        Ok(keys)
    }

    /// How many items there are, and which of them are damaged.
    pub fn check_items(&self) -> Result<(u64, Vec<StoreError>), StoreError> {
        let (mut count, mut damaged) = (0, Vec::new());
        for row in self.truth.items.iter(&self.txn).map_err(broken)? {
            let (key, value) = row.map_err(broken)?;
            count += 1;
            damaged.extend(sound(self.truth, key, value).err());
        }
        Ok((count, damaged))
    }
}

impl Writing<'_> {
    /// An item, whether or not it is over.
    pub fn item(&self, tenant: TenantId, collection: &str, key: &str) -> Result<Option<Item>, StoreError> {
        let key = key_of(tenant, collection, key);
        let value = self.truth.items.get(&self.txn, &key).map_err(broken)?;
        value.map(|bytes| sound(self.truth, &key, bytes)).transpose()
    }

    /// Writes or deletes an item.
    pub fn put_item(&mut self, tenant: TenantId, write: &ItemWrite, revision: u64) -> Result<(), Fault> {
        let key = key_of(tenant, write.collection, &write.key);
        match &write.value {
            Some(value) => {
                let sealed = self.truth.sealed(&place(&key), value).map_err(|e| Fault::Failed(e.to_string()))?;
                let bytes = encode(&key, revision, write.expires, &sealed);
                Ok(self.truth.items.put(&mut self.txn, &key, &bytes)?)
            }
            None => self.delete_item(&key),
        }
    }

    /// Writes an item under the key of another store, as it is.
    pub fn put_item_row(&mut self, key: &[u8], item: &Item) -> Result<(), Fault> {
        let sealed = self.truth.sealed(&place(key), &item.value).map_err(|e| Fault::Failed(e.to_string()))?;
        let bytes = encode(key, item.revision, item.expires, &sealed);
        Ok(self.truth.items.put(&mut self.txn, key, &bytes)?)
    }

    /// Writes an item of another store as it is.
    pub fn put_raw_item(&mut self, raw: &RawItem) -> Result<(), Fault> {
        self.put_item_row(&key_of(raw.tenant, &raw.collection, &raw.item.key), &raw.item)
    }

    /// Deletes what stands under a key.
    pub fn delete_item(&mut self, key: &[u8]) -> Result<(), Fault> {
        self.truth.items.delete(&mut self.txn, key)?;
        Ok(())
    }
}
