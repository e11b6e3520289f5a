//! Formats of answers and of bodies.

use super::{SERVER, patient};
use serde_json::json;

const XML: &str = "application/fhir+xml";

#[test]
fn accept_chooses_the_format() {
    let id = SERVER.create(&patient("Shaw"));
    let path = format!("Patient/{id}");
    let check = |accept: &str, status: u16, content_type: &str| {
        let answer = SERVER.get_with(&path, &[("accept", accept)]);
        answer.is(status);
        assert!(answer.header("content-type").starts_with(content_type), "{accept}: {}", answer.header("content-type"));
    };
    check("*/*", 200, "application/fhir+json");
    check("application/json", 200, "application/fhir+json");
    check(XML, 200, XML);
    check("application/fhir+xml;q=0.2, application/fhir+json;q=0.9", 200, "application/fhir+json");
    check("text/html;q=0.5, application/fhir+json;q=0.9", 200, "application/fhir+json");
    check("application/fhir+json; fhirVersion=4.0", 200, "application/fhir+json");
    check("application/fhir+json; fhirVersion=3.0", 406, "application/fhir+json");
    check("application/x-nope", 406, "application/fhir+json");
    check("application/fhir+ndjson", 200, "application/fhir+ndjson");
}

#[test]
fn format_overrides_accept() {
    let id = SERVER.create(&patient("Shaw"));
    let check = |format: &str, content_type: &str| {
        let answer = SERVER.get_with(&format!("Patient/{id}?_format={format}"), &[("accept", "text/html")]);
        answer.is(200);
        assert!(answer.header("content-type").starts_with(content_type), "{format}");
    };
    check("json", "application/fhir+json");
    check("xml", XML);
    check("application/fhir%2Bxml", XML);
    check("application/fhir+xml", XML);
    check("text/json", "application/fhir+json");
    SERVER.get(&format!("Patient/{id}?_format=html")).refuses(406, "not-supported");
}

#[test]
fn xml_goes_in_and_out() {
    let xml = br#"<Patient xmlns="http://hl7.org/fhir"><name><family value="M&amp;M"/></name></Patient>"#;
    let created = SERVER.send("POST", "Patient", &[("content-type", XML), ("accept", XML)], Some(xml));
    created.is(201);
    assert!(created.text().contains("<family value=\"M&amp;M\"/>"), "{}", created.text());
    let location = created.header("location").to_owned();
    let path = location.strip_prefix(&SERVER.base).expect("under the base").trim_start_matches('/');
    assert_eq!(SERVER.get(path).json()["name"], json!([{"family": "M&M"}]));
    let error = SERVER.get_with("Patient/none", &[("accept", XML)]);
    error.is(404);
    assert!(error.text().contains("<OperationOutcome xmlns=\"http://hl7.org/fhir\">"), "{}", error.text());
}

#[test]
fn pretty_is_indented_and_the_same() {
    let id = SERVER.create(&patient("Shaw"));
    let plain = SERVER.get(&format!("Patient/{id}"));
    let pretty = SERVER.get(&format!("Patient/{id}?_pretty=true"));
    assert!(pretty.text().contains("\n  \"resourceType\"") || pretty.text().contains("{\n"), "{}", pretty.text());
    assert_eq!(pretty.json(), plain.json());
}

#[test]
fn a_search_can_be_had_as_ndjson() {
    let tag = json!([{"system": "urn:test", "code": "ndjson"}]);
    for family in ["One", "Two", "Three"] {
        let mut resource = patient(family);
        resource["meta"] = json!({"tag": tag});
        SERVER.create(&resource);
    }
    let answer = SERVER.get("Patient?_tag=urn:test|ndjson&_count=2&_format=ndjson");
    answer.is(200);
    assert_eq!(answer.header("content-type"), "application/fhir+ndjson; charset=utf-8");
    let lines: Vec<_> = answer.text().lines().map(crate::support::json).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line["resourceType"] == "Patient"));
    assert!(answer.header("link").ends_with("; rel=\"next\""), "{:?}", answer.headers);
}

