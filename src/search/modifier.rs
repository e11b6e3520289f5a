//! Modifiers (R4 search.html#modifiers): which there are for each type of parameter. What they do to a value is in
//! `value`.

use super::refusal::{Refusal, brief};
use crate::definitions::{Definitions, SearchKind, SearchParameter};

/// A modifier that a parameter of its type can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Modifier<'m> {
    None,
    Missing,
    Exact,
    Contains,
    Text,
    Not,
    In,
    NotIn,
    OfType,
    Below,
    Above,
    Identifier,
    Type(&'m str),
}

impl<'m> Modifier<'m> {
    /// The modifier of a parameter that was written as `name` in the query.
    pub fn read(
        definitions: &Definitions,
        p: &SearchParameter,
        text: Option<&'m str>,
        name: &str,
    ) -> Result<Modifier<'m>, Refusal> {
        let Some(text) = text else { return Ok(Modifier::None) };
        let words = matches!(&*p.code, "_text" | "_content");
        let modifier = match (p.kind, text) {
            // R4 search.html#missing leaves out combinations.
            (SearchKind::Special | SearchKind::Composite, _) => None,
            (_, "missing") => Some(Modifier::Missing),
            (SearchKind::String, "exact") if !words => Some(Modifier::Exact),
            (SearchKind::String, "contains") if !words => Some(Modifier::Contains),
            (SearchKind::Token, "not") => Some(Modifier::Not),
            (SearchKind::Token, "text") if has_text(p) => Some(Modifier::Text),
            (SearchKind::Token, "in") => Some(Modifier::In),
            (SearchKind::Token, "not-in") => Some(Modifier::NotIn),
            (SearchKind::Token, "of-type") if is_identifier(p) => Some(Modifier::OfType),
            (SearchKind::Token | SearchKind::Uri, "below") => Some(Modifier::Below),
            (SearchKind::Token | SearchKind::Uri, "above") => Some(Modifier::Above),
            (SearchKind::Reference, "below") => Some(Modifier::Below),
            (SearchKind::Reference, "above") => Some(Modifier::Above),
            (SearchKind::Reference, "identifier") => Some(Modifier::Identifier),
            (SearchKind::Reference, kind) => {
                let known = definitions.resource(kind);
                known.filter(|k| p.targets.is_empty() || p.targets.contains(k)).map(|_| Modifier::Type(text))
            }
            _ => None,
        };
        modifier.ok_or_else(|| illegal(definitions, p, text, name))
    }
}

/// Whether there can be a text beside the code; logical ids and the like have none.
fn has_text(p: &SearchParameter) -> bool {
    &*p.code != "_id"
}

/// Whether a parameter is of the type Identifier: its expression leads to one.
fn is_identifier(p: &SearchParameter) -> bool {
    p.expression.to_ascii_lowercase().contains("identifier")
}

fn illegal(definitions: &Definitions, p: &SearchParameter, modifier: &str, name: &str) -> Refusal {
    let mut legal = match p.kind {
        SearchKind::String if matches!(&*p.code, "_text" | "_content") => ":missing".to_owned(),
        SearchKind::String => ":missing, :exact, :contains".to_owned(),
        SearchKind::Token => {
            let text = if has_text(p) { ", :text" } else { "" };
            let of_type = if is_identifier(p) { ", :of-type" } else { "" };
            format!(":missing, :not{text}{of_type}, :in, :not-in, :below, :above")
        }
        SearchKind::Uri => ":missing, :below, :above".to_owned(),
        SearchKind::Reference => ":missing, :identifier, :below, :above".to_owned(),
        SearchKind::Special | SearchKind::Composite => "none".to_owned(),
        _ => ":missing".to_owned(),
    };
    if p.kind == SearchKind::Reference {
        match p.targets.as_slice() {
            few if !few.is_empty() && few.len() <= 12 => {
                for target in few {
                    legal.push_str(", :");
                    legal.push_str(definitions.name(*target));
                }
            }
            _ => legal.push_str(", and any resource type it can refer to"),
        }
    }
    Refusal::illegal(format!(
        "'{}': the modifier ':{}' does not exist for the {} parameter '{}'; it takes {legal}",
        brief(name),
        brief(modifier),
        p.kind.code(),
        p.code
    ))
}
