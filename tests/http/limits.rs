//! Bounds of size and time.

use super::{SERVER, patient};
use crate::support::TestServer;
use serde_json::json;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use vesta::cli::settings::Settings;

const JSON: (&str, &str) = ("content-type", "application/fhir+json");

fn small() -> TestServer {
    let settings = Settings {
        max_body: "100kB".parse().ok(),
        header_time: "500ms".parse().ok(),
        body_time: "700ms".parse().ok(),
        ..Settings::default()
    };
    TestServer::with(settings)
}

/// What comes back for bytes sent as they are, until the server closes the connection or is silent for a while.
fn raw(server: &TestServer, parts: &[&[u8]]) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("connects");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
    for part in parts {
        if stream.write_all(part).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(n) = stream.read(&mut buffer) {
        answer.extend_from_slice(&buffer[..n]);
        if n == 0 || String::from_utf8_lossy(&answer).contains("\r\n\r\n") && answer.ends_with(b"}") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// The code of the only issue in an answer, which has this status and carries what every answer does.
fn outcome(answer: &str, status: &str) -> String {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {answer:?}"));
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{answer}");
    assert!(
        head.contains("\r\nx-request-id: ") && head.contains("\r\ncontent-type: application/fhir+json"),
        "{answer}"
    );
    let outcome: serde_json::Value = serde_json::from_str(body).unwrap_or_else(|e| panic!("{e}: {answer}"));
    assert_eq!(
        (&outcome["resourceType"], &outcome["issue"][1]),
        (&json!("OperationOutcome"), &json!(null)),
        "{answer}"
    );
    outcome["issue"][0]["code"].as_str().expect("a code").to_owned()
}

#[test]
fn a_body_over_the_limit_is_413() {
    let server = small();
    let body = vec![b' '; 200 << 10];
    server.send("POST", "Patient", &[JSON], Some(&body)).refuses(413, "too-long");
    server.create(&patient("Shaw"));
}

#[test]
fn a_body_over_the_limit_without_a_length_is_413() {
    let server = small();
    let mut parts: Vec<Vec<u8>> = vec![
        b"POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-type: application/fhir+json\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    ];
    for _ in 0..20 {
        parts.push([b"2800\r\n".as_slice(), &[b' '; 0x2800], b"\r\n"].concat());
    }
    parts.push(b"0\r\n\r\n".to_vec());
    let answer = raw(&server, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("OperationOutcome"), "{answer}");
}

#[test]
fn a_gzip_bomb_is_413() {
    let server = small();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packed.write_all(&[b' '; 1 << 20]).expect("packs");
    }
    let bomb = packed.finish().expect("packs");
    assert!(bomb.len() < 100 << 10);
    let began = Instant::now();
    server.send("POST", "Patient", &[JSON, ("content-encoding", "gzip")], Some(&bomb)).refuses(413, "too-long");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn all_bodies_together_are_bounded() {
    let settings = Settings { max_bodies: "150kB".parse().ok(), ..Settings::default() };
    let server = TestServer::with(settings);
    let head = "POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-type: application/fhir+json\r\ncontent-length: 120000\r\n\r\n";
    let body = vec![b' '; 80_000];
    // Which of two bodies is one too many depends on which is read first: tried until it is the second.
    let (mut slow, mut refused) = (None, None);
    for pause in 1..50 {
        let mut stream = TcpStream::connect(server.address()).expect("connects");
        stream.write_all(head.as_bytes()).expect("sends");
        stream.write_all(&vec![b' '; 100_000]).expect("sends");
        std::thread::sleep(Duration::from_millis(10 * pause));
        slow = Some(stream);
        refused = Some(server.send("POST", "Patient", &[JSON], Some(&body)));
        if refused.as_ref().is_some_and(|answer| answer.status == 503) {
            break;
        }
    }
    let refused = refused.expect("sent");
    refused.refuses(503, "throttled");
    assert_eq!(refused.header("retry-after"), "1");
    server.create(&patient("Shaw"));
    drop(slow);
    for _ in 0..100 {
        if server.send("POST", "Patient", &[JSON], Some(&body)).status == 400 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("what a broken connection held was not given back");
}

#[test]
fn a_long_address_is_414() {
    SERVER.get(&format!("Patient/{}", "x".repeat(20_000))).refuses(414, "too-long");
}

#[test]
fn large_headers_are_431() {
    let answer =
        raw(&SERVER, &[b"GET /fhir/metadata HTTP/1.1\r\nhost: x\r\nx-large: ", &vec![b'x'; 200 << 10], b"\r\n\r\n"]);
    assert_eq!(outcome(&answer, "431"), "too-long");
    // Smaller ones get through to Vesta, as by HTTP/2 much larger ones do.
    let large = "x".repeat(70_000);
    for path in ["metadata", "Patient", "/", "/openapi.json"] {
        SERVER.get_with(path, &[("x-large", &large)]).refuses(431, "too-long");
    }
    SERVER.get_with("metadata", &[("x-large", &large[..60_000])]).is(200);
}

/// Who says how much is to come is answered without it.
#[test]
fn a_body_that_is_announced_too_large_is_not_waited_for() {
    let head =
        "POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-type: application/fhir+json\r\ncontent-length: 99999999\r\n";
    for rest in ["\r\n{", "expect: 100-continue\r\n\r\n"] {
        let answer = raw(&SERVER, &[head.as_bytes(), rest.as_bytes()]);
        let answer = answer.strip_prefix("HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
        assert_eq!(outcome(answer, "413"), "too-long", "{rest:?}");
    }
    let body = patient("Asks").to_string();
    let asks = head.replace("99999999", &body.len().to_string()) + "expect: 100-continue\r\n\r\n";
    let answer = raw(&SERVER, &[asks.as_bytes(), body.as_bytes()]);
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 "), "{answer}");
}

/// What is no HTTP never becomes a request, and is answered like one.
#[test]
fn what_is_no_http_is_refused_and_harms_nobody() {
    let get = |rest: &str| format!("GET /fhir/metadata HTTP/1.1\r\nhost: x\r\n{rest}\r\n\r\n");
    let post = |rest: &str| get(&format!("content-type: application/fhir+json\r\n{rest}")).replacen("GET", "POST", 1);
    for sent in [
        "NONSENSE\r\n\r\n".to_owned(),
        "GET /fhir/metadata\r\n\r\n".to_owned(),
        "GET /fhir/metadata HTTP/7.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /fhir/me ta HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        get("no colon"),
        get("a b: c"),
        get("a: \0"),
        post("content-length: two"),
        post("content-length: -2"),
        post("content-length: 2\r\ncontent-length: 3"),
        post("content-length: 2\r\ntransfer-encoding: chunked"),
    ] {
        let answer = raw(&SERVER, &[sent.as_bytes()]);
        assert_eq!(outcome(&answer, "400"), "structure", "{sent:?}");
    }
    for query in ["birthdate=<2010", "name=M\u{fc}ller", "name=\"Shaw\""] {
        let answer = raw(&SERVER, &[get("").replace("metadata", &format!("Patient?{query}")).as_bytes()]);
        assert!(outcome(&answer, "400") == "structure" && answer.contains("percent-encoded"), "{answer}");
    }
    // After a request that was one, on the same connection, which is closed then.
    let mut stream = TcpStream::connect(SERVER.address()).expect("connects");
    let both = get("").replace("metadata", "Patient/nobody") + "NONSENSE\r\n\r\n";
    stream.write_all(both.as_bytes()).expect("sends");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let at = answer.rfind("HTTP/1.1 ").expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 404 ") && at > 0, "{answer}");
    assert_eq!(outcome(&answer[at..], "400"), "structure");
    SERVER.get("metadata").is(200);
}

/// What a client stored is given back byte for byte, also where it looks like an answer of the HTTP library.
#[test]
fn content_that_ends_like_an_answer_stays_as_it_is() {
    let content = b"x\r\n\r\nHTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    let created = SERVER.send("POST", "Binary", &[("content-type", "application/octet-stream")], Some(content));
    let id = created.is(201).json()["id"].as_str().map(str::to_owned);
    let raw = SERVER.get(&format!("Binary/{}", id.expect("an id")));
    assert_eq!(raw.is(200).body, content);
}

#[test]
fn slow_headers_are_408() {
    let server = small();
    let began = Instant::now();
    let answer = raw(&server, &[b"GET /fhir/metadata HTTP/1.1\r\nhost: x\r\n"]);
    assert_eq!(outcome(&answer, "408"), "timeout");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_slow_body_is_408() {
    let server = small();
    let began = Instant::now();
    let head = b"POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-type: application/fhir+json\r\ncontent-length: 100\r\n\r\n{";
    let answer = raw(&server, &[head]);
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.contains("\"timeout\""), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(30));
}

#[test]
fn other_requests_go_on_while_bodies_are_slow() {
    let server = small();
    let held: Vec<TcpStream> = (0..50)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address()).expect("connects");
            let head = b"POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
            stream.write_all(head).expect("sends");
            stream
        })
        .collect();
    let began = Instant::now();
    server.get("metadata").is(200);
    assert!(began.elapsed() < Duration::from_millis(600));
    drop(held);
}
