//! The writer of one process: one task that takes waiting transactions and commits them together, so that many share
//! one transaction of the database (`queue` says which are next). Conflicts with other processes are tried again; of a
//! commit whose outcome is not known it is looked up whether it took place, by the next transaction, which cannot begin
//! before that is settled. What stands in a group is in `group`.

use super::Shared;
use super::database::{TOO_LONG, is_transient, is_unknown, transaction_options};
use super::group::{Group, Opened};
use super::queue::{Job, Queue};
use crate::base::TenantId;
use crate::store::{Committed, StoreError};
use mongodb::ClientSession;
use mongodb::error::{Error, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

/// How long a group is tried before its callers are told to try again: longer than a large transaction of another
/// process may take ([`FILLING`]), which holds the counter meanwhile.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is tried to learn what became of a commit, from when it was sent.
const CERTAINTY: Duration = Duration::from_secs(5);
/// How long a commit may take before it is sent again (which is harmless: it commits once).
const COMMIT: Duration = Duration::from_secs(2);
/// What it takes to send something that is not waited for: the driver first has to find a connection.
const SENDING: Duration = Duration::from_millis(200);
/// A large transaction that the database has given up after so long was given up because of that: the least life of a
/// transaction that is worth setting.
const LIFETIME: Duration = Duration::from_secs(15);
/// How long a large transaction may be filled before it is refused: nobody else writes meanwhile.
const FILLING: Duration = Duration::from_secs(20);
/// How long a session is kept that is not used; the database forgets it after half an hour.
const SESSION: Duration = Duration::from_secs(600);
/// The longest pause between two attempts, and how long a process that has committed lets others go first: longer than
/// the pause, so that who waits finds its turn.
const PAUSE: Duration = Duration::from_millis(16);
const YIELD: Duration = Duration::from_millis(25);

/// One result for each transaction of a group.
pub type Answers = Vec<Result<Vec<Committed>, StoreError>>;

/// An attempt whose commit was sent and not answered.
struct Sent {
    attempt: String,
    answers: Answers,
    /// When it was sent.
    since: Instant,
    /// Whether it had outlived what the database gives a transaction, unless it took place.
    outlived: bool,
}

/// Takes transactions until all senders are gone.
pub async fn run(shared: Arc<Shared>, waiting: mpsc::Receiver<Job>) {
    let mut queue = Queue::new(waiting);
    let mut session = Session::default();
    while let Some((tenant, jobs)) = queue.next().await {
        let large = is_large(&jobs);
        commit(&shared, &mut session, tenant, jobs).await;
        // Whoever waited for a large one finds the turn, also if nobody knows of them.
        if session.crowded || large {
            sleep(YIELD).await;
        }
    }
}

/// The one session of the writer. A transaction whose end did not reach the database is ended by the next one of the
/// same session; that of another would wait for it until the database gives it up, after a minute.
#[derive(Default)]
struct Session {
    open: Option<(ClientSession, Instant)>,
    /// Whether other processes write, too.
    crowded: bool,
}

impl Session {
    /// Begins a transaction.
    async fn begin(&mut self, shared: &Shared) -> Result<&mut ClientSession, Error> {
        let old = self.open.take().filter(|(_, used)| used.elapsed() < SESSION);
        let (session, used) = match old {
            Some(old) => self.open.insert(old),
            None => self.open.insert((shared.client.start_session().await?, Instant::now())),
        };
        *used = Instant::now();
        session.start_transaction().with_options(transaction_options()).await?;
        Ok(session)
    }

    /// Ends the transaction, if it is open, so that nobody waits for it; sends that, and waits for no answer where it is
    /// doubtful that a primary answers.
    async fn end(&mut self, shared: &Shared) {
        let sent_and_doubtful = async {
            sleep(SENDING).await;
            shared.until_doubtful().await;
        };
        if let Some((session, _)) = &mut self.open {
            // What was committed already, or never begun, says so: nothing is to be done then.
            tokio::select! {
                biased;
                _ = timeout(COMMIT, session.abort_transaction()) => {}
                () = sent_and_doubtful => {}
            }
        }
    }
}

/// Commits a group and answers all of it.
async fn commit(shared: &Shared, session: &mut Session, tenant: TenantId, jobs: Vec<Job>) {
    match attempt(shared, session, tenant, &jobs).await {
        Ok(answers) => {
            for (job, answer) in jobs.into_iter().zip(answers) {
                // A caller that went away does not hear the answer; its commit stands.
                let _ = job.answer.send(answer);
            }
        }
        Err(error) if jobs.len() > 1 && !matches!(error, StoreError::Unavailable(_) | StoreError::Undecided(_)) => {
            // One of them is at fault, or only all together are too much: each for itself.
            for job in jobs {
                Box::pin(commit(shared, session, tenant, vec![job])).await;
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
async fn attempt(
    shared: &Shared,
    session: &mut Session,
    tenant: TenantId,
    jobs: &[Job],
) -> Result<Answers, StoreError> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(2);
    let mut sent: Option<Sent> = None;
    loop {
        let tried = Instant::now();
        let error = match once(shared, session, tenant, jobs, &mut sent, began).await {
            Ok(answers) => return Ok(answers),
            Err(error) => error,
        };
        let took = tried.elapsed();
        session.end(shared).await;
        // What waited for its turn before has as much time to be looked up as anything else.
        if sent.as_ref().is_some_and(|sent| sent.since.elapsed() > CERTAINTY) {
            tracing::error!(%error, "it is not known whether a commit took place");
            return Err(StoreError::Undecided(
                "the database does not say whether this was stored; read before you send it again".into(),
            ));
        }
        if sent.is_none() {
            if let Some(own) = error.get_custom::<StoreError>() {
                return Err(own.clone());
            }
            if is_outlived(jobs, &error, took) {
                tracing::warn!(%error, ?took, "a transaction outlives what the database gives it");
                return Err(StoreError::TooLarge(TOO_LONG.into()));
            }
            if !is_transient(&error) || began.elapsed() > PATIENCE || !shared.answers() {
                return Err(error.into());
            }
        }
        // Not all processes at the same time.
        sleep(pause.mul_f64(0.5 + f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 256.0)).await;
        pause = (pause * 2).min(PAUSE);
    }
}

fn is_large(jobs: &[Job]) -> bool {
    matches!(jobs, [one] if one.is_large())
}

/// Whether the database has ended a transaction because it took too long: nothing that is tried again would end
/// otherwise. It says only that there is no such transaction.
fn is_outlived(jobs: &[Job], error: &Error, took: Duration) -> bool {
    is_large(jobs) && took > LIFETIME && is_transient(error) && matches!(&*error.kind, ErrorKind::Command(_))
}

/// One transaction of the database. What `sent` holds is looked up first.
async fn once(
    shared: &Shared,
    own: &mut Session,
    tenant: TenantId,
    jobs: &[Job],
    sent: &mut Option<Sent>,
    asked: Instant,
) -> Result<Answers, Error> {
    let attempt = super::document::new_attempt();
    let tried = Instant::now();
    let session = own.begin(shared).await?;
    let fill = fill(shared, tenant, jobs, &attempt, sent, asked, session);
    let fill = async {
        match is_large(jobs) {
            true => timeout(FILLING, fill).await.unwrap_or_else(|_| Err(too_long())),
            false => fill.await,
        }
    };
    let Filled { answers, empty, crowded } = shared.while_it_answers(fill).await.map_err(Error::custom)??;
    if empty {
        // Nothing of it is to be written: what it holds is let go at once, so that others do not wait for it.
        own.end(shared).await;
        return Ok(answers);
    }
    let began = Instant::now();
    loop {
        let error = match timeout(COMMIT, session.commit_transaction()).await {
            Ok(Ok(())) => {
                own.crowded = crowded;
                return Ok(answers);
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        // Never assumed: also an error that says no may be the answer to a commit that the driver has sent twice.
        let again = error.as_ref().is_none_or(is_unknown);
        if !again || began.elapsed() > CERTAINTY / 2 {
            let outlived = error.as_ref().is_some_and(|error| is_outlived(jobs, error, tried.elapsed()));
            *sent = Some(Sent { attempt, answers, since: began, outlived });
            return Err(error.unwrap_or_else(|| Error::custom(super::database::away())));
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// The error of a large transaction that cannot be filled in its time.
fn too_long() -> Error {
    tracing::warn!("a transaction takes more than {} s to be written", FILLING.as_secs());
    Error::custom(StoreError::TooLarge(TOO_LONG.into()))
}

/// What a group has come to.
struct Filled {
    answers: Answers,
    /// Whether there is nothing to commit.
    empty: bool,
    crowded: bool,
}

/// Puts a group into the open transaction. `asked`: since when it is tried.
async fn fill(
    shared: &Shared,
    tenant: TenantId,
    jobs: &[Job],
    attempt: &str,
    sent: &mut Option<Sent>,
    asked: Instant,
    session: &mut ClientSession,
) -> Result<Filled, Error> {
    let Opened { mut group, last, crowded } = Group::open(shared, tenant, attempt, session).await?;
    if let Some(Sent { attempt, answers, outlived, .. }) = sent.take() {
        // The counter is taken: what was sent before has either taken place by now or never will.
        let took_place = last.as_deref() == Some(attempt.as_str());
        shared.looked_up.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(took_place, "the outcome of a commit was looked up");
        if took_place {
            return Ok(Filled { answers, empty: true, crowded });
        }
        if outlived {
            return Err(Error::custom(StoreError::TooLarge(TOO_LONG.into())));
        }
        if asked.elapsed() > PATIENCE {
            return Err(Error::custom(super::database::away()));
        }
    }
    let mut answers = Vec::with_capacity(jobs.len());
    for job in jobs {
        answers.push(group.add(job, session).await?);
    }
    let written = group.write(session).await?;
    Ok(Filled { answers, empty: !written, crowded })
}
