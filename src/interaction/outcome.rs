//! Issues as an OperationOutcome (R4 operationoutcome.html), failures of the store as failures of an interaction, and
//! the status texts that `Bundle.entry.response.status` needs. Writes no headers and sends nothing.

use super::Effect;
use crate::base::{Failure, FailureKind, Issue, IssueCode, Severity};
use crate::json::escape_into;
use crate::store::{Limit, StoreError};

/// The OperationOutcome of some issues as JSON. Without any it says that all is well (`issue` is mandatory).
pub fn write(issues: &[Issue]) -> String {
    let mut out = String::with_capacity(64 + 128 * issues.len());
    out.push_str("{\"resourceType\":\"OperationOutcome\",\"issue\":[");
    if issues.is_empty() {
        write_issue(&Issue::new(Severity::Information, IssueCode::Informational, "no issues"), &mut out);
    }
    // The worst first, else in the order in which they were found.
    let mut issues: Vec<&Issue> = issues.iter().collect();
    issues.sort_by_key(|issue| issue.severity);
    for (i, issue) in issues.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        write_issue(issue, &mut out);
    }
    out.push_str("]}");
    out
}

fn write_issue(issue: &Issue, out: &mut String) {
    out.push('{');
    if let Some(position) = issue.position {
        const PLACES: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-issue-";
        out.push_str(&format!(
            "\"extension\":[{{\"url\":\"{PLACES}line\",\"valueInteger\":{}}},{{\"url\":\"{PLACES}col\",\"valueInteger\":{}}}],",
            position.line, position.column
        ));
    }
    out.push_str(&format!("\"severity\":\"{}\",\"code\":\"{}\"", issue.severity.code(), issue.code.code()));
    if let Some(details) = &issue.details {
        if issue.position.is_none() {
            const ID: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id";
            out.push_str(&format!(",\"extension\":[{{\"url\":\"{ID}\",\"valueString\":\"{}\"}}]", details.id));
        }
        out.push_str(",\"details\":{");
        if !details.kind.is_empty() {
            const KINDS: &str = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type";
            out.push_str(&format!("\"coding\":[{{\"system\":\"{KINDS}\",\"code\":\"{}\"}}],", details.kind));
        }
        out.push_str("\"text\":");
        escape_into(&details.text, out);
        out.push('}');
    }
    if !issue.diagnostics.is_empty() {
        out.push_str(",\"diagnostics\":");
        escape_into(&issue.diagnostics, out);
    }
    if let Some(expression) = &issue.expression {
        out.push_str(",\"expression\":[");
        // What is no path into a resource is a parameter or header of the request (R4 operationoutcome.html).
        if expression.starts_with(|c: char| c.is_ascii_uppercase()) {
            escape_into(expression, out);
        } else {
            escape_into(&format!("http.{expression}"), out);
        }
        out.push(']');
    }
    out.push('}');
}

/// The failure that a failure of the store means for an interaction.
pub(crate) fn of_store(error: StoreError) -> Failure {
    match error {
        StoreError::VersionConflict { .. } => Failure::new(
            FailureKind::Conflict,
            IssueCode::Conflict,
            "another client changed the resource at the same time; read it again",
        ),
        StoreError::GuardFailed(_) => Failure::new(
            FailureKind::Conflict,
            IssueCode::Conflict,
            "other clients keep changing what the criteria match; try again",
        ),
        StoreError::ItemConflict { .. } => {
            Failure::new(FailureKind::Conflict, IssueCode::Conflict, "somebody else changed the same at the same time")
        }
        StoreError::Full => {
            Failure::new(FailureKind::StoreFull, IssueCode::NoStore, "there is no room left in the store")
        }
        StoreError::Unavailable(why) | StoreError::Undecided(why) => {
            Failure::new(FailureKind::Unavailable, IssueCode::Transient, why)
        }
        StoreError::TooLarge(bound) => Failure::new(FailureKind::TooLarge, IssueCode::TooLong, bound),
        StoreError::Refused(failure) => *failure,
        StoreError::Exceeded(limit) => exceeded(limit),
        StoreError::UnknownPosition => Failure::new(
            FailureKind::Gone,
            IssueCode::Expired,
            "this page link cannot be followed any more; search again",
        ),
        StoreError::Broken(why) => Failure::internal(why),
    }
}

/// The failure where a search costs more than it may.
fn exceeded(limit: Limit) -> Failure {
    let what = match limit {
        Limit::Time => "takes longer than this server allows",
        Limit::Rows => "has to look at more resources than this server allows",
        Limit::Cancelled => {
            return Failure::new(
                FailureKind::Unavailable,
                IssueCode::Transient,
                "nobody waits for the answer any more",
            );
        }
    };
    let reason = format!("what was asked for {what}; narrow it, for example by a patient, a date or a code");
    Failure::new(FailureKind::TooCostly, IssueCode::TooCostly, reason)
}

/// The HTTP status of a failure, as a batch response has to name it (R4 http.html, tables of each interaction).
pub fn status_of(kind: FailureKind) -> (u16, &'static str) {
    match kind {
        FailureKind::Malformed => (400, "Bad Request"),
        FailureKind::Unauthenticated => (401, "Unauthorized"),
        FailureKind::Forbidden => (403, "Forbidden"),
        FailureKind::NotFound => (404, "Not Found"),
        FailureKind::NotAllowed => (405, "Method Not Allowed"),
        FailureKind::NotAcceptable => (406, "Not Acceptable"),
        FailureKind::Conflict => (409, "Conflict"),
        FailureKind::Gone => (410, "Gone"),
        FailureKind::PreconditionFailed => (412, "Precondition Failed"),
        FailureKind::TooLarge => (413, "Content Too Large"),
        FailureKind::UnsupportedMedia => (415, "Unsupported Media Type"),
        FailureKind::Unprocessable | FailureKind::NotSupported | FailureKind::TooCostly => {
            (422, "Unprocessable Content")
        }
        FailureKind::Internal => (500, "Internal Server Error"),
        FailureKind::Unavailable => (503, "Service Unavailable"),
        FailureKind::StoreFull => (507, "Insufficient Storage"),
    }
}

/// The HTTP status of an effect.
pub fn status_of_effect(effect: Effect) -> (u16, &'static str) {
    match effect {
        Effect::Ok => (200, "OK"),
        Effect::Created => (201, "Created"),
        Effect::NoContent => (204, "No Content"),
        Effect::NotModified => (304, "Not Modified"),
    }
}
