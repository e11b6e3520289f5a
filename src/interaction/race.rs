//! Races between writers: why a commit was refused, whether another try may succeed, and how often it is tried.

use super::outcome;
use crate::base::{Failure, FailureKind, IssueCode};
use crate::store::StoreError;

/// How often a write that lost a race is tried again. In every round at least one of the rivals succeeds.
pub(crate) const ATTEMPTS: usize = 200;

/// Why a commit was refused.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The store refused; a lost race may be tried again.
    Store(StoreError),
    /// The request is at fault.
    Failed(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Refused::Failed(failure)
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Store(error) => outcome::of_store(error),
            Refused::Failed(failure) => failure,
        }
    }
}

/// Whether another try may succeed.
pub(crate) fn lost_race(error: &StoreError) -> bool {
    matches!(error, StoreError::VersionConflict { .. } | StoreError::GuardFailed(_))
}

/// The failure after the last attempt.
pub(crate) fn too_many_races() -> Failure {
    Failure::new(
        FailureKind::Conflict,
        IssueCode::Conflict,
        "other clients keep writing to the same resources; try again later",
    )
}
