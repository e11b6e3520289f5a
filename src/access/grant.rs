//! The grant: what a principal may do with each resource type, and with which resources of it. Made of the scopes of
//! the token, the policy of the role, the labels and the Consents; all of them must allow what is done. Compiled type
//! by type when it is first asked. Reads nothing from a store: whoever makes it brings what has to be known.

use super::consent::Consents;
use super::field::Hidden;
use super::label::GUARDED;
use super::policy::{Policy, PolicyRule, Within};
use super::reach::{Reach, reach};
use super::rule::{Restriction, Rule};
use super::{Action, ClinicalScope, Principal, Role, ScopeContext};
use crate::base::ResourceId;
use crate::definitions::{Definitions, TypeId};
use crate::index::{Condition, Extractor};
use crate::search;
use std::sync::{Arc, OnceLock};

/// What has to be known to decide.
pub struct Circumstances {
    /// Who asks.
    pub principal: Arc<Principal>,
    /// The policy of the role.
    pub policy: Policy,
    /// The patients in whose active CareTeam the user takes part; only asked for if the policy speaks of them.
    pub care_team: Vec<ResourceId>,
    /// What the Consents of patients deny to this principal.
    pub consents: Consents,
    /// The patient whose own data the user may see: itself, or the one whose relative it is.
    pub own: Option<ResourceId>,
    /// When that has to be looked at again.
    pub own_until: Option<crate::base::Timestamp>,
}

/// What may be done with the resources of a type.
pub enum Access {
    /// Nothing.
    Denied,
    /// It may be done with every one.
    Everything,
    /// It may be done with those inside.
    Within(Box<Restriction>),
}

/// What a principal may do.
pub struct Grant {
    definitions: Arc<Definitions>,
    extractor: Arc<Extractor>,
    circumstances: Circumstances,
    kinds: Vec<OnceLock<Kind>>,
}

/// All that is compiled for a type.
struct Kind {
    access: [Access; 5],
    /// Whether the scope or the policy, not only a label or a Consent, leaves some resources out.
    bound: [bool; 5],
    hidden: Option<Hidden>,
}

impl Grant {
    /// A grant; nothing is compiled yet.
    pub fn new(definitions: Arc<Definitions>, extractor: Arc<Extractor>, circumstances: Circumstances) -> Grant {
        let kinds = definitions.structures.iter().map(|_| OnceLock::new()).collect();
        Grant { definitions, extractor, circumstances, kinds }
    }

