//! What verifying a store found.

/// Faults that are listed by word; the rest is only counted.
const LISTED: usize = 1000;

/// What a check found.
#[derive(Debug, Default)]
pub struct CheckReport {
    /// Versions that were looked at.
    pub versions: u64,
    /// Resources, deleted ones included.
    pub resources: u64,
    /// Number of faults.
    pub faults: u64,
    /// What the first of them are.
    pub listed: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults == 0
    }

    /// Adds that the store is an unfinished copy, with what its note says: whatever else is found, it is not whole.
    pub(in crate::store) fn unfinished(&mut self, from: &[u8]) {
        let from = String::from_utf8_lossy(from);
        self.fault(|| format!("unfinished copy of {from}: end it with the command that began it, or remove it"));
    }

    /// Adds a fault.
    pub(in crate::store) fn fault(&mut self, what: impl FnOnce() -> String) {
        self.faults += 1;
        if self.listed.len() < LISTED {
            self.listed.push(what());
        }
    }
}
