//! Searches as clients see them: what a resource with very many values is found by, versions that are included, the last
//! page, the costs of conditional forms, and the end of the work when a client goes away.

use crate::support::{Client, TestServer};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use vesta::cli::settings::{Settings, Validation};

fn without_validation() -> Settings {
    Settings { validation: Some(Validation::Off), ..Settings::default() }
}

static SERVER: LazyLock<TestServer> = LazyLock::new(|| TestServer::with(without_validation()));

fn put(server: &TestServer, resource: &Value) {
    let text = |name: &str| resource[name].as_str().expect("a text").to_owned();
    let answer = server.put("PUT", &format!("{}/{}", text("resourceType"), text("id")), resource);
    assert!(answer.status < 300, "{}", answer.text());
}

fn ids(page: &Value, mode: &str) -> Vec<String> {
    let entries = page["entry"].as_array().into_iter().flatten().filter(|entry| entry["search"]["mode"] == mode);
    entries.map(|entry| entry["resource"]["id"].as_str().expect("an id").to_owned()).collect()
}

fn link(page: &Value, relation: &str) -> String {
    let links = page["link"].as_array().expect("links").iter().filter(|link| link["relation"] == relation);
    let urls: Vec<_> = links.map(|link| link["url"].as_str().expect("a URL").to_owned()).collect();
    urls.into_iter().next().unwrap_or_else(|| panic!("no link {relation}: {page}"))
}

fn follow(server: &TestServer, url: &str) -> Value {
    let root = server.base.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
    server.get(url.strip_prefix(&root).expect("a link of this server")).is(200).json()
}

fn group(id: &str, members: usize) -> Value {
    let member = |i: usize| json!({"entity": {"reference": format!("Patient/m{i}")}});
    json!({"resourceType": "Group", "id": id, "type": "person", "actual": true, "code": {"text": "all of them"},
        "identifier": [{"system": "urn:groups", "value": id}], "name": "everybody here",
        "member": (0..members).map(member).collect::<Vec<_>>()})
}

/// Whether the tests run on the stand-in for MongoDB, which keeps 10,000 entries of a compound index for a document and
/// drops the others without a word (`mongod`: 100,000 by default, and beyond that it refuses the document).
fn is_on_the_stand_in() -> bool {
    std::env::var("VESTA_TEST_MONGODB_URI").is_ok_and(|uri| uri.contains("secantus"))
        && std::env::var("VESTA_TEST_STORE").is_ok_and(|store| store == "mongodb")
}

#[test]
fn a_large_group_is_found_by_all_its_members() {
    let size = match is_on_the_stand_in() {
        true => 9_000,
        false => 20_000,
    };
    put(&SERVER, &group("large", size));
    let last = format!("member=Patient/m{}", size - 1);
    for query in [
        "member=Patient/m0",
        "member=Patient/m4999",
        "member=Patient/m5000",
        &last,
        "identifier=urn:groups%7Clarge",
        "_content=everybody",
    ] {
        let page = SERVER.get(&format!("Group?{query}")).is(200).json();
        assert_eq!(ids(&page, "match"), ["large"], "{query}");
    }
    assert_eq!(SERVER.get(&format!("Group?member=Patient/m{size}")).is(200).json()["total"], 0);
}

