//! Writing a resource as XML (R4 xml.html): elements in the order of the definitions, whatever order the JSON has;
//! numbers as they were written. What XML or the schema has no place for is refused, never left out.

use super::{Child, ChildKind, FHIR, Schema, TypeNumber, markup, narrative};
use crate::base::{Failure, FailureKind, Issue, IssueCode};
use crate::json::{Items, Kind, Value};
use crate::primitive::Primitive;

/// Writes a resource as an XML document.
///
/// Fails with `NotAcceptable` where XML cannot say what the JSON says: unknown properties, characters that XML does
/// not have, a narrative that is not well formed.
pub fn from_json(resource: Value<'_>, schema: &dyn Schema) -> Result<String, Failure> {
    write(resource, schema, false)
}

/// What [`from_json`] gives, every element on a line of its own and indented; narratives as they are.
pub fn pretty_from_json(resource: Value<'_>, schema: &dyn Schema) -> Result<String, Failure> {
    write(resource, schema, true)
}

fn write(resource: Value<'_>, schema: &dyn Schema, pretty: bool) -> Result<String, Failure> {
    let out = String::with_capacity(resource.raw().len() * 2);
    let mut writer = Writer { schema, out, pretty, level: 0, path: Vec::new() };
    writer.out.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    writer.resource(resource, true)?;
    Ok(writer.out)
}

struct Writer<'s> {
    schema: &'s dyn Schema,
    out: String,
    /// Whether elements begin on new lines.
    pretty: bool,
    /// How many elements are open.
    level: usize,
    path: Vec<(&'s str, Option<usize>)>,
}

/// What stands under one name of an object: the value under the name itself, and the one under `_name`.
struct Entry<'s, 'd> {
    child: Child<'s>,
    value: Option<Value<'d>>,
    extra: Option<Value<'d>>,
}

impl<'s> Writer<'s> {
    fn fault(&self, message: impl Into<String>) -> Failure {
        let mut issue =
            Issue::error(IssueCode::NotSupported, format!("this cannot be written as XML: {}", message.into()));
        let place: Vec<String> = self
            .path
            .iter()
            .map(|(name, index)| index.map_or_else(|| (*name).to_owned(), |i| format!("{name}[{i}]")))
            .collect();
        issue.expression = (!place.is_empty()).then(|| place.join("."));
        Failure::of(FailureKind::NotAcceptable, vec![issue])
    }

    fn resource(&mut self, value: Value<'_>, root: bool) -> Result<(), Failure> {
        let name = value.get("resourceType").and_then(Value::as_str).unwrap_or_default();
        let Some(kind) = self.schema.resource_type(&name) else {
            return Err(self.fault("its resourceType is not known"));
        };
        let name = self.schema.name(kind);
        if root {
            self.path.push((name, None));
        }
        self.begin(name);
        if root {
            self.out.push_str(&format!(" xmlns=\"{FHIR}\""));
        }
        let entries = self.entries(kind, value, true)?;
        self.body(name, entries)?;
        if root {
            self.path.pop();
        }
        Ok(())
    }

