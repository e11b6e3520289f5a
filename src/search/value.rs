//! The value side of a filter: from the text of one parameter to typed questions (R4 search.html#prefix, #modifiers
//! and the sections of the parameter types). Does not know how a question becomes a condition.

use super::query::{split, unescape};
use super::refusal::Refusal;
use crate::base::ResourceId;
use crate::definitions::{Definitions, SearchKind, SearchParameter};
use crate::index::criteria::{Comparator, StringMatch, UriMatch};
use crate::primitive::{DateTime, Decimal, Reference};

/// Most values of one parameter (`a,b,c`).
pub(super) const MAX_VALUES: usize = 10_000;

/// What one value asks of a parameter.
#[derive(Clone, Debug)]
pub(super) enum Question {
    /// There is a value.
    Present,
    String {
        value: String,
        how: StringMatch,
    },
    Token {
        system: System,
        code: Option<String>,
    },
    /// `:identifier` on references
    Identifier {
        system: System,
        code: Option<String>,
    },
    Date {
        comparator: Comparator,
        value: DateTime,
    },
    Number {
        comparator: Comparator,
        value: Decimal,
    },
    Quantity {
        comparator: Comparator,
        value: Decimal,
        unit: Option<Unit>,
    },
    Uri {
        value: String,
        how: UriMatch,
    },
    /// A resource of this server.
    Local {
        kind: Option<String>,
        id: String,
    },
    /// Any other reference.
    Url(String),
    /// One for each component.
    Composite(Vec<Question>),
}

/// What a token says of the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum System {
    /// `code`
    Any,
    /// `|code`
    None,
    /// `system|code` or `system|`
    Is(String),
}

/// The unit of a quantity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub system: Option<String>,
    pub code: String,
}

/// What the values of one parameter ask: any of them, or none.
#[derive(Debug)]
pub(super) struct Asked {
    pub any: Vec<Question>,
    pub negated: bool,
}

/// What values are read against.
pub(super) struct Reader<'d> {
    pub definitions: &'d Definitions,
    /// Absolute bases of this server.
    pub bases: &'d [String],
}

/// A modifier that a parameter of its type can have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Modifier<'m> {
    None,
    Missing,
    Exact,
    Contains,
    Not,
    Below,
    Above,
    Identifier,
    Type(&'m str),
}

/// Whether a parameter can be searched by here: it has an expression, and is not of the type `special`.
pub fn is_served(parameter: &SearchParameter) -> bool {
    parameter.kind != SearchKind::Special && !parameter.expression.is_empty()
}

