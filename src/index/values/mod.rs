//! From a value of a resource to its encodings, by type of parameter and type of value (R4 search.html, the table
//! under each type of parameter). Which values there are is the extractor's.

mod amount;
mod moment;
mod reference;
mod text;
mod token;

use super::encode;
use super::sink::Sink;
use crate::definitions::{BindingStrength, Definitions, ElementType, SearchKind};
use crate::fhirpath::{Branch, Found};
use crate::primitive::Primitive;
pub(super) use reference::Bases;

/// How values of one type are encoded for one type of parameter.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Encoder {
    /// Not at all: only that there is a value is known.
    Nothing,
    /// Coding as token.
    Coding,
    /// CodeableConcept as token.
    CodeableConcept,
    /// Identifier as token.
    Identifier,
    /// ContactPoint as token.
    ContactPoint,
    /// A code as token; its system is that of the value set bound to it, if it can be known.
    Code(Option<Box<str>>),
    /// A string as token: folded, no system.
    FoldedToken,
    /// uri, id and others as token: no system.
    PlainToken,
    /// A boolean as token.
    Boolean,
    /// string or markdown as string.
    Text,
    /// The texts of a CodeableConcept as string (only extensions have it).
    Texts,
    /// HumanName as string.
    HumanName,
    /// Address as string.
    Address,
    /// date, dateTime or instant as date.
    Moment,
    /// Period as date.
    Period,
    /// Timing as date.
    Timing,
    /// integer or decimal as number, or as quantity without a unit.
    Number(u8),
    /// The value of a Quantity as number.
    NumberOfQuantity,
    /// Range as number.
    NumberRange,
    /// Quantity and what specializes it, as quantity.
    Quantity,
    /// Money as quantity.
    Money,
    /// Range as quantity.
    Range,
    /// Reference as reference.
    Reference,
    /// canonical or uri as reference.
    Canonical,
    /// A resource in the place of a reference (`Bundle.entry[0].resource`).
    Resource,
    /// uri and url as uri.
    Uri,
    /// canonical as uri.
    CanonicalUri,
    /// Latitude and longitude as place.
    Position,
}

impl Encoder {
    /// The encoder for what a branch leads to.
    pub(super) fn for_branch(definitions: &Definitions, kind: SearchKind, branch: &Branch) -> Encoder {
        let primitive = match branch.kind {
            ElementType::Primitive(primitive) => Some(primitive),
            _ => None,
        };
        match (kind, primitive) {
            (SearchKind::Token, Some(Primitive::Code)) => Encoder::Code(bound_value_set(definitions, branch)),
            (SearchKind::Token, Some(Primitive::Boolean)) => Encoder::Boolean,
            (SearchKind::Token, Some(Primitive::String | Primitive::Markdown)) => Encoder::FoldedToken,
            (SearchKind::Token, Some(_)) => Encoder::PlainToken,
            (SearchKind::String, Some(_)) => Encoder::Text,
            (SearchKind::Date, Some(Primitive::Date | Primitive::DateTime | Primitive::Instant)) => Encoder::Moment,
            (SearchKind::Number, Some(_)) => Encoder::Number(encode::NUMBER),
            (SearchKind::Quantity, Some(_)) => Encoder::Number(encode::QUANTITY),
            (SearchKind::Reference, Some(_)) => Encoder::Canonical,
            (SearchKind::Uri, Some(Primitive::Canonical)) => Encoder::CanonicalUri,
            (SearchKind::Uri, Some(_)) => Encoder::Uri,
            (SearchKind::Reference, None) if branch.kind == ElementType::Resource => Encoder::Resource,
            (_, Some(_)) => Encoder::Nothing,
            (kind, None) => Encoder::for_complex(kind, &branch.type_name),
        }
    }

