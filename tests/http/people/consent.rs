//! From an app's request to its token, through the pages that people see: sign-in, patient, consent, my apps.
//! C18 and C27 of the abuse cases, and the granular choice.

use super::{Browser, House, PASSWORD, run, seal};
use crate::support::Answer;
use serde_json::{Value, json};
use vesta::access::Role;
use vesta::authorization::client::{Client, ClientKind};
use vesta::authorization::consent::Person;
use vesta::authorization::people::NewUser;
use vesta::base::{Clock, SystemClock};

const BACK: &str = "https://app.example/cb";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const SCOPE: &str = "launch/patient openid fhirUser offline_access patient/Patient.rs patient/Observation.rs";
const LABORATORY: &str =
    "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory";

/// A house with an app and two patients.
pub fn house() -> House {
    let house = House::new();
    let mut app = Client::new("chart", "Growth <Chart>", ClientKind::Public);
    app.redirect_uris = vec![BACK.to_owned()];
    app.scopes =
        ["launch/patient", "openid", "fhirUser", "offline_access", "online_access", "patient/*.cruds", "user/*.cruds"]
            .map(str::to_owned)
            .to_vec();
    run(house.authorization.add_client(&app)).expect("a new client");
    for (id, family, born) in [("amy", "Shaw", "1987-02-20"), ("bob", "O'Neil", "1990-01-01")] {
        let patient = json!({"resourceType": "Patient", "id": id, "birthDate": born,
            "name": [{"given": [id], "family": family}], "identifier": [{"system": "urn:mrn", "value": format!("mrn-{id}")}]});
        put(&house, &format!("Patient/{id}"), &patient);
    }
    house
}

/// Stores a resource as an administrator.
fn put(house: &House, path: &str, resource: &Value) {
    let people = &house.authorization.people;
    let user = match run(people.named("operator")).expect("answers") {
        Some(user) => user,
        None => run(people.add(NewUser::new("operator", Role::Administrator))).expect("is added"),
    };
    let operator = Person {
        subject: user.id,
        name: "operator".into(),
        role: "administrator".into(),
        user: None,
        session: None,
        authenticated: SystemClock.now(),
    };
    let token = run(house.authorization.token_for(&operator, &["user/*.cruds"], &house.server.base, 600));
    let token = format!("Bearer {}", token.expect("a token"));
    let headers = [("authorization", token.as_str()), ("content-type", "application/fhir+json")];
    let answer = house.server.send("PUT", path, &headers, Some(resource.to_string().as_bytes()));
    assert!([200, 201].contains(&answer.status), "{}", answer.text());
}

fn coded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Sends a browser to the authorization endpoint: where it is led then.
pub fn ask(house: &House, browser: &mut Browser<'_>, scope: &str, more: &str) -> String {
    let (scope, aud) = (coded(scope), coded(&house.server.base));
    let answer = browser.get(&format!(
        "/auth/authorize?response_type=code&client_id=chart&redirect_uri={}&scope={scope}&state=s1&aud={aud}\
         &code_challenge={CHALLENGE}&code_challenge_method=S256{more}",
        coded(BACK)
    ));
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").to_owned()
}

/// Signs in on the way to an app: where the browser is led then.
pub fn sign_in(browser: &mut Browser<'_>, place: &str, name: &str) -> String {
    let answer = browser.fill(place, &[("user", name), ("pass", PASSWORD)]);
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").to_owned()
}

