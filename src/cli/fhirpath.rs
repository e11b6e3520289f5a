//! `vesta fhirpath`: evaluates an expression on a resource in a file. Needs no data directory; knows no other
//! resources, so `resolve()` finds only what is contained.

use super::fault::Fault;
use crate::base::{Clock, SystemClock};
use crate::definitions::Definitions;
use crate::fhirpath::eval::{Alone, Evaluator, Node};
use crate::fhirpath::parse;
use crate::json::{Document, Limits};
use crate::xml;
use std::path::Path;

/// Prints the results, one a line, as type, tab and value.
pub fn run(expression: &str, file: &Path) -> Result<(), Fault> {
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
    let evaluator = Evaluator::new(&definitions, resource, SystemClock.now().0, &Alone);
    let results = evaluator.evaluate(&parsed).map_err(|e| Fault::Evaluation(e.to_string()))?;
    for item in &results {
        println!("{}\t{}", item.type_name(&definitions).1, item.show(&definitions));
    }
    Ok(())
}