    fn for_complex(kind: SearchKind, type_name: &str) -> Encoder {
        let quantity = ["Quantity", "SimpleQuantity", "Age", "Duration", "Count", "Distance", "MoneyQuantity"];
        match (kind, type_name) {
            (SearchKind::Token, "Coding") => Encoder::Coding,
            (SearchKind::Token, "CodeableConcept") => Encoder::CodeableConcept,
            (SearchKind::Token, "Identifier") => Encoder::Identifier,
            (SearchKind::Token, "ContactPoint") => Encoder::ContactPoint,
            (SearchKind::String, "CodeableConcept") => Encoder::Texts,
            (SearchKind::String, "HumanName") => Encoder::HumanName,
            (SearchKind::String, "Address") => Encoder::Address,
            (SearchKind::Date, "Period") => Encoder::Period,
            (SearchKind::Date, "Timing") => Encoder::Timing,
            (SearchKind::Number, "Range") => Encoder::NumberRange,
            (SearchKind::Quantity, "Range") => Encoder::Range,
            (SearchKind::Quantity, "Money") => Encoder::Money,
            (SearchKind::Quantity, name) if quantity.contains(&name) => Encoder::Quantity,
            (SearchKind::Number, name) if quantity.contains(&name) => Encoder::NumberOfQuantity,
            (SearchKind::Reference, "Reference") => Encoder::Reference,
            (SearchKind::Special, "BackboneElement") => Encoder::Position,
            _ => Encoder::Nothing,
        }
    }

    /// Encodes a value.
    pub(super) fn encode(&self, context: &Context<'_>, found: Found<'_>, sink: &mut Sink) {
        let value = match found {
            Found::Value(value) => value,
            Found::Boolean(truth) => return token::boolean(truth, sink),
        };
        match self {
            Encoder::Nothing => {}
            Encoder::Coding => token::coding(value, sink),
            Encoder::CodeableConcept => token::codeable_concept(value, sink),
            Encoder::Identifier => token::identifier(value, sink),
            Encoder::ContactPoint => token::contact_point(value, sink),
            Encoder::Code(value_set) => token::code(context.definitions, value_set.as_deref(), value, sink),
            Encoder::FoldedToken => token::folded(value, sink),
            Encoder::PlainToken => token::plain(value, sink),
            Encoder::Boolean => {
                if let Some(truth) = value.as_bool() {
                    token::boolean(truth, sink);
                }
            }
            Encoder::Text => text::text(value, sink),
            Encoder::Texts => text::texts(value, sink),
            Encoder::HumanName => text::human_name(value, sink),
            Encoder::Address => text::address(value, sink),
            Encoder::Moment => moment::moment(value, sink),
            Encoder::Period => moment::period(value, sink),
            Encoder::Timing => moment::timing(value, sink),
            Encoder::Number(form) => amount::number(value, *form, sink),
            Encoder::NumberOfQuantity => amount::number_of_quantity(value, sink),
            Encoder::NumberRange => amount::number_range(value, sink),
            Encoder::Quantity => amount::quantity(value, sink),
            Encoder::Money => amount::money(value, sink),
            Encoder::Range => amount::range(value, sink),
            Encoder::Reference => reference::reference(context.bases, value, sink),
            Encoder::Canonical => reference::canonical(context.bases, value, sink),
            Encoder::Resource => reference::resource(value, sink),
            Encoder::Uri => reference::uri(value, sink),
            Encoder::CanonicalUri => reference::canonical_uri(value, sink),
            Encoder::Position => amount::position(value, sink),
        }
    }
}

/// What encoders have to know beside the value.
pub(super) struct Context<'c> {
    pub(super) definitions: &'c Definitions,
    pub(super) bases: &'c Bases,
}

/// The value set of a required binding, if its codes are known.
fn bound_value_set(definitions: &Definitions, branch: &Branch) -> Option<Box<str>> {
    let (owner, index) = branch.element?;
    let binding = definitions.structure(owner).elements.get(usize::from(index))?.binding.as_ref()?;
    let known =
        binding.strength == BindingStrength::Required && definitions.value_sets.contains_key(&binding.value_set);
    known.then(|| binding.value_set.clone())
}

/// The bytes of the number of a Quantity or Range, for tests on the bytes of one value.
#[cfg(test)]
pub(super) fn quantity_bytes(value: crate::json::Value<'_>) -> Vec<u8> {
    let mut sink = Sink::for_components();
    if value.get("value").is_some() {
        amount::quantity(value, &mut sink)
    } else {
        amount::range(value, &mut sink)
    }
    sink.into_components().remove(0)
}
