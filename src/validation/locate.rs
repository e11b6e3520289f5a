//! Lines and columns of issues: the place that an expression names is looked up in the text. A text of one line is often
//! none that anybody wrote (that of patches, and what was made from XML); who knows better says so.

use crate::base::{Issue, TextPosition};
use crate::json::{Kind, Value};

/// Sets the positions of issues on a resource. The text before it is looked at once, its own text once more.
pub(super) fn positions(root: Value<'_>, columns: bool, issues: &mut [Issue]) {
    let text = root.raw();
    if issues.is_empty() || !columns && !text.contains('\n') {
        return;
    }
    let begin = text.as_ptr() as usize;
    let offset = |issue: &Issue| {
        let expression = issue.expression.as_deref().filter(|_| issue.position.is_none())?;
        Some((find(root, expression).raw().as_ptr() as usize).saturating_sub(begin))
    };
    let mut wanted: Vec<(usize, usize)> =
        issues.iter().enumerate().filter_map(|(i, issue)| Some((offset(issue)?, i))).collect();
    wanted.sort_unstable();
    let (mut line, first) = root.line_and_column();
    let (mut at, mut line_begin) = (0, None);
    for (offset, i) in wanted {
        let Some(piece) = text.get(at..offset) else { continue };
        line += piece.bytes().filter(|b| *b == b'\n').count() as u32;
        line_begin = piece.rfind('\n').map(|last| at + last + 1).or(line_begin);
        at = offset;
        let before = |from: usize| text.get(from..offset).unwrap_or_default().chars().count() as u32;
        let column = match line_begin {
            Some(from) => before(from) + 1,
            None => before(0) + first,
        };
        issues[i].position = Some(TextPosition { line, column });
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
            positions(document.root(), false, &mut issues);
            issues[0].position.map(|p| (p.line, p.column))
        };
        assert_eq!(at("Patient.name[0].given"), Some((3, 30)));
        assert_eq!(at("Patient.value"), Some((4, 18)));
        let mut issues =
            ["Patient.value", "Patient", "Patient.name[0].given"].map(|e| Issue::error(IssueCode::Value, "x").at(e));
        positions(document.root(), false, &mut issues);
        assert_eq!(issues.map(|i| i.position.map_or(0, |p| p.line)), [4, 1, 3]);
        // What is missing is looked for where it would be.
        assert_eq!(at("Patient.name[0].text"), Some((3, 5)));
        assert_eq!(at("Patient"), Some((1, 1)));
    }
}
