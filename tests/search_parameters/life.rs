//! The life of a parameter, on a store that indexes again when the test lets it: refused until it is ready, in every
//! form of search; then right for old and new resources; changed, retired, brought back and deleted.

use super::held::{HeldStore, server};
use super::{BIRTHPLACE, Status, declared, ids, parameter};
use crate::support::TestServer;
use serde_json::{Value, json};

const CITY: &str = "x-birth-city";
const SPONSOR: &str = "x-sponsor";

fn patient(id: &str, city: &str, country: &str) -> Value {
    json!({
        "resourceType": "Patient", "id": id, "gender": "female",
        "extension": [
            {"url": BIRTHPLACE, "valueAddress": {"city": city, "country": country}},
            {"url": "http://example.org/sponsor", "valueReference": {"reference": "Organization/home"}}
        ]
    })
}

fn put(server: &TestServer, resource: &Value) {
    let path = format!("{}/{}", resource["resourceType"].as_str().expect("one"), resource["id"].as_str().expect("one"));
    let answer = server.put("PUT", &path, resource);
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
}

fn city(of: &str) -> Value {
    parameter(CITY, "string", &format!("Patient.extension('{BIRTHPLACE}').value.as(Address).{of}"))
}

fn sponsor() -> Value {
    let mut sponsor =
        parameter(SPONSOR, "reference", "Patient.extension('http://example.org/sponsor').value.as(Reference)");
    sponsor["target"] = json!(["Organization"]);
    sponsor
}

/// Queries that draw on one of the two parameters, in every way in which one can.
fn queries() -> Vec<String> {
    let mut all = Vec::new();
    for query in [
        "Patient?x-birth-city=oslo",
        "Patient?x-birth-city:exact=Oslo",
        "Patient?x-birth-city:missing=true",
        "Patient?_sort=x-birth-city",
        "Patient?_sort=-birthdate,-x-birth-city",
        "Patient?_filter=x-birth-city%20eq%20%22Oslo%22",
        "Patient?x-sponsor=Organization/home",
        "Patient?x-sponsor.name=home",
        "Patient?x-sponsor:Organization.name=home",
        "Patient?_include=Patient:x-sponsor",
        "Patient?_filter=x-sponsor.name%20eq%20home",
        "Organization?_has:Patient:x-sponsor:gender=female",
        "Organization?_has:Patient:x-sponsor:x-birth-city=oslo",
        "Organization?_revinclude=Patient:x-sponsor",
        "Observation?subject.x-birth-city=oslo",
        "Observation?subject:Patient.x-birth-city=oslo",
        "Observation?_has:Provenance:target:patient.x-birth-city=oslo",
        "Organization?_filter=_has:Patient:x-sponsor:gender%20eq%20female",
        "Organization?_not-referenced=Patient:x-sponsor",
        "?_type=Patient&x-birth-city=oslo",
    ] {
        all.push(query.to_owned());
    }
    all
}

/// Every query is refused for its reason, whether handling is strict or lenient.
fn all_refused(server: &TestServer) {
    for query in queries() {
        for handling in ["handling=strict", "handling=lenient"] {
            let answer = server.get_with(&query, &[("prefer", handling)]);
            assert_eq!(answer.status, 400, "{query} {handling}: {}", answer.text());
            assert!(answer.text().contains("not indexed by it yet"), "{query}: {}", answer.text());
            assert!(answer.text().contains("$reindex-status"), "{query}: {}", answer.text());
        }
    }
    let criteria = [("content-type", "application/fhir+json"), ("if-none-exist", "x-birth-city=oslo")];
    let body = serde_json::to_vec(&json!({"resourceType": "Patient"})).expect("JSON");
    server.send("POST", "Patient", &criteria, Some(&body)).refuses(400, "invalid");
    server.send("DELETE", "Patient?x-birth-city=oslo", &[], None).refuses(400, "invalid");
    let conditional = json!({"resourceType": "Bundle", "type": "transaction", "entry": [{
        "resource": {"resourceType": "Patient"},
        "request": {"method": "POST", "url": "Patient", "ifNoneExist": "x-birth-city=oslo"}
    }]});
    server.put("POST", "", &conditional).refuses(400, "invalid");
}

fn started() -> (TestServer, std::sync::Arc<HeldStore>) {
    let (server, store) = server();
    put(&server, &json!({"resourceType": "Organization", "id": "home", "name": "Home"}));
    put(&server, &patient("old", "Oslo", "NO"));
    put(&server, &json!({"resourceType": "Patient", "id": "none"}));
    (server, store)
}

