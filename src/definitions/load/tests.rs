//! The tables against what the specification says.

use crate::definitions::generate;
use crate::definitions::{Definitions, ElementType, StructureKind};
use crate::primitive::Primitive;
use std::path::Path;

#[test]
fn tables_load() {
    let started = std::time::Instant::now();
    let definitions = super::read(&super::R4).expect("tables");
    println!("loaded in {:?}", started.elapsed());
    assert_eq!(definitions.resources.len(), 146);
    assert_eq!(definitions.search_parameters.len(), 1_400);
    assert_eq!(definitions.compartments.len(), 5);
    assert_eq!(definitions.operations.len(), 47);
}

#[test]
fn regenerated_tables_are_the_committed_ones() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = root.join("../shared/data/r4-definitions/hl7.fhir.r4.core-4.0.1.tgz");
    if !package.exists() {
        println!("skipped: {} is missing", package.display());
        return;
    }
    let folder = tempfile::tempdir().expect("folder");
    let out = folder.path();
    let summary = generate::write(&package, out).expect("tables");
    println!("{summary}");
    for file in std::fs::read_dir(out).expect("folder").map(|f| f.expect("file")) {
        let committed = std::fs::read(root.join("fhir-schemas").join(file.file_name())).expect("committed table");
        assert!(std::fs::read(file.path()).expect("table") == committed, "{:?} differs", file.file_name());
    }
}

#[test]
fn elements_are_as_specified() {
    let d = Definitions::core();
    let patient = d.structure(d.resource("Patient").expect("Patient"));
    assert_eq!(patient.kind, StructureKind::Resource);
    let names: Vec<_> = patient.elements.iter().take(10).map(|e| &*e.name).collect();
    let expected = ["id", "meta", "implicitRules", "language", "text", "contained", "extension", "modifierExtension"];
    assert_eq!(names[..8], expected);
    assert_eq!(names[8..], ["identifier", "active"]);
    let id = patient.element("id").expect("id");
    assert_eq!((id.kind, id.attribute), (ElementType::Primitive(Primitive::Id), false));
}
#[test]
fn bootstrap() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    println!("{}", crate::definitions::generate::write(&root.join("../shared/data/r4-definitions/hl7.fhir.r4.core-4.0.1.tgz"), &root.join("fhir-schemas")).unwrap());
}
