//! Histories as clients see them: what an entry says of the interaction that made it, and links that lead on and back.

use super::patient;
use crate::support::{Answer, TestServer};
use serde_json::{Value, json};
use vesta::cli::settings::Settings;

fn link(answer: &Value, relation: &str) -> Option<String> {
    let links = answer["link"].as_array().expect("links").iter();
    links.filter(|l| l["relation"] == relation).find_map(|l| Some(l["url"].as_str()?.to_owned()))
}

fn follow(server: &TestServer, url: &str) -> Value {
    server.get(url.strip_prefix(&format!("{}/", server.base)).expect("a link of this server")).is(200).json()
}

fn relations(page: &Value) -> Vec<&str> {
    page["link"].as_array().expect("links").iter().map(|l| l["relation"].as_str().expect("a relation")).collect()
}

/// Where each entry of a page is: the id in its full URL and its version.
fn rows(page: &Value) -> Vec<String> {
    let entries = page["entry"].as_array().into_iter().flatten();
    let row = |e: &Value| {
        let url = e["fullUrl"].as_str().expect("a URL");
        format!("{} {}", url.rsplit('/').next().expect("an id"), e["response"]["etag"].as_str().expect("a tag"))
    };
    entries.map(row).collect()
}

fn with_id(id: &str, family: &str) -> Value {
    let mut resource = patient(family);
    resource["id"] = json!(id);
    resource
}

fn put(server: &TestServer, id: &str, family: &str) -> Answer {
    server.put("PUT", &format!("Patient/{id}"), &with_id(id, family))
}

/// Seventeen versions of three patients and an organization.
fn fill(server: &TestServer) {
    for round in 0..4 {
        for id in ["a", "b", "c"] {
            put(server, id, &format!("Family{round}"));
        }
    }
    server.send("DELETE", "Patient/a", &[], None).is(204);
    put(server, "a", "Back").is(201);
    for name in ["one", "two", "three"] {
        server.put("PUT", "Organization/o", &json!({"resourceType": "Organization", "id": "o", "name": name}));
    }
}

#[test]
fn pages_lead_on_and_back() {
    let server = TestServer::start();
    fill(&server);
    for path in ["Patient/a/_history", "Patient/_history", "_history", "_history?_since=2020-01-01"] {
        let mark = if path.contains('?') { '&' } else { '?' };
        for count in [1, 2, 3, 5, 100] {
            let asked = format!("{path}{mark}_count={count}");
            let whole = rows(&server.get(&format!("{path}{mark}_count=100")).is(200).json());
            let mut page = server.get(&asked).is(200).json();
            let mut pages = vec![page.clone()];
            while let Some(next) = link(&page, "next") {
                page = follow(&server, &next);
                pages.push(page.clone());
            }
            assert_eq!(pages.iter().flat_map(rows).collect::<Vec<_>>(), whole, "{asked}");
            // What is written now is on no page.
            put(&server, "a", "Later").is(200);
            for (number, expected) in pages.iter().enumerate().rev().skip(1) {
                let previous = link(&page, "previous").expect("a page before this one");
                page = follow(&server, &previous);
                assert_eq!(rows(&page), rows(expected), "{asked}, page {number}");
                assert_eq!(page["total"], json!(whole.len()), "{asked}");
                assert_eq!(link(&page, "self"), Some(previous));
                assert_eq!(link(&page, "first"), link(expected, "first"));
                let next = link(&page, "next").expect("a page after this one");
                assert_eq!(rows(&follow(&server, &next)), rows(&pages[number + 1]), "{asked}, page {number}");
            }
            let known = if pages.len() > 1 { vec!["self", "first", "next"] } else { vec!["self", "first"] };
            assert_eq!(relations(&page), known, "the first page of {asked}");
            let middle = pages.get(1).filter(|_| pages.len() > 2);
            assert!(middle.is_none_or(|p| relations(p) == ["self", "first", "previous", "next"]), "{asked}");
        }
    }
}

