//! The outside terminology server, where the settings name one: how it is asked, within which bounds, and for how long it
//! is left alone when it does not answer. All that is asked of it goes through here: operations that are passed on
//! (`operation::terminology`), the codes that searches mean (`lists`), and what validation could not decide (`verdicts`).
//! When it is asked, is decided by those who need it. Nothing is asked while the store is being written.

mod lists;
mod verdicts;

pub(super) use lists::{Lists, Of, around};

use crate::json::Tree;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long all of one call may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// How long is waited in one request for all that searches and validation ask.
const WAIT: Duration = Duration::from_secs(10);
/// What searches and validation may ask in one request.
pub(super) const QUESTIONS: usize = 100;
/// Calls at the same time, of all requests together.
const AT_ONCE: usize = 16;
/// How long it is not asked again after it did not answer.
const LEFT_ALONE: Duration = Duration::from_secs(5);
/// Bytes of an answer at most.
const LARGEST: u64 = 64 << 20;
/// Bytes of a question of searches and validation at most: value sets can be large.
const LONGEST: usize = 1 << 20;
/// How long its answers are kept, and how long that it had none.
const KEPT: Duration = Duration::from_secs(600);
const KEPT_FAILURE: Duration = Duration::from_secs(30);

/// The outside terminology server.
pub(crate) struct Outside {
    base: Option<String>,
    agent: Arc<OnceLock<ureq::Agent>>,
    room: Arc<Semaphore>,
    /// Until when it is left alone.
    away: Mutex<Option<Instant>>,
    lists: Lists,
}

/// A call of one of its operations.
pub(crate) struct Call {
    /// The operation with its type, and the query if there is one: `ValueSet/$expand?url=…`
    pub path: String,
    /// The language of the displays.
    pub language: Option<String>,
    /// What is posted; none: a GET.
    pub body: Option<Vec<u8>>,
}

/// It did not answer, or not in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Away;

impl Outside {
    /// The server that the settings name, if they do.
    pub(super) fn new(base: Option<&str>) -> Outside {
        Outside {
            base: base.map(|base| base.trim_end_matches('/').to_owned()),
            agent: Arc::default(),
            room: Arc::new(Semaphore::new(AT_ONCE)),
            away: Mutex::default(),
            lists: Lists::default(),
        }
    }

    /// Whether there is one.
    pub(crate) fn is_there(&self) -> bool {
        self.base.is_some()
    }

    /// Calls it: the status and the body of its answer. Waits on a thread of its own, and no longer than until a moment.
    pub(crate) async fn call(&self, call: Call, until: Instant) -> Result<(u16, Vec<u8>), Away> {
        let Some(base) = &self.base else { return Err(Away) };
        let now = Instant::now();
        if now >= until || self.away.lock().is_some_and(|away| now < away) {
            return Err(Away);
        }
        let room = tokio::time::timeout_at(until.into(), self.room.clone().acquire_owned()).await;
        let Ok(Ok(room)) = room else { return Err(Away) };
        let (url, agent, begun) = (format!("{base}/{}", call.path), self.agent.clone(), Instant::now());
        let asked = tokio::task::spawn_blocking(move || {
            let answer =
                ask(agent.get_or_init(|| crate::base::agent(PATIENCE)), &url, call.language.as_deref(), call.body);
            drop(room);
            answer
        });
        match tokio::time::timeout_at(until.into(), asked).await {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(ureq::Error::BodyExceedsLimit(_)))) => {
                tracing::warn!("an answer of the outside terminology server is too large");
                Err(Away)
            }
            Ok(Ok(Err(error))) => {
                tracing::warn!(%error, "the outside terminology server cannot be asked");
                self.leave_alone();
                Err(Away)
            }
            Ok(Err(error)) => {
                tracing::error!(%error, "asking the outside terminology server failed");
                Err(Away)
            }
            Err(_) => {
                tracing::warn!("the outside terminology server does not answer in time");
                // What had little time left says little about the server.
                if begun.elapsed() >= WAIT / 2 {
                    self.leave_alone();
                }
                Err(Away)
            }
        }
    }

    fn leave_alone(&self) {
        *self.away.lock() = Some(Instant::now() + LEFT_ALONE);
    }
}

