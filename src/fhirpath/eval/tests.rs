//! The official suite of expressions (values, not the types of them), where its data is there, and our own bounds.

use super::*;
use crate::fhirpath::parse;
use crate::json::{Document, Limits};
use std::path::Path;

/// Expressions of the suite that do not agree, each with the reason.
const FAILING: [(&str, &str); 5] = [
    ("LowBoundaryDecimal15", "the suite rounds -0.00345 up to -0.0, which is no lower bound"),
    ("HighBoundaryDecimal15", "the suite rounds 0.00345 down to 0.0, which is no upper bound"),
    ("HighBoundaryDecimal16", "as before: the minus applies to the result"),
    ("HighBoundaryDateTimeMillisecond1", "the suite takes the missing minute as 00; an hour ends at minute 59"),
    ("HighBoundaryDateTimeMillisecond3", "as before"),
];

fn judge(
    definitions: &Definitions,
    text: &str,
    case: &serde_json::Value,
    strict: bool,
    types: bool,
) -> std::result::Result<(), String> {
    let document = Document::parse(text.as_bytes(), &Limits::default()).map_err(|e| e.to_string())?;
    let node = Node::resource(document.root(), definitions).ok_or("no resource")?;
    let of = |name: &str| case[name].as_str().unwrap_or_default();
    let evaluator = Evaluator::new(definitions, node, 1_700_000_000_000_000, &Alone);
    let evaluator = if strict { evaluator.strict() } else { evaluator };
    let result = parse(of("expression")).map_err(|e| e.to_string());
    let result = result.and_then(|e| evaluator.evaluate(&e).map_err(|e| e.to_string()));
    if !of("invalid").is_empty() {
        return result.map_or(Ok(()), |found| Err(format!("no error but {found:?}")));
    }
    let found = result?;
    let outputs: Vec<_> = case["outputs"].as_array().into_iter().flatten().collect();
    if of("predicate") == "true" {
        return if !found.is_empty() { Ok(()) } else { Err("empty".to_owned()) };
    }
    let plain = |item: &Item<'_>| match item.system(definitions) {
        Item::String(text) => text.to_string(),
        other => other.show(definitions),
    };
    let shown: Vec<String> = found.iter().map(plain).collect();
    let agree = shown.len() == outputs.len()
        && shown.iter().zip(&outputs).all(|(shown, output)| match output["value"].as_str() {
            Some(value) => {
                let value =
                    if shown.starts_with('@') { value } else { value.trim_start_matches('@').trim_start_matches('T') };
                shown == value
            }
            None => true,
        });
    if !agree {
        return Err(format!("{shown:?}"));
    }
    // The suite names types without saying whether FHIR's or the language's own are meant.
    let names: Vec<&str> = found.iter().map(|item| item.type_name(definitions).1).collect();
    let same = |(name, output): (&&str, &&serde_json::Value)| {
        output["type"].as_str().is_none_or(|wanted| name.eq_ignore_ascii_case(wanted))
    };
    match !types || names.iter().zip(&outputs).all(same) {
        true => Ok(()),
        false => Err(format!("the types {names:?}")),
    }
}

#[test]
fn official_suite() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/fhirpath");
    let Ok(suite) = std::fs::read_to_string(folder.join("tests-fhir-r4.dev.json")) else {
        crate::base::skipped(format_args!("{} is not there", folder.display()));
        return;
    };
    let definitions = Definitions::core();
    let cases: Vec<serde_json::Value> = serde_json::from_str(&suite).expect("JSON");
    let (mut failing, mut unexpected) = (0, Vec::new());
    for case in &cases {
        let input = case["input"].as_str().unwrap_or_default();
        let text = match input {
            "" => r#"{"resourceType":"Patient"}"#.to_owned(),
            input => std::fs::read_to_string(folder.join("input").join(input)).expect("an input"),
        };
        if let Err(why) = judge(&definitions, &text, case, case["invalid"] == "semantic", false) {
            failing += 1;
            let listed = FAILING.iter().any(|(name, _)| case["name"] == *name);
            if !listed {
                unexpected.push(case["name"].to_string());
            }
            println!("{} {:?} wanted {}: {why}", case["name"], case["expression"].as_str(), case["outputs"]);
        }
    }
    println!("{} of {} expressions agree", cases.len() - failing, cases.len());
    let mut typed = 0;
    for case in &cases {
        let input = case["input"].as_str().unwrap_or_default();
        let text = match input {
            "" => r#"{"resourceType":"Patient"}"#.to_owned(),
            input => std::fs::read_to_string(folder.join("input").join(input)).expect("an input"),
        };
        match judge(&definitions, &text, case, case["invalid"] == "semantic", true) {
            Ok(()) => typed += 1,
            Err(why) => println!(
                "with types: {} {:?} wanted {}: {why}",
                case["name"],
                case["expression"].as_str(),
                case["outputs"]
            ),
        }
    }
    println!("{typed} of {} expressions agree, types too", cases.len());
    assert!(typed * 100 >= cases.len() * 98, "{typed} of {} expressions agree, types too", cases.len());
    assert!(unexpected.is_empty(), "{unexpected:?}");
}

