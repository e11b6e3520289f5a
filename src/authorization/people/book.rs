//! The items that people are made of, as JSON under a name. Reads and writes; knows no rule about them.

use crate::base::{Failure, Timestamp};
use crate::interaction::{Item, ItemExpect, ItemWrite, Records};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A change of one item.
pub type Write = ItemWrite;

/// Users by their id.
pub const USERS: &str = "user";
/// Ids of users by their names.
pub const NAMES: &str = "user-name";
/// Ids of users by who they are at an outside provider.
pub const OUTSIDE: &str = "user-outside";
/// Sign-ins that go on at an outside provider, by the hash of their state.
pub const ERRANDS: &str = "sign-in-outside";
/// Challenges for passkeys that are open, by their hash.
pub const CHALLENGES: &str = "passkey-challenge";
/// Sessions by the hash of what is in the cookie.
pub const SESSIONS: &str = "session";
/// Which names have signed in from which address.
pub const KNOWN: &str = "sign-in-known";
/// What was tried in vain.
pub const TRIES: &str = "sign-in-tries";

/// The items of one tenant.
#[derive(Clone)]
pub struct Book {
    records: Records,
}

/// What was read, and in which revision.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// The key.
    pub key: String,
    /// The revision.
    pub revision: u64,
    /// The value.
    pub value: T,
}

impl Book {
    /// The items of a tenant.
    pub fn new(records: Records) -> Book {
        Book { records }
    }

    /// One item.
    pub async fn get<T: DeserializeOwned>(&self, of: &'static str, key: &str) -> Result<Option<Entry<T>>, Failure> {
        self.records.get(of, key).await?.map(|item| entry(of, item)).transpose()
    }

    /// All items of a sort.
    pub async fn all<T: DeserializeOwned>(&self, of: &'static str) -> Result<Vec<Entry<T>>, Failure> {
        let mut entries: Vec<Entry<T>> = Vec::new();
        loop {
            let page = self.records.list(of, entries.last().map(|e| e.key.as_str()), PAGE).await?;
            let whole = page.len() == PAGE;
            for item in page {
                entries.push(entry(of, item)?);
            }
            if !whole {
                return Ok(entries);
            }
        }
    }

    /// Whether there is any item of a sort.
    pub async fn any(&self, of: &'static str) -> Result<bool, Failure> {
        Ok(!self.records.list(of, None, 1).await?.is_empty())
    }

    /// Writes all or, if another was faster, nothing; then the answer is `false`.
    pub async fn write(&self, writes: Vec<Write>) -> Result<bool, Failure> {
        self.records.try_commit(writes).await
    }
}

const PAGE: usize = 200;

fn entry<T: DeserializeOwned>(of: &str, item: Item) -> Result<Entry<T>, Failure> {
    let value = serde_json::from_slice(&item.value);
    let value = value.map_err(|e| Failure::internal(format_args!("an item of '{of}' cannot be read: {e}")))?;
    Ok(Entry { key: item.key, revision: item.revision, value })
}

fn bytes<T: Serialize>(value: &T) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(value).map_err(|e| Failure::internal(format_args!("an item cannot be written: {e}")))
}

/// An item that must not be there yet.
pub fn create<T: Serialize>(of: &'static str, key: &str, value: &T) -> Result<Write, Failure> {
    Ok(ItemWrite::create(of, key, bytes(value)?))
}

/// The next revision of an item.
pub fn replace<T: Serialize, R>(of: &'static str, read: &Entry<R>, value: &T) -> Result<Write, Failure> {
    let expect = ItemExpect::Revision(read.revision);
    Ok(ItemWrite { collection: of, key: read.key.clone(), expect, value: Some(bytes(value)?), expires: None })
}

/// The end of an item, which must be there in the revision that was read.
pub fn delete<R>(of: &'static str, read: &Entry<R>) -> Write {
    let expect = ItemExpect::Revision(read.revision);
    ItemWrite { collection: of, key: read.key.clone(), expect, value: None, expires: None }
}

/// An item, whether it is there or not.
pub fn put<T: Serialize>(of: &'static str, key: &str, value: &T) -> Result<Write, Failure> {
    Ok(ItemWrite {
        collection: of,
        key: key.to_owned(),
        expect: ItemExpect::Any,
        value: Some(bytes(value)?),
        expires: None,
    })
}

/// The end of an item, if it is there.
pub fn forget(of: &'static str, key: &str) -> Write {
    ItemWrite { collection: of, key: key.to_owned(), expect: ItemExpect::Any, value: None, expires: None }
}

/// The same write on an item that ends by itself.
pub fn until(write: Write, moment: Timestamp) -> Write {
    write.until(moment)
}
