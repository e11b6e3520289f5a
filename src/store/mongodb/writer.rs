//! The writer of one process: one task that takes all waiting transactions and commits them together, so that many
//! share one transaction of the database. Conflicts with other processes are tried again; of a commit whose outcome is
//! not known it is looked up whether it took place. What stands in a group is in `group`.

use super::Shared;
use super::database::{is_transient, is_unknown, transaction_options};
use super::group::Group;
use crate::base::{ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::Terms;
use crate::store::{AuditRecord, Committed, Expect, Guard, ItemWrite, Method, StoreError};
use mongodb::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Writes of one transaction of the database, roughly, at most.
const GROUP: usize = 500;
/// Bytes of bodies of one transaction of the database, roughly, at most.
const BYTES: usize = 24 << 20;
/// How long a group is tried before its callers are told to try again.
const PATIENCE: Duration = Duration::from_secs(5);

/// A write whose body is compressed already.
pub struct Prepared {
    pub kind: TypeId,
    pub id: ResourceId,
    pub method: Method,
    pub expect: Expect,
    /// Body and terms; none for a delete.
    pub content: Option<(Vec<u8>, Terms)>,
}

/// A transaction that waits.
pub struct Job {
    pub tenant: TenantId,
    pub writes: Vec<Prepared>,
    pub guards: Vec<Guard>,
    pub items: Vec<ItemWrite>,
    /// Records of the audit trail, with their bodies compressed.
    pub audit: Vec<(AuditRecord, Vec<u8>)>,
    pub answer: oneshot::Sender<Result<Vec<Committed>, StoreError>>,
}

impl Job {
    fn bytes(&self) -> usize {
        self.writes.iter().filter_map(|w| w.content.as_ref()).map(|(body, _)| body.len()).sum()
    }
}

/// One result for each transaction of a group.
pub type Answers = Vec<Result<Vec<Committed>, StoreError>>;

/// Takes transactions until all senders are gone.
pub async fn run(shared: Arc<Shared>, mut queue: mpsc::Receiver<Job>) {
    let mut kept = None;
    loop {
        let first = match kept.take() {
            Some(job) => Some(job),
            None => queue.recv().await,
        };
        let Some(first) = first else { return };
        let (tenant, mut writes, mut bytes) = (first.tenant, first.writes.len(), first.bytes());
        let mut jobs = vec![first];
        while writes < GROUP && bytes < BYTES {
            match queue.try_recv() {
                Ok(job) if job.tenant == tenant && writes + job.writes.len() <= GROUP => {
                    writes += job.writes.len();
                    bytes += job.bytes();
                    jobs.push(job);
                }
                Ok(job) => {
                    kept = Some(job);
                    break;
                }
                Err(_) => break,
            }
        }
        commit(&shared, tenant, jobs).await;
    }
}

/// Commits a group and answers all of it.
async fn commit(shared: &Shared, tenant: TenantId, jobs: Vec<Job>) {
    match attempt(shared, tenant, &jobs).await {
        Ok(answers) => {
            for (job, answer) in jobs.into_iter().zip(answers) {
                // A caller that went away does not hear the answer; its commit stands.
                let _ = job.answer.send(answer);
            }
        }
        Err(error) if jobs.len() > 1 && !matches!(error, StoreError::Unavailable(_)) => {
            // One of them is at fault, or only all together are too much: each for itself.
            for job in jobs {
                Box::pin(commit(shared, tenant, vec![job])).await;
            }
        }
        Err(error) => {
            for job in jobs {
                let _ = job.answer.send(Err(error.clone()));
            }
        }
    }
}

/// Tries a group until it is committed, refused, or patience is at its end.
async fn attempt(shared: &Shared, tenant: TenantId, jobs: &[Job]) -> Result<Answers, StoreError> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    loop {
        let error = match once(shared, tenant, jobs).await {
            Ok(answers) => return Ok(answers),
            Err(error) => error,
        };
        if let Some(own) = error.get_custom::<StoreError>() {
            return Err(own.clone());
        }
        if !is_transient(&error) || began.elapsed() > PATIENCE {
            return Err(error.into());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// One transaction of the database.
async fn once(shared: &Shared, tenant: TenantId, jobs: &[Job]) -> Result<Answers, Error> {
    let attempt = uuid::Uuid::new_v4().simple().to_string();
    let mut session = shared.client.start_session().await?;
    session.start_transaction().with_options(transaction_options()).await?;
    let mut group = Group::open(shared, tenant, &attempt, &mut session).await?;
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(group.add(job, &mut session).await?);
    }
    if !group.write(&mut session).await? {
        session.abort_transaction().await?;
        return Ok(answers);
    }
    let began = Instant::now();
    loop {
        match session.commit_transaction().await {
            Ok(()) => return Ok(answers),
            Err(error) if is_unknown(&error) && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) if is_unknown(&error) || is_transient(&error) => {
                // Never assumed: the counter says which attempt was the last, and remembers those before it.
                return if took_place(shared, tenant, &attempt).await? { Ok(answers) } else { Err(error) };
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether an attempt was committed.
async fn took_place(shared: &Shared, tenant: TenantId, attempt: &str) -> Result<bool, Error> {
    let found = shared.tenants.find_one(mongodb::bson::doc! { "_id": i64::from(tenant.0), "a": attempt }).await?;
    Ok(found.is_some())
}