    /// The entries of an object in the order of the type's elements.
    fn entries<'d>(&self, of: TypeNumber, object: Value<'d>, resource: bool) -> Result<Vec<Entry<'s, 'd>>, Failure> {
        if object.kind() != Kind::Object {
            return Err(self.fault("an object is expected"));
        }
        let mut entries: Vec<Entry<'s, 'd>> = Vec::new();
        for (key, value) in object.entries() {
            if (resource && key == "resourceType") || value.is_null() {
                continue;
            }
            let (name, extra) = match key.strip_prefix('_') {
                Some(name) => (name, true),
                None => (&*key, false),
            };
            let known = self.schema.child(of, name);
            let known = known.filter(|c| !extra || (!c.attribute && matches!(c.kind, ChildKind::Primitive(_))));
            let Some(child) = known else {
                return Err(self.fault(format!("unknown property '{}'", narrative::shortened(&key))));
            };
            let at = entries.iter().position(|e| e.child.name == child.name).unwrap_or_else(|| {
                entries.push(Entry { child, value: None, extra: None });
                entries.len() - 1
            });
            if let Some(entry) = entries.get_mut(at) {
                *(if extra { &mut entry.extra } else { &mut entry.value }) = Some(value);
            }
        }
        entries.sort_by_key(|e| e.child.order);
        Ok(entries)
    }

    /// What follows the name in a start tag, up to the end of the element.
    fn body(&mut self, name: &str, entries: Vec<Entry<'s, '_>>) -> Result<(), Failure> {
        for entry in entries.iter().filter(|e| e.child.attribute) {
            if let Some(value) = entry.value {
                self.attribute(entry.child.name, value)?;
            }
        }
        if entries.iter().all(|e| e.child.attribute) {
            self.out.push_str("/>");
            self.level -= 1;
            return Ok(());
        }
        self.out.push('>');
        for entry in entries.iter().filter(|e| !e.child.attribute) {
            self.property(entry)?;
        }
        self.end(name);
        Ok(())
    }

    fn line(&mut self) {
        if self.pretty {
            self.out.push('\n');
            for _ in 0..self.level {
                self.out.push_str("  ");
            }
        }
    }

    fn begin(&mut self, name: &str) {
        self.line();
        self.out.push('<');
        self.out.push_str(name);
        self.level += 1;
    }

    fn end(&mut self, name: &str) {
        self.level -= 1;
        self.line();
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
    }

    fn attribute(&mut self, name: &str, value: Value<'_>) -> Result<(), Failure> {
        let text = match value.kind() {
            Kind::String => value.as_str().unwrap_or_default(),
            Kind::Number | Kind::Bool => value.raw().into(),
            _ => return Err(self.fault(format!("'{name}' is not a primitive value"))),
        };
        if markup::illegal_character(&text).is_some() {
            return Err(self.fault("it has a character that XML does not have"));
        }
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        markup::escape_attribute(&text, &mut self.out);
        self.out.push('"');
        Ok(())
    }

    /// All repetitions of a property.
    fn property(&mut self, entry: &Entry<'s, '_>) -> Result<(), Failure> {
        let child = entry.child;
        let mut values = entry.value.map(Value::each);
        let mut extras = entry.extra.map(Value::each);
        for index in 0.. {
            let (value, extra) = (next(&mut values), next(&mut extras));
            if value.is_none() && extra.is_none() {
                break;
            }
            let present = |v: Option<Value<'_>>| v.is_some_and(|v| !v.is_null());
            if !present(value) && !present(extra) {
                continue;
            }
            self.path.push((child.fhirpath, child.many.then_some(index)));
            match (child.kind, value) {
                (ChildKind::Primitive(Primitive::Xhtml), Some(value)) => self.narrative(value)?,
                (ChildKind::Primitive(_), value) => self.primitive(child.name, value, extra)?,
                (ChildKind::Complex(kind), Some(value)) => {
                    self.begin(child.name);
                    let entries = self.entries(kind, value, false)?;
                    self.body(child.name, entries)?;
                }
                (ChildKind::Resource, Some(value)) => {
                    self.begin(child.name);
                    self.out.push('>');
                    self.resource(value, false)?;
                    self.end(child.name);
                }
                (_, None) => {}
            }
            self.path.pop();
        }
        Ok(())
    }

    fn primitive(&mut self, name: &str, value: Option<Value<'_>>, extra: Option<Value<'_>>) -> Result<(), Failure> {
        self.begin(name);
        let extra = extra.filter(|e| !e.is_null());
        let id = extra.and_then(|e| e.get("id"));
        if let Some(id) = id {
            self.attribute("id", id)?;
        }
        if let Some(value) = value.filter(|v| !v.is_null()) {
            self.attribute("value", value)?;
        }
        let entries = match (extra, self.schema.element_type()) {
            (Some(extra), Some(element)) => self.entries(element, extra, false)?,
            (Some(_), None) => return Err(self.fault("a primitive has no children here")),
            (None, _) => Vec::new(),
        };
        let children: Vec<_> = entries.into_iter().filter(|e| !e.child.attribute).collect();
        self.body(name, children)
    }

    fn narrative(&mut self, value: Value<'_>) -> Result<(), Failure> {
        let text = value.as_str().unwrap_or_default();
        let element = narrative::as_element(&text).map_err(|m| self.fault(m))?;
        self.line();
        self.out.push_str(&element);
        Ok(())
    }
}

fn next<'d>(items: &mut Option<Items<'d>>) -> Option<Value<'d>> {
    items.as_mut().and_then(Iterator::next)
}
