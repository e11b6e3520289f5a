//! Floor 4: which terms a resource has under which search parameter, and what a search condition over terms means.
//! Every store indexes the same terms and answers the same conditions; `Condition::matches` is their plain meaning.
//! How a store finds matches quickly is not known here.

mod condition;
pub mod criteria;
#[allow(dead_code)] // the extractor comes next
mod encode;
mod fold;
mod sort;
mod target;
mod term;

pub use condition::{Condition, Range, Related, Test};
pub use criteria::Comparator;
pub use sort::{SortRange, sort_key};
pub use target::{id_of, id_term, reference_term, target_of};
pub use term::{Term, Terms};
