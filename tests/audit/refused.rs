//! What is refused before it is an interaction leaves a record as well: media types, sizes, bodies that cannot be read.

use super::*;

/// The query of a record, decoded.
fn query(record: &Value) -> String {
    use base64::Engine;
    let entities = record["entity"].as_array().map(Vec::as_slice).unwrap_or_default();
    let query = entities.iter().find_map(|entity| entity["query"].as_str()).unwrap_or_default();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(query).expect("base64")).expect("UTF-8")
}

/// The status, then method, path, headers and body of a request.
type Case<'c> = (u16, &'c str, &'c str, &'c [(&'c str, &'c str)], Option<&'c [u8]>);

#[test]
fn what_never_becomes_an_interaction_is_told() {
    let server = server();
    let json = [("content-type", "application/fhir+json")];
    let xml = [("content-type", "application/fhir+xml")];
    let cases: [Case<'_>; 7] = [
        (406, "GET", "Patient", &[("accept", "image/png")], None),
        (415, "POST", "Patient", &[("content-type", "image/png")], Some(b"x")),
        (400, "POST", "Patient", &xml, Some(b"<Patient xmlns=\"http://hl7.org/fhir\"><")),
        (400, "PUT", "Patient/x", &json, None),
        (400, "GET", "Patient/%FF", &[], None),
        (
            400,
            "POST",
            "Patient",
            &[("content-type", "application/fhir+json"), ("content-encoding", "gzip")],
            Some(b"no"),
        ),
        (405, "TRACE", "Patient", &[], None),
    ];
    for (status, method, path, headers, body) in cases {
        let (answer, record) = only_record(&server, || server.send(method, path, headers, body));
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        assert_eq!(
            (record["type"]["code"].as_str(), record["outcome"].as_str()),
            (Some("110113"), Some("4")),
            "{record}"
        );
        assert!(record["outcomeDesc"].as_str().is_some_and(|why| !why.is_empty()), "{record}");
        assert!(query(&record).starts_with(&format!("{method} /fhir/{path}")), "{} {record}", query(&record));
    }
}
