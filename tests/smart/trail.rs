//! The audit trail where there is access control: who may read it with which token, what patients learn of it, what is
//! recorded of the server and of administration, and that records keep the profiles of IHE BALP.

use super::world::{Key, World, form, person};
use crate::support::{TestServer, shared_data};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use vesta::access::Role;
use vesta::authorization::client::ClientKind;
use vesta::cli::settings::Settings;

fn observation(id: &str, patient: &str) -> Value {
    json!({"resourceType": "Observation", "id": id, "status": "final", "code": {"text": "pulse"},
        "subject": {"reference": format!("Patient/{patient}")}})
}

#[test]
fn auditors_read_the_trail_and_nobody_else_does() {
    let world = World::start();
    world.patient("amy");
    let (_, auditor) = person(&world, "watcher", Role::Auditor, None);
    let records = world.fhir("AuditEvent?_count=10", &auditor);
    assert!(records.is(200).json()["entry"].as_array().is_some_and(|all| !all.is_empty()));
    world.fhir("AuditEvent/1", &auditor).is(200);
    world.fhir("AuditEvent/_history", &auditor).is(200);
    world.fhir("Patient/amy/AuditEvent", &auditor).is(200);
    let over_all = world.fhir("?_type=AuditEvent&_count=3", &auditor).is(200).json();
    assert_eq!(over_all["entry"].as_array().map(Vec::len), Some(3), "{over_all}");
    // An auditor sees what was done, and not with what.
    world.fhir("Patient/amy", &auditor).is(403);
    let mut others = vec![("administrator".to_owned(), world.operator())];
    for role in Role::ALL.into_iter().filter(|role| !matches!(role, Role::Auditor | Role::Administrator)) {
        let resource = if role == Role::Patient { "Patient/amy" } else { "Practitioner/x" };
        others.push((role.code().to_owned(), person(&world, &format!("{}-2", role.code()), role, Some(resource)).1));
    }
    world.app("app", ClientKind::Public, |_| {});
    let app = world.tokens("app", "launch/patient patient/*.cruds", &world.amy);
    others.push(("an app".to_owned(), app["access_token"].as_str().expect("a token").to_owned()));
    for (who, token) in &others {
        for path in ["AuditEvent", "AuditEvent/1", "AuditEvent/1/_history", "AuditEvent/_history", "AuditEvent?_id=1"] {
            let answer = world.fhir(path, token);
            assert_eq!(answer.status, 403, "{who} {path}: {}", answer.text());
        }
        // What goes over all types leaves the trail out.
        for path in ["?_type=AuditEvent", "_history", "Patient?_revinclude=AuditEvent:entity"] {
            let text = world.fhir(path, token).text();
            assert!(!text.contains("\"resourceType\":\"AuditEvent\""), "{who} {path}: {text}");
        }
    }
    // Nor does anybody write to it, the auditor and the administrator included.
    for token in [&auditor, &world.operator()] {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/fhir+json")];
        for (method, path) in [("DELETE", "AuditEvent/1"), ("PUT", "AuditEvent/1"), ("POST", "AuditEvent")] {
            let body = br#"{"resourceType":"AuditEvent","id":"1"}"#;
            assert_eq!(world.server.send(method, path, &headers, Some(body)).status, 403, "{method} {path}");
        }
    }
}

#[test]
fn patients_see_who_has_seen_their_record() {
    let world = World::start();
    world.patient("amy");
    world.patient("bob");
    world.put("Observation/of-amy", &observation("of-amy", "amy"));
    world.app("app", ClientKind::Public, |_| {});
    let doctor = world.wait(world.authorization().token_for(&world.doctor, &["user/*.rs"], &world.base, 600));
    world.fhir("Observation/of-amy", &doctor.expect("a token")).is(200);
    let tokens = world.tokens("app", "launch/patient patient/*.rs", &world.amy);
    let amy = tokens["access_token"].as_str().expect("a token");
    let log = world.fhir("Patient/amy/$access-log", amy);
    let text = log.is(200).text();
    assert!(text.contains("Practitioner/doc"), "{text}");
    assert!(!text.contains("Patient/bob"), "{text}");
    let other = world.fhir("Patient/bob/$access-log", amy);
    assert!([403, 404].contains(&other.status), "{}", other.text());
}

