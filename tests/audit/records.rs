//! What the records say: shapes of IHE BALP, agents, entities, outcome; legal resources all.

use super::*;
use base64::Engine;

/// The codes of a record: subtype and action.
fn codes(record: &Value) -> (&str, &str) {
    (record["subtype"][0]["code"].as_str().expect("a subtype"), record["action"].as_str().expect("an action"))
}

fn profile(record: &Value) -> &str {
    let profile = record["meta"]["profile"][0].as_str().unwrap_or_default();
    profile.strip_prefix("https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.").unwrap_or(profile)
}

#[test]
fn a_read_tells_who_what_whose_and_from_where() {
    let server = server();
    let patient = server.create(&patient("Shaw"));
    let id = server.create(&observation(&patient));
    let path = format!("Observation/{id}");
    let (_, record) = only_record(&server, || server.get_with(&path, &[("x-request-id", "request-7")]).is(200).clone());
    assert_eq!((codes(&record), profile(&record)), (("read", "R"), "PatientRead"));
    assert_eq!(about(&record), [path, format!("Patient/{patient}")]);
    assert_eq!(record["agent"][0]["network"], json!({"address": "127.0.0.1", "type": "2"}));
    assert_eq!(record["agent"][0]["type"]["coding"][0]["code"], "110152");
    assert_eq!(record["agent"][1]["network"]["address"], server.base);
    let entities = record["entity"].as_array().expect("entities");
    assert_eq!(entities.last().expect("one")["what"]["identifier"]["value"], "request-7");
}

#[test]
fn a_part_of_a_resource_tells_of_the_patient_too() {
    let server = server();
    let patient = server.create(&patient("Shaw"));
    let id = server.create(&observation(&patient));
    for path in [format!("Observation/{id}?_elements=status"), format!("Observation?_id={id}&_elements=status")] {
        let (answer, record) = only_record(&server, || server.get(&path));
        assert!(!answer.text().contains("subject"), "{}", answer.text());
        assert!(about(&record).contains(&format!("Patient/{patient}").as_str()), "{record}");
    }
}

#[test]
fn writes_tell_which_resource_and_whose() {
    let server = server();
    let (a, b) = (server.create(&patient("A")), server.create(&patient("B")));
    let (answer, record) = only_record(&server, || server.put("POST", "Observation", &observation(&a)));
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!((codes(&record), profile(&record)), (("create", "C"), "PatientCreate"));
    assert_eq!(about(&record), [format!("Observation/{id}"), format!("Patient/{a}")]);
    let mut moved = observation(&b);
    moved["id"] = json!(id);
    let (_, record) = only_record(&server, || server.put("PUT", &format!("Observation/{id}"), &moved));
    let mut both = [format!("Patient/{a}"), format!("Patient/{b}")];
    both.sort();
    assert_eq!((codes(&record), profile(&record)), (("update", "U"), "Update"), "{record}");
    assert_eq!(about(&record)[1..], both, "out of one record and into the other");
    let (_, record) = only_record(&server, || server.send("DELETE", &format!("Observation/{id}"), &[], None));
    assert_eq!((codes(&record), profile(&record)), (("delete", "D"), "PatientDelete"));
    assert_eq!(about(&record)[1], format!("Patient/{b}"));
    let (_, record) = only_record(&server, || server.put("PATCH", &format!("Patient/{b}"), &json!({"language": "en"})));
    assert_eq!((codes(&record), profile(&record)), (("patch", "U"), "PatientUpdate"));
}

#[test]
fn a_search_tells_what_was_asked_and_whose_records_were_shown() {
    let server = server();
    let (a, b) = (server.create(&patient("A")), server.create(&patient("B")));
    server.create(&observation(&a));
    let (_, record) = only_record(&server, || server.get(&format!("Observation?patient={a}&_count=5")));
    assert_eq!((codes(&record), profile(&record)), (("search-type", "E"), "PatientQuery"));
    let query = record["entity"][0]["query"].as_str().expect("a query");
    let query = base64::engine::general_purpose::STANDARD.decode(query).expect("base64");
    assert_eq!(
        String::from_utf8(query).expect("text"),
        format!("GET {}/Observation?patient={a}&_count=5", server.base)
    );
    assert_eq!(about(&record), [format!("Patient/{a}")]);
    server.create(&observation(&b));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let (_, record) = only_record(&server, || {
        server.send("POST", "Observation/_search", &form, Some(b"_include=Observation:subject"))
    });
    assert_eq!(profile(&record), "Query");
    let mut both = [format!("Patient/{a}"), format!("Patient/{b}")];
    both.sort();
    assert_eq!(about(&record), both);
    let query =
        base64::engine::general_purpose::STANDARD.decode(record["entity"][0]["query"].as_str().expect("a query"));
    assert!(String::from_utf8(query.expect("base64")).expect("text").ends_with("_search?_include=Observation:subject"));
}

