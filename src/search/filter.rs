//! Filters: from a name and its values to a condition, through chains and `_has` (R4 search.html#chaining, #has).
//! Values are read in `value`, parameters that are no filters in `result`.

use super::codes::Codes;
use super::name::Name;
use super::refusal::{Refusal, brief};
use super::suggest::hint;
use super::value::{Question, Reader};
use crate::base::Timestamp;
use crate::definitions::{Definitions, SearchKind, SearchParameter, StructureKind, TypeId};
use crate::index::Condition;
use std::cell::Cell;

/// Most steps of a chain.
const MAX_DEPTH: usize = 50;
/// Most conditions that all filters of one search may become. Chains over many types multiply.
const MAX_CONDITIONS: usize = 100_000;
/// What a step of a chain counts for: each is a search of its own.
const STEP: usize = 50;

/// From a question to a condition. Tests put something readable in.
pub(super) type Leaf = fn(&SearchParameter, &Question, Timestamp) -> Condition;

/// What filters are read against.
pub(super) struct Filters<'d> {
    pub reader: Reader<'d>,
    now: Timestamp,
    leaf: Leaf,
    left: Cell<usize>,
}

impl<'d> Filters<'d> {
    pub fn new(
        definitions: &'d Definitions,
        bases: &'d [String],
        codes: &'d Codes,
        now: Timestamp,
        leaf: Leaf,
    ) -> Self {
        let reader = Reader { definitions, bases, codes };
        Filters { reader, now, leaf, left: Cell::new(MAX_CONDITIONS) }
    }

    /// The condition of one filter on resources of these types, each of which must have the parameter.
    pub fn read(&self, kinds: &[TypeId], name: &str, value: &str) -> Result<Condition, Refusal> {
        if let Some(code) = Name::head(name) {
            self.indexed(kinds, code)?;
            let without = kinds.iter().find(|k| self.definitions().search_parameter(**k, code).is_none());
            if let Some(without) = without {
                return Err(self.unknown(*without, kinds.len(), code));
            }
        }
        self.step(kinds, name, name, value, 0)
    }

