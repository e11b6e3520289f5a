//! How a process learns what others have changed. The counter of a tenant counts the commits that concerned each
//! collection of items and each type (`q.i`, `q.r`); whoever compares these counts with those seen before misses
//! nothing, however long it looked away. A change stream on the counters says when to compare; where there is none (it
//! cannot be had, or was interrupted) they are compared once in a while.

use super::Shared;
use crate::base::TenantId;
use crate::store::StoreError;
use crate::store::notice::{Crier, Notice};
use futures_util::{StreamExt, TryStreamExt};
use mongodb::bson::{Document, doc};
use mongodb::change_stream::ChangeStream;
use mongodb::change_stream::event::ResumeToken;
use mongodb::error::Error;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How often counts are compared without a change stream.
const POLL: Duration = Duration::from_millis(500);
/// How often with one: it is only a hint.
const CAUTION: Duration = Duration::from_secs(5);
/// After a change others may follow at once; they are awaited so long.
const GATHER: Duration = Duration::from_millis(30);
/// How long it is polled before a change stream is tried again.
const AGAIN: Duration = Duration::from_secs(10);

/// The counts of all tenants, by tenant and by what is counted.
pub type Counts = HashMap<(i64, String), i64>;

/// The counts as they are now.
pub async fn counts(shared: &Shared) -> Result<Counts, Error> {
    let mut counts = Counts::new();
    let mut rows = shared.tenants.find(doc! { "q": { "$exists": true } }).projection(doc! { "q": 1 }).await?;
    while let Some(found) = rows.try_next().await? {
        let (Ok(tenant), Ok(of)) = (found.get_i64("_id"), found.get_document("q")) else { continue };
        for (sort, each) in of {
            for (name, count) in each.as_document().into_iter().flatten() {
                let count = count.as_i64().or(count.as_i32().map(i64::from)).unwrap_or_default();
                counts.insert((tenant, format!("{sort}.{name}")), count);
            }
        }
    }
    Ok(counts)
}

/// By how much the counts grow with a commit: what `$inc` takes.
pub fn increments<'n>(collections: impl Iterator<Item = &'n str>, kinds: impl Iterator<Item = &'n str>) -> Document {
    let mut grow = Document::new();
    let named = collections.map(|name| format!("q.i.{name}")).chain(kinds.map(|name| format!("q.r.{name}")));
    for name in named {
        grow.insert(name, 1_i64);
    }
    grow
}

/// What follows the counts of a store.
pub struct Follower {
    shared: Weak<Shared>,
    crier: Crier,
    seen: Counts,
    token: Option<ResumeToken>,
    streaming: Arc<AtomicBool>,
}

impl Follower {
    /// Goes on from counts that were read before anything was taken from the store. `streaming` tells whether there is
    /// a change stream.
    pub fn new(shared: &Arc<Shared>, crier: Crier, seen: Counts, streaming: Arc<AtomicBool>) -> Follower {
        Follower { shared: Arc::downgrade(shared), crier, seen, token: None, streaming }
    }

    /// Follows until the store is closed.
    pub async fn run(mut self) {
        while self.shared.strong_count() > 0 {
            if let Some(mut stream) = self.open().await {
                self.streaming.store(true, Ordering::Relaxed);
                self.stream(&mut stream).await;
                self.token = stream.resume_token().or(self.token.take());
                self.streaming.store(false, Ordering::Relaxed);
            }
            let began = Instant::now();
            while began.elapsed() < AGAIN && self.shared.strong_count() > 0 {
                let reached = self.compare().await.is_ok();
                sleep(POLL).await;
                if reached && self.token.is_some() {
                    // There was a change stream before: it was interrupted, and the database answers again.
                    break;
                }
            }
        }
    }

    async fn open(&mut self) -> Option<ChangeStream<Document>> {
        let shared = self.shared.upgrade()?;
        let only_where = doc! { "$project": { "documentKey": 1 } };
        let counters = shared.pulse.collection::<Document>("tenants");
        let watch = counters.watch().pipeline([only_where]).resume_after(self.token.clone());
        match watch.await {
            Ok(stream) => Some(stream.with_type()),
            Err(error) => {
                // A token that is too old is of no use; the counts tell what it would have told.
                self.token = None;
                tracing::debug!(%error, "no change stream; the counts are compared every {POLL:?}");
                None
            }
        }
    }

    /// Compares whenever the stream says that something was changed, until it ends.
    async fn stream(&mut self, stream: &mut ChangeStream<Document>) {
        // What was changed between the counts and the beginning of the stream.
        if self.compare().await.is_err() {
            return;
        }
        loop {
            match timeout(CAUTION, stream.next()).await {
                Ok(Some(Ok(_))) => {
                    let began = Instant::now();
                    while began.elapsed() < GATHER {
                        match timeout(GATHER, stream.next()).await {
                            Ok(Some(Ok(_))) => {}
                            Ok(_) => return,
                            Err(_) => break,
                        }
                    }
                }
                Ok(_) => return,
                Err(_) => {}
            }
            if self.compare().await.is_err() {
                return;
            }
        }
    }

    /// Tells what was changed since the last time.
    async fn compare(&mut self) -> Result<(), StoreError> {
        let Some(shared) = self.shared.upgrade() else { return Ok(()) };
        let now = counts(&shared).await?;
        for (key, count) in &now {
            if self.seen.get(key) != Some(count)
                && let Some(notice) = notice_of(&shared, key)
            {
                self.crier.tell(notice);
            }
        }
        self.seen = now;
        Ok(())
    }
}

fn notice_of(shared: &Shared, (tenant, what): &(i64, String)) -> Option<Notice> {
    let tenant = TenantId(u32::try_from(*tenant).ok()?);
    match what.split_once('.')? {
        ("i", collection) => Some(Notice::Items(tenant, collection.to_owned())),
        ("r", kind) => Some(Notice::Resources(tenant, shared.vocabulary.kind(kind)?)),
        _ => None,
    }
}
