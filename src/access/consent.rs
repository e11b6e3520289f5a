//! Consents of patients (R4 consent.html): what their provisions deny to one principal. Only active Consents on privacy
//! count. All that is not denied stays as scopes and policy have it: a Consent never opens anything.
//!
//! A provision applies where all it names holds: actor, purpose and period are a matter of who asks and when; labels,
//! classes, codes and data a matter of the resource. Provisions inside another are exceptions to it; of two beside
//! each other the one that denies counts more, and so does the one of two Consents. What cannot be judged (a period of
//! the data, an unknown class) is passed over where it would narrow a denial, and keeps a permission from applying.

use super::rule::Rule;
use super::{Principal, grant};
use crate::base::{ResourceId, Timestamp};
use crate::definitions::{Definitions, TypeId};
use crate::index::Condition;
use crate::index::criteria::{self, SystemMatch};
use crate::json::Tree;
use crate::primitive::DateTime;
use rustc_hash::FxHashMap;

/// Provisions inside each other at most; what is deeper denies.
const DEEPEST: usize = 20;

/// What the Consents of patients say to one principal.
#[derive(Clone, Debug, Default)]
pub struct Consents {
    by_patient: FxHashMap<ResourceId, Vec<Root>>,
    /// The next moment at which a period begins or ends.
    pub valid_until: Option<Timestamp>,
}

/// Who asks, and when.
pub struct Asker {
    /// The references that mean the user: itself, its roles, its organizations.
    pub actors: Vec<String>,
    /// Codes of the purposes of use.
    pub purposes: Vec<String>,
    /// Now.
    pub now: Timestamp,
}

/// A Consent.
#[derive(Clone, Debug)]
struct Root {
    /// Whether all is denied to begin with (`policyRule` OPTOUT).
    denies: bool,
    provision: Option<Provision>,
}

/// A provision that applies to the principal, or holds one that might.
#[derive(Clone, Debug)]
struct Provision {
    /// What it does; nothing if it only holds others.
    permits: Option<bool>,
    /// What must be true of a resource.
    asks: Vec<Ask>,
    inner: Vec<Provision>,
}

#[derive(Clone, Debug)]
enum Ask {
    Labels(Vec<String>),
    Kinds(Vec<TypeId>),
    Codes(Vec<(Option<String>, String)>),
    Data(Vec<(TypeId, ResourceId)>),
    Never,
}

impl Asker {
    /// A principal who asks now; `organizations` are those that the user works for.
    pub fn new(principal: &Principal, definitions: &Definitions, others: Vec<String>, now: Timestamp) -> Asker {
        let user = principal.user.as_ref().map(|user| format!("{}/{}", definitions.name(user.kind), user.id));
        Asker { actors: user.into_iter().chain(others).collect(), purposes: grant::purposes(principal), now }
    }
}

impl Consents {
    /// Whether nobody denies anything.
    pub fn is_empty(&self) -> bool {
        self.by_patient.is_empty()
    }

    /// Takes note of a Consent.
    pub fn add(&mut self, consent: &Tree, definitions: &Definitions, asker: &Asker) {
        let text = |name: &str| consent.get(name).and_then(Tree::as_str);
        let code_in = |name: &str, code: &str| consent.get(name).is_some_and(|c| codings(c).any(|(_, c)| c == code));
        if text("status") != Some("active") || !code_in("scope", "patient-privacy") {
            return;
        }
        let Some(patient) = consent.get("patient").and_then(reference).and_then(|r| r.strip_prefix("Patient/")) else {
            return;
        };
        let Some(patient) = ResourceId::new(patient) else { return };
        let provision = consent.get("provision").and_then(|p| self.provision(p, definitions, asker, 0));
        let root = Root { denies: code_in("policyRule", "OPTOUT"), provision };
        if root.denies || root.provision.is_some() {
            self.by_patient.entry(patient).or_default().push(root);
        }
    }

    fn provision(&mut self, tree: &Tree, definitions: &Definitions, asker: &Asker, depth: usize) -> Option<Provision> {
        let permits = match tree.get("type").and_then(Tree::as_str) {
            Some("permit") => Some(true),
            Some(_) => Some(false),
            None => None,
        };
        if !self.is_now(tree.get("period"), asker.now) || !concerns(tree, asker, permits == Some(true)) {
            return None;
        }
        let mut asks = Vec::new();
        let list = |name: &str| tree.get(name).map_or(&[][..], Tree::items);
        let labels: Vec<String> = list("securityLabel").iter().filter_map(|l| Some(coding(l)?.1)).collect();
        if !labels.is_empty() {
            asks.push(Ask::Labels(labels));
        }
        let unknown = |asks: &mut Vec<Ask>| asks.extend((permits != Some(false)).then_some(Ask::Never));
        if !list("class").is_empty() {
            let kinds: Vec<Option<TypeId>> =
                list("class").iter().map(|c| definitions.resource(&coding(c)?.1)).collect();
            match kinds.iter().copied().collect::<Option<Vec<TypeId>>>() {
                Some(kinds) => asks.push(Ask::Kinds(kinds)),
                None => unknown(&mut asks),
            }
        }
        if !list("code").is_empty() {
            let codes: Vec<_> = list("code").iter().flat_map(codings).collect();
            if codes.is_empty() { unknown(&mut asks) } else { asks.push(Ask::Codes(codes)) }
        }
        if !list("data").is_empty() {
            let target = |data: &Tree| {
                let (kind, id) = reference(data.get("reference")?)?.split_once('/')?;
                Some((definitions.resource(kind)?, ResourceId::new(id)?))
            };
            match list("data").iter().map(target).collect::<Option<Vec<_>>>() {
                Some(data) => asks.push(Ask::Data(data)),
                None => unknown(&mut asks),
            }
        }
        if tree.get("dataPeriod").is_some() {
            unknown(&mut asks);
        }
        let inner = match depth {
            // Exceptions that nobody could follow are none.
            DEEPEST => Vec::new(),
            _ => list("provision").iter().filter_map(|p| self.provision(p, definitions, asker, depth + 1)).collect(),
        };
        Some(Provision { permits, asks, inner })
    }