/// Allows everything that a consent page offers, or what is left of it.
pub fn allow(browser: &mut Browser<'_>, place: &str, leave_out: &[&str], parts: &[&str]) -> Answer {
    let page = browser.get(place).is(200).text();
    let own = seal(&page);
    let offered: Vec<String> = page
        .split("name=\"scope\" value=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(|scope| scope.replace("&amp;", "&"))
        .collect();
    let mut fields = vec![("seal", own.as_str()), ("decision", "allow")];
    fields.extend(offered.iter().filter(|s| !leave_out.contains(&s.as_str())).map(|s| ("scope", s.as_str())));
    fields.extend(parts.iter().map(|part| ("part", *part)));
    browser.post(place, &fields)
}

/// The token response for the code in an address.
pub fn exchange(house: &House, back: &str) -> Value {
    let code = super::provider::pairs(back.split_once('?').expect("a query").1)["code"].clone();
    let form = format!(
        "grant_type=authorization_code&client_id=chart&code={}&redirect_uri={}&code_verifier={VERIFIER}",
        coded(&code),
        coded(BACK)
    );
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let answer = house.server.send("POST", "/auth/token", &headers, Some(form.as_bytes()));
    answer.is(200);
    answer.json()
}

#[test]
fn a_doctor_chooses_a_patient_allows_and_takes_it_back() {
    let house = house();
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, SCOPE, "");
    let page = browser.get(&place).is(200).text();
    assert!(page.contains("Growth &lt;Chart&gt;") && !page.contains("<Chart>"), "{page}");
    let place = sign_in(&mut browser, &place, "asante");
    assert!(place.starts_with("/auth/patient?request="), "{place}");
    let search = |browser: &mut Browser<'_>, name: &str, value: &str| {
        browser.fill(&place, &[(name, value), ("do", "search")]).is(200).text()
    };
    let page = search(&mut browser, "name", "shaw");
    assert!(page.contains("amy Shaw") && !page.contains("Neil"), "{page}");
    assert!(search(&mut browser, "born", "1990-01-01").contains("value=\"bob\""));
    assert!(search(&mut browser, "identifier", "mrn-bob").contains("value=\"bob\""));
    assert!(search(&mut browser, "name", "nobody").contains("No patient was found"));
    let answer = browser.fill(&place, &[("patient", "amy")]);
    let consent = answer.header("location").to_owned();
    assert!(consent.starts_with("/auth/consent?request=") && consent.ends_with("&patient=amy"), "{consent}");
    let page = browser.get(&consent).is(200).text();
    assert!(page.contains("amy Shaw") && page.contains("Measurements and results"), "{page}");
    let back = allow(&mut browser, &consent, &[], &[]);
    let address = back.header("location").to_owned();
    assert!(address.starts_with(&format!("{BACK}?code=")) && address.contains("state=s1"), "{address}");
    let tokens = exchange(&house, &address);
    assert_eq!((tokens["patient"].as_str(), tokens["scope"].as_str()), (Some("amy"), Some(SCOPE)));
    allow_again_is_refused(&mut browser, &consent);

    let bearer = format!("Bearer {}", tokens["access_token"].as_str().expect("a token"));
    let read = || house.server.get_with("Patient/amy", &[("authorization", &bearer)]).status;
    assert_eq!(read(), 200);
    let page = browser.get("/auth/apps").is(200).text();
    assert!(page.contains("Growth &lt;Chart&gt;") && page.contains("value=\"chart\""), "{page}");
    browser.fill("/auth/apps", &[("app", "chart")]).is(303);
    assert!(browser.get("/auth/apps").text().contains("No app has access"));
    assert_eq!(read(), 401);
}

fn allow_again_is_refused(browser: &mut Browser<'_>, consent: &str) {
    let seal = seal(&browser.get("/auth/sign-out").text());
    let answer = browser.post(consent, &[("seal", &seal), ("decision", "allow"), ("scope", "openid")]);
    assert_eq!(answer.status, 400, "{}", answer.text());
    assert_eq!(answer.header("location"), "");
}

#[test]
fn what_is_unticked_or_narrowed_is_not_granted() {
    let house = house();
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, SCOPE, "");
    let place = sign_in(&mut browser, &place, "asante");
    let consent = browser.fill(&place, &[("patient", "amy")]).header("location").to_owned();
    let page = browser.get(&consent).text();
    assert!(page.contains("laboratory") && page.contains("vital signs"), "{page}");
    // What was not asked for cannot be added by whoever writes the form.
    let forged = ["patient/Condition.rs", "user/*.cruds", LABORATORY];
    let back = allow(&mut browser, &consent, &["patient/Patient.rs", "offline_access"], &forged);
    let tokens = exchange(&house, back.header("location"));
    let granted: Vec<&str> = tokens["scope"].as_str().expect("scopes").split(' ').collect();
    assert_eq!(granted, ["launch/patient", "openid", "fhirUser", LABORATORY]);
    assert!(tokens.get("refresh_token").is_none(), "{tokens}");
}

#[test]
fn whoever_does_not_allow_sends_the_app_away() {
    let house = house();
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, "openid user/Patient.rs", "");
    let consent = sign_in(&mut browser, &place, "asante");
    assert!(consent.starts_with("/auth/consent?"), "no patient is wanted: {consent}");
    let back = browser.fill(&consent, &[("decision", "deny")]).header("location").to_owned();
    assert!(back.starts_with(BACK) && back.contains("error=access%5Fdenied") && !back.contains("code="), "{back}");
}