#[test]
fn a_link_back_is_for_its_own_history() {
    let server = TestServer::start();
    fill(&server);
    let first = server.get("Patient/_history?_count=4").is(200).json();
    let second = follow(&server, &link(&first, "next").expect("a next page"));
    let back = link(&second, "previous").expect("a page before");
    let place = back.split("_page=").nth(1).expect("a place").to_owned();
    server.get(&format!("Patient/_history?_count=4&_page={place}")).is(200);
    server.get(&format!("Patient/_history?_count=2&_page={place}")).is(200);
    let forged: String = place.chars().rev().collect();
    for other in [
        format!("_history?_count=4&_page={place}"),
        format!("Organization/_history?_count=4&_page={place}"),
        format!("Patient/a/_history?_count=4&_page={place}"),
        format!("Patient/_history?_count=4&_since=2020-01-01&_page={place}"),
        format!("Patient?_count=4&_page={place}"),
        format!("Patient/_history?_count=4&_page={forged}"),
    ] {
        server.get(&other).refuses(400, "invalid");
    }
    // A page without rows leads nowhere but to the beginning.
    assert_eq!(relations(&server.get("_history?_count=0").is(200).json()), ["self", "first"]);
    assert_eq!(relations(&server.get(&format!("Patient/_history?_count=0&_page={place}")).json()), ["self", "first"]);
}

/// `_summary` and `_elements` are for every interaction that gives resources (R4 http.html#parameters).
#[test]
fn a_history_gives_parts_where_parts_are_asked_for() {
    let server = TestServer::start();
    fill(&server);
    for path in ["Patient/a/_history", "Patient/_history", "_history"] {
        let whole = server.get(&format!("{path}?_count=100")).is(200).json();
        let counted = server.get(&format!("{path}?_summary=count")).is(200).json();
        assert_eq!((&counted["total"], &counted["entry"]), (&whole["total"], &json!(null)), "{path}");
        for (query, kept, lost) in [("_elements=active", "id", "name"), ("_summary=text", "text", "name")] {
            let part =
                server.get_with(&format!("{path}?_count=100&{query}"), &[("prefer", "handling=strict")]).is(200).json();
            assert_eq!(rows(&part), rows(&whole), "{path}?{query}");
            for (entry, full) in
                part["entry"].as_array().into_iter().flatten().zip(whole["entry"].as_array().expect("rows"))
            {
                assert_eq!(entry["response"], full["response"]);
                let Some(resource) = entry.get("resource") else { continue };
                assert_eq!(resource["meta"]["tag"][0]["code"], "SUBSETTED", "{path}?{query}");
                assert_eq!(
                    (&resource[kept], &resource[lost]),
                    (&full["resource"][kept], &json!(null)),
                    "{path}?{query}"
                );
            }
        }
        let first = server.get(&format!("{path}?_count=1&_summary=true")).is(200).json();
        let next = link(&first, "next").expect("a next page");
        assert!(next.contains("_summary=true"), "{next}");
        assert_eq!(follow(&server, &next)["entry"].as_array().map(Vec::len), Some(1));
        server.get(&format!("{path}?_summary=some")).refuses(400, "value");
    }
}

/// Does everything that makes a version, and gives what each interaction answered: method and address as a history has
/// them (R4 http.html#history: conditional forms as the direct ones that they came to), and the answer.
fn live(server: &TestServer) -> Vec<(&'static str, String, Answer)> {
    let json_patch = |family: &str| json!([{"op": "replace", "path": "/name/0/family", "value": family}]).to_string();
    let patch = |path: &str, family: &str| {
        let headers = [("content-type", "application/json-patch+json")];
        server.send("PATCH", path, &headers, Some(json_patch(family).as_bytes()))
    };
    let gone = || server.send("DELETE", "Patient/p", &[], None);
    let only = |family: &str| {
        let headers = [("content-type", "application/fhir+json"), ("if-none-exist", "family=Onlyone")];
        server.send("POST", "Patient", &headers, Some(patient(family).to_string().as_bytes()))
    };
    let p = || "Patient/p".to_owned();
    let mut done = vec![
        ("PUT", p(), put(server, "p", "First")),
        ("PUT", p(), put(server, "p", "Second")),
        ("PATCH", p(), patch("Patient/p", "Third")),
        ("PATCH", p(), patch("Patient?family=Third", "Fourth")),
        ("PUT", p(), server.put("PUT", "Patient?family=Fourth", &with_id("p", "Fifth"))),
        ("DELETE", p(), server.send("DELETE", "Patient?family=Fifth", &[], None)),
        ("PUT", p(), put(server, "p", "Back")),
        ("PUT", p(), put(server, "p", "Backagain")),
        ("DELETE", p(), gone()),
        // Criteria that match nothing, with the id of what was deleted: it is created again.
        ("PUT", p(), server.put("PUT", "Patient?family=Nobody", &with_id("p", "Third time"))),
        ("POST", "Patient".to_owned(), server.put("POST", "Patient", &patient("Created"))),
        ("POST", "Patient".to_owned(), only("Onlyone")),
        ("POST", "Patient".to_owned(), server.put("PUT", "Patient?family=Newcomer", &patient("Newcomer"))),
    ];
    // Already there: no version.
    only("Onlyone").is(200);
    let entry = json!({"resource": with_id("t", "Transacted"), "request": {"method": "PUT", "url": "Patient/t"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry]});
    server.put("POST", "", &bundle).is(200);
    server.send("DELETE", "Patient/t", &[], None).is(204);
    let again = server.put("POST", "", &bundle).is(200).json();
    assert_eq!(again["entry"][0]["response"]["status"], "201 Created");
    done.push(("PUT", "Patient/t".to_owned(), server.get("Patient/t")));
    done
}