    fn definitions(&self) -> &'d Definitions {
        self.reader.definitions
    }

    /// One step of a chain. `whole` is the name as it was sent, for messages.
    fn step(&self, kinds: &[TypeId], name: &str, whole: &str, value: &str, depth: usize) -> Result<Condition, Refusal> {
        if depth > MAX_DEPTH {
            return Err(Refusal::too_costly(format!("'{}' is a chain of more than {MAX_DEPTH} steps", brief(whole))));
        }
        match Name::parse(name) {
            Err(form) => Err(Refusal::illegal(format!("'{}': {form}", brief(whole)))),
            Ok(Name::Plain { code, modifier }) => self.plain(kinds, code, modifier, whole, value),
            Ok(Name::Chain { code, target, rest }) => {
                self.each(kinds, code, |p| self.chain(p, target, rest, whole, value, depth))
            }
            Ok(Name::Has { source, code, rest }) => self.has(kinds, (source, code, rest), whole, value, depth),
        }
    }

    /// A parameter with values. Under several types the code may belong to several parameters: any of them will do,
    /// and for a negation none of them.
    fn plain(
        &self,
        kinds: &[TypeId],
        code: &str,
        modifier: Option<&str>,
        whole: &str,
        value: &str,
    ) -> Result<Condition, Refusal> {
        let negated = Cell::new(false);
        let positive = self.each(kinds, code, |p| {
            let asked = self.reader.read(p, modifier, whole, value)?;
            negated.set(asked.negated);
            self.spend(asked.any.len(), whole)?;
            Ok(Condition::any(asked.any.iter().map(|question| self.condition(p, question))))
        })?;
        Ok(match positive {
            Condition::Everything if negated.get() => Condition::Nothing,
            Condition::Nothing if negated.get() => Condition::Everything,
            positive if negated.get() => Condition::Not(Box::new(positive)),
            positive => positive,
        })
    }

    /// The condition of one question.
    pub(super) fn condition(&self, p: &SearchParameter, question: &Question) -> Condition {
        (self.leaf)(p, question, self.now)
    }

    /// Any of what the parameters of this code become. Fails only if all do.
    pub(super) fn each(
        &self,
        kinds: &[TypeId],
        code: &str,
        read: impl Fn(&'d SearchParameter) -> Result<Condition, Refusal>,
    ) -> Result<Condition, Refusal> {
        let mut parameters: Vec<_> =
            kinds.iter().filter_map(|k| self.definitions().search_parameter(*k, code)).collect();
        parameters.sort_by_key(|p| p.number);
        parameters.dedup_by_key(|p| p.number);
        let (mut any, mut refusal) = (Vec::new(), None);
        for parameter in parameters {
            match read(parameter) {
                Ok(condition) => any.push(condition),
                // Nothing may be left out because it came last.
                Err(costly @ Refusal::TooCostly(_)) => return Err(costly),
                // What is wrong counts for more than what is unknown.
                Err(other) if refusal.is_none() || matches!(other, Refusal::Illegal(_)) => refusal = Some(other),
                Err(_) => {}
            }
        }
        match (any.is_empty(), refusal) {
            (true, Some(refusal)) => Err(refusal),
            (true, None) => Err(Refusal::unusable(format!("no type has the search parameter '{}'", brief(code)))),
            (false, _) => Ok(Condition::any(any)),
        }
    }

    /// `code:Type.rest` by one parameter.
    fn chain(
        &self,
        p: &SearchParameter,
        target: Option<&str>,
        rest: &str,
        whole: &str,
        value: &str,
        depth: usize,
    ) -> Result<Condition, Refusal> {
        if p.kind != SearchKind::Reference {
            let kind = p.kind.code();
            return Err(Refusal::illegal(format!(
                "'{}': '{}' is a {kind} parameter; only reference parameters can be chained",
                brief(whole),
                p.code
            )));
        }
        let mut targets = targets(self.definitions(), p);
        if let Some(name) = target {
            let wanted = self.definitions().resource(name);
            targets.retain(|t| Some(*t) == wanted);
            if targets.is_empty() {
                return Err(self.no_target(p, name, whole));
            }
        }
        if let Some(code) = Name::head(rest) {
            self.indexed(&targets, code)?;
            let all = targets.clone();
            targets.retain(|t| self.definitions().search_parameter(*t, code).is_some());
            if targets.is_empty() {
                return Err(self.unknown_behind(p, &all, code));
            }
        }
        self.spend_step(whole)?;
        let condition = Box::new(self.step(&targets, rest, whole, value, depth + 1)?);
        Ok(Condition::Chain { parameter: p.number, targets, condition })
    }

    /// `_has:source:code:rest`
    fn has(
        &self,
        kinds: &[TypeId],
        (source, code, rest): (&str, &str, &str),
        whole: &str,
        value: &str,
        depth: usize,
    ) -> Result<Condition, Refusal> {
        let definitions = self.definitions();
        let Some(source) = definitions.resource(source) else {
            let names = definitions.resources.iter().map(|r| definitions.name(*r));
            return Err(Refusal::illegal(format!(
                "'{}': there is no resource type '{}'{}",
                brief(whole),
                brief(source),
                hint(source, names)
            )));
        };
        let Some(p) = definitions.search_parameter(source, code) else {
            return Err(self.unknown(source, 1, code));
        };
        if p.kind != SearchKind::Reference || !targets(definitions, p).iter().any(|t| kinds.contains(t)) {
            let to = if let [kind] = kinds { definitions.name(*kind) } else { "what is searched" };
            return Err(Refusal::illegal(format!(
                "'{}': the parameter '{}' of {} does not refer to {to}",
                brief(whole),
                p.code,
                definitions.name(source)
            )));
        }
        if let Some(code) = Name::head(rest)
            && definitions.search_parameter(source, code).is_none()
        {
            return Err(self.unknown(source, 1, code));
        }
        self.spend_step(whole)?;
        let condition = Box::new(self.step(&[source], rest, whole, value, depth + 1)?);
        Ok(Condition::Reverse { source, parameter: p.number, condition })
    }

    /// What a step to other resources counts for.
    pub(super) fn spend_step(&self, name: &str) -> Result<(), Refusal> {
        self.spend(STEP, name)
    }

    pub(super) fn spend(&self, conditions: usize, name: &str) -> Result<(), Refusal> {
        match self.left.get().checked_sub(conditions) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(Refusal::too_costly(format!(
                "'{}' asks too much: with its values and the types its chains lead through, the search would become too \
                 large; name the types of the chain, or give fewer values",
                brief(name)
            ))),
        }
    }

    /// Refuses a parameter that one of these types has and that is not indexed yet: it would find too little.
    pub(super) fn indexed(&self, kinds: &[TypeId], code: &str) -> Result<(), Refusal> {
        kinds.iter().find_map(|kind| pending(self.definitions(), *kind, code)).map_or(Ok(()), Err)
    }

    /// A type, one of `several` looked at, lacks the parameter.
    pub fn unknown(&self, kind: TypeId, several: usize, code: &str) -> Refusal {
        let definitions = self.definitions();
        if let Some(refusal) = pending(definitions, kind, code) {
            return refusal;
        }
        let name = definitions.name(kind);
        if several > 1 {
            return Refusal::unusable(format!(
                "'{}' is not a search parameter of every type searched: {name} does not have it",
                brief(code)
            ));
        }
        Refusal::unusable(format!("{name} has no search parameter '{}'{}", brief(code), self.near(&[kind], code)))
    }

    /// None of the types that a step of a chain leads to has the next parameter.
    fn unknown_behind(&self, p: &SearchParameter, kinds: &[TypeId], code: &str) -> Refusal {
        if let [kind] = kinds {
            return self.unknown(*kind, 1, code);
        }
        Refusal::unusable(format!(
            "no type that '{}' refers to has a search parameter '{}'{}",
            p.code,
            brief(code),
            self.near(kinds, code)
        ))
    }

    fn near(&self, kinds: &[TypeId], code: &str) -> String {
        let codes: Vec<_> = kinds.iter().flat_map(|k| self.definitions().search_parameters_of(*k)).collect();
        hint(code, codes.iter().map(|p| &*p.code))
    }

    fn no_target(&self, p: &SearchParameter, name: &str, whole: &str) -> Refusal {
        let definitions = self.definitions();
        let targets: Vec<_> = p.targets.iter().take(12).map(|t| definitions.name(*t)).collect();
        let legal = if targets.is_empty() { "any resource type".to_owned() } else { targets.join(", ") };
        let more = if p.targets.len() > 12 { ", …" } else { "" };
        Refusal::illegal(format!(
            "'{}': '{}' does not refer to a type '{}', but to {legal}{more}",
            brief(whole),
            p.code,
            brief(name)
        ))
    }
}

/// The refusal of a parameter that is not indexed yet: always an error, as it is known what is meant.
pub(super) fn pending(definitions: &Definitions, kind: TypeId, code: &str) -> Option<Refusal> {
    let p = definitions.pending_search_parameter(kind, code)?;
    let name = definitions.name(kind);
    Some(Refusal::illegal(format!(
        "the search parameter '{}' of {name} was added or changed and the resources are not indexed by it yet; \
         [base]/$reindex-status tells how far it is",
        p.code
    )))
}

/// The types that a reference parameter can point to, all if the definitions name none.
pub(super) fn targets(definitions: &Definitions, p: &SearchParameter) -> Vec<TypeId> {
    let concrete = |t: &TypeId| definitions.structure(*t).kind == StructureKind::Resource;
    if p.targets.is_empty() || !p.targets.iter().all(concrete) {
        definitions.resources.clone()
    } else {
        p.targets.clone()
    }
}
