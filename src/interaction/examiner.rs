//! How the resources of one request are looked at before they are written: as the server's policy says, or more strictly
//! where the request asks for that (`Prefer: validation=…`), never less. What nobody here can decide of codes is asked of
//! the outside terminology server, if there is one, between a first look and a second.

use super::incoming::Draft;
use super::{Context, Policy, Request, Return, Service, Strictness};
use crate::base::{Failure, FailureKind, Issue, Severity};
use crate::definitions::TypeId;
use crate::json::Value;
use crate::validation::{Asked, Inquiry, Validator};
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

    /// Validates a resource. What only the outside terminology server could decide is asked of it, and then it is looked
    /// at once more. Gives the warnings.
    pub(crate) async fn examine(
        &self,
        service: &Service,
        context: &Context,
        kind: TypeId,
        resource: Value<'_>,
    ) -> Result<Vec<Issue>, Failure> {
        let first = self.look(kind, resource);
        match self.ask(service, context).await {
            true => self.look_again(kind, resource),
            false => first,
        }
    }

    /// Validates a resource, and notes what only others could decide.
    pub(super) fn look(&self, kind: TypeId, resource: Value<'_>) -> Result<Vec<Issue>, Failure> {
        match &self.asked {
            Some(asked) => self.judge(kind, resource, asked),
            None => Ok(Vec::new()),
        }
    }

    /// Validates a resource with what was answered. Nothing more is noted.
    pub(super) fn look_again(&self, kind: TypeId, resource: Value<'_>) -> Result<Vec<Issue>, Failure> {
        match &self.asked {
            Some(asked) => self.judge(kind, resource, &second(asked)),
            None => Ok(Vec::new()),
        }
    }

    fn inquiry(&self) -> Option<&Arc<Inquiry>> {
        self.asked.as_ref()?.elsewhere.as_ref()
    }

    /// How often the answer of others was missed.
    pub(super) fn missed(&self) -> usize {
        self.inquiry().map_or(0, |inquiry| inquiry.missed())
    }

    /// Whether questions to others were noted and not asked yet.
    pub(super) fn is_open(&self) -> bool {
        self.inquiry().is_some_and(|inquiry| inquiry.is_open())
    }

    /// Asks them; whether there were any. Not while the store is being written.
    pub(super) async fn ask(&self, service: &Service, context: &Context) -> bool {
        match self.inquiry() {
            Some(inquiry) => service.inquire(context, &self.validator, inquiry).await,
            None => false,
        }
    }

    fn judge(&self, kind: TypeId, resource: Value<'_>, asked: &Asked) -> Result<Vec<Issue>, Failure> {
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

/// What is looked at the second time: the same, and nothing more is noted.
fn second(asked: &Asked) -> Asked {
    let closed = asked.elsewhere.as_ref().map(|inquiry| Arc::new(inquiry.closed()));
    Asked { elsewhere: closed, ..asked.clone() }
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
            asked.elsewhere = self.inquiry(&validator).filter(|_| asked.is_full());
        }
        let tells = request.prefer.returns == Some(Return::OperationOutcome);
        Ok(Examiner { validator, asked, tells })
    }

    /// Where questions to the outside terminology server are noted, if there is one.
    fn inquiry(&self, validator: &Validator) -> Option<Arc<Inquiry>> {
        self.outside.is_there().then(|| Arc::new(Inquiry::over(validator.said().clone())))
    }

    /// All that can be said of a resource by a validator, for somebody who only wants to know.
    pub(crate) async fn judged(
        &self,
        context: &Context,
        validator: &Validator,
        kind: TypeId,
        resource: Value<'_>,
        asked: &Asked,
    ) -> Vec<Issue> {
        let Some(inquiry) = self.inquiry(validator) else { return validator.judge(Some(kind), resource, asked) };
        let asked = Asked { elsewhere: Some(inquiry.clone()), ..asked.clone() };
        let issues = validator.judge(Some(kind), resource, &asked);
        match self.inquire(context, validator, &inquiry).await {
            true => validator.judge(Some(kind), resource, &second(&asked)),
            false => issues,
        }
    }

    /// All checks, then what is stored.
    pub(crate) async fn draft(
        &self,
        context: &Context,
        examiner: &Examiner,
        kind: TypeId,
        resource: Value<'_>,
    ) -> Result<Draft, Failure> {
        self.check_type(kind, resource)?;
        let warnings = examiner.examine(self, context, kind, resource).await?;
        self.drafted(kind, resource, warnings)
    }

    /// The draft of a resource that was looked at.
    pub(super) fn drafted(
        &self,
        kind: TypeId,
        resource: Value<'_>,
        mut warnings: Vec<Issue>,
    ) -> Result<Draft, Failure> {
        warnings.extend(self.check_search_parameter(kind, resource)?);
        let (content, noticed) = self.content(kind, resource)?;
        warnings.extend(noticed);
        Ok(Draft { content, warnings })
    }
}
