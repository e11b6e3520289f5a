//! What an interaction is asked and what it answers, in terms of FHIR and free of HTTP types: the same shapes serve
//! an HTTP request and an entry of a batch or transaction.

use super::gate::Granted;
use super::trail::Ledger;
use crate::access::Caller;
use crate::base::{Issue, ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use crate::fhirpath::eval::STEPS;
use crate::store::Budget;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The method of a request.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
}

/// The interactions (R4 http.html, in its names).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Interaction {
    Capabilities,
    Read {
        kind: TypeId,
        id: ResourceId,
    },
    VersionRead {
        kind: TypeId,
        id: ResourceId,
        version: String,
    },
    Create {
        kind: TypeId,
    },
    Update {
        kind: TypeId,
        id: ResourceId,
    },
    ConditionalUpdate {
        kind: TypeId,
    },
    Patch {
        kind: TypeId,
        id: ResourceId,
    },
    ConditionalPatch {
        kind: TypeId,
    },
    Delete {
        kind: TypeId,
        id: ResourceId,
    },
    ConditionalDelete {
        kind: TypeId,
    },
    HistoryInstance {
        kind: TypeId,
        id: ResourceId,
    },
    HistoryType {
        kind: TypeId,
    },
    HistorySystem,
    SearchType {
        kind: TypeId,
    },
    SearchSystem,
    /// `kind` is `None` for `*`.
    SearchCompartment {
        compartment: TypeId,
        id: ResourceId,
        kind: Option<TypeId>,
    },
    /// batch or transaction
    Bundle,
    /// `name` is without `$`.
    Operation {
        name: String,
        kind: Option<TypeId>,
        id: Option<ResourceId>,
    },
}

/// `Prefer: return=…`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Return {
    Minimal,
    #[default]
    Representation,
    OperationOutcome,
}

/// `Prefer: handling=…`: what to do with search parameters that are not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Handling {
    Strict,
    #[default]
    Lenient,
}

/// `Prefer: validation=…`: how strictly a resource is looked at before it is written. Only what is stricter than the
/// server's own policy makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Against the base definitions.
    Structure,
    /// Against the base definitions, extensions, and every declared profile.
    Full,
    /// The same, and every declared profile has to be known.
    Strict,
}

/// The preferences of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Prefer {
    /// What the answer to a write holds; `None` where the client did not say: then the resource for a single
    /// interaction, nothing for the entries of a batch or transaction.
    pub returns: Option<Return>,
    /// What is done with unknown parameters.
    pub handling: Handling,
    /// How strictly a write is looked at; `None` where the client did not say.
    pub validation: Option<Strictness>,
}

/// Preconditions of a request, as they were sent.
#[derive(Clone, Debug, Default)]
pub struct Preconditions {
    /// `If-Match`: version ids without `W/` and quotes; `*` as it is.
    pub if_match: Option<Vec<String>>,
    /// `If-None-Match`: likewise.
    pub if_none_match: Option<Vec<String>>,
    /// `If-Modified-Since`, in seconds since the epoch.
    pub if_modified_since: Option<i64>,
    /// `If-None-Exist`: search criteria.
    pub if_none_exist: Option<String>,
}

/// The version ids in a list of entity tags: `W/"3"`, `"3"` and `3` are all the version id 3.
pub fn version_ids(tags: &str) -> Vec<String> {
    tags.split(',')
        .map(|tag| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned()
        })
        .collect()
}

/// What the bytes of a body are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Media {
    /// A resource as JSON (XML is turned into JSON before). On PATCH: a FHIRPath Patch if it is a Parameters resource, a
    /// JSON Patch if it is an array, else a merge patch.
    Json,
    /// `application/json-patch+json`
    JsonPatch,
    /// `application/merge-patch+json`
    MergePatch,
    /// `application/xml-patch+xml`
    XmlPatch,
    /// `application/x-www-form-urlencoded`
    Form,
    /// Any other type; only for Binary. Its name as sent.
    Raw(String),
}

/// A body.
#[derive(Clone, Debug)]
pub struct Payload {
    /// What it is.
    pub media: Media,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub verb: Verb,
    /// Path under the base, percent-decoded, without leading slash: `Patient/1/_history`; empty for the base.
    pub path: String,
    /// Query string, still percent-encoded, without `?`.
    pub query: String,
    /// Preconditions.
    pub preconditions: Preconditions,
    /// Preferences.
    pub prefer: Prefer,
    /// The body, if there is one.
    pub body: Option<Payload>,
    /// Whether the body is JSON as the client wrote it, so that lines and columns in it mean something to the client.
    pub as_sent: bool,
    /// `X-Provenance`: a Provenance resource as JSON.
    pub provenance: Option<String>,
    /// The client wants the content of a Binary as it is (its `Accept` names no format of FHIR): a read of a Binary
    /// then answers with [`ReplyContent::Raw`].
    pub raw: bool,
    /// `X-Security-Context`: what the content of a Binary, sent as it is, belongs to (R4 binary.html#security-context).
    pub security_context: Option<String>,
}

