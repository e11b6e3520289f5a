//! What an operation is given, whether it stands in the query string or in a Parameters resource, and the Parameters
//! resource that it answers with (R4 operations.html#executing).

use crate::base::{Failure, IssueCode};
use crate::interaction::incoming::{parse, unsupported};
use crate::interaction::{Effect, Media, Reply, ReplyContent, Request};
use crate::json::{Limits, Tree};
use crate::search;

/// What an operation is given, in order.
#[derive(Debug, Default)]
pub(super) struct Inputs(Vec<Input>);

/// One parameter.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// Its name.
    pub name: String,
    /// Where it stands, for issues.
    pub place: String,
    /// Its value, resource or parts; a string where it stands in the query string.
    pub value: Tree,
}

impl Inputs {
    /// Reads the parameters of a request. A body that is a resource but no Parameters is the parameter `sole`.
    pub(super) fn read(request: &Request, limits: &Limits, sole: Option<&str>) -> Result<Inputs, Failure> {
        let mut all = Vec::new();
        for (name, value) in search::pairs(&request.query)? {
            if !name.starts_with('_') {
                all.push(Input { place: name.clone(), name, value: Tree::String(value) });
            }
        }
        let Some(payload) = request.body.as_ref().filter(|p| !p.bytes.is_empty()) else { return Ok(Inputs(all)) };
        if payload.media != Media::Json {
            return Err(unsupported(&payload.media));
        }
        let document = parse(&payload.bytes, limits)?;
        let root = Tree::from(document.root());
        match (root.get("resourceType").and_then(Tree::as_str), sole) {
            (Some("Parameters"), _) => {}
            (Some(_), Some(name)) => {
                all.push(Input { name: name.to_owned(), place: name.to_owned(), value: root });
                return Ok(Inputs(all));
            }
            _ => {
                let message = "the body of an operation is a Parameters resource";
                return Err(Failure::malformed(IssueCode::Structure, message).at("Parameters"));
            }
        }
        all.extend(from_tree(&root)?);
        Ok(Inputs(all))
    }

    /// All parameters of a name.
    pub(super) fn all<'i>(&'i self, name: &'i str) -> impl Iterator<Item = &'i Input> {
        self.0.iter().filter(move |i| i.name == name)
    }

    /// A parameter that is true or false.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match &self.get(name)?.value {
            Tree::Bool(b) => Some(*b),
            Tree::String(text) => Some(text == "true"),
            _ => None,
        }
    }

    /// The parameters of another Parameters resource, and behind them all of these but those of a name.
    pub(super) fn beside(&self, but: &str, inner: &Tree) -> Inputs {
        let mut all = from_tree(inner).unwrap_or_default();
        all.extend(self.0.iter().filter(|i| i.name != but).cloned());
        Inputs(all)
    }

    /// The first parameter of a name.
    pub(super) fn get(&self, name: &str) -> Option<&Input> {
        self.0.iter().find(|i| i.name == name)
    }

    /// The value of a parameter as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match &self.get(name)?.value {
            Tree::String(text) | Tree::Number(text) => Some(text).filter(|t| !t.is_empty()).map(String::as_str),
            _ => None,
        }
    }
}

impl Input {
    /// The value as text.
    pub(super) fn as_text(&self) -> Option<&str> {
        self.value.as_str().filter(|t| !t.is_empty())
    }
}

/// The parameters of a Parameters resource.
fn from_tree(root: &Tree) -> Result<Vec<Input>, Failure> {
    let mut all = Vec::new();
    for (i, parameter) in root.get("parameter").map_or(&[][..], Tree::items).iter().enumerate() {
        let place = format!("Parameters.parameter[{i}]");
        let Some(name) = parameter.get("name").and_then(Tree::as_str) else {
            let message = "a parameter has a name";
            return Err(Failure::malformed(IssueCode::Required, message).at(&format!("{place}.name")));
        };
        let Tree::Object(entries) = parameter else { continue };
        let value = entries.iter().find(|(k, _)| k.starts_with("value") || k == "resource" || k == "part");
        let Some((_, value)) = value else { continue };
        all.push(Input { name: name.to_owned(), place, value: value.clone() });
    }
    Ok(all)
}

/// A parameter of an answer: `value[x]`.
pub(super) fn value(name: &str, kind: &str, value: Tree) -> Tree {
    Tree::Object(vec![("name".to_owned(), Tree::string(name)), (format!("value{kind}"), value)])
}

/// A parameter of an answer with parts.
pub(super) fn parts(name: &str, parts: Vec<Tree>) -> Tree {
    Tree::object([("name", Tree::string(name)), ("part", Tree::Array(parts))])
}

/// A parameter of an answer with a resource.
pub(super) fn resource(name: &str, resource: Tree) -> Tree {
    Tree::object([("name", Tree::string(name)), ("resource", resource)])
}

/// The answer of these parameters.
pub(super) fn answer(parameters: Vec<Tree>) -> Reply {
    let mut root = Tree::object([("resourceType", Tree::string("Parameters"))]);
    if !parameters.is_empty() {
        root.set("parameter", Tree::Array(parameters));
    }
    Reply::of(Effect::Ok, ReplyContent::Json(root.to_json().into_bytes()))
}
