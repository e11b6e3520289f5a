//! The indexes: which there are to be, which of them a database has, and making those that it has not. One that is
//! there with the same keys is left as it is, whoever made it.

use super::database::COLLECTIONS;
use crate::store::StoreError;
use futures_util::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

/// An index: its name, collection and keys.
pub struct Index {
    /// The collection.
    pub collection: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its keys, in order.
    pub keys: &'static [(&'static str, i32)],
    /// Whether each key stands once at most.
    pub unique: bool,
}

/// All indexes besides those on `_id`.
pub const INDEXES: &[Index] = &[
    Index {
        collection: "versions",
        name: "term",
        keys: &[("t", 1), ("k", 1), ("x", 1), ("n", 1), ("s", 1)],
        unique: false,
    },
    Index {
        collection: "versions",
        name: "lead",
        keys: &[("t", 1), ("k", 1), ("y", 1), ("n", 1), ("s", 1), ("z", 1), ("a", 1)],
        unique: false,
    },
    Index {
        collection: "versions",
        name: "dated",
        keys: &[("t", 1), ("k", 1), ("y", 1), ("l", -1), ("n", 1), ("s", 1), ("z", 1), ("a", 1)],
        unique: false,
    },
    Index { collection: "versions", name: "instance", keys: &[("t", 1), ("k", 1), ("i", 1), ("n", 1)], unique: true },
    Index { collection: "versions", name: "kind", keys: &[("t", 1), ("k", 1), ("n", 1), ("s", 1)], unique: false },
    Index { collection: "versions", name: "log", keys: &[("t", 1), ("n", 1)], unique: true },
    Index { collection: "items", name: "end", keys: &[("t", 1), ("e", 1)], unique: false },
];

/// An index that a database has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The collection.
    pub collection: String,
    /// Its name there.
    pub name: String,
    /// Its keys, in order, with their direction or kind.
    pub keys: Vec<(String, String)>,
    /// Whether each key stands once at most.
    pub unique: bool,
}

impl Found {
    fn of(collection: &str, model: IndexModel) -> Found {
        let sort = |value: &Bson| match value {
            Bson::Int64(n) => n.to_string(),
            Bson::Double(n) => n.to_string(),
            Bson::String(kind) => kind.clone(),
            other => other.to_string(),
        };
        let keys = model.keys.iter().map(|(name, value)| (name.clone(), sort(value))).collect();
        let options = model.options.unwrap_or_default();
        let (name, unique) = (options.name.unwrap_or_default(), options.unique.unwrap_or(false));
        Found { collection: collection.to_owned(), name, keys, unique }
    }

    /// Whether it answers what a declared one answers.
    pub fn is(&self, index: &Index) -> bool {
        let keys = self.keys.iter().map(|(name, sort)| (name.as_str(), sort.as_str()));
        self.collection == index.collection
            && keys.eq(index.keys.iter().map(|(name, order)| (*name, if *order < 0 { "-1" } else { "1" })))
    }
}

/// The indexes that a database has, by collection and name.
pub async fn found(database: &Database) -> Result<Vec<Found>, StoreError> {
    let there = database.list_collection_names().await?;
    let mut found = Vec::new();
    for name in COLLECTIONS.iter().filter(|name| there.iter().any(|n| n == *name)) {
        let mut rows = database.collection::<Document>(name).list_indexes().await?;
        while let Some(model) = rows.try_next().await? {
            found.push(Found::of(name, model));
        }
    }
    Ok(found)
}

/// Whether an index is to be made; what is in its way, if anything is.
fn is_missing(index: &Index, there: &[Found]) -> Result<bool, StoreError> {
    if let Some(found) = there.iter().find(|found| found.is(index)) {
        if index.unique && !found.unique {
            tracing::debug!(index = index.name, "the database does not keep the keys of this index unique");
        }
        return Ok(false);
    }
    let same_name = |found: &&Found| found.collection == index.collection && found.name == index.name;
    match there.iter().find(same_name) {
        None => Ok(true),
        Some(other) => {
            let keys: Vec<_> = other.keys.iter().map(|(name, _)| name.as_str()).collect();
            Err(StoreError::Unavailable(format!(
                "the index {} of the collection {} has the keys {} and not those that Vesta makes: remove it, and start \
                 again",
                index.name,
                index.collection,
                keys.join(", ")
            )))
        }
    }
}

