//! Status and headers of answers.

use super::{SERVER, patient};
use serde_json::json;

#[test]
fn a_create_says_what_and_where() {
    let answer = SERVER.put("POST", "Patient", &patient("Shaw"));
    answer.is(201);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.header("location"), format!("{}/Patient/{id}/_history/1", SERVER.base));
    assert_eq!(answer.header("etag"), "W/\"1\"");
    assert_eq!(answer.header("content-type"), "application/fhir+json; charset=utf-8");
    let date = answer.header("last-modified");
    assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
}

#[test]
fn a_read_has_the_headers_of_its_version() {
    let id = SERVER.create(&patient("Shaw"));
    let answer = SERVER.get(&format!("Patient/{id}"));
    answer.is(200);
    assert_eq!(answer.header("etag"), "W/\"1\"");
    assert!(!answer.header("last-modified").is_empty());
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert!(!answer.headers.contains_key("server"), "no banner");
    assert!(!answer.headers.contains_key("strict-transport-security"), "only with TLS");
}

#[test]
fn head_is_get_without_the_body() {
    let id = SERVER.create(&patient("Shaw"));
    let get = SERVER.get(&format!("Patient/{id}"));
    let head = SERVER.send("HEAD", &format!("Patient/{id}"), &[], None);
    head.is(200);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), get.body.len().to_string());
    for name in ["etag", "last-modified", "content-type"] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
}

#[test]
fn what_is_current_is_304_without_a_body() {
    let id = SERVER.create(&patient("Shaw"));
    let path = format!("Patient/{id}");
    let answer = SERVER.get_with(&path, &[("if-none-match", "W/\"1\"")]);
    answer.is(304);
    assert!(answer.body.is_empty());
    assert_eq!(answer.header("etag"), "W/\"1\"");
    SERVER.get_with(&path, &[("if-none-match", "W/\"2\"")]).is(200);
    SERVER.get_with(&path, &[("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT")]).is(304);
    SERVER.get_with(&path, &[("if-modified-since", "Sat, 01 Jan 2000 00:00:00 GMT")]).is(200);
    SERVER.get_with(&path, &[("if-modified-since", "yesterday")]).is(200);
}

#[test]
fn a_stale_if_match_is_412() {
    let id = SERVER.create(&patient("Shaw"));
    let mut changed = patient("Bell");
    changed["id"] = json!(id);
    let body = changed.to_string();
    let send = |version: &str| {
        let headers = [("content-type", "application/fhir+json"), ("if-match", version)];
        SERVER.send("PUT", &format!("Patient/{id}"), &headers, Some(body.as_bytes()))
    };
    send("W/\"7\"").is(412);
    send("W/\"1\"").is(200);
    send("W/\"1\"").is(412);
}

#[test]
fn prefer_chooses_what_comes_back() {
    let send = |prefer: &str| {
        let headers = [("content-type", "application/fhir+json"), ("prefer", prefer)];
        SERVER.send("POST", "Patient", &headers, Some(patient("Shaw").to_string().as_bytes()))
    };
    let minimal = send("return=minimal");
    assert!(minimal.is(201).body.is_empty() && !minimal.header("location").is_empty());
    assert_eq!(send("return=representation").is(201).json()["resourceType"], "Patient");
    assert_eq!(send("return=OperationOutcome").is(201).json()["resourceType"], "OperationOutcome");
}

#[test]
fn what_is_not_there_is_told_apart() {
    SERVER.get("Patient/never-was").refuses(404, "not-found");
    SERVER.get("Nothing/1").refuses(404, "not-supported");
    SERVER.get("no/such/path/at/all").is(404);
    let id = SERVER.create(&patient("Shaw"));
    SERVER.get(&format!("Patient/{id}/_history/2")).refuses(404, "not-found");
    let gone = SERVER.send("DELETE", &format!("Patient/{id}"), &[], None);
    assert!(matches!(gone.status, 200 | 204), "{}", gone.status);
    SERVER.get(&format!("Patient/{id}")).refuses(410, "deleted");
    SERVER.get(&format!("Patient/{id}/_history/1")).is(200);
}

#[test]
fn a_method_that_is_not_served_is_405_and_says_which_are() {
    let answer = SERVER.put("PUT", "metadata", &patient("Shaw"));
    answer.refuses(405, "not-supported");
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
    // The address is judged before the body, whatever is sent, if anything.
    for (method, path) in [
        ("POST", "metadata"),
        ("PATCH", "metadata"),
        ("POST", "Patient/x"),
        ("PUT", "Patient/_history"),
        ("PUT", ""),
        ("PATCH", "Basic/x/_history/1"),
    ] {
        for (kind, body) in [("text/plain", None), ("text/plain", Some("x")), ("application/fhir+json", Some("{"))] {
            let headers = [("content-type", kind)];
            SERVER.send(method, path, &headers, body.map(str::as_bytes)).refuses(405, "not-supported");
        }
    }
    SERVER.send("POST", "Nope", &[("content-type", "text/plain")], Some(b"x")).refuses(404, "not-supported");
    SERVER.send("DELETE", "", &[], None).is(405);
    SERVER.send("TRACE", "Patient", &[], None).is(405);
    SERVER.send("BREW", "Patient", &[], None).is(405);
}

#[test]
fn options_tells_the_methods() {
    let answer = SERVER.send("OPTIONS", "Patient/1", &[], None);
    answer.is(204);
    assert_eq!(answer.header("allow"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
}

#[test]
fn request_ids_are_echoed_or_made() {
    let id_of = |sent: &str| SERVER.get_with("metadata", &[("x-request-id", sent)]).header("x-request-id").to_owned();
    assert_eq!(id_of("abc-123"), "abc-123");
    assert_eq!(id_of(&"x".repeat(200)).len(), 32);
    assert_eq!(id_of("<script> 1").len(), 32);
    assert_eq!(SERVER.get("metadata").header("x-request-id").len(), 32);
    assert_eq!(SERVER.get_with("Patient/none", &[("x-request-id", "e-1")]).header("x-request-id"), "e-1");
}

#[test]
fn large_answers_are_packed_for_those_who_take_it() {
    use std::io::Read;
    let plain = SERVER.get("metadata");
    assert!(!plain.headers.contains_key("content-encoding"));
    let packed = SERVER.get_with("metadata", &[("accept-encoding", "br, gzip;q=0.8")]);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.body.len() * 4 < plain.body.len());
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut text).expect("gzip");
    assert_eq!(text.len(), plain.body.len());
    let refused = SERVER.get_with("metadata", &[("accept-encoding", "gzip;q=0")]);
    assert!(!refused.headers.contains_key("content-encoding"));
    let id = SERVER.create(&patient("Shaw"));
    let small = SERVER.get_with(&format!("Patient/{id}"), &[("accept-encoding", "gzip")]);
    assert!(!small.headers.contains_key("content-encoding"), "too small to be worth it");
}

#[test]
fn links_begin_with_the_base_that_the_client_used() {
    let answer = SERVER.get_with("Patient?_count=1", &[("host", "fhir.example.org:8443")]);
    let link = answer.is(200).json()["link"][0]["url"].as_str().expect("a self link").to_owned();
    assert!(link.starts_with("http://fhir.example.org:8443/fhir/Patient"), "{link}");
    SERVER.get_with("Patient", &[("host", "evil\"><script>")]).refuses(400, "invalid");
}
