//! The narrative (R4 narrative.html, rules txt-1 and txt-2): well-formed XHTML of a fixed set of elements and
//! attributes, in its namespace, with something in it, and nothing that a browser would run.

use super::walk::shown;
use crate::base::{IssueCode, Severity};
use quick_xml::escape::unescape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

const NAMESPACE: &str = "http://www.w3.org/1999/xhtml";

/// The elements of rule txt-1, sorted.
#[rustfmt::skip]
const ELEMENTS: [&str; 48] = [
    "a", "abbr", "acronym", "b", "big", "blockquote", "br", "caption", "cite", "code", "col", "colgroup", "dd",
    "dfn", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p",
    "pre", "q", "samp", "small", "span", "strong", "sub", "sup", "table", "tbody", "td", "tfoot", "th", "thead",
    "tr", "tt", "ul", "var",
];

/// The attributes of rule txt-1, sorted.
#[rustfmt::skip]
const ATTRIBUTES: [&str; 49] = [
    "abbr", "accesskey", "align", "alt", "axis", "bgcolor", "border", "cellhalign", "cellpadding",
    "cellspacing", "cellvalign", "char", "charoff", "charset", "cite", "class", "colspan", "compact", "coords",
    "dir", "frame", "headers", "height", "href", "hreflang", "hspace", "id", "lang", "longdesc", "name",
    "nowrap", "rel", "rev", "rowspan", "rules", "scope", "shape", "span", "src", "start", "style", "summary",
    "tabindex", "title", "type", "valign", "value", "vspace", "width",
];

/// Why a narrative is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub severity: Severity,
    pub code: IssueCode,
    pub message: String,
}

fn broken(message: impl Into<String>) -> Fault {
    Fault { severity: Severity::Error, code: IssueCode::Structure, message: message.into() }
}

fn refused(message: impl Into<String>) -> Fault {
    Fault { severity: Severity::Error, code: IssueCode::Invariant, message: message.into() }
}

/// Checks the text of a `div`.
pub(super) fn check(text: &str) -> Result<(), Fault> {
    if text.bytes().any(|b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) {
        return Err(broken("the narrative is not well-formed XHTML: it has a control character"));
    }
    let mut reader = Reader::from_str(text);
    let (mut depth, mut ended, mut content) = (0usize, false, false);
    loop {
        let event = reader.read_event();
        let event = event.map_err(|e| broken(format!("the narrative is not well-formed XHTML: {e}")))?;
        let outside = depth == 0;
        match &event {
            Event::Start(tag) | Event::Empty(tag) => {
                if outside && ended {
                    return Err(broken("the narrative is one div element; there is more after it"));
                }
                content |= element(tag, outside)?;
                if matches!(event, Event::Start(_)) {
                    depth += 1;
                } else {
                    ended |= outside;
                }
            }
            Event::End(_) => {
                depth = depth.saturating_sub(1);
                ended = depth == 0;
            }
            Event::Text(text) if outside => {
                if !text.as_ref().trim().is_empty() {
                    return Err(broken("the narrative is one div element; there is text outside of it"));
                }
            }
            Event::Text(text) => {
                if text.as_ref().contains("]]>") {
                    return Err(broken("the narrative is not well-formed XHTML: ']]>' in a text"));
                }
                content |= text.as_ref().contains(|c: char| !c.is_whitespace());
            }
            Event::GeneralRef(name) => content |= entity(name.as_ref())? && !outside,
            Event::Comment(comment) => no_hidden_markup(comment.as_ref())?,
            Event::CData(_) => return Err(refused("CDATA sections are not allowed in a narrative (txt-1)")),
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                return Err(refused("declarations and instructions are not allowed in a narrative (txt-1)"));
            }
            Event::Eof => break,
        }
    }
    if !ended || depth > 0 {
        return Err(broken("the narrative is not well-formed XHTML: the div element does not end"));
    }
    // Only a warning: it harms nobody, and official examples break the rule.
    let empty =
        || Fault { severity: Severity::Warning, ..refused("the narrative has neither text nor an image (txt-2)") };
    if content { Ok(()) } else { Err(empty()) }
}

/// The languages of the sections of a `div`: of the elements directly in it that name one.
pub(super) fn languages(text: &str) -> Vec<String> {
    let mut reader = Reader::from_str(text);
    let (mut depth, mut found) = (0usize, Vec::new());
    loop {
        match reader.read_event() {
            Ok(event @ (Event::Start(_) | Event::Empty(_))) => {
                let (Event::Start(tag) | Event::Empty(tag)) = &event else { continue };
                if depth == 1 {
                    let named = |key: &str| tag.attributes().flatten().find(|a| a.key.into_inner() == key);
                    let language = named("lang").or_else(|| named("xml:lang"));
                    found.extend(language.map(|a| a.value.trim().to_owned()));
                }
                depth += usize::from(matches!(event, Event::Start(_)));
            }
            Ok(Event::End(_)) => depth = depth.saturating_sub(1),
            Ok(Event::Eof) | Err(_) => return found,
            Ok(_) => {}
        }
    }
}

