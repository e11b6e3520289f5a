//! How far the job of indexing again is: an item of the tenant 0, which is written with every step, in one transaction
//! with what the step changes, and only in the revision that was read. What the steps are is in `reindex`.

use super::Shared;
use super::database::{is_transient, is_unknown, transaction_options};
use super::items::key_of;
use crate::base::TenantId;
use crate::store::StoreError;
use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc};
use mongodb::error::{Error, ErrorKind, WriteFailure};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Collection and key of the item.
const PLACE: (&str, &str) = ("reindex", "progress");
/// Bytes after which a command ends, of terms.
const BYTES: usize = 4 << 20;
/// How long a step is tried while others write the same.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a session is kept that is not used; the database forgets it after half an hour.
const SESSION: Duration = Duration::from_secs(600);

/// The session of the steps, and when it was used: a transaction whose end did not reach the database is ended by the
/// next one of the same session.
pub type Session = tokio::sync::Mutex<Option<(ClientSession, Instant)>>;

/// How far the job is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The list that it indexes by.
    pub mark: u64,
    /// The process that does it.
    pub holder: String,
    /// The tenant that it is at.
    pub tenant: Option<u32>,
    /// The number that it has reached there,
    pub after: u64,
    /// of those up to this one.
    pub to: u64,
    /// Versions that are done,
    pub done: u64,
    /// of so many.
    pub all: u64,
    pub ended: bool,
    pub failed: Option<String>,
    /// Numbers of the added search parameters by which all was indexed when a job ended last; a new job leaves that as
    /// it is. A program that does not know of it leaves it out.
    #[serde(default)]
    pub ready: Vec<u16>,
}

/// The item as it was read: its revision, and what it says.
pub type Stored = Option<(u64, Progress)>;

/// Whether all is indexed by the list of a mark.
pub fn covers(stored: &Stored, mark: u64) -> bool {
    match stored {
        Some((_, progress)) => progress.ended && progress.mark == mark,
        None => mark == 0,
    }
}

/// Since when the item has stood still, by the own clock.
#[derive(Default)]
pub struct Still(Option<(u64, Instant)>);

impl Still {
    /// Whether it has stood at this revision for so long.
    pub fn is_for(&mut self, revision: u64, length: Duration) -> bool {
        match self.0 {
            Some((seen, since)) if seen == revision => since.elapsed() >= length,
            _ => {
                self.0 = Some((revision, Instant::now()));
                false
            }
        }
    }
}

impl Shared {
    /// The item as it is.
    pub async fn progress(&self) -> Result<Stored, StoreError> {
        let (collection, key) = PLACE;
        let Some(item) = self.stored_item(TenantId::default(), collection, key, None).await? else { return Ok(None) };
        // What cannot be read is begun anew.
        let progress = serde_json::from_slice(&item.value).unwrap_or_default();
        Ok(Some((item.revision, progress)))
    }

