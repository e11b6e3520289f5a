//! Requests from pages of other origins.

use super::SERVER;

const ORIGIN: (&str, &str) = ("origin", "https://app.example");

#[test]
fn a_preflight_allows_what_clients_send() {
    let headers = [
        ORIGIN,
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization, content-type, if-match"),
    ];
    let answer = SERVER.send("OPTIONS", "Patient/1", &headers, None);
    answer.is(204);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(!answer.headers.contains_key("access-control-allow-credentials"));
    assert!(answer.header("access-control-allow-methods").contains("PUT"));
    let allowed = answer.header("access-control-allow-headers");
    for name in [
        "authorization",
        "content-type",
        "prefer",
        "if-match",
        "if-none-match",
        "if-none-exist",
        "if-modified-since",
        "x-provenance",
        "x-request-id",
    ] {
        assert!(allowed.split(", ").any(|a| a == name), "{name} in {allowed}");
    }
}

#[test]
fn answers_can_be_read_and_their_headers_too() {
    for path in ["metadata", "Patient/none", "/openapi.json"] {
        let answer = SERVER.get_with(path, &[ORIGIN]);
        assert_eq!(answer.header("access-control-allow-origin"), "*", "{path}");
        let exposed = answer.header("access-control-expose-headers");
        for name in ["ETag", "Last-Modified", "Location", "Content-Location", "X-Request-Id"] {
            assert!(exposed.split(", ").any(|e| e == name), "{name} in {exposed}");
        }
    }
    assert!(!SERVER.get("metadata").headers.contains_key("access-control-allow-origin"), "nobody asked");
}
