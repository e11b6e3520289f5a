//! Items: what a server keeps besides resources (accounts, clients, keys, codes, sessions, jobs), as bytes under a
//! name. Written by compare-and-set in the same commits as resources, durable like them, and without history. What
//! the bytes mean is not known here.

use super::StoreError;
use crate::base::Timestamp;

/// Longest key in bytes.
pub const MAX_KEY: usize = 256;

/// What must be true of an item for a write on it. An item that is over does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemExpect {
    /// Anything.
    Any,
    /// It does not exist.
    Absent,
    /// It exists in this revision.
    Revision(u64),
}

/// One change of an item.
#[derive(Clone, Debug)]
pub struct ItemWrite {
    /// Which sort of thing it is: a short word, the same for all items of a sort.
    pub collection: &'static str,
    /// Its key in the collection; at most [`MAX_KEY`] bytes.
    pub key: String,
    /// What must be true before.
    pub expect: ItemExpect,
    /// The new value; none to delete it.
    pub value: Option<Vec<u8>>,
    /// When it ends to exist by itself.
    pub expires: Option<Timestamp>,
}

impl ItemWrite {
    /// A new item that must not exist yet.
    pub fn create(collection: &'static str, key: impl Into<String>, value: Vec<u8>) -> ItemWrite {
        let (key, expect) = (key.into(), ItemExpect::Absent);
        ItemWrite { collection, key, expect, value: Some(value), expires: None }
    }

    /// The next revision of an item that was read.
    pub fn replace(collection: &'static str, read: &Item, value: Vec<u8>) -> ItemWrite {
        let (key, expect) = (read.key.clone(), ItemExpect::Revision(read.revision));
        ItemWrite { collection, key, expect, value: Some(value), expires: read.expires }
    }

    /// The end of an item that was read.
    pub fn delete(collection: &'static str, read: &Item) -> ItemWrite {
        let (key, expect) = (read.key.clone(), ItemExpect::Revision(read.revision));
        ItemWrite { collection, key, expect, value: None, expires: None }
    }

    /// The same write on an item that ends at a moment.
    pub fn until(self, moment: Timestamp) -> ItemWrite {
        ItemWrite { expires: Some(moment), ..self }
    }

    /// Refuses a key or collection that no engine could store: a defect of the caller.
    pub(super) fn check_shape(&self) -> Result<(), StoreError> {
        let word = !self.collection.is_empty()
            && self.collection.len() <= 32
            && self.collection.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        if !word || self.key.is_empty() || self.key.len() > MAX_KEY {
            return Err(StoreError::Broken(format!("an item of '{}' has no legal key", self.collection)));
        }
        Ok(())
    }
}

/// An item as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its key in the collection.
    pub key: String,
    /// Counts its writes: 1, 2, 3 … It goes on where an item had been over, and begins anew after a delete.
    pub revision: u64,
    /// The value.
    pub value: Vec<u8>,
    /// When it ends to exist by itself.
    pub expires: Option<Timestamp>,
}

impl Item {
    /// Whether it exists at a moment.
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

/// Whether what a write expects is so.
pub(super) fn fulfilled(expect: ItemExpect, found: Option<&Item>) -> bool {
    match expect {
        ItemExpect::Any => true,
        ItemExpect::Absent => found.is_none(),
        ItemExpect::Revision(revision) => found.is_some_and(|i| i.revision == revision),
    }
}