#[test]
fn a_refusal_tells_why() {
    let server = server();
    let (_, record) = only_record(&server, || server.get("Patient/unknown").is(404).clone());
    assert_eq!((record["outcome"].as_str(), profile(&record)), (Some("4"), ""));
    assert!(record["outcomeDesc"].as_str().is_some_and(|d| d.starts_with("not-found")), "{record}");
    let (_, record) =
        only_record(&server, || server.put("POST", "Patient", &json!({"resourceType": "Patient", "x": 1})));
    assert_eq!((record["outcome"].as_str(), codes(&record).0), (Some("4"), "create"));
}

#[test]
fn a_transaction_leaves_a_record_for_each_entry_in_its_commit() {
    let server = server();
    let bundle = |second: Value| {
        json!({"resourceType": "Bundle", "type": "transaction", "entry": [
            {"fullUrl": "urn:uuid:0b6c3c9a-5fd4-4a5a-8c54-1f3c6a0e2f11", "resource": patient("Shaw"),
                "request": {"method": "POST", "url": "Patient"}},
            {"resource": second, "request": {"method": "POST", "url": "Observation"}}]})
    };
    let before = count(&server);
    let reference = "urn:uuid:0b6c3c9a-5fd4-4a5a-8c54-1f3c6a0e2f11";
    let mut second = observation("x");
    second["subject"]["reference"] = json!(reference);
    server.put("POST", "", &bundle(second)).is(200);
    assert_eq!(count(&server) - before, 3, "two entries, and the asking");
    let record = server.get(&format!("AuditEvent/{}", before + 3)).is(200).json();
    assert_eq!(codes(&record), ("create", "C"));
    assert_eq!(about(&record).len(), 2, "the resolved reference names the patient: {record}");
    let (_, record) = only_record(&server, || {
        server.put("POST", "", &bundle(json!({"resourceType": "Observation"}))).is(422).clone()
    });
    assert_eq!((codes(&record), record["outcome"].as_str()), (("transaction", "E"), Some("4")));
}

#[test]
fn every_record_is_a_legal_resource() {
    let server = server();
    let a = server.create(&patient("A \"quoted\" \\ name"));
    let id = server.create(&observation(&a));
    server.put("PATCH", &format!("Observation/{id}"), &json!({"language": "en"})).is(200);
    server.get(&format!("Observation/{id}/_history/1")).is(200);
    server.get("Observation?code=%22%5C%0A").is(200);
    server.get("_history").is(200);
    server.get(&format!("Patient/{a}/$everything")).is(200);
    server.send("DELETE", &format!("Observation/{id}"), &[], None).is(204);
    server.get(&format!("Observation/{id}")).is(410);
    server.put("POST", "AuditEvent", &json!({"resourceType": "AuditEvent"})).is(403);
    server.put("POST", "", &json!({"resourceType": "Bundle", "type": "transaction"})).is(200);
    let all = server.get("AuditEvent?_count=100").is(200).json();
    let entries = all["entry"].as_array().expect("entries");
    assert!(entries.len() >= 11, "{}", entries.len());
    for entry in entries {
        let mut record = entry["resource"].clone();
        // Whether it follows BALP is asked elsewhere, where the profiles are at hand.
        record["meta"].as_object_mut().expect("meta").remove("profile");
        let outcome = server.put("POST", "AuditEvent/$validate", &record).is(200).json();
        let issues = outcome["issue"].as_array().expect("issues");
        let wrong: Vec<_> = issues.iter().filter(|i| i["severity"] == "error" || i["severity"] == "fatal").collect();
        assert!(wrong.is_empty(), "{wrong:?} in {record}");
    }
}
