//! The 566 official examples: created and read back.

use super::archive::json_files;
use crate::support::{TestServer, shared_data};
use vesta::json::{Document, Kind, Limits, Tree};

/// Examples that validation refuses, by name, with the reason.
const REFUSED: &[(&str, &str)] = &[
    ("Questionnaire-qs1.json", "Questionnaire.item.linkId is mandatory, and 32 items have none"),
    ("Bundle-10bb101f-a121-4264-a920-67be9cb82c74.json", "a fullUrl names pat12, its resource is pat2"),
    ("Bundle-3a0707d3-549e-4467-b8b8-5a2ab3800efe.json", "a fullUrl names pat12, its resource is pat2"),
    ("Bundle-lri-example.json", "16 fullUrls name other ids than their resources have"),
];

const JSON: [(&str, &str); 1] = [("content-type", "application/fhir+json")];

/// The resource without what a server sets.
fn comparable(bytes: &[u8]) -> Tree {
    let document = Document::parse(bytes, &Limits::default()).expect("JSON");
    assert_eq!(document.root().kind(), Kind::Object);
    let mut tree = Tree::from(document.root());
    let mut rest = Vec::new();
    if let Some(Tree::Object(meta)) = tree.remove("meta") {
        rest.extend(meta.into_iter().filter(|(k, _)| k != "versionId" && k != "lastUpdated"));
    }
    tree.remove("id");
    tree.remove("resourceType");
    let mut all = vec![("meta".to_owned(), Tree::Object(rest))];
    if let Tree::Object(entries) = tree {
        all.extend(entries);
    }
    Tree::Object(all)
}

#[test]
fn created_and_read_back() {
    let Some(data) = shared_data("the official examples") else { return };
    let server = TestServer::start();
    let files = json_files(&data.join("r4-examples/r4-examples-dev.tar.zst"));
    let mut faults = Vec::new();
    let mut created = 0;
    for (name, example) in &files {
        let kind = name.split('-').next().expect("a type");
        let answer = server.send("POST", kind, &JSON, Some(example));
        let refused = REFUSED.iter().any(|(file, _)| file == name);
        if answer.status != 201 || refused {
            if !(refused && answer.status == 422) {
                faults.push(format!("{name}: {} {}", answer.status, answer.text()));
            }
            continue;
        }
        created += 1;
        let location = answer.header("location").split("/fhir/").nth(1).expect("a location").to_owned();
        // A Binary would come raw without this.
        let read = server.get_with(&location, &[("accept", "application/fhir+json")]);
        assert_eq!(read.status, 200, "{name}");
        // Trees keep lexemes of numbers, dates as text, and the order of objects: equal means nothing was lost.
        if comparable(&read.body) != comparable(example) {
            faults.push(format!("{name} came back changed"));
        }
    }
    println!("{created} of {} examples created and read back unchanged", files.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(created + REFUSED.len(), files.len());
}
