//! What searches may cost: large questions are answered, too large ones refused or told to be cut short, and always with
//! words.

use crate::support::TestServer;
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use vesta::cli::settings::{Settings, Validation};

/// A hub to which many refer, and a cycle of organizations.
static SERVER: LazyLock<TestServer> = LazyLock::new(|| {
    let server = TestServer::with(Settings { validation: Some(Validation::Off), ..Settings::default() });
    let mut entries = vec![entry(json!({"resourceType": "Patient", "id": "hub"}))];
    for i in 0..1_500 {
        let subject = json!({"reference": "Patient/hub"});
        entries.push(entry(json!({"resourceType": "Observation", "id": format!("o{i}"), "status": "final",
            "code": {"text": "x"}, "subject": subject, "hasMember": [{"reference": format!("Observation/o{}", i + 1)}]})));
    }
    for i in 0..5 {
        entries.push(entry(json!({"resourceType": "Organization", "id": format!("c{i}"),
            "partOf": {"reference": format!("Organization/c{}", (i + 1) % 5)}})));
    }
    server.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(200);
    server
});

fn entry(resource: Value) -> Value {
    let url =
        format!("{}/{}", resource["resourceType"].as_str().expect("a type"), resource["id"].as_str().expect("an id"));
    json!({"resource": resource, "request": {"method": "PUT", "url": url}})
}

fn count(page: &Value, mode: &str) -> usize {
    page["entry"].as_array().into_iter().flatten().filter(|e| e["search"]["mode"] == mode).count()
}

/// A search by POST, for what is too long for an address.
fn search(kind: &str, form: &str) -> crate::support::Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    SERVER.send("POST", &format!("{kind}/_search"), &headers, Some(form.as_bytes()))
}

#[test]
fn ten_thousand_values() {
    let ids: Vec<_> = (0..10_000).map(|i| format!("o{i}")).collect();
    let page = search("Observation", &format!("_id={}&_count=10", ids.join(","))).is(200).json();
    assert_eq!(page["total"], 1_500);
    let codes: Vec<_> = (0..10_000).map(|i| format!("http://s|{i}")).collect();
    assert_eq!(search("Observation", &format!("code={}", codes.join(","))).is(200).json()["total"], 0);
    search("Observation", &format!("_id={},x", ids.join(","))).refuses(400, "too-costly");
}

/// By every parameter that Patients can be sorted by, and more; the last is the one that tells them apart.
#[test]
fn many_keys_of_a_sort() {
    let server = TestServer::start();
    for date in ["1980-01-01", "2000-01-01", "1990-01-01"] {
        server.create(&json!({"resourceType": "Patient", "gender": "other", "birthDate": date}));
    }
    let keys = "active,address,address-city,address-country,address-postalcode,address-state,address-use,death-date,\
                deceased,email,family,gender,general-practitioner,given,identifier,language,link,name,organization,phone,\
                phonetic,telecom,-birthdate,_lastUpdated,_id";
    let page = server.get(&format!("Patient?_sort={keys}")).is(200).json();
    let dates: Vec<_> =
        page["entry"].as_array().expect("entries").iter().map(|e| &e["resource"]["birthDate"]).collect();
    assert_eq!(dates, ["2000-01-01", "1990-01-01", "1980-01-01"]);
    server.get(&format!("Patient?_sort={}", vec!["name"; 201].join(","))).is(400);
}

#[test]
fn fifty_links_of_a_chain() {
    let chain = |links: usize| format!("{}._id=o{links}", vec!["has-member:Observation"; links].join("."));
    let page = search("Observation", &chain(50)).is(200).json();
    assert_eq!(page["total"], 1);
    assert_eq!(page["entry"][0]["resource"]["id"], "o0");
    search("Observation", &chain(51)).refuses(400, "too-costly");
    let has = format!("{}_id=o0", "_has:Observation:has-member:".repeat(50));
    assert_eq!(search("Observation", &has).is(200).json()["entry"][0]["resource"]["id"], "o50");
}

#[test]
fn cycles_of_includes_end() {
    let page = SERVER.get("Organization?_id=c0&_include:iterate=Organization:partof").is(200).json();
    assert_eq!((count(&page, "match"), count(&page, "include")), (1, 4));
    let page =
        SERVER.get("Organization?_id=c0&_revinclude:iterate=Organization:partof&_include:iterate=*").is(200).json();
    assert_eq!((count(&page, "match"), count(&page, "include")), (1, 4));
}

