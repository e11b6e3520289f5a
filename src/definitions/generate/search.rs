//! The tables of search parameters, compartments and operations.

use super::package::Package;
use super::{Summary, field};
use std::fmt::Write;

const PARAMETERS: &str = "http://hl7.org/fhir/SearchParameter/";

/// Operations of the specification that change something. The package says so of none of them.
const AFFECTING: [&str; 6] = ["closure", "meta-add", "meta-delete", "process-message", "submit", "submit-data"];

/// The search parameters in the order of their canonicals; components on lines of their own.
pub fn parameters(package: &Package, summary: &mut Summary) -> Result<String, String> {
    let mut table = String::new();
    for p in package.parameters.values() {
        summary.search_parameters += 1;
        // "Any" is written as the list of all types but Parameters, which is never a target.
        let targets = if p.target.len() >= 145 { "*".to_owned() } else { p.target.join(" ") };
        let flag = |value: Option<bool>| match value {
            None => '-',
            Some(true) => 'Y',
            Some(false) => 'N',
        };
        let _ = writeln!(
            table,
            "{}\t{}\t{}\t{}\t{targets}\t{}{}\t{}\t{}\t{}\t{}",
            short(&p.url),
            p.code,
            p.kind,
            p.base.join(" "),
            flag(p.multiple_or),
            flag(p.multiple_and),
            p.comparator.join(" "),
            p.modifier.join(" "),
            field(&p.chain.join(" ")),
            field(&p.expression),
        );
        for component in &p.component {
            let _ = writeln!(table, "\t{}\t{}", short(&component.definition), field(&component.expression));
        }
    }
    Ok(table)
}

fn short(url: &str) -> &str {
    url.strip_prefix(PARAMETERS).unwrap_or(url)
}

/// The compartments, without the example of the package.
pub fn compartments(package: &Package, summary: &mut Summary) -> Result<String, String> {
    let mut table = String::new();
    for c in package.compartments.values().filter(|c| !c.url.ends_with("/example")) {
        summary.compartments += 1;
        let _ = writeln!(table, "{}\t{}", c.code, c.url);
        for member in &c.resource {
            let codes: Vec<&str> = member.param.iter().map(String::as_str).filter(|p| *p != "{def}").collect();
            if !codes.is_empty() {
                let _ = writeln!(table, "\t{}\t{}", member.code, codes.join(" "));
            }
        }
    }
    Ok(table)
}

/// The operations: where each can be called (S: system, T: type, I: instance), and A if it changes something.
pub fn operations(package: &Package, summary: &mut Summary) -> Result<String, String> {
    let mut table = String::new();
    for o in package.operations.values() {
        summary.operations += 1;
        let affects = o.affects_state.unwrap_or(AFFECTING.contains(&o.code.as_str()));
        let mut flags = String::new();
        for (set, letter) in [(o.system, 'S'), (o.on_type, 'T'), (o.instance, 'I'), (affects, 'A')] {
            if set {
                flags.push(letter);
            }
        }
        let _ = writeln!(table, "{}\t{}\t{flags}\t{}", o.url, o.code, o.resource.join(" "));
    }
    Ok(table)
}