/// Checks a tag; says whether it is content by itself (an image).
fn element(tag: &BytesStart<'_>, outermost: bool) -> Result<bool, Fault> {
    let name = tag.name().into_inner();
    if outermost && name != "div" {
        return Err(broken(format!("the narrative is a div element in the XHTML namespace, not '{}'", shown(name))));
    }
    if ELEMENTS.binary_search(&name).is_err() {
        return Err(refused(format!("the element '{}' is not allowed in a narrative (txt-1)", shown(name))));
    }
    let (mut namespace, mut source) = (false, false);
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|e| broken(format!("the narrative is not well-formed XHTML: {e}")))?;
        let key = attribute.key.into_inner();
        let value = unescape(&attribute.value);
        let value = value.map_err(|e| broken(format!("the narrative is not well-formed XHTML: {e}")))?;
        if attribute.value.contains('<') {
            return Err(broken(format!("the narrative is not well-formed XHTML: '<' in the attribute '{key}'")));
        }
        match key {
            "xmlns" if value != NAMESPACE => {
                return Err(broken(format!("the namespace of a narrative is {NAMESPACE}, not '{}'", shown(&value))));
            }
            "xmlns" => namespace = true,
            "xml:lang" | "xml:space" => {}
            _ if ATTRIBUTES.binary_search(&key).is_err() => {
                return Err(refused(format!("the attribute '{}' is not allowed in a narrative (txt-1)", shown(key))));
            }
            "href" | "src" | "cite" | "longdesc" if runs(&value, name == "img") => {
                return Err(refused(format!("the address in '{key}' would be run by a browser (txt-1)")));
            }
            "style" if runs_in_style(&value) => {
                return Err(refused("the style would load or run something in a browser (txt-1)"));
            }
            "src" => source = true,
            _ => {}
        }
    }
    if outermost && !namespace {
        return Err(broken(format!("the div element of a narrative says xmlns=\"{NAMESPACE}\"")));
    }
    Ok(name == "img" && source)
}

/// Checks an entity; says whether it is visible. HTML's own entities are not those of XML.
fn entity(name: &str) -> Result<bool, Fault> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix('x') {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => number.parse().ok(),
        };
        let legal =
            |c: &char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
        return match code.and_then(char::from_u32).filter(legal) {
            Some(c) => Ok(!c.is_whitespace()),
            None => Err(broken(format!("the narrative is not well-formed XHTML: '&{};'", shown(name)))),
        };
    }
    match name {
        "lt" | "gt" | "amp" | "quot" | "apos" => Ok(true),
        _ => Err(broken(format!("XML has no entity '&{};': write the character itself", shown(name)))),
    }
}

/// Comments that end earlier for an HTML reader than for an XML reader hide markup from this check.
fn no_hidden_markup(comment: &str) -> Result<(), Fault> {
    if comment.starts_with('>') || comment.starts_with("->") || comment.contains("--") || comment.ends_with('-') {
        return Err(refused("this comment ends elsewhere for a browser: not allowed in a narrative (txt-1)"));
    }
    Ok(())
}

/// Whether an address is code. Browsers pass over white space and control characters in the scheme.
fn runs(address: &str, image: bool) -> bool {
    let scheme: String = address.chars().filter(|c| *c > ' ').take(24).collect::<String>().to_ascii_lowercase();
    let data = scheme.starts_with("data:") && !(image && scheme.starts_with("data:image/"));
    data || scheme.starts_with("javascript:") || scheme.starts_with("vbscript:")
}

fn runs_in_style(style: &str) -> bool {
    let style = style.to_ascii_lowercase();
    // A backslash writes any character in another way.
    ["javascript:", "vbscript:", "expression(", "-moz-binding", "behavior:", "@import", "\\"]
        .iter()
        .any(|what| style.contains(what))
}

#[cfg(test)]
mod tests {
    use super::check;

    const XMLNS: &str = r#"xmlns="http://www.w3.org/1999/xhtml""#;

    #[test]
    fn legal() {
        for inner in [
            "text",
            "<p class='x'>a &lt; b &amp; &#160;c</p>",
            "<img src='data:image/png;base64,AA=='/>",
            "<a name='x' href='#y'>z</a>",
            "<!-- a comment --><b>x</b>",
            "<table style='color: red'><tr><td colspan='2'>1</td></tr></table>",
        ] {
            let text = format!("<div {XMLNS}>{inner}</div>");
            assert_eq!(check(&text), Ok(()), "{text}");
        }
        assert_eq!(check(&format!(" <div {XMLNS}>a</div>\n")), Ok(()));
    }

    #[test]
    fn refused() {
        for (inner, part) in [
            ("", "txt-2"),
            ("  &#160;<br/>", "txt-2"),
            ("<img alt='x'/>", "txt-2"),
            ("<script>alert(1)</script>", "'script'"),
            ("<svg/>x", "'svg'"),
            ("<p onclick='x()'>x</p>", "'onclick'"),
            ("<a href='javascript:x()'>x</a>", "'href'"),
            ("<a href=' java&#10;script:x()'>x</a>", "'href'"),
            ("<a href='data:text/html,x'>x</a>", "'href'"),
            ("<p style='width: expression(x)'>x</p>", "style"),
            ("<![CDATA[<script>]]>x", "CDATA"),
            ("<!--><script>x</script>--><b>x</b>", "comment"),
            ("<p>x", "well-formed"),
            ("x</p>", "well-formed"),
            ("a & b", "well-formed"),
            ("&nbsp;x", "&nbsp;"),
            ("<p id=1>x</p>", "well-formed"),
            ("<p id='1' id='2'>x</p>", "well-formed"),
            ("<p xmlns='http://www.w3.org/2000/svg'>x</p>", "namespace"),
            ("&#1;x", "well-formed"),
        ] {
            let text = format!("<div {XMLNS}>{inner}</div>");
            let fault = check(&text).expect_err(&text);
            assert!(fault.message.contains(part), "{text}: {}", fault.message);
        }
        for text in ["<div>x</div>", "x", "", "<p xmlns='http://www.w3.org/1999/xhtml'>x</p>", "<?xml version='1.0'?>"]
        {
            assert!(check(text).is_err(), "{text}");
        }
        assert!(check(&format!("<div {XMLNS}>x</div><div {XMLNS}>x</div>")).is_err());
        assert!(check(&format!("<div {XMLNS}>x</div>x")).is_err());
    }
}
