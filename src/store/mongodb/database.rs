//! The connection, the collections and their indexes, and what the errors of the driver mean for the contract.
//! Concerns and preferences are set here once for everything that is no transaction; transactions state theirs again.

use crate::store::StoreError;
use mongodb::bson::{Document, doc};
use mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
};
use mongodb::options::{
    ClientOptions, IndexOptions, ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions, WriteConcern,
};
use mongodb::{Client, Collection, Database, IndexModel};
use std::time::Duration;

/// How long a request waits for a primary before it is told to try again.
const SELECTION: Duration = Duration::from_millis(900);
/// How long a primary may take to answer when nothing is asked of it.
const ANSWER: Duration = Duration::from_millis(1500);
/// Connections to each member at most, where the connection string does not say.
const CONNECTIONS: u32 = 64;
/// Name of the database where the connection string has none.
const DATABASE: &str = "vesta";

/// The open collections.
pub struct Collections {
    pub client: Client,
    /// A client of its own, whose connections nobody else uses up.
    pub pulse: Database,
    pub database: Database,
    pub versions: Collection<Document>,
    pub tenants: Collection<Document>,
    pub items: Collection<Document>,
}

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
    Index { collection: "versions", name: "instance", keys: &[("t", 1), ("k", 1), ("i", 1), ("n", 1)], unique: true },
    Index { collection: "versions", name: "kind", keys: &[("t", 1), ("k", 1), ("n", 1), ("s", 1)], unique: false },
    Index { collection: "versions", name: "log", keys: &[("t", 1), ("n", 1)], unique: true },
    Index { collection: "items", name: "end", keys: &[("t", 1), ("e", 1)], unique: false },
];

/// The write concern of everything: acknowledged by a majority, journaled.
pub fn write_concern() -> WriteConcern {
    WriteConcern::builder().w(mongodb::options::Acknowledgment::Majority).journal(true).build()
}

/// The options of every transaction.
pub fn transaction_options() -> TransactionOptions {
    TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(write_concern())
        .selection_criteria(primary())
        .build()
}

fn primary() -> SelectionCriteria {
    SelectionCriteria::ReadPreference(ReadPreference::Primary)
}

/// Connects, and makes collections and indexes that are not there.
pub async fn open(uri: &str) -> Result<Collections, StoreError> {
    let unusable = |e: Error| StoreError::Unavailable(format!("the connection string cannot be used: {}", e.kind));
    let mut options = ClientOptions::parse(uri).await.map_err(unusable)?;
    options.app_name.get_or_insert_with(|| "vesta".into());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(SELECTION);
    options.retry_reads = Some(true);
    options.retry_writes = Some(true);
    options.read_concern = Some(ReadConcern::majority());
    options.write_concern = Some(write_concern());
    options.selection_criteria = Some(primary());
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.into());
    options.max_pool_size.get_or_insert(CONNECTIONS);
    let pulse = Client::with_options(options.clone()).map_err(unusable)?.database(&name);
    let client = Client::with_options(options).map_err(unusable)?;
    let database = client.database(&name);
    let there = database.list_collection_names().await?;
    for name in ["versions", "tenants", "items"] {
        if !there.iter().any(|n| n == name)
            && let Err(error) = database.create_collection(name).await
            && !is_there_already(&error)
        {
            return Err(error.into());
        }
    }
    for index in INDEXES {
        let keys: Document = index.keys.iter().map(|(key, order)| ((*key).to_owned(), (*order).into())).collect();
        let options = IndexOptions::builder().name(index.name.to_owned()).unique(index.unique).build();
        let model = IndexModel::builder().keys(keys).options(options).build();
        database.collection::<Document>(index.collection).create_index(model).await?;
    }
    Ok(Collections {
        versions: database.collection("versions"),
        tenants: database.collection("tenants"),
        items: database.collection("items"),
        client,
        pulse,
        database,
    })
}

/// Another process made the collection at the same time.
fn is_there_already(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Command(command) if command.code == 48)
}

/// Whether a whole transaction may be tried again.
pub fn is_transient(error: &Error) -> bool {
    error.contains_label(TRANSIENT_TRANSACTION_ERROR)
}

/// Whether it is not known if a commit took place.
pub fn is_unknown(error: &Error) -> bool {
    error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT)
}

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        if let Some(own) = error.get_custom::<StoreError>() {
            return own.clone();
        }
        let unreachable = match &*error.kind {
            ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::DnsResolve { .. }
            | ErrorKind::Shutdown => true,
            // What a member says that is no primary any more, or is going away.
            ErrorKind::Command(c) => matches!(c.code, 91 | 189 | 262 | 10107 | 11600 | 11602 | 13435 | 13436),
            _ => is_unknown(&error) || error.contains_label(RETRYABLE_WRITE_ERROR),
        };
        if unreachable {
            tracing::warn!(%error, "the database does not answer");
            return away();
        }
        if is_transient(&error) {
            return StoreError::Unavailable("other servers write at the same time; try again".into());
        }
        if let ErrorKind::Command(command) = &*error.kind {
            match command.code {
                // TransactionTooLarge, BSONObjectTooLarge, and what a transaction outlives.
                257 | 10334 | 17280 | 290 => return StoreError::TooLarge(TOO_LARGE.into()),
                14031 => return StoreError::Full,
                _ => {}
            }
        }
        StoreError::Broken(format!("the database: {error}"))
    }
}

/// What is said of a commit that the database cannot take as one.
pub const TOO_LARGE: &str = "the database cannot commit so much at once (16 MB a resource, 100 MB a transaction): \
                             send it as a batch, in several transactions, or by 'vesta import'";

/// What is said while no primary answers.
pub fn away() -> StoreError {
    StoreError::Unavailable("the database does not answer at the moment; try again".into())
}

/// Whether a primary answers.
pub async fn answers(collections: &Collections) -> bool {
    let ping = async { collections.pulse.run_command(doc! { "ping": 1 }).await };
    matches!(tokio::time::timeout(ANSWER, ping).await, Ok(Ok(_)))
}
