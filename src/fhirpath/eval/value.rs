//! What expressions are evaluated on: nodes borrowed from a document, with their FHIR type, and System values. Going to
//! the children of a node is here; functions and operators are not.

use super::moment::Moment;
use super::number::Number;
use super::quantity::Quantity;
use crate::definitions::{Definitions, Element, ElementType, StructureKind, TypeId};
use crate::json::{Kind, Value, minify_into};
use crate::primitive::Primitive;
use std::rc::Rc;

/// The FHIR type of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeType {
    /// A primitive.
    Primitive(Primitive),
    /// A resource, data type or backbone element.
    Complex(TypeId),
}

/// A node of a document.
#[derive(Clone, Copy, Debug)]
pub struct Node<'d> {
    /// The value; missing where a primitive has only id or extensions.
    pub value: Option<Value<'d>>,
    /// Id and extensions of a primitive (`_birthDate`).
    pub extra: Option<Value<'d>>,
    /// Its type.
    pub kind: NodeType,
}

/// One value of a collection.
#[derive(Clone, Debug)]
pub enum Item<'d> {
    /// A node of the document.
    Node(Node<'d>),
    /// System.Boolean
    Boolean(bool),
    /// System.Integer
    Integer(i64),
    /// System.Decimal
    Decimal(Number),
    /// System.String
    String(Rc<str>),
    /// System.Date, System.DateTime or System.Time
    Moment(Moment),
    /// System.Quantity
    Quantity(Quantity),
    /// What `type()` gives: namespace and name.
    Type(&'static str, Rc<str>),
}

/// The values of an expression.
pub type Collection<'d> = Vec<Item<'d>>;

fn value_of<'d>(value: Value<'d>, kind: Primitive) -> Option<Item<'d>> {
    let text = || value.as_str().map(|text| text.into_owned());
    Some(match kind {
        Primitive::Boolean => Item::Boolean(value.as_bool()?),
        Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt => {
            Item::Integer(value.as_number()?.parse().ok()?)
        }
        Primitive::Decimal => Item::Decimal(Number::parse(value.as_number()?)?),
        Primitive::Date => Item::Moment(Moment::date(&text()?)?),
        Primitive::DateTime | Primitive::Instant => Item::Moment(Moment::date_time(&text()?)?),
        Primitive::Time => Item::Moment(Moment::time(&text()?)?),
        _ => Item::String(text()?.into()),
    })
}

impl<'d> Item<'d> {
    /// A string.
    pub fn text(text: impl Into<Rc<str>>) -> Item<'d> {
        Item::String(text.into())
    }

    /// The System value that a node stands for; the item itself where it is one already or has none.
    pub fn system(&self, definitions: &Definitions) -> Item<'d> {
        let Item::Node(node) = self else { return self.clone() };
        match (node.kind, node.value) {
            (NodeType::Primitive(kind), Some(value)) => value_of(value, kind).unwrap_or_else(|| self.clone()),
            (NodeType::Complex(id), Some(value)) if is_quantity(definitions.name(id)) => {
                let number = value.get("value").and_then(|v| Number::parse(v.as_number()?));
                let unit = value.get("code").or_else(|| value.get("unit")).and_then(|u| u.as_str());
                match number {
                    Some(number) => Item::Quantity(Quantity::of(number, unit.as_deref().unwrap_or("1"))),
                    None => self.clone(),
                }
            }
            _ => self.clone(),
        }
    }

    /// Namespace and name of its type.
    pub fn type_name<'a>(&self, definitions: &'a Definitions) -> (&'static str, &'a str) {
        use super::moment::MomentKind as M;
        let system = |name: &'static str| ("System", name);
        match self {
            Item::Node(node) => ("FHIR", node.type_name(definitions)),
            Item::Boolean(_) => system("Boolean"),
            Item::Integer(_) => system("Integer"),
            Item::Decimal(_) => system("Decimal"),
            Item::String(_) => system("String"),
            Item::Moment(m) => system(match m.kind {
                M::Date => "Date",
                M::DateTime => "DateTime",
                M::Time => "Time",
            }),
            Item::Quantity(_) => system("Quantity"),
            Item::Type(..) => system("TypeInfo"),
        }
    }

    /// Its text on one line: elements as JSON, the text of strings with the escapes of JSON, but no quotes around.
    pub fn show(&self, definitions: &Definitions) -> String {
        match self.system(definitions) {
            Item::Node(node) => {
                let mut text = String::new();
                node.value.or(node.extra).into_iter().for_each(|v| minify_into(v, &mut text));
                text
            }
            Item::Boolean(b) => b.to_string(),
            Item::Integer(i) => i.to_string(),
            Item::Decimal(n) => n.to_string(),
            Item::String(s) => escaped(&s),
            Item::Moment(m) => m.to_string(),
            Item::Quantity(q) => escaped(&q.to_string()),
            Item::Type(namespace, name) => format!("{namespace}.{name}"),
        }
    }
}