impl Reader<'_> {
    /// Reads `value`, which may hold several, of a parameter that was written as `name` in the query.
    pub fn read(&self, p: &SearchParameter, modifier: Option<&str>, name: &str, value: &str) -> Result<Asked, Refusal> {
        if !is_served(p) {
            return Err(Refusal::unusable(format!("the search parameter '{}' is not supported yet", p.code)));
        }
        let modifier = self.modifier(p, modifier, name)?;
        let pieces: Vec<&str> = split(value, b',').into_iter().filter(|v| !v.trim().is_empty()).collect();
        if pieces.is_empty() {
            return Err(Refusal::empty(name));
        }
        if pieces.len() > MAX_VALUES {
            return Err(Refusal::too_costly(format!("'{name}' has more than {MAX_VALUES} values")));
        }
        if modifier == Modifier::Missing {
            return match pieces.as_slice() {
                ["true"] => Ok(Asked { any: vec![Question::Present], negated: true }),
                ["false"] => Ok(Asked { any: vec![Question::Present], negated: false }),
                _ => Err(Refusal::value(name, value, "true or false")),
            };
        }
        let any = pieces.into_iter().map(|piece| self.one(p, modifier, name, piece)).collect::<Result<_, _>>()?;
        Ok(Asked { any, negated: modifier == Modifier::Not })
    }

    fn modifier<'m>(&self, p: &SearchParameter, text: Option<&'m str>, name: &str) -> Result<Modifier<'m>, Refusal> {
        let Some(text) = text else { return Ok(Modifier::None) };
        let modifier = match (p.kind, text) {
            (_, "missing") => Some(Modifier::Missing),
            (SearchKind::String, "exact") => Some(Modifier::Exact),
            (SearchKind::String, "contains") => Some(Modifier::Contains),
            (SearchKind::Token, "not") => Some(Modifier::Not),
            (SearchKind::Uri, "below") => Some(Modifier::Below),
            (SearchKind::Uri, "above") => Some(Modifier::Above),
            (SearchKind::Reference, "identifier") => Some(Modifier::Identifier),
            (SearchKind::Reference, kind) => {
                let known = self.definitions.resource(kind);
                known.filter(|k| p.targets.is_empty() || p.targets.contains(k)).map(|_| Modifier::Type(text))
            }
            _ => None,
        };
        modifier.ok_or_else(|| self.illegal_modifier(p, text, name))
    }

    fn illegal_modifier(&self, p: &SearchParameter, modifier: &str, name: &str) -> Refusal {
        let mut legal = match p.kind {
            SearchKind::String => ":missing, :exact, :contains".to_owned(),
            SearchKind::Token => ":missing, :not".to_owned(),
            SearchKind::Uri => ":missing, :below, :above".to_owned(),
            SearchKind::Reference => ":missing, :identifier".to_owned(),
            _ => ":missing".to_owned(),
        };
        if p.kind == SearchKind::Reference {
            match p.targets.as_slice() {
                few if !few.is_empty() && few.len() <= 12 => {
                    for target in few {
                        legal.push_str(", :");
                        legal.push_str(self.definitions.name(*target));
                    }
                }
                _ => legal.push_str(", and any resource type it can refer to"),
            }
        }
        let elsewhere = match p.kind {
            SearchKind::Token => matches!(modifier, "text" | "in" | "not-in" | "above" | "below" | "of-type"),
            SearchKind::Reference => matches!(modifier, "above" | "below"),
            _ => false,
        };
        let why = if elsewhere { "is not supported yet" } else { "does not exist" };
        Refusal::illegal(format!(
            "'{}': the modifier ':{}' {why} for the {} parameter '{}'; it takes {legal}",
            super::refusal::brief(name),
            super::refusal::brief(modifier),
            p.kind.code(),
            p.code
        ))
    }

    /// One value. `text` still has its escapes.
    fn one(&self, p: &SearchParameter, modifier: Modifier<'_>, name: &str, text: &str) -> Result<Question, Refusal> {
        match p.kind {
            SearchKind::String => {
                let how = match modifier {
                    Modifier::Exact => StringMatch::Exact,
                    Modifier::Contains => StringMatch::Contains,
                    _ => StringMatch::Starts,
                };
                Ok(Question::String { value: unescape(text), how })
            }
            SearchKind::Token => {
                let (system, code) = token(name, text)?;
                Ok(Question::Token { system, code })
            }
            SearchKind::Reference if modifier == Modifier::Identifier => {
                let (system, code) = token(name, text)?;
                Ok(Question::Identifier { system, code })
            }
            SearchKind::Reference => {
                let kind = if let Modifier::Type(kind) = modifier { Some(kind) } else { None };
                self.reference(name, &unescape(text), kind)
            }
            SearchKind::Date => date(name, text),
            SearchKind::Number => {
                let (comparator, rest) = prefix(text);
                let value = Decimal::parse(rest).ok_or_else(|| Refusal::value(name, text, NUMBER))?;
                Ok(Question::Number { comparator, value })
            }
            SearchKind::Quantity => quantity(name, text),
            SearchKind::Uri => {
                let how = match modifier {
                    Modifier::Below => UriMatch::Below,
                    Modifier::Above => UriMatch::Above,
                    _ => UriMatch::Exact,
                };
                Ok(Question::Uri { value: unescape(text), how })
            }
            SearchKind::Composite => self.composite(p, name, text),
            SearchKind::Special => Err(Refusal::unusable(format!("'{name}' is not supported yet"))),
        }
    }

    fn reference(&self, name: &str, text: &str, wanted: Option<&str>) -> Result<Question, Refusal> {
        let local = |kind: &str, id: &str| {
            if self.definitions.resource(kind).is_none() {
                return Err(Refusal::value(name, text, &format!("a reference: there is no resource type '{kind}'")));
            }
            if let Some(wanted) = wanted.filter(|w| *w != kind) {
                return Err(Refusal::value(
                    name,
                    text,
                    &format!("a reference to {wanted}, which the modifier asks for"),
                ));
            }
            Ok(Question::Local { kind: Some(kind.to_owned()), id: id.to_owned() })
        };
        match Reference::parse(text) {
            Reference::Relative { kind, id, .. } => local(kind, id),
            Reference::Absolute { base, kind, id, .. } if self.bases.iter().any(|b| b == base) => local(kind, id),
            Reference::Absolute { base, kind, id, .. } => Ok(Question::Url(format!("{base}/{kind}/{id}"))),
            Reference::Urn(_) => Ok(Question::Url(text.to_owned())),
            Reference::Canonical { url, .. } if url.contains(':') => Ok(Question::Url(text.to_owned())),
            Reference::Other(_) if ResourceId::is_legal(text) => {
                Ok(Question::Local { kind: wanted.map(str::to_owned), id: text.to_owned() })
            }
            Reference::Other(_) if text.contains(':') => Ok(Question::Url(text.to_owned())),
            _ => Err(Refusal::value(name, text, "a reference: write [type]/[id], [id] or an absolute URL")),
        }
    }

    fn composite(&self, p: &SearchParameter, name: &str, text: &str) -> Result<Question, Refusal> {
        let parts = split(text, b'$');
        let components: Option<Vec<_>> =
            p.components.iter().map(|c| self.definitions.search_parameter_by_url(&c.definition)).collect();
        let components = components.filter(|c| !c.is_empty()).ok_or_else(|| {
            Refusal::unusable(format!("the composite parameter '{}' has an unknown component", p.code))
        })?;
        if parts.len() != components.len() || parts.iter().any(|part| part.is_empty()) {
            let form: Vec<_> = components.iter().map(|c| format!("[{}]", c.code)).collect();
            return Err(Refusal::value(name, text, &format!("of the form {}", form.join("$"))));
        }
        let parts = components.iter().zip(parts).map(|(component, part)| match component.kind {
            SearchKind::Composite => Err(Refusal::unusable(format!("'{name}': composites of composites"))),
            _ => self.one(component, Modifier::None, name, part),
        });
        Ok(Question::Composite(parts.collect::<Result<_, _>>()?))
    }
}

