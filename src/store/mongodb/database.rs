//! The connection, the collections and the form of the data, and what the errors of the driver mean for the contract.
//! Concerns and preferences are set here once for everything that is no transaction; transactions state theirs again.

use super::indexes;
use crate::store::{Limit, StoreError};
use mongodb::bson::{Document, doc};
use mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
};
use mongodb::options::{
    ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, TransactionOptions, WriteConcern,
};
use mongodb::{Client, Collection, Database};
use std::time::Duration;

/// How long a request waits for a primary before it is told to try again, where the connection string does not say
/// (`serverSelectionTimeoutMS`).
const SELECTION: Duration = Duration::from_millis(800);
/// How long it may take to connect, where the connection string does not say (`connectTimeoutMS`).
const CONNECTING: Duration = Duration::from_millis(900);
/// How often it is asked whether a primary answers.
pub const PULSE: Duration = Duration::from_millis(150);
/// The least that a primary is given to answer when nothing is asked of it.
const LEAST: Duration = Duration::from_millis(200);
/// The most, whatever the connection string says: for so long, and once more, nobody knows that the database is silent.
const MOST: Duration = Duration::from_secs(3);
/// Connections to each member at most, where the connection string does not say.
const CONNECTIONS: u32 = 64;
/// Name of the database where the connection string has none.
const DATABASE: &str = "vesta";
/// The collections.
pub const COLLECTIONS: [&str; 3] = ["versions", "tenants", "items"];
/// The form of the data that this program reads and writes. It grows by one where what an older program would read or
/// write is not right any more; the database says which form it has, so that older programs stay away.
const FORM: i64 = 1;
/// The document of `tenants` that says it; counters have numbers for keys.
const FORM_KEY: &str = "form";

/// What becomes of collections and indexes that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// They are made.
    Made,
    /// Nothing is made, and a database without collections is refused: for whoever only wants to read.
    Refused,
}

/// The open collections.
pub struct Collections {
    pub client: Client,
    /// A client of its own, whose connections nobody else uses up.
    pub pulse: Database,
    /// How long a primary may take to answer when nothing is asked of it before there is doubt; after twice that it does
    /// not answer. From when it falls silent, a request waits for this and one [`PULSE`]: as long as for a primary that
    /// is not there.
    pub answer: Duration,
    pub database: Database,
    pub versions: Collection<Document>,
    pub tenants: Collection<Document>,
    pub items: Collection<Document>,
}

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

/// What the connection string says, and what is the same for all.
async fn options_of(uri: &str) -> Result<ClientOptions, Error> {
    let mut options = ClientOptions::parse(uri).await?;
    overrule(&mut options);
    Ok(options)
}

fn overrule(options: &mut ClientOptions) {
    options.app_name.get_or_insert_with(|| "vesta".into());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(CONNECTING);
    options.retry_reads = Some(true);
    options.retry_writes = Some(true);
    options.read_concern = Some(ReadConcern::majority());
    options.write_concern = Some(write_concern());
    options.selection_criteria = Some(primary());
    options.max_pool_size.get_or_insert(CONNECTIONS);
}

/// How long a primary may take to answer when nothing is asked of it before there is doubt.
fn answer_of(options: &ClientOptions) -> Duration {
    options.server_selection_timeout.unwrap_or(SELECTION).saturating_sub(PULSE).clamp(LEAST, MOST)
}

/// Connects to the database that a connection string names; twice, for the work and for the pulse. And how long it may
/// take to answer.
async fn connect(uri: &str) -> Result<([Database; 2], Duration), StoreError> {
    let unusable = |e: Error| StoreError::Unavailable(format!("the connection string cannot be used: {}", e.kind));
    let options = options_of(uri).await.map_err(unusable)?;
    let name = options.default_database.clone().unwrap_or_else(|| DATABASE.into());
    let answer = answer_of(&options);
    let pulse = Client::with_options(options.clone()).map_err(unusable)?.database(&name);
    Ok(([Client::with_options(options).map_err(unusable)?.database(&name), pulse], answer))
}

