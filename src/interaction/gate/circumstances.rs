//! What a grant is made of, as it is stored: the policy of the role, the Consents of patients, where the user works,
//! and whose relative it is. Looked up when a principal comes for the first time, and again after any of it was
//! changed. The Consents of all patients are kept in `consents`.

use super::consents::too_many;
use crate::access::{
    Asker, CLIENT, Circumstances, Consents, Grant, Policy, Principal, ScopeContext, Statement, UserReference, Within,
};
use crate::audit::Event;
use crate::base::{Failure, FailureKind, IssueCode, ResourceId, TenantId, Timestamp};
use crate::definitions::TypeId;
use crate::index::criteria::{self, SystemMatch};
use crate::index::{Condition, reference_term};
use crate::interaction::{Context, Service, outcome};
use crate::json::Tree;
use crate::primitive::DateTime;
use crate::store::{Budget, ItemExpect, ItemWrite, Query, Snapshot, Transaction, Version};
use std::sync::Arc;

/// The collection of the policies that an administrator wrote.
pub(in crate::interaction) const POLICIES: &str = "policy";

/// Most resources of one sort that concern one user.
const MOST: usize = 20_000;
/// Resources that are read at once.
pub(super) const PAGE: usize = 500;

/// Resources by type and id.
type Named = Vec<(TypeId, ResourceId)>;

/// Makes the grant of a principal.
pub(super) async fn grant(service: &Service, principal: &Arc<Principal>) -> Result<Grant, Failure> {
    let name = principal.role.map_or(CLIENT, |role| role.code());
    let policy = service.policy(principal.tenant, name).await?;
    let snapshot = service.gate.store.snapshot(principal.tenant).await.map_err(outcome::of_store)?;
    let needs_team = policy.rules.iter().any(|rule| rule.within == Within::CareTeam);
    let care_team = if needs_team { care_team(service, &*snapshot, principal).await? } else { Vec::new() };
    let consents = consents(service, &*snapshot, principal).await?;
    let own = match &principal.user {
        Some(user) => own(service, &*snapshot, user, principal.patient.as_ref()).await?,
        None => Own::default(),
    };
    let circumstances = Circumstances {
        principal: principal.clone(),
        policy,
        care_team,
        consents,
        own: own.patient,
        own_until: own.until,
    };
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
) -> Result<Vec<Version>, Failure> {
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
        let why = format!("more than {MOST} {} are about this user or patient", service.definitions.name(kind));
        return Err(Failure::new(FailureKind::Unavailable, IssueCode::TooCostly, why));
    }
    Ok(rows)
}

fn tree(service: &Service, version: &Version) -> Result<Option<Tree>, Failure> {
    let json = version.to_json(service.definitions.name(version.kind));
    json.map(|json| Tree::parse(&json).map_err(Failure::internal)).transpose()
}

/// The same as trees.
async fn all_trees(
    service: &Service,
    snapshot: &dyn Snapshot,
    kind: TypeId,
    condition: Condition,
) -> Result<Vec<Tree>, Failure> {
    let found = all(service, snapshot, kind, condition).await?;
    found.iter().filter_map(|version| tree(service, version).transpose()).collect()
}

/// The condition that a resource refers to something under a parameter.
fn refers(service: &Service, kind: TypeId, code: &str, target: &str, id: &ResourceId) -> Condition {
    match service.definitions.search_parameter(kind, code) {
        Some(p) => Condition::Term(reference_term(p.number, target, id.as_str())),
        None => Condition::Nothing,
    }
}

/// The condition that the status is active.
pub(super) fn active(service: &Service, kind: TypeId) -> Condition {
    match service.definitions.search_parameter(kind, "status") {
        Some(p) => criteria::token(p, SystemMatch::Any, Some("active")),
        None => Condition::Everything,
    }
}

/// The resource of this server that an element refers to.
fn reference(service: &Service, tree: &Tree, name: &str) -> Option<(TypeId, ResourceId)> {
    service.extractor.local(tree.get(name)?.get("reference")?.as_str()?)
}

/// The same, if it is a Patient.
fn patient(service: &Service, tree: &Tree, name: &str) -> Option<ResourceId> {
    let (kind, id) = reference(service, tree, name)?;
    (service.definitions.name(kind) == "Patient").then_some(id)
}

fn status(tree: &Tree) -> Option<&str> {
    tree.get("status").and_then(Tree::as_str)
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
    let teams = all_trees(service, snapshot, kind, refers(service, kind, "participant", name, &user.id)).await?;
    let active = teams.iter().filter(|team| status(team) == Some("active"));
    Ok(active.filter_map(|team| patient(service, team, "subject")).collect())
}

/// The patient whose own data a user may see, and until when that is known.
#[derive(Default)]
struct Own {
    patient: Option<ResourceId>,
    until: Option<Timestamp>,
}

/// The patient that a user is, or whose relative it is by the stored RelatedPerson. Where none is stored (the users of
/// an outside issuer), the launch says whose.
async fn own(
    service: &Service,
    snapshot: &dyn Snapshot,
    user: &UserReference,
    launched: Option<&ResourceId>,
) -> Result<Own, Failure> {
    match service.definitions.name(user.kind) {
        "Patient" => return Ok(Own { patient: Some(user.id.clone()), until: None }),
        "RelatedPerson" => {}
        _ => return Ok(Own::default()),
    }
    let stored = snapshot.read(user.kind, &user.id).await.map_err(outcome::of_store)?;
    let Some(stored) = stored else { return Ok(Own { patient: launched.cloned(), until: None }) };
    let Some(person) = tree(service, &stored)? else { return Ok(Own::default()) };
    let now = service.clock.now();
    let bound = |name: &str| DateTime::parse(person.get("period")?.get(name)?.as_str()?);
    let (start, end) = (bound("start").map(|d| Timestamp(d.start())), bound("end").map(|d| Timestamp(d.end())));
    let is = start.is_none_or(|start| start <= now) && end.is_none_or(|end| now < end);
    let is = is && !matches!(person.get("active"), Some(Tree::Bool(false)));
    Ok(Own {
        patient: patient(service, &person, "patient").filter(|_| is),
        until: [start, end].into_iter().flatten().filter(|moment| *moment > now).min(),
    })
}

