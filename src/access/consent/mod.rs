//! Consents of patients (R4 consent.html): what they deny to one principal. Only active Consents on privacy count. All
//! that is not denied stays as scopes and policy have it: a Consent never opens anything.
//!
//! - A Consent reaches the Patient and what belongs to that patient ([`super::Reach`]). Types that belong to nobody
//!   (Practitioner, Medication, Bundle, …) are not its matter, whatever it names. A user who is the patient is not
//!   denied the own data.
//! - `policyRule` OPTOUT denies everything to begin with. Provisions inside another are exceptions to it; of two beside
//!   each other the one that denies counts more, and so does the one of two Consents.
//! - A provision applies where all it names holds: `actor`, `purpose` and `period` are a matter of who asks and when;
//!   `securityLabel`, `class`, `code` and `data` a matter of the resource.
//! - What cannot be judged fails closed: it keeps a permission from applying, and a denial applies as if it were not
//!   there. So it is with `dataPeriod`, with an actor by identifier or in a role that is not one of who gets the data,
//!   with a class that is no resource type, a code that is only text, data with another meaning than `instance`.
//! - `action` is read of a permission: `access` and `use` open reading and searching, `collect` creating, `correct`
//!   changing. A denial closes all of it, whatever its actions.
//! - A denied code is looked for under every token parameter of the type, in whatever system; a permitted one under
//!   `code`, in its system. A denied confidentiality label stands for the more confidential ones, too.
//! - Purposes are compared code by code; a purpose is not known as a sort of another.
//!
//! What is read whoever asks is in `statement`.

mod statement;
#[cfg(test)]
mod tests;

pub use statement::Statement;

use super::rule::Rule;
use super::{Action, Principal, grant};
use crate::base::{ResourceId, Timestamp};
use crate::definitions::{Definitions, SearchKind, TypeId};
use crate::index::Condition;
use crate::index::criteria::{self, SystemMatch};
use rustc_hash::{FxHashMap, FxHashSet};
use statement::{Actor, Ask, Effect, Provision};
use std::sync::Arc;

/// What the Consents of patients say to one principal.
#[derive(Clone, Debug, Default)]
pub struct Consents {
    by_patient: FxHashMap<ResourceId, Vec<Arc<Statement>>>,
    asker: Asker,
    /// The next moment at which a period begins or ends.
    pub valid_until: Option<Timestamp>,
}

/// Who asks, and when.
#[derive(Clone, Debug, Default)]
pub struct Asker {
    /// What certainly means the user: itself, its roles, its organizations, its active teams.
    actors: Vec<(TypeId, ResourceId)>,
    /// What may mean the user, and keeps a denial from being passed over: groups, teams that are not active.
    perhaps: Vec<(TypeId, ResourceId)>,
    /// The patient that the user is.
    own: Option<ResourceId>,
    /// Codes of the purposes of use.
    purposes: Vec<String>,
    now: Timestamp,
}

/// Whether a provision is about who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Concerns {
    Yes,
    No,
    /// It may be: a denial applies, a permission does not.
    Perhaps,
}

/// Where a provision applies: certainly, and as far as it cannot be excluded.
#[derive(Clone)]
struct Within {
    surely: Rule,
    perhaps: Rule,
}

impl Asker {
    /// A principal who asks now. `actors` certainly mean the user, `perhaps` may.
    pub fn new(
        principal: &Principal,
        definitions: &Definitions,
        actors: Vec<(TypeId, ResourceId)>,
        perhaps: Vec<(TypeId, ResourceId)>,
        now: Timestamp,
    ) -> Asker {
        let user = principal.user.as_ref();
        let own = user.filter(|user| definitions.name(user.kind) == "Patient").map(|user| user.id.clone());
        let itself = user.map(|user| (user.kind, user.id.clone()));
        let actors = itself.into_iter().chain(actors).collect();
        Asker { actors, perhaps, own, purposes: grant::purposes(principal), now }
    }
}