    /// Whose it is.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.circumstances.principal
    }

    /// The policy that it is made of.
    pub fn policy(&self) -> &Policy {
        &self.circumstances.policy
    }

    /// When what it is made of has to be looked at again, if that is before any of it is changed.
    pub fn valid_until(&self) -> Option<crate::base::Timestamp> {
        let Circumstances { consents, own_until, .. } = &self.circumstances;
        [consents.valid_until, *own_until].into_iter().flatten().min()
    }

    /// What extracts the terms that are judged.
    pub fn extractor(&self) -> &Extractor {
        &self.extractor
    }

    /// What may be done.
    pub fn access(&self, kind: TypeId, action: Action) -> &Access {
        self.kind(kind).map_or(&Access::Denied, |of| of.access.get(action as usize).unwrap_or(&Access::Denied))
    }

    /// Whether anything may be done of this sort with the type.
    pub fn allows(&self, kind: TypeId, action: Action) -> bool {
        !matches!(self.access(kind, action), Access::Denied)
    }

    /// Whether the scope or the policy leaves out some resources of the type.
    pub fn is_bound(&self, kind: TypeId, action: Action) -> bool {
        self.kind(kind).is_none_or(|of| of.bound.get(action as usize).copied().unwrap_or(true))
    }

    /// The elements of a type that are hidden.
    pub fn hidden(&self, kind: TypeId) -> Option<&Hidden> {
        self.kind(kind)?.hidden.as_ref()
    }

    /// Whether guarded labels may be taken away.
    pub fn may_relabel(&self) -> bool {
        self.policy().relabel
    }

    /// Whether a Consent by which a patient denies something may be changed: by the patient and who stands for them, in an
    /// emergency, and where the policy says so.
    pub fn may_lift(&self, patient: &ResourceId) -> bool {
        self.policy().lift_consents || self.is_emergency() || self.circumstances.own.as_ref() == Some(patient)
    }

    /// Whether this is an emergency: a reason was stated, and the policy knows of emergencies.
    pub fn is_emergency(&self) -> bool {
        self.principal().break_glass.is_some() && self.policy().break_glass
    }

    /// The guarded labels that hide resources.
    pub fn hiding_labels(&self) -> Vec<String> {
        if self.is_emergency() {
            return Vec::new();
        }
        let shown = |code: &&str| !self.policy().labels.iter().any(|label| label == code);
        GUARDED.into_iter().filter(shown).map(str::to_owned).collect()
    }

    fn kind(&self, kind: TypeId) -> Option<&Kind> {
        let of = self.kinds.get(usize::from(kind.0))?;
        Some(of.get_or_init(|| self.compile(kind)))
    }

    fn compile(&self, kind: TypeId) -> Kind {
        let mut access = [const { Access::Denied }; 5];
        let mut bound = [true; 5];
        for (action, (access, bound)) in Action::ALL.into_iter().zip(access.iter_mut().zip(&mut bound)) {
            let (rule, of_some) = self.rule(kind, action);
            *bound = of_some;
            *access = match rule {
                rule if rule.is_nothing() => Access::Denied,
                rule if rule.is_everything() => Access::Everything,
                rule => {
                    let restriction = Restriction::new(rule, kind, &self.definitions, &self.extractor);
                    Access::Within(Box::new(restriction))
                }
            };
        }
        Kind { access, bound, hidden: Hidden::of(&self.definitions, kind, self.policy()) }
    }

    /// The rule for an action, and whether scope or policy leave something out.
    fn rule(&self, kind: TypeId, action: Action) -> (Rule, bool) {
        let name = self.definitions.name(kind);
        // The trail is written by the server, and never changed.
        if name == "AuditEvent" && matches!(action, Action::Update | Action::Delete) {
            return (Rule::nothing(), true);
        }
        let scopes = &self.circumstances.principal.scopes.clinical;
        let scopes = scopes.iter().filter(|s| s.kind.is_none_or(|of| of == kind) && s.rights.has(action));
        let by_scope = Rule::any(scopes.map(|scope| self.of_scope(scope, kind, action)));
        let rules = self.policy().rules.iter().filter(|rule| rule.allows(kind, name, action));
        let by_policy = Rule::any(rules.map(|rule| self.of_policy(rule, kind, action)));
        let granted = Rule::all([by_scope.0, by_policy.0]);
        let bound = by_scope.1 || by_policy.1 || !granted.is_everything();
        let granted = Rule::either([granted, self.user_itself(kind, action)]);
        (Rule::all([granted, self.by_label(kind), self.by_consent(kind, action)]), bound)
    }

    fn of_scope(&self, scope: &ClinicalScope, kind: TypeId, action: Action) -> (Rule, bool) {
        let Circumstances { principal, .. } = &self.circumstances;
        let (whose, bound) = match (scope.context, principal.role, &principal.patient) {
            (ScopeContext::Patient, _, Some(patient)) => (self.of_patients(kind, action, [patient.clone()]), true),
            (ScopeContext::User, Some(_), _) | (ScopeContext::System, None, _) => (Rule::everything(), false),
            // Without a patient, a role, or with a user where there should be none: nothing.
            _ => return (Rule::nothing(), true),
        };
        if scope.filters.is_empty() {
            return (whose, bound);
        }
        let query = search::encode(scope.filters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        // What cannot be enforced is not granted.
        let filter = criteria(&self.definitions, kind, &query).map_or_else(|_| Rule::nothing(), Rule::Criteria);
        (Rule::all([whose, filter]), bound)
    }

    fn of_policy(&self, rule: &PolicyRule, kind: TypeId, action: Action) -> (Rule, bool) {
        let (whose, bound) = match rule.within {
            Within::Everything => (Rule::everything(), false),
            Within::Own => (self.of_patients(kind, action, self.circumstances.own.clone()), true),
            Within::CareTeam => (self.of_patients(kind, action, self.circumstances.care_team.iter().cloned()), true),
        };
        match &rule.criteria {
            None => (whose, bound),
            Some(query) => {
                let filter = criteria(&self.definitions, kind, query).map_or_else(|_| Rule::nothing(), Rule::Criteria);
                (Rule::all([whose, filter]), bound)
            }
        }
    }

    /// The resource that is the user, which an app reads by the scope `fhirUser` and no other.
    fn user_itself(&self, kind: TypeId, action: Action) -> Rule {
        let Circumstances { principal, .. } = &self.circumstances;
        match &principal.user {
            Some(user) if user.kind == kind && action == Action::Read && principal.scopes.has_word("fhirUser") => {
                Rule::Itself([user.id.clone()].into_iter().collect())
            }
            _ => Rule::nothing(),
        }
    }

    /// What belongs to some patients.
    fn of_patients(&self, kind: TypeId, action: Action, patients: impl IntoIterator<Item = ResourceId>) -> Rule {
        let mut patients = patients.into_iter();
        let reads = matches!(action, Action::Read | Action::Search);
        match reach(&self.definitions, kind) {
            Reach::Itself => Rule::Itself(patients.collect()),
            Reach::Members(parameters) => Rule::Refers { parameters, patients: patients.collect() },
            Reach::Alone(parameter) => Rule::any(patients.map(|patient| (Rule::Only { parameter, patient }, true))).0,
            Reach::Universal if reads => Rule::everything(),
            // Whose a Binary is, its security context says, which the gate looks at; there is nothing to search by.
            Reach::Nothing if self.definitions.name(kind) == "Binary" && action != Action::Search => {
                if patients.next().is_some() { Rule::everything() } else { Rule::nothing() }
            }
            Reach::Universal | Reach::Nothing => Rule::nothing(),
        }
    }

    fn by_label(&self, kind: TypeId) -> Rule {
        let codes = self.hiding_labels();
        let labelled = self.definitions.search_parameter(kind, "_security").is_some() && !codes.is_empty();
        if labelled { Rule::Not(Box::new(Rule::Labelled(codes))) } else { Rule::everything() }
    }

    fn by_consent(&self, kind: TypeId, action: Action) -> Rule {
        let parameters = match reach(&self.definitions, kind) {
            Reach::Itself => None,
            Reach::Members(parameters) => Some(parameters),
            Reach::Alone(parameter) => Some(vec![parameter]),
            Reach::Universal | Reach::Nothing => return Rule::everything(),
        };
        // A Consent takes nothing of the trail from those who watch over it: least of all who came in against it.
        let watches = self.principal().role == Some(Role::Auditor) && self.definitions.name(kind) == "AuditEvent";
        if self.is_emergency() || watches {
            return Rule::everything();
        }
        let patients = self.circumstances.consents.denied(&self.definitions, kind, action);
        if patients.is_empty() {
            return Rule::everything();
        }
        Rule::Not(Box::new(Rule::OfPatients { parameters, patients }))
    }
}

/// The condition of search criteria in a scope or policy. What asks of other resources is refused: it could not be
/// judged on one resource alone.
pub(super) fn criteria(definitions: &Definitions, kind: TypeId, query: &str) -> Result<Condition, String> {
    let options = search::Options::default();
    let condition = search::criteria(definitions, kind, query, &options)
        .map_err(|failure| failure.issues.into_iter().next().map_or_else(String::new, |issue| issue.diagnostics))?;
    if condition.joins() { Err("chains and _has cannot be enforced here".to_owned()) } else { Ok(condition) }
}

/// What each role uses data for, where the token does not say (v3-PurposeOfUse).
pub fn purposes(principal: &Principal) -> Vec<String> {
    if !principal.purposes.is_empty() {
        return principal.purposes.clone();
    }
    let purpose = match principal.role {
        Some(Role::Doctor | Role::Nurse | Role::Pharmacist | Role::LaboratoryTechnician) => "TREAT",
        Some(Role::Receptionist | Role::Administrator | Role::Auditor) => "HOPERAT",
        Some(Role::CivilAuthority) => "PUBHLTH",
        Some(Role::Patient) => "PATRQT",
        None => return Vec::new(),
    };
    vec![purpose.to_owned()]
}
