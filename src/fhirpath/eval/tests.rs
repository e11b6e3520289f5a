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
    let shown: Vec<String> = found.iter().map(|item| item.show(definitions)).collect();
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