#[test]
fn until_it_is_indexed_it_is_refused_and_then_it_is_right() {
    let (server, store) = started();
    let unknown = server.get_with("Patient?x-birth-city=oslo", &[("prefer", "handling=strict")]);
    unknown.refuses(400, "not-supported");
    put(&server, &city("city"));
    put(&server, &sponsor());
    assert!(store.is_waiting());
    let status = Status::of(&server);
    assert_eq!((status.state(), status.ready(CITY), status.ready(SPONSOR)), ("in-progress", Some(false), Some(false)));
    assert!(declared(&server, "Patient").iter().all(|(name, _)| !name.starts_with("x-")));
    all_refused(&server);
    // What is written meanwhile is found afterwards.
    put(&server, &patient("meanwhile", "Oslo", "NO"));
    all_refused(&server);
    store.release();
    put(&server, &patient("new", "Ostrava", "CZ"));
    let status = Status::of(&server);
    assert_eq!((status.state(), status.ready(CITY), status.ready(SPONSOR)), ("completed", Some(true), Some(true)));
    for (query, expected) in [
        ("Patient?x-birth-city=oslo", "meanwhile old"),
        ("Patient?x-birth-city=os", "meanwhile new old"),
        ("Patient?x-birth-city:exact=oslo", ""),
        ("Patient?x-birth-city:missing=true", "none"),
        ("Patient?x-birth-city:missing=false", "meanwhile new old"),
        ("Patient?_filter=x-birth-city%20eq%20%22Oslo%22", "meanwhile old"),
        ("Patient?x-sponsor=Organization/home", "meanwhile new old"),
        ("Patient?x-sponsor.name=home&x-birth-city=ostrava", "new"),
        ("Organization?_has:Patient:x-sponsor:x-birth-city=ostrava", "home"),
        ("Organization?_has:Patient:x-sponsor:x-birth-city=bergen", ""),
        ("Organization?_not-referenced=Patient:x-sponsor", ""),
    ] {
        assert_eq!(ids(&server, query).join(" "), expected, "{query}");
    }
    let order = |query: &str| {
        let bundle = server.get(query).is(200).json();
        let ids = bundle["entry"].as_array().expect("entries").iter().map(|e| e["resource"]["id"].to_string());
        ids.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(order("Patient?_sort=-x-birth-city&_id=new,old,none"), r#""new" "old" "none""#);
    let included = server.get("Patient?_id=old&_include=Patient:x-sponsor").is(200).json();
    assert_eq!(included["entry"][1]["resource"]["id"], "home", "{included}");
    let back = server.get("Organization?_revinclude=Patient:x-sponsor").is(200).json();
    assert_eq!(back["entry"].as_array().map(Vec::len), Some(4), "{back}");
    let criteria = [("content-type", "application/fhir+json"), ("if-none-exist", "x-birth-city=ostrava")];
    let body = serde_json::to_vec(&json!({"resourceType": "Patient"})).expect("JSON");
    assert_eq!(server.send("POST", "Patient", &criteria, Some(&body)).is(200).json()["id"], "new");
    let declared = declared(&server, "Patient");
    let definition = "http://example.org/SearchParameter/x-birth-city".to_owned();
    assert!(declared.contains(&(CITY.to_owned(), definition)), "{declared:?}");
}

#[test]
fn it_is_changed_retired_brought_back_and_deleted() {
    let (server, store) = started();
    let unknown = |query: &str| {
        server.get_with(query, &[("prefer", "handling=strict")]).refuses(400, "not-supported");
        let lenient = server.get_with(query, &[("prefer", "handling=lenient")]).is(200).json();
        assert_eq!(lenient["total"], 2, "{lenient}");
        assert!(lenient.to_string().contains("(ignored)"), "{lenient}");
    };
    put(&server, &city("city"));
    store.release();
    assert_eq!(ids(&server, "Patient?x-birth-city=oslo"), ["old"]);
    // Nothing about how it is found is new: it stays ready.
    let mut described = city("city");
    described["description"] = json!("in other words");
    put(&server, &described);
    assert!(!store.is_waiting());
    assert_eq!(ids(&server, "Patient?x-birth-city=oslo"), ["old"]);
    put(&server, &city("country"));
    assert!(store.is_waiting());
    let refused = server.get("Patient?x-birth-city=no");
    refused.refuses(400, "invalid");
    store.release();
    assert_eq!(ids(&server, "Patient?x-birth-city=no"), ["old"]);
    assert!(ids(&server, "Patient?x-birth-city=oslo").is_empty());
    let mut retired = city("country");
    retired["status"] = json!("retired");
    put(&server, &retired);
    unknown("Patient?x-birth-city=no");
    assert_eq!(Status::of(&server).ready(CITY), None);
    assert!(declared(&server, "Patient").iter().all(|(name, _)| name != CITY));
    put(&server, &city("country"));
    server.get("Patient?x-birth-city=no").refuses(400, "invalid");
    store.release();
    assert_eq!(ids(&server, "Patient?x-birth-city=no"), ["old"]);
    server.send("DELETE", "SearchParameter/x-birth-city", &[], None).is(204);
    unknown("Patient?x-birth-city=no");
}

#[test]
fn a_composite_is_made_of_others_and_goes_with_them() {
    let (server, store) = started();
    let mut place =
        parameter("x-birth-place", "composite", &format!("Patient.extension('{BIRTHPLACE}').value.as(Address)"));
    let country =
        parameter("x-birth-country", "string", &format!("Patient.extension('{BIRTHPLACE}').value.as(Address).country"));
    place["component"] = json!([
        {"definition": "http://example.org/SearchParameter/x-birth-city", "expression": "city"},
        {"definition": "http://example.org/SearchParameter/x-birth-country", "expression": "country"}
    ]);
    let early = server.put("PUT", "SearchParameter/x-birth-place", &place);
    early.refuses(422, "not-found");
    assert_eq!(early.json()["issue"][0]["expression"][0], "SearchParameter.component[0].definition");
    put(&server, &city("city"));
    put(&server, &country);
    put(&server, &place);
    server.get("Patient?x-birth-place=oslo$no").refuses(400, "invalid");
    store.release();
    assert_eq!(ids(&server, "Patient?x-birth-place=oslo$no"), ["old"]);
    assert!(ids(&server, "Patient?x-birth-place=oslo$se").is_empty());
    server.send("DELETE", "SearchParameter/x-birth-country", &[], None).is(204);
    let status = Status::of(&server);
    assert_eq!((status.ready("x-birth-place"), status.ready(CITY)), (None, Some(true)));
    assert!(status.left_out().iter().any(|l| l.contains("component[1].definition")), "{:?}", status.left_out());
}
