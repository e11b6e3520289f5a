//! Rules on one resource type: what a resource has to be so that something may be done with it. A rule means the same
//! in two ways that know nothing of each other: as a condition for the store ([`Rule::condition`]), and as a judgement
//! on one resource by what stands in it ([`Rule::holds`]). Where a rule comes from is not known here.

use super::label;
use super::proof::Proof;
use crate::base::{ResourceId, Timestamp};
use crate::definitions::{Definitions, TypeId};
use crate::index::criteria::{self, SystemMatch};
use crate::index::{
    Alone, Condition, Extractor, INSIDE, Range, Selection, Term, Terms, id_term, reference_term, target_of,
};
use crate::json::Value;
use rustc_hash::{FxHashMap, FxHashSet};

/// What a resource of one type has to be.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// All of these.
    All(Vec<Rule>),
    /// At least one of these.
    Any(Vec<Rule>),
    /// The opposite.
    Not(Box<Rule>),
    /// One of these.
    Itself(FxHashSet<ResourceId>),
    /// It refers to one of these patients under one of the parameters.
    Refers { parameters: Vec<u16>, patients: FxHashSet<ResourceId> },
    /// It refers to the patient under the parameter, and to nothing else.
    Only { parameter: u16, patient: ResourceId },
    /// It fulfils search criteria, which ask nothing of other resources.
    Criteria(Condition),
    /// It has a security label of these codes, in any system.
    Labelled(Vec<String>),
    /// It belongs to a patient whose rule it fulfils: by id for a Patient, else under one of the parameters.
    OfPatients { parameters: Option<Vec<u16>>, patients: FxHashMap<ResourceId, Rule> },
}

/// A resource that is judged.
pub struct Subject<'d> {
    /// Its type.
    pub kind: TypeId,
    /// Its id.
    pub id: &'d ResourceId,
    /// When this version of it was made.
    pub updated: Timestamp,
    /// What stands in it.
    pub resource: Value<'d>,
}

/// What is known of a subject: the terms that the rules need.
struct Facts<'s> {
    subject: &'s Subject<'s>,
    terms: Terms,
}

impl Rule {
    /// Everything may.
    pub fn everything() -> Rule {
        Rule::All(Vec::new())
    }

    /// Nothing may.
    pub fn nothing() -> Rule {
        Rule::Any(Vec::new())
    }

    /// All of these; constants fall away.
    pub fn all(rules: impl IntoIterator<Item = Rule>) -> Rule {
        let mut rules: Vec<Rule> = rules.into_iter().filter(|rule| !rule.is_everything()).collect();
        match rules.len() {
            1 => rules.pop().unwrap_or_else(Rule::everything),
            _ if rules.iter().any(Rule::is_nothing) => Rule::nothing(),
            _ => Rule::All(rules),
        }
    }

    /// At least one of these; constants fall away, and lists of resources become one.
    pub fn either(rules: impl IntoIterator<Item = Rule>) -> Rule {
        let mut named: Option<FxHashSet<ResourceId>> = None;
        let mut rules: Vec<Rule> = rules
            .into_iter()
            .filter(|rule| !rule.is_nothing())
            .filter_map(|rule| match rule {
                Rule::Itself(ids) => {
                    named.get_or_insert_default().extend(ids);
                    None
                }
                other => Some(other),
            })
            .collect();
        rules.extend(named.map(Rule::Itself));
        match rules.len() {
            1 => rules.pop().unwrap_or_else(Rule::nothing),
            _ if rules.iter().any(Rule::is_everything) => Rule::everything(),
            _ => Rule::Any(rules),
        }
    }

    /// At least one of these, each with whether it is about some resources only. The whole is so if every one that
    /// allows anything is.
    pub fn any(rules: impl IntoIterator<Item = (Rule, bool)>) -> (Rule, bool) {
        let rules: Vec<(Rule, bool)> = rules.into_iter().filter(|(rule, _)| !rule.is_nothing()).collect();
        let bound = rules.iter().all(|(_, bound)| *bound);
        (Rule::either(rules.into_iter().map(|(rule, _)| rule)), bound)
    }

    /// The opposite.
    pub fn not(rule: Rule) -> Rule {
        match rule {
            rule if rule.is_everything() => Rule::nothing(),
            rule if rule.is_nothing() => Rule::everything(),
            rule => Rule::Not(Box::new(rule)),
        }
    }

