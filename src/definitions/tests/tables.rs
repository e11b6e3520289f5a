//! The tables as a whole.

use super::shared;
use crate::definitions::Definitions;
use crate::definitions::{generate, load};
use std::path::{Path, PathBuf};

#[test]
fn all_is_read() {
    let definitions = load::read(&load::R4).expect("tables");
    assert_eq!(definitions.resources.len(), 146);
    assert_eq!(definitions.search_parameters.len(), 1_400);
    assert_eq!(definitions.compartments.len(), 5);
    assert_eq!(definitions.operations.len(), 47);
    assert_eq!(definitions.value_sets.len(), 224);
    assert_eq!(Definitions::core().structures.len(), definitions.structures.len());
}

#[test]
fn generated_again_they_are_the_same() {
    let Some(package) = shared("r4-definitions/hl7.fhir.r4.core-4.0.1.tgz") else {
        return;
    };
    let folder = tempfile::tempdir().expect("folder");
    let summary = generate::write(&package, folder.path()).expect("tables");
    assert!(summary.bytes < 2_500_000, "{summary}");
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("fhir-schemas");
    let written = files(folder.path());
    for name in &written {
        let old = std::fs::read(committed.join(name)).expect("a committed table");
        let new = std::fs::read(folder.path().join(name)).expect("a table");
        assert!(new == old, "{} differs: generate fhir-schemas/ again", name.display());
    }
    let mut known = files(&committed);
    known.retain(|name| name != Path::new("README.md"));
    assert_eq!(known, written);
}

/// Names below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(inside) = open.pop() {
        for entry in std::fs::read_dir(folder.join(&inside)).expect("folder") {
            let entry = entry.expect("entry");
            let name = inside.join(entry.file_name());
            let kind = entry.file_type().expect("kind");
            if kind.is_dir() { &mut open } else { &mut all }.push(name);
        }
    }
    all.sort();
    all
}

#[test]
fn no_package_no_tables() {
    let folder = tempfile::tempdir().expect("folder");
    let missing = folder.path().join("missing.tgz");
    assert!(generate::write(&missing, folder.path()).is_err());
    std::fs::write(&missing, b"this is no archive").expect("file");
    assert!(generate::write(&missing, folder.path()).is_err());
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn broken_tables_are_refused() {
    for (elements, fault) in [
        ("\tid\t01\tA\tstring\n", "an element without a structure"),
        ("A\tC\t\n\tb\t01\t\tMissing\n", "no structure Missing"),
        ("A\tQ\t\n", "A: unknown kind Q"),
        ("A\tC\tB\nB\tC\t\n", "a structure before its parent"),
        ("A\tC\t\n\tb\tx*\t\tstring\n", "b\tx*\t\tstring: cardinality"),
    ] {
        let tables = load::Tables { elements, invariants: "", ..load::R4 };
        assert_eq!(load::read(&tables).err().as_deref(), Some(fault));
    }
}