fn ask(
    agent: &ureq::Agent,
    url: &str,
    language: Option<&str>,
    body: Option<Vec<u8>>,
) -> Result<(u16, Vec<u8>), ureq::Error> {
    let language = language.unwrap_or("*");
    let fhir = "application/fhir+json";
    let answer = match body {
        None => agent.get(url).header("accept", fhir).header("accept-language", language).call()?,
        Some(body) => {
            let asked = agent.post(url).header("accept", fhir).header("accept-language", language);
            asked.header("content-type", fhir).send(body.as_slice())?
        }
    };
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().into_with_config().limit(LARGEST).read_to_vec()?))
}

/// What searches and validation may still ask in one request, and how long they may still wait for it, all entries of a
/// batch or transaction together. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Allowance(Arc<Left>);

#[derive(Debug)]
struct Left {
    questions: AtomicUsize,
    millis: AtomicU64,
}

impl Default for Allowance {
    fn default() -> Allowance {
        let millis = AtomicU64::new(WAIT.as_millis() as u64);
        Allowance(Arc::new(Left { questions: AtomicUsize::new(QUESTIONS), millis }))
    }
}

impl Allowance {
    /// Takes so many questions, or those that are left.
    fn take(&self, wanted: usize) -> usize {
        let less = |left: usize| Some(left.saturating_sub(wanted));
        let left = self.0.questions.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_default();
        left.min(wanted)
    }

    /// Until when may be waited, from now on.
    fn until(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.0.millis.load(Ordering::Relaxed))
    }

    /// Counts what was waited since a moment.
    fn waited(&self, since: Instant) {
        let spent = since.elapsed().as_millis() as u64;
        // Never fails: there is always a next value.
        let less = |left: u64| Some(left.saturating_sub(spent));
        let _ = self.0.millis.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }
}

/// Parameters, one after the other.
fn parameters(all: Vec<Tree>) -> Vec<u8> {
    let parameters = Tree::object([("resourceType", Tree::string("Parameters")), ("parameter", Tree::Array(all))]);
    parameters.to_json().into_bytes()
}

fn parameter(name: &str, key: &str, value: Tree) -> Tree {
    Tree::object([("name", Tree::string(name)), (key, value)])
}

/// The parameters that name a value set by its canonical.
fn named(canonical: &str) -> Vec<Tree> {
    let (url, version) = crate::definitions::split_canonical(canonical);
    let mut all = vec![parameter("url", "valueUri", Tree::string(url))];
    all.extend(version.map(|version| parameter("valueSetVersion", "valueString", Tree::string(version))));
    all
}

/// The parameters that bring a value set along: its definition cut down to what it takes from where, and those that it
/// imports.
fn brought(sets: Vec<Tree>) -> Vec<Tree> {
    let mut names = std::iter::once("valueSet").chain(std::iter::repeat("tx-resource"));
    sets.into_iter().map(|set| parameter(names.next().unwrap_or_default(), "resource", set)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allowance_is_shared_and_ends() {
        let allowance = Allowance::default();
        let other = allowance.clone();
        assert_eq!((allowance.take(60), other.take(60), allowance.take(1)), (60, QUESTIONS - 60, 0));
        allowance.waited(Instant::now() - 2 * WAIT);
        assert!(other.until() <= Instant::now());
    }

    #[test]
    fn a_server_that_is_away_is_left_alone() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}/fhir", listener.local_addr().expect("its address"));
        drop(listener);
        let outside = Outside::new(Some(&base));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let call = || Call { path: "metadata".to_owned(), language: None, body: None };
        assert_eq!(runtime.block_on(outside.call(call(), Instant::now() + PATIENCE)), Err(Away));
        assert!(outside.away.lock().is_some_and(|until| until > Instant::now()));
        // Now nothing is tried any more.
        let begun = Instant::now();
        assert_eq!(runtime.block_on(outside.call(call(), Instant::now() + PATIENCE)), Err(Away));
        assert!(begun.elapsed() < Duration::from_secs(1));
    }
}
