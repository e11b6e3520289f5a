//! Narratives: a `div` of XHTML as text (R4 narrative.html, json.html#xhtml). Read from within a document, and checked
//! to be well formed before it is written into one. Which elements and attributes it may have is for validation.

use super::XHTML;
use super::markup;
use super::source::{Fault, Part, Source};
use quick_xml::events::BytesStart;
use std::borrow::Cow;

/// The deepest nesting within a narrative.
const DEPTH_MAX: usize = 256;

/// The text of a `div` as it can stand in an XML document: as it is, with the namespace added where it is missing.
pub(super) fn as_element(text: &str) -> Result<Cow<'_, str>, String> {
    let found = fragment(text).map_err(|(_, message)| message)?;
    let element = text.get(found.start..found.end).unwrap_or_default();
    match element.strip_prefix("<div") {
        Some(rest) if !found.declared => Ok(format!("<div xmlns=\"{XHTML}\"{rest}").into()),
        _ => Ok(element.into()),
    }
}

/// Where the `div` stands in a text of its own.
struct Fragment {
    start: usize,
    end: usize,
    /// Whether it is in the XHTML namespace; if not, it is in none.
    declared: bool,
}

/// Reads a text that is one `div` and nothing else but space and comments.
fn fragment(text: &str) -> Result<Fragment, Fault> {
    let mut source = Source::new(text)?;
    if source.text().len() != text.len() {
        return Err((0, "a narrative does not begin with a byte order mark".to_owned()));
    }
    loop {
        let part = source.next()?;
        match part {
            Part::Start(tag) => {
                let start = source.start();
                let (namespace, local) = source.resolve(&tag)?;
                let declared = namespace.is_some();
                if local != "div" || namespace.is_some_and(|n| n != XHTML) {
                    return Err(source.fault("a narrative is one div of XHTML"));
                }
                element(&mut source, &tag, declared.then_some(XHTML))?;
                let end = source.end();
                while !matches!(source.next()?, Part::Finish) {}
                return Ok(Fragment { start, end, declared });
            }
            Part::Aside if source.raw().starts_with("<?") => {
                return Err(source.fault("a narrative begins with its div"));
            }
            Part::Finish => return Err(source.fault("a narrative is one div of XHTML")),
            _ => {}
        }
    }
}

/// Reads the `div` whose start tag was just read from within a resource. Gives its text as it is written there, or,
/// where it needs declarations from outside, written anew without prefixes.
pub(super) fn read(source: &mut Source<'_>, tag: &BytesStart<'_>) -> Result<String, Fault> {
    let start = source.start();
    let own = markup::attributes(tag.attributes_raw())
        .map_err(|m| source.fault(m))?
        .iter()
        .any(|(name, value)| *name == "xmlns" && *value == XHTML);
    let text = source.text();
    let rewritten = element(source, tag, Some(XHTML))?;
    let raw = text.get(start..source.end()).unwrap_or_default();
    // Line ends stay as they are: whoever reads the text as XML later takes them for single line feeds.
    Ok(if own && !rewritten.prefixed { raw.to_owned() } else { rewritten.text })
}

/// An element written anew without prefixes.
struct Rewritten {
    text: String,
    /// Whether it had prefixes or other declarations within.
    prefixed: bool,
}

/// Reads to the end of the element whose start tag was just read; all within is in one namespace.
fn element(source: &mut Source<'_>, tag: &BytesStart<'_>, namespace: Option<&str>) -> Result<Rewritten, Fault> {
    let mut out = Rewritten { text: String::new(), prefixed: false };
    let mut open: Vec<String> = Vec::new();
    start_tag(source, tag, namespace, &mut open, &mut out)?;
    while !open.is_empty() {
        match source.next()? {
            Part::Start(tag) => start_tag(source, &tag, namespace, &mut open, &mut out)?,
            Part::End => {
                let name = open.pop().unwrap_or_default();
                if !source.raw().is_empty() {
                    out.text.push_str("</");
                    out.text.push_str(&name);
                    out.text.push('>');
                }
            }
            Part::Text { .. } | Part::Aside => out.text.push_str(source.raw()),
            Part::Finish => break,
        }
    }
    Ok(out)
}

fn start_tag(
    source: &Source<'_>,
    tag: &BytesStart<'_>,
    namespace: Option<&str>,
    open: &mut Vec<String>,
    out: &mut Rewritten,
) -> Result<(), Fault> {
    if open.len() >= DEPTH_MAX {
        return Err(source.fault("a narrative is nested too deeply"));
    }
    let (found, local) = source.resolve(tag)?;
    if found != namespace {
        return Err(source.fault("all elements of a narrative are in the XHTML namespace"));
    }
    out.prefixed |= tag.name().prefix().is_some();
    out.text.push('<');
    out.text.push_str(local);
    if open.is_empty() {
        out.text.push_str(&format!(" xmlns=\"{XHTML}\""));
    }
    let attributes = markup::attributes(tag.attributes_raw()).map_err(|m| source.fault(m))?;
    for (name, value) in &attributes {
        markup::attribute_value(value).map_err(|m| source.fault(m))?;
        if *name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        if source.resolve_attribute(name)?.0.is_some() && !name.starts_with("xml:") {
            return Err(source.fault("attributes of a narrative have no prefix"));
        }
        // The value is copied as written, so the quote around it must be the one that it does not have.
        let quote = if value.contains('"') { '\'' } else { '"' };
        out.text.push(' ');
        out.text.push_str(name);
        out.text.push('=');
        out.text.push(quote);
        out.text.push_str(value);
        out.text.push(quote);
    }
    out.text.push_str(if source.raw().ends_with("/>") { "/>" } else { ">" });
    open.push(local.to_owned());
    Ok(())
}

/// A name as it can be repeated in a message.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn div(inside: &str) -> String {
        format!("<div xmlns=\"{XHTML}\">{inside}</div>")
    }

    #[test]
    fn as_they_stand_in_a_document() {
        for kept in [
            div("<p  title='a>b'>x</p ><br />"),
            div("<![CDATA[<]]>&#160;&lt;<!-- c --><?p i?>"),
            format!("<h:div xmlns:h=\"{XHTML}\"><h:p>a</h:p></h:div>"),
        ] {
            assert_eq!(as_element(&format!("\n {kept} <!-- c -->")).as_deref(), Ok(kept.as_str()));
        }
        let without = "<div id=\"a\"><p/></div>";
        let with = format!("<div xmlns=\"{XHTML}\" id=\"a\"><p/></div>");
        assert_eq!(as_element(without).as_deref(), Ok(with.as_str()));
    }

    #[test]
    fn refused() {
        for text in [
            "",
            "a",
            "<div>",
            "<div xmlns=\"x\">a</div>",
            "<p xmlns=\"http://www.w3.org/1999/xhtml\">a</p>",
            &div("<p>"),
            &div("</p>"),
            &div("&nbsp;"),
            &div("a & b"),
            &div("<x:p>a</x:p>"),
            &div("<p xmlns='x'>a</p>"),
            &div("<p a=1/>"),
            &div("<p a='1' a='2'/>"),
            &div("a]]>"),
            &div("<!-- -- -->"),
            &format!("{}x", div("a")),
            &div("a").repeat(2),
            &format!("\u{FEFF}{}", div("a")),
            &format!("<?xml version=\"1.0\"?>{}", div("a")),
            &format!("<!DOCTYPE div>{}", div("a")),
            &div(&"<p>".repeat(100_000)),
        ] {
            assert!(as_element(text).is_err(), "{text:.80}");
        }
    }
}
