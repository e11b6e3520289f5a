//! Narratives: a `div` of XHTML as text (R4 narrative.html, json.html#xhtml). Read from within a document, checked
//! before it is written into one, and judged by the rules on what a narrative may hold. Never shown or cleaned.

use super::XHTML;
use super::markup;
use super::source::{Fault, Part, Source};
use quick_xml::events::BytesStart;
use std::borrow::Cow;

/// The deepest nesting within a narrative.
const DEPTH_MAX: usize = 256;

/// The elements that a narrative may have (invariant txt-1), sorted.
#[rustfmt::skip]
const ELEMENTS: [&str; 48] = [
    "a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd", "dfn",
    "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "q", "samp",
    "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "tt", "ul", "var",
];

/// The attributes that they may have (invariant txt-1), sorted.
#[rustfmt::skip]
const ATTRIBUTES: [&str; 53] = [
    "abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellhalign", "cellpadding", "cellspacing",
    "cellvalign", "char", "charoff", "charset", "cite", "class", "colspan", "compact", "coords", "dir", "frame",
    "headers", "height", "href", "hreflang", "hspace", "id", "lang", "longdesc", "name", "nowrap", "rel", "rev",
    "rowspan", "rules", "scope", "shape", "span", "src", "start", "style", "summary", "tabindex", "title", "type",
    "valign", "value", "vspace", "width", "xml:base", "xml:id", "xml:lang", "xml:space",
];

/// What is wrong with a narrative.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NarrativeFault {
    /// It is no well-formed `div` in the XHTML namespace.
    Malformed(String),
    /// It has an element or attribute that narratives may not have (invariant txt-1).
    NotAllowed(String),
    /// It says nothing (invariant txt-2).
    Empty,
}

impl std::fmt::Display for NarrativeFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NarrativeFault::Malformed(message) | NarrativeFault::NotAllowed(message) => f.write_str(message),
            NarrativeFault::Empty => f.write_str("a narrative has some text or an image"),
        }
    }
}

/// Checks the text of `Narrative.div` against the rules of R4 narrative.html#rules.
pub fn check_narrative(text: &str) -> Result<(), NarrativeFault> {
    let mut rules = Rules::default();
    let found = fragment(text, &mut rules).map_err(|(_, message)| NarrativeFault::Malformed(message))?;
    if !found.declared {
        return Err(NarrativeFault::Malformed(format!("the div of a narrative has xmlns=\"{XHTML}\"")));
    }
    match rules.broken {
        Some(message) => Err(NarrativeFault::NotAllowed(message)),
        None if rules.content => Ok(()),
        None => Err(NarrativeFault::Empty),
    }
}

/// The text of a `div` as it can stand in an XML document: as it is, with the namespace added where it is missing.
pub(super) fn as_element(text: &str) -> Result<Cow<'_, str>, String> {
    let found = fragment(text, &mut Rules::default()).map_err(|(_, message)| message)?;
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
fn fragment(text: &str, rules: &mut Rules) -> Result<Fragment, Fault> {
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
                element(&mut source, &tag, namespace_of(declared), rules)?;
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

fn namespace_of(declared: bool) -> Option<&'static str> {
    declared.then_some(XHTML)
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
    let rewritten = element(source, tag, Some(XHTML), &mut Rules::default())?;
    let raw = text.get(start..source.end()).unwrap_or_default();
    let chosen = if own && !rewritten.prefixed { raw.to_owned() } else { rewritten.text };
    // XML 1.0, 2.11: line ends are read as single line feeds.
    Ok(if chosen.contains('\r') { chosen.replace("\r\n", "\n").replace('\r', "\n") } else { chosen })
}

/// An element written anew without prefixes.
struct Rewritten {
    text: String,
    /// Whether it had prefixes or other declarations within.
    prefixed: bool,
}

/// Reads to the end of the element whose start tag was just read; all within is in one namespace.
fn element(
    source: &mut Source<'_>,
    tag: &BytesStart<'_>,
    namespace: Option<&str>,
    rules: &mut Rules,
) -> Result<Rewritten, Fault> {
    let mut out = Rewritten { text: String::new(), prefixed: false };
    let mut open: Vec<String> = Vec::new();
    start_tag(source, tag, namespace, rules, &mut open, &mut out)?;
    while !open.is_empty() {
        match source.next()? {
            Part::Start(tag) => start_tag(source, &tag, namespace, rules, &mut open, &mut out)?,
            Part::End => {
                let name = open.pop().unwrap_or_default();
                if !source.raw().is_empty() {
                    out.text.push_str("</");
                    out.text.push_str(&name);
                    out.text.push('>');
                }
            }
            Part::Text { blank } => {
                rules.content |= !blank && says_something(source.raw());
                out.text.push_str(source.raw());
            }
            Part::Aside => out.text.push_str(source.raw()),
            Part::Finish => break,
        }
    }
    Ok(out)
}

