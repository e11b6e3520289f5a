//! Validation held to real data: the official examples, mutants of them, and Synthea. Skipped where the data is missing.

use super::{Asked, Validator};
use crate::base::{Issue, Severity};
use crate::definitions::Definitions;
use crate::json::{Document, Limits, Value};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;

/// Examples about which something is said, each with the first place and the reason; only `Questionnaire-qs1` is refused.
#[rustfmt::skip]
const NOTED_EXAMPLES: &[(&str, &str, &str)] = &[
    ("ActivityDefinition-blood-tubes-supply.json", "ActivityDefinition.text.div", "txt-2: the div is empty"),
    ("ActivityDefinition-heart-valve-replacement.json", "ActivityDefinition.text.div", "txt-2: the div is empty"),
    ("EventDefinition-example.json", "EventDefinition.text.div", "txt-2: the div is empty"),
    ("Questionnaire-zika-virus-exposure-assessment.json", "Questionnaire.text.div", "txt-2: only an empty pre"),
    ("Questionnaire-qs1.json", "Questionnaire.item[0].item[0].linkId", "linkId is 1..1, and 32 items have none"),
    ("DeviceMetric-example.json", "DeviceMetric.parent.reference", "Reference(Device), and it names a DeviceDefinition"),
    ("DeviceUseStatement-example.json", "DeviceUseStatement.reasonReference[0].reference", "a Procedure is not among the five types"),
    ("MedicationRequest-medrx0301.json", "MedicationRequest.dispenseRequest.performer.reference", "Reference(Organization), and it names a Practitioner"),
];

/// The official examples that HL7's own JSON schema refuses, and what we say of them and why: all are legal. That schema's
/// list of FHIR versions ends before 4.0.1, while the value set `FHIR-version` of the definitions has it.
const SCHEMA_REFUSES: &[&str] = &[
    "CapabilityStatement-base2.json",
    "CapabilityStatement-knowledge-repository.json",
    "CapabilityStatement-messagedefinition.json",
    "CapabilityStatement-phr.json",
    "CapabilityStatement-terminology-server.json",
    "ImplementationGuide-example.json",
    "StructureDefinition-Communication.json",
    "StructureDefinition-DiagnosticReport-geneticsReferences.json",
    "StructureDefinition-capabilitystatement-websocket.json",
    "StructureDefinition-cqf-expression.json",
    "StructureDefinition-family-member-history-genetics-observation.json",
    "StructureDefinition-hla-genotyping-results-allele-database.json",
    "StructureDefinition-structuredefinition-hierarchy.json",
    "StructureDefinition-valueset-concept-comments.json",
];

#[test]
fn what_the_json_schema_refuses_is_decided() {
    let Some(files) = archive("r4-examples/r4-examples-dev.tar.zst") else { return };
    let Some(schema) = unpacked("r4-definitions/fhir.schema.json.zst") else { return };
    let mut schema: serde_json::Value = serde_json::from_slice(&schema).expect("JSON");
    // Any resource; the list of all types at the root says the same, and says it once more.
    let resource = serde_json::json!({"$ref": "#/definitions/ResourceList"});
    schema.as_object_mut().expect("an object").remove("oneOf");
    schema["allOf"] = serde_json::json!([resource]);
    let theirs = jsonschema::validator_for(&schema).expect("a schema");
    let ours = validator();
    let mut refused = Vec::new();
    for (name, bytes) in &files {
        let value: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
        if theirs.is_valid(&value) {
            continue;
        }
        refused.push(name.as_str());
        let older = String::from_utf8_lossy(bytes).replace("\"4.0.1\"", "\"4.0.0\"");
        let older: serde_json::Value = serde_json::from_str(&older).expect("JSON");
        assert!(theirs.is_valid(&older), "{name} is refused for something else as well");
        let issues = ours.validate(None, parsed(bytes).root());
        assert!(!issues.iter().any(Issue::is_error), "{name}\n{}", described(&issues));
    }
    refused.sort_unstable();
    assert_eq!(refused, SCHEMA_REFUSES);
    println!("{} of {} official examples are refused by HL7's schema", refused.len(), files.len());
}

pub(super) fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if path.exists() {
        return Some(path);
    }
    crate::base::skipped(format_args!("{} is missing", path.display()));
    None
}

fn unpacked(path: &str) -> Option<Vec<u8>> {
    let file = std::fs::File::open(shared(path)?).expect("readable");
    let mut reader = zstd::Decoder::new(file).expect("zstd");
    reader.window_log_max(27).expect("zstd");
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("zstd");
    Some(bytes)
}