#[test]
fn c18_a_patient_is_not_chosen_by_tampering() {
    let house = house();
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, SCOPE, "");
    let place = sign_in(&mut browser, &place, "asante");
    for id in ["nobody", "../amy", "amy/_history/1", "amy?x=1", "%00"] {
        browser.fill(&place, &[("patient", id)]).is(403);
    }
    let consent = place.replace("/auth/patient", "/auth/consent");
    assert_eq!(browser.get(&consent).header("location"), place, "without a patient there is no consent");
    browser.get(&format!("{consent}&patient=nobody")).is(403);

    // A patient is its own patient, whatever the address says.
    let new = NewUser {
        resource: Some("Patient/amy".into()),
        password: Some((PASSWORD.into(), false)),
        ..NewUser::new("amy", Role::Patient)
    };
    house.add(new);
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, SCOPE, "");
    let consent = sign_in(&mut browser, &place, "amy");
    assert!(consent.starts_with("/auth/consent?"), "{consent}");
    let back = allow(&mut browser, &format!("{consent}&patient=bob"), &[], &[]);
    assert_eq!(exchange(&house, back.header("location"))["patient"], "amy");
    let place = ask(&house, &mut browser, SCOPE, "");
    let picker = place.replace("/auth/sign-in", "/auth/patient");
    let own = seal(&browser.get("/auth/sign-out").text());
    for fields in [[("seal", own.as_str()), ("patient", "bob")], [("seal", own.as_str()), ("name", "neil")]] {
        let answer = browser.post(&picker, &fields);
        assert_eq!((answer.status, answer.header("location").contains("bob")), (303, false), "{}", answer.text());
    }
}

#[test]
fn whoever_is_signed_in_is_not_asked_again_unless_the_app_wants_it() {
    let house = house();
    let mut browser = house.browser();
    browser.sign_in("asante", PASSWORD);
    let place = ask(&house, &mut browser, "openid user/Patient.rs", "");
    assert!(browser.get(&place).header("location").starts_with("/auth/consent?"));
    let place = ask(&house, &mut browser, "openid user/Patient.rs", "&prompt=login");
    browser.get(&place).is(200);
    let consent = place.replace("/auth/sign-in", "/auth/consent");
    assert_eq!(browser.get(&consent).header("location"), place, "there is no way round");
    assert!(sign_in(&mut browser, &place, "asante").starts_with("/auth/consent?"));
}

#[test]
fn c27_without_a_page_there_is_no_answer() {
    let house = house();
    let mut browser = house.browser();
    let back = ask(&house, &mut browser, "openid user/Patient.rs", "&prompt=none");
    assert!(back.starts_with(BACK) && back.contains("error=login%5Frequired"), "{back}");
    browser.sign_in("asante", PASSWORD);
    let back = ask(&house, &mut browser, "openid user/Patient.rs", "&prompt=none");
    assert!(back.starts_with(BACK) && back.contains("error=interaction%5Frequired"), "{back}");
}

#[test]
fn a_disabled_user_takes_its_apps_along() {
    let house = house();
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, "openid user/Patient.rs", "");
    let consent = sign_in(&mut browser, &place, "asante");
    let back = allow(&mut browser, &consent, &[], &[]);
    let tokens = exchange(&house, back.header("location"));
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().expect("a token"));
    let read = || house.server.get_with("Patient/amy", &[("authorization", &bearer)]).status;
    assert_eq!(read(), 200);
    let user = run(house.authorization.people.named("asante")).expect("answers").expect("there");
    run(house.authorization.people.set_disabled(&user, true)).expect("disables");
    std::thread::sleep(std::time::Duration::from_millis(1_500));
    assert_eq!(read(), 401, "at the latest after a second");
}

#[test]
fn the_picker_has_the_rights_of_the_user_and_no_more() {
    let house = house();
    house.add(NewUser { password: Some((PASSWORD.into(), false)), ..NewUser::new("watcher", Role::Auditor) });
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, SCOPE, "");
    let place = sign_in(&mut browser, &place, "watcher");
    assert!(place.starts_with("/auth/patient?"), "{place}");
    let page = browser.fill(&place, &[("do", "search"), ("name", "shaw")]).is(200).text();
    assert!(page.contains("No patient was found") && !page.contains("value=\"amy\""), "{page}");
    browser.fill(&place, &[("patient", "amy")]).is(403);
    browser.get(&format!("{}&patient=amy", place.replace("/auth/patient", "/auth/consent"))).is(403);
}

/// The status of a read with the token of a token response.
fn reads(house: &House, tokens: &Value, path: &str) -> u16 {
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().expect("a token"));
    house.server.get_with(path, &[("authorization", &bearer)]).status
}

