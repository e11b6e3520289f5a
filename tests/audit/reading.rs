//! The trail is read like resources, and written by nobody.

use super::*;

#[test]
fn nobody_writes_to_the_trail() {
    let server = server();
    server.create(&patient("Shaw"));
    let event = json!({"resourceType": "AuditEvent", "id": "1", "type": {"code": "rest"}, "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"requestor": true}], "source": {"observer": {"display": "me"}}});
    let refused = [
        ("POST", "AuditEvent"),
        ("PUT", "AuditEvent/1"),
        ("PUT", "AuditEvent/new"),
        ("PUT", "AuditEvent?_id=1"),
        ("PATCH", "AuditEvent/1"),
        ("PATCH", "AuditEvent?_id=1"),
        ("DELETE", "AuditEvent/1"),
        ("DELETE", "AuditEvent?_id=1"),
        ("POST", "AuditEvent/1/$meta-add"),
        ("POST", "AuditEvent/1/$meta-delete"),
    ];
    for (method, path) in refused {
        let (_, record) = only_record(&server, || server.put(method, path, &event).refuses(403, "forbidden").clone());
        assert_eq!(record["outcome"], "8", "{method} {path}");
    }
    for kind in ["batch", "transaction"] {
        for (method, path) in &refused[..8] {
            let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": [
                {"resource": event, "request": {"method": method, "url": path}}]});
            let answer = server.put("POST", "", &bundle);
            match kind {
                "batch" => assert_eq!(answer.is(200).json()["entry"][0]["response"]["status"], "403 Forbidden"),
                _ => drop(answer.refuses(403, "forbidden").status),
            }
        }
    }
    let first = server.get("AuditEvent/1").is(200).json();
    assert_eq!((first["meta"]["versionId"].as_str(), first["action"].as_str()), (Some("1"), Some("C")));
}

#[test]
fn the_trail_is_searched_and_has_a_history() {
    let server = server();
    let (a, b) = (server.create(&patient("A")), server.create(&patient("B")));
    for _ in 0..3 {
        server.get(&format!("Patient/{a}")).is(200);
    }
    // The newest is told from the others by its date, which counts milliseconds.
    std::thread::sleep(std::time::Duration::from_millis(5));
    server.get("Patient/unknown").is(404);
    let total = |query: &str| server.get(&format!("AuditEvent?{query}")).is(200).json()["total"].clone();
    assert_eq!(total(&format!("patient=Patient/{a}&action=R&_total=accurate")), 3);
    assert_eq!(total(&format!("patient={b}&_total=accurate")), 1);
    assert_eq!(total(&format!("entity=Patient/{a}&subtype=read&_total=accurate")), 3);
    assert_eq!(total("outcome=4&_total=accurate"), 1);
    assert_eq!(total("address=127.0.0.1&action=C&_total=accurate"), 2);
    assert_eq!(total("date=gt2020&type=rest&action=C&_total=accurate"), 2);
    let newest = server.get("AuditEvent?action=R&_sort=-date&_count=1").is(200).json();
    assert_eq!(newest["entry"][0]["resource"]["outcome"], "4");
    let compartment = server.get(&format!("Patient/{a}/AuditEvent?action=R")).is(200).json();
    assert_eq!(compartment["entry"].as_array().map(Vec::len), Some(3));
    assert_eq!(server.get("AuditEvent/2/_history").is(200).json()["total"], 1);
    server.get("AuditEvent/2/_history/1").is(200);
    server.get("AuditEvent/2/_history/2").is(404);
    server.get("AuditEvent/_history?_count=2").is(200);
    // Paging shows the moment of the first page, though every page leaves a record.
    let mut seen = Vec::new();
    let mut page = server.get("AuditEvent?_count=3").is(200).json();
    loop {
        seen.extend(page["entry"].as_array().expect("entries").iter().map(|e| e["resource"]["id"].to_string()));
        let links = page["link"].as_array().expect("links").clone();
        let Some(next) = links.iter().find(|l| l["relation"] == "next") else { break };
        let next =
            next["url"].as_str().expect("a url").strip_prefix(&format!("{}/", server.base)).expect("ours").to_owned();
        page = server.get(&next).is(200).json();
    }
    let unique: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len());
    assert!(seen.len() > 15, "{}", seen.len());
}

