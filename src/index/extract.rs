//! The extractor: for each resource type one plan of all its search parameters, compiled when it is first needed,
//! and from a resource to its terms. How values are encoded is in `values`.

use super::composite::Composites;
use super::encode;
use super::sink::{Cut, MOST_TERMS, Omitted, Sink};
use super::target::version_of;
use super::values::{Bases, Context, Encoder};
use super::{Term, Terms, contained, id_term, words};
use crate::base::{ResourceId, Timestamp};
use crate::definitions::{Definitions, SearchKind, SearchParameter, TypeId};
use crate::fhirpath::{Branch, CompileError, Plan, Predicate, Start, Step, compile, parse};
use crate::json::Value;
use crate::primitive::Reference;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::{Arc, OnceLock};

/// Finds the terms of resources. Which search parameters there are can be changed while it is used: whoever shares it
/// finds the new terms from then on.
pub struct Extractor {
    bases: Bases,
    state: RwLock<Arc<State>>,
}

/// The search parameters of a moment.
struct State {
    definitions: Arc<Definitions>,
    /// By type number.
    types: Vec<OnceLock<TypePlan>>,
    /// Plans of one parameter, for includes: they ask only that of each resource of a page.
    single: RwLock<FxHashMap<(TypeId, u16), Arc<TypePlan>>>,
    fingerprint: u64,
}

/// All that is known of the parameters of one resource type.
struct TypePlan {
    plan: Plan<Action>,
    composites: Composites,
    /// Numbers of the parameters in the plan, sorted.
    parameters: Vec<u16>,
    id: Option<u16>,
    last_updated: Option<u16>,
    /// `_text` and `_content`.
    words: (Option<u16>, Option<u16>),
    /// Parameters that cannot be extracted, and why.
    problems: Vec<(u16, CompileError)>,
}

/// Some of the parameters of one resource type, compiled: for whoever asks of a resource only these.
pub struct Selection(TypePlan);

/// What was found of a resource.
#[derive(Clone, Debug, Default)]
pub struct Extracted {
    /// Its terms.
    pub terms: Terms,
    /// The fingerprint of what they were found by.
    pub schema: u64,
    /// What was left out because it is too much.
    pub cut: Vec<Cut>,
}

/// A resource of this server that another refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Referred {
    /// Its type.
    pub kind: TypeId,
    /// Its id.
    pub id: ResourceId,
    /// The version that is named, if one is.
    pub version: Option<u64>,
}

/// What to do with a value.
struct Action {
    parameter: u16,
    /// Place of the parameter among those of its type.
    slot: usize,
    encoder: Encoder,
}

/// Raised whenever resources get other terms than before from the same definitions: what stores have indexed is then
/// made again.
const ENCODING: u32 = 3;

impl State {
    fn new(definitions: Arc<Definitions>, bases: &Bases) -> State {
        let types = definitions.structures.iter().map(|_| OnceLock::new()).collect();
        let fingerprint = fingerprint(&definitions, bases);
        State { definitions, types, single: RwLock::default(), fingerprint }
    }

    /// The plan of one parameter of a type.
    fn plan_of(&self, kind: TypeId, parameter: u16) -> Arc<TypePlan> {
        let known = self.single.read().get(&(kind, parameter)).cloned();
        known.unwrap_or_else(|| {
            let plan = Arc::new(TypePlan::compile(&self.definitions, kind, &|number| number == parameter));
            self.single.write().insert((kind, parameter), plan.clone());
            plan
        })
    }

    fn plan(&self, kind: TypeId) -> Option<&TypePlan> {
        let plan = self.types.get(usize::from(kind.0))?;
        Some(plan.get_or_init(|| TypePlan::compile(&self.definitions, kind, &|_| true)))
    }
}

/// A number that says which terms resources get: that of the encoding, the search parameters, and the own bases.
fn fingerprint(definitions: &Definitions, bases: &Bases) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    let mut add = |text: &str| {
        // FNV-1a, with a byte between texts.
        for byte in text.bytes().chain([0]) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
    };
    add(&ENCODING.to_string());
    for parameter in definitions.all_search_parameters() {
        add(&format!("{} {} {:?}", parameter.number, parameter.code, parameter.kind));
        add(&parameter.expression);
        parameter.bases.iter().for_each(|base| add(base));
        add(&format!("{:?}", parameter.components));
    }
    add(&format!("{bases:?}"));
    hash
}

