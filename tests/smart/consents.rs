//! What patients deny by a Consent, over HTTP: to staff, to their apps, and not to the patients themselves.

use super::world::{Key, World, query_of};
use serde_json::{Value, json};
use vesta::authorization::client::ClientKind;
use vesta::authorization::consent::Answer;

#[test]
fn what_a_patient_denies_is_not_there_for_others() {
    let world = World::start();
    for id in ["amy", "bob"] {
        world.patient(id);
    }
    let observation = |id: &str, label: &str| {
        json!({"resourceType": "Observation", "id": id, "meta": {"security": [{"code": label}]},
            "subject": {"reference": "Patient/amy"}})
    };
    for (id, label) in [("one", "ETH"), ("two", "N")] {
        world.put(&format!("Observation/{id}"), &observation(id, label));
    }
    world.app("app", ClientKind::Public, |_| ());
    let token =
        |scope: &str, person| world.tokens("app", scope, person)["access_token"].as_str().expect("a token").to_owned();
    let doctor = token("user/*.rs", &world.doctor);
    let app = token("launch/patient patient/*.rs", &world.amy);
    world.put("Consent/k", &json!({"resourceType": "Consent", "id": "k", "patient": {"reference": "Patient/amy"}}));
    let own = world.wait(world.authorization().token_for(&world.amy, &["user/*.cruds"], &world.base, 600));
    let own = format!("Bearer {}", own.expect("a token"));
    let put = |rest: Value| {
        let mut consent = json!({"resourceType": "Consent", "id": "k", "status": "active",
            "scope": {"coding": [{"code": "patient-privacy"}]}, "patient": {"reference": "Patient/amy/_history/1"}});
        for (name, value) in rest.as_object().expect("an object") {
            consent[name] = value.clone();
        }
        // Once everything is denied only the patient can take it back.
        let headers = [("authorization", own.as_str()), ("content-type", "application/fhir+json")];
        let body = consent.to_string();
        let answer = world.server.send("PUT", "Consent/k", &headers, Some(body.as_bytes()));
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    let out = json!({"coding": [{"code": "OPTOUT"}]});
    let permit = |action: &str| json!({"type": "permit", "action": [{"coding": [{"code": action}]}]});
    let label = json!({"type": "permit", "provision": [{"type": "deny", "securityLabel": [{"code": "ETH"}]}]});
    for (rest, patient, one, two) in [
        (json!({}), 200, 200, 200),
        (json!({"policyRule": out}), 404, 404, 404),
        (json!({"policyRule": out, "provision": permit("collect")}), 404, 404, 404),
        (json!({"policyRule": out, "provision": permit("access")}), 200, 200, 200),
        (json!({"provision": label}), 200, 404, 200),
        (json!({"status": "inactive", "policyRule": out}), 200, 200, 200),
    ] {
        put(rest.clone());
        let read = |token: &str| {
            ["Patient/amy", "Observation/one", "Observation/two"].map(|path| world.fhir(path, token).status)
        };
        assert_eq!(read(&doctor), [patient, one, two], "{rest}");
        let found = world.fhir("Observation?_summary=count", &doctor).is(200).json();
        let seen = [one, two].iter().filter(|status| **status == 200).count();
        assert_eq!(found["total"], seen, "{rest}");
        assert_eq!(read(&app), [200, 200, 200], "a patient is not denied the own data: {rest}");
        assert_eq!(world.fhir("Patient/bob", &doctor).status, 200, "{rest}");
    }
}

/// Whoever is denied something does not take the denial back by writing the Consent.
#[test]
fn only_the_patient_takes_a_denial_back() {
    let world = World::start();
    world.patient("amy");
    world.put(
        "Condition/of-amy",
        &json!({"resourceType": "Condition", "id": "of-amy", "subject": {"reference": "Patient/amy"}}),
    );
    let token = |person| world.wait(world.authorization().token_for(person, &["user/*.cruds"], &world.base, 600));
    let (own, doctor, operator) = (token(&world.amy), token(&world.doctor), world.operator());
    let (own, doctor) = (own.expect("a token"), doctor.expect("a token"));
    let send = |token: &str, method: &str, path: &str, media: &str, body: &Value| {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", media)];
        let body = body.to_string();
        world.server.send(method, path, &headers, (method != "DELETE").then_some(body.as_bytes()))
    };
    let fhir = "application/fhir+json";
    let consent = |status: &str, rest: Value| {
        json!({"resourceType": "Consent", "status": status, "scope": {"coding": [{"code": "patient-privacy"}]},
            "patient": {"reference": "Patient/amy"}, "provision": rest})
    };
    let denial = json!({"type": "permit", "provision": [{"type": "deny", "class": [{"code": "Condition"}]}]});
    let made = send(&own, "POST", "Consent", fhir, &consent("active", denial.clone())).is(201).json();
    let id = made["id"].as_str().expect("an id").to_owned();
    let path = format!("Consent/{id}");
    let with_id = |status: &str| {
        let mut consent = consent(status, denial.clone());
        consent["id"] = json!(id);
        consent
    };
    let seen = || world.fhir("Condition/of-amy", &doctor).status;
    assert_eq!(seen(), 404);
    assert_eq!(world.fhir("Consent?patient=amy", &doctor).is(200).json()["total"], 1, "the Consent may be read");

    let key = Key::elliptic();
    world.service("loader", &key);
    let service = world.backend(&key.assertion(&world, "loader", |_, _| {}), "system/*.cruds").is(200).json();
    let service = service["access_token"].as_str().expect("a token").to_owned();
    let lift = json!([{"op": "replace", "path": "/status", "value": "inactive"}]);
    let meta =
        json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [{"code": "x"}]}}]});
    let by_id = format!("Consent?_id={id}");
    for token in [&doctor, &service] {
        for (method, path, media, body) in [
            ("PUT", path.as_str(), fhir, &with_id("inactive")),
            ("PUT", by_id.as_str(), fhir, &with_id("inactive")),
            ("PUT", path.as_str(), fhir, &with_id("active")),
            ("PATCH", path.as_str(), "application/json-patch+json", &lift),
            ("PATCH", by_id.as_str(), "application/json-patch+json", &lift),
            ("PATCH", path.as_str(), "application/merge-patch+json", &json!({"provision": null})),
            ("POST", &format!("{path}/$meta-add"), fhir, &meta),
            ("DELETE", path.as_str(), fhir, &json!({})),
            ("DELETE", by_id.as_str(), fhir, &json!({})),
        ] {
            send(token, method, path, media, body).refuses(403, "forbidden");
        }
        for kind in ["batch", "transaction"] {
            let bundle = json!({"resourceType": "Bundle", "type": kind,
                "entry": [{"resource": with_id("inactive"), "request": {"method": "PUT", "url": path}}]});
            let answer = send(token, "POST", "", fhir, &bundle);
            match kind {
                "batch" => assert_eq!(answer.is(200).json()["entry"][0]["response"]["status"], "403 Forbidden"),
                _ => drop(answer.refuses(403, "forbidden").status),
            }
        }
    }
    // Of two Consents the one that denies counts: another one lifts nothing.
    let other = send(&doctor, "POST", "Consent", fhir, &consent("active", json!({"type": "permit"}))).is(201).json();
    assert_eq!(seen(), 404);
    // What denies nothing is changed by whom the policy lets.
    let other_path = format!("Consent/{}", other["id"].as_str().expect("an id"));
    let mut changed = other.clone();
    changed["status"] = json!("inactive");
    send(&doctor, "PUT", &other_path, fhir, &changed).is(200);

    // The patient takes it back, gives it again; so does whom the policy names, and staff in an emergency.
    for lifts in [&own, &operator] {
        send(lifts, "PUT", &path, fhir, &with_id("inactive")).is(200);
        assert_eq!(seen(), 200);
        send(&own, "PUT", &path, fhir, &with_id("active")).is(200);
        assert_eq!(seen(), 404);
    }
    world.app("app", ClientKind::Public, |_| ());
    let emergency = Answer {
        scopes: vec!["user/*.cruds".to_owned()],
        break_glass: Some("unconscious".to_owned()),
        ..Answer::default()
    };
    let back = world.led_back("app", "user/*.cruds", &world.doctor, Some(emergency));
    let tokens = world.exchange("app", &query_of(&back, "code").expect("a code")).is(200).json();
    let token = tokens["access_token"].as_str().expect("a token");
    send(token, "PUT", &path, fhir, &with_id("inactive")).is(200);
    assert_eq!(seen(), 200);
}
