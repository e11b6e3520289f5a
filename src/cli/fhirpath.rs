//! `vesta fhirpath`: evaluates an expression on a resource in a file. Needs no data directory. Knows what references
//! within the file point to, and the profiles and value sets of the specification and of packages.

use super::fault::Fault;
use super::validate::registry;
use crate::base::{Clock, SystemClock};
use crate::definitions::Definitions;
use crate::fhirpath::eval::{Evaluator, Item, Node, STEPS};
use crate::fhirpath::parse;
use crate::json::{Document, Limits};
use crate::validation::Validator;
use crate::xml;
use std::path::{Path, PathBuf};

/// Prints the results, one a line, as type, tab and value; and to standard error what `trace` shows.
pub fn run(expression: &str, file: &Path, packages: &[PathBuf]) -> Result<(), Fault> {
    let parsed = parse(expression).map_err(|e| Fault::Expression(e.to_string()))?;
    let definitions = Definitions::core();
    let bytes = std::fs::read(file).map_err(|why| Fault::file(file, why))?;
    let unreadable = |why: String| Fault::Resource(format!("{}: {why}", file.display()));
    let bytes = match bytes.iter().find(|b| !b.is_ascii_whitespace()) {
        Some(b'<') => xml::to_json(&bytes, &*definitions, &Limits::default())
            .map_err(|failure| unreadable(failure.to_string()))?
            .into_bytes(),
        _ => bytes,
    };
    let document = Document::parse(&bytes, &Limits::default()).map_err(|e| unreadable(e.to_string()))?;
    let resource = Node::resource(document.root(), &definitions)
        .ok_or_else(|| unreadable("this is not a resource of FHIR R4".to_owned()))?;
    let validator = Validator::new(definitions.clone()).over(registry(packages)?);
    let line = |item: &Item<'_>| format!("{}\t{}", item.type_name(&definitions).1, item.show(&definitions));
    let told = |name: &str, values: &[Item<'_>]| {
        let name = Item::text(name).show(&definitions);
        values.iter().for_each(|item| eprintln!("trace {name}: {}", line(item)));
        if values.is_empty() {
            eprintln!("trace {name}: nothing");
        }
    };
    let results = validator.in_world_of(document.root(), &told, |world| {
        let evaluator = Evaluator::new(&definitions, resource, SystemClock.now().0, world);
        evaluator.evaluate_within(&parsed, vec![Item::Node(resource)], &mut { STEPS })
    });
    for item in &results.map_err(|e| Fault::Evaluation(e.to_string()))? {
        println!("{}", line(item));
    }
    Ok(())
}
