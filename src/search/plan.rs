//! The plan of a search: what the store is asked and what the answer shall hold. Reads the pairs one by one and
//! leaves each to the file that knows it.

use super::codes::Codes;
use super::compartment::{self, compartment_condition};
use super::cursor::{self, Cursor};
use super::filter::{Filters, Leaf};
use super::filter_test;
use super::include::Include;
use super::leaf;
use super::query::{encode, pairs, too_many};
use super::refusal::{Refusal, brief};
use super::relation;
use super::result::{Controls, control};
use super::seal::Seal;
use super::suggest::hint;
use crate::base::{Failure, FailureKind, Issue, IssueCode, ResourceId, Severity, Timestamp};
use crate::definitions::{Definitions, TypeId};
use crate::index::{self, Condition};
use crate::store::{Budget, Query, Sort};
use std::sync::Arc;

/// Most pairs of one query string.
pub const MAX_PARAMETERS: usize = 1000;

/// What is searched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All types, or those of `_type`.
    System,
    /// One type.
    Type(TypeId),
    /// A compartment: one type in it, or all (`*`).
    Compartment {
        /// The type of the compartment.
        compartment: TypeId,
        /// Whose compartment.
        id: ResourceId,
        /// The type searched in it; none for `*`.
        kind: Option<TypeId>,
    },
}

/// What is done with parameters that cannot be used (R4 search.html#errors).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Handling {
    /// The search is refused.
    Strict,
    /// They are left out, with a warning.
    #[default]
    Lenient,
}

/// What a plan depends on besides the parameters.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is done with parameters that cannot be used.
    pub handling: Handling,
    /// Absolute bases of this server, without a slash at the end: references under them are the same as relative ones.
    pub bases: Vec<String>,
    /// The present moment (for `ap` on dates).
    pub now: Timestamp,
    /// Rows of a page where `_count` is not given.
    pub default_count: usize,
    /// Most rows of a page; a larger `_count` is lowered to it.
    pub max_count: usize,
    /// What is known of terminology; what is wanted of it is noted there.
    pub codes: Arc<Codes>,
    /// What page links are sealed with.
    pub seal: Seal,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            handling: Handling::default(),
            bases: Vec::new(),
            now: Timestamp::default(),
            default_count: 50,
            max_count: 1000,
            codes: Arc::default(),
            seal: Seal::default(),
        }
    }
}

/// How much of each resource the answer shows (R4 search.html#summary). `_summary=false` is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    /// `true`: the elements marked as summary.
    True,
    /// `text`: text, id, meta and mandatory top-level elements.
    Text,
    /// `data`: all but text.
    Data,
    /// `count`: no resources, only the total. Also for `_count=0`.
    Count,
}

/// Whether the total is told (R4 search.html#total).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Total {
    /// `none`
    None,
    /// `estimate`; an accurate one may be given.
    Estimate,
    /// `accurate`, also where `_total` is not given.
    #[default]
    Accurate,
}

/// What is asked of contained resources (R4 search.html#contained).
#[derive(Clone, Debug)]
pub struct Contained {
    /// Their type.
    pub kind: TypeId,
    /// What is asked of each.
    pub condition: Condition,
    /// Whether the contained resources are the answer (`_containedType=contained`), and not what contains them.
    pub themselves: bool,
    /// Whether resources that stand alone are looked for as well (`both`).
    pub both: bool,
}

/// What a search is, once its parameters are read.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What is searched.
    pub scope: Scope,
    /// The types looked in; at least one.
    pub kinds: Vec<TypeId>,
    /// What is asked, the compartment included.
    pub condition: Condition,
    /// The order; empty: as stored.
    pub sort: Vec<Sort>,
    /// Rows of a page at most; 0 if only the total is wanted.
    pub count: usize,
    /// Where the page begins, if it is not the first: search in a snapshot at its position.
    pub cursor: Option<Cursor>,
    /// `_include`
    pub includes: Vec<Include>,
    /// `_revinclude`
    pub revincludes: Vec<Include>,
    /// `_summary`; [`Summary::Count`] also for `_count=0`.
    pub summary: Option<Summary>,
    /// `_elements`: names of top-level elements (without `[x]`); empty: all.
    pub elements: Vec<String>,
    /// `_total`
    pub total: Total,
    /// `_contained`, where contained resources are looked for.
    pub contained: Option<Contained>,
    /// `_explain=true`: how the search was read is told with the answer.
    pub explain: bool,
    /// The parameters that were used, decoded, in order (for the self link); without `_page`.
    pub applied: Vec<(String, String)>,
    /// What was left out or noticed: warnings.
    pub issues: Vec<Issue>,
    /// When the search began (now, or what the cursor says).
    pub began: Timestamp,
    /// What a cursor belongs to: scope and filters, as text.
    pub(super) fingerprint: String,
    /// What its page links are sealed with.
    pub(super) seal: Seal,
}

