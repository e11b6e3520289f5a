//! The value side of a filter: from the text of one parameter to typed questions (R4 search.html#prefix, #modifiers
//! and the sections of the parameter types). Does not know how a question becomes a condition.

use super::codes::{Codes, CodesOf};
use super::modifier::Modifier;
use super::near;
use super::query::{split, unescape};
use super::refusal::Refusal;
use super::words::Words;
use crate::base::ResourceId;
use crate::definitions::{Component, Definitions, SearchKind, SearchParameter, TypeId};
use crate::index::Position;
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
    /// `:text` on tokens
    Label(String),
    /// `:of-type` on identifiers
    OfType {
        system: String,
        code: String,
        value: String,
    },
    /// `_text`, and `_content` with the number of `_text`, whose words belong to it
    Words {
        words: Words,
        also: Option<u16>,
    },
    /// `near`
    Near {
        centre: Position,
        metres: f64,
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
    /// A canonical and what lies below or above it.
    Canonical {
        url: String,
        below: bool,
    },
    /// A resource of this server and those below or above it.
    Hierarchy(Hierarchy),
    /// One for each component.
    Composite(Vec<Question>),
}

/// A resource, and those of its type below or above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub kind: TypeId,
    pub kind_name: String,
    pub id: String,
    /// Number of the parameter by which it refers to what is next above it.
    pub parent: u16,
    /// Number of `_id`.
    pub own_id: u16,
    pub below: bool,
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
    /// What is known of terminology.
    pub codes: &'d Codes,
}

/// Whether a parameter can be searched by here: it has an expression, or is one that needs none.
pub fn is_served(parameter: &SearchParameter) -> bool {
    match &*parameter.code {
        "_text" | "_content" | "_filter" => true,
        _ => !parameter.expression.is_empty(),
    }
}

/// Whether a parameter stands for words.
fn is_words(parameter: &SearchParameter) -> bool {
    matches!(&*parameter.code, "_text" | "_content")
}

