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
    assert_eq!(member_of(&shelf, "http://below", Some("http://s"), "d"), Ok(true));
    assert_eq!(member_of(&shelf, "http://below", None, "c"), Ok(false));
    assert!(member_of(&shelf, "http://nowhere", None, "c").is_err_and(|why| why.text.contains("'http://nowhere'")));
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
    let why = member_of(&shelf, "http://itself", Some("http://s"), "a").expect_err("a circle");
    assert_eq!(why.place.as_deref(), Some("ValueSet.compose.include[0].valueSet[0]"));
    // Without a system the circle is found where the imports are looked at.
    let why = member_of(&shelf, "http://itself", None, "a").expect_err("a circle");
    assert!(why.text.contains("'http://itself' includes itself"), "{why:?}");
}

/// Where a circle was cut would decide the answer: none is given.
#[test]
fn nothing_is_asked_of_a_hierarchy_that_goes_round() {
    let mut shelf = shelf();
    let set = |url: &str, filter: &str| {
        format!(
            r#"{{"resourceType":"ValueSet","url":"{url}","compose":{{"include":[{{"system":"http://round","filter":[{filter}]}}]}}}}"#
        )
    };
    shelf.add(&tree(&set("http://is-a", r#"{"property":"concept","op":"is-a","value":"x"}"#)));
    shelf.add(&tree(&set("http://parent", r#"{"property":"parent","op":"=","value":"x"}"#)));
    shelf.add(&tree(&set("http://code", r#"{"property":"code","op":"regex","value":"x"}"#)));
    let named = |problem: Problem| {
        assert!(problem.text.contains("http://round") && problem.text.contains("'x'"), "{problem:?}");
        problem.place.map(String::from)
    };
    let place = Some("ValueSet.compose.include[0].filter[0]".to_owned());
    for set in ["http://is-a", "http://parent"] {
        assert_eq!(named(member_of(&shelf, set, Some("http://round"), "y").expect_err("a circle")), place);
    }
    // What does not ask for the place of a concept is answered.
    assert_eq!(member_of(&shelf, "http://code", Some("http://round"), "x"), Ok(true));
    assert_eq!(member_of(&shelf, "http://circle", Some("http://round"), "y"), Ok(true));
    for below in [true, false] {
        named(hierarchy(&shelf, "http://round", "y", below).expect_err("a circle"));
    }
    named(code_system(&shelf, "http://round", "").expect("known").sound().expect_err("a circle"));
    let resource = r#"{"resourceType":"CodeSystem","url":"http://r","concept":[{"code":"o","concept":[{"code":"p","property":[{"code":"child","valueCode":"o"}]}]}]}"#;
    let circle = circle(&shelf, &tree(resource)).expect("a circle");
    assert_eq!(circle.place.as_deref(), Some("CodeSystem.concept[0]"));
    let twice = r#"{"resourceType":"CodeSystem","url":"http://r","concept":[{"code":"o"},{"code":"o"}]}"#;
    assert_eq!(super::circle(&shelf, &tree(twice)), None);
}

/// Each includes the next twice: whoever follows every road never ends.
#[test]
fn value_sets_that_include_each_other_again_and_again_end() {
    let mut shelf = Shelf::default();
    for n in 0..40 {
        let next = format!(r#"{{"valueSet":["http://v/{}"]}}"#, n + 1);
        let set = format!(
            r#"{{"resourceType":"ValueSet","url":"http://v/{n}","compose":{{"include":[{next},{next},{{"system":"http://s","concept":[{{"code":"a{n}"}}]}}]}}}}"#
        );
        shelf.add(&tree(&set));
    }
    shelf
        .add(&tree(r#"{"resourceType":"ValueSet","url":"http://v/40","compose":{"include":[{"system":"http://s"}]}}"#));
    shelf
        .add(&tree(r#"{"resourceType":"CodeSystem","url":"http://s","content":"complete","concept":[{"code":"a0"}]}"#));
    assert_eq!(member_of(&shelf, "http://v/0", Some("http://s"), "nothing").expect_err("too much").code, "too-costly");
    assert_eq!(codes(&shelf, "http://v/0").expect_err("too much").code, "too-costly");
    assert_eq!(member_of(&shelf, "http://v/0", None, "nothing").expect_err("too much").code, "too-costly");
    let set = value_set(&shelf, "http://v/0", &Rules::default()).expect("known");
    let coding = Coding { system: "http://s".into(), code: "a0".into(), ..Coding::default() };
    let asked = Asked { codings: vec![coding], place: "Coding", infer: true, allow_abstract: true };
    assert!(validate(&shelf, Some(&set), &asked, &Rules::default()).is_ok_and(|verdict| verdict.result));
}

#[test]
fn a_filter_is_the_beginning_of_words() {
    let mut shelf = Shelf::default();
    shelf.add(&tree(
        r#"{"resourceType":"CodeSystem","url":"http://s","content":"complete","concept":[{"code":"718-7","display":"Acute asthma (disorder)"},{"code":"mm[Hg]","display":"Subacute Änderung"}]}"#,
    ));
    shelf.add(&tree(r#"{"resourceType":"ValueSet","url":"http://v","compose":{"include":[{"system":"http://s"}]}}"#));
    let found = |words: &str| {
        let rules = Rules { filter: Some(words.into()), ..Rules::default() };
        let set = value_set(&shelf, "http://v", &rules).expect("known");
        let items = expand(&shelf, &set, &rules).expect("an expansion").items;
        items.iter().map(|item| item.code.to_string()).collect::<Vec<_>>().join(" ")
    };
    for (words, codes) in [
        ("acut ast", "718-7"),
        ("AST acute", "718-7"),
        ("disord", "718-7"),
        ("718-7", "718-7"),
        ("cute", ""),
        ("subac änd", "mm[Hg]"),
        ("mm[hg", "mm[Hg]"),
        ("hg", "mm[Hg]"),
        ("acute subacute", ""),
        (" ", "718-7 mm[Hg]"),
    ] {
        assert_eq!(found(words), codes, "{words}");
    }
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

/// A value set that takes codes from what it contains, by `#id` and by canonical.
const HOLDING: &str = r##"{"resourceType":"ValueSet","url":"http://holding","contained":[
    {"resourceType":"CodeSystem","id":"s","url":"http://own","content":"complete","concept":[{"code":"x","display":"Ex"},{"code":"y"}]},
    {"resourceType":"ValueSet","id":"v","url":"http://inner","compose":{"include":[{"system":"#s","concept":[{"code":"x"}]},{"valueSet":["#w"]}]}},
    {"resourceType":"ValueSet","id":"w","compose":{"include":[{"system":"http://s","concept":[{"code":"a"}]}]}}],
    "compose":{"include":[{"valueSet":["#v"]},{"system":"#s","concept":[{"code":"y"}]}]}}"##;

#[test]
fn what_a_value_set_contains_is_its_own() {
    let mut shelf = shelf();
    shelf.add(&tree(HOLDING));
    shelf.add(&tree(
        r##"{"resourceType":"ValueSet","url":"http://through","contained":[
            {"resourceType":"ValueSet","id":"w","compose":{"include":[{"valueSet":["http://holding"]}]}}],
            "compose":{"include":[{"valueSet":["#w"]}]}}"##,
    ));
    for set in ["http://holding", "http://through"] {
        let all = codes_of(&shelf, set, 10).expect("whole");
        let all: Vec<(&str, &str)> = all.iter().map(|(system, code)| (&**system, &**code)).collect();
        assert_eq!(all, [("http://own", "x"), ("http://s", "a"), ("http://own", "y")], "{set}");
        for (system, code, is) in
            [("http://own", "x", true), ("http://own", "y", true), ("http://own", "z", false), ("http://s", "b", false)]
        {
            assert_eq!(member_of(&shelf, set, Some(system), code), Ok(is), "{set} {code}");
            assert_eq!(member_of(&shelf, set, None, code), Ok(is), "{set} {code}");
        }
    }
    let set = value_set(&shelf, "http://holding", &Rules::default()).expect("known");
    let coding = |system: &str, display: Option<&str>| Coding {
        system: system.into(),
        code: "x".into(),
        display: display.map(str::to_owned),
        ..Coding::default()
    };
    let ask = |coding: Coding, infer: bool| {
        let asked = Asked { codings: vec![coding], place: "", infer, allow_abstract: true };
        validate(&shelf, Some(&set), &asked, &Rules::default()).expect("an answer")
    };
    let right = ask(coding("http://own", Some("Ex")), false);
    assert!(right.result && right.display.as_deref() == Some("Ex"), "{right:?}");
    assert!(!ask(coding("http://own", Some("Other")), false).result);
    assert_eq!(ask(coding("", None), true).system.as_deref(), Some("http://own"));
    // Nobody else finds it.
    assert!(value_set(&shelf, "http://inner", &Rules::default()).is_err());
    assert!(code_system(&shelf, "http://own", "").is_err());
}

#[test]
fn contained_value_sets_go_round_in_circles_too() {
    let mut shelf = shelf();
    shelf.add(&tree(
        r##"{"resourceType":"ValueSet","url":"http://ring","contained":[
            {"resourceType":"ValueSet","id":"a","compose":{"include":[{"valueSet":["#b"]}]}},
            {"resourceType":"ValueSet","id":"b","compose":{"include":[{"valueSet":["#a"]}]}}],
            "compose":{"include":[{"valueSet":["#a"]}]}}"##,
    ));
    let ring = codes(&shelf, "http://ring").expect_err("a circle");
    assert!(ring.text.contains("'http://ring#a' includes itself"), "{ring:?}");
    assert!(member_of(&shelf, "http://ring", None, "x").is_err());
}
