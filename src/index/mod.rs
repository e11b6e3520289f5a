//! Floor 4: which terms a resource has under which search parameter, and what a search condition over terms means.
//! Every store indexes the same terms and answers the same conditions; `Condition::matches` is their plain meaning.
//! How a store finds matches quickly is not known here.

mod condition;
mod term;

pub use condition::{Condition, Range, Related, Test};
pub use term::{Term, Terms};
