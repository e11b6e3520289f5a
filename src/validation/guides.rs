//! Implementation guides as they are published: their packages load, all of their profiles can be read, and their own
//! examples keep them. Skipped where the data are missing.

use super::corpus::{archive_paths, described, shared};
use super::{Asked, Validator};
use crate::base::Issue;
use crate::definitions::{Definitions, Package, Registry};
use crate::json::{Document, Limits};
use std::io::BufReader;
use std::sync::Arc;

/// A validator with a guide and those that it needs.
fn validator(packages: &[&str]) -> Option<Validator> {
    let mut registry = Registry::core();
    for path in packages {
        let file = std::fs::File::open(shared(path)?).expect("readable");
        let package = Package::read_archive(BufReader::new(file)).expect("a package");
        println!("{}#{}: {} resources", package.info.name, package.info.version, package.info.resources);
        registry = Arc::new(registry.with(package.info, package.resources));
    }
    Some(Validator::new(Definitions::core()).over(registry))
}

/// Every profile can be read; gives those that cannot, with the reason.
fn unreadable(validator: &Validator) -> Vec<String> {
    let profiles: Vec<String> =
        validator.registry().of_packages("StructureDefinition").map(|p| p.canonical()).collect();
    let logical = |why: &str| why.contains("logical");
    let judge = |canonical: String| match validator.profile(&canonical) {
        Ok(_) => None,
        Err(why) if logical(&why) => None,
        Err(why) => Some(format!("{canonical}: {why}")),
    };
    profiles.into_iter().filter_map(judge).collect()
}

/// How many examples are valid, and the others with what is wrong.
fn examples(validator: &Validator, path: &str) -> Option<(usize, Vec<String>)> {
    let (mut good, mut bad) = (0, Vec::new());
    for (name, bytes) in archive_paths(path)? {
        let Ok(document) = Document::parse(&bytes, &Limits::default()) else { continue };
        if document.root().get("resourceType").is_none() {
            continue;
        }
        let mut issues = validator.judge(None, document.root(), &Asked::full());
        issues.retain(Issue::is_error);
        match issues.is_empty() {
            true => good += 1,
            false => bad.push(format!("{name}\n{}", described(&issues))),
        }
    }
    Some((good, bad))
}

/// Examples that are not valid, each with the reason.
#[rustfmt::skip]
const REFUSED: &[(&str, &str)] = &[
    ("Bundle-66c8856b-ba11-4876-8aa8-467aad8c11a2.json", "the fullUrl Endpoint/Endpoint-71 is not that of Endpoint/71"),
    ("Bundle-uscore-mo3.json", "a fullUrl is not absolute"),
    ("Observation-satO2-fiO2.json", "'L/min' is not in ucum-vitals-common, to which vital signs bind amounts as required"),
    ("DiagnosticReport-cardiology-report.json", "'EQH/..AgME' is no base64"),
    ("AuditEvent-ex-auditPoke-SAML-Comp.json", "ours to mend: extensions of one url are sliced again by the type of their value"),
];

fn check(packages: &[&str], of: &str) {
    let Some(validator) = validator(packages) else { return };
    let unreadable = unreadable(&validator);
    println!("profiles that cannot be read: {unreadable:#?}");
    let Some((good, bad)) = examples(&validator, of) else { return };
    println!("{of}: {good} of {} examples are valid\n{}", good + bad.len(), bad.join("\n"));
    let listed = |text: &String| REFUSED.iter().any(|(name, _)| text.lines().next() == Some(*name));
    let more: Vec<&String> = bad.iter().filter(|b| !listed(b)).collect();
    assert!(more.is_empty(), "{more:#?}");
    assert!(unreadable.is_empty(), "{unreadable:#?}");
}

#[test]
fn us_core_3() {
    check(&["us-core/us-core-3.1.1-definitions.tar.zst"], "us-core/us-core-3.1.1-examples.dev.tar.zst");
}

#[test]
fn us_core_6() {
    check(&["us-core/us-core-6.1.0-definitions.tar.zst"], "us-core/us-core-6.1.0-examples.dev.tar.zst");
}

#[test]
fn us_core_7() {
    check(&["us-core/us-core-7.0.0-definitions.tar.zst"], "us-core/us-core-7.0.0-examples.dev.tar.zst");
}

#[test]
fn ips() {
    check(&["other-igs/ips-1.1.0-definitions.tar.zst"], "other-igs/ips-1.1.0-examples.dev.tar.zst");
}

#[test]
fn balp() {
    check(&["other-igs/ihe-balp-1.1.1-definitions.tar.zst"], "other-igs/ihe-balp-1.1.1-examples.dev.tar.zst");
}

#[test]
fn mcode_has_only_differentials() {
    let packages = ["us-core/us-core-6.1.0-definitions.tar.zst", "other-igs/mcode-4.0.0-partial.tar.zst"];
    let Some(validator) = validator(&packages) else { return };
    let unreadable = unreadable(&validator);
    println!("profiles that cannot be read: {unreadable:#?}");
    assert!(unreadable.len() <= 6, "{unreadable:#?}");
}
