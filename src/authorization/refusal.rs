//! Refusals in the words of OAuth 2.0 (RFC 6749 4.1.2.1 and 5.2, RFC 7591 3.2.2, OpenID Connect Core 3.1.2.6): a code
//! for the program and a sentence for its developer. Says nothing that would help a guess.

use super::exchange::{Answered, Content, Went};
use crate::audit::Severity;
use crate::base::{Failure, FailureKind};
use serde_json::json;

macro_rules! codes {
    ($($name:ident = $code:literal),* $(,)?) => {
        /// The error codes.
        #[allow(missing_docs)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($name),* }

        impl Code {
            /// As it is sent.
            pub fn text(self) -> &'static str {
                match self { $(Code::$name => $code),* }
            }
        }
    };
}

codes! {
    AccessDenied = "access_denied",
    ConsentRequired = "consent_required",
    InteractionRequired = "interaction_required",
    InvalidClient = "invalid_client",
    InvalidClientMetadata = "invalid_client_metadata",
    InvalidGrant = "invalid_grant",
    InvalidRedirectUri = "invalid_redirect_uri",
    InvalidRequest = "invalid_request",
    InvalidScope = "invalid_scope",
    InvalidToken = "invalid_token",
    InsufficientScope = "insufficient_scope",
    LoginRequired = "login_required",
    NotFound = "not_found",
    RequestNotSupported = "request_not_supported",
    RequestUriNotSupported = "request_uri_not_supported",
    ServerError = "server_error",
    SlowDown = "slow_down",
    TemporarilyUnavailable = "temporarily_unavailable",
    UnauthorizedClient = "unauthorized_client",
    UnsupportedGrantType = "unsupported_grant_type",
    UnsupportedResponseType = "unsupported_response_type",
}

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For the program.
    pub code: Code,
    /// For its developer.
    pub description: String,
}

impl Refusal {
    /// A refusal.
    pub fn new(code: Code, description: impl Into<String>) -> Refusal {
        Refusal { code, description: description.into() }
    }

    /// The request is wrong.
    pub fn invalid(description: impl Into<String>) -> Refusal {
        Refusal::new(Code::InvalidRequest, description)
    }

    /// The code, refresh token or assertion does not hold.
    pub fn grant(description: impl Into<String>) -> Refusal {
        Refusal::new(Code::InvalidGrant, description)
    }

    /// The client is not known or could not prove who it is: always the same words.
    pub fn client() -> Refusal {
        Refusal::new(Code::InvalidClient, "the client is not known here or did not prove who it is")
    }

    /// As the audit trail tells it.
    pub(super) fn text(&self) -> String {
        format!("{}: {}", self.code.text(), self.description)
    }

    /// How bad it is, as the audit trail tells it.
    pub(super) fn severity(&self) -> Severity {
        match self.code {
            Code::ServerError | Code::TemporarilyUnavailable => Severity::Major,
            _ => Severity::Minor,
        }
    }

    /// The answer of an endpoint that speaks JSON. `basic`: whether the client tried HTTP Basic, which is answered
    /// by its challenge (RFC 6749 5.2).
    pub fn answer(&self, basic: bool) -> Answered {
        let went = match self.code {
            Code::InvalidClient | Code::InvalidToken => Went::Unauthenticated,
            Code::InsufficientScope | Code::AccessDenied => Went::Forbidden,
            Code::NotFound => Went::NotFound,
            Code::ServerError => Went::Internal,
            Code::TemporarilyUnavailable => Went::Unavailable,
            Code::SlowDown => Went::TooMany,
            _ => Went::BadRequest,
        };
        let content = json!({"error": self.code.text(), "error_description": self.description});
        let challenge = match self.code {
            Code::InvalidClient if basic => Some("Basic realm=\"vesta\", charset=\"UTF-8\"".to_owned()),
            Code::InvalidToken => Some("Bearer error=\"invalid_token\"".to_owned()),
            Code::InsufficientScope => Some("Bearer error=\"insufficient_scope\"".to_owned()),
            _ => None,
        };
        Answered { challenge, ..Answered::new(went, Content::Json(content)) }
    }
}

impl From<Failure> for Refusal {
    /// A failure of the store; what it says stays in the log.
    fn from(failure: Failure) -> Refusal {
        match failure.kind {
            FailureKind::Unavailable | FailureKind::StoreFull | FailureKind::Conflict => {
                Refusal::new(Code::TemporarilyUnavailable, "not now; try again")
            }
            _ => Refusal::new(Code::ServerError, "internal error; the log of the server has the details"),
        }
    }
}
