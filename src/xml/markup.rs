//! The parts of XML's grammar (XML 1.0) that the event reader leaves to its user: attributes, references, characters
//! and names. Without namespaces and without FHIR.

use std::borrow::Cow;

/// The most attributes of one element.
const ATTRIBUTES_MAX: usize = 64;

/// The place of the first character that no XML document may have (XML 1.0, 2.2).
pub(super) fn illegal_character(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().position(|(i, b)| match b {
        0..0x20 => !matches!(b, b'\t' | b'\n' | b'\r'),
        // U+FFFE and U+FFFF
        0xEF => bytes.get(i + 1) == Some(&0xBF) && matches!(bytes.get(i + 2), Some(0xBE | 0xBF)),
        _ => false,
    })
}

/// An attribute as written: name, and the value between its quotes.
pub(super) type RawAttribute<'t> = (&'t str, &'t str);

/// The attributes of a start tag, from the text after the name of the element.
pub(super) fn attributes(mut rest: &str) -> Result<Vec<RawAttribute<'_>>, &'static str> {
    let mut found: Vec<RawAttribute<'_>> = Vec::new();
    loop {
        let trimmed = rest.trim_start_matches(SPACE);
        if trimmed.is_empty() {
            return Ok(found);
        }
        if trimmed.len() == rest.len() {
            return Err("white space is needed before an attribute");
        }
        let (name, after) = trimmed.split_once('=').ok_or("an attribute has a value: name=\"value\"")?;
        let name = name.trim_end_matches(SPACE);
        if !is_name(name) {
            return Err("an attribute needs a legal name");
        }
        let after = after.trim_start_matches(SPACE);
        let quote = after
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\''))
            .ok_or("the value of an attribute stands in quotes")?;
        let (value, after) = after[1..].split_once(quote).ok_or("the value of an attribute does not end")?;
        if value.contains('<') {
            return Err("'<' in the value of an attribute is written &lt;");
        }
        if found.iter().any(|(n, _)| *n == name) {
            return Err("an attribute stands twice on an element");
        }
        if found.len() >= ATTRIBUTES_MAX {
            return Err("too many attributes");
        }
        found.push((name, value));
        rest = after;
    }
}

/// The white space of XML.
pub(super) const SPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Whether a text is white space only.
pub(super) fn is_space(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

/// The characters of an attribute's value: references resolved, white space that is written plainly made spaces
/// (XML 1.0, 3.3.3).
pub(super) fn attribute_value(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    if !raw.bytes().any(|b| matches!(b, b'&' | b'\t' | b'\n' | b'\r')) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find(['&', '\t', '\n', '\r']) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        rest = match special.as_bytes() {
            [b'&', ..] => {
                let (name, after) =
                    special[1..].split_once(';').ok_or("'&' begins a reference, which ends with ';'")?;
                out.push(reference(name)?);
                after
            }
            [b'\r', b'\n', ..] => {
                out.push(' ');
                &special[2..]
            }
            _ => {
                out.push(' ');
                &special[1..]
            }
        };
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// The character that a reference means, by what stands between `&` and `;`.
pub(super) fn reference(name: &str) -> Result<char, &'static str> {
    let number = |digits: &str, radix| {
        let sound = !digits.is_empty() && digits.len() <= 10 && digits.chars().all(|c| c.is_digit(radix));
        sound.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    };
    let code = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => match name.strip_prefix('#') {
            Some(digits) => match digits.strip_prefix('x') {
                Some(digits) => number(digits, 16),
                None => number(digits, 10),
            },
            None => return Err("only the entities lt, gt, amp, quot and apos are known"),
        },
    };
    code.and_then(char::from_u32)
        .filter(|c| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..))
        .ok_or("this character reference means no character of XML")
}

/// Appends a text as the value of an attribute in double quotes; line ends and tabs survive as references.
pub(super) fn escape_attribute(text: &str, out: &mut String) {
    let mut from = 0;
    for (i, b) in text.bytes().enumerate() {
        let escape = match b {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\t' => "&#9;",
            b'\n' => "&#10;",
            b'\r' => "&#13;",
            _ => continue,
        };
        out.push_str(&text[from..i]);
        out.push_str(escape);
        from = i + 1;
    }
    out.push_str(&text[from..]);
}

/// Whether a text is a name with at most one prefix (Namespaces in XML 1.0, 4).
pub(super) fn is_name(text: &str) -> bool {
    let plain = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(begins_name) && chars.all(continues_name)
    };
    match text.split_once(':') {
        Some((prefix, local)) => plain(prefix) && plain(local),
        None => plain(text),
    }
}

fn begins_name(c: char) -> bool {
    matches!(c,
        'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{2FF}'
        | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}'
        | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn continues_name(c: char) -> bool {
    begins_name(c) || matches!(c, '0'..='9' | '-' | '.' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_as_written() {
        assert_eq!(attributes(" a=\"1\"\n b = '\"' x:c=''"), Ok(vec![("a", "1"), ("b", "\""), ("x:c", "")]));
        assert_eq!(attributes(" "), Ok(vec![]));
        for raw in [
            " a",
            " a=",
            " a=1",
            "a=\"1\"",
            " a=\"1\"b=\"2\"",
            " a=\"<\"",
            " a=\"1\" a=\"2\"",
            " 1=\"1\"",
            " a=\"1",
            " a:b:c=\"\"",
        ] {
            assert!(attributes(raw).is_err(), "{raw}");
        }
        let many: String = (0..65).map(|i| format!(" a{i}=''")).collect();
        assert_eq!(attributes(&many), Err("too many attributes"));
    }

    #[test]
    fn values() {
        for (raw, value) in [
            ("a", "a"),
            ("&lt;&gt;&amp;&quot;&apos;", "<>&\"'"),
            ("a&#10;b&#xA;c", "a\nb\nc"),
            ("a\r\nb\tc\nd\re", "a b c d e"),
            ("&#x1F600;", "\u{1F600}"),
            ("&#0000000065;", "A"),
        ] {
            assert_eq!(attribute_value(raw).as_deref(), Ok(value), "{raw}");
        }
        for raw in [
            "&",
            "&;",
            "&nbsp;",
            "&#;",
            "&#x;",
            "&#0;",
            "&#1;",
            "&#xD800;",
            "&#xFFFE;",
            "&#x110000;",
            "&#+65;",
            "&#X41;",
            "&#99999999999;",
        ] {
            assert!(attribute_value(raw).is_err(), "{raw}");
        }
        let mut written = String::new();
        escape_attribute("<a>\t\"b\" & 'c'\r\n", &mut written);
        assert_eq!(written, "&lt;a&gt;&#9;&quot;b&quot; &amp; 'c'&#13;&#10;");
        assert_eq!(attribute_value(&written).as_deref(), Ok("<a>\t\"b\" & 'c'\r\n"));
    }

    #[test]
    fn characters_and_names() {
        assert_eq!(illegal_character("a\u{1}"), Some(1));
        assert_eq!(illegal_character("é\u{FFFE}"), Some(2));
        assert_eq!(illegal_character("\t\n\rﯿ\u{FFFD}\u{1F600}"), None);
        for name in ["a", "_a", "a-b.1", "x:div", "é"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1", "-a", "a:", ":a", "a:b:c", "a b", "a/"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
