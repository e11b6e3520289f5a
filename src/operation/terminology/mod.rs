//! The operations of terminology (R4 terminology-service.html), one file each. Here is what they share: reading what is
//! asked, finding the library, and saying what is wrong.

pub(super) mod closure;
pub(super) mod elsewhere;
pub(super) mod expand;
pub(super) mod lookup;
pub(super) mod subsumes;
pub(super) mod translate;
pub(super) mod validate_code;

use super::Call;
use super::parameters::{Input, Inputs};
use crate::base::{Failure, FailureKind, Issue, IssueCode, IssueDetails};
use crate::interaction::terminology::Readable;
use crate::interaction::{outcome, read};
use crate::json::Tree;
use crate::terminology::{Library, Problem, Rules, Shelf, ValueSet, VersionRule};
use std::sync::Arc;

/// Most concepts of an expansion that is not asked for page by page.
const EXPANSION_MAX: usize = 200_000;

/// What an operation works with: the resources that came with the request before those of the server.
pub(super) struct Desk {
    pub inputs: Inputs,
    language: Option<String>,
    own: Shelf,
    held: Arc<Readable>,
}

impl Desk {
    pub(super) async fn of(call: &Call<'_>, sole: Option<&str>) -> Result<Desk, Failure> {
        let inputs = Inputs::read(call.request, &call.service.settings.limits, sole)?;
        let held = Arc::new(call.service.terminology(call.context).await?);
        let mut own = Shelf::default();
        for input in inputs.all("tx-resource") {
            own.add(&input.value);
        }
        Ok(Desk { inputs, language: call.context.language.clone(), own, held })
    }

    /// Calls something with the library.
    pub(super) fn with<T>(&self, f: impl FnOnce(&dyn Library) -> T) -> T {
        crate::terminology::with_core(&self.own, &*self.held, f)
    }

    /// The rules of the request.
    pub(super) fn rules(&self) -> Rules {
        let inputs = &self.inputs;
        let versions = |name: &str| inputs.all(name).filter_map(Input::as_text).map(VersionRule::of).collect();
        let texts = |name: &str| inputs.all(name).filter_map(Input::as_text).map(str::to_owned).collect();
        let flag = |name: &str| inputs.flag(name);
        let number = |name: &str| inputs.text(name).and_then(|n| n.parse().ok());
        Rules {
            default: versions("system-version"),
            check: versions("check-system-version"),
            force: versions("force-system-version"),
            value_sets: versions("default-valueset-version"),
            language: inputs.text("displayLanguage").map(str::to_owned).or_else(|| self.language.clone()),
            active_only: flag("activeOnly") == Some(true),
            filter: inputs.text("filter").map(str::to_owned),
            offset: number("offset").unwrap_or(0),
            count: number("count"),
            limit: EXPANSION_MAX,
            flat: flag("excludeNested") == Some(true),
            designations: flag("includeDesignations") == Some(true),
            designation: texts("designation"),
            properties: texts("property"),
            exclude_abstract: flag("excludeNotForUI") == Some(true),
            supplements: texts("useSupplement"),
            lenient: flag("lenient-display-validation") == Some(true),
            echo: Vec::new(),
        }
    }

    /// The value set that is meant: one that came along, the one the operation is called on, or one by its canonical.
    pub(super) async fn value_set(&self, call: &Call<'_>, rules: &Rules) -> Result<Option<Arc<ValueSet>>, Failure> {
        if let Some(input) = self.inputs.get("valueSet") {
            return Ok(Some(Arc::new(ValueSet::of(&input.value))));
        }
        if let Some(resource) = stored(call).await? {
            return Ok(Some(Arc::new(ValueSet::of(&resource))));
        }
        let Some(url) = self.inputs.text("url") else { return Ok(None) };
        let version = self.inputs.text("valueSetVersion").unwrap_or_default();
        let canonical = if version.is_empty() { url.to_owned() } else { format!("{url}|{version}") };
        self.with(|library| crate::terminology::value_set(library, &canonical, rules)).map(Some).map_err(failure)
    }
}

/// The resource that the operation is called on.
pub(super) async fn stored(call: &Call<'_>) -> Result<Option<Tree>, Failure> {
    let (Some(kind), Some(id)) = (call.kind, &call.id) else { return Ok(None) };
    let newest = call.service.snapshot(call.context).await?.read(kind, id).await.map_err(outcome::of_store)?;
    let version = read::existing(call.service, kind, id, newest)?;
    let json = version.to_json(call.service.definitions.name(kind)).unwrap_or_default();
    Tree::parse(&json).map(Some).map_err(Failure::internal)
}

/// The failure of a problem that leaves no answer.
pub(super) fn failure(problem: Problem) -> Failure {
    let (kind, code) = match problem.code {
        "not-found" => (FailureKind::NotFound, IssueCode::NotFound),
        "too-costly" => (FailureKind::TooCostly, IssueCode::TooCostly),
        "not-supported" => (FailureKind::Unprocessable, IssueCode::NotSupported),
        "invalid" => (FailureKind::Unprocessable, IssueCode::Invalid),
        "exception" => (FailureKind::Unprocessable, IssueCode::Exception),
        "business-rule" => (FailureKind::Unprocessable, IssueCode::BusinessRule),
        "code-invalid" => (FailureKind::Unprocessable, IssueCode::CodeInvalid),
        _ => (FailureKind::Unprocessable, IssueCode::Processing),
    };
    let mut issue = Issue::error(code, String::new());
    issue.expression = problem.place.clone().map(String::from);
    issue.details =
        Some(Box::new(IssueDetails { text: problem.text.into_string(), kind: problem.kind, id: problem.id }));
    Failure::of(kind, vec![issue])
}

/// The failure of a parameter that is missing.
pub(super) fn missing(what: &str) -> Failure {
    Failure::malformed(IssueCode::Required, what).at("Parameters.parameter")
}