impl Plan {
    /// What the store is asked for this page, in a snapshot at the cursor's position if there is a cursor.
    pub fn query(&self, budget: Budget) -> Query {
        let after = self.cursor.and_then(|c| c.after).filter(|_| self.sort.is_empty());
        Query {
            kinds: self.kinds.clone(),
            condition: self.condition.clone(),
            sort: self.sort.clone(),
            after,
            skip: if after.is_some() { 0 } else { self.cursor.map_or(0, |c| c.offset) },
            limit: self.count,
            total: self.counts() && self.cursor.is_none_or(|c| c.total.is_none()),
            budget,
        }
    }

    /// Whether the answer has a total. (With a cursor it may hold it already: [`Cursor::total`].)
    pub fn counts(&self) -> bool {
        self.total != Total::None || self.summary == Some(Summary::Count)
    }
}

/// Makes the plan of a search.
pub fn plan(
    definitions: &Definitions,
    scope: &Scope,
    parameters: &[(String, String)],
    options: &Options,
) -> Result<Plan, Failure> {
    plan_with(definitions, scope, parameters, options, leaf::condition)
}

/// The same with another way to make conditions of questions, for tests.
pub(super) fn plan_with(
    definitions: &Definitions,
    scope: &Scope,
    parameters: &[(String, String)],
    options: &Options,
    leaf: Leaf,
) -> Result<Plan, Failure> {
    if parameters.len() > MAX_PARAMETERS {
        return Err(too_many());
    }
    let (cursor, belongs) = page(parameters, &options.seal)?.map_or((None, None), |(c, b)| (Some(c), Some(b)));
    let began = cursor.map_or(options.now, |c| c.began);
    let mut kinds = kinds(definitions, scope, parameters)?;
    let mut draft = Draft::new(definitions, &kinds, options, began, leaf);
    for (name, value) in parameters.iter().filter(|(name, _)| name != PAGE) {
        draft.read(scope, name, value);
    }
    draft.refuse(draft.controls.contradiction());
    let conditions = draft.finish()?;
    let within = match scope {
        Scope::Compartment { compartment, id, .. } => compartment_condition(definitions, *compartment, id, &kinds)?,
        _ => Condition::Everything,
    };
    let fingerprint = draft.fingerprint(scope);
    if belongs.is_some_and(|sum| sum != cursor::sum(&fingerprint)) {
        return Err(cursor::broken());
    }
    let Draft { controls, applied, issues, .. } = draft;
    let mut condition = Condition::all([within].into_iter().chain(conditions));
    let contained = contained(definitions, scope, &controls, &condition)?;
    if let Some((contained, inside)) = &contained {
        let alone = Condition::all([Condition::Kind(contained.kind), condition]);
        condition = Condition::any([Some(inside.clone()), contained.both.then_some(alone)].into_iter().flatten());
        kinds = definitions.resources.clone();
    }
    let nothing = controls.summary == Some(Summary::Count) || controls.count == Some(0);
    let plan = Plan {
        scope: scope.clone(),
        condition,
        contained: contained.map(|(contained, _)| contained),
        explain: controls.explain,
        sort: controls.sort,
        count: if nothing { 0 } else { controls.count.unwrap_or(options.default_count).min(options.max_count).max(1) },
        cursor,
        includes: controls.includes,
        revincludes: controls.revincludes,
        summary: if nothing { Some(Summary::Count) } else { controls.summary },
        elements: controls.elements,
        total: controls.total,
        applied,
        issues,
        began,
        fingerprint,
        seal: options.seal.clone(),
        kinds,
    };
    Ok(plan)
}