/// A text without line breaks and other control characters; the backslash of an escape is one itself.
fn escaped(text: &str) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// Whether a type is Quantity or one of its profiles that R4 treats as types.
pub fn is_quantity(name: &str) -> bool {
    matches!(name, "Quantity" | "Age" | "Count" | "Distance" | "Duration" | "SimpleQuantity" | "MoneyQuantity")
}

impl<'d> Node<'d> {
    /// The node of a whole resource.
    pub fn resource(value: Value<'d>, definitions: &Definitions) -> Option<Node<'d>> {
        let id = definitions.resource(&value.get("resourceType")?.as_str()?)?;
        Some(Node { value: Some(value), extra: None, kind: NodeType::Complex(id) })
    }

    /// The name of its type.
    pub fn type_name<'a>(&self, definitions: &'a Definitions) -> &'a str {
        match self.kind {
            NodeType::Primitive(kind) => kind.name(),
            NodeType::Complex(id) => match definitions.structure(id).kind {
                StructureKind::Backbone => "BackboneElement",
                _ => definitions.name(id),
            },
        }
    }

    /// Whether its type is of this name or derived from it.
    pub fn is(&self, name: &str, definitions: &Definitions) -> bool {
        let own = self.type_name(definitions);
        if own == name || name == "Element" && !self.is_resource(definitions) {
            return true;
        }
        match self.kind {
            NodeType::Primitive(kind) => match kind {
                Primitive::Code | Primitive::Id | Primitive::Markdown => name == "string",
                Primitive::Url | Primitive::Canonical | Primitive::Oid | Primitive::Uuid => name == "uri",
                Primitive::PositiveInt | Primitive::UnsignedInt => name == "integer",
                _ => false,
            },
            NodeType::Complex(_) => match name {
                "Resource" => self.is_resource(definitions),
                "DomainResource" => self.is_resource(definitions) && !matches!(own, "Bundle" | "Binary" | "Parameters"),
                "Quantity" => is_quantity(own),
                "BackboneElement" => matches!(own, "Timing" | "Dosage" | "ElementDefinition"),
                _ => false,
            },
        }
    }

    /// Whether it is a resource.
    pub fn is_resource(&self, definitions: &Definitions) -> bool {
        let NodeType::Complex(id) = self.kind else { return false };
        matches!(definitions.structure(id).kind, StructureKind::Resource | StructureKind::AbstractResource)
    }

    /// Puts the children of this name; whether the type knows such an element.
    pub fn children(&self, name: Option<&str>, definitions: &Definitions, out: &mut Collection<'d>) -> bool {
        let NodeType::Complex(id) = self.kind else { return self.of_primitive(name, definitions, out) };
        let Some(value) = self.value else { return false };
        let structure = definitions.structure(id);
        let Some(name) = name else {
            for (key, property) in value.entries() {
                let plain = key.strip_prefix('_');
                if let Some(element) = structure.element(plain.unwrap_or(&key)) {
                    // What has a value too is met under its own name.
                    if plain.is_some_and(|plain| value.get(plain).is_some()) {
                        continue;
                    }
                    let (property, extra) = match plain {
                        Some(_) => (None, Some(property)),
                        None => (Some(property), beside(value, element)),
                    };
                    values(property, extra, element, definitions, out);
                }
            }
            return true;
        };
        if let Some(element) = structure.element(name).filter(|e| e.choice.is_none()) {
            let (property, extra) = match element.kind {
                ElementType::Primitive(_) => with_beside(value, name),
                _ => (value.get(name), None),
            };
            values(property, extra, element, definitions, out);
            return true;
        }
        if !structure.choices.iter().any(|choice| *choice.name == *name) {
            return false;
        }
        for (key, property) in value.entries() {
            let plain = key.strip_prefix('_');
            let stem = plain.unwrap_or(&key);
            if !stem.starts_with(name) {
                continue;
            }
            if let Some(element) = structure.element(stem).filter(|e| e.choice.is_some() && *e.fhirpath == *name) {
                if plain.is_some_and(|plain| value.get(plain).is_some()) {
                    continue;
                }
                let (property, extra) = match plain {
                    Some(_) => (None, Some(property)),
                    None => (Some(property), beside(value, element)),
                };
                values(property, extra, element, definitions, out);
            }
        }
        true
    }

    /// Id and extensions of a primitive.
    fn of_primitive(&self, name: Option<&str>, definitions: &Definitions, out: &mut Collection<'d>) -> bool {
        if name.is_some_and(|name| !matches!(name, "id" | "extension")) {
            return false;
        }
        let Some(extra) = self.extra else { return true };
        if let Some(id) = extra.get("id").filter(|_| name != Some("extension")) {
            out.push(Item::Node(Node { value: Some(id), extra: None, kind: NodeType::Primitive(Primitive::String) }));
        }
        if let Some(extension) = extra.get("extension").filter(|_| name != Some("id"))
            && let Some(id) = definitions.type_named("Extension")
        {
            out.extend(
                extension
                    .each()
                    .map(|value| Item::Node(Node { value: Some(value), extra: None, kind: NodeType::Complex(id) })),
            );
        }
        true
    }
}

