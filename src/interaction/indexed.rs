//! What is stored of a resource: its body and its terms. Nothing is lost silently: a resource with more values than are
//! indexed is refused, and a warning says where only the beginning of a text is found.

use super::Service;
use crate::base::{Failure, FailureKind, Issue, IssueCode};
use crate::definitions::TypeId;
use crate::index::{Cut, Extracted, Omitted};
use crate::json::Value;
use crate::store::{Body, Content};

impl Service {
    /// What is stored of a resource, and what its searchers have to know.
    pub(crate) fn content(&self, kind: TypeId, resource: Value<'_>) -> Result<(Content, Vec<Issue>), Failure> {
        let Extracted { terms, schema, cut } = self.extractor.extract_marked(kind, resource);
        let issues: Vec<_> = cut.iter().map(|cut| self.of_cut(kind, *cut)).collect();
        if issues.iter().any(Issue::is_error) {
            return Err(Failure::of(FailureKind::Unprocessable, issues));
        }
        Ok((Content { body: Body::of(resource), terms, schema }, issues))
    }

    fn of_cut(&self, kind: TypeId, cut: Cut) -> Issue {
        let definitions = self.extractor.definitions();
        let known = cut.parameter.and_then(|number| definitions.search_parameter_numbered(number));
        let code = known.map_or("?", |parameter| &*parameter.code);
        let name = self.definitions.name(kind);
        match cut.what {
            Omitted::Values => Issue::error(
                IssueCode::TooCostly,
                format!(
                    "the {name} has more values than this server can index under the search parameter '{code}': it \
                     would not be found by all of them. Divide it into several resources"
                ),
            ),
            Omitted::Words => Issue::warning(
                IssueCode::Incomplete,
                format!("the {name} has more words than are indexed: '{code}' does not find it by all of them"),
            ),
            Omitted::Rest => Issue::warning(
                IssueCode::Incomplete,
                format!("a text is so long that the search parameter '{code}' finds it by its beginning only"),
            ),
            Omitted::Contained => Issue::warning(
                IssueCode::Incomplete,
                "the resource contains more resources than '_contained' looks into: the last are not found by it",
            ),
        }
    }
}
