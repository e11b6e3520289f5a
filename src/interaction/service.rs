//! The service: what answers every interaction. Holds the store, the definitions and the settings, and leads each
//! request to the file that knows its interaction. Knows no HTTP.

use super::gate::Gate;
use super::{
    Context, Interaction, Reply, Request, bundle, capabilities, create, delete, entry, history, patch, read, route,
    search, update,
};
use crate::audit::Level;
use crate::base::{Clock, Failure, IdSource};
use crate::definitions::Definitions;
use crate::index::Extractor;
use crate::json::Limits;
use crate::operation;
use crate::store::{Budget, HistoryScope, Store};
use crate::validation::Validator;
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Duration;

/// How resources are validated when they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Not at all.
    Off,
    /// Against the base definitions.
    Structure,
    /// Against the base definitions, extensions, codes, and every declared profile.
    Full,
}

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How resources are validated when they are written.
    pub validation: Policy,
    /// Whether a resource that declares a profile which is not known here is refused.
    pub refuse_unknown_profiles: bool,
    /// The base of an outside terminology server, which is asked for what is not held here.
    pub terminology_server: Option<String>,
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
    /// How long the searches of one request may take.
    pub query_time: Duration,
    /// Rows that the searches of one request may look at.
    pub query_rows: u64,
    /// What the JSON reader accepts.
    pub limits: Limits,
    /// Whether there is an authorization server in front, which the CapabilityStatement then names.
    pub smart: bool,
    /// The outside authorization server that issues the tokens, which the CapabilityStatement then names instead.
    pub issuer: Option<String>,
    /// How much the audit trail records.
    pub audit: Level,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            validation: Policy::Full,
            refuse_unknown_profiles: false,
            terminology_server: None,
            update_create: true,
            delete_multiple: false,
            max_entries: 10_000,
            page: 50,
            max_page: 1_000,
            max_includes: 1_000,
            query_time: Duration::from_secs(30),
            query_rows: 200_000_000,
            limits: Limits::default(),
            smart: false,
            issuer: None,
            audit: Level::Off,
        }
    }
}

/// Answers interactions.
pub struct Service {
    pub(super) gate: Gate,
    pub(crate) definitions: Arc<Definitions>,
    pub(crate) extractor: Arc<Extractor>,
    pub(super) validator: RwLock<Arc<Validator>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: Settings,
    pub(crate) statements: capabilities::Statements,
    pub(crate) terminology: super::terminology::Terminology,
    pub(super) stored: super::conformance::Stored,
    pub(super) parameters: super::search_parameters::Parameters,
    pub(crate) outside: super::outside::Outside,
}

impl Service {
    /// A service over a store.
    pub fn new(
        store: Arc<dyn Store>,
        definitions: Arc<Definitions>,
        extractor: Arc<Extractor>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: Settings,
    ) -> Self {
        let validator = RwLock::new(Arc::new(Validator::new(definitions.clone())));
        let statements = capabilities::Statements::default();
        let terminology = super::terminology::Terminology::default();
        let parameters = super::search_parameters::Parameters::default();
        let gate = Gate::new(store, &definitions);
        let stored = super::conformance::Stored::default();
        let outside = super::outside::Outside::new(settings.terminology_server.as_deref());
        Service {
            gate,
            definitions,
            extractor,
            validator,
            clock,
            ids,
            settings,
            statements,
            terminology,
            parameters,
            stored,
            outside,
        }
    }

    /// Answers a request.
    pub async fn perform(&self, context: &Context, request: Request) -> Result<Reply, Failure> {
        let interaction = route::find(&self.definitions, request.verb, &request.path)?;
        match &interaction {
            Interaction::Bundle => {
                let done = bundle::perform(self, context, &request).await;
                self.record_bundle(context, &done).await?;
                done
            }
            _ => self.perform_one(context, &request, interaction).await,
        }
    }

    /// Answers a request that is no batch or transaction: the entries of those come here.
    pub(crate) async fn perform_one(
        &self,
        context: &Context,
        request: &Request,
        interaction: Interaction,
    ) -> Result<Reply, Failure> {
        self.perform_recorded(context, request, interaction).await
    }

    /// The same without a word to the audit trail.
    pub(super) async fn perform_plain(
        &self,
        context: &Context,
        request: &Request,
        interaction: Interaction,
    ) -> Result<Reply, Failure> {
        let request = &*self.admit(context, request, &interaction).await?;
        match interaction {
            Interaction::Bundle => Err(entry::nested()),
            Interaction::Capabilities => capabilities::perform(self, context, request),
            Interaction::Read { kind, id } => read::perform(self, context, request, kind, &id).await,
            Interaction::VersionRead { kind, id, version } => {
                read::perform_version(self, context, request, kind, &id, &version).await
            }
            Interaction::Create { kind } => create::perform(self, context, request, kind).await,
            Interaction::Update { kind, id } => update::perform(self, context, request, kind, id).await,
            Interaction::ConditionalUpdate { kind } => update::perform_conditional(self, context, request, kind).await,
            Interaction::Patch { kind, id } => {
                patch::perform(self, context, request, kind, patch::Target::Id(id)).await
            }
            Interaction::ConditionalPatch { kind } => {
                patch::perform(self, context, request, kind, patch::Target::Criteria).await
            }
            Interaction::Delete { kind, id } => delete::perform(self, context, request, kind, id).await,
            Interaction::ConditionalDelete { kind } => delete::perform_conditional(self, context, request, kind).await,
            Interaction::HistoryInstance { kind, id } => {
                history::perform(self, context, request, HistoryScope::Instance(kind, id)).await
            }
            Interaction::HistoryType { kind } => {
                history::perform(self, context, request, HistoryScope::Type(kind)).await
            }
            Interaction::HistorySystem => history::perform(self, context, request, HistoryScope::System).await,
            Interaction::SearchType { .. } | Interaction::SearchSystem | Interaction::SearchCompartment { .. } => {
                search::perform(self, context, request, &interaction).await
            }
            Interaction::Operation { name, kind, id } => {
                operation::perform(self, context, request, &name, kind, id).await
            }
        }
    }

    /// What the searches of one request may cost.
    pub fn budget(&self) -> Budget {
        Budget::new(Some(self.settings.query_time), Some(self.settings.query_rows))
    }
}
