//! What a terminology answers, for those who only ask.

use crate::base::IssueCode;
use crate::json::Tree;
use std::sync::Arc;

/// What a terminology knows of a code in its code system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The code system is not known, or not all of it.
    Unknown,
    /// All codes of the system are known, and this is none of them.
    Missing,
    /// It is a code of the system; if a display was given that is none of it, the right one stands here.
    Known {
        /// The display to write in the place of the one that was given.
        instead_of_display: Option<String>,
    },
}

/// Why it is not known whether a code is in a value set, or what is wrong with a resource of terminology.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The kind of issue.
    pub code: IssueCode,
    /// In words, with the canonical.
    pub why: Arc<str>,
    /// The place in the resource of terminology.
    pub place: Option<Arc<str>>,
    /// Whether a code system or value set is not here, so that somebody else may know the answer.
    pub missing: bool,
}

/// Knows which codes are in which value sets.
pub trait Codes: Send + Sync {
    /// Whether a code is in a value set (canonical, with or without version); none if that is not known. Without a
    /// system any system of the value set is meant; an empty one says that the coding has none.
    fn contains(&self, value_set: &str, system: Option<&str>, version: Option<&str>, code: &str) -> Option<bool>;

    /// Why the last question has no answer. None where it has one, and where the specification leaves the codes to
    /// lists of others that nobody has whole.
    fn undecided(&self, _value_set: &str, _system: Option<&str>, _code: &str) -> Option<Unfit> {
        None
    }

    /// A code of one value set that is not in another; none where there is none, or where that is not known or would take
    /// long to find out.
    fn beyond(&self, _value_set: &str, _other: &str) -> Option<String> {
        None
    }

    /// What makes a CodeSystem or ValueSet unfit for use, if anything does.
    fn circle(&self, _resource: &Tree) -> Option<Unfit> {
        None
    }

    /// The same with what a resource contains, found under `#id`.
    fn with_contained<'c>(&'c self, _contained: &[Tree]) -> Option<Box<dyn Codes + 'c>> {
        None
    }

    /// The definition of a value set, cut down to what it takes from where, and behind it those of its imports; empty
    /// where it is not here.
    fn definition(&self, _value_set: &str) -> Vec<Tree> {
        Vec::new()
    }

    /// Whether a canonical (without version) is that of a value set or code system.
    fn knows(&self, _url: &str) -> bool {
        false
    }

    /// What is known of a code, and of a display that was given with it.
    fn standing(&self, _system: &str, _version: Option<&str>, _code: &str, _display: Option<&str>) -> Standing {
        Standing::Unknown
    }
}
