//! Failure: why an interaction was refused or could not be done. Knows no HTTP status: `http` maps the kinds.

use super::{Issue, IssueCode};

/// The kinds of failure that callers tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The request cannot be understood (syntax, parameters).
    Malformed,
    /// The resource breaks rules of FHIR or of this server.
    Unprocessable,
    /// No such resource, version, type or operation.
    NotFound,
    /// The resource was deleted.
    Gone,
    /// The address exists, the interaction is not allowed on it.
    NotAllowed,
    /// None of the formats asked for can be produced.
    NotAcceptable,
    /// The format sent cannot be read.
    UnsupportedMedia,
    /// A race was lost, or a rule on the state is broken.
    Conflict,
    /// If-Match, If-None-Match or criteria do not hold (no match or several).
    PreconditionFailed,
    /// Too large.
    TooLarge,
    /// The caller is not known.
    Unauthenticated,
    /// The caller may not do this.
    Forbidden,
    /// The server does not do this.
    NotSupported,
    /// Too expensive to answer.
    TooCostly,
    /// Not now; try again.
    Unavailable,
    /// No room left in the store.
    StoreFull,
    /// A defect or a broken store. The details are logged, not told.
    Internal,
}

/// Why a request failed: a kind for the caller's logic, issues for the developer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind.
    pub kind: FailureKind,
    /// At least one issue.
    pub issues: Vec<Issue>,
}

impl Failure {
    /// A failure with one issue without a place.
    pub fn new(kind: FailureKind, code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Failure { kind, issues: vec![Issue::error(code, diagnostics)] }
    }

    /// A failure from issues found elsewhere, the worst first: who reads one only reads why it was refused.
    pub fn of(kind: FailureKind, mut issues: Vec<Issue>) -> Self {
        issues.sort_by_key(|issue| issue.severity);
        Failure { kind, issues }
    }

    /// The request cannot be understood.
    pub fn malformed(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Failure::new(FailureKind::Malformed, code, diagnostics)
    }

    /// It is not there.
    pub fn not_found(diagnostics: impl Into<String>) -> Self {
        Failure::new(FailureKind::NotFound, IssueCode::NotFound, diagnostics)
    }

    /// A defect or a broken store; `detail` goes to the log, not to the client.
    pub fn internal(detail: impl std::fmt::Display) -> Self {
        tracing::error!(%detail, "internal failure");
        Failure::new(
            FailureKind::Internal,
            IssueCode::Exception,
            "internal error; the log of the server has the details",
        )
    }

    /// Sets the place of every issue that has none.
    pub fn at(mut self, expression: &str) -> Self {
        for issue in &mut self.issues {
            issue.expression.get_or_insert_with(|| expression.to_owned());
        }
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, issue) in self.issues.iter().enumerate() {
            write!(f, "{}{}", if place == 0 { "" } else { "; " }, issue.diagnostics)?;
            if let Some(place) = &issue.expression {
                write!(f, " ({place})")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}