fn start_tag(
    source: &Source<'_>,
    tag: &BytesStart<'_>,
    namespace: Option<&str>,
    rules: &mut Rules,
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
        let decoded = markup::attribute_value(value).map_err(|m| source.fault(m))?;
        if *name == "xmlns" || name.starts_with("xmlns:") {
            continue;
        }
        if source.resolve_attribute(name)?.0.is_some() && !name.starts_with("xml:") {
            return Err(source.fault("attributes of a narrative have no prefix"));
        }
        rules.attribute(name, &decoded);
        // The value is copied as written, so the quote around it must be the one that it does not have.
        let quote = if value.contains('"') { '\'' } else { '"' };
        out.text.push(' ');
        out.text.push_str(name);
        out.text.push('=');
        out.text.push(quote);
        out.text.push_str(value);
        out.text.push(quote);
    }
    rules.element(local, &attributes);
    out.text.push_str(if source.raw().ends_with("/>") { "/>" } else { ">" });
    open.push(local.to_owned());
    Ok(())
}

/// Whether a piece of text that is not plain white space says anything: a reference may mean white space too.
fn says_something(raw: &str) -> bool {
    match raw.strip_prefix('&').and_then(|r| r.strip_suffix(';')) {
        Some(name) => !markup::reference(name).is_ok_and(|c| markup::SPACE.contains(&c)),
        None => {
            let text = raw.strip_prefix("<![CDATA[").and_then(|r| r.strip_suffix("]]>")).unwrap_or(raw);
            !markup::is_space(text)
        }
    }
}

/// What the rules on narratives say of the parts seen so far.
#[derive(Default)]
struct Rules {
    broken: Option<String>,
    content: bool,
}

impl Rules {
    fn element(&mut self, name: &str, attributes: &[markup::RawAttribute<'_>]) {
        if ELEMENTS.binary_search(&name).is_err() {
            self.broken.get_or_insert_with(|| format!("a narrative has no element '{}'", shortened(name)));
        }
        self.content |= name == "img" && attributes.iter().any(|(n, _)| *n == "src");
    }

    fn attribute(&mut self, name: &str, value: &str) {
        if ATTRIBUTES.binary_search(&name).is_err() {
            self.broken.get_or_insert_with(|| format!("a narrative has no attribute '{}'", shortened(name)));
        }
        // Not named by txt-1, but narrative.html#rules wants no active content, and a link can carry a script.
        if matches!(name, "href" | "src" | "cite" | "longdesc") {
            let scheme: String = value.chars().filter(|c| !c.is_whitespace() && !c.is_control()).take(11).collect();
            if ["javascript:", "vbscript:"].iter().any(|s| scheme.to_ascii_lowercase().starts_with(s)) {
                self.broken.get_or_insert_with(|| "a narrative has no links that run scripts".to_owned());
            }
        }
    }
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
    fn rules() {
        assert!(ELEMENTS.is_sorted() && ATTRIBUTES.is_sorted());
        for text in [
            div("a"),
            div("<p title='x'>b<br/></p>"),
            div("<img src='#a'/>"),
            div("&#160;x"),
            div("<![CDATA[x]]>"),
            format!(" <!-- c -->{}\n", div("a")),
            format!("<h:div xmlns:h=\"{XHTML}\"><h:p>a</h:p></h:div>"),
            div("<a href=\"http://x/javascript:\">a</a>"),
        ] {
            assert_eq!(check_narrative(&text), Ok(()), "{text}");
        }
        for text in [
            div(""),
            div(" \n"),
            div("&#32;"),
            div("<p/>"),
            div("<img alt='a'/>"),
            div("<!-- a -->"),
            div("<![CDATA[ ]]>"),
        ] {
            assert_eq!(check_narrative(&text), Err(NarrativeFault::Empty), "{text}");
        }
        for text in [
            div("<script>a</script>"),
            div("<p onclick='a'>a</p>"),
            div("<form>a</form>"),
            div("<a href=' Java\nScript:a'>a</a>"),
            div("<a href='&#106;avascript:a'>a</a>"),
            div("<a href='java&#9;script:a'>a</a>"),
        ] {
            assert!(matches!(check_narrative(&text), Err(NarrativeFault::NotAllowed(_))), "{text}");
        }
        for text in [
            "",
            "a",
            "<div>a</div>",
            "<div xmlns=\"x\">a</div>",
            "<p xmlns=\"http://www.w3.org/1999/xhtml\">a</p>",
            &div("<p>"),
            &div("&nbsp;"),
            &div("<x:p>a</x:p>"),
            &div("<p xmlns='x'>a</p>"),
            &div("a]]>"),
            &format!("{}x", div("a")),
            &div("a").repeat(2),
            &format!("<?xml version=\"1.0\"?>{}", div("a")),
            &format!("<!DOCTYPE div>{}", div("a")),
            &div(&"<p>".repeat(100_000)),
        ] {
            assert!(matches!(check_narrative(text), Err(NarrativeFault::Malformed(_))), "{text:.80}");
        }
    }

    #[test]
    fn as_elements() {
        let kept = div("<p  title='a>b'>x</p ><br />");
        assert_eq!(as_element(&format!(" {kept} ")).as_deref(), Ok(kept.as_str()));
        assert_eq!(
            as_element("<div id=\"a\"><p/></div>").as_deref(),
            Ok(format!("<div xmlns=\"{XHTML}\" id=\"a\"><p/></div>").as_str())
        );
        assert!(as_element("<div>").is_err());
    }
}
