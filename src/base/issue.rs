//! Issues: what is wrong, how badly, and where (the content of an OperationOutcome, R4 operationoutcome.html).
//! Does not know how an OperationOutcome is written.

/// How bad an issue is (value set `issue-severity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The request could not be read at all.
    Fatal,
    /// The request was refused because of this.
    Error,
    /// Accepted, but somebody should look at it.
    Warning,
    /// Nothing is wrong.
    Information,
}

impl Severity {
    /// The code of the value set.
    pub fn code(self) -> &'static str {
        match self {
            Severity::Fatal => "fatal",
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Information => "information",
        }
    }
}

macro_rules! issue_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal),* $(,)?) => {
        /// What kind of problem an issue is (value set `issue-type`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum IssueCode { $($(#[$doc])* $name),* }

        impl IssueCode {
            /// The code of the value set.
            pub fn code(self) -> &'static str {
                match self { $(IssueCode::$name => $code),* }
            }
        }
    };
}

issue_codes! {
    /// Content against the specification or a profile.
    Invalid = "invalid",
    /// Syntax or structure: a document that cannot be read.
    Structure = "structure",
    /// A mandatory element is missing.
    Required = "required",
    /// An element's value is not allowed.
    Value = "value",
    /// A rule of the specification is broken.
    Invariant = "invariant",
    /// Authentication or authorization.
    Security = "security",
    /// The client has to sign in.
    Login = "login",
    /// The session or token is over.
    Expired = "expired",
    /// The client may not do this.
    Forbidden = "forbidden",
    /// Something was left out for reasons of privacy.
    Suppressed = "suppressed",
    /// Processing failed.
    Processing = "processing",
    /// Not served here.
    NotSupported = "not-supported",
    /// It is there already.
    Duplicate = "duplicate",
    /// Criteria matched several resources.
    MultipleMatches = "multiple-matches",
    /// It is not there.
    NotFound = "not-found",
    /// It was there and has been deleted.
    Deleted = "deleted",
    /// Too long or too large.
    TooLong = "too-long",
    /// A code is not in its value set or code system.
    CodeInvalid = "code-invalid",
    /// An unknown extension.
    Extension = "extension",
    /// It would cost too much.
    TooCostly = "too-costly",
    /// A rule of this server.
    BusinessRule = "business-rule",
    /// The state of the resource does not allow it.
    Conflict = "conflict",
    /// Try again later.
    Transient = "transient",
    /// No room to store it.
    NoStore = "no-store",
    /// Something unexpected happened inside the server.
    Exception = "exception",
    /// It took too long.
    Timeout = "timeout",
    /// The answer is not whole.
    Incomplete = "incomplete",
    /// Too many requests.
    Throttled = "throttled",
    /// For information.
    Informational = "informational",
}

/// A place in a text: line and column, both counted from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextPosition {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// One problem: what, how badly and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem it is.
    pub code: IssueCode,
    /// A sentence for the developer; never holds another patient's data.
    pub diagnostics: String,
    /// FHIRPath expression of the place, such as `Patient.contact[0].gender`.
    pub expression: Option<String>,
    /// Line and column, where the input was text.
    pub position: Option<TextPosition>,
    /// What those who work with terminology expect: a text, a kind and the id of a message.
    pub details: Option<Box<IssueDetails>>,
}

/// `OperationOutcome.issue.details` as terminology services fill it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueDetails {
    /// What is wrong, in words.
    pub text: String,
    /// A code of the kinds of issues of terminology; empty for none.
    pub kind: &'static str,
    /// The id of the message.
    pub id: &'static str,
}

impl Issue {
    /// An issue without a place.
    pub fn new(severity: Severity, code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Issue { severity, code, diagnostics: diagnostics.into(), expression: None, position: None, details: None }
    }

    /// An error without a place.
    pub fn error(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Issue::new(Severity::Error, code, diagnostics)
    }

    /// A warning without a place.
    pub fn warning(code: IssueCode, diagnostics: impl Into<String>) -> Self {
        Issue::new(Severity::Warning, code, diagnostics)
    }

    /// The same issue at a place.
    pub fn at(mut self, expression: impl Into<String>) -> Self {
        self.expression = Some(expression.into());
        self
    }

    /// Whether it stops the request.
    pub fn is_error(&self) -> bool {
        self.severity <= Severity::Error
    }
}

/// A value and what was noticed on the way to it, where partial success is normal.
#[derive(Clone, Debug)]
pub struct Outcome<T> {
    /// The result.
    pub value: T,
    /// What was noticed.
    pub issues: Vec<Issue>,
}