impl Extractor {
    /// A number that says which terms resources get now. The same in every process.
    pub fn fingerprint(&self) -> u64 {
        self.state().fingerprint
    }

    /// Which search parameters were added ([`Definitions::custom_mark`]), and the fingerprint, of one moment.
    pub fn marks(&self) -> (u64, u64) {
        let state = self.state();
        (state.definitions.custom_mark(), state.fingerprint)
    }

    /// An extractor for these definitions. References below one of the `bases` (absolute URLs of this server) are the
    /// same as relative ones.
    pub fn new(definitions: Arc<Definitions>, bases: Vec<String>) -> Extractor {
        let bases = Bases::new(bases);
        let state = RwLock::new(Arc::new(State::new(definitions, &bases)));
        Extractor { bases, state }
    }

    /// The definitions that resources get their terms by now.
    pub fn definitions(&self) -> Arc<Definitions> {
        self.state().definitions.clone()
    }

    /// From now on resources get their terms by these definitions, which have the same types.
    pub fn replace(&self, definitions: Arc<Definitions>) {
        let state = Arc::new(State::new(definitions, &self.bases));
        *self.state.write() = state;
    }

    /// From now on resources get their terms by what is made of the present definitions; nobody else can replace them
    /// in between. None leaves them as they are.
    pub fn change(&self, change: impl FnOnce(&Definitions) -> Option<Definitions>) {
        let mut state = self.state.write();
        if let Some(changed) = change(&state.definitions) {
            *state = Arc::new(State::new(Arc::new(changed), &self.bases));
        }
    }

    fn state(&self) -> Arc<State> {
        self.state.read().clone()
    }

    /// [`Extractor::extract`], and what was left out because it is too much.
    pub fn extract_marked(&self, kind: TypeId, resource: Value<'_>) -> Extracted {
        self.extract_by(&self.state(), kind, resource)
    }

    /// The terms of a resource under all parameters but `_id` and `_lastUpdated`, and those of what it contains.
    pub fn extract(&self, kind: TypeId, resource: Value<'_>) -> Terms {
        self.extract_by(&self.state(), kind, resource).terms
    }

    fn extract_by(&self, state: &State, kind: TypeId, resource: Value<'_>) -> Extracted {
        let schema = state.fingerprint;
        let Some(plan) = state.plan(kind) else { return Extracted { schema, ..Extracted::default() } };
        let mut sink = Sink::for_terms();
        self.own(&state.definitions, plan, kind, resource, true, &mut sink);
        let inner = inside(&state.definitions, resource);
        if inner.len() > usize::from(contained::MOST) {
            sink.note(Cut { parameter: None, what: Omitted::Contained });
        }
        let mut cut = sink.cut();
        let mut terms = sink.into_terms();
        for (place, (kind, inner)) in inner.into_iter().take(usize::from(contained::MOST)).enumerate() {
            let head = contained::head(place as u8, state.definitions.name(kind));
            let behind = |term: &Term| Term([&head[..], &term.0].concat().into());
            let (found, left_out) = self.contained_by(state, kind, inner, MOST_TERMS.saturating_sub(terms.len()));
            terms.extend(found.as_slice().iter().map(behind));
            cut.extend(left_out);
        }
        Extracted { terms: Terms::new(terms), schema, cut }
    }

    /// Compiles some parameters of a resource type, by their numbers.
    pub fn selection(&self, kind: TypeId, parameters: &[u16]) -> Selection {
        let mut plan = TypePlan::compile(&self.definitions(), kind, &|number| parameters.contains(&number));
        let wanted = |number: Option<u16>| number.filter(|number| parameters.contains(number));
        plan.words = (wanted(plan.words.0), wanted(plan.words.1));
        Selection(plan)
    }

    /// The terms of a resource under the parameters of a selection for its type, but for `_id` and `_lastUpdated` and
    /// without those of what it contains.
    pub fn extract_selected(&self, selection: &Selection, kind: TypeId, resource: Value<'_>) -> Terms {
        let mut sink = Sink::for_terms();
        let words = selection.0.words != (None, None);
        self.own(&self.definitions(), &selection.0, kind, resource, words, &mut sink);
        Terms::new(sink.into_terms())
    }