/// What is asked of contained resources, and the condition on those that contain them.
fn contained(
    definitions: &Definitions,
    scope: &Scope,
    controls: &Controls,
    condition: &Condition,
) -> Result<Option<(Contained, Condition)>, Failure> {
    let Some(both) = controls.contained else { return Ok(None) };
    let refuse = |reason: &str| Err(Failure::malformed(IssueCode::NotSupported, reason));
    let Scope::Type(kind) = scope else {
        return refuse("'_contained' is for searches on one type");
    };
    match index::contained(definitions.name(*kind), condition) {
        Some(inside) => {
            let themselves = controls.contained_themselves;
            Ok(Some((Contained { kind: *kind, condition: condition.clone(), themselves, both }, inside)))
        }
        None => refuse("'_contained' does not go with chains, '_has', '_list' and hierarchies of references"),
    }
}

/// The condition of conditional forms (R4 http.html#cond-update, #ccreate): `criteria` is a query string, still
/// encoded. Every parameter must be known and have a value (one that is left out would make the criteria match more
/// than is meant), and control parameters are refused.
pub fn criteria(
    definitions: &Definitions,
    kind: TypeId,
    criteria: &str,
    options: &Options,
) -> Result<Condition, Failure> {
    criteria_with(definitions, kind, criteria, options, leaf::condition)
}

pub(super) fn criteria_with(
    definitions: &Definitions,
    kind: TypeId,
    criteria: &str,
    options: &Options,
    leaf: Leaf,
) -> Result<Condition, Failure> {
    let parameters = pairs(criteria)?;
    let options = Options { handling: Handling::Strict, ..options.clone() };
    let kinds = [kind];
    let mut draft = Draft::new(definitions, &kinds, &options, options.now, leaf);
    // How the answer is written is no matter of the criteria, but may stand in the same query string.
    for (name, value) in parameters.iter().filter(|(name, _)| name != "_format" && name != "_pretty") {
        if control(name).is_some() || name == PAGE || name == "_type" {
            let reason = format!("'{}' is not a criterion of a conditional request", brief(name));
            draft.refuse(Some(Refusal::illegal(reason)));
        } else {
            draft.read(&Scope::Type(kind), name, value);
        }
    }
    // Strict as it is, only parameters without a value are left out with a warning.
    draft.issues.iter_mut().for_each(|issue| issue.severity = Severity::Error);
    let conditions = draft.finish()?;
    if conditions.is_empty() {
        return Err(Failure::malformed(IssueCode::Required, "a conditional request needs criteria"));
    }
    Ok(Condition::all(conditions))
}

/// The parameter of page links.
const PAGE: &str = "_page";

/// What `_page` says, with the sum of what it belongs to.
fn page(parameters: &[(String, String)], seal: &Seal) -> Result<Option<(Cursor, u32)>, Failure> {
    let mut pages = parameters.iter().filter(|(name, value)| name == PAGE && !value.is_empty());
    match (pages.next(), pages.next()) {
        (None, _) => Ok(None),
        (Some((_, text)), None) => Cursor::decode(text, seal).map(Some),
        _ => Err(cursor::broken()),
    }
}

/// The types that are searched.
fn kinds(definitions: &Definitions, scope: &Scope, parameters: &[(String, String)]) -> Result<Vec<TypeId>, Failure> {
    let all = match scope {
        Scope::Type(kind) | Scope::Compartment { kind: Some(kind), .. } => return Ok(vec![*kind]),
        Scope::System => definitions.resources.clone(),
        Scope::Compartment { compartment, kind: None, .. } => {
            compartment::members(definitions, compartment::of(definitions, *compartment)?)
        }
    };
    let wrong = |reason: String| Err(Failure::malformed(IssueCode::Value, reason));
    let mut values = parameters.iter().filter(|(name, value)| name == "_type" && !value.trim().is_empty());
    let Some((_, value)) = values.next() else { return Ok(all) };
    if values.any(|(_, other)| other != value) {
        return wrong("'_type' stands twice, with different values; several types are written with commas".to_owned());
    }
    let mut kinds = Vec::new();
    for name in value.split(',').map(str::trim).filter(|n| !n.is_empty()) {
        let Some(kind) = definitions.resource(name) else {
            let hint = hint(name, definitions.resources.iter().map(|r| definitions.name(*r)));
            return wrong(format!("'_type': there is no resource type '{}'{hint}", brief(name)));
        };
        if !all.contains(&kind) {
            return wrong(format!("'_type': {name} is not in this compartment"));
        }
        kinds.push(kind);
    }
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() { Ok(all) } else { Ok(kinds) }
}