#[test]
fn packages_are_for_administrators() {
    let world = World::start();
    let Some(folder) = shared_data("packages under access control") else { return };
    let archive = std::fs::read(folder.join("other-igs/ihe-balp-1.1.1-definitions.tar.zst"));
    let Ok(archive) = archive else { return crate::support::skipped(format_args!("there is no BALP package")) };
    let (_, doctor) = person(&world, "doctor-2", Role::Doctor, Some("Practitioner/x"));
    let send = |token: &str, method: &str, path: &str, body: Option<&[u8]>| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
        world.server.send(method, path, &headers, body)
    };
    // An administrator's app that was given only some records is no administrator.
    world.app("app", ClientKind::Public, |_| {});
    world.patient("amy");
    let small = world.wait(world.authorization().token_for(
        &world.administrator,
        &["patient/Observation.rs"],
        &world.base,
        600,
    ));
    for token in [doctor, small.expect("a token")] {
        assert_eq!(send(&token, "POST", "$package-add", Some(&archive)).status, 403);
        assert_eq!(send(&token, "GET", "$package-list", None).status, 403);
        assert_eq!(send(&token, "POST", "$package-remove?name=x&version=1", Some(b"")).status, 403);
    }
    assert_eq!(world.server.send("POST", "$package-add", &[], Some(&archive)).status, 401);
    let operator = world.operator();
    send(&operator, "POST", "$package-add", Some(&archive)).is(200);
    let listed = send(&operator, "GET", "$package-list", None);
    let listed = listed.is(200).json();
    let part =
        |number: usize| listed["parameter"][0]["part"][number]["valueString"].as_str().expect("a text").to_owned();
    let path = format!("$package-remove?name={}&version={}", part(0), part(1));
    let removed = send(&operator, "POST", &path, None);
    assert_eq!(removed.status, 200, "{}", removed.text());
}

/// The agent of a client or user in a record: what identifies it.
fn named(record: &Value, place: usize) -> Option<&str> {
    record["agent"][place]["who"]["identifier"]["value"].as_str()
}

#[test]
fn tokens_and_launches_name_client_user_and_patient_and_how_they_went() {
    let world = World::start();
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| {});
    let key = Key::elliptic();
    world.service("loader", &key);
    let (_, auditor) = person(&world, "watcher", Role::Auditor, None);
    let last = |subtype: &str| {
        let found = world.fhir("AuditEvent?_count=200", &auditor).is(200).json();
        let records = found["entry"].as_array().expect("records").iter().map(|entry| entry["resource"].clone());
        let number = |record: &Value| record["id"].as_str().and_then(|id| id.parse::<u64>().ok());
        records.filter(|r| r["subtype"][0]["code"] == subtype).max_by_key(number).expect("a record")
    };
    // A client that says who it is in its assertion alone.
    world.backend(&key.assertion(&world, "loader", |_, _| {}), "system/*.rs").is(200);
    let record = last("ITI-71");
    assert_eq!((named(&record, 0), record["outcome"].as_str()), (Some("loader"), Some("0")), "{record}");
    let other = Key::elliptic().assertion(&world, "loader", |_, _| {});
    assert_eq!(world.backend(&other, "system/*.rs").status, 401);
    let record = last("ITI-71");
    assert_eq!((named(&record, 0), record["outcome"].as_str()), (Some("loader"), Some("8")), "{record}");
    // Revocation says whose grant it ends.
    let tokens = world.tokens("app", "launch/patient patient/*.rs offline_access", &world.amy);
    let token = tokens["refresh_token"].as_str().expect("a token");
    world.post("/auth/revoke", &[("token", token), ("client_id", "app")], &[]).is(200);
    let record = last("ITI-71");
    assert_eq!((named(&record, 0), named(&record, 2)), (Some("app"), Some("amy")), "{record}");
    assert!(record["entity"].to_string().contains("revocation"), "{record}");
    assert!(record["entity"].to_string().contains("Patient/amy"), "{record}");

    let doctor = world.wait(world.authorization().token_for(&world.doctor, &["user/*.rs"], &world.base, 600));
    let bearer = format!("Bearer {}", doctor.expect("a token"));
    let launch = |body: Value, authorization: &str| {
        let headers = [("authorization", authorization), ("content-type", "application/json")];
        world.server.send("POST", "/auth/launch", &headers, Some(body.to_string().as_bytes()))
    };
    launch(json!({"client_id": "app", "patient": "amy"}), &bearer).is(201);
    let record = last("110120");
    assert_eq!((named(&record, 2), record["outcome"].as_str()), (Some("doctor"), Some("0")), "{record}");
    let about = record["entity"].to_string();
    assert!(about.contains("Patient/amy") && about.contains("\"type\":\"app\",\"valueString\":\"app\""), "{record}");
    launch(json!({"client_id": "app", "patient": "nobody"}), &bearer).is(403);
    let record = last("110120");
    assert_eq!((named(&record, 2), record["outcome"].as_str()), (Some("doctor"), Some("8")), "{record}");
    launch(json!({}), "Bearer wrong").is(401);
    let record = last("110120");
    assert_eq!((named(&record, 2), record["outcome"].as_str()), (None, Some("8")), "{record}");
}