/// The files of an archive, by their paths in it.
pub(super) fn archive_paths(path: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let bytes = unpacked(path)?;
    let mut files = Vec::new();
    for entry in tar::Archive::new(&bytes[..]).entries().expect("tar") {
        let mut entry = entry.expect("tar");
        let name = entry.path().expect("path").to_string_lossy().trim_start_matches("./").to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("tar");
        files.push((name, content));
    }
    Some(files)
}

/// The JSON files of an archive, by file name.
fn archive(path: &str) -> Option<Vec<(String, Vec<u8>)>> {
    let bytes = unpacked(path)?;
    let mut files = Vec::new();
    for entry in tar::Archive::new(&bytes[..]).entries().expect("tar") {
        let mut entry = entry.expect("tar");
        let name = entry.path().expect("path").file_name().map(|n| n.to_string_lossy().into_owned());
        if let Some(name) = name.filter(|n| n.ends_with(".json")) {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("tar");
            files.push((name, content));
        }
    }
    Some(files)
}

fn validator() -> Validator {
    Validator::new(Definitions::core())
}

fn parsed(bytes: &[u8]) -> Document<'_> {
    Document::parse(bytes, &Limits::default()).expect("JSON")
}

pub(super) fn described(issues: &[Issue]) -> String {
    let line = |i: &Issue| format!("    {}: {}", i.expression.as_deref().unwrap_or_default(), i.diagnostics);
    issues.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The rules that recommend a name of letters and digits (`vsd-0` and the like).
fn is_name_rule(issue: &Issue) -> bool {
    issue.severity == Severity::Warning && issue.diagnostics.contains("-0 does not hold: name.matches(")
}

#[test]
fn official_examples_are_legal() {
    let Some(files) = archive("r4-examples/r4-examples-dev.tar.zst") else { return };
    let validator = validator();
    let mut wrong = Vec::new();
    let mut refused = Vec::new();
    let mut named = 0;
    for (name, bytes) in &files {
        let mut issues = validator.validate(None, parsed(bytes).root());
        // Names that no program can use are a warning, and 26 examples have some.
        named += usize::from(issues.iter().any(is_name_rule));
        issues.retain(|issue| !is_name_rule(issue));
        let listed = NOTED_EXAMPLES.iter().find(|(file, _, _)| file == name);
        let first = issues.first().and_then(|i| i.expression.as_deref());
        if first != listed.map(|(_, place, _)| *place) {
            wrong.push(format!("{name}\n{}", described(&issues)));
        }
        if issues.iter().any(Issue::is_error) {
            refused.push(name.as_str());
        }
    }
    println!("{} of {} official examples accepted", files.len() - refused.len(), files.len());
    assert_eq!(named, 26, "examples with a name that no program can use");
    assert_eq!(refused, ["Questionnaire-qs1.json"], "only what lacks a mandatory element is refused");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Whether an issue names the place of a mutant: without the numbers of repetitions, the same element or, for what
/// is unknown there, a property of it.
fn names(issue: &Issue, path: &str, unknown: bool) -> bool {
    let mut place = String::new();
    let mut skip = false;
    for c in issue.expression.as_deref().unwrap_or_default().chars() {
        skip |= c == '[';
        if !skip {
            place.push(c);
        }
        skip &= c != ']';
    }
    let path = path.strip_suffix("[x]").unwrap_or(path);
    let rest = place.strip_prefix(path);
    if unknown { rest.is_some_and(|r| r.starts_with('.') && !r[1..].contains('.')) } else { rest == Some("") }
}

#[test]
fn mutants_are_refused_with_the_place() {
    let Some(bytes) = unpacked("mutants/mutants.dev.json.zst") else { return };
    let validator = validator();
    let document = parsed(&bytes);
    let text =
        |record: Value<'_>, name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default().into_owned();
    let mut kinds: BTreeMap<String, (u32, u32, u32)> = BTreeMap::new();
    let mut missed = Vec::new();
    for record in document.root().items() {
        let (id, kind, path) = (text(record, "id"), text(record, "kind"), text(record, "path"));
        let mut issues = validator.validate(None, record.get("resource").expect("resource"));
        issues.retain(Issue::is_error);
        let counts = kinds.entry(kind.clone()).or_default();
        counts.0 += 1;
        counts.1 += u32::from(!issues.is_empty());
        if issues.iter().any(|issue| names(issue, &path, kind.starts_with("unknown"))) {
            counts.2 += 1;
        } else {
            missed.push(format!("{id}\n{}", described(&issues)));
        }
    }
    for (kind, (all, refused, named)) in &kinds {
        println!("{kind}: {all}, refused {refused}, place named {named}");
    }
    let all: u32 = kinds.values().map(|c| c.0).sum();
    let named: u32 = kinds.values().map(|c| c.2).sum();
    println!("{named} of {all} mutants refused with the place\n{}", missed.join("\n"));
    assert!(named * 100 >= all * 99, "{named} of {all}");
}

#[test]
fn synthea_is_legal() {
    let Some(files) = archive("synthea/synthea-small-5.tar.zst") else { return };
    let validator = validator();
    let (mut count, mut wrong) = (0, Vec::new());
    for (name, bytes) in &files {
        let document = parsed(bytes);
        let mut judge = |value: Value<'_>| {
            count += 1;
            let issues = validator.validate(None, value);
            if !issues.is_empty() {
                wrong.push(format!("{name}\n{}", described(&issues)));
            }
        };
        judge(document.root());
        let entries = document.root().get("entry");
        entries.into_iter().flat_map(Value::items).filter_map(|e| e.get("resource")).for_each(judge);
    }
    println!("{} of {count} resources of Synthea accepted", count - wrong.len());
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Examples that a full validation refuses, each with the first place and the reason.
#[rustfmt::skip]
const REFUSED_IN_FULL: &[(&str, &str, &str)] = &[
    ("Questionnaire-qs1.json", "Questionnaire.item[0].item[0].linkId", "linkId is 1..1, and 32 items have none"),
    ("Bundle-10bb101f-a121-4264-a920-67be9cb82c74.json", "Bundle.entry[2].fullUrl", "a fullUrl does not disagree with the id, and this names pat12 for pat2"),
    ("Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe.json", "Bundle.entry[3].fullUrl", "a fullUrl does not disagree with the id, and this names pat12 for pat2"),
    ("Bundle-lri-example.json", "Bundle.entry[1].fullUrl", "a fullUrl does not disagree with the id, and 16 do"),
];

#[test]
fn official_examples_keep_what_they_declare() {
    let Some(files) = archive("r4-examples/r4-examples-dev.tar.zst") else { return };
    let validator = validator();
    let (mut wrong, mut refused) = (Vec::new(), 0);
    let mut undecided: BTreeMap<String, usize> = BTreeMap::new();
    for (name, bytes) in &files {
        let mut issues = validator.judge(None, parsed(bytes).root(), &Asked::full());
        for issue in issues.iter().filter(|issue| issue.diagnostics.starts_with("it is not known whether the code")) {
            *undecided.entry(issue.diagnostics.clone()).or_default() += 1;
        }
        issues.retain(Issue::is_error);
        refused += usize::from(!issues.is_empty());
        let listed = REFUSED_IN_FULL.iter().find(|(file, _, _)| file == name).map(|(_, place, _)| *place);
        if issues.first().and_then(|i| i.expression.as_deref()) != listed {
            wrong.push(format!("{name}\n{}", described(&issues)));
        }
    }
    println!("{} of {} official examples are valid in full", files.len() - refused, files.len());
    println!("value sets that could not be decided: {undecided:#?}");
    assert!(wrong.is_empty(), "{} others\n{}", wrong.len(), wrong.join("\n"));
}

/// Every bundle of the small set, and of the large one those that hold what the patients refer to and some patients, as
/// their entries are held against everything when they are written.
#[test]
fn synthea_is_legal_in_full() {
    const PATIENTS: usize = 6;
    let Some(mut files) = archive("synthea/synthea-small-5.tar.zst") else { return };
    let Some(large) = archive("synthea/synthea-blaze.dev.tar.zst") else { return };
    let small = files.len();
    let common = |name: &str| name.contains("hospital") || name.contains("practitioner");
    let (others, mut patients): (Vec<_>, Vec<_>) = large.into_iter().partition(|(name, _)| common(name));
    patients.sort_by_key(|(_, bytes)| bytes.len());
    // Not the largest: they say the same again and again.
    patients.truncate(patients.len() / 2);
    let step = patients.len().div_ceil(PATIENTS);
    files.extend(others.into_iter().chain(patients.into_iter().step_by(step)));
    let validator = validator();
    let (mut count, mut wrong) = (0, Vec::new());
    for (i, (name, bytes)) in files.iter().enumerate() {
        let document = parsed(bytes);
        let entries = document.root().get("entry").into_iter().flat_map(Value::items);
        // The small ones also as bundles.
        let whole = (i < small).then(|| document.root());
        for value in entries.filter_map(|e| e.get("resource")).chain(whole) {
            count += 1;
            let mut issues = validator.judge_without_lines(None, value, &Asked::full());
            issues.retain(Issue::is_error);
            if !issues.is_empty() {
                wrong.push(format!("{name}\n{}", described(&issues)));
            }
        }
    }
    println!("{} of {count} resources of {} bundles of Synthea accepted in full", count - wrong.len(), files.len());
    let all = wrong.len();
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{all}\n{}", wrong.join("\n"));
}
