//! The cases of the official validator that need no terminology server: our verdict (valid or not) beside that of the
//! reference. Skipped where the data is missing.

use super::corpus::{archive_paths, shared};
use super::{Asked, PackagedCodes, Validator};
use crate::base::{Issue, Severity};
use crate::definitions::{Conformance, Definitions, PackageInfo, Registry};
use crate::json::{Document, Limits, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Verdicts that have to agree at least, in hundredths.
const LEAST: usize = 85;

struct Cases {
    definitions: Arc<Definitions>,
    files: HashMap<String, Vec<u8>>,
}

impl Cases {
    /// The JSON text of a file.
    fn json(&self, name: &str) -> Result<Vec<u8>, String> {
        let bytes = self.files.get(name).ok_or_else(|| format!("no file {name}"))?;
        match bytes.iter().find(|b| !b.is_ascii_whitespace() && !matches!(b, 0xef | 0xbb | 0xbf)) {
            Some(b'<') => crate::xml::to_json(bytes, &*self.definitions, &Limits::default())
                .map(String::into_bytes)
                .map_err(|failure| failure.to_string()),
            _ => Ok(bytes.clone()),
        }
    }

    fn registry(&self, names: &[String]) -> Arc<Registry> {
        let mut resources = Vec::new();
        for name in names {
            let Ok(json) = self.json(name) else { continue };
            let Ok(document) = Document::parse(&json, &Limits::default()) else { continue };
            let root = document.root();
            conformance(root, &mut resources);
            for entry in root.get("entry").into_iter().flat_map(Value::items) {
                entry.get("resource").into_iter().for_each(|r| conformance(r, &mut resources));
            }
        }
        let info = PackageInfo { name: "case".into(), version: "1".into(), resources: 0, guides: vec![] };
        Arc::new(Registry::core().with(info, resources))
    }

    fn issues(&self, file: &str, names: &[String], profiles: Vec<String>) -> Vec<Issue> {
        let unreadable = |why: String| vec![Issue::error(crate::base::IssueCode::Structure, why)];
        let json = match self.json(file) {
            Ok(json) => json,
            Err(why) => return unreadable(why),
        };
        let document = match Document::parse(&json, &Limits::default()) {
            Ok(document) => document,
            Err(why) => return unreadable(why.to_string()),
        };
        let registry = self.registry(names);
        let codes = Arc::new(PackagedCodes::new(self.definitions.clone(), registry.clone()));
        let validator = Validator::with(self.definitions.clone(), registry, codes);
        let asked = Asked { profiles, unknown_extensions: Some(Severity::Error), ..Asked::full() };
        validator.judge(None, document.root(), &asked)
    }
}

fn conformance(resource: Value<'_>, out: &mut Vec<Conformance>) {
    let of = |name: &str| resource.get(name).and_then(Value::as_str).map(|t| t.into_owned()).unwrap_or_default();
    if !of("url").is_empty() {
        let text = resource.raw().as_bytes();
        out.push(Conformance::new(&of("resourceType"), &of("url"), &of("version"), &of("type"), "case#1".into(), text));
    }
}

#[test]
fn verdicts_agree_with_the_reference() {
    let Some(files) = archive_paths("validator/validator-files.dev.tar.zst") else { return };
    let Some(manifest) = shared("validator/manifest.dev.json") else { return };
    let manifest = std::fs::read_to_string(manifest).expect("readable");
    let manifest: Vec<serde_json::Value> = serde_json::from_str(&manifest).expect("JSON");
    let cases = Cases { definitions: Definitions::core(), files: files.into_iter().collect() };
    let (mut all, mut agreeing) = (0, 0);
    for case in manifest.iter().filter(|c| c["tier"].as_str().is_some_and(|t| t.starts_with('A'))) {
        let list = |value: &serde_json::Value| -> Vec<String> {
            value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
        };
        let mut names = [list(&case["supporting"]), list(&case["profiles"])].concat();
        let file = case["file"].as_str().unwrap_or_default();
        let mut verdicts = vec![(cases.issues(file, &names, vec![]), &case["expected"], "")];
        let profile = &case["profile"];
        if let Some(source) = profile["source"].as_str() {
            names.extend(list(&profile["supporting"]));
            let own: Vec<String> = match source.starts_with("http") {
                true => vec![source.to_owned()],
                false => {
                    names.push(source.to_owned());
                    let url = cases.json(source).ok().and_then(|json| {
                        let document = Document::parse(&json, &Limits::default()).ok()?;
                        Some(document.root().get("url")?.as_str()?.into_owned())
                    });
                    url.into_iter().collect()
                }
            };
            verdicts.push((cases.issues(file, &names, own), &profile["expected"], " under its profile"));
        }
        for (issues, expected, what) in verdicts {
            let Some(valid) = expected["valid"].as_bool() else { continue };
            all += 1;
            let ours = !issues.iter().any(Issue::is_error);
            if ours == valid {
                agreeing += 1;
                continue;
            }
            println!("{}{what}: the reference says {valid}, we {ours}", case["id"]);
            for issue in issues.iter().filter(|i| i.is_error()).take(3) {
                println!("    ours: {} {}", issue.expression.as_deref().unwrap_or_default(), issue.diagnostics);
            }
            let reference = expected["issues"].as_array().into_iter().flatten();
            for issue in reference.filter(|i| i["severity"] == "error" || i["severity"] == "fatal").take(3) {
                println!("    reference: {} {}", issue["expression"], issue["text"]);
            }
        }
    }
    println!("{agreeing} of {all} verdicts agree ({} %)", agreeing * 100 / all);
    assert!(agreeing * 100 >= all * LEAST, "{agreeing} of {all} verdicts agree");
}