#[test]
fn a_relative_lets_an_app_see_whose_relative_it_is() {
    let house = house();
    let person = |active: bool| json!({"resourceType": "RelatedPerson", "id": "aunt", "active": active, "patient": {"reference": "Patient/amy"}});
    put(&house, "RelatedPerson/aunt", &person(true));
    house.add(NewUser {
        resource: Some("RelatedPerson/aunt".into()),
        password: Some((PASSWORD.into(), false)),
        ..NewUser::new("aunt", Role::Patient)
    });
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, SCOPE, "");
    let consent = sign_in(&mut browser, &place, "aunt");
    assert!(consent.starts_with("/auth/consent?"), "there is no choice: {consent}");
    let page = browser.get(&consent).is(200).text();
    assert!(page.contains("amy Shaw"), "{page}");
    let back = allow(&mut browser, &format!("{consent}&patient=bob"), &[], &[]);
    let tokens = exchange(&house, back.header("location"));
    assert_eq!(tokens["patient"], "amy");
    assert_eq!((reads(&house, &tokens, "Patient/amy"), reads(&house, &tokens, "RelatedPerson/aunt")), (200, 200));
    assert!(reads(&house, &tokens, "Patient/bob") >= 400);
    put(&house, "RelatedPerson/aunt", &person(false));
    assert!(reads(&house, &tokens, "Patient/amy") >= 400, "it is no relative any more");
}

#[test]
fn what_is_about_one_patient_needs_one_whether_it_says_so_or_not() {
    let house = house();
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, "openid patient/Patient.rs", "");
    let place = sign_in(&mut browser, &place, "asante");
    assert!(place.starts_with("/auth/patient?request="), "{place}");
    let consent = browser.fill(&place, &[("patient", "bob")]).header("location").to_owned();
    let back = allow(&mut browser, &consent, &[], &[]);
    let tokens = exchange(&house, back.header("location"));
    assert_eq!((&tokens["patient"], reads(&house, &tokens, "Patient/bob")), (&json!("bob"), 200));
    assert!(reads(&house, &tokens, "Patient/amy") >= 400);
}

#[test]
fn scopes_of_version_1_are_not_offered_by_category() {
    let house = house();
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, "launch/patient patient/Observation.read patient/*.read", "");
    let place = sign_in(&mut browser, &place, "asante");
    let consent = browser.fill(&place, &[("patient", "amy")]).header("location").to_owned();
    let page = browser.get(&consent).is(200).text();
    assert!(!page.contains("category=") && page.contains("value=\"patient/Medication.read\""), "{page}");
    let back = allow(&mut browser, &consent, &["patient/Observation.read"], &["patient/Patient.read"]);
    let tokens = exchange(&house, back.header("location"));
    assert_eq!(tokens["scope"], "launch/patient patient/Patient.read");
    assert_eq!(reads(&house, &tokens, "Patient/amy"), 200);
}

#[test]
fn whoever_signs_out_takes_along_what_was_granted_while_online() {
    let house = house();
    let mut browser = house.browser();
    let mut tokens_for = |scope: &str| {
        let place = ask(&house, &mut browser, scope, "");
        let consent = match browser.get(&place) {
            answer if answer.status == 303 => answer.header("location").to_owned(),
            _ => sign_in(&mut browser, &place, "asante"),
        };
        let back = allow(&mut browser, &consent, &[], &[]);
        exchange(&house, back.header("location"))
    };
    let mut online = tokens_for("user/Patient.rs online_access");
    let mut offline = tokens_for("user/Patient.rs offline_access");
    let refresh = |tokens: &mut Value| {
        let token = tokens["refresh_token"].as_str().expect("a token");
        let form = format!("grant_type=refresh_token&client_id=chart&refresh_token={}", coded(token));
        let media = [("content-type", "application/x-www-form-urlencoded")];
        let answer = house.server.send("POST", "/auth/token", &media, Some(form.as_bytes()));
        let status = answer.status;
        if status == 200 {
            *tokens = answer.json();
        }
        status
    };
    assert_eq!((refresh(&mut online), refresh(&mut offline)), (200, 200));
    browser.fill("/auth/sign-out", &[]).is(303);
    assert_eq!((refresh(&mut online), refresh(&mut offline)), (400, 200));
    // At the latest after a second.
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!((reads(&house, &online, "Patient/amy"), reads(&house, &offline, "Patient/amy")), (401, 200));
}
