//! Whether an interaction may be asked at all: decided before it runs, by what was granted and the address alone, so
//! that the answer is the same whatever is stored. What it then finds is a matter of the view.

use super::{forbidden, refused};
use crate::access::{Action, Grant, Role, ScopeContext};
use crate::base::{Failure, ResourceId};
use crate::definitions::TypeId;
use crate::interaction::{Context, Interaction, Request, Return, Service, Verb, outcome};
use crate::operation;
use std::borrow::Cow;

impl Service {
    /// Refuses what may not be asked; gives the request as it is carried out.
    pub(crate) async fn admit<'r>(
        &self,
        context: &Context,
        request: &'r Request,
        interaction: &Interaction,
    ) -> Result<Cow<'r, Request>, Failure> {
        let Some(grant) = self.grant(context).await? else { return Ok(Cow::Borrowed(request)) };
        self.allowed(&grant, request, interaction)?;
        if let Interaction::SearchCompartment { compartment, id, .. } = interaction {
            self.owner_is_seen(context, &grant, *compartment, id).await?;
        }
        Ok(self.quiet(&grant, request, interaction))
    }

    /// Whether the rights suffice.
    pub(crate) fn allowed(&self, grant: &Grant, request: &Request, interaction: &Interaction) -> Result<(), Failure> {
        let needs = |kind: TypeId, action: Action| {
            if grant.allows(kind, action) { Ok(()) } else { Err(forbidden(action, self.definitions.name(kind))) }
        };
        match interaction {
            // The entries of a Bundle are judged one by one.
            Interaction::Capabilities | Interaction::Bundle => Ok(()),
            Interaction::Read { kind, .. }
            | Interaction::VersionRead { kind, .. }
            | Interaction::HistoryInstance { kind, .. } => needs(*kind, Action::Read),
            Interaction::SearchType { kind } | Interaction::HistoryType { kind } => needs(*kind, Action::Search),
            Interaction::SearchCompartment { kind: Some(kind), .. } => needs(*kind, Action::Search),
            Interaction::SearchSystem | Interaction::HistorySystem | Interaction::SearchCompartment { .. } => {
                self.some(grant, Action::Search)
            }
            Interaction::Create { kind } => {
                let conditional = request.preconditions.if_none_exist.is_some() || !request.query.is_empty();
                needs(*kind, Action::Create)?;
                if conditional { needs(*kind, Action::Search) } else { Ok(()) }
            }
            // Whether it creates or updates is not known yet; the commit is judged by what it does.
            Interaction::Update { kind, .. } => {
                needs(*kind, Action::Update).or_else(|failure| needs(*kind, Action::Create).map_err(|_| failure))
            }
            Interaction::ConditionalUpdate { kind } => {
                needs(*kind, Action::Search)?;
                needs(*kind, Action::Update).or_else(|failure| needs(*kind, Action::Create).map_err(|_| failure))
            }
            // A patch tells what is there: by a test that fails, and by the answer.
            Interaction::Patch { kind, .. } => {
                needs(*kind, Action::Update)?;
                needs(*kind, Action::Read)
            }
            Interaction::ConditionalPatch { kind } => {
                needs(*kind, Action::Search)?;
                needs(*kind, Action::Update)?;
                needs(*kind, Action::Read)
            }
            Interaction::Delete { kind, .. } => needs(*kind, Action::Delete),
            Interaction::ConditionalDelete { kind } => {
                needs(*kind, Action::Search)?;
                needs(*kind, Action::Delete)
            }
            Interaction::Operation { name, kind, id } => self.operation_allowed(grant, name, *kind, id.as_ref()),
        }
    }

    /// Whether there is any type that this may be done with.
    fn some(&self, grant: &Grant, action: Action) -> Result<(), Failure> {
        if self.definitions.resources.iter().any(|kind| grant.allows(*kind, action)) {
            return Ok(());
        }
        Err(refused(format!("what was granted does not allow this on any type (the right '{}')", action.letter())))
    }

    /// Operations see what the caller sees, whatever they do; here is only asked whether they may be called.
    fn operation_allowed(
        &self,
        grant: &Grant,
        name: &str,
        kind: Option<TypeId>,
        id: Option<&ResourceId>,
    ) -> Result<(), Failure> {
        let needs = |kind: TypeId, action: Action| {
            if grant.allows(kind, action) { Ok(()) } else { Err(forbidden(action, self.definitions.name(kind))) }
        };
        if operation::for_administrators(name) {
            return match grant.principal().role {
                Some(Role::Administrator) if grant.principal().scopes.has_context(ScopeContext::User) => Ok(()),
                _ => Err(refused("only administrators may do this")),
            };
        }
        let Some(kind) = kind else { return Ok(()) };
        if operation::affects_state(name) {
            needs(kind, Action::Update)?;
            return needs(kind, Action::Read);
        }
        match (name, id) {
            ("meta", None) => needs(kind, Action::Search),
            // What is validated is what the caller sends.
            ("validate", None) => Ok(()),
            _ => needs(kind, Action::Read),
        }
    }

    /// Whoever sees only some of the resources that open a compartment can only name those.
    async fn owner_is_seen(
        &self,
        context: &Context,
        grant: &Grant,
        compartment: TypeId,
        id: &ResourceId,
    ) -> Result<(), Failure> {
        let name = self.definitions.name(compartment);
        let principal = grant.principal();
        if name == "Patient" && principal.patient.as_ref() == Some(id) {
            return Ok(());
        }
        let unknown = || Failure::not_found(format!("there is no {name}/{id}"));
        if grant.allows(compartment, Action::Read) {
            if !grant.is_bound(compartment, Action::Read) {
                return Ok(());
            }
            let seen = self.snapshot(context).await?.read(compartment, id).await.map_err(outcome::of_store)?;
            return seen.map(|_| ()).ok_or_else(unknown);
        }
        // Without the right to read it: those of everybody are reached by reference as well, those of one patient not.
        if principal.scopes.has_context(ScopeContext::Patient) { Err(unknown()) } else { Ok(()) }
    }

    /// How a search is answered tells how much there is of what may not be seen: only for administrators.
    pub(crate) fn may_explain(&self, context: &Context) -> Result<(), Failure> {
        match context.caller.principal().map(|principal| principal.role) {
            None | Some(Some(Role::Administrator)) => Ok(()),
            Some(_) => Err(refused("'_explain' is for administrators")),
        }
    }

    /// Whoever may write but not read is not shown what was written.
    fn quiet<'r>(&self, grant: &Grant, request: &'r Request, interaction: &Interaction) -> Cow<'r, Request> {
        let kind = match interaction {
            Interaction::Create { kind }
            | Interaction::Update { kind, .. }
            | Interaction::ConditionalUpdate { kind }
            | Interaction::Patch { kind, .. }
            | Interaction::ConditionalPatch { kind } => *kind,
            _ => return Cow::Borrowed(request),
        };
        let shows = request.prefer.returns.unwrap_or_default() == Return::Representation;
        if !shows || grant.allows(kind, Action::Read) || matches!(request.verb, Verb::Get | Verb::Head) {
            return Cow::Borrowed(request);
        }
        let mut quiet = request.clone();
        quiet.prefer.returns = Some(Return::Minimal);
        Cow::Owned(quiet)
    }
}
