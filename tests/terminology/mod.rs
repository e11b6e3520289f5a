//! Terminology over HTTP: the published tests of terminology servers (mode `general`), and ours for what they leave out.

mod between;
mod bindings;
mod compare;
mod elsewhere;
mod operations;
mod packages;
mod releases;

use crate::support::{TestServer, shared_data};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use vesta::cli::settings::{Settings, Validation};

/// Tests that do not pass, each with the reason. Any other that fails is a fault.
const LEFT: &[(&str, &str)] = &[
    ("parameters-expand-supplement-none", "properties that the extensions of concepts mean (order) are not shown"),
    ("parameters-expand-supplement-good", "the same, of a supplement (weight, label)"),
    ("extensions-echo-all", "properties that the extensions of concepts mean are not shown"),
    ("extensions-echo-enumerated", "the same"),
    ("expand-all-merged", "the display and version of a code in two versions of a system: the first included is shown"),
    ("expand-enum-good", "wants the display that a version of the code system does not have"),
    ("expand-enum-bad", "the same"),
    ("expand-exclude", "the parameter versionsMatch is shown again only where the value set has it"),
    ("expand-exclude-versioned", "wants the display that a version of the code system does not have"),
    ("expand-exclude-merged", "the parameter versionsMatch is shown again only where the value set has it"),
    ("expand-exclude-enum", "exclusion of a code in one version by default holds for all versions"),
    ("validate-all-bad2", "a code in two versions of a system is looked at in the first"),
    ("validate-good2a", "the same"),
    ("validate-bad-unknown", "a code that no version has is looked for in the first"),
    ("big-echo-no-limit", "wants a limit of 1,000 codes; ours is 200,000"),
    ("big-circle-validate", "our issue also says where the circle is"),
    ("act-exclusion", "three codes of the hierarchy that go round are counted otherwise"),
];

struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    fn read(folder: &std::path::Path) -> Files {
        let file = std::fs::File::open(folder.join("tx-files.dev.tar.zst")).expect("the files of the tests");
        let mut decoder = zstd::Decoder::new(file).expect("zstd");
        decoder.window_log_max(27).expect("a window");
        let mut archive = tar::Archive::new(decoder);
        let mut files = BTreeMap::new();
        for entry in archive.entries().expect("an archive") {
            let mut entry = entry.expect("an entry");
            let name = entry.path().expect("a name").to_string_lossy().trim_start_matches("./").to_owned();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).expect("bytes");
            files.insert(name, bytes);
        }
        Files(files)
    }

    fn json(&self, name: &str) -> Option<Value> {
        let bytes = self.0.get(name)?;
        serde_json::from_slice(bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes)).ok()
    }
}

fn text<'v>(of: &'v Value, key: &str) -> &'v str {
    of[key].as_str().unwrap_or_default()
}

/// Runs one test; what is wrong.
fn run(server: &TestServer, files: &Files, test: &Value) -> Result<(), String> {
    let operation = text(test, "operation");
    let address = match operation {
        "metadata" => "metadata",
        "term-caps" => "metadata?mode=terminology",
        "expand" => "ValueSet/$expand",
        "validate-code" => "ValueSet/$validate-code",
        "cs-validate-code" => "CodeSystem/$validate-code",
        "batch-validate" => "ValueSet/$batch-validate-code",
        "lookup" => "CodeSystem/$lookup",
        "translate" => "ConceptMap/$translate",
        other => return Err(format!("the operation {other} is not known to this test")),
    };
    let language = test["header"]["Accept-Language"].as_str().or(test["Accept-Language"].as_str());
    let mut headers = vec![("content-type", "application/fhir+json")];
    if let Some(language) = language {
        headers.push(("accept-language", language));
    }
    let answer = match files.json(text(test, "request")) {
        None => server.get(address),
        Some(mut request) => {
            if let Some(profile) = files.json(text(test, "profile")) {
                let more = profile["parameter"].as_array().cloned().unwrap_or_default();
                request["parameter"].as_array_mut().expect("parameters").extend(more);
            }
            server.send("POST", address, &headers, Some(request.to_string().as_bytes()))
        }
    };
    let wanted = if test["http-code"] == "4xx" { 4 } else { 2 };
    let shown: String = answer.text().chars().take(300).collect();
    if answer.status / 100 != wanted {
        return Err(format!("status {}: {shown}", answer.status));
    }
    let expected = files.json(text(test, "response")).ok_or("no expected answer")?;
    if operation == "metadata" || operation == "term-caps" {
        let same = answer.json()["resourceType"] == expected["resourceType"];
        return if same { Ok(()) } else { Err(shown) };
    }
    let actual = compare::later(&answer.json());
    let wrong = compare::difference(&expected, &actual, "$");
    // Some tests have a second answer, for servers that give lists instead of trees.
    let flat = files.json(text(test, "response:flat"));
    match (wrong, flat) {
        (None, _) => Ok(()),
        (Some(wrong), Some(flat)) => compare::difference(&flat, &actual, "$").map_or(Ok(()), |_| Err(wrong)),
        (Some(wrong), None) => Err(wrong),
    }
}

#[test]
fn published_tests() {
    let Some(folder) = shared_data("published_tests").map(|f| f.join("terminology-tests")) else { return };
    let cases: Value =
        serde_json::from_slice(&std::fs::read(folder.join("test-cases.dev.json")).expect("cases")).expect("JSON");
    let files = Files::read(&folder);
    // The resources of the tests are of a later version: they are not validated.
    let server = TestServer::with(Settings { validation: Some(Validation::Off), ..Settings::default() });
    let (mut seen, mut failed) = (0, Vec::new());
    for suite in cases["suites"].as_array().expect("suites") {
        if !matches!(text(suite, "mode"), "" | "general") {
            continue;
        }
        let mut stored = Vec::new();
        for (i, name) in suite["setup"].as_array().into_iter().flatten().enumerate() {
            let Some(mut resource) = name.as_str().and_then(|n| files.json(n)) else { continue };
            let id = format!("{}-{i}", text(suite, "name").replace(|c: char| !c.is_alphanumeric(), "-"));
            let address = format!("{}/{id}", text(&resource, "resourceType"));
            resource["id"] = json!(id);
            server.put("PUT", &address, &resource).is(201);
            stored.push(address);
        }
        for test in suite["tests"].as_array().expect("tests") {
            if !matches!(text(test, "mode"), "" | "general") {
                continue;
            }
            seen += 1;
            if let Err(why) = run(&server, &files, test) {
                failed.push((
                    text(test, "name").to_owned(),
                    format!("{} {}: {why}", text(suite, "name"), text(test, "name")),
                ));
            }
        }
        for address in stored {
            server.send("DELETE", &address, &[], None);
        }
    }
    println!("terminology tests: {} of {seen} pass", seen - failed.len());
    for (name, why) in LEFT {
        println!("  {name}: {why}");
    }
    let unexpected: Vec<&String> =
        failed.iter().filter(|(name, _)| !LEFT.iter().any(|(left, _)| left == name)).map(|(_, line)| line).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert_eq!(seen, 417, "tests of the mode `general`");
    assert!(failed.len() * 100 <= seen * 5, "{} of {seen} fail", failed.len());
    let stale: Vec<&str> =
        LEFT.iter().map(|(left, _)| *left).filter(|left| !failed.iter().any(|(name, _)| name == left)).collect();
    assert!(stale.is_empty(), "these pass and are listed as failing: {stale:?}");
}
