//! XML Patch (RFC 5261) on documents of FHIR: `add`, `replace` and `remove` with a selector that leads step by step to
//! one element, attribute or text. Of XPath it knows names, `*`, positions and equality of attributes or children, as
//! the RFC restricts it. Comments are not kept, so that what selects one does nothing.

use crate::base::{Failure, FailureKind, Issue, IssueCode};
use crate::xml::{XmlElement, XmlNode};
use std::ops::Range;

/// Operations of one patch at most.
const OPERATIONS_MAX: usize = 1_000;
/// Elements that all operations together look at, at most.
const WORK_MAX: usize = 20_000_000;
/// The longest document that a patch may make.
const LONGEST: usize = 64 << 20;
/// Prefixes that are known without a declaration.
const PREFIXES: [(&str, &str); 3] =
    [("f", "http://hl7.org/fhir"), ("h", "http://www.w3.org/1999/xhtml"), ("html", "http://www.w3.org/1999/xhtml")];

/// The document as the patch makes it. Issues name the operation: `patch[2].sel`.
pub fn xml_patch(document: &str, patch: &str) -> Result<String, Failure> {
    let patch_element = XmlElement::parse(patch).map_err(|f| f.at("patch"))?;
    let mut root = XmlElement::parse(document)?;
    let operations: Vec<&XmlElement> = patch_element.elements().collect();
    if operations.is_empty() {
        return Err(Failure::malformed(IssueCode::Structure, "the patch has no operations").at("patch"));
    }
    if operations.len() > OPERATIONS_MAX {
        let message = format!("an XML Patch has {OPERATIONS_MAX} operations at most");
        return Err(Failure::malformed(IssueCode::TooCostly, message).at("patch"));
    }
    let prefixes = declared(patch);
    let mut work = 0;
    for (number, operation) in operations.into_iter().enumerate() {
        let one = One { number, operation, prefixes: &prefixes };
        one.apply(&mut root, &mut work)?;
        if work > WORK_MAX {
            return Err(one.unfit("sel", "the patch takes too long to apply"));
        }
    }
    let written = root.write();
    if written.len() > LONGEST {
        let message = "the patch would make the resource too large";
        return Err(Failure::new(FailureKind::Unprocessable, IssueCode::TooCostly, message).at("patch"));
    }
    Ok(written)
}

/// The prefixes that a document declares anywhere; a selector means them as the patch has them.
fn declared(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("xmlns:") {
        let rest = text.get(at + 6..).unwrap_or_default();
        let Some((prefix, rest)) = rest.split_once('=') else { continue };
        let rest = rest.trim_start();
        let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else { continue };
        if let Some((namespace, _)) = rest.get(1..).and_then(|r| r.split_once(quote)) {
            found.push((prefix.trim().to_owned(), namespace.to_owned()));
        }
    }
    found
}

/// What a selector finds.
enum Target {
    Element,
    Attribute(String),
    Text(usize),
    Comment,
}

struct One<'p> {
    number: usize,
    operation: &'p XmlElement,
    prefixes: &'p [(String, String)],
}

