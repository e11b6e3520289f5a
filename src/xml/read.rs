//! Reading a resource from XML: to JSON text with the same content (R4 xml.html, json.html). The order of elements is
//! free and repetitions need not stand together; what the schema does not know is refused with its place.

use super::locate::Marks;
use super::narrative;
use super::source::{Fault, Part, Source, position};
use super::{Child, ChildKind, FHIR, Limits, Schema, TypeNumber, XHTML, XSI, markup};
use crate::base::{Failure, FailureKind, Issue, IssueCode};
use crate::json::Tree;
use crate::primitive::{JsonForm, Primitive};
use quick_xml::events::BytesStart;

/// Reads a resource and gives it as JSON text, `resourceType` first. Whatever is wrong is told with line, column and,
/// within a resource, the FHIRPath of the place.
pub fn to_json(xml: &[u8], schema: &dyn Schema, limits: &Limits) -> Result<String, Failure> {
    let text = match std::str::from_utf8(xml) {
        Ok(text) => text,
        Err(e) => {
            let mut issue = Issue::error(IssueCode::Structure, "the text is not UTF-8");
            let valid = xml.get(..e.valid_up_to()).and_then(|v| std::str::from_utf8(v).ok()).unwrap_or_default();
            issue.position = Some(position(valid, valid.len()));
            return Err(Failure::of(FailureKind::Malformed, vec![issue]));
        }
    };
    let source = Source::new(text).map_err(|fault| failure(text, fault, IssueCode::Structure, None))?;
    let mut reader = Reader { source, schema, limits, path: Vec::new(), depth: 0, nodes: 0, marks: None };
    Ok(reader.document()?.to_json())
}

/// Sets the positions of issues on a resource that was read from this text, by the places that they name; where that is
/// not there, the nearest element around it.
pub fn locate(xml: &[u8], schema: &dyn Schema, limits: &Limits, issues: &mut [Issue]) {
    let Some(source) = std::str::from_utf8(xml).ok().and_then(|text| Source::new(text).ok()) else { return };
    let marks = Some(Marks::of(issues));
    let mut reader = Reader { source, schema, limits, path: Vec::new(), depth: 0, nodes: 0, marks };
    // It was read before, and as far as it can be read there are places.
    let _ = reader.document();
}

fn failure(text: &str, (offset, message): Fault, code: IssueCode, place: Option<String>) -> Failure {
    let mut issue = Issue::error(code, message);
    issue.position = Some(position(text, offset));
    issue.expression = place;
    Failure::of(FailureKind::Malformed, vec![issue])
}

struct Reader<'t, 's, 'm> {
    source: Source<'t>,
    schema: &'s dyn Schema,
    limits: &'s Limits,
    /// Names of the elements from the root to here, with an index where they repeat.
    path: Vec<(&'s str, Option<usize>)>,
    /// Levels of arrays and objects that the JSON has here, so that it can be read again under the same limits.
    depth: usize,
    /// At least as many as the JSON has so far.
    nodes: usize,
    /// Places that are looked for.
    marks: Option<Marks<'m>>,
}

/// An object that is being filled.
#[derive(Default)]
struct Object<'s> {
    properties: Vec<Property<'s>>,
}

struct Property<'s> {
    name: &'s str,
    many: bool,
    /// For each repetition: the value, and for primitives the object with id and extensions.
    values: Vec<(Option<Tree>, Option<Tree>)>,
}

