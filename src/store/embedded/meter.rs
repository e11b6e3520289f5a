//! What a search has cost so far. Loops count what they look at; now and then the budget of the query is asked. Once
//! it is used up every loop ends early, and what was found is thrown away.

use crate::store::{Budget, Limit};
use std::cell::Cell;

/// Rows between two looks at the budget.
const STEP: u32 = 512;

/// Counts the rows that a search looks at.
pub struct Meter<'b> {
    budget: Option<&'b Budget>,
    counted: Cell<u32>,
    over: Cell<Option<Limit>>,
}

impl<'b> Meter<'b> {
    /// Of a budget.
    pub fn new(budget: &'b Budget) -> Meter<'b> {
        // A budget that ended before is not begun upon.
        Meter { budget: Some(budget), counted: Cell::new(0), over: Cell::new(budget.check().err()) }
    }

    /// Counts some rows; whether the search must end.
    #[inline]
    pub fn spend(&self, rows: u32) -> bool {
        let counted = self.counted.get().saturating_add(rows);
        self.counted.set(counted);
        if counted >= STEP { self.settle() } else { self.over.get().is_some() }
    }

    fn settle(&self) -> bool {
        let counted = self.counted.replace(0);
        if let Some(Err(limit)) = self.budget.map(|b| b.spend(counted.into())) {
            self.over.set(Some(limit));
        }
        self.over.get().is_some()
    }

    /// Whether the search must end.
    pub fn is_over(&self) -> bool {
        self.over.get().is_some()
    }

    /// The end of the search: which limit was reached, if one was.
    pub fn finish(&self) -> Result<(), Limit> {
        self.settle();
        self.over.get().map_or(Ok(()), Err)
    }
}
