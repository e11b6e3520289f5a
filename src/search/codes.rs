//! What a search has to know of terminology: the codes of a value set (`:in`, `:not-in`) and the codes below or above
//! another (`:below`, `:above`). It is not looked up here: a plan says what it wants, somebody finds it, and the plan is
//! made again with it.

use parking_lot::Mutex;
use rustc_hash::FxHashMap;

/// Which codes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CodesOf {
    /// Those of a value set: its canonical, or `ValueSet/[id]`.
    ValueSet,
    /// A code, `system|code`, and those below it.
    Below,
    /// A code, `system|code`, and those above it.
    Above,
}

/// Codes with their systems.
pub type CodeList = Vec<(String, String)>;

/// What is known, and what was asked for and is not known.
#[derive(Debug, Default)]
pub struct Codes {
    known: FxHashMap<(CodesOf, String), Result<CodeList, String>>,
    wanted: Mutex<Vec<(CodesOf, String)>>,
}

impl Codes {
    /// These answers: codes, or why there are none.
    pub fn of(known: impl IntoIterator<Item = ((CodesOf, String), Result<CodeList, String>)>) -> Codes {
        Codes { known: known.into_iter().collect(), wanted: Mutex::default() }
    }

    /// What a plan asked for that was not known.
    pub fn wanted(&self) -> Vec<(CodesOf, String)> {
        self.wanted.lock().clone()
    }

    /// The codes; an error says why there are none.
    pub(super) fn find(&self, of: CodesOf, what: &str) -> Result<CodeList, String> {
        let key = (of, what.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut wanted = self.wanted.lock();
        if !wanted.contains(&key) {
            wanted.push(key);
        }
        Err("value sets and hierarchies of codes cannot be looked up here".to_owned())
    }
}
