//! All official search parameters, and real resources.

use crate::definitions::{Definitions, SearchKind};
use crate::fhirpath::Start;
use crate::index::Extractor;
use crate::index::extract::branches;
use crate::index::values::Encoder;
use crate::json::{Document, Limits};
use std::io::Read;
use std::path::Path;

/// What cannot be extracted: an example whose base is Patient and whose expression is about DocumentReference.
const NOT_COMPILED: &[(&str, &str)] = &[("Patient", "part-agree")];

#[test]
fn every_expression_compiles() {
    let definitions = Definitions::core();
    let extractor = Extractor::new(definitions.clone(), Vec::new());
    let mut problems = Vec::new();
    let mut compiled = 0;
    for kind in &definitions.resources {
        for (number, error) in &extractor.problems(*kind) {
            let parameter = &definitions.search_parameters[usize::from(*number)];
            problems.push((definitions.name(*kind), &*parameter.code, format!("{error}")));
        }
        compiled += definitions.search_parameters_of(*kind).len() - extractor.problems(*kind).len();
    }
    let unknown: Vec<_> = problems.iter().filter(|(kind, code, _)| !NOT_COMPILED.contains(&(kind, code))).collect();
    assert!(unknown.is_empty(), "{unknown:#?}");
    let with =
        definitions.search_parameters.iter().filter(|p| !p.expression.is_empty() && p.kind != SearchKind::Special);
    println!("{compiled} parameters on {} types; {} expressions", definitions.resources.len(), with.count());
}

/// Values that an expression leads to and that its type of parameter has no form for; only `:missing` sees them.
const NOT_SEARCHABLE: &[&str] = &[
    "CarePlan activity-date string",
    "Consent source-reference Attachment",
    "Immunization date string",
    "Observation combo-value-quantity SampledData",
    "Observation component-value-quantity SampledData",
    "Observation value-quantity SampledData",
    "Procedure date Age",
    "Procedure date Range",
    "Procedure date string",
];

#[test]
fn every_type_of_value_has_an_encoding() {
    let definitions = Definitions::core();
    let mut not_searchable = std::collections::BTreeSet::new();
    for kind in &definitions.resources {
        for parameter in definitions.search_parameters_of(*kind) {
            let skipped = matches!(parameter.kind, SearchKind::Special | SearchKind::Composite);
            // An extension may hold any type; the definition of the extension says which.
            if skipped || parameter.expression.is_empty() || parameter.expression.contains(".extension(") {
                continue;
            }
            let start = Start { resource: *kind, context: None };
            for branch in branches(&definitions, start, &parameter.expression).expect("compiles") {
                if Encoder::for_branch(&definitions, parameter.kind, &branch) == Encoder::Nothing {
                    let name = definitions.name(*kind);
                    not_searchable.insert(format!("{name} {} {}", parameter.code, branch.type_name));
                }
            }
        }
    }
    let not_searchable: Vec<_> = not_searchable.iter().map(String::as_str).collect();
    assert_eq!(not_searchable, NOT_SEARCHABLE);
}

#[test]
fn official_examples_are_extracted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/r4-examples/r4-examples-dev.tar.zst");
    let Ok(file) = std::fs::File::open(&path) else {
        crate::base::skipped(format_args!("{} is missing", path.display()));
        return;
    };
    let definitions = Definitions::core();
    let extractor = Extractor::new(definitions.clone(), Vec::new());
    let (mut count, mut terms) = (0, 0);
    let mut reader = zstd::Decoder::new(file).expect("zstd");
    reader.window_log_max(27).expect("zstd");
    for entry in tar::Archive::new(reader).entries().expect("tar") {
        let mut entry = entry.expect("tar");
        if entry.path().expect("path").extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let mut text = Vec::new();
        entry.read_to_end(&mut text).expect("tar");
        let document = Document::parse(&text, &Limits::default()).expect("JSON");
        let kind = document.root().get("resourceType").and_then(|name| name.as_str());
        let kind = kind.and_then(|name| definitions.resource(&name)).expect("resource type");
        count += 1;
        terms += extractor.extract(kind, document.root()).as_slice().len();
    }
    println!("{terms} terms of {count} examples");
    assert!(count >= 566 && terms > count * 10);
}
