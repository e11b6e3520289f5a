//! TLS, with a certificate that was made for this test only (see `tls/`).

use crate::support::TestServer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use vesta::cli::settings::Settings;

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/http/tls")
}

#[test]
fn https_is_served_with_hsts_and_offers_http_2() {
    let settings = Settings {
        tls_cert: Some(folder().join("server.pem")),
        tls_key: Some(folder().join("server.key")),
        ..Settings::default()
    };
    let server = TestServer::with(settings);
    assert!(server.base.starts_with("https://"), "{}", server.base);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder().join("ca.pem")).expect("a certificate")).expect("a root");
    let mut client = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    client.alpn_protocols = vec![b"h2".to_vec()];
    let connect = |client: rustls::ClientConfig| {
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = rustls::ClientConnection::new(Arc::new(client), name).expect("a connection");
        let stream = TcpStream::connect(server.address()).expect("connects");
        rustls::StreamOwned::new(connection, stream)
    };
    let mut offered = connect(client.clone());
    offered.conn.complete_io(&mut offered.sock).expect("shakes hands");
    assert_eq!(offered.conn.alpn_protocol(), Some(&b"h2"[..]));

    client.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut stream = connect(client);
    stream.write_all(b"GET /fhir/metadata HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").expect("sends");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{}", &answer[..answer.len().min(200)]);
    assert!(answer.to_ascii_lowercase().contains("strict-transport-security: max-age="));
    assert!(answer.contains("\"url\":\"https://localhost/fhir\""), "the base is https");

    let mut plain = TcpStream::connect(server.address()).expect("connects");
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").expect("sends");
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("200 OK"), "no plain HTTP on this port");
}

/// H06: nothing below TLS 1.2.
#[test]
fn old_versions_of_tls_are_refused() {
    let settings = Settings {
        tls_cert: Some(folder().join("server.pem")),
        tls_key: Some(folder().join("server.key")),
        ..Settings::default()
    };
    let server = TestServer::with(settings);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(folder().join("ca.pem")).expect("a certificate")).expect("a root");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let client = rustls::ClientConfig::builder_with_protocol_versions(&[version]);
        let client = client.with_root_certificates(roots.clone()).with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let mut connection = rustls::ClientConnection::new(Arc::new(client), name).expect("a connection");
        let mut stream = TcpStream::connect(server.address()).expect("connects");
        connection.complete_io(&mut stream).expect("shakes hands");
        assert_eq!(connection.protocol_version(), Some(version.version));
    }
    // No client library offers them any more: a ClientHello by hand (RFC 4346 7.4.1.2), with suites of that time.
    for minor in [0_u8, 1, 2] {
        let mut hello = vec![3, minor];
        hello.extend([7; 32]);
        hello.extend([0, 0, 4, 0xC0, 0x13, 0, 0x2F, 1, 0]);
        let length = u8::try_from(hello.len()).expect("short");
        let mut record = vec![22, 3, minor, 0, length + 4, 1, 0, 0, length];
        record.extend(hello);
        let mut stream = TcpStream::connect(server.address()).expect("connects");
        stream.set_read_timeout(Some(std::time::Duration::from_secs(30))).expect("a setting");
        stream.write_all(&record).expect("sends");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        // An alert, or nothing; never a ServerHello.
        assert!(answer.first().is_none_or(|kind| *kind == 21), "3.{minor}: {answer:?}");
    }
}