/// Connects; makes what is not there, or refuses a database without it.
pub async fn open(uri: &str, missing: Missing) -> Result<Collections, StoreError> {
    let ([database, pulse], answer) = connect(uri).await?;
    let there = database.list_collection_names().await?;
    let lacking = COLLECTIONS.iter().filter(|name| !there.iter().any(|n| n == *name));
    for name in lacking {
        if missing == Missing::Refused {
            let name = database.name();
            return Err(StoreError::Unavailable(format!("there are no data of Vesta in the database {name}")));
        }
        if let Err(error) = database.create_collection(*name).await
            && !is_there_already(&error)
        {
            return Err(error.into());
        }
    }
    // Before anything else is made or changed.
    check_form(&database.collection("tenants"), missing).await?;
    if missing == Missing::Made {
        indexes::make(&database, indexes::is_router(&database).await?).await?;
    }
    Ok(Collections {
        versions: database.collection("versions"),
        tenants: database.collection("tenants"),
        items: database.collection("items"),
        client: database.client().clone(),
        pulse,
        answer,
        database,
    })
}

/// The indexes that a database has; none where it has no collections.
pub async fn indexes_of(uri: &str) -> Result<Vec<indexes::Found>, StoreError> {
    let ([database, _], _) = connect(uri).await?;
    indexes::found(&database).await
}

