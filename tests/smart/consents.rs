//! What patients deny by a Consent, over HTTP: to staff, to their apps, and not to the patients themselves.

use super::world::World;
use serde_json::{Value, json};
use vesta::authorization::client::ClientKind;

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