#[test]
fn the_trail_is_no_part_of_the_data() {
    let server = server();
    let a = server.create(&patient("A"));
    server.get(&format!("Patient/{a}")).is(200);
    for path in [
        "_history".to_owned(),
        format!("Patient/{a}/$everything"),
        format!("Patient/{a}/*"),
        "?_type=Patient".to_owned(),
    ] {
        assert!(!server.get(&path).is(200).text().contains("AuditEvent"), "{path}");
    }
    assert_eq!(server.get("_history").is(200).json()["total"], 1);
}

/// An AuditEvent that somebody else has made.
fn forged(id: &str) -> Value {
    json!({"resourceType": "AuditEvent", "id": id, "type": {"code": "rest"}, "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"requestor": true}], "source": {"observer": {"display": "forged"}}})
}

#[test]
fn what_goes_over_all_types_shows_the_trail_and_no_other_events() {
    let data = tempfile::tempdir().expect("a directory");
    let settings = |audit| Settings { data: Some(data.path().to_owned()), audit: Some(audit), ..Settings::default() };
    // Without a trail an AuditEvent is a resource like others.
    {
        let server = TestServer::again(settings(AuditLevel::Off));
        server.create(&forged("x"));
        assert_eq!(server.put("PUT", "AuditEvent/5", &forged("5")).status, 201);
        assert_eq!(server.put("PUT", "AuditEvent/gone", &forged("gone")).status, 201);
        server.send("DELETE", "AuditEvent/gone", &[], None);
        server.create(&json!({"resourceType": "Provenance", "recorded": "2026-01-01T00:00:00Z",
            "target": [{"reference": "AuditEvent/5"}], "agent": [{"who": {"display": "x"}}]}));
    }
    let server = TestServer::again(settings(AuditLevel::All));
    let a = server.create(&patient("A"));
    for _ in 0..5 {
        server.get(&format!("Patient/{a}")).is(200);
    }
    let all = server.get("?_type=AuditEvent&_total=accurate&_count=100").is(200).json();
    assert!(all["total"].as_u64() >= Some(6) && !all.to_string().contains("forged"), "{all}");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = server.send("POST", "_search", &form, Some(b"_type=AuditEvent&_id=1")).is(200).json();
    assert_eq!(posted["total"], 1, "{posted}");
    // A page of it leads to the next one of the trail.
    let page = server.get("?_type=AuditEvent&_count=2").is(200).json();
    let next = page["link"].as_array().expect("links").iter().find(|l| l["relation"] == "next").expect("a next page");
    let next = next["url"].as_str().expect("a url").strip_prefix(&server.base).expect("ours").trim_start_matches('/');
    assert_eq!(server.get(next).is(200).json()["entry"][0]["resource"]["resourceType"], "AuditEvent");
    for path in [
        "?_id=5",
        "?_type=AuditEvent,Patient",
        "?_type=AuditEvent&_type=Patient",
        "?_id=5&_type=Patient,AuditEvent&_total=accurate",
        "_history?_count=100",
        "Provenance?_include=Provenance:target",
        "Patient?_revinclude=AuditEvent:entity",
        "Provenance?target:AuditEvent.type=rest",
    ] {
        let text = server.get(path).text();
        assert!(!text.contains("forged") && !text.contains("\"AuditEvent\""), "{path}: {text}");
    }
    // The Provenance and the Patient.
    for counted in ["_history?_summary=count", "_history?_count=0", "_history?_count=1"] {
        assert_eq!(server.get(counted).is(200).json()["total"], 2, "{counted}");
    }
    for page in ["_history?_count=1", "_history?_count=2"] {
        let (mut seen, mut next) = (Vec::new(), Some(page.to_owned()));
        while let Some(path) = next {
            let page = server.get(&path).is(200).json();
            let entries = page["entry"].as_array().cloned().unwrap_or_default();
            seen.extend(entries.iter().map(|e| e["request"]["url"].as_str().unwrap_or_default().to_owned()));
            let link = page["link"].as_array().and_then(|l| l.iter().find(|l| l["relation"] == "next").cloned());
            next = link
                .map(|l| l["url"].as_str().expect("a url").replace(&server.base, "").trim_start_matches('/').into());
        }
        assert_eq!(seen, ["Patient", "Provenance"], "{page}");
    }
    assert_eq!(server.get("AuditEvent/gone").status, 404);
}

#[test]
fn beside_a_trail_nobody_writes_audit_events_whatever_the_settings() {
    let data = tempfile::tempdir().expect("a directory");
    let settings = |audit| Settings { data: Some(data.path().to_owned()), audit: Some(audit), ..Settings::default() };
    TestServer::again(settings(AuditLevel::All)).create(&patient("A"));
    let server = TestServer::again(settings(AuditLevel::Off));
    for (method, path) in [("POST", "AuditEvent"), ("PUT", "AuditEvent/5"), ("PUT", "AuditEvent?_id=5")] {
        server.put(method, path, &forged("5")).refuses(403, "forbidden");
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"resource": forged("5"), "request": {"method": method, "url": path}}]});
        server.put("POST", "", &bundle).refuses(403, "forbidden");
    }
    let statement = server.get("metadata").is(200).json();
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    let declared = resources.iter().find(|r| r["type"] == "AuditEvent").expect("declared");
    assert!(!declared["interaction"].to_string().contains("create"), "{declared}");
}

