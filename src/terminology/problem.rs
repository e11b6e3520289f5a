//! What is wrong, as terminology servers say it: an issue with a code of its own kind, a stable message id and a place.

use super::CodeSystem;
use super::tree::canonical;
use crate::json::Tree;

/// The code system of the kinds of issues.
const KINDS: &str = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type";
/// The extension with the id of a message.
const MESSAGE_ID: &str = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id";

/// The id of the message that not all of a code system is here.
pub(super) const IN_PART: &str = "CODESYSTEM_IN_PART";
/// How the ids of messages begin that say that a code system or value set is not here, or not in full.
const MISSING: [&str; 5] =
    ["UNKNOWN_CODESYSTEM", "Unable_to_resolve_value_Set_", "VS_EXP_IMPORT_UNK", "CODESYSTEM_NO_CONTENT", IN_PART];

/// Something that is wrong, or worth knowing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `error`, `warning`, `information`
    pub severity: &'static str,
    /// The code of the issue: `not-found`, …
    pub code: &'static str,
    /// The kind among issues of terminology: `not-in-vs`, …
    pub kind: &'static str,
    /// The id of the message.
    pub id: &'static str,
    /// In words.
    pub text: Box<str>,
    /// Where it is.
    pub place: Option<Box<str>>,
    /// Whether the message of the answer repeats it.
    pub told: bool,
    /// The code system that is not known and is the cause.
    pub unknown: Option<Box<str>>,
}

impl Problem {
    /// An error.
    pub fn error(code: &'static str, kind: &'static str, id: &'static str, text: impl Into<String>) -> Problem {
        Problem {
            severity: "error",
            code,
            kind,
            id,
            text: text.into().into_boxed_str(),
            place: None,
            told: true,
            unknown: None,
        }
    }

    /// A warning that the message does not repeat.
    pub fn warning(code: &'static str, kind: &'static str, id: &'static str, text: impl Into<String>) -> Problem {
        Problem { severity: "warning", told: false, ..Problem::error(code, kind, id, text) }
    }

    /// Something worth knowing that the message does not repeat.
    pub fn note(code: &'static str, kind: &'static str, id: &'static str, text: impl Into<String>) -> Problem {
        Problem { severity: "information", told: false, ..Problem::error(code, kind, id, text) }
    }

    /// At a place.
    pub fn at(mut self, place: impl Into<String>) -> Problem {
        self.place = Some(place.into()).filter(|p: &String| !p.is_empty()).map(String::into_boxed_str);
        self
    }

    /// Whether it says that a code system or value set is not here, so that somebody else may know what is asked.
    pub fn is_missing(&self) -> bool {
        Problem::says_missing(self.id)
    }

    /// The same of a message of which only the id is at hand.
    pub fn says_missing(id: &str) -> bool {
        MISSING.iter().any(|begin| id.starts_with(begin))
    }

    /// Whether it is an error.
    pub fn is_error(&self) -> bool {
        self.severity == "error"
    }

    /// In words, with the place.
    pub fn sentence(&self) -> String {
        match &self.place {
            Some(place) => format!("{} ({place})", self.text),
            None => self.text.to_string(),
        }
    }

    /// As an issue of an OperationOutcome.
    pub fn issue(&self) -> Tree {
        let id = Tree::object([("url", Tree::string(MESSAGE_ID)), ("valueString", Tree::string(self.id))]);
        let mut details = Tree::Object(Vec::new());
        if !self.kind.is_empty() {
            let kind = Tree::object([("system", Tree::string(KINDS)), ("code", Tree::string(self.kind))]);
            details.set("coding", Tree::Array(vec![kind]));
        }
        details.set("text", Tree::string(&*self.text));
        let mut issue = Tree::object([
            ("extension", Tree::Array(vec![id])),
            ("severity", Tree::string(self.severity)),
            ("code", Tree::string(self.code)),
            ("details", details),
        ]);
        if let Some(place) = &self.place {
            // R4 has both; readers of either find it.
            let place = || Tree::Array(vec![Tree::string(&**place)]);
            issue.set("location", place());
            issue.set("expression", place());
        }
        issue
    }

    /// An OperationOutcome of several.
    pub fn outcome(problems: &[Problem]) -> Tree {
        Tree::object([
            ("resourceType", Tree::string("OperationOutcome")),
            ("issue", Tree::Array(problems.iter().map(Problem::issue).collect())),
        ])
    }
}

/// The error for a code system that is not there.
pub(super) fn unknown_system(url: &str, version: &str, mut versions: Vec<String>, what: &str) -> Problem {
    let consequence = match what {
        "expanded" => "so the value set cannot be expanded",
        _ => "so the code cannot be validated",
    };
    versions.retain(|v| !v.is_empty());
    versions.sort_by(|a, b| super::tree::newer(a, b));
    let expanded = what == "expanded";
    let (id, text) = match (version.is_empty(), versions.is_empty()) {
        (true, _) => (
            if expanded { "UNKNOWN_CODESYSTEM_EXP" } else { "UNKNOWN_CODESYSTEM" },
            format!("A definition for CodeSystem '{url}' could not be found, {consequence}"),
        ),
        (false, true) => (
            if expanded { "UNKNOWN_CODESYSTEM_VERSION_EXP_NONE" } else { "UNKNOWN_CODESYSTEM_VERSION_NONE" },
            format!(
                "A definition for CodeSystem '{url}' version '{version}' could not be found, {consequence}. No versions of this code system are known"
            ),
        ),
        (false, false) => (
            if expanded { "UNKNOWN_CODESYSTEM_VERSION_EXP" } else { "UNKNOWN_CODESYSTEM_VERSION" },
            format!(
                "A definition for CodeSystem '{url}' version '{version}' could not be found, {consequence}. Valid versions: {}",
                choices(&versions)
            ),
        ),
    };
    Problem {
        unknown: Some(canonical(url, version).into_boxed_str()),
        ..Problem::error("not-found", "not-found", id, text)
    }
}

fn choices(versions: &[String]) -> String {
    match versions {
        [before @ .., last] if !before.is_empty() => format!("{} or {last}", before.join(", ")),
        _ => versions.join(""),
    }
}

/// The error for a version of a code system that the request does not allow.
pub(super) fn broken_check(system: &CodeSystem, wanted: &str) -> Problem {
    let text = format!(
        "The version '{}' is not allowed for system '{}': required to be '{wanted}' by a version-check parameter",
        system.version, system.url
    );
    Problem::error("exception", "version-error", "VALUESET_VERSION_CHECK", text)
}
