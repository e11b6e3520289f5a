//! What a grant is made of, as it is stored: the policy of the role, the Consents of patients, and where the user
//! works. Looked up when a principal comes for the first time, and again after any of it was changed.

use crate::access::{Asker, CLIENT, Circumstances, Consents, Grant, Policy, Principal, ScopeContext, Within};
use crate::audit::Event;
use crate::base::{Failure, FailureKind, IssueCode, ResourceId, TenantId};
use crate::definitions::TypeId;
use crate::index::{Condition, reference_term};
use crate::interaction::{Context, Service, outcome};
use crate::json::Tree;
use crate::store::{Budget, ItemExpect, ItemWrite, Query, Snapshot, Transaction};
use std::sync::Arc;

/// The collection of the policies that an administrator wrote.
pub(in crate::interaction) const POLICIES: &str = "policy";

/// Most resources of one sort that a grant is made of.
const MOST: usize = 20_000;

/// Makes the grant of a principal.
pub(super) async fn grant(service: &Service, principal: &Arc<Principal>) -> Result<Grant, Failure> {
    let name = principal.role.map_or(CLIENT, |role| role.code());
    let policy = service.policy(principal.tenant, name).await?;
    let snapshot = service.gate.store.snapshot(principal.tenant).await.map_err(outcome::of_store)?;
    let needs_team = policy.rules.iter().any(|rule| rule.within == Within::CareTeam);
    let care_team = if needs_team { care_team(service, &*snapshot, principal).await? } else { Vec::new() };
    let consents = consents(service, &*snapshot, principal).await?;
    let circumstances = Circumstances { principal: principal.clone(), policy, care_team, consents };
    Ok(Grant::new(service.search_definitions(), service.extractor.clone(), circumstances))
}

impl Service {
    /// The policy of a name: the one that an administrator wrote, or the standard one.
    pub(crate) async fn policy(&self, tenant: TenantId, name: &str) -> Result<Policy, Failure> {
        let item = self.gate.store.item(tenant, POLICIES, name).await.map_err(outcome::of_store)?;
        match item {
            Some(item) => {
                let tree = Tree::parse(&item.value).map_err(Failure::internal)?;
                Policy::parse(&tree, &self.definitions).map_err(Failure::internal)
            }
            None => Policy::standard(name, &self.definitions)
                .ok_or_else(|| Failure::not_found("there is no policy of this name")),
        }
    }

    /// Writes a policy, and tells the audit trail of it in the same commit. Holds from the next request on.
    pub(crate) async fn set_policy(&self, context: &Context, policy: &Policy) -> Result<(), Failure> {
        let value = policy.to_tree(&self.definitions).to_json().into_bytes();
        let write = ItemWrite {
            collection: POLICIES,
            key: policy.role.clone(),
            expect: ItemExpect::Any,
            value: Some(value),
            expires: None,
        };
        let event = Event::interaction("operation").detail("operation", "$access-policy").detail("role", &policy.role);
        let audit = self.audit_records(context, [event]);
        let transaction = Transaction { items: vec![write], audit, ..Transaction::default() };
        self.commit_recorded(context, transaction).await.map_err(outcome::of_store)?;
        self.gate.changed();
        Ok(())
    }
}

/// The current resources of a type that fulfil a condition.
async fn all(
    service: &Service,
    snapshot: &dyn Snapshot,
    kind: TypeId,
    condition: Condition,
) -> Result<Vec<Tree>, Failure> {
    let query = Query {
        kinds: vec![kind],
        condition,
        sort: Vec::new(),
        after: None,
        skip: 0,
        limit: MOST + 1,
        total: false,
        budget: Budget::default(),
    };
    let rows = snapshot.search(&query).await.map_err(outcome::of_store)?.rows;
    if rows.len() > MOST {
        return Err(Failure::new(
            FailureKind::Unavailable,
            IssueCode::TooCostly,
            format!("there are more than {MOST} {} to decide by", service.definitions.name(kind)),
        ));
    }
    let name = service.definitions.name(kind);
    rows.iter().filter_map(|v| v.to_json(name)).map(|json| Tree::parse(&json).map_err(Failure::internal)).collect()
}

/// The condition that a resource refers to something under a parameter.
fn refers(service: &Service, kind: TypeId, code: &str, target: &str, id: &ResourceId) -> Condition {
    match service.definitions.search_parameter(kind, code) {
        Some(p) => Condition::Term(reference_term(p.number, target, id.as_str())),
        None => Condition::Nothing,
    }
}

fn reference<'t>(tree: &'t Tree, name: &str) -> Option<&'t str> {
    tree.get(name)?.get("reference")?.as_str()
}

/// The patients in whose active CareTeam the user takes part.
async fn care_team(
    service: &Service,
    snapshot: &dyn Snapshot,
    principal: &Principal,
) -> Result<Vec<ResourceId>, Failure> {
    let (Some(user), Some(kind)) = (&principal.user, service.definitions.resource("CareTeam")) else {
        return Ok(Vec::new());
    };
    let name = service.definitions.name(user.kind);
    let teams = all(service, snapshot, kind, refers(service, kind, "participant", name, &user.id)).await?;
    let active = teams.iter().filter(|team| team.get("status").and_then(Tree::as_str) == Some("active"));
    let patient = |team: &Tree| ResourceId::new(reference(team, "subject")?.strip_prefix("Patient/")?);
    Ok(active.filter_map(patient).collect())
}

/// What the Consents deny to the principal. Patients do not deny themselves.
async fn consents(service: &Service, snapshot: &dyn Snapshot, principal: &Principal) -> Result<Consents, Failure> {
    let definitions = &service.definitions;
    let mut consents = Consents::default();
    let Some(kind) = definitions.resource("Consent") else { return Ok(consents) };
    let user = principal.user.as_ref();
    if user.is_some_and(|user| definitions.name(user.kind) == "Patient") {
        return Ok(consents);
    }
    // Whoever sees one patient only has to know only what this one says.
    let scopes = &principal.scopes.clinical;
    let one = principal.patient.as_ref().filter(|_| scopes.iter().all(|s| s.context == ScopeContext::Patient));
    let condition = one.map_or(Condition::Everything, |id| refers(service, kind, "patient", "Patient", id));
    let found = all(service, snapshot, kind, condition).await?;
    if found.is_empty() {
        return Ok(consents);
    }
    let others = workplaces(service, snapshot, principal).await?;
    let asker = Asker::new(principal, definitions, others, service.clock.now());
    for consent in &found {
        consents.add(consent, definitions, &asker);
    }
    Ok(consents)
}

/// The roles of a practitioner and the organizations that they are for, as references.
async fn workplaces(service: &Service, snapshot: &dyn Snapshot, principal: &Principal) -> Result<Vec<String>, Failure> {
    let definitions = &service.definitions;
    let (Some(user), Some(kind)) = (&principal.user, definitions.resource("PractitionerRole")) else {
        return Ok(Vec::new());
    };
    let condition = match definitions.name(user.kind) {
        "Practitioner" => refers(service, kind, "practitioner", "Practitioner", &user.id),
        "PractitionerRole" => match definitions.search_parameter(kind, "_id") {
            Some(p) => Condition::Term(crate::index::id_term(p.number, user.id.as_str())),
            None => return Ok(Vec::new()),
        },
        _ => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    for role in all(service, snapshot, kind, condition).await? {
        let id = role.get("id").and_then(Tree::as_str);
        found.extend(id.map(|id| format!("PractitionerRole/{id}")));
        found.extend(
            ["practitioner", "organization"].iter().filter_map(|name| reference(&role, name)).map(str::to_owned),
        );
    }
    Ok(found)
}
