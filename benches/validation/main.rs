//! How long a validation takes on one core: `cargo bench --bench validation`. With `../shared/data` beside the
//! checkout also against a profile of US Core.

use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use vesta::definitions::{Definitions, Package, Registry};
use vesta::json::{Document, Limits};
use vesta::validation::{Asked, Validator};

const OBSERVATION: &str = r#"{"resourceType":"Observation","id":"blood-pressure","meta":{"profile":
["http://hl7.org/fhir/us/core/StructureDefinition/us-core-blood-pressure"]},"text":{"status":"generated",
"div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>Blood pressure</p></div>"},"status":"final","category":[{"coding":[{
"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital Signs"}],
"text":"Vital Signs"}],"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood pressure"}],
"text":"Blood pressure"},"subject":{"reference":"Patient/example","display":"Amy Shaw"},"encounter":{"display":"visit"},
"effectiveDateTime":"1999-07-02","component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
"valueQuantity":{"value":109,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},{"code":{"coding":[{
"system":"http://loinc.org","code":"8462-4"}]},"valueQuantity":{"value":44,"unit":"mmHg",
"system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#;

fn measure(what: &str, validator: &Validator, asked: &Asked) {
    const ROUNDS: u32 = 2_000;
    let document = Document::parse(OBSERVATION.as_bytes(), &Limits::default()).expect("JSON");
    let issues = validator.judge(None, document.root(), asked);
    let mut best = f64::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        for _ in 0..ROUNDS {
            std::hint::black_box(validator.judge(None, std::hint::black_box(document.root()), asked));
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
    }
    println!("{what}: {best:.1} µs, {} issues", issues.len());
    for issue in issues.iter().take(5) {
        println!("    {}: {}", issue.expression.as_deref().unwrap_or_default(), issue.diagnostics);
    }
}

fn main() {
    let start = Instant::now();
    let definitions = Definitions::core();
    println!("definitions: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    let start = Instant::now();
    let validator = Validator::new(definitions);
    println!("validator: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    measure("structure, bindings, invariants", &validator, &Asked::default());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/us-core/us-core-6.1.0-definitions.tar.zst");
    let Ok(file) = std::fs::File::open(&path) else {
        println!("skipped: {} is missing", path.display());
        return;
    };
    let package = Package::read_archive(BufReader::new(file)).expect("a package");
    let registry = Registry::core().with(package.info, package.resources);
    let validator = validator.over(Arc::new(registry));
    let start = Instant::now();
    let document = Document::parse(OBSERVATION.as_bytes(), &Limits::default()).expect("JSON");
    validator.judge(None, document.root(), &Asked::full());
    println!("first use of the profile: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    measure("full, with a profile of US Core", &validator, &Asked::full());
}
