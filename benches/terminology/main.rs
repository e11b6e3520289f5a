//! How long terminology takes on one core, in a made-up code system of 100,000 codes with a hierarchy of ten below each:
//! `cargo bench --bench terminology`. Answers are checked while measuring. Each figure that has a bound is printed with it;
//! a bound that is exceeded is only said, as timing never decides a test.

use std::time::Instant;
use vesta::json::Tree;
use vesta::terminology::{Asked, Coding, Library, Rules, Shelf, ValueSet, expand, validate, value_set};

const CODES: usize = 100_000;
/// How long an expansion of all codes may take.
const EXPANSION_BOUND: f64 = 200.0 * 1e3;
/// How long the validation of one code may take.
const VALIDATION_BOUND: f64 = 100.0;

fn shelf() -> Shelf {
    let concept = |i: usize| {
        let parent = if i == 0 {
            String::new()
        } else {
            format!(r#","property":[{{"code":"parent","valueCode":"c{}"}}]"#, (i - 1) / 10)
        };
        format!(r#"{{"code":"c{i}","display":"Finding number {i}"{parent}}}"#)
    };
    let concepts: Vec<String> = (0..CODES).map(concept).collect();
    let system = format!(
        r#"{{"resourceType":"CodeSystem","url":"http://big","version":"1","status":"active","content":"complete",
        "property":[{{"code":"parent","uri":"http://hl7.org/fhir/concept-properties#parent","type":"code"}}],"concept":[{}]}}"#,
        concepts.join(",")
    );
    let set = |url: &str, code: &str| {
        format!(
            r#"{{"resourceType":"ValueSet","url":"{url}","status":"active","compose":{{"include":[{{"system":"http://big",
            "filter":[{{"property":"concept","op":"is-a","value":"{code}"}}]}}]}}}}"#
        )
    };
    let mut shelf = Shelf::default();
    for json in [system, set("http://all", "c0"), set("http://some", "c3")] {
        shelf.add(&Tree::parse(json.as_bytes()).expect("JSON"));
    }
    shelf
}

/// The least time of a few rounds, in microseconds.
fn best(rounds: u32, mut work: impl FnMut()) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        (0..rounds).for_each(|_| work());
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
    }
    best
}

/// A figure beside its bound, both in microseconds.
fn print(what: &str, took: f64, bound: f64, rest: &str) {
    let (unit, by) = if bound >= 1e3 { ("ms", 1e3) } else { ("µs", 1.0) };
    let verdict = if took <= bound { "kept" } else { "EXCEEDED" };
    let share = took / bound * 100.0;
    println!("{what}: {:.1} {unit}{rest} (bound {:.0} {unit}: {verdict}, {share:.0} % of it)", took / by, bound / by);
}

fn expanded(library: &dyn Library, set: &ValueSet, rules: &Rules) -> usize {
    let expansion = expand(library, set, rules).expect("an expansion");
    let json = expansion.resource(library, set, rules, false, "urn:uuid:0", "2026-01-01T00:00:00Z").to_json();
    assert!(json.len() > 100);
    expansion.items.len()
}

fn main() {
    let start = Instant::now();
    let shelf = shelf();
    println!("{CODES} codes, made from a resource: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    let whole = Rules { limit: 200_000, ..Rules::default() };
    let page = Rules { limit: 200_000, count: Some(50), ..Rules::default() };
    let words = Rules { filter: Some("number 9999".into()), ..whole.clone() };
    let all = value_set(&shelf, "http://all", &whole).expect("a value set");
    let flat = Rules { flat: true, ..whole.clone() };
    for (what, rules) in [
        ("expand, all codes, as a tree", &whole),
        ("expand, all codes, flat", &flat),
        ("expand, a page of 50", &page),
        ("expand, by words", &words),
    ] {
        let mut items = 0;
        let took = best(1, || items = expanded(&shelf, &all, rules));
        print(what, took, EXPANSION_BOUND, &format!(", {items} items"));
    }
    let some = value_set(&shelf, "http://some", &whole).expect("a value set");
    for (code, is) in [("c34567", true), ("c99999", false), ("nothing", false)] {
        let coding = Coding { system: "http://big".into(), code: code.into(), ..Coding::default() };
        let asked = Asked { codings: vec![coding], place: "Coding", infer: false, allow_abstract: true };
        let took = best(1_000, || {
            let verdict = validate(&shelf, Some(&some), &asked, &whole).expect("a verdict");
            assert_eq!(verdict.result, is, "{code}");
        });
        print(&format!("validate-code, {code}"), took, VALIDATION_BOUND, "");
    }
}