const NUMBER: &str = "a number (such as 100, 1.5 or 1e3, after an optional prefix eq ne gt lt ge le sa eb ap)";
const DATE: &str = "a date (YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm[:ss][zone], after an optional prefix \
                    eq ne gt lt ge le sa eb ap)";
const QUANTITY: &str =
    "a quantity ([number] or [number]|[system]|[code], after an optional prefix eq ne gt lt ge le sa eb ap)";
const TOKEN: &str = "a token ([code], [system]|[code], |[code] or [system]|; a bar in a code is written \\|)";

/// The prefix, and what follows. No prefix means `eq`.
fn prefix(text: &str) -> (Comparator, &str) {
    let text = text.trim();
    let comparator = match text.get(..2) {
        Some("eq") => Comparator::Eq,
        Some("ne") => Comparator::Ne,
        Some("gt") => Comparator::Gt,
        Some("lt") => Comparator::Lt,
        Some("ge") => Comparator::Ge,
        Some("le") => Comparator::Le,
        Some("sa") => Comparator::Sa,
        Some("eb") => Comparator::Eb,
        Some("ap") => Comparator::Ap,
        _ => return (Comparator::Eq, text),
    };
    (comparator, text.get(2..).unwrap_or_default())
}

fn date(name: &str, text: &str) -> Result<Question, Refusal> {
    let (comparator, rest) = prefix(text);
    // Where a client forgets to encode the plus of a time zone, a space arrives; no date has a space.
    let value = DateTime::parse(&rest.replace(' ', "+")).ok_or_else(|| Refusal::value(name, text, DATE))?;
    Ok(Question::Date { comparator, value })
}

fn quantity(name: &str, text: &str) -> Result<Question, Refusal> {
    let bad = || Refusal::value(name, text, QUANTITY);
    let parts = split(text, b'|');
    let (comparator, number) = prefix(parts.first().copied().unwrap_or_default());
    let value = Decimal::parse(number).ok_or_else(bad)?;
    let unit = match parts.as_slice() {
        [_] | [_, "", ""] => None,
        [_, system, code] if !code.is_empty() => {
            let system = Some(unescape(system)).filter(|s| !s.is_empty());
            Some(Unit { system, code: unescape(code) })
        }
        _ => return Err(bad()),
    };
    Ok(Question::Quantity { comparator, value, unit })
}

fn token(name: &str, text: &str) -> Result<(System, Option<String>), Refusal> {
    let code = |code: &str| Some(unescape(code)).filter(|c| !c.is_empty());
    match split(text, b'|').as_slice() {
        [one] => Ok((System::Any, code(one))),
        ["", one] if !one.is_empty() => Ok((System::None, code(one))),
        [system, one] if !system.is_empty() => Ok((System::Is(unescape(system)), code(one))),
        _ => Err(Refusal::value(name, text, TOKEN)),
    }
}
