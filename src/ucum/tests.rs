//! Units by example, and the public functional tests of UCUM.

use super::*;

fn decimal(text: &str) -> Decimal {
    Decimal::parse(text).expect(text)
}

#[test]
fn exact_in_base_units() {
    for (value, code, expected, base) in [
        ("7.2", "mg/dL", "72", "g.m-3"),
        ("1", "[in_i]", "0.0254", "m"),
        ("98.6", "[degF]", "310.15", "K"),
        ("37.00", "Cel", "310.15", "K"),
        ("60", "/min", "1", "s-1"),
        ("1", "mmol/L", "602214076000000000000000", "m-3"),
        ("5", "[IU]/mL", "5000000", "m-3.[iU]"),
        ("3", "{tablets}", "3", "1"),
        ("12.123456789012345678901234567890123", "km", "12123.456789012345678901234567890123", "m"),
    ] {
        let (value, unit) = canonical(&decimal(value), code).expect(code);
        assert_eq!((value, unit.base()), (decimal(expected), base), "{code}");
    }
}

#[test]
fn what_can_be_compared() {
    for (a, b) in [("mg", "kg"), ("Cel", "[degF]"), ("L", "cm3"), ("mmol/L", "/L"), ("%", "1"), ("[pH]", "mol/L")] {
        assert!(comparable(a, b), "{a} {b}");
    }
    for (a, b) in [("mg", "mL"), ("[IU]", "1"), ("Hz", "rad/s"), ("mg", "milligram")] {
        assert!(!comparable(a, b), "{a} {b}");
    }
    assert_eq!(convert(&decimal("7"), "[pH]", "mol/L"), Some(decimal("0.0000001")));
    assert_eq!(convert(&decimal("10"), "mg", "mL"), None);
}

#[test]
fn what_is_wrong_is_said() {
    for (code, words) in [
        ("", "empty"),
        ("mg per dL", "white space"),
        ("mgg", "mgg, which is no unit"),
        ("m/", "not written as UCUM wants it"),
        ("Cel/h", "no unit of UCUM"),
        (&"m.".repeat(200), "longer than"),
    ] {
        let fault = fault(code).expect(code);
        assert!(fault.contains(words), "{code}: {fault}");
    }
    assert_eq!(fault("mg/dL"), None);
}

/// Pieces of the attributes of an element.
fn attribute(line: &str, name: &str) -> Option<String> {
    let start = line.find(&format!(" {name}=\""))? + name.len() + 3;
    let text = &line[start..start + line[start..].find('"')?];
    Some(text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
}

#[test]
fn published_functional_tests() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/data/ucum/UcumFunctionalTests.dev.xml");
    let Ok(text) = std::fs::read_to_string(path) else {
        crate::base::skipped(format_args!("{path} is missing"));
        return;
    };
    let (mut section, mut seen, mut wrong) = (String::new(), 0, Vec::new());
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('<').map(|l| l.trim_end_matches('>')).filter(|l| !l.contains(' ')) {
            section = name.to_owned();
        }
        if !line.starts_with("<case") {
            continue;
        }
        seen += 1;
        let of = |name: &str| attribute(line, name).unwrap_or_default();
        // A result is right to the digits that the test writes.
        let equal = |value: Option<Decimal>, written: &str| {
            value.is_some_and(|v| v.rounded_like(&decimal(written)) == decimal(written))
        };
        let right = match section.as_str() {
            "validation" => is_valid(&of("unit")) == (of("valid") == "true"),
            "displayNameGeneration" => display(&of("unit")) == Some(of("display")),
            "conversion" => {
                let value = convert(&decimal(&of("value")), &of("srcUnit"), &of("dstUnit"));
                equal(value, &of("outcome"))
            }
            operation => {
                let divided = operation == "division";
                let (a, b) = (decimal(&of("v1")), decimal(&of("v2")));
                let value = if divided { a.divided_by(&b, 30) } else { a.times(&b) };
                let unit = product(&of("u1"), &of("u2"), divided).unwrap_or_default();
                let result = match of("uRes") {
                    none if none.is_empty() => "1".to_owned(),
                    unit => unit,
                };
                equal(value.and_then(|v| convert(&v, &unit, &result)), &of("vRes"))
            }
        };
        if !right {
            wrong.push(line.to_owned());
        }
    }
    println!("UCUM functional tests: {} of {seen}", seen - wrong.len());
    // Left over: none is expected.
    assert!(seen >= 390 && wrong.is_empty(), "{seen} {wrong:#?}");
}