#[test]
fn a_search_by_post_may_name_the_format() {
    let form = [("content-type", "application/x-www-form-urlencoded"), ("accept", "application/fhir+json")];
    let answer = SERVER.send("POST", "Patient/_search", &form, Some(b"name=Shaw&_format=xml"));
    answer.is(200);
    assert!(answer.header("content-type").starts_with(XML));
}

#[test]
fn only_what_fhir_can_be_is_read() {
    let check = |content_type: &str, status: u16| {
        let body = patient("Shaw").to_string();
        SERVER.send("POST", "Patient", &[("content-type", content_type)], Some(body.as_bytes())).is(status);
    };
    check("application/fhir+json", 201);
    check("application/json", 201);
    check("text/json", 201);
    check("application/fhir+json; charset=UTF-8; fhirVersion=4.0", 201);
    check("application/fhir+json; fhirVersion=3.0", 415);
    check("application/fhir+json; charset=utf-16", 415);
    check("text/plain", 415);
    check("application/x-www-form-urlencoded", 415);
    check("multipart/form-data; boundary=x", 415);
    let id = SERVER.create(&patient("Shaw"));
    let refused = SERVER.send("PATCH", &format!("Patient/{id}"), &[("content-type", "text/plain")], Some(b"x"));
    assert!(refused.is(415).header("accept-patch").contains("application/json-patch+json"));
    assert!(SERVER.get_with("metadata", &[("accept", "")]).is(200).header("content-type").contains("fhir+json"));
}

#[test]
fn a_binary_is_given_as_it_is_unless_fhir_is_asked_for() {
    let created = SERVER.send("POST", "Binary", &[("content-type", "text/html")], Some(b"<p>hello"));
    created.is(201);
    let location = created.header("location").to_owned();
    let path = location.split("/Binary/").nth(1).and_then(|p| p.split('/').next()).expect("an id");
    let raw = SERVER.get(&format!("Binary/{path}"));
    raw.is(200);
    assert_eq!((raw.header("content-type"), &raw.body[..]), ("text/html", &b"<p>hello"[..]));
    assert_eq!(raw.header("content-disposition"), "attachment");
    assert!(raw.header("content-security-policy").contains("sandbox"));
    let resource = SERVER.get_with(&format!("Binary/{path}"), &[("accept", "application/fhir+json")]);
    assert_eq!(resource.json()["data"], "PHA+aGVsbG8=");
}

#[test]
fn a_binary_is_updated_as_it_is_and_keeps_its_security_context() {
    let sent = [("content-type", "text/plain"), ("x-security-context", "Patient/1")];
    SERVER.send("PUT", "Binary/as-it-is", &sent, Some(b"first")).is(201);
    SERVER.send("PUT", "Binary/as-it-is", &sent, Some(b"second")).is(200);
    let raw = SERVER.get("Binary/as-it-is");
    raw.is(200);
    assert_eq!(&raw.body[..], b"second");
    assert_eq!(raw.header("x-security-context"), "Patient/1");
    assert_eq!(raw.header("etag"), "W/\"2\"");
    assert!(!raw.header("last-modified").is_empty());
    let resource = SERVER.get_with("Binary/as-it-is", &[("accept", "application/fhir+json")]);
    assert_eq!(resource.json()["securityContext"]["reference"], "Patient/1");
}

#[test]
fn packed_bodies_are_read() {
    use std::io::Write;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(patient("Shaw").to_string().as_bytes()).expect("packs");
    let body = packed.finish().expect("packs");
    let json = ("content-type", "application/fhir+json");
    SERVER.send("POST", "Patient", &[json, ("content-encoding", "gzip")], Some(&body)).is(201);
    SERVER.send("POST", "Patient", &[json, ("content-encoding", "gzip")], Some(b"no gzip")).is(400);
    SERVER.send("POST", "Patient", &[json, ("content-encoding", "br")], Some(&body)).is(415);
}
