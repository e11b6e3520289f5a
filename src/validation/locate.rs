//! Lines and columns of issues: the place that an expression names is looked up in the text. A text of one line has no
//! line worth naming (and one that was made from XML always has one line).

use crate::base::{Issue, TextPosition};
use crate::json::{Kind, Value};

/// Sets the positions of issues on a document.
pub(super) fn positions(root: Value<'_>, issues: &mut [Issue]) {
    if !root.raw().contains('\n') {
        return;
    }
    for issue in issues.iter_mut().filter(|i| i.position.is_none()) {
        let Some(expression) = &issue.expression else { continue };
        let (line, column) = find(root, expression).line_and_column();
        issue.position = Some(TextPosition { line, column });
    }
}

/// The value that an expression leads to, or what is nearest to it.
fn find<'d>(root: Value<'d>, expression: &str) -> Value<'d> {
    let mut at = root;
    for segment in expression.split('.').skip(1) {
        let (name, index) = match segment.split_once('[') {
            Some((name, index)) => (name, index.trim_end_matches(']').parse().unwrap_or(0)),
            None => (segment, 0),
        };
        let Some(next) = property(at, name) else { break };
        at = match next.kind() {
            Kind::Array if segment.contains('[') => next.items().nth(index).unwrap_or(next),
            _ => next,
        };
    }
    at
}

/// A property by its name in FHIRPath: one type of a choice too, or what stands beside a primitive.
fn property<'d>(of: Value<'d>, name: &str) -> Option<Value<'d>> {
    if let Some(found) = of.get(name) {
        return Some(found);
    }
    let found = of.entries().find(|(key, _)| {
        let plain = key.strip_prefix('_').unwrap_or(key);
        let rest = plain.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(|c: char| c.is_ascii_uppercase()))
    });
    found.map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::IssueCode;
    use crate::json::{Document, Limits};

    #[test]
    fn found_in_the_text() {
        let text = "{\n  \"name\": [\n    {\"family\": \"é\", \"given\": 1}],\n  \"valueString\": \"x\"}";
        let document = Document::parse(text.as_bytes(), &Limits::default()).expect("JSON");
        let at = |expression: &str| {
            let mut issues = [Issue::error(IssueCode::Value, "x").at(expression)];
            positions(document.root(), &mut issues);
            issues[0].position.map(|p| (p.line, p.column))
        };
        assert_eq!(at("Patient.name[0].given"), Some((3, 30)));
        assert_eq!(at("Patient.value"), Some((4, 18)));
        // What is missing is looked for where it would be.
        assert_eq!(at("Patient.name[0].text"), Some((3, 5)));
        assert_eq!(at("Patient"), Some((1, 1)));
    }
}