/// Holds every entry of the history of what [`live`] did to what its interaction answered.
fn compare(server: &TestServer, done: &[(&str, String, Answer)]) {
    let history = server.get("Patient/_history?_count=100").is(200).json();
    let entries: Vec<_> = history["entry"].as_array().expect("entries").iter().rev().collect();
    // Of the transaction the last version alone is in the list.
    assert_eq!(entries.len(), done.len() + 2);
    let of_transaction: Vec<_> = entries[done.len() - 1..].iter().map(|e| &e["response"]["status"]).collect();
    assert_eq!(of_transaction, ["201 Created", "204 No Content", "201 Created"]);
    let (read, made) = done.split_last().expect("something was done");
    for (entry, (method, url, answer)) in entries.iter().zip(made) {
        assert_eq!(entry["request"], json!({"method": method, "url": url}));
        let response = &entry["response"];
        let status = response["status"].as_str().expect("a status");
        assert_eq!(status.split(' ').next(), Some(answer.status.to_string().as_str()), "{method} {url}: {entry}");
        assert_eq!(response["etag"], answer.header("etag"), "{entry}");
        let location = answer.header("location").strip_prefix(&format!("{}/", server.base));
        assert_eq!(response["location"].as_str(), location, "{entry}");
        let resource = &entry["resource"];
        assert_eq!(resource.is_null(), *method == "DELETE", "{entry}");
        if !resource.is_null() {
            assert_eq!(*resource, answer.json());
            assert_eq!(response["lastModified"], resource["meta"]["lastUpdated"]);
            let id = resource["id"].as_str().expect("an id");
            assert_eq!(entry["fullUrl"], format!("{}/Patient/{id}", server.base));
        }
        assert!(response["lastModified"].is_string() && response.get("outcome").is_none(), "{entry}");
    }
    let last = entries.last().expect("an entry");
    assert_eq!(last["resource"], read.2.json());
    assert_eq!(last["response"]["etag"], read.2.header("etag"));
    // Alone on a page, where the version before is on another one; and of the instance, the type, the system.
    for path in ["Patient/p/_history", "Patient/_history", "_history"] {
        let whole = server.get(&format!("{path}?_count=100")).is(200).json();
        let mut next = Some(format!("{}/{path}?_count=1", server.base));
        for entry in whole["entry"].as_array().expect("entries") {
            let page = follow(server, &next.expect("a page for each entry"));
            assert_eq!(page["entry"], json!([entry]));
            next = link(&page, "next");
        }
        assert_eq!(next, None);
    }
}

#[test]
fn an_entry_says_what_the_interaction_answered() {
    let server = TestServer::start();
    let done = live(&server);
    compare(&server, &done);
}

#[test]
fn a_restart_changes_no_entry() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let settings = |bind| Settings { bind, data: Some(directory.path().to_owned()), ..Settings::default() };
    let server = TestServer::again(settings(None));
    let (listens, done) = (server.listens, live(&server));
    drop(server);
    let server = TestServer::again(settings(Some(listens)));
    compare(&server, &done);
}
