//! The service: what answers every interaction. Holds the store, the definitions and the settings, and leads each
//! request to the file that knows its interaction. Knows no HTTP.

use super::{Context, Interaction, Reply, Request, route};
use crate::base::{Clock, Failure, FailureKind, IdSource, IssueCode};
use crate::definitions::Definitions;
use crate::json::Limits;
use crate::store::Store;
use std::sync::Arc;

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether resources are validated when they are written.
    pub validation: bool,
    /// Whether an update of an id that was never there creates the resource (`rest.resource.updateCreate`).
    pub update_create: bool,
    /// Whether a conditional delete may delete several resources (`rest.resource.conditionalDelete`).
    pub delete_multiple: bool,
    /// Most entries of a batch or transaction.
    pub max_entries: usize,
    /// Entries of a page where the client does not say (`_count`).
    pub page: usize,
    /// Most entries of a page.
    pub max_page: usize,
    /// Most included resources on a page.
    pub max_includes: usize,
    /// What the JSON reader accepts.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            validation: true,
            update_create: true,
            delete_multiple: false,
            max_entries: 10_000,
            page: 50,
            max_page: 1_000,
            max_includes: 1_000,
            limits: Limits::default(),
        }
    }
}

/// Answers interactions.
pub struct Service {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: Settings,
}

impl Service {
    /// A service over a store.
    pub fn new(
        store: Arc<dyn Store>,
        definitions: Arc<Definitions>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: Settings,
    ) -> Self {
        Service { store, definitions, clock, ids, settings }
    }

    /// Answers a request.
    pub async fn perform(&self, context: &Context, request: Request) -> Result<Reply, Failure> {
        let interaction = route::find(&self.definitions, request.verb, &request.path)?;
        let _ = context;
        match interaction {
            Interaction::Capabilities => Err(not_yet()),
            _ => Err(not_yet()),
        }
    }
}

fn not_yet() -> Failure {
    Failure::new(FailureKind::NotSupported, IssueCode::NotSupported, "not served yet")
}