#[test]
fn a_patient_learns_who_has_seen_the_record() {
    let server = server();
    let (a, b) = (server.create(&patient("A")), server.create(&patient("B")));
    server.create(&observation(&a));
    server.create(&observation(&b));
    server.get("Observation").is(200);
    server.get(&format!("Patient/{b}")).is(200);
    let log = server.get(&format!("Patient/{a}/$access-log?_count=2")).is(200).json();
    assert_eq!(log["type"], "searchset");
    let entries = log["entry"].as_array().expect("entries");
    assert_eq!(entries.len(), 2);
    // The search over both, and that the observation was made; newest first.
    let newest = &entries[0]["resource"];
    assert_eq!(newest["subtype"][0]["code"], "search-type");
    assert_eq!(about(newest), [format!("Patient/{a}")], "the other patient is not named");
    assert!(!log.to_string().contains(&b), "{log}");
    let next = log["link"].as_array().expect("links").iter().find(|l| l["relation"] == "next").expect("a next page");
    let next =
        next["url"].as_str().expect("a url").strip_prefix(&format!("{}/", server.base)).expect("ours").to_owned();
    let rest = server.get(&next).is(200).json();
    assert_eq!(rest["entry"][0]["resource"]["subtype"][0]["code"], "create");
}

#[test]
fn what_is_declared_of_the_trail_is_what_is_served() {
    let server = server();
    let statement = server.get("metadata").is(200).json();
    let resources = statement["rest"][0]["resource"].as_array().expect("resources");
    let of = |kind: &str| resources.iter().find(|r| r["type"] == kind).expect("declared");
    let codes = |kind: &str| -> Vec<String> {
        let codes = of(kind)["interaction"].as_array().expect("interactions");
        codes.iter().map(|i| i["code"].as_str().expect("a code").to_owned()).collect()
    };
    assert_eq!(codes("AuditEvent"), ["read", "vread", "history-instance", "history-type", "search-type"]);
    assert!(codes("Provenance").contains(&"create".to_owned()));
    assert_eq!(of("AuditEvent")["conditionalDelete"], "not-supported");
    assert!(!of("Patient")["searchRevInclude"].to_string().contains("AuditEvent"));
}
