//! Packages, `$validate` and what writes are held against, over HTTP.

use crate::support::{Answer, TestServer};
use serde_json::{Value, json};
use vesta::cli::settings::{Settings, Validation};

/// A server that holds writes against profiles.
fn full() -> TestServer {
    TestServer::with(Settings { validation: Some(Validation::Full), ..Settings::default() })
}

const PROFILE: &str = "http://example.org/fhir/StructureDefinition/named-patient";

/// A package with a profile that has only a differential, an extension, and a profile that is derived from itself.
fn package() -> Vec<u8> {
    let profile = json!({
        "resourceType": "StructureDefinition", "url": PROFILE, "version": "1.0.0", "name": "NamedPatient",
        "status": "active", "kind": "resource", "abstract": false, "type": "Patient", "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
        "differential": {"element": [
            {"id": "Patient.name", "path": "Patient.name", "min": 1},
            {"id": "Patient.identifier", "path": "Patient.identifier", "min": 1,
             "slicing": {"discriminator": [{"type": "value", "path": "system"}], "rules": "closed"}},
            {"id": "Patient.identifier:mrn", "path": "Patient.identifier", "sliceName": "mrn", "min": 1, "max": "1"},
            {"id": "Patient.identifier:mrn.system", "path": "Patient.identifier.system", "fixedUri": "urn:mrn"},
            {"id": "Patient.gender", "path": "Patient.gender", "min": 1,
             "constraint": [{"key": "np-1", "severity": "error", "human": "the gender is known",
                             "expression": "$this != 'unknown'"}]}
        ]}
    });
    let circle = json!({
        "resourceType": "StructureDefinition", "url": "http://example.org/fhir/StructureDefinition/circle",
        "name": "Circle", "status": "active", "kind": "resource", "abstract": false, "type": "Patient",
        "derivation": "constraint", "baseDefinition": "http://example.org/fhir/StructureDefinition/circle",
        "differential": {"element": [{"id": "Patient", "path": "Patient"}]}
    });
    let guide = json!({
        "resourceType": "ImplementationGuide", "url": "http://example.org/fhir/ImplementationGuide/test",
        "version": "1.0.0", "packageId": "org.example.test", "status": "active"
    });
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    let files = [
        ("package/package.json", json!({"name": "org.example.test", "version": "1.0.0"})),
        ("package/StructureDefinition-named.json", profile),
        ("package/StructureDefinition-circle.json", circle),
        ("package/ImplementationGuide-test.json", guide),
    ];
    for (name, json) in files {
        let text = json.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append_data(&mut header, name, text.as_bytes()).expect("tar");
    }
    builder.into_inner().expect("tar").finish().expect("gzip")
}

/// Severity, code and place of the issues of an OperationOutcome.
fn issues(answer: &Answer) -> Vec<String> {
    let outcome = answer.json();
    let issue = |i: &Value| {
        let place = i["expression"][0].as_str().unwrap_or_default();
        format!("{} {} {place}", i["severity"].as_str().expect("a severity"), i["code"].as_str().expect("a code"))
    };
    outcome["issue"].as_array().expect("issues").iter().map(issue).collect()
}

fn post(server: &TestServer, path: &str, body: &Value) -> Answer {
    server.put("POST", path, body)
}

fn good() -> Value {
    json!({"resourceType": "Patient", "meta": {"profile": [PROFILE]}, "name": [{"family": "x"}], "gender": "female",
           "identifier": [{"system": "urn:mrn", "value": "1"}]})
}

