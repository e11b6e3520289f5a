//! `vesta validate`: says what is wrong with the resources in some files. Needs no data directory.

use super::fault::Fault;
use super::source::{self, Pass, Piece, Written};
use crate::base::{Issue, Severity};
use crate::definitions::{Definitions, Package, Registry};
use crate::json::{Document, Limits};
use crate::validation::{Asked, Validator};
use crate::xml;
use std::path::PathBuf;
use std::sync::Arc;

/// Validates the files and prints the issues, one a line: `file:line:column: severity code: place: what`.
pub fn run(paths: &[PathBuf], profiles: &[String], packages: &[PathBuf]) -> Result<(), Fault> {
    let definitions = Definitions::core();
    let validator = Validator::new(definitions.clone()).over(registry(packages)?);
    let (unknown_extensions, other_than_measure) = (Some(Severity::Information), Severity::Error);
    let named = profiles.to_vec();
    let asked = Asked { profiles: named, columns: true, unknown_extensions, other_than_measure, ..Asked::full() };
    if let Some(profile) = profiles.iter().find(|p| !validator.knows(p)) {
        return Err(Fault::Resource(format!("the profile {profile} is not known; name its package with --package")));
    }
    let (mut good, mut bad) = (0u64, 0u64);
    for file in source::files(paths)? {
        for pass in [Pass::First, Pass::Second] {
            source::read(
                &file,
                pass,
                &definitions,
                &mut |piece| match judge(&validator, &definitions, &asked, piece) {
                    true => good += 1,
                    false => bad += 1,
                },
            )?;
        }
    }
    println!("{good} valid, {bad} not");
    if bad == 0 { Ok(()) } else { Err(Fault::Found(bad)) }
}

/// The definitions of the specification and of some packages.
pub(super) fn registry(packages: &[PathBuf]) -> Result<Arc<Registry>, Fault> {
    let mut registry = Registry::core();
    for path in packages {
        let package = Package::read(path).map_err(Fault::Resource)?;
        registry = Arc::new(registry.with(package.info, package.resources));
    }
    Ok(registry)
}

/// Prints what is wrong with a piece; whether it is valid.
fn judge(validator: &Validator, definitions: &Definitions, asked: &Asked, piece: Piece) -> bool {
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
    let mut issues = validator.judge_without_lines(None, document.root(), asked);
    match &piece.written {
        Written::Xml(text) => xml::locate(text, definitions, &Limits::default(), &mut issues),
        Written::Whole | Written::Line => validator.locate(document.root(), asked, &mut issues),
    }
    for issue in &issues {
        let place = issue.expression.as_deref().unwrap_or("(whole)");
        let at = at(issue, &piece.written);
        println!("{origin}{at}: {} {}: {place}: {}", issue.severity.code(), issue.code.code(), issue.diagnostics);
    }
    !issues.iter().any(|issue| issue.is_error())
}

/// Line and column, as compilers write them behind the name of a file.
fn at(issue: &Issue, written: &Written) -> String {
    match (issue.position, written) {
        (None, _) => String::new(),
        (Some(position), Written::Line) => format!(":{}", position.column),
        (Some(position), _) => format!(":{}:{}", position.line, position.column),
    }
}
