//! Access in an emergency, from the page where a reason is stated to what the app sees, and what the trail tells of it.

use super::consent::{ask, exchange, house, sign_in};
use super::trail::Watcher;
use super::{Browser, House, PASSWORD, run, seal};
use crate::support::Answer;
use serde_json::{Value, json};
use vesta::access::Role;
use vesta::authorization::consent::Person;
use vesta::authorization::people::NewUser;
use vesta::base::{Clock, SystemClock};

const REASON: &str = "unconscious in room 2";
const SCOPE: &str = "launch/patient openid offline_access patient/Patient.rs patient/Observation.rs";

/// A house in which a patient has refused everybody's access to the whole record.
fn closed() -> House {
    let house = house();
    let user = run(house.authorization.people.add(NewUser::new("second-operator", Role::Administrator)));
    let person = Person {
        subject: user.expect("is added").id,
        name: "second-operator".into(),
        role: "administrator".into(),
        user: None,
        session: None,
        authenticated: SystemClock.now(),
    };
    let token = run(house.authorization.token_for(&person, &["user/*.cruds"], &house.server.base, 600));
    let token = format!("Bearer {}", token.expect("a token"));
    let put = |resource: &Value| {
        let path = format!(
            "{}/{}",
            resource["resourceType"].as_str().expect("a type"),
            resource["id"].as_str().expect("an id")
        );
        let headers = [("authorization", token.as_str()), ("content-type", "application/fhir+json")];
        house.server.send("PUT", &path, &headers, Some(resource.to_string().as_bytes())).is(201);
    };
    put(&json!({"resourceType": "Observation", "id": "of-bob", "status": "final", "code": {"text": "pulse"},
        "subject": {"reference": "Patient/bob"}}));
    let codes = |system: &str, code: &str| json!({"coding": [{"system": system, "code": code}]});
    put(&json!({"resourceType": "Consent", "id": "no", "status": "active",
        "scope": codes("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [codes("http://loinc.org", "59284-0")],
        "policyRule": codes("http://terminology.hl7.org/CodeSystem/v3-ActCode", "OPTOUT"),
        "patient": {"reference": "Patient/bob"}, "provision": {"type": "deny"}}));
    house.add(NewUser { password: Some((PASSWORD.into(), false)), ..NewUser::new("lab", Role::LaboratoryTechnician) });
    house
}

/// What an app reads with the tokens it was given.
fn read(house: &House, tokens: &Value, path: &str) -> Answer {
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().expect("a token"));
    house.server.get_with(path, &[("authorization", &bearer)])
}

/// Allows everything on the consent page, with a reason for an emergency.
fn allow_in_emergency(browser: &mut Browser<'_>, place: &str, scopes: &str, reason: &str) -> Answer {
    let own = seal(&browser.get(place).is(200).text());
    let mut fields = vec![("seal", own.as_str()), ("decision", "allow"), ("emergency", reason)];
    fields.extend(scopes.split(' ').map(|scope| ("scope", scope)));
    browser.post(place, &fields)
}

