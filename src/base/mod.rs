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
pub use trust::roots;