impl Service {
    /// Type and id of the resource of this server that a reference by its text points to.
    pub fn local(&self, reference: &str) -> Option<(String, String)> {
        let (kind, id) = self.extractor.local(reference)?;
        Some((self.definitions.name(kind).to_owned(), id.as_str().to_owned()))
    }

    /// The patient that a user is, or whose relative it is by what is stored.
    pub async fn own_patient(&self, tenant: TenantId, user: &UserReference) -> Result<Option<ResourceId>, Failure> {
        let snapshot = self.gate.store.snapshot(tenant).await.map_err(outcome::of_store)?;
        Ok(own(self, &*snapshot, user, None).await?.patient)
    }
}

/// What the Consents deny to the principal. Patients do not deny themselves.
async fn consents(service: &Service, snapshot: &dyn Snapshot, principal: &Principal) -> Result<Consents, Failure> {
    let Some(kind) = service.definitions.resource("Consent") else { return Ok(Consents::default()) };
    // Whoever sees one patient only has to know only what this one says.
    let scopes = &principal.scopes.clinical;
    let one = principal.patient.as_ref().filter(|_| scopes.iter().all(|s| s.context == ScopeContext::Patient));
    let (mut statements, mut book) = (Vec::new(), None);
    match one {
        Some(id) => {
            let condition = Condition::all([refers(service, kind, "patient", "Patient", id), active(service, kind)]);
            let found = all(service, snapshot, kind, condition).await?;
            let read = found.iter().filter_map(|version| service.consent_of(version).transpose());
            statements = read.collect::<Result<Vec<Arc<Statement>>, Failure>>()?;
        }
        None => book = Some(service.consents(principal.tenant, snapshot, kind).await?),
    }
    if book.as_ref().map_or(statements.is_empty(), |book| book.is_empty()) {
        return Ok(Consents::default());
    }
    let (actors, perhaps) = meant(service, snapshot, principal).await?;
    if let Some(book) = book {
        let itself = principal.user.as_ref().map(|user| (user.kind, user.id.clone()));
        statements = book.concerning(itself.iter().chain(&actors).chain(&perhaps));
    }
    let asker = Asker::new(principal, &service.definitions, actors, perhaps, service.clock.now());
    let consents = Consents::new(statements, asker);
    match consents.patients() > service.gate.consents.most {
        true => Err(too_many(service.gate.consents.most)),
        false => Ok(consents),
    }
}

/// What means a user beside itself: roles, the organizations that they are for, active teams; and what may mean it:
/// roles and teams that are not active, groups.
async fn meant(service: &Service, snapshot: &dyn Snapshot, principal: &Principal) -> Result<(Named, Named), Failure> {
    let definitions = &service.definitions;
    let (mut actors, mut perhaps) = (Named::new(), Named::new());
    let Some(user) = &principal.user else { return Ok((actors, perhaps)) };
    if let Some(kind) = definitions.resource("PractitionerRole") {
        let condition = match definitions.name(user.kind) {
            "Practitioner" => refers(service, kind, "practitioner", "Practitioner", &user.id),
            "PractitionerRole" => match definitions.search_parameter(kind, "_id") {
                Some(p) => Condition::Term(crate::index::id_term(p.number, user.id.as_str())),
                None => Condition::Nothing,
            },
            _ => Condition::Nothing,
        };
        let roles = if condition == Condition::Nothing {
            Vec::new()
        } else {
            all_trees(service, snapshot, kind, condition).await?
        };
        for role in roles {
            let id = role.get("id").and_then(Tree::as_str).and_then(ResourceId::new);
            let others = ["practitioner", "organization"].iter().filter_map(|name| reference(service, &role, name));
            let found = id.map(|id| (kind, id)).into_iter().chain(others);
            let over = matches!(role.get("active"), Some(Tree::Bool(false)));
            if over { perhaps.extend(found) } else { actors.extend(found) }
        }
    }
    let all_of_them = || actors.iter().chain(&perhaps).map(|(kind, id)| (*kind, id)).chain([(user.kind, &user.id)]);
    let member = |kind: TypeId, code: &str| {
        Condition::any(all_of_them().map(|(of, id)| refers(service, kind, code, definitions.name(of), id)))
    };
    let mut found = Vec::new();
    for (name, code) in [("CareTeam", "participant"), ("Group", "member")] {
        let Some(kind) = definitions.resource(name) else { continue };
        for of in all_trees(service, snapshot, kind, member(kind, code)).await? {
            let sure = name == "CareTeam" && status(&of) == Some("active");
            let id = of.get("id").and_then(Tree::as_str).and_then(ResourceId::new);
            found.extend(id.map(|id| (sure, (kind, id))));
        }
    }
    for (sure, named) in found {
        if sure { actors.push(named) } else { perhaps.push(named) }
    }
    Ok((actors, perhaps))
}
