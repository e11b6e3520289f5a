//! The interactions as cases: a request line, a body, the status and what the answer holds. Run on the store in
//! memory; what HTTP adds is tested there.

mod bundles;
mod conditional;
mod instances;
mod operations;
mod searches;

use super::*;
use crate::base::{Clock, IdSource, ResourceId, TenantId, Timestamp};
use crate::definitions::Definitions;
use crate::index::Extractor;
use crate::store::memory::MemoryStore;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// A clock that goes on by one second each time it is read.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.fetch_add(1_000_000, Ordering::Relaxed))
    }
}

/// Ids `new-1`, `new-2`, …
#[derive(Default)]
struct Counting(AtomicU64);

impl IdSource for Counting {
    fn next(&self) -> ResourceId {
        let number = self.0.fetch_add(1, Ordering::Relaxed) + 1;
        ResourceId::new(&format!("new-{number}")).expect("legal")
    }
}

/// A service on an empty store, a clock and ids of its own.
pub(super) struct Api {
    service: Service,
    runtime: tokio::runtime::Runtime,
    base: String,
}

/// An answer: the status and the text.
pub(super) type Answer = (u16, String);

impl Api {
    pub(super) fn new() -> Api {
        Api::with(Settings::default())
    }

    pub(super) fn with(settings: Settings) -> Api {
        let base = "http://vesta.test/fhir".to_owned();
        let definitions = Definitions::core();
        let extractor = Arc::new(Extractor::new(definitions.clone(), vec![base.clone()]));
        let clock = Arc::new(Ticking(AtomicI64::new(1_792_828_800_000_000)));
        let store = MemoryStore::new(definitions.clone(), extractor.clone(), clock.clone());
        let ids = Arc::new(Counting::default());
        let service = Service::new(Arc::new(store), definitions, extractor, clock, ids, settings);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        Api { service, runtime, base }
    }

    fn context(&self) -> Context {
        Context::open(TenantId(0), self.base.clone())
    }

    /// Sends `VERB path?query` followed by words such as `if-match:1`, `return:minimal`, `as:json-patch`.
    pub(super) fn send(&self, line: &str, body: &str) -> Result<Reply, crate::base::Failure> {
        self.runtime.block_on(self.service.perform(&self.context(), self.request(line, body)))
    }

    fn request(&self, line: &str, body: &str) -> Request {
        let mut words = line.split(' ');
        let verb = match words.next() {
            Some("GET") => Verb::Get,
            Some("HEAD") => Verb::Head,
            Some("POST") => Verb::Post,
            Some("PUT") => Verb::Put,
            Some("PATCH") => Verb::Patch,
            Some("DELETE") => Verb::Delete,
            other => panic!("not a verb: {other:?}"),
        };
        let address = words.next().unwrap_or_default();
        let address = address.strip_prefix(&*self.base).unwrap_or(address).trim_start_matches('/');
        let (path, query) = address.split_once('?').unwrap_or((address, ""));
        let mut request = Request { query: query.to_owned(), ..Request::new(verb, path) };
        let mut media = Media::Json;
        for word in words {
            let (name, value) = word.split_once(':').expect("name:value");
            let list = || Some(value.split(',').map(str::to_owned).collect());
            match name {
                "if-match" => request.preconditions.if_match = list(),
                "if-none-match" => request.preconditions.if_none_match = list(),
                "if-modified-since" => request.preconditions.if_modified_since = value.parse().ok(),
                "if-none-exist" => request.preconditions.if_none_exist = Some(value.to_owned()),
                "return" => {
                    request.prefer.returns = Some(match value {
                        "minimal" => Return::Minimal,
                        "representation" => Return::Representation,
                        _ => Return::OperationOutcome,
                    });
                }
                "handling" => request.prefer.handling = Handling::Strict,
                "provenance" => request.provenance = Some(value.to_owned()),
                "raw" => request.raw = true,
                "as" => {
                    media = match value {
                        "json-patch" => Media::JsonPatch,
                        "merge-patch" => Media::MergePatch,
                        "xml-patch" => Media::XmlPatch,
                        "form" => Media::Form,
                        other => Media::Raw(other.to_owned()),
                    };
                }
                other => panic!("unknown word {other}"),
            }
        }
        request.body = (!body.is_empty()).then(|| Payload { media, bytes: body.as_bytes().to_vec() });
        request
    }

    pub(super) fn ask(&self, line: &str, body: &str) -> Answer {
        self.runtime.block_on(self.perform(line, body))
    }

    /// The same on the runtime of the caller.
    pub(super) async fn perform(&self, line: &str, body: &str) -> Answer {
        match self.service.perform(&self.context(), self.request(line, body)).await {
            Ok(reply) => {
                let text = match reply.content {
                    ReplyContent::Nothing => String::new(),
                    ReplyContent::Json(json) => String::from_utf8(json).expect("UTF-8"),
                    ReplyContent::Outcome(issues) => outcome::write(&issues),
                    ReplyContent::Raw { content_type, bytes, .. } => {
                        format!("{content_type}: {}", String::from_utf8_lossy(&bytes))
                    }
                };
                if !text.is_empty() && text.starts_with('{') {
                    crate::json::Document::parse(text.as_bytes(), &crate::json::Limits::NONE).expect("legal JSON");
                }
                (outcome::status_of_effect(reply.effect).0, text)
            }
            Err(failure) => (outcome::status_of(failure.kind).0, outcome::write(&failure.issues)),
        }
    }

    /// Runs cases in order: line, body, status, and texts that the answer holds (or, after `!`, does not hold),
    /// separated by ` & `.
    pub(super) fn run(&self, cases: &[(&str, &str, u16, &str)]) {
        for (line, body, status, holds) in cases {
            let (got, text) = self.ask(line, body);
            assert_eq!(got, *status, "{line} {body}\n{text}");
            for part in holds.split(" & ").filter(|p| !p.is_empty()) {
                match part.strip_prefix('!') {
                    Some(absent) => assert!(!text.contains(absent), "{line}\nholds {absent}\n{text}"),
                    None => assert!(text.contains(part), "{line}\nlacks {part}\n{text}"),
                }
            }
        }
    }

    /// A link of a Bundle, relative to the base.
    pub(super) fn link(text: &str, relation: &str) -> Option<String> {
        let bundle = crate::json::Tree::parse(text.as_bytes()).expect("JSON");
        let links = bundle.get("link")?.items().to_vec();
        let link = links.iter().find(|l| l.get("relation").and_then(|r| r.as_str()) == Some(relation))?;
        link.get("url")?.as_str().map(str::to_owned)
    }

    /// The ids of the resources in a Bundle, in order.
    pub(super) fn ids(text: &str) -> String {
        let bundle = crate::json::Tree::parse(text.as_bytes()).expect("JSON");
        let entries = bundle.get("entry").map_or(Vec::new(), |e| e.items().to_vec());
        let ids = entries.iter().filter_map(|e| e.get("resource")?.get("id")?.as_str().map(str::to_owned));
        ids.collect::<Vec<_>>().join(" ")
    }
}

/// Records in the naive store, for the tests of the floors above.
pub(crate) fn records_in_memory(clock: Arc<dyn Clock>) -> crate::interaction::Records {
    let definitions = Definitions::core();
    let extractor = Arc::new(Extractor::new(definitions.clone(), Vec::new()));
    crate::interaction::Records::new(Arc::new(MemoryStore::new(definitions, extractor, clock)), TenantId::default())
}
