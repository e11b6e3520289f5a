//! The events of an XML document, with what the event reader does not refuse by itself refused: document types, other
//! encodings, illegal characters, several roots, unclosed elements. Knows no FHIR.

use super::markup;
use crate::base::TextPosition;
use quick_xml::NsReader;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;

/// The most namespace declarations in force at once.
const BINDINGS_MAX: usize = 64;

/// What is wrong, and its byte offset in the text.
pub(super) type Fault = (usize, String);

/// A document being read.
pub(super) struct Source<'t> {
    text: &'t str,
    reader: NsReader<&'t [u8]>,
    start: usize,
    end: usize,
    depth: usize,
    rooted: bool,
}

/// What a document consists of, as far as its meaning goes.
pub(super) enum Part<'t> {
    /// A start tag; an empty element is followed by an end without text.
    Start(BytesStart<'t>),
    /// An end tag.
    End,
    /// Text that is not white space only, a reference or a CDATA section; whether it is `blank`.
    Text {
        /// White space only.
        blank: bool,
    },
    /// A comment or processing instruction.
    Aside,
    /// The end of the document.
    Finish,
}

impl<'t> Source<'t> {
    /// Begins a document.
    pub(super) fn new(text: &'t str) -> Result<Source<'t>, Fault> {
        let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
        if let Some(at) = markup::illegal_character(text) {
            return Err((at, "this character is not allowed in XML".to_owned()));
        }
        let mut reader = NsReader::from_str(text);
        reader.config_mut().check_comments = true;
        reader.config_mut().expand_empty_elements = true;
        reader.resolver_mut().set_max_namespace_bindings(BINDINGS_MAX);
        Ok(Source { text, reader, start: 0, end: 0, depth: 0, rooted: false })
    }

    /// The next part.
    pub(super) fn next(&mut self) -> Result<Part<'t>, Fault> {
        self.start = self.reader.buffer_position() as usize;
        let event = match self.reader.read_event() {
            Ok(event) => event,
            Err(e) => return Err((self.reader.error_position() as usize, e.to_string())),
        };
        self.end = self.reader.buffer_position() as usize;
        match event {
            Event::Start(tag) => {
                if self.depth == 0 && self.rooted {
                    return Err(self.fault("a document has one root element"));
                }
                if !markup::is_name(tag.name().0) {
                    return Err(self.fault("this is not the name of an element"));
                }
                self.rooted = true;
                self.depth += 1;
                Ok(Part::Start(tag))
            }
            Event::End(_) => {
                self.depth = self.depth.saturating_sub(1);
                Ok(Part::End)
            }
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => self.characters(&event),
            Event::Comment(_) | Event::PI(_) | Event::Decl(_) => self.aside(&event),
            Event::DocType(_) => Err(self.fault("document type declarations are not read")),
            Event::Eof if self.depth == 0 && self.rooted => Ok(Part::Finish),
            Event::Eof => Err(self.fault("the document ends before its root element does")),
            _ => Err(self.fault("not expected here")),
        }
    }

    fn characters(&self, event: &Event<'t>) -> Result<Part<'t>, Fault> {
        let blank = match event {
            Event::Text(_) => {
                if self.raw().contains("]]>") {
                    return Err(self.fault("']]>' in text is written ]]&gt;"));
                }
                markup::is_space(self.raw())
            }
            Event::GeneralRef(name) => {
                markup::reference(&name.borrow().into_inner()).map_err(|m| self.fault(m))?;
                false
            }
            _ => false,
        };
        if self.depth == 0 && !blank {
            return Err(self.fault("text outside of the root element"));
        }
        Ok(Part::Text { blank })
    }

    fn aside(&self, event: &Event<'t>) -> Result<Part<'t>, Fault> {
        match event {
            Event::Decl(declaration) => {
                if self.start != 0 {
                    return Err(self.fault("the XML declaration stands at the beginning"));
                }
                if !declaration.version().is_ok_and(|v| v == "1.0") {
                    return Err(self.fault("XML 1.0 is expected"));
                }
                match declaration.encoding() {
                    None => {}
                    Some(Ok(encoding)) if encoding.eq_ignore_ascii_case("utf-8") => {}
                    Some(_) => return Err(self.fault("the encoding is UTF-8")),
                }
            }
            Event::PI(instruction) if instruction.target().eq_ignore_ascii_case("xml") => {
                return Err(self.fault("a processing instruction is not called xml"));
            }
            _ => {}
        }
        Ok(Part::Aside)
    }

    /// The text of the current part as it stands in the document; empty for the end of an empty element.
    pub(super) fn raw(&self) -> &'t str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Where the current part begins.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Where the current part ends.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    /// The whole text (without a byte order mark).
    pub(super) fn text(&self) -> &'t str {
        self.text
    }

    /// The namespace of a tag and its name without a prefix.
    pub(super) fn resolve<'n>(&self, tag: &'n BytesStart<'_>) -> Result<(Option<&str>, &'n str), Fault> {
        let (namespace, local) = self.reader.resolver().resolve_element(tag.name());
        self.namespace(namespace).map(|namespace| (namespace, local.into_inner()))
    }

    /// The namespace of an attribute's name (none without a prefix), and the name without it.
    pub(super) fn resolve_attribute<'n>(&self, name: &'n str) -> Result<(Option<&str>, &'n str), Fault> {
        let (namespace, local) = self.reader.resolver().resolve_attribute(quick_xml::name::QName(name));
        self.namespace(namespace).map(|namespace| (namespace, local.into_inner()))
    }

    fn namespace<'a>(&self, found: ResolveResult<'a>) -> Result<Option<&'a str>, Fault> {
        match found {
            ResolveResult::Bound(namespace) => Ok(Some(namespace.0)),
            ResolveResult::Unbound => Ok(None),
            ResolveResult::Unknown(_) => Err(self.fault("this prefix is not declared")),
        }
    }

    /// A fault of the current part.
    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        (self.start, message.into())
    }
}

/// Line and column of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> TextPosition {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    let line = before.iter().filter(|b| **b == b'\n').count() as u32 + 1;
    let from = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let column = before.iter().skip(from).filter(|b| (**b & 0xC0) != 0x80).count() as u32 + 1;
    TextPosition { line, column }
}