/// Refuses data in a form that this program does not know; notes the form where nothing is noted.
async fn check_form(tenants: &Collection<Document>, missing: Missing) -> Result<(), StoreError> {
    let key = doc! { "_id": FORM_KEY };
    let mut noted = tenants.find_one(key.clone()).await?;
    if noted.is_none() && missing == Missing::Made {
        let note = tenants.update_one(key.clone(), doc! { "$setOnInsert": { "v": FORM } }).upsert(true);
        // Where another process has noted it at the same time, what that has noted counts.
        if let Err(error) = note.await {
            noted = tenants.find_one(key).await?;
            if noted.is_none() {
                return Err(error.into());
            }
        }
    }
    let form = match &noted {
        Some(noted) => noted.get_i64("v").map_err(|_| StoreError::Broken("the form of the data is damaged".into()))?,
        None => FORM,
    };
    if form > FORM {
        return Err(StoreError::Unavailable(format!(
            "a newer version of Vesta has brought the data into the form {form}, and this one knows the forms up to \
             {FORM}: use that version or a newer one"
        )));
    }
    Ok(())
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
                // TransactionTooLarge, TransactionTooLargeForCache, BSONObjectTooLarge, and what a transaction outlives.
                257 | 388 | 10334 | 17280 | 290 => return StoreError::TooLarge(TOO_LARGE.into()),
                // MaxTimeMSExpired: what a query may take is its budget.
                50 => return StoreError::Exceeded(Limit::Time),
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

/// What is said of a commit that the database has given up, or would.
pub const TOO_LONG: &str = "the database takes longer for so much at once than a transaction may last (20 s, or what \
                            the database lets it live, if that is less): send it as a batch, in several transactions, \
                            or by 'vesta import'";

/// What is said while no primary answers.
pub fn away() -> StoreError {
    StoreError::Unavailable("the database does not answer at the moment; try again".into())
}

/// Whether a primary answers. `doubt` is told where that takes long.
pub async fn answers(collections: &Collections, doubt: impl FnOnce()) -> bool {
    let ping = async { collections.pulse.run_command(doc! { "ping": 1 }).await.is_ok() };
    let mut ping = std::pin::pin!(ping);
    if let Ok(answers) = tokio::time::timeout(collections.answer, &mut ping).await {
        return answers;
    }
    doubt();
    tokio::time::timeout(collections.answer, ping).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mongodb::bson;
    use mongodb::options::{AuthMechanism, ConnectionString, HostInfo, Tls};

    fn parsed(uri: &str) -> ClientOptions {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(options_of(uri)).unwrap_or_else(|e| panic!("{uri}: {e}"))
    }

    /// The forms that `docs/operating-mongodb.md` shows.
    #[test]
    fn documented_connection_strings_are_understood() {
        let scram =
            parsed("mongodb://vesta:p%40ss@a.example.org,b.example.org/vesta?replicaSet=rs0&tls=true&authSource=admin");
        let credential = scram.credential.as_ref().expect("a credential");
        assert_eq!((credential.username.as_deref(), credential.password.as_deref()), (Some("vesta"), Some("p@ss")));
        assert_eq!(credential.source.as_deref(), Some("admin"));
        assert!(matches!(scram.tls, Some(Tls::Enabled(_))) && scram.hosts.len() == 2);
        assert_eq!((scram.repl_set_name.as_deref(), scram.default_database.as_deref()), (Some("rs0"), Some("vesta")));
        let x509 = parsed(
            "mongodb://a.example.org/vesta?replicaSet=rs0&tls=true&tlsCertificateKeyFile=/etc/vesta/client.pem\
             &tlsCAFile=/etc/vesta/ca.pem&authMechanism=MONGODB-X509&authSource=$external",
        );
        assert_eq!(x509.credential.and_then(|c| c.mechanism), Some(AuthMechanism::MongoDbX509));
        let Some(Tls::Enabled(tls)) = x509.tls else { panic!("without TLS") };
        assert_eq!(tls.cert_key_file_path.as_deref(), Some(std::path::Path::new("/etc/vesta/client.pem")));
        assert_eq!(tls.ca_file_path.as_deref(), Some(std::path::Path::new("/etc/vesta/ca.pem")));
        // Whom such a name stands for is asked of DNS; as far as that it is understood without.
        for atlas in [
            "mongodb+srv://vesta:p@cluster.abcde.mongodb.net/vesta?retryWrites=true",
            "mongodb+srv://cluster.abcde.mongodb.net/vesta?authMechanism=MONGODB-X509&authSource=$external\
             &tlsCertificateKeyFile=/etc/vesta/client.pem",
        ] {
            let read = ConnectionString::parse(atlas).expect("understood");
            assert_eq!(read.host_info, HostInfo::DnsRecord("cluster.abcde.mongodb.net".into()), "{atlas}");
            assert_eq!(read.default_database.as_deref(), Some("vesta"));
        }
    }

    #[test]
    fn what_a_connection_string_says_of_certainty_is_overruled() {
        let options = parsed(
            "mongodb://h/?w=1&journal=false&readConcernLevel=local&readPreference=secondary&retryWrites=false\
             &retryReads=false&maxPoolSize=7",
        );
        assert_eq!(options.write_concern, Some(write_concern()));
        assert_eq!(options.read_concern, Some(ReadConcern::majority()));
        let primary = SelectionCriteria::ReadPreference(ReadPreference::Primary);
        assert_eq!(options.selection_criteria, Some(primary));
        assert_eq!(
            (options.retry_writes, options.retry_reads, options.max_pool_size),
            (Some(true), Some(true), Some(7))
        );
        assert_eq!(parsed("mongodb://h/").max_pool_size, Some(CONNECTIONS));
        assert_eq!(answer_of(&parsed("mongodb://h/")), Duration::from_millis(650));
        assert_eq!(answer_of(&parsed("mongodb://h/?serverSelectionTimeoutMS=3000")), Duration::from_millis(2850));
        let of_transactions = transaction_options();
        assert_eq!(of_transactions.read_concern, Some(ReadConcern::snapshot()));
        assert_eq!(of_transactions.write_concern, Some(write_concern()));
    }

    #[test]
    fn errors_are_told_apart() {
        let of = |code: i32| {
            let command = doc! { "code": code, "codeName": "x", "errmsg": "x" };
            let command = bson::deserialize_from_document(command).expect("a command error");
            StoreError::from(Error::from(ErrorKind::Command(command)))
        };
        for too_large in [257, 388, 10334, 17280, 290] {
            assert!(matches!(of(too_large), StoreError::TooLarge(_)), "{too_large}");
        }
        assert_eq!(of(50), StoreError::Exceeded(Limit::Time));
        assert_eq!(of(14031), StoreError::Full);
        assert!(matches!(of(10107), StoreError::Unavailable(_)));
        assert!(matches!(of(8000), StoreError::Broken(_)));
    }
}
