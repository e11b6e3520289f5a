//! Floor 0: what every other room speaks of: issues, failures, identities, the clock, the source of ids and whom the machine trusts.

mod clock;
mod failure;
mod identity;
mod issue;
mod trust;

pub use clock::{Clock, SystemClock, Timestamp};
pub use failure::{Failure, FailureKind};
pub use identity::{IdSource, RandomIds, ResourceId, TenantId};
pub use issue::{Issue, IssueCode, IssueDetails, Outcome, Severity, TextPosition};
pub use trust::{agent, roots};

/// Says that a test was skipped, where `cargo test` shows it: what the macros print is kept back.
#[cfg(test)]
pub(crate) fn skipped(why: std::fmt::Arguments<'_>) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
