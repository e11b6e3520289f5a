//! Code systems and value sets by example: hierarchies, filters, circles, versions and languages.

use super::*;
use crate::json::Tree;

fn tree(json: &str) -> Tree {
    Tree::parse(json.as_bytes()).expect("JSON")
}

fn shelf() -> Shelf {
    let mut shelf = Shelf::default();
    for json in [
        r#"{"resourceType":"CodeSystem","url":"http://s","version":"1.10.0","content":"complete","language":"en","property":[{"code":"colour","type":"code"}],
            "concept":[{"code":"a","display":"Alpha","concept":[{"code":"b","display":"Beta","designation":[{"language":"de-CH","value":"Betha"}],"property":[{"code":"colour","valueCode":"red"}],"concept":[{"code":"c"}]}]},
            {"code":"d","property":[{"code":"parent","valueCode":"b"},{"code":"status","valueCode":"retired"}]}]}"#,
        r#"{"resourceType":"CodeSystem","url":"http://s","version":"1.9.0","content":"complete","concept":[{"code":"a"}]}"#,
        r#"{"resourceType":"CodeSystem","url":"http://round","content":"complete","concept":[{"code":"x","property":[{"code":"parent","valueCode":"y"}]},{"code":"y","property":[{"code":"parent","valueCode":"x"}]}]}"#,
        r#"{"resourceType":"ValueSet","url":"http://all","compose":{"include":[{"system":"http://s"}]}}"#,
        r#"{"resourceType":"ValueSet","url":"http://below","compose":{"include":[{"system":"http://s","filter":[{"property":"concept","op":"is-a","value":"b"}]}],"exclude":[{"system":"http://s","concept":[{"code":"c"}]}]}}"#,
        r#"{"resourceType":"ValueSet","url":"http://itself","compose":{"include":[{"valueSet":["http://other"]}]}}"#,
        r#"{"resourceType":"ValueSet","url":"http://other","compose":{"include":[{"valueSet":["http://itself"]}]}}"#,
        r#"{"resourceType":"ValueSet","url":"http://odd","compose":{"include":[{"system":"http://s","filter":[{"property":"colour","op":"resembles","value":"b"}]}]}}"#,
        r#"{"resourceType":"ValueSet","url":"http://circle","compose":{"include":[{"system":"http://round"}]}}"#,
        r#"{"resourceType":"ConceptMap","url":"http://map","group":[{"source":"http://s","target":"http://t","element":[{"code":"a","target":[{"code":"A","equivalence":"wider"}]}]}]}"#,
    ] {
        shelf.add(&tree(json));
    }
    shelf
}

fn codes(shelf: &Shelf, url: &str) -> Result<Vec<String>, Problem> {
    codes_of(shelf, url, 1000).map(|all| all.into_iter().map(|(_, code)| code.to_string()).collect())
}

#[test]
fn hierarchies_and_filters() {
    let shelf = shelf();
    assert_eq!(codes(&shelf, "http://all"), Ok(vec!["a".into(), "b".into(), "c".into(), "d".into()]));
    assert_eq!(codes(&shelf, "http://below"), Ok(vec!["b".into(), "d".into()]));
    assert_eq!(member_of(&shelf, "http://below", Some("http://s"), "d"), Some(true));
    assert_eq!(member_of(&shelf, "http://below", None, "c"), Some(false));
    assert_eq!(member_of(&shelf, "http://nowhere", None, "c"), None);
    let below = hierarchy(&shelf, "http://s", "b", true).expect("known");
    assert_eq!(below.iter().map(|c| &**c).collect::<Vec<_>>(), ["b", "c", "d"]);
    let above = hierarchy(&shelf, "http://s", "d", false).expect("known");
    assert_eq!(above.iter().map(|c| &**c).collect::<Vec<_>>(), ["a", "b", "d"]);
}

#[test]
fn bad_ones_are_named_and_harm_nothing_else() {
    let shelf = shelf();
    let itself = codes(&shelf, "http://itself").expect_err("a circle");
    assert!(itself.text.contains("'http://itself'") && itself.place.is_some(), "{itself:?}");
    let odd = codes(&shelf, "http://odd").expect_err("unknown");
    assert_eq!(odd.place.as_deref(), Some("ValueSet.compose.include[0].filter[0]"));
    assert!(odd.text.contains("op = resembles") && odd.text.contains("http://s"));
    let circle = codes(&shelf, "http://circle").expect_err("a circle");
    assert!(circle.text.contains("http://round") && circle.text.contains("circle"), "{circle:?}");
    assert!(codes(&shelf, "http://all").is_ok());
    assert_eq!(member_of(&shelf, "http://itself", Some("http://s"), "a"), None);
}

#[test]
fn versions_languages_and_maps() {
    assert!(tree::fits("1.2.0", "1.x") && tree::fits("1.2.0", "1.x.x") && !tree::fits("1.2.0", "1"));
    assert_eq!(tree::newer("1.10.0", "1.9.0"), std::cmp::Ordering::Greater);
    let shelf = shelf();
    let asked = |display: &str| Asked {
        codings: vec![Coding {
            system: "http://s".into(),
            code: "b".into(),
            display: Some(display.into()),
            ..Coding::default()
        }],
        place: "Coding",
        infer: false,
        allow_abstract: true,
    };
    let german = Rules { language: Some("de".into()), ..Rules::default() };
    let right = validate(&shelf, None, &asked("betha"), &german).expect("an answer");
    assert!(right.result && right.display.as_deref() == Some("Betha") && right.version.as_deref() == Some("1.10.0"));
    let wrong = validate(&shelf, None, &asked("Gamma"), &german).expect("an answer");
    assert_eq!(wrong.problems[0].place.as_deref(), Some("Coding.display"));
    let map = shelf.concept_maps().remove(0);
    let there = translate(&shelf, &map, ("http://s", "a"), None, None, false, 0);
    assert_eq!((there[0].equivalence.as_str(), &there[0].concept), ("wider", &Some(("http://t".into(), "A".into()))));
    let back = translate(&shelf, &map, ("http://t", "A"), None, None, true, 0);
    assert_eq!((back[0].equivalence.as_str(), &back[0].concept), ("narrower", &Some(("http://s".into(), "a".into()))));
}
