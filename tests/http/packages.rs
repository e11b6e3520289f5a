//! Packages that want to leave their folder or to fill the memory are refused over HTTP, and what a package says of the
//! whole server is in the CapabilityStatement. How unknown profiles are taken.

use super::profiles::issues;
use crate::support::TestServer;
use serde_json::json;
use vesta::cli::settings::Settings;

const MANIFEST: &str = r#"{"name":"org.example.small","version":"1.0.0"}"#;

/// A package of these files beside its manifest.
fn packed(files: &[(&str, &[u8], tar::EntryType)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best()));
    let manifest = ("package/package.json", MANIFEST.as_bytes(), tar::EntryType::Regular);
    for (name, content, kind) in [manifest].iter().chain(files) {
        let mut header = tar::Header::new_gnu();
        // Written by hand, as the crate refuses to write what is to be refused.
        header.as_gnu_mut().expect("gnu").name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_entry_type(*kind);
        header.set_cksum();
        builder.append(&header, *content).expect("tar");
    }
    builder.into_inner().expect("tar").finish().expect("gzip")
}

const FILE: tar::EntryType = tar::EntryType::Regular;
const BINARY: [(&str, &str); 1] = [("content-type", "application/octet-stream")];

#[test]
fn hostile_packages_are_refused() {
    let server = TestServer::start();
    let set = (
        "package/ValueSet-v.json",
        br#"{"resourceType":"ValueSet","url":"http://example.org/v","version":"1","status":"active"}"#.as_slice(),
        FILE,
    );
    let spaces = vec![b' '; 65 << 20];
    for (name, content, kind) in [
        ("package/../../../tmp/vesta-out.json", b"{}".as_slice(), FILE),
        ("/tmp/vesta-out.json", b"{}", FILE),
        ("package/link.json", b"", tar::EntryType::Symlink),
        ("package/hard.json", b"", tar::EntryType::Link),
        ("package/ValueSet-bomb.json", &spaces, FILE),
    ] {
        let package = packed(&[set, (name, content, kind)]);
        assert!(package.len() < 1 << 20, "small when packed");
        server.send("POST", "$package-add", &BINARY, Some(&package)).refuses(422, "invalid");
    }
    assert!(!std::path::Path::new("/tmp/vesta-out.json").exists());
    assert!(server.get("$package-list").is(200).json().get("parameter").is_none());
    server.send("POST", "$package-add", &BINARY, Some(&packed(&[set]))).is(200);
}

#[test]
fn a_statement_of_a_package_is_instantiated() {
    let server = TestServer::start();
    let statement = |name: &str, kind: &str| {
        json!({"resourceType": "CapabilityStatement", "url": format!("http://example.org/{name}"), "version": "2",
               "status": "active", "date": "2020", "kind": kind, "fhirVersion": "4.0.1", "format": ["json"],
               "rest": [{"mode": "server"}]})
        .to_string()
    };
    let (asked, capability) = (statement("asked", "requirements"), statement("real", "capability"));
    let package = packed(&[
        ("package/CapabilityStatement-asked.json", asked.as_bytes(), FILE),
        ("package/CapabilityStatement-real.json", capability.as_bytes(), FILE),
    ]);
    assert!(server.get("metadata").is(200).json().get("instantiates").is_none());
    server.send("POST", "$package-add", &BINARY, Some(&package)).is(200);
    assert_eq!(server.get("metadata").is(200).json()["instantiates"], json!(["http://example.org/asked|2"]));
    server.send("POST", "$package-remove?name=org.example.small&version=1.0.0", &[], None).is(200);
    assert!(server.get("metadata").is(200).json().get("instantiates").is_none());
}

#[test]
fn unknown_profiles_are_refused_where_that_is_set() {
    let declared = json!({"resourceType": "Patient", "meta": {"profile": ["http://example.org/nobody-knows"]}});
    let known =
        json!({"resourceType": "Patient", "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}});
    let strict = TestServer::with(Settings { refuse_unknown_profiles: Some(true), ..Settings::default() });
    strict.put("POST", "Patient", &declared).refuses(422, "not-found");
    let told = strict.put("POST", "Patient/$validate", &declared);
    assert_eq!(issues(told.is(200)), ["error not-found Patient"]);
    strict.put("POST", "Patient", &known).is(201);
    let mild = TestServer::start();
    mild.put("POST", "Patient", &declared).is(201);
    assert_eq!(issues(mild.put("POST", "Patient/$validate", &declared).is(200)), ["warning not-found Patient"]);
}

#[test]
fn of_unknown_extensions_only_validate_tells() {
    let server = TestServer::start();
    let extended =
        json!({"resourceType": "Patient", "extension": [{"url": "http://x.test/nobody-knows", "valueString": "x"}]});
    let headers = [("content-type", "application/fhir+json"), ("prefer", "return=OperationOutcome")];
    let stored = server.send("POST", "Patient", &headers, Some(extended.to_string().as_bytes()));
    assert!(!stored.is(201).text().contains("nobody-knows"), "{}", stored.text());
    let told = server.put("POST", "Patient/$validate", &extended);
    assert_eq!(issues(told.is(200)), ["information extension Patient.extension[0]"]);
}