#[test]
fn a_hub_is_cut_short_with_words() {
    let page = SERVER.get("Patient?_id=hub&_revinclude=*").is(200).json();
    assert_eq!(count(&page, "match"), 1);
    assert_eq!(count(&page, "include"), 1_000);
    let outcome = page["entry"].as_array().expect("entries").iter().find(|e| e["search"]["mode"] == "outcome");
    let issue = &outcome.expect("an outcome")["resource"]["issue"][0];
    assert_eq!((&issue["severity"], &issue["code"]), (&json!("warning"), &json!("incomplete")));
}

#[test]
fn a_huge_count_is_lowered() {
    for huge in ["5000", "99999999999999999999999999"] {
        let page = SERVER.get(&format!("Observation?_count={huge}")).is(200).json();
        assert_eq!(count(&page, "match"), 1_000);
        let own = page["link"].as_array().expect("links").iter().find(|l| l["relation"] == "self").expect("self");
        assert!(own["url"].as_str().expect("a URL").contains("_count=1000"), "{own}");
    }
    SERVER.get("Observation?_count=-1").refuses(400, "value");
}

#[test]
fn a_search_that_looks_at_too_much_is_refused() {
    let server =
        TestServer::with(Settings { validation: Some(Validation::Off), query_rows: Some(50), ..Settings::default() });
    let entries: Vec<_> = (0..400)
        .map(|i| {
            entry(json!({"resourceType": "Patient", "id": format!("p{i}"), "name": [{"family": format!("x{i}y")}]}))
        })
        .collect();
    server.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries})).is(200);
    assert_eq!(server.get("Patient?_id=p7").is(200).json()["total"], 1);
    let started = Instant::now();
    server.get("Patient?name:contains=y&_sort=-birthdate&gender:not=male").refuses(422, "too-costly");
    assert!(started.elapsed() < Duration::from_secs(60));
}

/// G08: an order that has to look at every resource, and the number of all matches, within what a search may cost.
#[test]
fn orders_and_totals_that_cost_too_much_are_refused() {
    let entries: Vec<_> = (0..400)
        .map(|i| {
            entry(json!({"resourceType": "Patient", "id": format!("p{i}"), "name": [{"family": format!("x{i}y")}]}))
        })
        .collect();
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entries});
    let rows = Settings { query_rows: Some(50), ..Settings::default() };
    let time = Settings { query_time: "0ms".parse().ok(), ..Settings::default() };
    for (settings, by_time) in [(rows, false), (time, true)] {
        let server = TestServer::with(Settings { validation: Some(Validation::Off), ..settings });
        server.put("POST", "", &bundle).is(200);
        for query in [
            "name:contains=y&_sort=-death-date,address-postalcode,phonetic&_total=accurate",
            "name:contains=y&_sort=address-city&_total=accurate&_count=1",
            "name:contains=y&gender:not=male&_total=accurate&_count=0",
        ] {
            let began = Instant::now();
            let answer = server.get(&format!("Patient?{query}"));
            assert!(began.elapsed() < Duration::from_secs(60), "{query}");
            answer.is(answer.status);
            assert!(matches!(answer.status, 422 | 503), "{by_time} {query}: {} {:.300}", answer.status, answer.text());
        }
        server.get("/health/live").is(200);
    }
}

#[test]
fn a_search_tells_how_it_was_read() {
    let page = SERVER.get("Observation?subject=Patient/hub&code:text=x&nope=1&_count=1&_explain=true").is(200).json();
    let outcome = page["entry"].as_array().expect("entries").iter().find(|e| e["search"]["mode"] == "outcome");
    let issues = outcome.expect("an outcome")["resource"]["issue"].as_array().expect("issues").clone();
    let said: Vec<_> = issues.iter().map(|i| i["diagnostics"].as_str().expect("words")).collect();
    let said = said.join("\n");
    for words in [
        "nope",
        "looked in: Observation",
        "Patient/hub",
        "postings of",
        "1500 resources, ",
        " rows looked at",
        "rows looked at for the answer",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
