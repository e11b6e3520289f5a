//! The plan of a search: what the store is asked and what the answer shall hold. Reads the pairs one by one and
//! leaves each to the file that knows it.

use super::{Cursor, Include};
use crate::base::{Failure, Issue, ResourceId, Timestamp};
use crate::definitions::{Definitions, TypeId};
use crate::index::Condition;
use crate::store::{Query, Sort};

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
}

impl Default for Options {
    fn default() -> Self {
        Options {
            handling: Handling::default(),
            bases: Vec::new(),
            now: Timestamp::default(),
            default_count: 50,
            max_count: 1000,
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
    /// The parameters that were used, decoded, in order (for the self link); without `_page`.
    pub applied: Vec<(String, String)>,
    /// What was left out or noticed: warnings.
    pub issues: Vec<Issue>,
    /// When the search began (now, or what the cursor says).
    pub began: Timestamp,
    /// What a cursor belongs to: scope and filters, as text.
    pub(super) fingerprint: String,
}

impl Plan {
    /// What the store is asked for this page, in a snapshot at the cursor's position if there is a cursor.
    pub fn query(&self) -> Query {
        let after = self.cursor.and_then(|c| c.after).filter(|_| self.sort.is_empty());
        Query {
            kinds: self.kinds.clone(),
            condition: self.condition.clone(),
            sort: self.sort.clone(),
            after,
            skip: if after.is_some() { 0 } else { self.cursor.map_or(0, |c| c.offset) },
            limit: self.count,
            total: self.counts() && self.cursor.is_none_or(|c| c.total.is_none()),
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
    let _ = (definitions, scope, parameters, options);
    Err(Failure::internal("not yet"))
}

/// The condition of conditional forms (R4 http.html#cond-update, #ccreate): `criteria` is a query string, still
/// encoded. Every parameter must be known, control parameters are refused, and at least one must have a value.
pub fn criteria(
    definitions: &Definitions,
    kind: TypeId,
    criteria: &str,
    options: &Options,
) -> Result<Condition, Failure> {
    let _ = (definitions, kind, criteria, options);
    Err(Failure::internal("not yet"))
}