    /// Whether it holds for everything.
    pub fn is_everything(&self) -> bool {
        match self {
            Rule::All(all) => all.iter().all(Rule::is_everything),
            Rule::Any(any) => any.iter().any(Rule::is_everything),
            Rule::Not(inner) => inner.is_nothing(),
            Rule::OfPatients { .. } => false,
            Rule::Criteria(condition) => *condition == Condition::Everything,
            _ => false,
        }
    }

    /// Whether it holds for nothing, whatever there is.
    pub fn is_nothing(&self) -> bool {
        match self {
            Rule::All(all) => all.iter().any(Rule::is_nothing),
            Rule::Any(any) => any.iter().all(Rule::is_nothing),
            Rule::Not(inner) => inner.is_everything(),
            Rule::Itself(ids) => ids.is_empty(),
            Rule::Refers { patients, .. } => patients.is_empty(),
            Rule::OfPatients { patients, .. } => patients.is_empty(),
            Rule::Criteria(condition) => *condition == Condition::Nothing,
            _ => false,
        }
    }

    /// The condition that resources of the type fulfil the rule.
    pub fn condition(&self, definitions: &Definitions, kind: TypeId) -> Condition {
        let id = |id: &ResourceId| match definitions.search_parameter(kind, "_id") {
            Some(p) => Condition::Term(id_term(p.number, id.as_str())),
            None => Condition::Nothing,
        };
        let refers = |parameters: &[u16], patient: &ResourceId| {
            let term = |number: &u16| Condition::Term(reference_term(*number, "Patient", patient.as_str()));
            Condition::any(parameters.iter().map(term))
        };
        match self {
            Rule::All(all) => Condition::all(all.iter().map(|rule| rule.condition(definitions, kind))),
            Rule::Any(any) => Condition::any(any.iter().map(|rule| rule.condition(definitions, kind))),
            Rule::Not(inner) => match inner.condition(definitions, kind) {
                Condition::Everything => Condition::Nothing,
                Condition::Nothing => Condition::Everything,
                condition => Condition::Not(Box::new(condition)),
            },
            Rule::Itself(ids) => Condition::any(ids.iter().map(id)),
            Rule::Refers { parameters, patients } => {
                Condition::any(patients.iter().map(|patient| refers(parameters, patient)))
            }
            Rule::Only { parameter, patient } => only(&reference_term(*parameter, "Patient", patient.as_str())),
            Rule::Criteria(condition) => condition.clone(),
            Rule::Labelled(codes) => match definitions.search_parameter(kind, "_security") {
                Some(p) => Condition::any(codes.iter().map(|c| criteria::token(p, SystemMatch::Any, Some(c)))),
                None => Condition::Nothing,
            },
            Rule::OfPatients { parameters, patients } => Condition::any(patients.iter().map(|(patient, rule)| {
                let his = match parameters {
                    None => id(patient),
                    Some(parameters) => refers(parameters, patient),
                };
                Condition::all([his, rule.condition(definitions, kind)])
            })),
        }
    }

    /// The parameters whose terms [`Rule::holds`] has to know; `u16::MAX` where all are needed.
    fn parameters(&self, numbers: &mut Vec<u16>) {
        match self {
            Rule::All(rules) | Rule::Any(rules) => rules.iter().for_each(|rule| rule.parameters(numbers)),
            Rule::Not(inner) => inner.parameters(numbers),
            Rule::Refers { parameters, .. } => numbers.extend(parameters),
            Rule::Only { parameter, .. } => numbers.push(*parameter),
            Rule::Criteria(condition) => condition.parameters(numbers),
            Rule::OfPatients { parameters, patients } => {
                numbers.extend(parameters.iter().flatten());
                patients.values().for_each(|rule| rule.parameters(numbers));
            }
            // Labels are read from the resource itself.
            Rule::Itself(_) | Rule::Labelled(_) => {}
        }
    }

