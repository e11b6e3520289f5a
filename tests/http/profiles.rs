//! Packages, `$validate` and what writes are held against, over HTTP.

use crate::support::{Answer, TestServer};
use serde_json::{Value, json};
use vesta::cli::settings::{Settings, Validation};

/// A server that holds writes against profiles.
fn full() -> TestServer {
    TestServer::with(Settings { validation: Some(Validation::Full), ..Settings::default() })
}

pub const PROFILE: &str = "http://example.org/fhir/StructureDefinition/named-patient";

/// A package with a profile that has only a differential, an extension, and a profile that is derived from itself.
pub fn package() -> Vec<u8> {
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
pub fn issues(answer: &Answer) -> Vec<String> {
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

/// Line and column of each issue, with its code and place.
fn positions(answer: &Answer) -> Vec<(String, u64, u64)> {
    let outcome = answer.json();
    let issue = |i: &Value| {
        let number = |n: usize| i["extension"][n]["valueInteger"].as_u64().unwrap_or_default();
        let place = i["expression"][0].as_str().unwrap_or_default();
        (format!("{} {place}", i["code"].as_str().expect("a code")), number(0), number(1))
    };
    outcome["issue"].as_array().expect("issues").iter().map(issue).collect()
}

/// Every kind of issue has its line and column, in JSON and in XML.
#[test]
fn lines_and_columns() {
    let server = TestServer::start();
    let headers = [("content-type", "application/octet-stream")];
    server.send("POST", "$package-add", &headers, Some(&package())).is(200);
    let json = r#"{
  "resourceType": "Patient",
  "meta": {"profile": [
    "http://example.org/nobody-knows",
    "http://example.org/fhir/StructureDefinition/named-patient"
  ]},
  "extension": [
    {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthPlace", "valueString": "x"}
  ],
  "modifierExtension": [{"url": "http://x.org/m", "valueBoolean": true}],
  "identifier": [{"system": "urn:other"}],
  "telecom": [{"value": "1"}],
  "gender": "f",
  "birthDate": "yesterday",
  "maritalStatus": {"coding": [
    {"system": "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus", "code": "M", "display": "Single"}
  ]},
  "contact": [{"gender": "male"}],
  "link": [{"type": "refer"}]
}"#;
    let xml = r#"<Patient xmlns="http://hl7.org/fhir">
  <meta>
    <profile value="http://example.org/nobody-knows"/>
    <profile value="http://example.org/fhir/StructureDefinition/named-patient"/>
  </meta>
  <extension url="http://hl7.org/fhir/StructureDefinition/patient-birthPlace">
    <valueString value="x"/>
  </extension>
  <modifierExtension url="http://x.org/m"><valueBoolean value="true"/></modifierExtension>
  <identifier><system value="urn:other"/></identifier>
  <telecom><value value="1"/></telecom>
  <gender value="f"/>
  <birthDate value="yesterday"/>
  <maritalStatus><coding>
    <system value="http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"/><code value="M"/>
    <display value="Single"/>
  </coding></maritalStatus>
  <contact><gender value="male"/></contact>
  <link><type value="refer"/></link>
</Patient>"#;
    let ask = |path: &str, kind: &str, text: &str| {
        let mut found = positions(&server.send("POST", path, &[("content-type", kind)], Some(text.as_bytes())));
        found.sort();
        found
    };
    let expected = |lines: [(u64, u64); 12]| {
        let places = [
            "code-invalid Patient.gender",
            "extension Patient.modifierExtension[0]",
            "invalid Patient.maritalStatus.coding[0].display",
            "invariant Patient.contact[0]",
            "invariant Patient.gender",
            "invariant Patient.telecom[0]",
            "not-found Patient",
            "required Patient.identifier",
            "required Patient.link[0].other",
            "required Patient.name",
            "structure Patient.extension[0].value",
            "structure Patient.identifier[0]",
        ];
        let mut all: Vec<_> =
            places.iter().zip(lines).map(|(p, (line, column))| ((*p).to_owned(), line, column)).collect();
        all.retain(|(place, ..)| place != "invariant Patient.gender");
        all
    };
    for path in ["Patient/$validate", "Patient"] {
        let mut found = ask(path, "application/fhir+json", json);
        assert!(found.iter().any(|f| *f == ("value Patient.birthDate".to_owned(), 14, 16)), "{found:?}");
        found.retain(|(place, ..)| !place.starts_with("value"));
        let lines = [
            (13, 13),
            (10, 25),
            (16, 98),
            (18, 15),
            (0, 0),
            (12, 15),
            (1, 1),
            (11, 17),
            (19, 12),
            (1, 1),
            (8, 90),
            (11, 18),
        ];
        assert_eq!(found, expected(lines), "{path}");
        let mut found = ask(path, "application/fhir+xml", xml);
        assert!(found.iter().any(|f| *f == ("value Patient.birthDate".to_owned(), 13, 3)), "{found:?}");
        found.retain(|(place, ..)| !place.starts_with("value"));
        let lines =
            [(12, 3), (9, 3), (16, 5), (18, 3), (0, 0), (11, 3), (1, 1), (10, 3), (19, 3), (1, 1), (7, 5), (10, 3)];
        assert_eq!(found, expected(lines), "{path}");
    }
    // A text of one line has columns.
    let found = ask("Patient", "application/fhir+json", r#"{"resourceType":"Patient","gender":"f"}"#);
    assert_eq!(found, [("code-invalid Patient.gender".to_owned(), 1, 36)]);
    // What is in a parameter, and in an entry, has the lines of the whole text.
    let wrapped = format!(
        "<Parameters xmlns=\"http://hl7.org/fhir\">\n<parameter><name value=\"resource\"/><resource>\n{xml}</resource></parameter></Parameters>"
    );
    let found = ask("Patient/$validate", "application/fhir+xml", &wrapped);
    assert!(found.contains(&("code-invalid Patient.gender".to_owned(), 14, 3)), "{found:?}");
    let bundle = format!(
        "<Bundle xmlns=\"http://hl7.org/fhir\">\n<type value=\"transaction\"/><entry><resource>\n{xml}</resource>\
         <request><method value=\"POST\"/><url value=\"Patient\"/></request></entry></Bundle>"
    );
    let found = ask("", "application/fhir+xml", &bundle);
    assert!(found.contains(&("code-invalid Bundle.entry[0].resource.gender".to_owned(), 14, 3)), "{found:?}");
    let bundle = format!(
        "{{\"resourceType\": \"Bundle\", \"type\": \"transaction\", \"entry\": [{{\"resource\":\n{json},\n\
         \"request\": {{\"method\": \"POST\", \"url\": \"Patient\"}}}}]}}"
    );
    let found = ask("", "application/fhir+json", &bundle);
    assert!(found.contains(&("code-invalid Bundle.entry[0].resource.gender".to_owned(), 14, 13)), "{found:?}");
}