    /// Whether a period includes the present; takes note of when that changes.
    fn is_now(&mut self, period: Option<&Tree>, now: Timestamp) -> bool {
        let bound = |name: &str| DateTime::parse(period?.get(name)?.as_str()?);
        let (start, end) = (bound("start").map(|d| Timestamp(d.start())), bound("end").map(|d| Timestamp(d.end())));
        let next = [start, end].into_iter().flatten().filter(|moment| *moment > now).min();
        self.valid_until = [self.valid_until, next].into_iter().flatten().min();
        start.is_none_or(|start| start <= now) && end.is_none_or(|end| now < end)
    }

    /// For each patient what is denied of a type; patients who deny nothing are left out.
    pub(super) fn denied(&self, definitions: &Definitions, kind: TypeId) -> FxHashMap<ResourceId, Rule> {
        let of = |roots: &Vec<Root>| Rule::either(roots.iter().map(|root| root.denied(definitions, kind)));
        let rules = self.by_patient.iter().map(|(patient, roots)| (patient.clone(), of(roots)));
        rules.filter(|(_, rule)| !rule.is_nothing()).collect()
    }
}

impl Root {
    fn denied(&self, definitions: &Definitions, kind: TypeId) -> Rule {
        let start = if self.denies { Rule::everything() } else { Rule::nothing() };
        match &self.provision {
            Some(provision) => provision.denied(definitions, kind, Rule::everything(), start),
            None => start,
        }
    }
}

impl Provision {
    /// What is denied after this provision, if it applies `within` and `before` was denied without it.
    fn denied(&self, definitions: &Definitions, kind: TypeId, within: Rule, before: Rule) -> Rule {
        let asks = self.asks.iter().map(|ask| ask.rule(definitions, kind));
        let applies = Rule::all([within].into_iter().chain(asks));
        let mut denied = match self.permits {
            Some(true) => Rule::all([before, Rule::not(applies.clone())]),
            Some(false) => Rule::either([before, applies.clone()]),
            None => before,
        };
        let (permits, denies): (Vec<_>, Vec<_>) = self.inner.iter().partition(|p| p.permits == Some(true));
        for inner in permits.into_iter().chain(denies) {
            denied = inner.denied(definitions, kind, applies.clone(), denied);
        }
        denied
    }
}

impl Ask {
    fn rule(&self, definitions: &Definitions, kind: TypeId) -> Rule {
        match self {
            Ask::Never => Rule::nothing(),
            Ask::Labels(codes) => match definitions.search_parameter(kind, "_security") {
                Some(_) => Rule::Labelled(codes.clone()),
                None => Rule::nothing(),
            },
            Ask::Kinds(kinds) if kinds.contains(&kind) => Rule::everything(),
            Ask::Kinds(_) => Rule::nothing(),
            Ask::Data(data) => {
                Rule::Itself(data.iter().filter(|(of, _)| *of == kind).map(|(_, id)| id.clone()).collect())
            }
            Ask::Codes(codes) => match definitions.core_search_parameter(kind, "code") {
                Some(p) => Rule::Criteria(Condition::any(codes.iter().map(|(system, code)| {
                    let system = system.as_deref().map_or(SystemMatch::Any, SystemMatch::Is);
                    criteria::token(p, system, Some(code))
                }))),
                None => Rule::nothing(),
            },
        }
    }
}

/// Whether actors and purposes of a provision include who asks. Somebody who states no purpose may have any: that does
/// not keep a denial away, and does not bring a permission about.
fn concerns(provision: &Tree, asker: &Asker, permits: bool) -> bool {
    let list = |name: &str| provision.get(name).map_or(&[][..], Tree::items);
    let actors = list("actor");
    let meant =
        |actor: &Tree| actor.get("reference").and_then(reference).is_some_and(|r| asker.actors.iter().any(|a| a == r));
    if !actors.is_empty() && !actors.iter().any(meant) {
        return false;
    }
    let purposes = list("purpose");
    let stated = |purpose: &Tree| coding(purpose).is_some_and(|(_, code)| asker.purposes.contains(&code));
    match (purposes.is_empty(), asker.purposes.is_empty()) {
        (true, _) => true,
        (false, true) => !permits,
        (false, false) => purposes.iter().any(stated),
    }
}

/// The relative reference in a Reference.
fn reference(tree: &Tree) -> Option<&str> {
    tree.get("reference").and_then(Tree::as_str)
}

fn coding(tree: &Tree) -> Option<(Option<String>, String)> {
    let text = |name: &str| tree.get(name).and_then(Tree::as_str).map(str::to_owned);
    Some((text("system"), text("code")?))
}

/// The codings of a CodeableConcept.
fn codings(concept: &Tree) -> impl Iterator<Item = (Option<String>, String)> {
    concept.get("coding").map_or(&[][..], Tree::items).iter().filter_map(coding)
}
