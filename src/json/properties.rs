//! What holds of every document: writing and reading give the same back, and no text is accepted that another reader
//! refuses, nor refused but for a reason of our own.

use super::*;
use proptest::prelude::*;

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,5})?".prop_map(Tree::Number),
        texts().prop_map(Tree::String),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Tree::Array),
            prop::collection::btree_map(texts(), inner, 0..8).prop_map(|m| Tree::Object(m.into_iter().collect())),
        ]
    })
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z]{1,20}", any::<String>(), "[\"\\\\/\u{0}-\u{20}a\u{7f}é\u{2028}\u{1F600}]{0,12}"]
}

fn parse(text: &str) -> Result<Document<'_>, SyntaxError> {
    Document::parse(text.as_bytes(), &Limits::default())
}

/// Every character in one of the ways that JSON has for it.
fn spelled(text: &str, ways: &[u8]) -> String {
    let mut out = String::new();
    for (c, way) in text.chars().zip(ways.iter().cycle()) {
        match (c, way % 3) {
            ('"' | '\\' | '/', 0) => out.extend(['\\', c]),
            ('\u{8}', 0) => out.push_str("\\b"),
            ('\u{c}', 0) => out.push_str("\\f"),
            ('\n', 0) => out.push_str("\\n"),
            ('\u{20}'..='\u{21}' | '\u{23}'..='\u{5b}' | '\u{5d}'.., 0 | 1) => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&if *way > 99 { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") });
                }
            }
        }
    }
    out
}

proptest! {
    #[test]
    fn written_and_read_back(tree in trees()) {
        let text = tree.to_json();
        let document = parse(&text).expect("what was written is legal");
        prop_assert_eq!(&Tree::from(document.root()), &tree);
        let pretty = pretty(document.root());
        let again = parse(&pretty).expect("what was written is legal");
        prop_assert_eq!(&Tree::from(again.root()), &tree);
        let mut small = String::new();
        minify_into(again.root(), &mut small);
        prop_assert_eq!(&small, &text);
    }

    #[test]
    fn any_spelling_of_a_string(text in texts(), ways in prop::collection::vec(any::<u8>(), 1..20)) {
        let inner = spelled(&text, &ways);
        prop_assert_eq!(unescape(&inner), text.as_str());
        let quoted = format!("\"{inner}\"");
        let document = parse(&quoted).expect("legal");
        let read = document.root().as_str();
        prop_assert_eq!(read.as_deref(), Some(text.as_str()));
        let twice = format!("{{\"{inner}\":1,{}:2}}", Tree::string(text).to_json());
        prop_assert!(parse(&twice).is_err());
    }

    #[test]
    fn accepted_as_by_another_reader(text in soup()) {
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        match parse(&text) {
            Ok(_) => prop_assert!(theirs, "{}", text),
            Err(e) => {
                let own = ["this key stands twice in the object", "a lone surrogate is not a character"];
                prop_assert!(!theirs || own.contains(&e.message), "{}: {}", text, e);
            }
        }
    }
}

/// Pieces of JSON in any order, and documents with a few bytes changed.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "\"a\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "1",
        "0",
        "-",
        "1.5",
        "1e5",
        "1E+",
        ".",
        "true",
        "false",
        "null",
        "tru",
        " ",
        "\n",
        "\t",
        "\u{b}",
        "\u{1}",
        "é",
        "\\",
        "\\n",
        "\\u00",
        "01",
        "-0",
        "1.",
    ]);
    let pieces = prop::collection::vec(piece, 0..12).prop_map(|p| p.concat());
    let changed = (trees(), any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<char>()).prop_map(
        |(tree, at, upto, c)| {
            let chars: Vec<char> = tree.to_json().chars().collect();
            let (a, b) = (at.index(chars.len()), upto.index(chars.len()));
            let (a, b) = if (c as u32).is_multiple_of(2) { (a, a + 1) } else { (a.min(b), a.max(b)) };
            chars[..a].iter().chain([&c]).chain(&chars[b..]).collect()
        },
    );
    prop_oneof![pieces, changed]
}

#[test]
fn very_many_keys() {
    let keys = |last: &str| {
        let all: Vec<String> =
            (0..200_000).map(|i| format!("\"key{i}\":{i}")).chain([format!("\"{last}\":0")]).collect();
        format!("{{{}}}", all.join(","))
    };
    assert!(parse(&keys("key200000")).is_ok());
    assert_eq!(
        parse(&keys("key100000")).map(|_| ()).map_err(|e| e.message),
        Err("this key stands twice in the object")
    );
    assert_eq!(
        parse(&keys("\\u006bey7")).map(|_| ()).map_err(|e| e.message),
        Err("this key stands twice in the object")
    );
}

#[test]
fn keys_that_are_alike() {
    // Equal in length and in their first bytes, at every length around the eight that are compared at once.
    for length in 0..20 {
        let (a, b) = ("x".repeat(length) + "a", "x".repeat(length) + "b");
        assert!(parse(&format!("{{\"{a}\":1,\"{b}\":1,\"\":1}}")).is_ok());
        assert!(parse(&format!("{{\"{a}\":1,\"{b}\":1,\"{a}\":1}}")).is_err());
        assert!(parse(&format!("{{\"\":1,\"{b}\":1,\"\":1}}")).is_err());
    }
}

#[test]
fn every_byte_at_every_place_of_a_string() {
    for length in 0..20 {
        for at in 0..=length {
            for byte in 0..0x80u8 {
                let mut inner = vec![b'x'; length];
                inner.insert(at, byte);
                let text = format!("\"{}\"", String::from_utf8_lossy(&inner));
                let legal = byte >= 0x20 && byte != b'"' && byte != b'\\';
                assert_eq!(parse(&text).is_ok_and(|d| d.root().raw() == text), legal, "{text:?}");
            }
        }
    }
}