#[test]
fn a_policy_is_told_with_its_role() {
    let world = World::start();
    let (_, auditor) = person(&world, "watcher", Role::Auditor, None);
    let bearer = format!("Bearer {}", world.operator());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/fhir+json")];
    let all = world.server.get_with("$access-policy?role=nurse", &headers).is(200).json();
    let policy = serde_json::to_vec(&all["parameter"][0]["resource"]).expect("JSON");
    world.server.send("POST", "$access-policy", &headers, Some(&policy)).is(200);
    let found = world.fhir("AuditEvent?_count=200", &auditor).is(200).json();
    let records = found["entry"].as_array().expect("records").iter().map(|entry| &entry["resource"]);
    let told: Vec<&Value> =
        records.filter(|r| r["entity"].to_string().contains("\"role\",\"valueString\":\"nurse\"")).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    assert!(told[0]["entity"].to_string().contains("$access-policy") && told[0]["outcome"] == "0", "{}", told[0]);
}

#[test]
fn tokens_in_addresses_are_not_told() {
    let world = World::start();
    world.patient("amy");
    let (_, auditor) = person(&world, "watcher", Role::Auditor, None);
    let token = world.operator();
    let bearer = format!("Bearer {token}");
    assert_eq!(world.server.get(&format!("Patient/amy?access_token={token}")).status, 401);
    assert_eq!(world.server.get(&format!("Patient?a=1&ACCESS%5Ftoken={token}&name=x")).status, 401);
    // With a good token in the header, too, whatever becomes of the parameter.
    world.server.get_with(&format!("Patient?name=x&access_token={token}"), &[("authorization", &bearer)]);
    world.server.get_with(&format!("Patient/amy?access_token={token}"), &[("authorization", &bearer)]);
    let form = format!("name=x&access_token={token}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    world.server.send("POST", "Patient/_search", &headers, Some(form.as_bytes()));
    let records = world.fhir("AuditEvent?_count=200", &auditor).is(200).json();
    let mut queries = 0;
    for entry in records["entry"].as_array().expect("records") {
        assert!(!entry.to_string().contains(&token), "{entry}");
        for entity in entry["resource"]["entity"].as_array().into_iter().flatten() {
            let Some(query) = entity["query"].as_str() else { continue };
            let query = String::from_utf8(STANDARD.decode(query).expect("base64")).expect("UTF-8");
            assert!(!query.contains(&token), "{query}");
            queries += usize::from(query.contains("(not told)"));
        }
    }
    assert_eq!(queries, 4, "of a read the resource is told, not the query: {records}");
}

/// The trail of a server on which all sorts of things were done.
fn busy() -> (World, String) {
    let world =
        World::of(TestServer::with(Settings { auth: Some(vesta::cli::settings::Auth::On), ..Settings::default() }));
    world.put("Patient/amy", &json!({"resourceType": "Patient", "id": "amy"}));
    world.put("Patient/amy", &json!({"resourceType": "Patient", "id": "amy", "gender": "female"}));
    world.put("Organization/org", &json!({"resourceType": "Organization", "id": "org", "name": "Clinic"}));
    world.put("Observation/of-amy", &observation("of-amy", "amy"));
    world.app("app", ClientKind::Public, |_| {});
    let tokens = world.tokens("app", "launch/patient patient/*.cruds openid fhirUser", &world.amy);
    let amy = tokens["access_token"].as_str().expect("a token").to_owned();
    let doctor = world.wait(world.authorization().token_for(&world.doctor, &["user/*.cruds"], &world.base, 600));
    for token in [amy, doctor.expect("a token"), world.operator()] {
        for path in [
            "Patient/amy",
            "Observation/of-amy",
            "Observation/of-amy/_history/1",
            "Observation/of-amy/_history",
            "Observation?status=final",
            "Patient/amy/Observation",
            "Organization/org",
            "Patient/nobody",
            "Patient/amy/$everything",
            "_history",
            "Practitioner?name=x",
        ] {
            world.fhir(path, &token);
        }
    }
    let bearer = format!("Bearer {}", world.operator());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/fhir+json")];
    let new = serde_json::to_vec(&observation("x", "amy")).expect("JSON");
    let made = world.server.send("POST", "Observation", &headers, Some(&new));
    let id = made.is(201).json()["id"].as_str().expect("an id").to_owned();
    world.server.send("DELETE", &format!("Observation/{id}"), &headers, None);
    let media = [("content-type", "application/x-www-form-urlencoded")];
    let wrong = form(&[("user", "nobody"), ("pass", "wrong")]);
    world.server.send("POST", "/auth/sign-in", &media, Some(wrong.as_bytes()));
    world.fhir("Patient/amy", "no-token");
    let (_, auditor) = person(&world, "watcher", Role::Auditor, None);
    (world, auditor)
}

#[test]
fn records_keep_the_profiles_of_balp() {
    let Some(folder) = shared_data("records against BALP") else { return };
    let archive = std::fs::read(folder.join("other-igs/ihe-balp-1.1.1-definitions.tar.zst"));
    let Ok(archive) = archive else { return crate::support::skipped(format_args!("there is no BALP package")) };
    let (world, auditor) = busy();
    let records = world.fhir("AuditEvent?_count=500", &auditor).is(200).json();
    let bearer = format!("Bearer {}", world.operator());
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/octet-stream")];
    world.server.send("POST", "$package-add", &headers, Some(&archive)).is(200);
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/fhir+json")];
    let (mut kept, mut faults) = (BTreeSet::new(), Vec::new());
    for entry in records["entry"].as_array().expect("records") {
        let record = &entry["resource"];
        let profile = record["meta"]["profile"][0].as_str().unwrap_or_default();
        let body = serde_json::to_vec(record).expect("JSON");
        let answer = world.server.send("POST", "AuditEvent/$validate", &headers, Some(&body));
        let outcome = answer.is(200).json();
        let wrong = |issue: &&Value| matches!(issue["severity"].as_str(), Some("error" | "fatal"));
        let wrong: Vec<String> =
            outcome["issue"].as_array().into_iter().flatten().filter(wrong).map(Value::to_string).collect();
        if !wrong.is_empty() {
            faults.push(format!("{} {profile}: {}\n{record}", record["id"], wrong.join("\n")));
        }
        kept.extend(profile.rsplit("BasicAudit.").next().map(str::to_owned));
    }
    assert!(faults.is_empty(), "{} records: {}", faults.len(), faults.join("\n\n"));
    for profile in
        ["PatientCreate", "PatientRead", "PatientUpdate", "PatientDelete", "PatientQuery", "Read", "Update", "Query"]
    {
        assert!(kept.contains(profile), "no record keeps {profile}: {kept:?}");
    }
}