    fn holds(&self, facts: &Facts<'_>) -> bool {
        match self {
            Rule::All(all) => all.iter().all(|rule| rule.holds(facts)),
            Rule::Any(any) => any.iter().any(|rule| rule.holds(facts)),
            Rule::Not(inner) => !inner.holds(facts),
            Rule::Itself(ids) => ids.contains(facts.subject.id),
            Rule::Refers { parameters, patients } => facts.patients(parameters).any(|id| patients.contains(&id)),
            Rule::Only { parameter, patient } => {
                let mut members = facts.targets(*parameter).peekable();
                members.peek().is_some() && members.all(|(kind, id)| kind == "Patient" && id == patient.as_str())
            }
            Rule::Criteria(condition) => condition.matches(facts.subject.kind, &facts.terms, &Alone),
            Rule::Labelled(codes) => {
                label::codes(facts.subject.resource).any(|code| codes.iter().any(|wanted| *wanted == *code))
            }
            Rule::OfPatients { parameters, patients } => match parameters {
                None => patients.get(facts.subject.id).is_some_and(|rule| rule.holds(facts)),
                Some(parameters) => {
                    facts.patients(parameters).any(|id| patients.get(&id).is_some_and(|rule| rule.holds(facts)))
                }
            },
        }
    }
}

/// The condition that a resource refers to this and, under the same parameter, to nothing else on this server.
fn only(term: &Term) -> Condition {
    let head = term.0.get(..3).unwrap_or_default();
    let mut end = head.to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    let next = [&*term.0, &[0]].concat();
    let none = |from: &[u8], to: &[u8]| {
        let range = Range { from: from.into(), to: to.into(), test: None };
        Condition::Not(Box::new(Condition::Range(range)))
    };
    Condition::And(vec![Condition::Term(term.clone()), none(head, &term.0), none(&next, &end)])
}

impl Facts<'_> {
    /// What the subject refers to on this server under a parameter.
    fn targets(&self, parameter: u16) -> impl Iterator<Item = (&str, &str)> {
        let terms = self.terms.as_slice();
        let start = terms.partition_point(|term| term.parameter() < parameter);
        let own = terms.get(start..).unwrap_or_default().iter().take_while(move |term| term.parameter() == parameter);
        own.filter_map(target_of)
    }

    /// The patients that the subject refers to under some parameters.
    fn patients(&self, parameters: &[u16]) -> impl Iterator<Item = ResourceId> {
        let targets = parameters.iter().flat_map(|parameter| self.targets(*parameter));
        targets.filter(|(kind, _)| *kind == "Patient").filter_map(|(_, id)| ResourceId::new(id))
    }
}

/// A rule that is compiled for its type.
pub struct Restriction {
    rule: Rule,
    condition: Condition,
    /// The parameters that the rule needs; none if it needs all.
    selection: Option<Selection>,
    /// Whether it needs any terms.
    terms: bool,
    /// What in the bytes of a body shows that it holds.
    proof: Proof,
}

impl Restriction {
    pub(super) fn new(rule: Rule, kind: TypeId, definitions: &Definitions, extractor: &Extractor) -> Restriction {
        let condition = rule.condition(definitions, kind);
        let mut numbers = Vec::new();
        rule.parameters(&mut numbers);
        let all = numbers.iter().any(|number| matches!(*number, u16::MAX | INSIDE));
        let terms = !numbers.is_empty();
        let selection = (!all).then(|| extractor.selection(kind, &numbers));
        let proof = Proof::of(&rule, kind, extractor);
        Restriction { rule, condition, selection, terms, proof }
    }

    /// The condition for the store.
    pub fn condition(&self) -> &Condition {
        &self.condition
    }

    /// Whether the bytes of a stored body alone show that a resource is inside. `false` says nothing.
    pub fn surely_holds(&self, id: &ResourceId, body: &[u8]) -> bool {
        self.proof.shows(id, body)
    }

    /// Whether a resource is inside, judged by what stands in it alone.
    pub fn holds(&self, extractor: &Extractor, subject: &Subject<'_>) -> bool {
        let mut terms = match &self.selection {
            _ if !self.terms => Terms::default(),
            Some(selection) => extractor.extract_selected(selection, subject.kind, subject.resource),
            None => extractor.extract(subject.kind, subject.resource),
        };
        if self.terms {
            extractor.stamp(&mut terms, subject.kind, subject.id, subject.updated);
        }
        self.rule.holds(&Facts { subject, terms })
    }
}
