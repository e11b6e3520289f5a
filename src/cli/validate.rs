//! `vesta validate`: says what is wrong with the resources in some files. Needs no data directory.

use super::fault::Fault;
use super::source::{self, Pass, Piece};
use crate::definitions::Definitions;
use crate::json::{Document, Limits};
use crate::validation::Validator;
use std::path::PathBuf;

/// Validates the files and prints the issues, one a line.
pub fn run(paths: &[PathBuf]) -> Result<(), Fault> {
    let definitions = Definitions::core();
    let validator = Validator::new(definitions.clone());
    let (mut good, mut bad) = (0u64, 0u64);
    for file in source::files(paths)? {
        for pass in [Pass::First, Pass::Second] {
            source::read(&file, pass, &definitions, &mut |piece| match judge(&validator, piece) {
                true => good += 1,
                false => bad += 1,
            })?;
        }
    }
    println!("{good} valid, {bad} not");
    if bad == 0 { Ok(()) } else { Err(Fault::Found(bad)) }
}

/// Prints what is wrong with a piece; whether it is valid.
fn judge(validator: &Validator, piece: Piece) -> bool {
    let origin = piece.origin;
    let text = match piece.text {
        Ok(text) => text,
        Err(why) => {
            println!("{origin}: {why}");
            return false;
        }
    };
    let document = match Document::parse(&text, &Limits::default()) {
        Ok(document) => document,
        Err(why) => {
            println!("{origin}: {why}");
            return false;
        }
    };
    let issues = validator.validate(None, document.root());
    for issue in &issues {
        let place = issue.expression.as_deref().unwrap_or("(whole)");
        println!("{origin}: {} {}: {place}: {}", issue.severity.code(), issue.code.code(), issue.diagnostics);
    }
    !issues.iter().any(|issue| issue.is_error())
}