#[test]
fn more_values_than_can_be_indexed_are_refused() {
    let answer = SERVER.put("PUT", "Group/vast", &group("vast", 60_000));
    assert!(answer.refuses(422, "too-costly").text().contains("'member'"), "{}", answer.text());
    SERVER.get("Group/vast").is(404);
    let entry = json!({"resource": group("vast", 60_000), "request": {"method": "PUT", "url": "Group/vast"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
    let answer = SERVER.put("POST", "", &bundle);
    assert!(answer.refuses(422, "too-costly").text().contains("'member'"), "{}", answer.text());
    let concept = |count: usize| {
        let codings: Vec<_> = (0..count).map(|i| json!({"code": i.to_string()})).collect();
        json!({"coding": codings})
    };
    let component = json!({"code": concept(300), "valueCodeableConcept": concept(300)});
    let observation = json!({"resourceType": "Observation", "status": "final", "component": [component]});
    let answer = SERVER.put("POST", "Observation", &observation);
    assert!(answer.refuses(422, "too-costly").text().contains("-code-value-concept'"), "{}", answer.text());
}

#[test]
fn what_is_found_by_its_beginning_only_is_said() {
    let long = format!("{} tail", "word ".repeat(150));
    let patient = json!({"resourceType": "Patient", "id": "long", "name": [{"family": long}]});
    let headers = [("content-type", "application/fhir+json"), ("prefer", "return=OperationOutcome")];
    let body = serde_json::to_vec(&patient).expect("JSON");
    let outcome = SERVER.send("PUT", "Patient/long", &headers, Some(&body)).is(201).json();
    let said = outcome.to_string();
    assert!(said.contains("warning") && said.contains("'family' finds it by its beginning only"), "{said}");
    assert_eq!(SERVER.get("Patient?family:contains=word&_id=long").is(200).json()["total"], 1);
    let entry = json!({"resource": patient, "request": {"method": "PUT", "url": "Patient/long"}});
    let bundle = serde_json::to_vec(&json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]}));
    let answer = SERVER.send("POST", "", &headers, Some(&bundle.expect("JSON"))).is(200).text();
    assert!(answer.contains("finds it by its beginning only"), "{answer}");
}

#[test]
fn the_version_that_a_reference_names_is_included() {
    for name in ["first", "second", "third"] {
        put(&SERVER, &json!({"resourceType": "Organization", "id": "versions", "name": name}));
    }
    let patient = |id: &str, reference: &str| {
        put(&SERVER, &json!({"resourceType": "Patient", "id": id, "managingOrganization": {"reference": reference}}));
    };
    patient("iv1", "Organization/versions/_history/2");
    patient("iv2", "Organization/versions");
    patient("iv3", "Organization/versions/_history/3");
    patient("iv4", "Organization/versions/_history/9");
    let included = |query: &str| {
        let page = SERVER.get(&format!("Patient?{query}&_include=Patient:organization")).is(200).json();
        let entries = page["entry"].as_array().cloned().unwrap_or_default();
        let included = entries.iter().filter(|entry| entry["search"]["mode"] == "include");
        let names = included.map(|entry| {
            assert!(entry["fullUrl"].as_str().expect("a URL").ends_with("/Organization/versions"), "{entry}");
            let resource = &entry["resource"];
            format!("{} {}", resource["meta"]["versionId"], resource["name"]).replace('"', "")
        });
        names.collect::<Vec<_>>()
    };
    assert_eq!(included("_id=iv1"), ["2 second"]);
    assert_eq!(included("_id=iv2"), ["3 third"]);
    assert_eq!(included("_id=iv3"), ["3 third"]);
    assert_eq!(included("_id=iv4"), [""; 0]);
    // Each version once.
    assert_eq!(included("_id=iv1,iv2,iv3,iv4"), ["2 second", "3 third"]);
}

#[test]
fn filters_ask_value_sets() {
    let server = TestServer::with(without_validation());
    let concept = |code: &str| json!({"code": code});
    put(
        &server,
        &json!({"resourceType": "CodeSystem", "id": "cs", "url": "http://test/cs", "status": "active",
            "content": "complete", "concept": [concept("a"), concept("b"), concept("c")]}),
    );
    put(
        &server,
        &json!({"resourceType": "ValueSet", "id": "few", "url": "http://test/vs/few", "status": "active",
            "compose": {"include": [{"system": "http://test/cs", "concept": [concept("a"), concept("b")]}]}}),
    );
    for (id, codes) in [("o1", vec!["a"]), ("o2", vec!["c"]), ("o3", vec!["b", "c"]), ("o4", vec![])] {
        let codings: Vec<_> = codes.iter().map(|code| json!({"system": "http://test/cs", "code": code})).collect();
        let code = if codings.is_empty() { json!({"text": "none"}) } else { json!({"coding": codings}) };
        put(&server, &json!({"resourceType": "Observation", "id": id, "status": "final", "code": code}));
    }
    for (filter, expected) in [
        ("code in \"http://test/vs/few\"", "o1 o3"),
        ("code in ValueSet/few", "o1 o3"),
        ("not (code in \"http://test/vs/few\")", "o2 o4"),
        ("code ni \"http://test/vs/few\"", "o2 o4"),
        ("not (code ni \"http://test/vs/few\")", "o1 o3"),
        ("code ni \"http://test/vs/few\" and _id eq o2", "o2"),
    ] {
        let query = filter.replace(' ', "%20").replace('"', "%22");
        let page = server.get(&format!("Observation?_filter={query}&_sort=_id")).is(200).json();
        assert_eq!(ids(&page, "match").join(" "), expected, "{filter}");
    }
    server.get("Observation?_filter=code%20ni%20%22http://test/vs/none%22").is(400);
    server.get("Observation?_filter=date%20ni%202020").is(400);
}

