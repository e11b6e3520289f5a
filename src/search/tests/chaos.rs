//! Any input gives a plan or a refusal: no panic, no long work. A bounded, repeatable stream of broken queries.

use super::super::{Handling, Scope, criteria, pairs, plan};
use super::{kind, options};
use crate::definitions::Definitions;

/// A small generator of numbers (xorshift), so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }
}

const PIECES: &[&str] = &[
    "name",
    "subject",
    "patient",
    "code",
    "date",
    "value-quantity",
    "code-value-quantity",
    "_id",
    "_lastUpdated",
    "_has:",
    "_has:Observation:patient:",
    "_include",
    "_revinclude",
    "_sort",
    "_count",
    "_elements",
    "_summary",
    "_page",
    "_type",
    ":",
    ".",
    ",",
    "$",
    "|",
    "\\",
    "=",
    "&",
    "%",
    "%2C",
    "%FF",
    "%00",
    "+",
    "-",
    "*",
    "ge",
    "ap",
    "eq",
    "2020",
    "2020-02-30",
    "-1",
    "1e400",
    "99999999999999999999",
    "Patient",
    "Observation",
    "Observation:subject",
    ":iterate",
    ":missing",
    ":exact",
    ":not",
    ":Patient",
    ":identifier",
    "true",
    "Patient/1",
    "http://here.example/fhir/Patient/1",
    "urn:uuid:",
    "é",
    "\u{1F600}",
    "\u{301}",
    " ",
    "/",
    "#",
    "?",
    "near",
    "_text",
    "url",
    "identifier",
];

#[test]
fn no_input_panics() {
    let definitions = Definitions::core();
    let scopes = [
        Scope::System,
        Scope::Type(kind(&definitions, "Observation")),
        Scope::Type(kind(&definitions, "Patient")),
        super::scope(&definitions, "Patient/1/Observation"),
        super::scope(&definitions, "Patient/1/*"),
    ];
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15);
    let mut planned = 0;
    for round in 0..20_000 {
        let length = 1 + chance.below(14);
        let query: String = (0..length).map(|_| chance.pick(PIECES)).collect();
        let handling = if round % 2 == 0 { Handling::Strict } else { Handling::Lenient };
        let Ok(parameters) = pairs(&query) else { continue };
        // The system scope is slow here for its 146 types, not for its input.
        let scope = &scopes[if round % 50 == 0 { 0 } else { 1 + chance.below(scopes.len() - 1) }];
        match plan(&definitions, scope, &parameters, &options(handling)) {
            Ok(plan) => {
                planned += 1;
                let again = plan.links(&super::super::Reached {
                    position: 1,
                    rows: 0,
                    last: None,
                    more: false,
                    total: Some(1),
                });
                // What a self link says is planned the same way.
                let parameters = pairs(&again.this).expect("a link is legal");
                let same = super::super::plan(&definitions, scope, &parameters, &options(Handling::Strict));
                let same = same.unwrap_or_else(|e| panic!("{query}\n{}\n{e}", again.this));
                assert_eq!(same.condition, plan.condition, "{query}");
                assert_eq!(same.sort, plan.sort, "{query}");
            }
            Err(failure) => assert!(!failure.issues.is_empty(), "{query}"),
        }
        let _ = criteria(&definitions, kind(&definitions, "Observation"), &query, &options(handling));
    }
    assert!(planned > 500, "{planned} plans");
}

#[test]
fn large_inputs_are_refused_quickly() {
    let definitions = Definitions::core();
    let observation = Scope::Type(kind(&definitions, "Observation"));
    let begin = std::time::Instant::now();
    let ids: Vec<String> = (0..10_000).map(|i| format!("p{i}")).collect();
    let deep = |step: &str, times: usize| format!("{}=x", vec![step; times].join("."));
    let has = |times: usize| format!("{}code=x", "_has:Observation:has-member:".repeat(times));
    for (query, fits) in [
        (format!("subject={}", ids.join(",")), true),
        (format!("subject={},x", ids.join(",")), false),
        (deep("has-member:Observation", 50), true),
        (deep("has-member:Observation", 60), false),
        // Nothing that Observation.subject refers to has a subject: unknown, left out.
        (deep("subject", 40), true),
        // Several types have a focus that can be anything: more branches with every step.
        (deep("focus", 40), false),
        (deep("based-on", 2), true),
        (deep("based-on", 30), false),
        (format!("focus.{}", deep("depends-on", 3)), true),
        (format!("focus.{}", deep("depends-on", 30)), false),
        (has(40), true),
        (has(60), false),
        (format!("{}code=x", "has-member:Observation.".repeat(100_000)), false),
        (format!("code={}", "\\".repeat(1_000_000)), true),
        (format!("code={}", ",".repeat(1_000_000)), true),
        (format!("code={}", "|".repeat(1_000_000)), false),
        (format!("{}=1", "x".repeat(1_000_000)), true),
        (format!("date={}", "9".repeat(1_000_000)), false),
        (format!("value-quantity={}", "9".repeat(1_000_000)), false),
        (format!("_sort={}", "date,".repeat(100_000)), false),
        (format!("_elements={}", "status,".repeat(100_000)), true),
        (format!("_elements={}", "nope,".repeat(100_000)), true),
        (format!("_include={}", ":".repeat(100_000)), true),
    ] {
        let result = pairs(&query).and_then(|p| plan(&definitions, &observation, &p, &options(Handling::Lenient)));
        let shown: String = query.chars().take(60).collect();
        assert_eq!(result.is_ok(), fits, "{shown}… {:?}", result.err().map(|e| e.issues.len()));
        if let Err(failure) = result {
            assert!(failure.to_string().len() < 20_000, "{shown}");
        }
    }
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}
