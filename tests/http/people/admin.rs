//! The administrator's page at the running server: what is done there holds at once, and nobody else can do it.

use super::{Browser, House, PASSWORD, run, seal};
use serde_json::json;
use vesta::access::Role;
use vesta::authorization::client::{Client as App, ClientKind, ClientState};
use vesta::authorization::keys::Algorithm;
use vesta::authorization::people::NewUser;

fn house() -> House {
    let house = House::new();
    for (name, role) in [("operator", Role::Administrator), ("mensah", Role::Nurse)] {
        house.add(NewUser { password: Some((PASSWORD.into(), false)), ..NewUser::new(name, role) });
    }
    house
}

fn operator(house: &House) -> Browser<'_> {
    let mut browser = house.browser();
    browser.sign_in("operator", PASSWORD);
    browser
}

/// Presses a button.
fn press(browser: &mut Browser<'_>, action: &str, which: &str) -> String {
    let page = browser.get("/auth/admin").is(200).text();
    let seal = seal(&page);
    let answer = browser.post("/auth/admin", &[("seal", &seal), ("action", action), ("which", which)]);
    match answer.status {
        303 => answer.header("location").to_owned(),
        _ => answer.text(),
    }
}

const DONE: &str = "/auth/admin?done=yes";

#[test]
fn a_registered_app_is_approved_and_disabled() {
    let house = house();
    let body = json!({"client_name": "New app", "redirect_uris": ["https://new.example/cb"], "scope": "patient/*.rs",
        "token_endpoint_auth_method": "none", "grant_types": ["authorization_code"]});
    let answer = house.server.put("POST", "/auth/register", &body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let id = answer.json()["client_id"].as_str().expect("an id").to_owned();
    let state = || run(house.authorization.client(&id)).expect("readable").expect("there").state;
    assert_eq!(state(), ClientState::Waiting);
    let mut browser = operator(&house);
    let page = browser.get("/auth/admin").is(200).text();
    assert!(page.contains("New app") && page.contains("https://new.example/cb"), "{page}");
    assert!(page.contains("<small>authorization_code</small>"), "{page}");
    assert_eq!(press(&mut browser, "approve-client", &id), DONE);
    assert_eq!(state(), ClientState::Active);
    assert_eq!(press(&mut browser, "disable-client", &id), DONE);
    assert_eq!(state(), ClientState::Disabled);
    assert!(press(&mut browser, "approve-client", "unknown").contains("no such thing"));
}

#[test]
fn a_user_is_disabled_enabled_and_given_a_password() {
    let house = house();
    let mut browser = operator(&house);
    let mut nurse = house.browser();
    nurse.sign_in("mensah", PASSWORD);
    assert_eq!(press(&mut browser, "disable-user", "mensah"), DONE);
    assert!(!nurse.is_signed_in(), "the session is over at once");
    let answer = nurse.fill("/auth/sign-in", &[("user", "mensah"), ("pass", PASSWORD)]);
    assert_ne!(answer.status, 303, "a disabled user does not come in");
    assert_eq!(press(&mut browser, "enable-user", "mensah"), DONE);
    let page = press(&mut browser, "set-password", "mensah");
    let password = page.split("<code>").nth(1).and_then(|rest| rest.split("</code>").next()).expect("a password");
    assert_ne!(password, PASSWORD);
    let mut again = house.browser();
    let answer = again.fill("/auth/sign-in", &[("user", "mensah"), ("pass", password)]);
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert_eq!(answer.header("location"), "/auth/password", "it has to be changed first");
    assert!(!browser.get("/auth/admin").text().contains(password), "it is shown once");
    // Nobody locks themselves out.
    assert!(press(&mut browser, "disable-user", "operator").contains("your own account"));
    assert!(browser.is_signed_in());
}

#[test]
fn a_signing_key_is_rotated() {
    let house = house();
    let mut browser = operator(&house);
    let key = || run(house.authorization.signing_key(Algorithm::ES256)).expect("a key").id.clone();
    let before = key();
    assert_eq!(press(&mut browser, "rotate-key", "ES256"), DONE);
    assert_ne!(key(), before);
    assert!(press(&mut browser, "rotate-key", "none").contains("no such thing"));
}

#[test]
fn only_administrators_with_a_form_of_ours_do_any_of_it() {
    let house = house();
    let mut app = App::new("app", "app", ClientKind::Public);
    app.redirect_uris = vec!["https://app.example/cb".to_owned()];
    run(house.authorization.add_client(&app)).expect("added");
    let mut stranger = house.browser();
    let answer = stranger.get("/auth/admin");
    assert_eq!((answer.status, answer.header("location")), (303, "/auth/sign-in?next=admin"));
    let mut doctor = house.browser();
    doctor.sign_in("asante", PASSWORD);
    let page = doctor.get("/auth/admin");
    assert_eq!(page.status, 403);
    assert!(!page.text().contains("mensah") && !doctor.get("/auth/account").text().contains("/auth/admin"));
    let seal = seal(&doctor.get("/auth/sign-out").is(200).text());
    let fields = [("seal", seal.as_str()), ("action", "disable-client"), ("which", "app")];
    assert_eq!(doctor.post("/auth/admin", &fields).status, 403);
    let mut browser = operator(&house);
    assert!(browser.get("/auth/account").text().contains("/auth/admin"));
    for seal in ["", "wrong"] {
        let fields = [("seal", seal), ("action", "disable-client"), ("which", "app")];
        assert_eq!(browser.post("/auth/admin", &fields).status, 403);
    }
    let state = run(house.authorization.client("app")).expect("readable").expect("there").state;
    assert_eq!(state, ClientState::Active);
    let french = browser.get("/auth/admin?lang=fr").is(200).text();
    assert!(french.contains("Gérer ce serveur") && french.contains("Utilisateurs"), "{french}");
}
