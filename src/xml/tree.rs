//! Any XML document as a tree that can be changed: elements with their namespaces, attributes and text. Comments and
//! processing instructions are left out, since a stored resource has none. Knows no FHIR.

use super::source::{Fault, Part, Source, position};
use super::{XHTML, markup};
use crate::base::{Failure, FailureKind, Issue, IssueCode};
use quick_xml::events::BytesStart;

/// Levels of elements at most.
const DEPTH_MAX: usize = 256;

/// A part of an element.
#[derive(Clone, Debug, PartialEq)]
pub enum XmlNode {
    /// An element.
    Element(XmlElement),
    /// Text, with references resolved.
    Text(String),
}

/// An element.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct XmlElement {
    /// Its namespace; empty for none.
    pub namespace: String,
    /// Its name without a prefix.
    pub name: String,
    /// Attributes without prefix, declarations of namespaces left out.
    pub attributes: Vec<(String, String)>,
    /// What is in it.
    pub children: Vec<XmlNode>,
}

impl XmlElement {
    /// Reads a document.
    pub fn parse(text: &str) -> Result<XmlElement, Failure> {
        let refuse = |(offset, message): Fault| {
            let mut issue = Issue::error(IssueCode::Structure, message);
            issue.position = Some(position(text, offset));
            Failure::of(FailureKind::Malformed, vec![issue])
        };
        let mut source = Source::new(text).map_err(refuse)?;
        read(&mut source).map_err(refuse)
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The elements in it.
    pub fn elements(&self) -> impl Iterator<Item = &XmlElement> {
        self.children.iter().filter_map(|c| match c {
            XmlNode::Element(element) => Some(element),
            XmlNode::Text(_) => None,
        })
    }

    /// The text in it, without that of its elements.
    pub fn text(&self) -> String {
        let texts = self.children.iter().filter_map(|c| match c {
            XmlNode::Text(text) => Some(text.as_str()),
            XmlNode::Element(_) => None,
        });
        texts.collect()
    }

    /// Writes it as a document.
    pub fn write(&self) -> String {
        let mut out = String::new();
        self.write_into("", &mut out);
        out
    }

    fn write_into(&self, around: &str, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        if self.namespace != around {
            out.push_str(" xmlns=\"");
            markup::escape_attribute(&self.namespace, out);
            out.push('"');
        }
        for (name, value) in &self.attributes {
            out.push(' ');
            out.push_str(name);
            out.push_str("=\"");
            markup::escape_attribute(value, out);
            out.push('"');
        }
        // Empty elements of narratives are written with an end, as browsers want them.
        if self.children.is_empty() && self.namespace != XHTML {
            return out.push_str("/>");
        }
        out.push('>');
        for child in &self.children {
            match child {
                XmlNode::Element(element) => element.write_into(&self.namespace, out),
                XmlNode::Text(text) => {
                    for c in text.chars() {
                        match c {
                            '&' => out.push_str("&amp;"),
                            '<' => out.push_str("&lt;"),
                            '>' => out.push_str("&gt;"),
                            '\r' => out.push_str("&#13;"),
                            c => out.push(c),
                        }
                    }
                }
            }
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }
}

fn read(source: &mut Source<'_>) -> Result<XmlElement, Fault> {
    let mut open: Vec<XmlElement> = Vec::new();
    let mut root = None;
    loop {
        match source.next()? {
            Part::Start(tag) => {
                if open.len() >= DEPTH_MAX {
                    return Err(source.fault("the elements are nested too deeply"));
                }
                open.push(begin(source, &tag)?);
            }
            Part::End => {
                let Some(done) = open.pop() else { continue };
                match open.last_mut() {
                    Some(parent) => parent.children.push(XmlNode::Element(done)),
                    None => root = Some(done),
                }
            }
            Part::Text { .. } => {
                let text = characters(source.raw()).map_err(|m| source.fault(m))?;
                if let Some(parent) = open.last_mut() {
                    match parent.children.last_mut() {
                        Some(XmlNode::Text(before)) => before.push_str(&text),
                        _ => parent.children.push(XmlNode::Text(text)),
                    }
                }
            }
            Part::Aside => {}
            Part::Finish => return root.ok_or((0, "there is no root element".to_owned())),
        }
    }
}

fn begin(source: &Source<'_>, tag: &BytesStart<'_>) -> Result<XmlElement, Fault> {
    let (namespace, name) = source.resolve(tag)?;
    let mut element = XmlElement {
        namespace: namespace.unwrap_or_default().to_owned(),
        name: name.to_owned(),
        ..XmlElement::default()
    };
    for (name, raw) in markup::attributes(tag.attributes_raw()).map_err(|m| source.fault(m))? {
        if name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        let value = markup::attribute_value(raw).map_err(|m| source.fault(m))?;
        element.attributes.push((name.to_owned(), value.into_owned()));
    }
    Ok(element)
}

/// The characters of a text, a reference or a CDATA section as written.
fn characters(raw: &str) -> Result<String, &'static str> {
    if let Some(inner) = raw.strip_prefix("<![CDATA[").and_then(|r| r.strip_suffix("]]>")) {
        return Ok(inner.to_owned());
    }
    if let Some(name) = raw.strip_prefix('&').and_then(|r| r.strip_suffix(';')) {
        return markup::reference(name).map(String::from);
    }
    Ok(raw.replace("\r\n", "\n").replace('\r', "\n"))
}