/// A plan while its parameters are read.
struct Draft<'d> {
    kinds: &'d [TypeId],
    options: &'d Options,
    filters: Filters<'d>,
    controls: Controls,
    conditions: Vec<Condition>,
    applied: Vec<(String, String)>,
    issues: Vec<Issue>,
}

/// Most issues that an answer tells.
const MAX_ISSUES: usize = 50;

impl<'d> Draft<'d> {
    fn new(
        definitions: &'d Definitions,
        kinds: &'d [TypeId],
        options: &'d Options,
        now: Timestamp,
        leaf: Leaf,
    ) -> Self {
        Draft {
            kinds,
            options,
            filters: Filters::new(definitions, &options.bases, &options.codes, now, leaf),
            controls: Controls::default(),
            conditions: Vec::new(),
            applied: Vec::new(),
            issues: Vec::new(),
        }
    }

    /// Reads one parameter, whatever it is.
    fn read(&mut self, scope: &Scope, name: &str, value: &str) {
        if let Some(control) = control(name) {
            let read = self.controls.read(control, (name, value), self.kinds, &self.filters, self.options);
            self.applied.extend(read.used.map(|used| (name.to_owned(), used)));
            read.refusals.into_iter().for_each(|r| self.refuse(Some(r)));
            return;
        }
        match self.filter(scope, name, value) {
            Ok(condition) => {
                self.conditions.extend(condition);
                self.applied.push((name.to_owned(), value.to_owned()));
            }
            Err(refusal) => self.refuse(Some(refusal)),
        }
    }

    fn filter(&self, scope: &Scope, name: &str, value: &str) -> Result<Option<Condition>, Refusal> {
        let several = matches!(scope, Scope::System | Scope::Compartment { kind: None, .. });
        match name {
            "" => Err(Refusal::unusable("a search parameter has no name")),
            "_type" if value.trim().is_empty() => Err(Refusal::empty(name)),
            "_type" if several => Ok(None),
            "_type" => Err(Refusal::unusable("'_type' is for searches over several types")),
            "_list" => relation::listed(&self.filters, value).map(Some),
            "_not-referenced" => relation::not_referenced(&self.filters, self.kinds, value).map(Some),
            "_filter" if value.trim().is_empty() => Err(Refusal::empty(name)),
            "_filter" => filter_test::condition(&self.filters, self.kinds, value).map(Some),
            "_query" => Err(Refusal::illegal("'_query': this server defines no named query")),
            _ => self.filters.read(self.kinds, name, value).map(Some),
        }
    }

    fn refuse(&mut self, refusal: Option<Refusal>) {
        let issue = refusal.map(|r| r.into_issue(self.options.handling));
        let room = self.issues.len() < MAX_ISSUES;
        self.issues.extend(issue.filter(|i| room || i.is_error()));
    }

    /// The conditions, unless something must be refused.
    fn finish(&mut self) -> Result<Vec<Condition>, Failure> {
        if self.issues.iter().any(Issue::is_error) {
            self.issues.retain(Issue::is_error);
            self.issues.truncate(MAX_ISSUES);
            return Err(Failure::of(FailureKind::Malformed, std::mem::take(&mut self.issues)));
        }
        Ok(std::mem::take(&mut self.conditions))
    }

    /// What a page link belongs to: which resources in which order, as text that is the same in every process.
    fn fingerprint(&self, scope: &Scope) -> String {
        let name = |kind: &TypeId| self.filters.reader.definitions.name(*kind);
        let place = match scope {
            Scope::System => String::new(),
            Scope::Type(kind) => name(kind).to_owned(),
            Scope::Compartment { compartment, id, kind } => {
                format!("{}/{id}/{}", name(compartment), kind.as_ref().map_or("*", name))
            }
        };
        let chosen =
            self.applied.iter().filter(|(name, _)| control(name).is_none_or(|c| matches!(c, "_sort" | "_contained")));
        format!("{place}?{}", encode(chosen.map(|(n, v)| (n.as_str(), v.as_str()))))
    }
}
