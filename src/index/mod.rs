//! Floor 4: which terms a resource has under which search parameter, and what a search condition over terms means.
//! Every store indexes the same terms and answers the same conditions; `Condition::matches` is their plain meaning.
//! How a store finds matches quickly is not known here.

mod composite;
mod condition;
mod contained;
pub mod criteria;
mod custom;
mod encode;
mod extract;
mod fold;
mod lead;
mod position;
mod sink;
mod sort;
mod target;
mod term;
mod values;
mod words;

pub use condition::{Alone, Condition, INSIDE, Range, Related, Test};
pub use contained::contained;
pub use criteria::Comparator;
pub use custom::{Defined, defined};
pub use extract::{Extracted, Extractor, Referred, Selection};
pub use lead::{ANY, Bounds, Lead, Leads, Limits, TOO_MANY};
pub use position::Position;
pub use sink::{Cut, Omitted};
pub use sort::{SortRange, sort_key};
pub use target::{id_of, id_term, reference_term, target_of};
pub use term::{Term, Terms, is_named, is_time};

#[cfg(test)]
mod tests;
