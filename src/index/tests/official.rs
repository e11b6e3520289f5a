//! All official search parameters, and real resources.

use crate::definitions::{Definitions, SearchKind};
use crate::index::Extractor;

/// What cannot be extracted: an example whose base is Patient and whose expression is about DocumentReference.
const NOT_COMPILED: &[(&str, &str)] = &[("Patient", "part-agree")];

#[test]
fn every_expression_compiles() {
    let definitions = Definitions::core();
    let extractor = Extractor::new(definitions.clone(), Vec::new());
    let mut problems = Vec::new();
    let mut compiled = 0;
    for kind in &definitions.resources {
        for (number, error) in extractor.problems(*kind) {
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