impl<'s> Object<'s> {
    /// The property of this name, made where it is not there yet.
    fn property(&mut self, child: &Child<'s>) -> &mut Property<'s> {
        // From the end: repetitions mostly stand together.
        let at = self.properties.iter().rposition(|p| p.name == child.name).unwrap_or_else(|| {
            self.properties.push(Property { name: child.name, many: child.many, values: Vec::new() });
            self.properties.len() - 1
        });
        &mut self.properties[at]
    }

    /// Its JSON, with the extensions of primitives under names with an underscore.
    fn write(self, entries: &mut Vec<(String, Tree)>) {
        for property in self.properties {
            let (values, extras): (Vec<_>, Vec<_>) = property.values.into_iter().unzip();
            for (prefix, items) in [("", values), ("_", extras)] {
                if items.iter().all(Option::is_none) {
                    continue;
                }
                let mut items = items.into_iter().map(|item| item.unwrap_or(Tree::Null));
                let value =
                    if property.many { Tree::Array(items.collect()) } else { items.next().unwrap_or(Tree::Null) };
                entries.push((format!("{prefix}{}", property.name), value));
            }
        }
    }
}

impl<'t, 's> Reader<'t, 's, '_> {
    fn document(&mut self) -> Result<Tree, Failure> {
        loop {
            match self.next()? {
                Part::Start(tag) => {
                    let resource = self.resource(&tag, None)?;
                    while !matches!(self.next()?, Part::Finish) {}
                    return Ok(resource);
                }
                Part::Finish => return Err(self.fault("a resource is expected")),
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<Part<'t>, Failure> {
        self.source.next().map_err(|fault| self.failed(fault))
    }

    fn failed(&self, fault: Fault) -> Failure {
        failure(self.source.text(), fault, IssueCode::Structure, self.place())
    }

    fn fault(&self, message: impl Into<String>) -> Failure {
        self.failed(self.source.fault(message))
    }

    /// Tells those who look for places that an element begins.
    fn mark(&mut self) {
        let (path, source) = (&self.path, &self.source);
        if let Some(marks) = &mut self.marks {
            marks.met(path, || position(source.text(), source.start()));
        }
    }

    /// The path as a FHIRPath expression.
    fn place(&self) -> Option<String> {
        let mut place = String::new();
        for (name, index) in &self.path {
            if !place.is_empty() {
                place.push('.');
            }
            place.push_str(name);
            if let Some(index) = index {
                place.push_str(&format!("[{index}]"));
            }
        }
        (!place.is_empty()).then_some(place)
    }

    /// A fault at an element or attribute that is not known here, whose name is made part of the place.
    fn unknown(&self, what: &str, name: &str) -> Failure {
        let mut failure = self.fault(format!("unknown {what} '{}'", narrative::shortened(name)));
        let identifier = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if let (true, Some(issue)) = (identifier, failure.issues.first_mut()) {
            issue.expression = issue.expression.as_ref().map(|place| format!("{place}.{name}"));
        }
        failure
    }

    /// A resource, at its start tag; `nested` is the property that holds it.
    fn resource(&mut self, tag: &BytesStart<'_>, nested: Option<&Child<'s>>) -> Result<Tree, Failure> {
        let (namespace, name) = self.source.resolve(tag).map_err(|f| self.failed(f))?;
        if namespace != Some(FHIR) {
            return Err(self.fault(format!("the elements of a resource are in the namespace {FHIR}")));
        }
        let kind = self.schema.resource_type(name);
        let Some(kind) = kind else {
            return Err(match nested {
                Some(_) => self.unknown("resource type", name),
                None => self.fault(format!("unknown resource type '{}'", narrative::shortened(name))),
            });
        };
        if nested.is_none() {
            self.path.push((self.schema.name(kind), None));
        }
        if let (Some(marks), Some(_)) = (&mut self.marks, nested) {
            marks.starts.push((self.path.len(), name.to_owned()));
        }
        self.mark();
        self.enter(1)?;
        let mut object = Object::default();
        self.attributes(kind, tag, &mut object)?;
        self.children(kind, &mut object, true)?;
        self.depth -= 1;
        match (nested, &mut self.marks) {
            (None, _) => {
                self.path.pop();
            }
            (Some(_), Some(marks)) => {
                marks.starts.pop();
            }
            (Some(_), None) => {}
        }
        let mut entries = vec![("resourceType".to_owned(), Tree::string(name))];
        object.write(&mut entries);
        Ok(Tree::Object(entries))
    }

    /// Goes deeper by so many levels of JSON.
    fn enter(&mut self, levels: usize) -> Result<(), Failure> {
        self.depth += levels;
        if self.depth > self.limits.depth {
            return Err(self.fault("nested too deeply"));
        }
        Ok(())
    }

    /// Counts what one element or attribute can add to the JSON: two keys, two arrays, two values.
    fn count(&mut self) -> Result<(), Failure> {
        self.nodes += 6;
        if self.nodes > self.limits.nodes {
            return Err(self.fault("too many elements"));
        }
        Ok(())
    }

    /// The attributes of an element that is not primitive.
    fn attributes(&mut self, of: TypeNumber, tag: &BytesStart<'_>, object: &mut Object<'s>) -> Result<(), Failure> {
        for (name, raw) in self.own_attributes(tag)? {
            self.count()?;
            let Some(child) = self.schema.child(of, name).filter(|c| c.attribute) else {
                return Err(self.unknown("attribute", name));
            };
            let ChildKind::Primitive(kind) = child.kind else {
                return Err(self.unknown("attribute", name));
            };
            self.path.push((child.fhirpath, None));
            let value = self.value(kind, raw)?;
            self.path.pop();
            object.property(&child).values.push((Some(value), None));
        }
        Ok(())
    }

    /// The attributes that mean something: not the declarations of namespaces and places of schemas.
    fn own_attributes<'a>(&self, tag: &'a BytesStart<'_>) -> Result<Vec<markup::RawAttribute<'a>>, Failure> {
        let mut attributes = markup::attributes(tag.attributes_raw()).map_err(|m| self.fault(m))?;
        let mut unknown = None;
        attributes.retain(|(name, _)| {
            if *name == "xmlns" || name.starts_with("xmlns:") {
                return false;
            }
            match self.source.resolve_attribute(name) {
                Ok((None, _)) => true,
                Ok((Some(XSI), "schemaLocation" | "noNamespaceSchemaLocation")) => false,
                _ => {
                    unknown.get_or_insert(*name);
                    true
                }
            }
        });
        match unknown {
            Some(name) => Err(self.unknown("attribute", name)),
            None => Ok(attributes),
        }
    }

    /// The child elements of an element that is not primitive, up to its end tag. Only a resource may have nothing.
    fn children(&mut self, of: TypeNumber, object: &mut Object<'s>, resource: bool) -> Result<(), Failure> {
        loop {
            match self.next()? {
                Part::Start(tag) => self.child(of, &tag, object)?,
                Part::End if object.properties.is_empty() && !resource => {
                    return Err(self.fault("an element is not empty: it has a value, children or extensions"));
                }
                Part::End => return Ok(()),
                Part::Text { blank: false } => return Err(self.fault("text between elements")),
                Part::Text { .. } | Part::Aside => {}
                Part::Finish => return Err(self.fault("the document ends here")),
            }
        }
    }

    /// A child element, at its start tag, up to its end.
    fn child(&mut self, of: TypeNumber, tag: &BytesStart<'_>, object: &mut Object<'s>) -> Result<(), Failure> {
        self.count()?;
        let (namespace, name) = self.source.resolve(tag).map_err(|f| self.failed(f))?;
        let Some(child) = self.schema.child(of, name).filter(|c| !c.attribute) else {
            return Err(self.unknown("element", name));
        };
        let xhtml = child.kind == ChildKind::Primitive(Primitive::Xhtml);
        let expected = if xhtml { XHTML } else { FHIR };
        if namespace != Some(expected) {
            return Err(self.fault(format!("the element '{name}' is in the namespace {expected}")));
        }
        let property = object.property(&child);
        let index = property.values.len();
        if index > 0 && !child.many {
            return Err(self.unrepeatable(name));
        }
        self.path.push((child.fhirpath, child.many.then_some(index)));
        self.mark();
        let levels = 1 + usize::from(child.many);
        self.enter(levels)?;
        let value = match child.kind {
            ChildKind::Primitive(Primitive::Xhtml) => {
                let text = narrative::read(&mut self.source, tag).map_err(|fault| self.failed(fault))?;
                (Some(Tree::String(text)), None)
            }
            ChildKind::Primitive(kind) => self.primitive(kind, tag)?,
            ChildKind::Complex(kind) => {
                let mut inner = Object::default();
                self.attributes(kind, tag, &mut inner)?;
                self.children(kind, &mut inner, false)?;
                let mut entries = Vec::new();
                inner.write(&mut entries);
                (Some(Tree::Object(entries)), None)
            }
            ChildKind::Resource => (Some(self.nested(tag, &child)?), None),
        };
        self.depth -= levels;
        self.path.pop();
        object.property(&child).values.push(value);
        Ok(())
    }

    fn unrepeatable(&self, name: &str) -> Failure {
        self.fault(format!("the element '{name}' does not repeat"))
    }

    /// An element that holds one resource, such as `contained`.
    fn nested(&mut self, tag: &BytesStart<'_>, child: &Child<'s>) -> Result<Tree, Failure> {
        if let Some((name, _)) = self.own_attributes(tag)?.first() {
            return Err(self.unknown("attribute", name));
        }
        let mut resource = None;
        loop {
            match self.next()? {
                Part::Start(_) if resource.is_some() => return Err(self.fault("only one resource is expected here")),
                Part::Start(tag) => {
                    self.depth -= 1; // the element that holds it has no object of its own in JSON
                    resource = Some(self.resource(&tag, Some(child))?);
                    self.depth += 1;
                }
                Part::End => return resource.ok_or_else(|| self.fault("a resource is expected here")),
                Part::Text { blank: false } => return Err(self.fault("text between elements")),
                Part::Text { .. } | Part::Aside => {}
                Part::Finish => return Err(self.fault("the document ends here")),
            }
        }
    }

    /// A primitive element: its value, and the object with its id and extensions.
    fn primitive(&mut self, kind: Primitive, tag: &BytesStart<'_>) -> Result<(Option<Tree>, Option<Tree>), Failure> {
        let (mut value, mut id) = (None, None);
        for (name, raw) in self.own_attributes(tag)? {
            match name {
                "value" => value = Some(self.value(kind, raw)?),
                "id" => id = Some(self.value(Primitive::String, raw)?),
                _ => return Err(self.unknown("attribute", name)),
            }
        }
        let mut extra = Object::default();
        loop {
            match self.next()? {
                Part::Start(tag) => {
                    // Elements of primitive types have the children of Element: extensions.
                    match self.schema.element_type() {
                        Some(of) => self.child(of, &tag, &mut extra)?,
                        None => return Err(self.fault("a primitive has no children here")),
                    }
                }
                Part::End => break,
                Part::Text { blank: false } => {
                    return Err(self.fault("the value of a primitive is its attribute 'value'"));
                }
                Part::Text { .. } | Part::Aside => {}
                Part::Finish => return Err(self.fault("the document ends here")),
            }
        }
        let mut entries: Vec<(String, Tree)> = id.map(|id| ("id".to_owned(), id)).into_iter().collect();
        extra.write(&mut entries);
        if value.is_none() && entries.is_empty() {
            return Err(self.fault("an element is not empty: it has a value, children or extensions"));
        }
        Ok((value, (!entries.is_empty()).then_some(Tree::Object(entries))))
    }

    /// The JSON value that an attribute's text is. Only what JSON cannot write is refused.
    fn value(&self, kind: Primitive, raw: &str) -> Result<Tree, Failure> {
        let text = markup::attribute_value(raw).map_err(|m| self.fault(m))?;
        let wrong =
            |message: &str| failure(self.source.text(), self.source.fault(message), IssueCode::Value, self.place());
        match kind.json_form() {
            JsonForm::String => Ok(Tree::String(text.into_owned())),
            JsonForm::Boolean => match &*text {
                "true" => Ok(Tree::Bool(true)),
                "false" => Ok(Tree::Bool(false)),
                _ => Err(wrong("a boolean is true or false")),
            },
            JsonForm::Number => {
                crate::primitive::check(kind, &text).map_err(wrong)?;
                if text.len() > self.limits.number {
                    return Err(wrong("this number is too long"));
                }
                // The rules of integers allow a plus sign, which JSON does not have.
                Ok(Tree::Number(text.strip_prefix('+').unwrap_or(&text).to_owned()))
            }
        }
    }
}
