//! Why a parameter is not used, and what follows from it under either handling (R4 search.html#errors).

use super::Handling;
use crate::base::{Issue, IssueCode, Severity};

/// Why a parameter is not used.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It has no value: ignored, always with a warning.
    Empty(Issue),
    /// Not known or not served here: an error if handling is strict, else ignored with a warning.
    Unusable(Issue),
    /// Known but wrong, so that ignoring it would answer another question: always an error.
    Illegal(Issue),
    /// It would become too much work: always an error, and for all of the parameter.
    TooCostly(Issue),
}

impl Refusal {
    pub fn empty(name: &str) -> Refusal {
        Refusal::Empty(Issue::warning(IssueCode::Value, format!("the parameter '{}' has no value", brief(name))))
    }

    pub fn unusable(diagnostics: impl Into<String>) -> Refusal {
        Refusal::Unusable(Issue::error(IssueCode::NotSupported, diagnostics))
    }

    pub fn illegal(diagnostics: impl Into<String>) -> Refusal {
        Refusal::Illegal(Issue::error(IssueCode::Invalid, diagnostics))
    }

    pub fn value(name: &str, value: &str, wanted: &str) -> Refusal {
        let diagnostics = format!("'{}': '{}' is not {wanted}", brief(name), brief(value));
        Refusal::Illegal(Issue::error(IssueCode::Value, diagnostics))
    }

    pub fn too_costly(diagnostics: impl Into<String>) -> Refusal {
        Refusal::TooCostly(Issue::error(IssueCode::TooCostly, diagnostics))
    }

    /// The same, with the name of the control parameter in front.
    pub fn within(mut self, control: &str) -> Refusal {
        let (Refusal::Empty(issue) | Refusal::Unusable(issue) | Refusal::Illegal(issue) | Refusal::TooCostly(issue)) =
            &mut self;
        issue.diagnostics.insert_str(0, &format!("'{control}': "));
        self
    }

    /// The issue: an error, or the warning that goes with the answer.
    pub fn into_issue(self, handling: Handling) -> Issue {
        match self {
            Refusal::Empty(issue) | Refusal::Illegal(issue) | Refusal::TooCostly(issue) => issue,
            Refusal::Unusable(issue) if handling == Handling::Strict => issue,
            Refusal::Unusable(mut issue) => {
                issue.severity = Severity::Warning;
                issue.diagnostics.push_str(" (ignored)");
                issue
            }
        }
    }
}

/// The beginning of a text of the client, for messages.
pub(super) fn brief(text: &str) -> String {
    const MOST: usize = 80;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
