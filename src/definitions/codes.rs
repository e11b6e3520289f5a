//! What a terminology answers, for those who only ask.

/// Knows which codes are in which value sets.
pub trait Codes: Send + Sync {
    /// Whether a code is in a value set (canonical, with or without version); none if that is not known. Without a
    /// system any system of the value set is meant; an empty one says that the coding has none.
    fn contains(&self, value_set: &str, system: Option<&str>, version: Option<&str>, code: &str) -> Option<bool>;
}