impl Consents {
    /// What statements say to somebody.
    pub fn new(statements: impl IntoIterator<Item = Arc<Statement>>, asker: Asker) -> Consents {
        let mut consents = Consents { asker, ..Consents::default() };
        for statement in statements {
            if consents.asker.own.as_ref() == Some(&statement.patient) {
                continue;
            }
            let provision = statement.provision.as_ref();
            let next = provision.and_then(|provision| provision.next_change(consents.asker.now));
            consents.valid_until = [consents.valid_until, next].into_iter().flatten().min();
            if statement.denies || provision.is_some_and(|provision| provision.may_deny(&consents.asker)) {
                consents.by_patient.entry(statement.patient.clone()).or_default().push(statement);
            }
        }
        consents
    }

    /// How many patients deny something.
    pub fn patients(&self) -> usize {
        self.by_patient.len()
    }

    /// For each patient what is denied of a type; patients who deny nothing are left out.
    pub(super) fn denied(
        &self,
        definitions: &Definitions,
        kind: TypeId,
        action: Action,
    ) -> FxHashMap<ResourceId, Rule> {
        let judge = Judge { definitions, kind, action, asker: &self.asker };
        // Many Consents of a patient may say the same: each thing is asked once.
        let of = |statements: &Vec<Arc<Statement>>| {
            let mut said = FxHashSet::default();
            let rules = statements.iter().map(|one| judge.denied(one));
            Rule::either(rules.filter(|rule| statements.len() == 1 || said.insert(format!("{rule:?}"))))
        };
        let rules = self.by_patient.iter().map(|(patient, statements)| (patient.clone(), of(statements)));
        rules.filter(|(_, rule)| !rule.is_nothing()).collect()
    }
}

impl Provision {
    /// The next moment at which a period begins or ends, here or inside.
    fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let own = [self.start, self.end].into_iter().flatten().filter(|moment| *moment > now);
        own.chain(self.inner.iter().filter_map(|inner| inner.next_change(now))).min()
    }

    /// Whether something may be denied by it to who asks.
    fn may_deny(&self, asker: &Asker) -> bool {
        let denies = || self.effect == Effect::Denies || self.inner.iter().any(|inner| inner.may_deny(asker));
        self.concerns(asker) != Concerns::No && denies()
    }

    /// Whether period, actors and purposes include who asks.
    fn concerns(&self, asker: &Asker) -> Concerns {
        let now = self.start.is_none_or(|start| start <= asker.now) && self.end.is_none_or(|end| asker.now < end);
        if !now {
            return Concerns::No;
        }
        let is = |list: &[(TypeId, ResourceId)], actor: &Actor| match actor {
            Actor::Here(kind, id) => list.iter().any(|(of, other)| of == kind && other == id),
            Actor::Elsewhere | Actor::Unknown => false,
        };
        let meant = self.actors.is_empty() || self.actors.iter().any(|actor| is(&asker.actors, actor));
        let may_mean = |actor: &Actor| *actor == Actor::Unknown || is(&asker.perhaps, actor);
        if !meant && !self.actors.iter().any(may_mean) {
            return Concerns::No;
        }
        // Somebody who states no purpose may have any.
        let stated = self.purposes.iter().any(|purpose| asker.purposes.contains(purpose));
        match (self.purposes.is_empty() || stated, asker.purposes.is_empty()) {
            (true, _) if meant && !self.unsure => Concerns::Yes,
            (true, _) | (false, true) => Concerns::Perhaps,
            (false, false) => Concerns::No,
        }
    }
}

/// What is asked: may this be done with resources of this type.
struct Judge<'j> {
    definitions: &'j Definitions,
    kind: TypeId,
    action: Action,
    asker: &'j Asker,
}

