//! What is served beside FHIR: the page, the documents, health, metrics.

use super::SERVER;
use crate::support::{Client, TestServer};
use vesta::cli::settings::{Auth, Settings};

#[test]
fn the_page_says_what_this_is() {
    let answer = SERVER.get("/");
    answer.is(200);
    assert!(answer.header("content-type").starts_with("text/html"));
    assert!(answer.text().contains(&SERVER.base));
    assert!(!answer.text().contains("Authorization") && !answer.text().contains("/auth/"));
    SERVER.get("/nothing/here").refuses(404, "not-found");
    SERVER.send("POST", "/", &[], Some(b"x")).is(405);
}

/// What the page shows works: with access control on, its commands have a token, and its links lead somewhere without.
#[test]
fn the_page_says_how_to_get_in() {
    let server = TestServer::with(Settings { auth: Some(Auth::On), ..Settings::default() });
    let text = server.get("/").is(200).text();
    let commands = text.split("<pre>").nth(1).and_then(|rest| rest.split("</pre>").next()).expect("commands");
    for command in commands.split("curl ").filter(|command| command.contains("/Patient")) {
        assert!(command.contains("-H \"Authorization: Bearer $TOKEN\""), "{command}");
    }
    assert!(commands.lines().all(|line| line.len() < 80), "lines that fit on the page: {commands}");
    assert!(text.contains("href=\"/auth/sign-in\""), "{text}");
    for link in text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let path = link.strip_prefix(&server.base).map_or(link, |rest| rest.trim_start_matches('/'));
        server.get(&path.replace("&amp;", "&")).is(200);
    }
}

#[test]
fn health_is_told() {
    assert_eq!(SERVER.get("/health/live").is(200).json()["status"], "ok");
    assert_eq!(SERVER.get("/health/ready").is(200).json()["status"], "ok");
}

#[test]
fn the_documents_page_loads_nothing_from_elsewhere() {
    let redirect = SERVER.get("/docs");
    redirect.is(308);
    assert_eq!(redirect.header("location"), "/docs/");
    let page = SERVER.get("/docs/");
    page.is(200);
    let mut files = vec![page.text()];
    for part in page.text().split(['"', '\'']).filter(|p| p.ends_with(".js") || p.ends_with(".css")) {
        assert!(!part.contains("//"), "{part}");
        let file = SERVER.get(&format!("/docs/{}", part.trim_start_matches("./")));
        file.is(200);
        files.push(file.text());
    }
    assert!(files.len() >= 4, "page, style and scripts");
    assert!(files[0].len() < 5_000, "the page itself is small");
    let start = SERVER.get("/docs/swagger-initializer.js").text();
    assert!(start.contains("/openapi.json") && start.contains("\"validatorUrl\": \"none\""), "{start}");
    SERVER.get("/docs/../../etc/passwd").is(404);
}

#[test]
fn openapi_is_served() {
    let document = SERVER.get("/openapi.json").is(200).json();
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/Patient/{id}"]["get"].is_object());
}

#[test]
fn metrics_are_on_a_listener_of_their_own() {
    let settings = Settings { metrics_bind: "127.0.0.1:0".parse().ok(), ..Settings::default() };
    let server = TestServer::with(settings);
    server.get("metadata").is(200);
    server.get("Patient/none").is(404);
    server.get("/metrics").is(404);
    let at = server.metrics.expect("a listener for metrics");
    let text = Client::new(&format!("http://{at}")).get("/metrics").is(200).text();
    for line in [
        "vesta_http_requests_total{interaction=\"capabilities\",status=\"2xx\"} 1",
        "vesta_http_requests_total{interaction=\"read\",status=\"4xx\"} 1",
        "vesta_http_request_seconds_count 3",
        "vesta_http_requests_in_flight 0",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is missing in\n{text}");
    }
}