    /// The resources that a resource contains, as far as they are found by search.
    pub fn contained<'d>(&self, resource: Value<'d>) -> Vec<(TypeId, Value<'d>)> {
        let mut inside = inside(&self.definitions(), resource);
        inside.truncate(usize::from(contained::MOST));
        inside
    }

    /// The terms of a contained resource: without words, which are those of what contains it.
    pub fn extract_contained(&self, kind: TypeId, resource: Value<'_>) -> Terms {
        self.contained_by(&self.state(), kind, resource, MOST_TERMS).0
    }

    /// So many of the terms of a contained resource at most, and what was left out.
    fn contained_by(&self, state: &State, kind: TypeId, resource: Value<'_>, room: usize) -> (Terms, Vec<Cut>) {
        let Some(plan) = state.plan(kind) else { return (Terms::default(), Vec::new()) };
        let mut sink = Sink::with_room(room);
        self.own(&state.definitions, plan, kind, resource, false, &mut sink);
        let cut = sink.cut();
        let mut terms = sink.into_terms();
        if let Some(id) = resource.get("id").and_then(Value::as_str) {
            terms.extend(plan.id.map(|parameter| id_term(parameter, &id)));
        }
        (Terms::new(terms), cut)
    }

    fn own(
        &self,
        definitions: &Definitions,
        plan: &TypePlan,
        kind: TypeId,
        resource: Value<'_>,
        with_words: bool,
        sink: &mut Sink,
    ) {
        let context = Context { definitions, bases: &self.bases };
        let mut seen = vec![false; plan.parameters.len()];
        plan.plan.walk(resource, &mut |action, found| {
            sink.begin(action.parameter);
            action.encoder.encode(&context, found, sink);
            seen[action.slot] = true;
        });
        plan.composites.extract(&context, resource, sink);
        let present = plan.parameters.iter().zip(&seen).filter(|(_, seen)| **seen);
        let mut present: Vec<u16> = present.map(|(number, _)| *number).collect();
        if with_words {
            present.extend(words::extract(definitions, kind, resource, plan.words, sink));
        }
        present.sort_unstable();
        sink.put_shape(present.into_iter());
    }

    /// Adds the terms of `_id` and `_lastUpdated`.
    pub fn stamp(&self, terms: &mut Terms, kind: TypeId, id: &ResourceId, updated: Timestamp) {
        let state = self.state();
        let Some(plan) = state.plan(kind) else { return };
        if let Some(parameter) = plan.id {
            terms.insert(id_term(parameter, id.as_str()));
        }
        if let Some(parameter) = plan.last_updated {
            // As precise as it is written in the resource: milliseconds.
            let start = updated.0.div_euclid(1_000) * 1_000;
            let mut bytes = encode::head(parameter, encode::DATE).to_vec();
            encode::push_date(start, start.saturating_add(1_000), &mut bytes);
            terms.insert(Term(bytes.into()));
        }
    }

    /// The resource of this server that a reference by its text points to, as a search for it would find it: relative,
    /// or absolute under an own base, with a version or without.
    pub fn local(&self, reference: &str) -> Option<(TypeId, ResourceId)> {
        let of = |text| self.bases.local(&Reference::parse(text)).map(|(kind, id)| (kind.to_owned(), id.to_owned()));
        let (kind, id) = match Reference::parse(reference) {
            Reference::Canonical { url, .. } => of(url),
            _ => of(reference),
        }?;
        Some((self.definitions().resource(&kind)?, ResourceId::new(&id)?))
    }

    /// The resources of this server that a resource refers to under a reference parameter, each once, and the versions
    /// of them that it names.
    pub fn references(&self, kind: TypeId, resource: Value<'_>, parameter: u16) -> Vec<Referred> {
        let state = self.state();
        let plan = state.plan_of(kind, parameter);
        let context = Context { definitions: &state.definitions, bases: &self.bases };
        let mut sink = Sink::for_terms();
        plan.plan.walk(resource, &mut |action, found| {
            sink.begin(action.parameter);
            action.encoder.encode(&context, found, &mut sink);
        });
        let terms = sink.into_terms();
        let mut targets = Vec::new();
        for (place, term) in terms.iter().enumerate() {
            let Some((name, id)) = super::target_of(term) else { continue };
            // A version stands behind what it is a version of.
            let named = terms.get(place + 1).and_then(version_of);
            let version = named.filter(|(kind, of, _)| (*kind, *of) == (name, id)).map(|(_, _, version)| version);
            if let (Some(kind), Some(id)) = (state.definitions.resource(name), ResourceId::new(id)) {
                let referred = Referred { kind, id, version };
                if !targets.contains(&referred) {
                    targets.push(referred);
                }
            }
        }
        targets
    }

    /// The elements of a resource itself, not of what is inside them, in which a reference to a resource of the type
    /// `target` is found by a parameter, whatever else stands in the resource.
    pub fn plain_references(&self, kind: TypeId, parameter: u16, target: &str) -> Vec<Box<str>> {
        let definitions = self.definitions();
        let Some(parameter) = definitions.search_parameters.get(usize::from(parameter)) else { return Vec::new() };
        let start = Start { resource: kind, context: None };
        let Ok(branches) = branches(&definitions, start, &parameter.expression) else { return Vec::new() };
        let refers = |step: &Step| matches!(step, Step::Guard(Predicate::Refers(name)) if **name == *target);
        let element = |branch: Branch| match branch.steps.split_first() {
            Some((Step::Property(name), guards))
                if &*branch.type_name == "Reference" && branch.condition.is_none() && guards.iter().all(refers) =>
            {
                Some(name.clone())
            }
            _ => None,
        };
        branches.into_iter().filter_map(element).collect()
    }

    /// The parameters of a resource type whose expression cannot be compiled, and why. Those without an expression
    /// are not meant to be extracted and are not among them.
    pub fn problems(&self, kind: TypeId) -> Vec<(u16, CompileError)> {
        self.state().plan(kind).map_or(Vec::new(), |plan| plan.problems.clone())
    }
}