/// What stands under `_name`, beside a primitive.
fn beside<'d>(of: Value<'d>, element: &Element) -> Option<Value<'d>> {
    match element.kind {
        ElementType::Primitive(_) => with_beside(of, &element.name).1,
        _ => None,
    }
}

/// What stands under a name and under the name with an underscore.
fn with_beside<'d>(of: Value<'d>, name: &str) -> (Option<Value<'d>>, Option<Value<'d>>) {
    let (mut plain, mut extra) = (None, None);
    for (key, value) in of.entries() {
        if *key == *name {
            plain = Some(value);
        } else if key.strip_prefix('_') == Some(name) {
            extra = Some(value);
        }
    }
    (plain, extra)
}

/// The values of one JSON property: what stands under its name, and beside it.
fn values<'d>(
    value: Option<Value<'d>>,
    extra: Option<Value<'d>>,
    element: &Element,
    definitions: &Definitions,
    out: &mut Collection<'d>,
) {
    let kind = match element.kind {
        ElementType::Primitive(kind) => {
            let mut extras = extra.into_iter().flat_map(|e| e.each());
            let mut push = |value: Option<Value<'d>>, extra: Option<Value<'d>>| {
                let value = value.filter(|v| !v.is_null());
                let extra = extra.filter(|e| e.kind() == Kind::Object);
                if value.is_some() || extra.is_some() {
                    out.push(Item::Node(Node { value, extra, kind: NodeType::Primitive(kind) }));
                }
            };
            for value in value.into_iter().flat_map(|v| v.each()) {
                push(Some(value), extras.next());
            }
            for extra in extras {
                push(None, Some(extra));
            }
            return;
        }
        ElementType::Complex(id) => Some(NodeType::Complex(id)),
        ElementType::Resource => None,
    };
    for value in value.into_iter().flat_map(|v| v.each()).filter(|v| v.kind() == Kind::Object) {
        match kind {
            Some(kind) => out.push(Item::Node(Node { value: Some(value), extra: None, kind })),
            None => out.extend(Node::resource(value, definitions).map(Item::Node)),
        }
    }
}
