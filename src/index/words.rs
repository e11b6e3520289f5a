//! Words: what `_text` and `_content` find (R4 search.html#_text). The words of the narrative stand under `_text`, those
//! of all other strings under `_content`; which of them a search looks in is in `criteria`. Codes, identifiers of
//! systems, references and dates are no words.

use super::encode::{self, cut, push_text};
use super::fold::fold;
use super::sink::Sink;
use crate::definitions::{Definitions, ElementType, TypeId};
use crate::json::{Kind, Value};
use crate::primitive::Primitive;
use rustc_hash::FxHashSet;

/// Bytes of a word at most.
const LONGEST_WORD: usize = 60;

/// The words of a text, folded.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    each_word(text, |word| words.push(word.to_owned()));
    words
}

fn each_word(text: &str, mut tell: impl FnMut(&str)) {
    let folded = fold(text);
    let pieces = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    pieces.for_each(|word| tell(cut(word, LONGEST_WORD)));
}

/// Appends the words of a resource under the numbers of `_text` and `_content`; gives those of the two that have any.
pub(super) fn extract(
    definitions: &Definitions,
    kind: TypeId,
    resource: Value<'_>,
    (text, content): (Option<u16>, Option<u16>),
    sink: &mut Sink,
) -> Vec<u16> {
    let mut found = Found { definitions, narrative: FxHashSet::default(), content: FxHashSet::default() };
    found.walk(kind, resource);
    let mut present = Vec::new();
    for (number, words) in [(text, found.narrative), (content, found.content)] {
        let Some(number) = number.filter(|_| !words.is_empty()) else { continue };
        present.push(number);
        sink.begin(number);
        for word in words {
            sink.put(encode::WORD, |out| push_text(&word, out));
        }
    }
    present
}

struct Found<'d> {
    definitions: &'d Definitions,
    narrative: FxHashSet<String>,
    content: FxHashSet<String>,
}

impl Found<'_> {
    fn walk(&mut self, kind: TypeId, value: Value<'_>) {
        let structure = self.definitions.structure(kind);
        for (key, part) in value.entries() {
            let Some(element) = structure.element(&key) else { continue };
            // A string by its type, but no text.
            if &*key == "reference" && self.definitions.name(kind) == "Reference" {
                continue;
            }
            match element.kind {
                ElementType::Primitive(Primitive::String | Primitive::Markdown) => {
                    part.each().for_each(|text| self.add(text, false));
                }
                ElementType::Primitive(Primitive::Xhtml) => part.each().for_each(|text| self.add(text, true)),
                ElementType::Primitive(_) => {}
                ElementType::Complex(inner) => part.each().for_each(|value| self.walk(inner, value)),
                ElementType::Resource => part.each().for_each(|resource| {
                    let name = resource.get("resourceType").and_then(Value::as_str);
                    if let Some(kind) = name.and_then(|name| self.definitions.resource(&name)) {
                        self.walk(kind, resource);
                    }
                }),
            }
        }
    }

    fn add(&mut self, text: Value<'_>, narrative: bool) {
        if text.kind() != Kind::String {
            return;
        }
        let Some(text) = text.as_str() else { return };
        let set = if narrative { &mut self.narrative } else { &mut self.content };
        // Most words of a resource come several times.
        let mut add = |word: &str| {
            if !set.contains(word) {
                set.insert(word.to_owned());
            }
        };
        if narrative { each_word(&plain(&text), &mut add) } else { each_word(&text, &mut add) }
    }
}

/// XHTML without its marks.
fn plain(xhtml: &str) -> String {
    let mut out = String::with_capacity(xhtml.len());
    let mut rest = xhtml;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, mark) = rest.split_at(at);
        out.push_str(before);
        let (end, shown) = if mark.starts_with('<') { (mark.find('>'), ' ') } else { reference(mark) };
        out.push(shown);
        rest = end.and_then(|end| mark.get(end + 1..)).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Where a character reference ends, and what it stands for; a space if that is not a letter.
fn reference(text: &str) -> (Option<usize>, char) {
    // What is no reference is an `&` of its own.
    let Some(end) = text.find(';').filter(|end| *end < 12) else { return (Some(0), ' ') };
    let name = text.get(1..end).unwrap_or_default();
    let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    (Some(end), number.and_then(char::from_u32).unwrap_or(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_texts() {
        for (text, expected) in [
            ("", ""),
            ("Heart-attack, 2nd (acute)", "heart attack 2nd acute"),
            ("Müller's  STRASSE", "muller s strasse"),
            ("東京 ½", "東京 1 2"),
        ] {
            assert_eq!(words(text).join(" "), expected, "{text}");
        }
        assert_eq!(
            words(&plain("<div xmlns=\"x\"><p>A&#233;b <b>c</b>&amp;d & e</p>f</div>")),
            ["aeb", "c", "d", "e", "f"]
        );
        assert_eq!(plain("a < b"), "a  ");
    }
}
