//! Searches as data: `*.cases` hold a search, and indented below it what it is planned to be or why it is refused.
//! `VESTA_BLESS=1` writes what is found into the files; look at the difference before it is committed.

mod chaos;
mod features;
mod links;
mod meaning;
mod render;
mod world;

use super::plan::{criteria_with, plan_with};
use super::{Handling, Options, Scope, pairs};
use crate::base::{Failure, ResourceId, Timestamp};
use crate::definitions::{Definitions, TypeId};

fn options(handling: Handling) -> Options {
    Options {
        handling,
        bases: vec!["http://here.example/fhir".to_owned()],
        now: Timestamp(1_795_000_000_000_000),
        ..Options::default()
    }
}

fn kind(definitions: &Definitions, name: &str) -> TypeId {
    definitions.resource(name).unwrap_or_else(|| panic!("no type {name}"))
}

/// `Patient`, nothing, `Patient/1/Observation` or `Patient/1/*`.
fn scope(definitions: &Definitions, path: &str) -> Scope {
    let parts: Vec<_> = path.split('/').collect();
    match parts.as_slice() {
        [""] => Scope::System,
        [name] => Scope::Type(kind(definitions, name)),
        [compartment, id, searched] => Scope::Compartment {
            compartment: kind(definitions, compartment),
            id: ResourceId::new(id).expect("legal id"),
            kind: (*searched != "*").then(|| kind(definitions, searched)),
        },
        _ => panic!("{path}"),
    }
}

/// What a case is planned to be: `[strict |criteria ]path?query`.
fn outcome(definitions: &Definitions, case: &str) -> Vec<String> {
    let (mode, search) = match case.split_once(' ') {
        Some((mode @ ("strict" | "criteria"), search)) => (mode, search),
        _ => ("", case),
    };
    let (path, query) = search.split_once('?').unwrap_or((search, ""));
    let result = if mode == "criteria" {
        criteria_with(definitions, kind(definitions, path), query, &options(Handling::Lenient), render::leaf)
            .map(|condition| vec![render::condition(definitions, &condition)])
    } else {
        let handling = if mode == "strict" { Handling::Strict } else { Handling::Lenient };
        pairs(query)
            .and_then(|pairs| {
                plan_with(definitions, &scope(definitions, path), &pairs, &options(handling), render::leaf)
            })
            .map(|plan| render::plan(definitions, &plan, query))
    };
    result.unwrap_or_else(|failure| refused(&failure))
}

fn refused(failure: &Failure) -> Vec<String> {
    let kind = format!("{:?}", failure.kind).to_lowercase();
    failure.issues.iter().map(|i| format!("{kind} ({}): {}", i.code.code(), i.diagnostics)).collect()
}

fn check(file: &str) {
    let path = format!("{}/src/search/tests/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let definitions = Definitions::core();
    let (mut found, mut wrong, mut cases) = (String::new(), Vec::new(), 0);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        found.push_str(line);
        found.push('\n');
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let mut expected = Vec::new();
        while let Some(more) = lines.next_if(|l| l.starts_with("    ")) {
            expected.push(more.trim().to_owned());
        }
        let outcome = outcome(&definitions, line);
        for row in &outcome {
            found.push_str(&format!("    {row}\n"));
        }
        cases += 1;
        if outcome != expected {
            wrong.push(format!("{line}\n  expected {expected:#?}\n  found    {outcome:#?}"));
        }
    }
    if std::env::var_os("VESTA_BLESS").is_some() {
        std::fs::write(path, found).expect("written");
        return;
    }
    assert!(cases > 10, "{file} has cases");
    assert!(wrong.is_empty(), "{} of {cases} cases of {file}:\n{}", wrong.len(), wrong.join("\n"));
}

macro_rules! cases {
    ($($name:ident),*) => {$(
        #[test]
        fn $name() {
            check(concat!(stringify!($name), ".cases"));
        }
    )*};
}

cases!(values, modifiers, references, chains, controls, includes, errors, compartments, conditional);
