//! Floor 6: from the parameters of a query string to a plan (R4 search.html): one condition over terms, an order, a
//! page, includes and what the answer shall hold. The condition, not the plan, says which resources match; how a
//! store finds them, and how the answer is written, is not known here, and nothing of HTTP either.
//!
//! 1. [`pairs`] takes a query string apart.
//! 2. [`plan()`] reads the pairs for a [`Scope`] and gives a [`Plan`]; [`criteria`] does it for conditional forms.
//! 3. [`Plan::query`] is what the store is asked; [`Plan::links`] are the links of the answer.

mod codes;
mod compartment;
mod cursor;
mod explain;
mod expression;
mod filter;
mod filter_test;
mod include;
mod leaf;
mod links;
mod modifier;
mod name;
mod near;
mod plan;
mod query;
mod refusal;
mod relation;
mod result;
mod seal;
mod sort;
mod suggest;
#[cfg(test)]
mod tests;
mod value;
mod words;

pub use codes::{CodeList, Codes, CodesOf};
pub use compartment::compartment_condition;
pub use cursor::Cursor;
pub use explain::Step;
pub use include::Include;
pub use links::{Links, Reached};
pub use plan::{Contained, Handling, MAX_PARAMETERS, Options, Plan, Scope, Summary, Total, criteria, plan};
pub use query::{encode, pairs, split, unescape};
pub use result::{NAMES as CONTROLS, top_level};
pub use seal::Seal;
pub use value::is_served;
