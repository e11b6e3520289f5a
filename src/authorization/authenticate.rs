//! Which client asks at the token, introspection and revocation endpoints: no secret (public), HTTP Basic, the secret
//! in the form, or a signed assertion: the one way that it was registered with, and only one at a time.

use super::client::{Client, ClientKind};
use super::exchange::{Asked, Parameters};
use super::refusal::{Code, Refusal};
use super::{Authorization, assertion, secret};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Failures of a client from one place before it has to wait, and the time in which they are counted.
const FAILURES: u32 = 30;
const WINDOW: Duration = Duration::from_secs(60);
/// Clients at places that are counted at once.
const COUNTED: usize = 10_000;

/// What a request gives to prove who the client is.
enum Proof<'a> {
    Nothing,
    Secret(String),
    Assertion(&'a str),
}

/// Failures that were counted, by client and place.
#[derive(Default)]
pub(super) struct Failures(Mutex<FxHashMap<String, (Instant, u32)>>);

impl Failures {
    fn too_many(&self, key: &str) -> bool {
        self.0.lock().get(key).is_some_and(|(since, count)| since.elapsed() < WINDOW && *count >= FAILURES)
    }

    fn count(&self, key: String) {
        let mut all = self.0.lock();
        if all.len() >= COUNTED && !all.contains_key(&key) {
            all.retain(|_, (since, _)| since.elapsed() < WINDOW);
        }
        // Whoever makes up names pushes out made-up names: those with fewest failures go first.
        while all.len() >= COUNTED && !all.contains_key(&key) {
            let Some(least) = all.iter().min_by_key(|(_, (_, count))| *count).map(|(key, _)| key.clone()) else {
                break;
            };
            all.remove(&least);
        }
        let entry = all.entry(key).or_insert((Instant::now(), 0));
        if entry.0.elapsed() >= WINDOW {
            *entry = (Instant::now(), 0);
        }
        entry.1 += 1;
    }
}

impl Authorization {
    /// The client that has proved who it is, or, if it is a public one, has said so.
    pub(super) async fn authenticate(&self, asked: &Asked) -> Result<Arc<Client>, Refusal> {
        if let Some(name) = asked.form.repeated() {
            let name: String = name.chars().take(40).collect();
            return Err(Refusal::invalid(format!("'{name}' is there more than once")));
        }
        let (id, proof) = match self.silent(asked).await? {
            Some(id) => (id, Proof::Nothing),
            None => proof(asked)?,
        };
        asked.noted.client(&id);
        let key = secret::digest(&format!("{id} {:?}", asked.remote));
        if self.failures.too_many(&key) {
            return Err(Refusal::new(Code::SlowDown, "too many failed attempts; wait a minute"));
        }
        let client = self.active_client(&id).await?;
        let proved = match (&client, proof) {
            (Some(client), Proof::Nothing) if client.kind == ClientKind::Public => Ok(()),
            (Some(client), Proof::Secret(given)) if client.kind == ClientKind::Symmetric => {
                let right = client.secret.as_deref().is_some_and(|kept| secret::same(kept, &secret::digest(&given)));
                right.then_some(()).ok_or_else(Refusal::client)
            }
            (Some(client), Proof::Assertion(text)) => self.verify_assertion(text, client, &asked.base).await,
            _ => Err(Refusal::client()),
        };
        match (proved, client) {
            (Ok(()), Some(client)) => Ok(client),
            (Err(refusal), _) => {
                if refusal.code == Code::InvalidClient {
                    self.failures.count(key);
                }
                Err(refusal)
            }
            (Ok(()), None) => Err(Refusal::client()),
        }
    }

    /// The client of a refresh that does not say who it is, as public clients need not (RFC 6749 6): the token tells.
    async fn silent(&self, asked: &Asked) -> Result<Option<String>, Refusal> {
        let says = ["client_id", "client_secret", "client_assertion", "client_assertion_type"];
        let silent = asked.authorization.is_none() && says.iter().all(|name| asked.form.get(name).is_none());
        match asked.form.get("refresh_token").filter(|_| silent) {
            Some(token) => Ok(self.client_of_refresh(token).await?),
            None => Ok(None),
        }
    }
}

/// Whether a request tries HTTP Basic.
pub(super) fn tries_basic(asked: &Asked) -> bool {
    asked.authorization.as_deref().is_some_and(|header| basic(header).is_some())
}

fn basic(header: &str) -> Option<&str> {
    let (scheme, rest) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| rest.trim())
}

fn proof(asked: &Asked) -> Result<(String, Proof<'_>), Refusal> {
    let form = &asked.form;
    let header = asked.authorization.as_deref();
    let ways = [
        header.is_some(),
        form.get("client_secret").is_some(),
        form.get("client_assertion").is_some() || form.get("client_assertion_type").is_some(),
    ];
    if ways.iter().filter(|way| **way).count() > 1 {
        return Err(Refusal::invalid("a client proves who it is in one way, not in several"));
    }
    if let Some(header) = header {
        let (id, given) = basic(header).and_then(credentials).ok_or_else(Refusal::client)?;
        if form.get("client_id").is_some_and(|named| named != id) {
            return Err(Refusal::invalid("client_id is not the client of the Authorization header"));
        }
        return Ok((id, Proof::Secret(given)));
    }
    if ways[2] {
        if form.get("client_assertion_type") != Some(assertion::TYPE) {
            return Err(Refusal::invalid(format!("client_assertion_type has to be {}", assertion::TYPE)));
        }
        let text = form.get("client_assertion").ok_or_else(|| Refusal::invalid("client_assertion is missing"))?;
        let id = assertion::claimed(text).ok_or_else(Refusal::client)?;
        if form.get("client_id").is_some_and(|named| named != id) {
            return Err(Refusal::client());
        }
        return Ok((id, Proof::Assertion(text)));
    }
    let id = form.get("client_id").ok_or_else(Refusal::client)?.to_owned();
    match form.get("client_secret") {
        Some(given) => Ok((id, Proof::Secret(given.to_owned()))),
        None => Ok((id, Proof::Nothing)),
    }
}

/// Id and secret of HTTP Basic: each of them form-encoded before (RFC 6749 2.3.1).
fn credentials(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, given) = text.split_once(':')?;
    let decode = |part: &str| Parameters::read(&format!("x={part}")).get("x").map(str::to_owned);
    Some((decode(id)?, decode(given)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_for_so_many_and_no_more() {
        let failures = Failures::default();
        for _ in 0..FAILURES {
            failures.count("app".to_owned());
        }
        assert!(failures.too_many("app"));
        for number in 0..COUNTED + 100 {
            failures.count(format!("made up {number}"));
        }
        assert!(failures.0.lock().len() <= COUNTED);
        assert!(failures.too_many("app"), "whoever failed often is not forgotten for those who failed once");
    }
}