#[test]
fn packages_and_their_profiles() {
    let server = full();
    let bad = json!({"resourceType": "Patient", "meta": {"profile": [PROFILE]}, "gender": "unknown",
                     "identifier": [{"system": "urn:mrn"}, {"system": "urn:other"}]});
    // Nobody knows the profile yet: accepted with a warning, and said by $validate.
    post(&server, "Patient", &bad).is(201);
    let unknown = post(&server, "Patient/$validate", &bad);
    assert_eq!(issues(unknown.is(200)), ["warning not-found Patient"]);
    let asked = post(&server, &format!("Patient/$validate?profile={PROFILE}"), &good());
    assert!(issues(asked.is(200)).contains(&"error not-found ".to_owned()));

    let headers = [("content-type", "application/octet-stream")];
    let added = server.send("POST", "$package-add", &headers, Some(&package()));
    assert_eq!(added.is(200).json()["parameter"][0]["part"][0]["valueString"], "org.example.test");
    assert_eq!(server.get("$package-list").is(200).json()["parameter"][0]["part"][1]["valueString"], "1.0.0");

    let statement = server.get("metadata").is(200).json();
    assert_eq!(statement["implementationGuide"][0], "http://example.org/fhir/ImplementationGuide/test|1.0.0");
    let patient = statement["rest"][0]["resource"].as_array().expect("types").iter().find(|r| r["type"] == "Patient");
    let supported = patient.expect("Patient")["supportedProfile"].as_array().expect("profiles");
    assert!(supported.contains(&json!(format!("{PROFILE}|1.0.0"))), "{supported:?}");

    post(&server, "Patient", &good()).is(201);
    let refused = post(&server, "Patient", &bad);
    let expected =
        ["error required Patient.name", "error structure Patient.identifier[1]", "error invariant Patient.gender"];
    assert_eq!(issues(refused.is(422)), expected);
    // A profile that is derived from itself affects nothing else.
    let mut circular = good();
    circular["meta"]["profile"] = json!(["http://example.org/fhir/StructureDefinition/circle", PROFILE]);
    let told = post(&server, "Patient/$validate", &circular);
    assert_eq!(issues(told.is(200)), ["warning processing Patient"]);
    assert!(told.text().contains("derived from itself"), "{}", told.text());

    server.send("POST", "$package-remove?name=org.example.test&version=1.0.0", &[], None).is(200);
    server.send("POST", "$package-remove?name=org.example.test&version=1.0.0", &[], None).is(404);
    post(&server, "Patient", &bad).is(201);
    let statement = server.get("metadata").is(200).json();
    assert!(statement.get("implementationGuide").is_none());
}

#[test]
fn bad_packages_are_refused() {
    let server = full();
    let headers = [("content-type", "application/octet-stream")];
    server.send("POST", "$package-add", &headers, Some(b"no archive")).refuses(422, "invalid");
    server.send("POST", "$package-add", &headers, Some(&package()[..200])).refuses(422, "invalid");
    let parameters =
        json!({"resourceType": "Parameters", "parameter": [{"name": "package", "valueBase64Binary": "AAAA"}]});
    post(&server, "$package-add", &parameters).refuses(422, "invalid");
    post(&server, "$package-add", &json!({"resourceType": "Parameters"})).refuses(400, "required");
}

#[test]
fn modes_of_validate() {
    let server = full();
    let ask = |query: &str, body: &Value| post(&server, &format!("Patient/$validate{query}"), body);
    let patient = json!({"resourceType": "Patient", "gender": "female"});
    assert_eq!(issues(ask("", &patient).is(200)), ["information informational "]);
    assert_eq!(issues(ask("?mode=create", &patient).is(200)), ["information informational "]);
    assert_eq!(issues(ask("?mode=update", &patient).is(200)), ["error required Patient.id"]);
    ask("?mode=other", &patient).refuses(400, "value");
    ask("?mode=profile", &patient).refuses(400, "required");
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "resource", "resource": {"resourceType": "Patient", "gender": "f"}},
        {"name": "profile", "valueUri": "http://hl7.org/fhir/StructureDefinition/Patient"}]});
    assert_eq!(issues(ask("", &parameters).is(200)), ["error code-invalid Patient.gender"]);
    // Modifier extensions that nobody knows are refused, and known extensions stand where they belong.
    let modified =
        json!({"resourceType": "Patient", "modifierExtension": [{"url": "http://x.org/m", "valueBoolean": true}]});
    assert_eq!(issues(ask("", &modified).is(200)), ["error extension Patient.modifierExtension[0]"]);
    post(&server, "Patient", &modified).refuses(422, "extension");
    let url = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
    let misplaced = json!({"resourceType": "Patient", "name": [{"family": "x",
        "extension": [{"url": url, "valueAddress": {"city": "x"}}]}]});
    assert_eq!(issues(ask("", &misplaced).is(200)), ["error extension Patient.name[0].extension[0]"]);
    let wrong = json!({"resourceType": "Patient", "extension": [{"url": url, "valueString": "x"}]});
    assert_eq!(issues(ask("", &wrong).is(200)), ["error structure Patient.extension[0].value"]);
    // Line and column of what was sent as text.
    let text = "{\"resourceType\": \"Patient\",\n \"gender\": \"f\"}";
    let headers = [("content-type", "application/fhir+json")];
    let told = server.send("POST", "Patient/$validate", &headers, Some(text.as_bytes())).is(200).json();
    let places: Vec<_> =
        told["issue"][0]["extension"].as_array().expect("places").iter().map(|e| &e["valueInteger"]).collect();
    assert_eq!(places, [2, 12]);
}
