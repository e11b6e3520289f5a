//! The cases of the official validator that need no terminology server: our verdict (valid or not), as `$validate`
//! gives it if nothing is set, beside that of the reference. Skipped where the data is missing.

use super::corpus::{archive_paths, shared};
use super::{Asked, Validator};
use crate::base::{Issue, Severity};
use crate::definitions::{Conformance, Definitions, PackageInfo, Registry};
use crate::json::{Document, Limits, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// Verdicts that have to agree at least, in hundredths.
const VERDICTS: usize = 90;
/// Cases all of whose verdicts have to agree at least, in hundredths.
const CASES: usize = 88;

/// Who is right where the verdicts differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    /// The reference; what it sees is not looked at here.
    Reference,
    /// We, by the specification.
    We,
    /// Neither: it depends on what is known or set beside the resource.
    Both,
}

/// Every disagreement: the number of the case, who is right, and why.
#[rustfmt::skip]
const DISAGREEMENTS: &[(&str, Right, &str)] = &[
    ("157", Right::Both, "a display that a supplement has in another language; a wrong display is a warning here, an error there"),
    ("177", Right::Both, "an extension that is not known is legal FHIR and told as information here; the reference forbids it unless it is set otherwise"),
    ("217", Right::Both, "the target of the link is a resource beside the document, which the reference had loaded"),
    ("220", Right::Both, "the target of the link is a resource beside the document, which the reference had loaded"),
    ("256", Right::We, "the profile allows Patient and Location, and the reference names another type; the case turns the check off"),
    ("260", Right::Reference, "types of search parameters that are not those of their definitions are a warning here, since official examples have such"),
    ("291", Right::Reference, "what a Measure names in a CQL library is not looked up"),
    ("295", Right::Both, "in R4 subjectResults is one List of reports, which has not as many entries as subjects; that it names a Patient is a warning here"),
    ("327", Right::Both, "tags in plain strings are legal FHIR; the case turns on a check that forbids them"),
    ("341", Right::Reference, "an observation that is not declared as body temperature is not held against that profile for its code"),
    ("343", Right::Both, "the profile comes from the `global` of an ImplementationGuide that the case loads"),
    ("351", Right::Both, "the target lies outside of the document, and whether it is there is no matter of validation here"),
    ("362", Right::Reference, "profiles that Parameters name for a resource in another parameter are not taken over"),
    ("391", Right::Both, "an extension that is not known is legal FHIR and told as information here; the reference forbids it unless it is set otherwise"),
    ("405", Right::Both, "extensions of example.org are allowed here; the case turns them off"),
    ("440", Right::We, "an id of a contained resource has 64 characters at most (R4 datatypes.html#id); the case turns the check off"),
    ("565", Right::Both, "an extension that is not known is legal FHIR and told as information here; the reference forbids it unless it is set otherwise"),
    ("566", Right::Both, "an extension that is not known is legal FHIR and told as information here; the reference forbids it unless it is set otherwise"),
    ("567", Right::Reference, "obligation profiles are of later versions"),
    ("607", Right::Reference, "txt-2 is a warning here, since official examples break it"),
    ("614", Right::Reference, "a relative reference between entries of another base is a warning here, since published documents have it"),
    ("630", Right::Both, "the definition of an extension names a profile that is not at hand, which is a warning here"),
    ("647", Right::We, "a definition that is derived from itself cannot be used"),
    ("680", Right::Reference, "links in narratives are not followed"),
    ("798", Right::We, "the answer to a choice is a Coding; words are for open-choice (R4 valueset-item-type.html)"),
    ("822", Right::Both, "a wrong display is a warning here, an error there"),
    ("861", Right::Reference, "what a profile asks of the sources of a narrative (`narrative-source-control`) is of later versions"),
];

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
        let validator = Validator::new(self.definitions.clone()).over(registry);
        // As `$validate` asks.
        let (unknown_extensions, other_than_measure) = (Some(Severity::Information), Severity::Error);
        let asked = Asked { profiles, unknown_extensions, other_than_measure, ..Asked::full() };
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
    let (mut cases_all, mut cases_agreeing) = (0, 0);
    let mut differing = Vec::new();
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
        let before = differing.len();
        for (issues, expected, what) in verdicts {
            let Some(valid) = expected["valid"].as_bool() else { continue };
            all += 1;
            let ours = !issues.iter().any(Issue::is_error);
            if ours == valid {
                agreeing += 1;
                continue;
            }
            let number = case["id"].as_str().and_then(|id| id.split('-').next()).unwrap_or_default().to_owned();
            let listed = DISAGREEMENTS.iter().find(|(n, _, _)| *n == number);
            println!("{}{what}: the reference says {valid}, we {ours}; right: {listed:?}", case["id"]);
            differing.push(number);
            for issue in issues.iter().filter(|i| i.is_error()).take(3) {
                println!("    ours: {} {}", issue.expression.as_deref().unwrap_or_default(), issue.diagnostics);
            }
            let reference = expected["issues"].as_array().into_iter().flatten();
            for issue in reference.filter(|i| i["severity"] == "error" || i["severity"] == "fatal").take(3) {
                println!("    reference: {} {}", issue["expression"], issue["text"]);
            }
        }
        cases_all += 1;
        cases_agreeing += usize::from(differing.len() == before);
    }
    println!("{agreeing} of {all} verdicts agree ({} %)", agreeing * 100 / all);
    println!("{cases_agreeing} of {cases_all} cases agree ({} %)", cases_agreeing * 100 / cases_all);
    assert!(agreeing * 100 >= all * VERDICTS, "{agreeing} of {all} verdicts agree");
    assert!(cases_agreeing * 100 >= cases_all * CASES, "{cases_agreeing} of {cases_all} cases agree");
    let unlisted: Vec<_> = differing.iter().filter(|d| !DISAGREEMENTS.iter().any(|(n, _, _)| n == *d)).collect();
    assert!(unlisted.is_empty(), "nobody says who is right in {unlisted:?}");
    let mended: Vec<_> = DISAGREEMENTS.iter().filter(|(n, _, _)| !differing.iter().any(|d| d == n)).collect();
    assert!(mended.is_empty(), "these agree by now: {mended:?}");
}