#[test]
fn nothing_runs_away() {
    let definitions = Definitions::core();
    let document = Document::parse(br#"{"resourceType":"Patient"}"#, &Limits::default()).expect("JSON");
    let node = Node::resource(document.root(), &definitions).expect("a resource");
    let evaluator = Evaluator::new(&definitions, node, 0, &Alone);
    for text in ["(1).repeat($this + 1)", "'a'.repeat($this & $this)", &vec!["1"; 20_000].join("+")] {
        let expression = parse(text).expect("legal");
        assert!(evaluator.evaluate(&expression).is_err(), "{}", text.get(..20).unwrap_or(text));
    }
}

/// What an expression gives on a resource, as lines, and the steps that it took; or why it failed.
fn evaluated(resource: &str, expression: &str) -> std::result::Result<(Vec<String>, u64), String> {
    let definitions = Definitions::core();
    let document = Document::parse(resource.as_bytes(), &Limits::default()).expect("JSON");
    let node = Node::resource(document.root(), &definitions).expect("a resource");
    let evaluator = Evaluator::new(&definitions, node, 0, &Alone);
    let mut steps = STEPS;
    let found = evaluator.evaluate_within(&parse(expression).expect("legal"), vec![Item::Node(node)], &mut steps);
    let found = found.map_err(|e| e.to_string())?;
    Ok((found.iter().map(|item| item.show(&definitions)).collect(), STEPS - steps))
}

#[track_caller]
fn gives(expression: &str, expected: &[&str]) {
    let resource = r#"{"resourceType":"Patient","name":[{"given":["a\nb","c\\d"]}],"contact":[{ "gender" : "male" }]}"#;
    assert_eq!(evaluated(resource, expression).expect(expression).0, expected, "{expression}");
}

/// Large collections are looked up in a time that grows with them, and where that cannot be, the work is counted.
#[test]
fn sets_of_very_many_values() {
    let list = |item: &dyn Fn(usize) -> String| (0..3_000).map(item).collect::<Vec<_>>().join(",");
    let texts = list(&|i| format!(r#""n{i}""#));
    let codings = list(&|i| format!(r#"{{"system":"http://x","code":"c{}"}}"#, i % 1_500));
    let moment = |i: usize| format!("2020-01-01T{:02}:{:02}:{:02}Z", i / 3600, i / 60 % 60, i % 60);
    let names = list(&|i| format!(r#"{{"period":{{"start":"{}","end":"{}"}}}}"#, moment(i), moment(2_999 - i)));
    let resource = format!(
        r#"{{"resourceType":"Patient","name":[{{"given":[{texts}]}},{names}],"maritalStatus":{{"coding":[{codings}]}}}}"#
    );
    let count = |expression: &str| {
        let (found, steps) = evaluated(&resource, expression).expect(expression);
        // Comparing all with all would be millions.
        assert!(steps < 100_000, "{expression} takes {steps} steps");
        found[0].parse::<usize>().unwrap_or_else(|_| usize::from(found[0] == "true"))
    };
    let (given, coding) = ("name.given", "maritalStatus.coding");
    assert_eq!(count(&format!("({given} | {{}}).count()")), 3_000);
    assert_eq!(count(&format!("{given}.union({given}).count()")), 3_000);
    assert_eq!(count(&format!("{coding}.distinct().count()")), 1_500);
    assert_eq!(count(&format!("({coding} | {given}).count()")), 4_500);
    assert_eq!(count(&format!("{coding}.isDistinct()")), 0);
    assert_eq!(count(&format!("{given}.intersect({given}).count()")), 3_000);
    assert_eq!(count(&format!("{given}.exclude({given}).count()")), 0);
    assert_eq!(count(&format!("{coding}.subsetOf({coding})")), 1);
    assert_eq!(count(&format!("{given}.supersetOf({coding})")), 0);
    assert_eq!(count(&format!("{given} ~ {given}")), 1);
    assert_eq!(count(&format!("{coding}.repeat($this).count()")), 1_500);
    assert_eq!(count("name.period.start.combine(name.period.start).count()"), 6_000);
    // Moments equal each other in more ways than one: compared one by one, which counts.
    for expression in [
        "name.period.start | {}",
        "name.period.start.distinct()",
        "name.period.start ~ name.period.end",
        "name ~ name.tail()",
    ] {
        let expression = format!("({expression}).count()");
        match evaluated(&resource, &expression) {
            Err(why) => assert!(why.contains("too many steps"), "{expression}: {why}"),
            // Of different numbers it is known at once.
            Ok(_) => assert!(expression.contains("tail"), "{expression}"),
        }
    }
}

#[test]
fn sets_are_by_equality() {
    gives("(1 | 1.0 | 1.00 | '1' | true).count()", &["3"]);
    gives("(1 | 1 '1' | 100 'cm' | 1 'm' | 1000 'mm').count()", &["2"]);
    gives("(1 'm' | 100 'cm' | 1 | 1 '1').count()", &["2"]);
    gives("(@2020 | @2020 | @2020-01 | @2020-01-01T00:00:00Z | @2020-01-01T01:00:00+01:00).count()", &["3"]);
    gives("(contact | contact).count()", &["1"]);
    gives("contact.subsetOf(contact | name)", &["true"]);
    gives("(1 | 2 | 3).intersect(3.0 | 1)", &["1", "3"]);
    gives("(1 | 2 | 3).exclude(2.0)", &["1", "3"]);
    gives("('A b' | 'c') ~ ('C' | 'a   B')", &["true"]);
    gives("(1 | 'x') ~ ('X' | 1.0)", &["true"]);
}

#[test]
fn each_result_is_a_line() {
    gives("name.given", &[r"a\nb", r"c\\d"]);
    gives("contact", &[r#"{"gender":"male"}"#]);
}

#[test]
fn quantities_of_a_unit() {
    gives("'1 \\'m\\''.toQuantity('cm')", &["100 'cm'"]);
    gives("1 'm'.toQuantity('kg')", &[]);
    gives("1 'm'.convertsToQuantity('kg')", &["false"]);
    gives("24 'h'.convertsToQuantity('d')", &["true"]);
    gives("2 years.toQuantity('months')", &["24 months"]);
    gives("2 weeks.toQuantity('days')", &["14 days"]);
    gives("1 year.toQuantity('d')", &[]);
    gives("5.toQuantity('1')", &["5 '1'"]);
    gives("5.toQuantity({})", &[]);
    assert!(evaluated(r#"{"resourceType":"Patient"}"#, "'1'.toInteger('x')").is_err());
}

/// Keeps what it is told.
struct Listening(std::cell::RefCell<Vec<String>>);

impl World<'_> for Listening {
    fn trace(&self, name: &str, values: &[Item<'_>]) {
        let definitions = Definitions::core();
        let shown: Vec<String> = values.iter().map(|v| v.show(&definitions)).collect();
        self.0.borrow_mut().push(format!("{name}: {}", shown.join(" ")));
    }
}

#[test]
fn trace_shows_what_its_projection_gives() {
    let definitions = Definitions::core();
    let text = br#"{"resourceType":"Patient","name":[{"given":["a","b"]},{"given":["c"]}]}"#;
    let document = Document::parse(text, &Limits::default()).expect("JSON");
    let node = Node::resource(document.root(), &definitions).expect("a resource");
    let world = Listening(Vec::new().into());
    let evaluator = Evaluator::new(&definitions, node, 0, &world);
    let expression = parse("name.trace('n', given).trace('m', given.count()).given.trace('g')").expect("legal");
    assert_eq!(evaluator.evaluate(&expression).expect("values").len(), 3);
    assert_eq!(*world.0.borrow(), ["n: a b c", "m: 2 1", "g: a b c"]);
}