impl Judge<'_> {
    fn denied(&self, statement: &Statement) -> Rule {
        let start = if statement.denies { Rule::everything() } else { Rule::nothing() };
        let everywhere = Within { surely: Rule::everything(), perhaps: Rule::everything() };
        match &statement.provision {
            Some(provision) => self.after(provision, &everywhere, start),
            None => start,
        }
    }

    /// What is denied after a provision that applies `within`, if `before` was denied without it.
    fn after(&self, provision: &Provision, within: &Within, before: Rule) -> Rule {
        let concerns = provision.concerns(self.asker);
        if concerns == Concerns::No {
            return before;
        }
        let asks: Vec<Within> = provision.asks.iter().map(|ask| self.of(ask)).collect();
        let sure = (concerns != Concerns::Yes).then(Rule::nothing);
        let surely = [within.surely.clone()].into_iter().chain(asks.iter().map(|ask| ask.surely.clone())).chain(sure);
        let perhaps = [within.perhaps.clone()].into_iter().chain(asks.iter().map(|ask| ask.perhaps.clone()));
        let here = Within { surely: Rule::all(surely), perhaps: Rule::all(perhaps) };
        let mut denied = match provision.effect {
            Effect::Permits(rights) if rights.has(self.action) => Rule::all([before, Rule::not(here.surely.clone())]),
            Effect::Denies => Rule::either([before, here.perhaps.clone()]),
            Effect::Permits(_) | Effect::Holds => before,
        };
        let is_permit = |inner: &&Provision| matches!(inner.effect, Effect::Permits(_));
        let (permits, denies): (Vec<_>, Vec<_>) = provision.inner.iter().partition(is_permit);
        for inner in permits.into_iter().chain(denies) {
            denied = self.after(inner, &here, denied);
        }
        denied
    }

    /// Where what a provision asks of a resource holds.
    fn of(&self, ask: &Ask) -> Within {
        let unless = |unknown: bool, rule: Rule| if unknown { Rule::everything() } else { rule };
        match ask {
            Ask::Labels { named, wider, unknown } => {
                if self.definitions.search_parameter(self.kind, "_security").is_none() {
                    return Within { surely: Rule::nothing(), perhaps: Rule::everything() };
                }
                let all = Rule::all(named.iter().map(|code| Rule::Labelled(vec![code.clone()])));
                let surely = if *unknown || named.is_empty() { Rule::nothing() } else { all };
                Within { surely, perhaps: unless(*unknown, Rule::Labelled(wider.clone())) }
            }
            Ask::Kinds { named, unknown } => {
                let is = if named.contains(&self.kind) { Rule::everything() } else { Rule::nothing() };
                Within { surely: is.clone(), perhaps: unless(*unknown, is) }
            }
            Ask::Codes { named, unknown } => {
                let surely = self.definitions.core_search_parameter(self.kind, "code").map(|p| {
                    Rule::Criteria(Condition::any(named.iter().map(|(system, code)| {
                        let system = system.as_deref().map_or(SystemMatch::Any, SystemMatch::Is);
                        criteria::token(p, system, Some(code))
                    })))
                });
                Within { surely: surely.unwrap_or_else(Rule::nothing), perhaps: unless(*unknown, self.holds(named)) }
            }
            Ask::Data { named, unknown } => {
                let own = named.iter().filter(|(of, _)| *of == self.kind).map(|(_, id)| id.clone());
                let is = Rule::Itself(own.collect());
                Within { surely: is.clone(), perhaps: unless(*unknown, is) }
            }
        }
    }

    /// Resources that hold one of some codes, as far as their type can be searched by codes at all; else all of it.
    fn holds(&self, codes: &[(Option<String>, String)]) -> Rule {
        let all = self.definitions.search_parameters_of(self.kind);
        let coded: Vec<_> = all
            .iter()
            .filter(|p| p.kind == SearchKind::Token && !self.definitions.is_custom(p))
            .filter(|p| !p.code.starts_with('_') && &*p.code != "identifier")
            .collect();
        if coded.is_empty() {
            return Rule::everything();
        }
        let each = coded.iter().flat_map(|p| codes.iter().map(move |(_, code)| (p, code)));
        Rule::Criteria(Condition::any(each.map(|(p, code)| criteria::token(p, SystemMatch::Any, Some(code)))))
    }
}