impl One<'_> {
    fn malformed(&self, what: &str, message: impl Into<String>) -> Failure {
        let issue = Issue::error(IssueCode::Value, message).at(format!("patch[{}].{what}", self.number));
        Failure::of(FailureKind::Malformed, vec![issue])
    }

    fn unfit(&self, what: &str, message: impl Into<String>) -> Failure {
        let issue = Issue::error(IssueCode::Processing, message).at(format!("patch[{}].{what}", self.number));
        Failure::of(FailureKind::Unprocessable, vec![issue])
    }

    fn apply(&self, root: &mut XmlElement, work: &mut usize) -> Result<(), Failure> {
        let selector = self
            .operation
            .attribute("sel")
            .ok_or_else(|| self.malformed("sel", "an operation has a selector 'sel'"))?;
        let action = self.operation.name.as_str();
        if !matches!(action, "add" | "replace" | "remove") {
            return Err(self.malformed("name", "an operation is one of: add, replace, remove"));
        }
        let (path, target) = self.find(root, selector, work)?;
        if matches!(target, Target::Comment) {
            return Ok(());
        }
        match action {
            "add" => self.add(root, &path, target),
            "replace" => self.replace(root, &path, target),
            _ => self.remove(root, &path, target),
        }
    }

    /// The steps to the element, as places among the children, and what of it is meant.
    fn find(&self, root: &XmlElement, selector: &str, work: &mut usize) -> Result<(Vec<usize>, Target), Failure> {
        let steps = steps(selector.trim()).ok_or_else(|| self.malformed("sel", "the selector cannot be read"))?;
        let mut path = Vec::new();
        let mut at = root;
        for (i, step) in steps.iter().enumerate() {
            let last = i + 1 == steps.len();
            if let Some(name) = step.strip_prefix('@').filter(|_| last && i > 0) {
                return Ok((path, Target::Attribute(name.to_owned())));
            }
            if let Some(number) = function(step, "text").filter(|_| last && i > 0) {
                return Ok((path, Target::Text(number)));
            }
            if function(step, "comment").is_some() && last {
                return Ok((path, Target::Comment));
            }
            let (name, tests) = step.split_at(step.find('[').unwrap_or(step.len()));
            if i == 0 {
                if !self.is_called(at, name)? || !self.passes(at, tests)? {
                    return Err(self.nothing(step));
                }
                continue;
            }
            let mut matching = Vec::new();
            for (place, child) in at.children.iter().enumerate() {
                *work += 1;
                if let XmlNode::Element(child) = child
                    && self.is_called(child, name)?
                {
                    matching.push((place, child));
                }
            }
            for test in predicates(tests).ok_or_else(|| self.malformed("sel", "the selector cannot be read"))? {
                if let Ok(number) = test.parse::<usize>() {
                    matching = matching.into_iter().skip(number.saturating_sub(1)).take(1).collect();
                    continue;
                }
                let mut kept = Vec::new();
                for (place, child) in matching {
                    if self.holds(child, test)? {
                        kept.push((place, child));
                    }
                }
                matching = kept;
            }
            match matching.as_slice() {
                [(place, child)] => {
                    path.push(*place);
                    at = child;
                }
                [] => return Err(self.nothing(step)),
                more => {
                    let message = format!("'{step}' selects {} elements, but one is meant", more.len());
                    return Err(self.unfit("sel", message));
                }
            }
        }
        Ok((path, Target::Element))
    }

    fn nothing(&self, step: &str) -> Failure {
        let step: String = step.chars().take(60).collect();
        self.unfit("sel", format!("'{step}' selects nothing"))
    }

    fn is_called(&self, element: &XmlElement, name: &str) -> Result<bool, Failure> {
        let (prefix, local) = match name.split_once(':') {
            Some((prefix, local)) => (Some(prefix), local),
            None => (None, name),
        };
        let Some(prefix) = prefix else {
            // XPath means no namespace by a plain name; everybody who writes one means FHIR's.
            return Ok(local == "*" || element.name == local);
        };
        let known = self.prefixes.iter().find(|(p, _)| p == prefix).map(|(_, n)| n.as_str());
        let known = known.or_else(|| PREFIXES.iter().find(|(p, _)| *p == prefix).map(|(_, n)| *n));
        let Some(namespace) = known else {
            return Err(self.malformed("sel", format!("the prefix '{prefix}' is not declared")));
        };
        Ok((local == "*" || element.name == local) && element.namespace == namespace)
    }

    fn passes(&self, element: &XmlElement, tests: &str) -> Result<bool, Failure> {
        for test in predicates(tests).ok_or_else(|| self.malformed("sel", "the selector cannot be read"))? {
            if test.parse::<usize>().map_or(!self.holds(element, test)?, |n| n != 1) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether `@a='1'`, `f:code='x'`, `f:code/@value='x'` or `text()='x'` holds.
    fn holds(&self, element: &XmlElement, test: &str) -> Result<bool, Failure> {
        if test.parse::<usize>().is_ok() {
            return Ok(true);
        }
        let unreadable = || self.malformed("sel", "of conditions only equality with a text in quotes is known");
        let (left, right) = test.split_once('=').ok_or_else(unreadable)?;
        let (left, right) = (left.trim(), right.trim());
        let value = ['\'', '"'].iter().find_map(|q| right.strip_prefix(*q)?.strip_suffix(*q)).ok_or_else(unreadable)?;
        let (child, attribute) = match left.split_once('@') {
            Some((child, attribute)) => (child.trim_end_matches('/'), Some(attribute)),
            None => (left, None),
        };
        let of = |e: &XmlElement| match attribute {
            Some(attribute) => e.attribute(attribute) == Some(value),
            None => e.text() == value,
        };
        if child.is_empty() || child == "." || child == "text()" {
            return Ok(of(element));
        }
        for inner in element.elements() {
            if self.is_called(inner, child)? && of(inner) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add(&self, root: &mut XmlElement, path: &[usize], target: Target) -> Result<(), Failure> {
        if !matches!(target, Target::Element) {
            return Err(self.unfit("sel", "something can only be added to an element"));
        }
        if let Some(kind) = self.operation.attribute("type") {
            let Some(name) = kind.strip_prefix('@') else {
                return Err(self.malformed("type", "of the kinds only an attribute, written @name, can be added"));
            };
            let element = at(root, path).ok_or_else(|| self.nothing("element"))?;
            if element.attribute(name).is_some() {
                return Err(self.unfit("type", format!("the attribute {name} is there already")));
            }
            element.attributes.push((name.to_owned(), self.operation.text()));
            return Ok(());
        }
        let content = self.operation.children.clone();
        match self.operation.attribute("pos") {
            None => {
                let element = at(root, path).ok_or_else(|| self.nothing("element"))?;
                element.children.extend(content);
            }
            Some("prepend") => {
                let element = at(root, path).ok_or_else(|| self.nothing("element"))?;
                element.children.splice(0..0, content);
            }
            Some(pos @ ("before" | "after")) => {
                let Some((place, parent)) = path.split_last() else {
                    return Err(self.unfit("pos", "nothing can stand beside the root element"));
                };
                let parent = at(root, parent).ok_or_else(|| self.nothing("element"))?;
                let place = place + usize::from(pos == "after");
                parent.children.splice(place..place, content);
            }
            Some(_) => return Err(self.malformed("pos", "'pos' is one of: before, after, prepend")),
        }
        Ok(())
    }

    fn replace(&self, root: &mut XmlElement, path: &[usize], target: Target) -> Result<(), Failure> {
        match target {
            Target::Element => {
                let mut fresh = self.operation.children.iter().filter_map(|c| match c {
                    XmlNode::Element(element) => Some(element.clone()),
                    XmlNode::Text(_) => None,
                });
                let (Some(fresh), None) = (fresh.next(), fresh.next()) else {
                    return Err(self.malformed("content", "an element is replaced by one element"));
                };
                *at(root, path).ok_or_else(|| self.nothing("element"))? = fresh;
            }
            Target::Attribute(name) => {
                let text = self.operation.text();
                let element = at(root, path).ok_or_else(|| self.nothing("element"))?;
                let Some((_, value)) = element.attributes.iter_mut().find(|(n, _)| *n == name) else {
                    return Err(self.nothing(&name));
                };
                *value = text;
            }
            Target::Text(number) => {
                let text = self.operation.text();
                let element = at(root, path).ok_or_else(|| self.nothing("element"))?;
                let Some(place) = text_place(element, number) else { return Err(self.nothing("text()")) };
                element.children.splice(place, [XmlNode::Text(text)]);
            }
            Target::Comment => {}
        }
        Ok(())
    }

    fn remove(&self, root: &mut XmlElement, path: &[usize], target: Target) -> Result<(), Failure> {
        match target {
            Target::Element => {
                let Some((place, parent)) = path.split_last() else {
                    return Err(self.unfit("sel", "the whole resource cannot be removed by a patch"));
                };
                let parent = at(root, parent).ok_or_else(|| self.nothing("element"))?;
                if *place < parent.children.len() {
                    parent.children.remove(*place);
                }
            }
            Target::Attribute(name) => {
                let element = at(root, path).ok_or_else(|| self.nothing("element"))?;
                let before = element.attributes.len();
                element.attributes.retain(|(n, _)| *n != name);
                if element.attributes.len() == before {
                    return Err(self.nothing(&name));
                }
            }
            Target::Text(number) => {
                let element = at(root, path).ok_or_else(|| self.nothing("element"))?;
                let Some(place) = text_place(element, number) else { return Err(self.nothing("text()")) };
                element.children.drain(place);
            }
            Target::Comment => {}
        }
        Ok(())
    }
}

fn text_place(element: &XmlElement, number: usize) -> Option<Range<usize>> {
    let texts = element.children.iter().enumerate().filter(|(_, c)| matches!(c, XmlNode::Text(_)));
    texts.map(|(i, _)| i..i + 1).nth(number.saturating_sub(1))
}

fn at<'t>(root: &'t mut XmlElement, path: &[usize]) -> Option<&'t mut XmlElement> {
    path.iter().try_fold(root, |element, place| match element.children.get_mut(*place)? {
        XmlNode::Element(child) => Some(child),
        XmlNode::Text(_) => None,
    })
}

/// The position in `text()[2]`; 1 without one.
fn function(step: &str, name: &str) -> Option<usize> {
    let rest = step.strip_prefix(name)?.strip_prefix("()")?;
    if rest.is_empty() {
        return Some(1);
    }
    rest.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

/// The steps of a selector; slashes in brackets do not part them.
fn steps(selector: &str) -> Option<Vec<&str>> {
    let selector = selector.strip_prefix('/').unwrap_or(selector);
    let (mut depth, mut from, mut found) = (0i32, 0, Vec::new());
    for (i, c) in selector.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            '/' if depth == 0 => {
                found.push(selector.get(from..i)?);
                from = i + 1;
            }
            _ => {}
        }
    }
    found.push(selector.get(from..)?);
    (depth == 0 && found.len() <= 100 && found.iter().all(|s| !s.is_empty())).then_some(found)
}

/// What stands in brackets: `[1]`, `[@a='1']`.
fn predicates(mut text: &str) -> Option<Vec<&str>> {
    let mut found = Vec::new();
    while !text.is_empty() {
        let inner = text.strip_prefix('[')?;
        let end = inner.find(']')?;
        found.push(inner.get(..end)?.trim());
        text = inner.get(end + 1..)?;
    }
    Some(found)
}

#[cfg(test)]
mod tests;