#[test]
fn contained_resources_are_the_answer_if_they_are_asked_for() {
    let medication = |id: &str, code: &str| json!({"resourceType": "Medication", "id": id, "code": {"coding": [{"system": "urn:c", "code": code}]}});
    put(
        &SERVER,
        &json!({"resourceType": "MedicationRequest", "id": "holds", "status": "active", "intent": "order",
            "subject": {"reference": "Patient/x"}, "medicationReference": {"reference": "#in"},
            "contained": [medication("in", "held"), medication("other", "else")]}),
    );
    let shown = |query: &str| {
        let page = SERVER.get(&format!("Medication?code=urn:c%7Cheld&{query}")).is(200).json();
        let entries = page["entry"].as_array().cloned().unwrap_or_default();
        let shown = entries.iter().map(|entry| {
            let url = entry["fullUrl"].as_str().expect("a URL").rsplit('/').next().expect("an end").to_owned();
            format!("{} {url}", entry["resource"]["resourceType"].as_str().expect("a type"))
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(shown("_contained=true"), ["MedicationRequest holds"]);
    assert_eq!(shown("_contained=true&_containedType=container"), ["MedicationRequest holds"]);
    assert_eq!(shown("_contained=true&_containedType=contained"), ["Medication holds#in"]);
    assert_eq!(shown("_containedType=contained"), [""; 0]);
    SERVER.get("Medication?_contained=true&_containedType=both").refuses(400, "value");
}

#[test]
fn the_last_page_and_a_page_of_nothing() {
    let entries: Vec<_> = (0..23)
        .map(|i| {
            let patient = json!({"resourceType": "Patient", "id": format!("l{i:02}"), "identifier": [{"system":
                "urn:last", "value": "x"}], "name": [{"family": format!("f{i:02}")}]});
            json!({"resource": patient, "request": {"method": "PUT", "url": format!("Patient/l{i:02}")}})
        })
        .collect();
    SERVER.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(200);
    for (query, last) in [
        ("_count=5&_sort=family", vec!["l20", "l21", "l22"]),
        ("_count=5&_sort=-family", vec!["l02", "l01", "l00"]),
        ("_count=5", vec!["l20", "l21", "l22"]),
        ("_count=23", (0..23).map(|_| "").collect()),
        ("_count=1", vec!["l22"]),
    ] {
        let page = SERVER.get(&format!("Patient?identifier=urn:last%7Cx&{query}")).is(200).json();
        let end = follow(&SERVER, &link(&page, "last"));
        let found = ids(&end, "match");
        assert_eq!(found.len(), last.len(), "{query}");
        assert!(last[0].is_empty() || found == last, "{query}: {found:?}");
        assert!(end["link"].as_array().expect("links").iter().all(|link| link["relation"] != "next"), "{end}");
        assert_eq!(end["total"], 23);
    }
    for query in ["_count=0", "_summary=count", "_count=0&_total=none"] {
        let page = SERVER.get(&format!("Patient?identifier=urn:last%7Cx&{query}")).is(200).json();
        assert_eq!(page["total"], 23, "{query}");
        assert!(page["entry"].is_null(), "{query}: {page}");
        let relations: Vec<_> = page["link"].as_array().expect("links").iter().map(|l| l["relation"].clone()).collect();
        assert_eq!(relations, ["self"], "{query}");
    }
    let page = SERVER.get("Patient?identifier=urn:last%7Cx&_total=none&_count=5").is(200).json();
    assert!(page["total"].is_null());
}

#[test]
fn conditional_forms_cost_what_searches_may() {
    let patient = json!({"resourceType": "Patient", "name": [{"family": "new"}]});
    let body = serde_json::to_vec(&patient).expect("JSON");
    // The first has no time for any search.
    for (time, [searched, created, updated, patched, referred, deleted]) in
        [("0ms", [422; 6]), ("30s", [200, 200, 200, 200, 200, 204])]
    {
        let server = TestServer::with(Settings { query_time: time.parse().ok(), ..without_validation() });
        put(&server, &json!({"resourceType": "Patient", "id": "p7"}));
        const CRITERIA: &str = "_id=p7";
        let is = |answer: &crate::support::Answer, status: u16| match status {
            422 => {
                answer.refuses(422, "too-costly");
            }
            status => {
                answer.is(status);
            }
        };
        is(&server.get(&format!("Patient?{CRITERIA}")), searched);
        let headers = [("content-type", "application/fhir+json"), ("if-none-exist", CRITERIA)];
        is(&server.send("POST", "Patient", &headers, Some(&body)), created);
        is(&server.put("PUT", &format!("Patient?{CRITERIA}"), &patient), updated);
        let headers = [("content-type", "application/json-patch+json")];
        let patch = br#"[{"op": "add", "path": "/active", "value": true}]"#;
        is(&server.send("PATCH", &format!("Patient?{CRITERIA}"), &headers, Some(patch)), patched);
        let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": format!("Patient?{CRITERIA}")}});
        let entry = json!({"resource": observation, "request": {"method": "POST", "url": "Observation"}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
        is(&server.put("POST", "", &bundle), referred);
        is(&server.send("DELETE", &format!("Patient?{CRITERIA}"), &[], None), deleted);
        let left = server.get("Patient/p7").status;
        assert_eq!(left, if deleted == 422 { 200 } else { 410 });
    }
}

/// A search that would take minutes ends when its client closes the connection: it is not the worker that does it.
#[test]
fn work_ends_when_the_client_goes_away() {
    let settings = Settings {
        metrics_bind: "127.0.0.1:0".parse().ok(),
        query_time: "10m".parse().ok(),
        workers: Some(1),
        ..without_validation()
    };
    let server = TestServer::with(settings);
    for part in 0..8 {
        let entries: Vec<_> = (0..500)
            .map(|i| {
                let given: Vec<_> = (0..4).map(|n| format!("{part} {i} {n} {}", "ab ".repeat(140))).collect();
                let patient = json!({"resourceType": "Patient", "name": [{"given": given}]});
                json!({"resource": patient, "request": {"method": "POST", "url": "Patient"}})
            })
            .collect();
        server.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(200);
    }
    let metrics = Client::new(&format!("http://{}", server.metrics.expect("a listener for metrics")));
    let abandoned = || metrics.get("/metrics").is(200).text().contains("vesta_http_requests_abandoned_total 1\n");
    let values: Vec<_> = (0..1_000).map(|i| format!("abbaab{i}")).collect();
    let mut socket = TcpStream::connect(server.address()).expect("connects");
    let head = format!("GET /fhir/Patient?given:contains={} HTTP/1.1\r\nhost: x\r\n\r\n", values.join(","));
    socket.write_all(head.as_bytes()).expect("sends");
    std::thread::sleep(Duration::from_millis(500));
    // The only worker answers others meanwhile.
    let began = Instant::now();
    server.get("Patient/none").is(404);
    assert!(!abandoned(), "it is not at work any more; the test shows nothing");
    drop(socket);
    while !abandoned() {
        assert!(began.elapsed() < Duration::from_secs(60), "the work goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}