/// Whether an index that was refused as unique is to be had as one that is not: of a sharded collection, where only the
/// shard key's own can be unique. Keys that are there twice are something else.
fn is_for_all_shards(index: &Index, router: bool, code: Option<i32>) -> bool {
    const DUPLICATE_KEY: i32 = 11000;
    index.unique && router && code.is_some_and(|code| code != DUPLICATE_KEY)
}

/// Makes the indexes that are not there. `router`: whether this is a sharded cluster.
pub async fn make(database: &Database, router: bool) -> Result<(), StoreError> {
    let there = found(database).await?;
    for index in INDEXES {
        if !is_missing(index, &there)? {
            continue;
        }
        match create(database, index, index.unique).await {
            Ok(()) => {}
            Err(error) if is_for_all_shards(index, router, code_of(&error)) => {
                tracing::info!(index = index.name, %error, "made as one that is not unique");
                create(database, index, false).await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn code_of(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(command) => Some(command.code),
        _ => None,
    }
}

async fn create(database: &Database, index: &Index, unique: bool) -> Result<(), Error> {
    let keys: Document = index.keys.iter().map(|(key, order)| ((*key).to_owned(), (*order).into())).collect();
    let options = IndexOptions::builder().name(index.name.to_owned()).unique(unique).build();
    let model = IndexModel::builder().keys(keys).options(options).build();
    database.collection::<Document>(index.collection).create_index(model).await.map(drop)
}

/// Whether what answers is the router of a sharded cluster.
pub async fn is_router(database: &Database) -> Result<bool, StoreError> {
    match database.run_command(doc! { "hello": 1 }).await {
        Ok(said) => Ok(said.get_str("msg").is_ok_and(|v| v == "isdbgrid")),
        // The first releases of 4.4 do not know the command.
        Err(error) if code_of(&error).is_some() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> &'static Index {
        INDEXES.iter().find(|index| index.name == "log").expect("declared")
    }

    fn there(name: &str, keys: Document, unique: bool) -> Found {
        let options = IndexOptions::builder().name(name.to_owned()).unique(unique).build();
        Found::of("versions", IndexModel::builder().keys(keys).options(options).build())
    }

    #[test]
    fn an_index_that_is_there_is_left_as_it_is() {
        let check = |found: Found, missing: Option<bool>| {
            let told = format!("{found:?}");
            assert_eq!(is_missing(log(), &[found]).ok(), missing, "{told}");
        };
        check(there("log", doc! { "t": 1, "n": 1 }, true), Some(false));
        // Made by hand on a sharded collection, by a shell that writes numbers as doubles, under a name of its own.
        check(there("log", doc! { "t": 1.0, "n": 1.0 }, false), Some(false));
        check(there("t_1_n_1", doc! { "t": 1_i64, "n": 1_i64 }, false), Some(false));
        check(there("other", doc! { "n": 1, "t": 1 }, true), Some(true));
        check(there("other", doc! { "t": 1, "n": -1 }, true), Some(true));
        check(there("other", doc! { "t": 1, "n": "hashed" }, true), Some(true));
        check(there("log", doc! { "t": 1, "k": 1 }, true), None);
        let why = is_missing(log(), &[there("log", doc! { "t": 1, "k": 1 }, true)]).expect_err("in the way");
        assert!(why.to_string().contains("log") && why.to_string().contains("t, k"), "{why}");
        assert_eq!(is_missing(log(), &[]).ok(), Some(true));
    }

    #[test]
    fn only_on_a_sharded_cluster_a_unique_index_may_be_had_as_another() {
        let term = INDEXES.iter().find(|index| index.name == "term").expect("declared");
        const CANNOT_CREATE_INDEX: i32 = 67;
        assert!(is_for_all_shards(log(), true, Some(CANNOT_CREATE_INDEX)));
        assert!(!is_for_all_shards(log(), false, Some(CANNOT_CREATE_INDEX)), "no sharded cluster");
        assert!(!is_for_all_shards(log(), true, Some(11000)), "keys that are there twice");
        assert!(!is_for_all_shards(log(), true, None), "no answer");
        assert!(!is_for_all_shards(term, true, Some(CANNOT_CREATE_INDEX)), "not unique anyway");
    }
}