/// The resources that a resource contains, of types that there are.
fn inside<'d>(definitions: &Definitions, resource: Value<'d>) -> Vec<(TypeId, Value<'d>)> {
    let inner = resource.get("contained").into_iter().flat_map(Value::items);
    let known = inner.filter_map(|inner| {
        let name = inner.get("resourceType").and_then(Value::as_str)?;
        Some((definitions.resource(&name)?, inner))
    });
    known.collect()
}

/// Why a parameter cannot be extracted from resources of a type; none if it can.
pub(super) fn problems_of(definitions: &Definitions, kind: TypeId, number: u16) -> Option<CompileError> {
    TypePlan::compile(definitions, kind, &|other| other == number).problems.pop().map(|(_, error)| error)
}

impl TypePlan {
    fn compile(definitions: &Definitions, kind: TypeId, wanted: &dyn Fn(u16) -> bool) -> TypePlan {
        let number = |code| definitions.search_parameter(kind, code).map(|parameter| parameter.number);
        let mut plan = TypePlan {
            plan: Plan::default(),
            composites: Composites::default(),
            parameters: Vec::new(),
            id: number("_id"),
            last_updated: number("_lastUpdated"),
            words: (number("_text"), number("_content")),
            problems: Vec::new(),
        };
        let mut parameters = definitions.indexed_parameters_of(kind);
        parameters.sort_by_key(|parameter| parameter.number);
        for parameter in parameters {
            let stamped = matches!(&*parameter.code, "_id" | "_lastUpdated");
            if stamped || !wanted(parameter.number) || parameter.expression.is_empty() {
                continue;
            }
            if let Err(error) = plan.add(definitions, kind, parameter) {
                plan.problems.push((parameter.number, error));
            }
        }
        plan
    }

    fn add(
        &mut self,
        definitions: &Definitions,
        kind: TypeId,
        parameter: &SearchParameter,
    ) -> Result<(), CompileError> {
        let start = Start { resource: kind, context: None };
        let branches = branches(definitions, start, &parameter.expression)?;
        if branches.is_empty() {
            return Err(CompileError { at: 0, message: "no part of it is about this resource type".to_owned() });
        }
        if parameter.kind == SearchKind::Composite {
            return self.composites.add(definitions, kind, parameter, &branches);
        }
        let slot = self.parameters.len();
        self.parameters.push(parameter.number);
        for branch in &branches {
            let encoder = Encoder::for_branch(definitions, parameter.kind, branch);
            if !self.plan.add(branch, Action { parameter: parameter.number, slot, encoder }) {
                return Err(CompileError { at: 0, message: "a guard on the resource itself is not supported".into() });
            }
        }
        Ok(())
    }
}

/// The branches of an expression; where an extension is at the end, its values are meant.
pub(super) fn branches(
    definitions: &Definitions,
    start: Start<'_>,
    expression: &str,
) -> Result<Vec<Branch>, CompileError> {
    let tree = parse(expression).map_err(|error| CompileError { at: error.at, message: error.message })?;
    let branches = compile(definitions, start, &tree)?;
    let values = branches.into_iter().flat_map(|branch| match &*branch.type_name {
        "Extension" => branch.member(definitions, "value"),
        _ => vec![branch],
    });
    Ok(values.collect())
}