#[test]
fn a_stated_reason_opens_what_was_refused_for_one_hour_and_is_told() {
    let house = closed();
    let mut watcher = Watcher::of(&house);
    let mut browser = house.browser();
    browser.sign_in("asante", PASSWORD);

    // Without a reason there is no such record.
    let scope = "openid offline_access user/Patient.rs user/Observation.rs";
    let place = ask(&house, &mut browser, scope, "");
    let consent = browser.get(&place).header("location").to_owned();
    let page = browser.get(&consent).is(200).text();
    assert!(page.contains("Reason for emergency access") && page.contains("name=\"emergency\""), "{page}");
    browser.headers = vec![("accept-language", "fr".to_owned())];
    assert!(browser.get(&consent).text().contains("Motif de l’accès d’urgence"));
    browser.headers.clear();
    let back = allow_in_emergency(&mut browser, &consent, scope, "   ");
    let tokens = exchange(&house, back.header("location"));
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
    read(&house, &tokens, "Observation/of-bob").is(404);
    read(&house, &tokens, "Patient/bob").is(404);
    assert_eq!(read(&house, &tokens, "Observation?_summary=count").is(200).json()["total"], 0);
    assert!(watcher.fresh().iter().all(|told| told.emergency.is_none()));

    // With it there is, for that app's one token.
    let place = ask(&house, &mut browser, scope, "");
    let consent = browser.get(&place).header("location").to_owned();
    let back = allow_in_emergency(&mut browser, &consent, scope, REASON);
    let opened = exchange(&house, back.header("location"));
    assert!(opened.get("refresh_token").is_none(), "an emergency is not prolonged: {opened}");
    assert_eq!(opened["scope"], "openid user/Patient.rs user/Observation.rs");
    let told = watcher.fresh();
    let reasons: Vec<Option<&str>> = told.iter().map(|told| told.emergency.as_deref()).collect();
    assert_eq!(reasons, [Some(REASON), Some(REASON)], "the grant and the token: {told:#?}");
    assert!(told.iter().all(|told| told.user.as_deref() == Some("asante") && told.outcome == "0"), "{told:#?}");
    read(&house, &opened, "Observation/of-bob").is(200);
    let records = watcher.all_new();
    let reading: Vec<&Value> = records.iter().filter(|r| r.to_string().contains("Observation/of-bob")).collect();
    assert_eq!(reading.len(), 1, "{records:#?}");
    assert_eq!(reading[0]["purposeOfEvent"][0]["coding"][0]["code"], "BTG", "{}", reading[0]);
    assert_eq!(reading[0]["purposeOfEvent"][0]["text"], REASON);
    assert_eq!(read(&house, &opened, "Observation?_summary=count").is(200).json()["total"], 1);
    read(&house, &tokens, "Observation/of-bob").is(404);

    // It ends with the grant.
    browser.fill("/auth/apps", &[("app", "chart")]).is(303);
    read(&house, &opened, "Observation/of-bob").is(401);
}

#[test]
fn a_patient_who_refused_is_chosen_only_in_an_emergency() {
    let house = closed();
    let mut watcher = Watcher::of(&house);
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, SCOPE, "");
    let place = sign_in(&mut browser, &place, "asante");
    let page = browser.fill(&place, &[("name", "bob"), ("do", "search")]).is(200).text();
    assert!(page.contains("No patient was found"), "{page}");
    browser.fill(&place, &[("patient", "bob")]).is(403);
    let consent = format!("{}&patient=bob", place.replace("/auth/patient", "/auth/consent"));
    browser.get(&consent).is(403);
    watcher.all_new();
    let page = browser.fill(&place, &[("name", "bob"), ("do", "search"), ("emergency", REASON)]).is(200).text();
    assert!(page.contains("value=\"bob\"") && page.contains(REASON), "{page}");
    let searched = watcher.all_new().into_iter().any(|record| record["purposeOfEvent"][0]["text"] == REASON);
    assert!(searched, "looking for somebody is told, too");
    let answer = browser.fill(&place, &[("patient", "bob"), ("emergency", REASON)]);
    assert_eq!(answer.header("location"), consent);
    let page = browser.get(&consent).is(200).text();
    assert!(page.contains(REASON), "the reason goes along: {page}");
    // Whoever takes it back on the last page gets nothing.
    allow_in_emergency(&mut browser, &consent, SCOPE, "").is(403);
    let back = allow_in_emergency(&mut browser, &consent, SCOPE, REASON);
    let tokens = exchange(&house, back.header("location"));
    assert_eq!(tokens["patient"], "bob");
    read(&house, &tokens, "Patient/bob").is(200);
    read(&house, &tokens, "Observation/of-bob").is(200);
    read(&house, &tokens, "Patient/amy").is(404);
}

#[test]
fn a_role_whose_policy_knows_of_no_emergencies_cannot_state_one() {
    let house = closed();
    let mut watcher = Watcher::of(&house);
    let mut browser = house.browser();
    browser.sign_in("lab", PASSWORD);
    let scope = "openid user/Patient.rs user/Observation.rs";
    let place = ask(&house, &mut browser, scope, "");
    let consent = browser.get(&place).header("location").to_owned();
    assert!(!browser.get(&consent).is(200).text().contains("emergency"));
    let back = allow_in_emergency(&mut browser, &consent, scope, REASON);
    let tokens = exchange(&house, back.header("location"));
    read(&house, &tokens, "Patient/amy").is(200);
    read(&house, &tokens, "Patient/bob").is(404);
    assert!(watcher.all_new().iter().all(|record| record.get("purposeOfEvent").is_none()));
}