    /// Writes down how far it is, and what was found again, if the item stands as it was read: its new revision; none
    /// if it does not.
    pub async fn step(
        &self,
        revision: Option<u64>,
        progress: &Progress,
        updates: &[Document],
    ) -> Result<Option<u64>, StoreError> {
        let value = serde_json::to_vec(progress).map_err(|e| StoreError::Broken(e.to_string()))?;
        let began = Instant::now();
        loop {
            match self.step_once(revision, &value, updates).await {
                Ok(Some(revision)) => {
                    self.reindexing.show(progress);
                    return Ok(Some(revision));
                }
                Ok(None) => return Ok(None),
                Err(error) if is_transient(&error) && began.elapsed() < PATIENCE && self.answers() => {
                    sleep(Duration::from_millis(20)).await;
                }
                Err(error) if is_transient(&error) || is_unknown(&error) => {
                    // What is stored says where to go on.
                    return Err(StoreError::Unavailable("others write at the same time".into()));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn step_once(&self, revision: Option<u64>, value: &[u8], updates: &[Document]) -> Result<Option<u64>, Error> {
        let tenant = TenantId::default();
        let (collection, name) = PLACE;
        let key = key_of(tenant, collection, name);
        let value = Binary { subtype: BinarySubtype::Generic, bytes: value.to_vec() };
        let Some(revision) = revision else {
            let new =
                doc! { "_id": &key, "t": i64::from(tenant.0), "c": collection, "y": name, "r": 1_i64, "v": value };
            return match self.items.insert_one(new).await {
                Ok(_) => Ok(Some(1)),
                Err(error) if is_there_already(&error) => Ok(None),
                Err(error) => Err(error),
            };
        };
        let next = revision + 1;
        let stands = doc! { "_id": &key, "r": revision as i64 };
        let set = doc! { "$set": { "r": next as i64, "v": value } };
        let mut held = self.reindexing.session.lock().await;
        let session = match held.take().filter(|(_, used)| used.elapsed() < SESSION) {
            Some((session, _)) => &mut held.insert((session, Instant::now())).0,
            None => &mut held.insert((self.client.start_session().await?, Instant::now())).0,
        };
        session.start_transaction().with_options(transaction_options()).await?;
        let filled = async {
            if self.items.update_one(stands, set).session(&mut *session).await?.matched_count != 1 {
                return Ok(false);
            }
            for some in commands(updates) {
                let expected = some.len();
                let command = doc! { "update": "versions", "updates": some };
                let done = self.database.run_command(command).session(&mut *session).await?;
                let count = done.get_i32("n").map(i64::from).or_else(|_| done.get_i64("n")).unwrap_or(-1);
                if done.contains_key("writeErrors") || count != expected as i64 {
                    let why = format!("of {expected} versions that were found again {count} were written");
                    return Err(Error::custom(StoreError::Broken(why)));
                }
            }
            Ok(true)
        };
        match filled.await {
            Ok(true) => session.commit_transaction().await.map(|()| Some(next)),
            Ok(false) => {
                session.abort_transaction().await?;
                Ok(None)
            }
            Err(error) => {
                // Whether it ends now or by itself: nothing of it is written.
                let _ = session.abort_transaction().await;
                Err(error)
            }
        }
    }
}

/// Updates as they fit into commands.
fn commands(updates: &[Document]) -> Vec<Vec<Bson>> {
    let bytes = |update: &Document| {
        let terms = update.get_document("u").and_then(|u| u.get_document("$set")).and_then(|set| set.get_array("x"));
        terms.map_or(0, |terms| terms.iter().map(|t| t.as_str().map_or(0, str::len) + 16).sum::<usize>())
    };
    let mut all: Vec<Vec<Bson>> = Vec::new();
    let mut room = 0;
    for update in updates {
        let size = bytes(update);
        match all.last_mut().filter(|_| room >= size) {
            Some(command) => {
                room -= size;
                command.push(Bson::Document(update.clone()));
            }
            None => {
                room = BYTES.saturating_sub(size);
                all.push(vec![Bson::Document(update.clone())]);
            }
        }
    }
    all
}

fn is_there_already(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(write)) if write.code == 11000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_left_when_it_has_stood_still() {
        let mut still = Still::default();
        let short = Duration::from_millis(30);
        assert!(!still.is_for(1, short));
        std::thread::sleep(short);
        assert!(!still.is_for(2, short), "it has gone on meanwhile");
        std::thread::sleep(short);
        assert!(still.is_for(2, short));
    }

    #[test]
    fn what_was_never_begun_covers_the_list_of_before_any_was_added() {
        assert!(covers(&None, 0) && !covers(&None, 7));
        let ended = Progress { mark: 7, ended: true, ..Progress::default() };
        let left = Progress { ended: false, ..ended.clone() };
        assert!(covers(&Some((3, ended.clone())), 7) && !covers(&Some((3, ended)), 8));
        assert!(!covers(&Some((3, left)), 7));
    }

    #[test]
    fn what_an_older_program_wrote_can_be_read() {
        let old =
            r#"{"mark":7,"holder":"a","tenant":null,"after":0,"to":0,"done":3,"all":3,"ended":true,"failed":null}"#;
        let read: Progress = serde_json::from_str(old).expect("read");
        assert!(read.ended && read.ready.is_empty());
    }

    #[test]
    fn commands_are_bounded() {
        let update = |size: usize| doc! { "q": { "_id": "a" }, "u": { "$set": { "x": ["t".repeat(size)] } } };
        let sizes = |of: &[Document]| commands(of).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(sizes(&vec![update(10); 200]), [200]);
        assert_eq!(sizes(&[update(BYTES), update(10), update(10), update(BYTES)]), [1, 2, 1]);
        assert!(sizes(&[]).is_empty());
    }
}
