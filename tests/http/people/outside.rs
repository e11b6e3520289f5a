//! Single sign-on against a small provider: who comes from there, in which role, and what is refused.

use super::provider::{Fake, Forged, pairs};
use super::trail::Watcher;
use super::{Browser, House, run};
use serde_json::{Value, json};
use std::collections::HashMap;
use vesta::access::Role;
use vesta::authorization::people::outside::Provider;
use vesta::authorization::people::{NewUser, Outside, User};
use vesta::cli::settings::Settings;

fn house(fake: &Fake) -> House {
    let provider = Provider {
        name: "hospital".into(),
        title: Some("Hospital account".into()),
        issuer: fake.issuer.clone(),
        client_id: "vesta".into(),
        scopes: vec!["profile".into()],
        create: true,
        role_claim: Some("groups".into()),
        roles: [("nurses", "nurse"), ("medics", "doctor")].map(|(a, b)| (a.to_owned(), b.to_owned())).into(),
        resource_claim: Some("fhirUser".into()),
        ..Provider::default()
    };
    House::with(Settings { provider: Some(vec![provider]), ..Settings::default() })
}

/// Goes to the provider: what Vesta asks there.
fn go(browser: &mut Browser<'_>) -> HashMap<String, String> {
    let page = browser.get("/auth/sign-in?next=apps").is(200).text();
    assert!(page.contains("Sign in with Hospital account"), "{page}");
    let fields = [("seal", super::seal(&page)), ("provider", "hospital".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let answer = browser.post("/auth/outside?next=apps", &fields);
    assert_eq!(answer.status, 303, "{}", answer.text());
    let (place, query) = answer.header("location").split_once('?').expect("a query");
    assert!(place.ends_with("/authorize"), "{place}");
    let asked = pairs(query);
    assert_eq!((asked["response_type"].as_str(), asked["scope"].as_str()), ("code", "openid profile"));
    assert_eq!(asked["code_challenge_method"], "S256");
    assert!(asked["redirect_uri"].ends_with("/auth/outside/return"));
    asked
}

/// Comes back; where the browser is led then.
fn come_back(browser: &mut Browser<'_>, asked: &HashMap<String, String>, code: &str) -> String {
    let answer = browser.get(&format!("/auth/outside/return?code={code}&state={}", asked["state"]));
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").to_owned()
}

const FAILED: &str = "/auth/sign-in?next=apps&outside=failed";

fn claims(subject: &str, group: &str) -> Value {
    json!({"sub": subject, "preferred_username": "asante", "name": "Kofi Asante", "groups": ["all", group]})
}

fn user(house: &House, subject: &str) -> Option<User> {
    let outside = Outside { provider: "hospital".into(), subject: subject.into() };
    run(house.authorization.people.outside(&outside)).expect("answers")
}

#[test]
fn whoever_comes_from_the_provider_has_the_role_that_it_tells() {
    let fake = Fake::start();
    let house = house(&fake);
    let mut browser = house.browser();
    let mut watcher = Watcher::of(&house);
    let asked = go(&mut browser);
    let code = fake.code(&asked, claims("s-1", "nurses"), Forged::default());
    assert_eq!(come_back(&mut browser, &asked, &code), "/auth/apps");
    let told = watcher.fresh();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told.iter().all(|one| one.outcome == "0" && one.user.as_deref() == Some("asante@hospital")), "{told:#?}");
    // The account is made in a commit of its own.
    assert!(told[0].has("action=create") && told[0].has("account=asante@hospital"), "{told:#?}");
    assert!(told[0].has("by=provider hospital") && told[1].has("means=outside provider"), "{told:#?}");
    assert!(browser.is_signed_in());
    let made = user(&house, "s-1").expect("is made");
    // There is a user of the same name, who has nothing to do with it.
    assert_eq!((made.name.as_str(), made.shown(), made.role), ("asante@hospital", "Kofi Asante", Role::Nurse));

    let mut again = house.browser();
    let asked = go(&mut again);
    let mut told = claims("s-1", "medics");
    told["fhirUser"] = json!("https://fhir.example.org/Practitioner/7");
    let code = fake.code(&asked, told, Forged::default());
    assert_eq!(come_back(&mut again, &asked, &code), "/auth/apps");
    let told = watcher.fresh();
    assert!(told.len() == 2 && told[0].has("action=change") && told[0].has("account=asante@hospital"), "{told:#?}");
    let changed = user(&house, "s-1").expect("is there");
    assert_eq!((changed.id, changed.role), (made.id, Role::Doctor));
    assert_eq!(changed.resource.as_deref(), Some("Practitioner/7"));
    assert!(!browser.is_signed_in(), "a session with the old role is over");
}

#[test]
fn whoever_has_no_role_or_is_disabled_is_refused() {
    let fake = Fake::start();
    let house = house(&fake);
    let mut browser = house.browser();
    let asked = go(&mut browser);
    let code = fake.code(&asked, claims("s-2", "visitors"), Forged::default());
    let mut watcher = Watcher::of(&house);
    assert_eq!(come_back(&mut browser, &asked, &code), FAILED);
    let told = watcher.fresh();
    assert_eq!((told.len(), told[0].outcome.as_str(), told[0].user.as_deref()), (1, "8", None), "{told:#?}");
    assert!(user(&house, "s-2").is_none() && !browser.is_signed_in());
    assert!(browser.get(FAILED).is(200).text().contains("did not succeed"));

    let outside = Some(Outside { provider: "hospital".into(), subject: "s-3".into() });
    house.add(NewUser { outside, ..NewUser::new("mensah", Role::Nurse) });
    run(house.authorization.people.set_disabled(&user(&house, "s-3").expect("there"), true)).expect("disables");
    let asked = go(&mut browser);
    let code = fake.code(&asked, claims("s-3", "nurses"), Forged::default());
    assert_eq!(come_back(&mut browser, &asked, &code), FAILED);
}

#[test]
fn what_the_provider_did_not_say_is_refused() {
    let fake = Fake::start();
    let house = house(&fake);
    let nurse = || claims("s-4", "nurses");
    let with = |name: &str, value: &str| {
        let mut claims = nurse();
        claims[name] = json!(value);
        claims
    };
    let other_key = Forged { other_key: true, ..Forged::default() };
    let none = Forged { none: true, ..Forged::default() };
    let cases = [
        (with("nonce", "another"), Forged::default()),
        (with("aud", "another"), Forged::default()),
        (with("iss", "https://evil.example"), Forged::default()),
        (json!({"sub": "s-4", "groups": ["nurses"], "exp": 1_700_000_001}), Forged::default()),
        (nurse(), other_key),
        (nurse(), none),
    ];
    let mut browser = house.browser();
    for (claims, forged) in cases {
        let asked = go(&mut browser);
        let code = fake.code(&asked, claims.clone(), forged);
        assert_eq!(come_back(&mut browser, &asked, &code), FAILED, "{claims}");
    }
    let asked = go(&mut browser);
    assert_eq!(come_back(&mut browser, &asked, "made-up"), FAILED);
    let asked = go(&mut browser);
    let answer = browser.get(&format!("/auth/outside/return?error=access_denied&state={}", asked["state"]));
    assert_eq!(answer.header("location"), FAILED);
    let asked = go(&mut browser);
    let code = fake.code(&asked, nurse(), Forged::default());
    let address = format!("/auth/outside/return?code={code}&state={}&iss=https%3A%2F%2Fevil.example", asked["state"]);
    assert_eq!(browser.get(&address).header("location"), FAILED);
    assert!(user(&house, "s-4").is_none() && !browser.is_signed_in());
}

#[test]
fn only_the_browser_that_went_may_come_back_and_once() {
    let fake = Fake::start();
    let house = house(&fake);
    let (mut browser, mut other) = (house.browser(), house.browser());
    let asked = go(&mut browser);
    let code = fake.code(&asked, claims("s-5", "nurses"), Forged::default());
    other.get("/auth/sign-in").is(200);
    assert_eq!(come_back(&mut other, &asked, &code), "/auth/sign-in?outside=failed");
    assert!(!other.is_signed_in());
    assert_eq!(come_back(&mut browser, &asked, &code), "/auth/sign-in?outside=failed", "it was used up");
    let asked = go(&mut browser);
    let code = fake.code(&asked, claims("s-5", "nurses"), Forged::default());
    assert_eq!(come_back(&mut browser, &asked, &code), "/auth/apps");
    assert_eq!(come_back(&mut other, &asked, &code), "/auth/sign-in?outside=failed");
}
