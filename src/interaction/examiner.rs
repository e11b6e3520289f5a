//! How the resources of one request are looked at before they are written: as the server's policy says, or more strictly
//! where the request asks for that (`Prefer: validation=…`), never less.

use super::incoming::Draft;
use super::{Context, Policy, Request, Return, Service, Strictness};
use crate::base::{Failure, FailureKind, Issue, Severity};
use crate::definitions::TypeId;
use crate::json::Value;
use crate::validation::{Asked, Validator};
use std::sync::Arc;

/// Looks at the resources of one request.
#[derive(Clone)]
pub(crate) struct Examiner {
    validator: Arc<Validator>,
    /// None: not at all.
    asked: Option<Asked>,
    /// Whether the client wants to know of warnings.
    tells: bool,
}

impl Examiner {
    /// For resources that are made here of what the client sent.
    pub(crate) fn of_own_making(mut self) -> Examiner {
        if let Some(asked) = &mut self.asked {
            asked.columns = false;
        }
        self
    }

    /// Validates a resource. Gives the warnings.
    pub(crate) fn examine(&self, kind: TypeId, resource: Value<'_>) -> Result<Vec<Issue>, Failure> {
        let Some(asked) = &self.asked else { return Ok(Vec::new()) };
        let mut issues = self.validator.judge_without_lines(Some(kind), resource, asked);
        // Where nobody reads them, warnings need no lines: in a large transaction each would cost a look at its text.
        if self.tells || issues.iter().any(Issue::is_error) {
            self.validator.locate(resource, asked, &mut issues);
        }
        if issues.iter().any(Issue::is_error) {
            return Err(Failure::of(FailureKind::Unprocessable, issues));
        }
        Ok(issues)
    }
}

impl Service {
    /// What a full validation looks at.
    pub(crate) fn asked(&self) -> Asked {
        let unknown = if self.settings.refuse_unknown_profiles { Severity::Error } else { Severity::Warning };
        Asked { unknown_profiles: unknown, ..Asked::full() }
    }

    /// Who looks at the resources of a request.
    pub(crate) async fn examiner(&self, context: &Context, request: &Request) -> Result<Examiner, Failure> {
        let mut asked = match (self.settings.validation, request.prefer.validation) {
            (_, Some(Strictness::Strict)) => Some(Asked { unknown_profiles: Severity::Error, ..self.asked() }),
            (Policy::Full, _) | (_, Some(Strictness::Full)) => Some(self.asked()),
            (Policy::Structure, _) | (_, Some(Strictness::Structure)) => Some(Asked::default()),
            (Policy::Off, None) => None,
        };
        let validator = match &asked {
            Some(asked) if asked.is_full() => self.validator_of(context).await?,
            _ => self.validator(),
        };
        if let Some(asked) = &mut asked {
            asked.columns = request.as_sent;
        }
        let tells = request.prefer.returns == Some(Return::OperationOutcome);
        Ok(Examiner { validator, asked, tells })
    }

    /// All checks, then what is stored.
    pub(crate) fn draft(&self, examiner: &Examiner, kind: TypeId, resource: Value<'_>) -> Result<Draft, Failure> {
        self.check_type(kind, resource)?;
        let mut warnings = examiner.examine(kind, resource)?;
        warnings.extend(self.check_search_parameter(kind, resource)?);
        let (content, noticed) = self.content(kind, resource)?;
        warnings.extend(noticed);
        Ok(Draft { content, warnings })
    }
}
