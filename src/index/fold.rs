//! Folding: what two texts have in common that a search by string does not tell apart (R4 search.html#string): case,
//! accents, ligatures and other compatibility forms, white space.

use super::encode::{LONGEST, cut};
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// As much of the folded text as stands in a term: the rest of a long text is not found.
pub(super) fn folded_part(text: &str) -> String {
    part(text).0
}

/// The same, and whether that is all of it.
pub(super) fn part(text: &str) -> (String, bool) {
    let beginning = cut(text, 4 * LONGEST);
    let mut folded = fold(beginning).into_owned();
    let (length, part) = (folded.len(), cut(&folded, LONGEST).len());
    folded.truncate(part);
    (folded, part == length && beginning.len() == text.len())
}

/// The text decomposed (NFKD), without combining marks, in full case folding, white space trimmed and collapsed.
pub(super) fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { fold_ascii(text) } else { Cow::Owned(fold_any(text)) }
}

fn fold_ascii(text: &str) -> Cow<'_, str> {
    let plain = |window: &[u8]| !(window[0] <= b' ' && window[1] <= b' ');
    let bytes = text.as_bytes();
    let kept = bytes.iter().all(|b| *b >= b' ' && *b != 0x7F && !b.is_ascii_uppercase())
        && bytes.windows(2).all(plain)
        && bytes.first() != Some(&b' ')
        && bytes.last() != Some(&b' ');
    if kept { Cow::Borrowed(text) } else { Cow::Owned(collapse_ascii(bytes)) }
}

/// What [`collapse`] makes of ASCII, and in lower case: almost all that is written.
fn collapse_ascii(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for piece in bytes.split(|b| *b <= b' ' || *b == 0x7F).filter(|piece| !piece.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(piece.iter().map(|b| char::from(b.to_ascii_lowercase())));
    }
    out
}

fn fold_any(text: &str) -> String {
    // Upper case first: `ß` has no other lower case, but its upper case is `SS`; so for all full case foldings.
    let folded =
        text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_uppercase).flat_map(char::to_lowercase);
    // Folding can bring marks back (`ΐ`); a second pass takes them off.
    let plain = folded.collect::<String>();
    collapse(plain.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(Spelled::of))
}

/// What stands in plain texts for letters that Unicode does not take apart: ligatures and letters with a stroke.
struct Spelled(std::str::Chars<'static>, Option<char>);

impl Spelled {
    fn of(c: char) -> Spelled {
        let text = match c {
            'æ' => "ae",
            'œ' => "oe",
            'ø' => "o",
            'ł' => "l",
            'đ' | 'ð' => "d",
            'þ' => "th",
            'ħ' => "h",
            'ŧ' => "t",
            'ı' => "i",
            _ => return Spelled("".chars(), Some(c)),
        };
        Spelled(text.chars(), None)
    }
}

impl Iterator for Spelled {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        self.1.take().or_else(|| self.0.next())
    }
}

fn collapse(characters: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    let mut space = false;
    for c in characters {
        if c.is_whitespace() || c.is_control() {
            space = true;
            continue;
        }
        if space && !out.is_empty() {
            out.push(' ');
        }
        space = false;
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{fold, fold_any};

    #[test]
    fn folded() {
        for (text, expected) in [
            ("Peter", "peter"),
            ("", ""),
            ("  van   der\tBerg ", "van der berg"),
            ("Müller", "muller"),
            ("Mu\u{308}ller", "muller"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("ﬁnd", "find"),
            ("Ὀδυσσεύς", "οδυσσευσ"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευσ"),
            ("ΐ", "ι"),
            ("Ⅷ", "viii"),
            ("ＡＢＣ", "abc"),
            ("İstanbul", "istanbul"),
            ("Ærø", "aero"),
            ("Łódź", "lodz"),
            ("Œuvre", "oeuvre"),
            ("東京", "東京"),
            ("a\u{a0}b", "a b"),
            ("a\u{0}b", "a b"),
        ] {
            assert_eq!(fold(text), expected, "{text}");
        }
    }

    #[test]
    fn ascii_is_folded_like_all_else() {
        let pairs = (0..128u8).flat_map(|a| (0..128u8).map(move |b| (char::from(a), char::from(b))));
        for (a, b) in pairs {
            for text in [format!("{a}{b}"), format!("{a}X{b}"), format!("y{a}{b}z")] {
                assert_eq!(fold(&text), fold_any(&text), "{text:?}");
            }
        }
    }
}