impl Reader<'_> {
    /// Reads `value`, which may hold several, of a parameter that was written as `name` in the query.
    pub fn read(&self, p: &SearchParameter, modifier: Option<&str>, name: &str, value: &str) -> Result<Asked, Refusal> {
        if !is_served(p) {
            return Err(Refusal::unusable(format!("the search parameter '{}' is not supported yet", p.code)));
        }
        let modifier = Modifier::read(self.definitions, p, modifier, name)?;
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
        let negated = matches!(modifier, Modifier::Not | Modifier::NotIn);
        let of = match (p.kind, modifier) {
            (SearchKind::Token, Modifier::In | Modifier::NotIn) => Some(CodesOf::ValueSet),
            (SearchKind::Token, Modifier::Below) => Some(CodesOf::Below),
            (SearchKind::Token, Modifier::Above) => Some(CodesOf::Above),
            _ => None,
        };
        let mut any = Vec::with_capacity(pieces.len());
        for piece in pieces {
            match of {
                Some(of) => any.extend(self.codes(of, name, piece)?),
                None => any.push(self.one(p, modifier, name, piece)?),
            }
        }
        Ok(Asked { any, negated })
    }

    /// One token for each code of a value set or hierarchy.
    pub fn codes(&self, of: CodesOf, name: &str, text: &str) -> Result<Vec<Question>, Refusal> {
        if of != CodesOf::ValueSet {
            let (_, code) = token(name, text)?;
            if code.is_none() {
                return Err(Refusal::value(name, text, "a code ([code] or [system]|[code])"));
            }
        }
        let codes = self.codes.find(of, &unescape(text));
        let codes =
            codes.map_err(|why| Refusal::illegal(format!("'{name}': '{}': {why}", super::refusal::brief(text))))?;
        let question = |(system, code): (String, String)| {
            let system = if system.is_empty() { System::Any } else { System::Is(system) };
            Question::Token { system, code: Some(code) }
        };
        Ok(codes.into_iter().map(question).collect())
    }

    /// One value. `text` still has its escapes.
    pub fn one(
        &self,
        p: &SearchParameter,
        modifier: Modifier<'_>,
        name: &str,
        text: &str,
    ) -> Result<Question, Refusal> {
        match p.kind {
            SearchKind::String if is_words(p) => {
                let words = Words::parse(&unescape(text)).ok_or_else(|| Refusal::value(name, text, WORDS))?;
                // What the narrative says is part of the content.
                let content = &*p.code == "_content";
                let also = content.then(|| self.definitions.search_parameter_by_url(TEXT).map(|p| p.number)).flatten();
                Ok(Question::Words { words, also })
            }
            SearchKind::String => {
                let how = match modifier {
                    Modifier::Exact => StringMatch::Exact,
                    Modifier::Contains => StringMatch::Contains,
                    _ => StringMatch::Starts,
                };
                Ok(Question::String { value: unescape(text), how })
            }
            SearchKind::Token if modifier == Modifier::Text => Ok(Question::Label(unescape(text))),
            SearchKind::Token if modifier == Modifier::OfType => match split(text, b'|').as_slice() {
                [system, code, value] if ![system, code, value].iter().any(|part| part.is_empty()) => {
                    Ok(Question::OfType { system: unescape(system), code: unescape(code), value: unescape(value) })
                }
                _ => Err(Refusal::value(name, text, "of the form [system]|[code]|[value], the type and the value")),
            },
            SearchKind::Token => {
                let (system, code) = token(name, text)?;
                Ok(Question::Token { system, code })
            }
            SearchKind::Reference if matches!(modifier, Modifier::Below | Modifier::Above) => {
                self.hierarchy(p, name, &unescape(text), modifier == Modifier::Below)
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
            SearchKind::Special if &*p.code == "near" => {
                let (centre, metres) = near::read(name, text)?;
                Ok(Question::Near { centre, metres })
            }
            SearchKind::Special => {
                Err(Refusal::unusable(format!("'{name}' is not a parameter with a value of its own")))
            }
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
        let here = |base: &str| self.bases.iter().any(|b| b == base);
        match Reference::parse(text) {
            Reference::Relative { kind, id, version: Some(version) } => {
                local(kind, id).map(|_| Question::Url(format!("{kind}/{id}/_history/{version}")))
            }
            Reference::Absolute { base, kind, id, version: Some(version) } if here(base) => {
                local(kind, id).map(|_| Question::Url(format!("{kind}/{id}/_history/{version}")))
            }
            Reference::Relative { kind, id, .. } => local(kind, id),
            Reference::Absolute { base, kind, id, .. } if here(base) => local(kind, id),
            Reference::Absolute { .. } => Ok(Question::Url(text.to_owned())),
            Reference::Urn(_) => Ok(Question::Url(text.to_owned())),
            Reference::Canonical { url, .. } if url.contains(':') => Ok(Question::Url(text.to_owned())),
            Reference::Other(_) if ResourceId::is_legal(text) => {
                Ok(Question::Local { kind: wanted.map(str::to_owned), id: text.to_owned() })
            }
            Reference::Other(_) if text.contains(':') => Ok(Question::Url(text.to_owned())),
            _ => Err(Refusal::value(name, text, "a reference: write [type]/[id], [id] or an absolute URL")),
        }
    }

    /// A resource or a canonical, with what lies below or above it.
    fn hierarchy(&self, p: &SearchParameter, name: &str, text: &str, below: bool) -> Result<Question, Refusal> {
        let (kind, id) = match self.reference(name, text, None)? {
            Question::Local { kind, id } => (kind, id),
            Question::Url(url) => return Ok(Question::Canonical { url, below }),
            other => return Ok(other),
        };
        let own = kind.as_deref().and_then(|kind| self.definitions.resource(kind));
        let of_kind = |kind: &TypeId| self.parent(*kind).map(|parent| (*kind, parent));
        let mut possible = p.targets.iter().filter(|kind| own.is_none_or(|own| own == **kind)).filter_map(of_kind);
        let (Some((kind, parent)), None) = (possible.next(), possible.next()) else {
            let kinds: Vec<_> = p.targets.iter().filter(|k| self.parent(**k).is_some()).collect();
            let names: Vec<_> = kinds.iter().map(|kind| self.definitions.name(**kind)).collect();
            let legal = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return Err(Refusal::value(
                name,
                text,
                &format!("a reference with its type, one whose resources lie above each other (here: {legal})"),
            ));
        };
        let own_id = self.definitions.search_parameter(kind, "_id").map_or(u16::MAX, |p| p.number);
        let kind_name = self.definitions.name(kind).to_owned();
        Ok(Question::Hierarchy(Hierarchy { kind, kind_name, id, parent, own_id, below }))
    }

    /// The parameter by which a resource says what it is part of, where that is of its own type.
    fn parent(&self, kind: TypeId) -> Option<u16> {
        let part_of = |code| self.definitions.search_parameter(kind, code).filter(|p| p.kind == SearchKind::Reference);
        part_of("partof").or_else(|| part_of("part-of")).filter(|p| p.targets.contains(&kind)).map(|p| p.number)
    }

    /// The parameter that a component of a composite is like.
    pub fn component(&self, component: &Component) -> Option<&SearchParameter> {
        self.definitions.search_parameter_by_url(&component.definition)
    }

    fn composite(&self, p: &SearchParameter, name: &str, text: &str) -> Result<Question, Refusal> {
        let parts = split(text, b'$');
        let components: Option<Vec<_>> = p.components.iter().map(|c| self.component(c)).collect();
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

/// Canonical of `_text`.
const TEXT: &str = "http://hl7.org/fhir/SearchParameter/DomainResource-text";
const WORDS: &str = "words, joined by and, or, not and parentheses that fit together";
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
