//! How much is recorded.

/// How much the audit trail records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// Nothing.
    #[default]
    Off,
    /// Everything but reads and searches that succeeded.
    Writes,
    /// Everything.
    All,
}

impl Level {
    /// Whether anything is recorded.
    pub fn is_on(self) -> bool {
        self != Level::Off
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Level::Off => "off",
            Level::Writes => "writes",
            Level::All => "all",
        }
    }
}