impl Request {
    /// A request without query, preconditions, preferences and body.
    pub fn new(verb: Verb, path: impl Into<String>) -> Self {
        Request {
            verb,
            path: path.into(),
            query: String::new(),
            preconditions: Preconditions::default(),
            prefer: Prefer::default(),
            body: None,
            as_sent: false,
            provenance: None,
            raw: false,
            security_context: None,
        }
    }
}

/// The steps that FHIRPath expressions of one request may still take together. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Steps(Arc<AtomicU64>);

impl Default for Steps {
    fn default() -> Steps {
        Steps(Arc::new(AtomicU64::new(STEPS)))
    }
}

impl Steps {
    /// Does something that takes from what is left.
    pub(crate) fn spend<T>(&self, work: impl FnOnce(&mut u64) -> T) -> T {
        let before = self.0.load(Ordering::Relaxed);
        let mut left = before;
        let done = work(&mut left);
        let spent = before.saturating_sub(left);
        // Never fails: there is always a next value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| Some(now.saturating_sub(spent)));
        done
    }
}

/// Who asks, and where from.
#[derive(Clone, Debug)]
pub struct Context {
    /// The tenant.
    pub tenant: TenantId,
    /// The base as the client sees it, absolute, without a slash at the end.
    pub base: String,
    /// What the searches of the request may cost together, and whether somebody still waits for the answer.
    pub budget: Budget,
    /// What the expressions of all patches of the request may still take.
    pub(crate) steps: Steps,
    /// What may still be asked of the outside terminology server.
    pub(crate) outside: super::outside::Allowance,
    /// Who asks.
    pub caller: Caller,
    /// Where from, if that is known.
    pub remote: Option<IpAddr>,
    /// The languages that are wanted, as `Accept-Language` says.
    pub language: Option<String>,
    /// Names the request in the log and in the audit trail.
    pub request_id: String,
    /// What is noted for the audit trail while the request is performed.
    pub(crate) ledger: Arc<Ledger>,
    /// Whether it is about the audit trail of the tenant and not about its resources.
    pub(crate) trail: bool,
    /// The grant of the caller, once somebody has asked for it: the gate's own note.
    pub(crate) granted: Arc<Granted>,
}

impl Context {
    /// A context in which access control is off.
    pub fn open(tenant: TenantId, base: impl Into<String>) -> Context {
        Context {
            tenant,
            base: base.into(),
            caller: Caller::Open,
            remote: None,
            language: None,
            request_id: String::new(),
            budget: Budget::default(),
            steps: Steps::default(),
            outside: Default::default(),
            ledger: Arc::default(),
            trail: false,
            granted: Arc::default(),
        }
    }

    /// The log in which the resources are that it is about.
    pub(crate) fn log(&self) -> TenantId {
        if self.trail { self.tenant.trail() } else { self.tenant }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Done; here is the answer.
    Ok,
    /// A resource was created.
    Created,
    /// Done; nothing to say.
    NoContent,
    /// What the client has is current.
    NotModified,
}

/// What an answer holds.
#[derive(Clone, Debug)]
pub enum ReplyContent {
    /// Nothing.
    Nothing,
    /// A resource as JSON text.
    Json(Vec<u8>),
    /// An OperationOutcome.
    Outcome(Vec<Issue>),
    /// The content of a Binary as it is.
    Raw {
        /// `Binary.contentType`.
        content_type: String,
        /// The decoded `Binary.data`.
        bytes: Vec<u8>,
        /// `Binary.securityContext.reference`.
        security_context: Option<String>,
    },
}

/// The answer to a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// What happened.
    pub effect: Effect,
    /// The answer's content.
    pub content: ReplyContent,
    /// Version id of the resource (ETag).
    pub version: Option<u64>,
    /// When that version was made (Last-Modified).
    pub last_updated: Option<Timestamp>,
    /// `Patient/1/_history/1`, relative to the base, for the Location header.
    pub location: Option<String>,
}

impl Reply {
    /// An answer that is not about one version of one resource.
    pub fn of(effect: Effect, content: ReplyContent) -> Self {
        Reply { effect, content, version: None, last_updated: None, location: None }
    }
}
