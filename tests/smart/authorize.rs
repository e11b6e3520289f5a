//! Abuse of the authorization endpoint and of what follows it (C01–C03, C17–C18, C21–C23, C27–C28 of the threat
//! model), and the ways that have to work.

use super::world::{BACK, World, query_of};
use serde_json::json;
use vesta::authorization::client::ClientKind;
use vesta::authorization::consent::{Answer as Consent, Person};

/// The parameters of a good request with one of them replaced, or left out.
fn with<'a>(good: &[(&'a str, &'a str)], name: &str, value: Option<&'a str>) -> Vec<(&'a str, &'a str)> {
    good.iter().filter_map(|(n, v)| if *n == name { value.map(|value| (*n, value)) } else { Some((*n, *v)) }).collect()
}

#[test]
fn an_address_that_is_not_registered_is_never_led_to() {
    let world = World::start();
    world.app("app", ClientKind::Public, |_| ());
    let good = world.request("app", "openid");
    for wrong in [
        "https://app.example/cb/",
        "https://app.example/cb?x=1",
        "https://app.example/cb#x",
        "https://app.example/c",
        "https://app.example/CB",
        "https://APP.example/cb",
        "https://app.example:443/cb",
        "https://user@app.example/cb",
        "http://app.example/cb",
        "https://app.example.evil/cb",
        "https://app.example/cb/../evil",
        "javascript:alert(1)",
        "",
    ] {
        let answer = world.authorize(&with(&good, "redirect_uri", Some(wrong)));
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.header("location"), "", "{wrong}");
        assert!(answer.header("content-type").starts_with("text/html"), "{wrong}");
    }
    for wrong in [Some("nobody"), Some("APP"), None] {
        let answer = world.authorize(&with(&good, "client_id", wrong));
        assert_eq!((answer.status, answer.header("location")), (400, ""), "{wrong:?}");
    }
    let mut twice = good.clone();
    twice.push(("redirect_uri", "https://evil.example/"));
    assert_eq!(world.authorize(&twice).status, 400);
}

#[test]
fn what_is_wrong_with_a_request_is_told_to_the_app() {
    let world = World::start();
    world.app("app", ClientKind::Public, |_| ());
    let good = world.request("app", "openid patient/*.rs launch/patient");
    let plain = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw";
    for (name, value, error) in [
        ("response_type", Some("token"), "unsupported_response_type"),
        ("response_type", Some("code token"), "unsupported_response_type"),
        ("response_type", None, "invalid_request"),
        ("aud", None, "invalid_request"),
        ("aud", Some("https://elsewhere.example/fhir"), "invalid_request"),
        ("code_challenge", None, "invalid_request"),
        ("code_challenge", Some(plain), "invalid_request"),
        ("code_challenge_method", Some("plain"), "invalid_request"),
        ("code_challenge_method", None, "invalid_request"),
        ("state", None, "invalid_request"),
        ("scope", Some("patient/*.sr"), "invalid_scope"),
        ("scope", Some("patient/Nothing.rs"), "invalid_scope"),
        ("scope", Some("patient/Patient.rs?nosuch=1"), "invalid_scope"),
        ("scope", Some("patient/Patient.read user/Patient.rs"), "invalid_scope"),
        ("scope", Some("system/*.rs"), "invalid_scope"),
        ("scope", Some("nothing"), "invalid_scope"),
        ("scope", Some("launch"), "invalid_request"),
    ] {
        let answer = world.authorize(&with(&good, name, value));
        answer.is(303);
        let back = answer.header("location");
        assert!(back.starts_with(&format!("{BACK}?")), "{name}: {back}");
        assert_eq!(query_of(back, "error").as_deref(), Some(error), "{name} {value:?}: {back}");
        assert_eq!(query_of(back, "iss").as_deref(), Some(world.base.as_str()));
        assert_eq!(
            query_of(back, "state").as_deref(),
            value.filter(|_| name == "state").or((name != "state").then_some("s t&te"))
        );
        assert!(query_of(back, "code").is_none());
    }
    for (name, value, error) in [
        ("response_mode", "fragment", "invalid_request"),
        ("request", "x.y.z", "request_not_supported"),
        ("request_uri", "https://app.example/r", "request_uri_not_supported"),
        ("prompt", "none", "login_required"),
        ("max_age", "soon", "invalid_request"),
    ] {
        let mut more = good.clone();
        more.push((name, value));
        let answer = world.authorize(&more);
        assert_eq!(query_of(answer.header("location"), "error").as_deref(), Some(error), "{name}");
    }
}

#[test]
fn a_good_request_goes_on_to_sign_in_by_get_and_post() {
    let world = World::start();
    world.app("app", ClientKind::Public, |_| ());
    let good = world.request("app", "openid fhirUser patient/*.rs launch/patient");
    let by_get = world.authorize(&good);
    let by_post = world.post("/auth/authorize", &good, &[]);
    for answer in [by_get, by_post] {
        answer.is(303);
        assert!(answer.header("location").starts_with("/auth/sign-in?request="), "{}", answer.header("location"));
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[test]
fn an_answer_is_given_once_and_says_who_answers() {
    let world = World::start();
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| ());
    let answer = world.authorize(&world.request("app", "openid launch/patient patient/*.rs"));
    let id = query_of(answer.header("location"), "request").expect("a request");
    let consent = Consent { scopes: vec!["openid".into(), "patient/Observation.rs".into()], ..Consent::default() };
    let back = world.wait(world.authorization().approve_request(&id, &world.amy, consent.clone())).expect("approved");
    assert_eq!(query_of(&back, "iss").as_deref(), Some(world.base.as_str()));
    assert_eq!(query_of(&back, "state").as_deref(), Some("s t&te"));
    assert!(world.wait(world.authorization().approve_request(&id, &world.amy, consent)).is_err());
    let code = query_of(&back, "code").expect("a code");
    let token = world.exchange("app", &code).is(200).json();
    assert_eq!(token["scope"], "openid patient/Observation.rs");
    assert_eq!(token["patient"], "amy");
}

#[test]
fn nobody_gets_more_than_was_asked_and_denied_is_denied() {
    let world = World::start();
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| ());
    let more = Consent { scopes: vec!["user/*.cruds".into(), "system/*.rs".into()], ..Consent::default() };
    let back = world.led_back("app", "patient/Observation.rs", &world.amy, Some(more));
    assert_eq!(query_of(&back, "error").as_deref(), Some("access_denied"));
    let answer = world.authorize(&world.request("app", "openid"));
    let id = query_of(answer.header("location"), "request").expect("a request");
    let back = world.wait(world.authorization().deny_request(&id, &world.amy)).expect("denied");
    assert_eq!(query_of(&back, "error").as_deref(), Some("access_denied"));
}

#[test]
fn a_patient_is_only_ever_themselves() {
    let world = World::start();
    world.patient("amy");
    world.patient("bob");
    world.app("app", ClientKind::Public, |_| ());
    let scopes = vec!["launch/patient".to_owned(), "patient/*.rs".to_owned()];
    let forged = Consent { scopes, patient: Some("bob".into()), ..Consent::default() };
    let back = world.led_back("app", "launch/patient patient/*.rs", &world.amy, Some(forged));
    let code = query_of(&back, "code").expect("a code");
    assert_eq!(world.exchange("app", &code).is(200).json()["patient"], "amy");
}

#[test]
fn a_chosen_patient_has_to_be_there() {
    let world = World::start();
    world.patient("bob");
    world.app("app", ClientKind::Public, |_| ());
    let asked = world.request("app", "launch/patient patient/*.rs");
    let answer = world.authorize(&asked);
    let id = query_of(answer.header("location"), "request").expect("a request");
    let choose = |patient: Option<&str>| {
        let consent = Consent {
            scopes: vec!["launch/patient".into(), "patient/*.rs".into()],
            patient: patient.map(str::to_owned),
            ..Consent::default()
        };
        world.wait(world.authorization().approve_request(&id, &world.administrator, consent))
    };
    assert!(choose(None).is_err());
    assert!(choose(Some("nobody")).is_err());
    assert!(choose(Some("../Patient/bob")).is_err());
    assert!(query_of(&choose(Some("bob")).expect("approved"), "code").is_some());
}

/// What an answer makes of the scopes has to be scopes: else the token would be dead from birth.
#[test]
fn an_answer_that_is_no_scope_is_refused() {
    let world = World::start();
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| ());
    for (asked, narrowed) in [
        ("patient/Observation.read", "patient/Observation.read?category=laboratory"),
        ("patient/*.rs", "patient/Nothing.rs"),
    ] {
        let consent = Consent { scopes: vec![narrowed.to_owned()], ..Consent::default() };
        let back = world.led_back("app", asked, &world.amy, Some(consent));
        assert_eq!(query_of(&back, "error").as_deref(), Some("invalid_scope"), "{back}");
    }
}

#[test]
fn what_has_no_meaning_is_not_granted() {
    let world = World::start();
    world.patient("amy");
    world.put("Practitioner/doc", &json!({"resourceType": "Practitioner", "id": "doc"}));
    world.put("Practitioner/other", &json!({"resourceType": "Practitioner", "id": "other"}));
    world.app("app", ClientKind::Public, |_| ());
    // Nobody stands for the administrator, and without an EHR there is no encounter.
    let scope = "openid fhirUser launch/encounter user/Patient.rs";
    let token = world.tokens("app", scope, &world.administrator);
    assert_eq!(token["scope"], "openid user/Patient.rs");
    let back = world.led_back("app", "launch/encounter", &world.doctor, None);
    assert_eq!(query_of(&back, "error").as_deref(), Some("invalid_scope"), "{back}");

    let token = world.tokens("app", "openid fhirUser", &world.doctor);
    assert_eq!(token["scope"], "openid fhirUser");
    let token = token["access_token"].as_str().expect("a token");
    assert_eq!(world.fhir("Practitioner/doc", token).status, 200);
    for (path, status) in [("Practitioner/other", 404), ("Practitioner", 403), ("Patient/amy", 403)] {
        assert_eq!(world.fhir(path, token).status, status, "{path}");
    }
}

/// C17: a launch belongs to the session it was begun in, and its encounter to its patient.
#[test]
fn c17_a_launch_of_another_session_or_patient_is_refused() {
    let world = World::start();
    for id in ["amy", "bob"] {
        world.patient(id);
    }
    let encounter = json!({"resourceType": "Encounter", "id": "e1", "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": "Patient/bob"}});
    world.put("Encounter/e1", &encounter);
    world.app("app", ClientKind::Public, |_| ());
    let person = |session: Option<&str>| Person { session: session.map(str::to_owned), ..world.doctor.clone() };
    let begin = |session: Option<&str>, patient: Option<&str>| {
        let answer = world.launch(&person(session), &json!({"patient": patient, "encounter": "e1"}));
        (answer.status == 201).then(|| answer.json()["launch"].as_str().expect("a word").to_owned())
    };
    assert!(begin(None, Some("amy")).is_none(), "the encounter is bob's");
    for (begun, answered, works) in
        [(Some("one"), Some("one"), true), (Some("one"), Some("two"), false), (None, Some("two"), true)]
    {
        let word = begin(begun, Some("bob")).expect("a launch");
        let mut asked = world.request("app", "launch patient/*.rs launch/encounter");
        asked.push(("launch", &word));
        let back = world.answered(&asked, &person(answered), None);
        assert_eq!(query_of(&back, "code").is_some(), works, "{begun:?} {answered:?}: {back}");
    }
    // An encounter says whose it is.
    let word = begin(None, None).expect("a launch");
    let mut asked = world.request("app", "launch patient/*.rs launch/encounter");
    asked.push(("launch", &word));
    let back = world.answered(&asked, &world.doctor, None);
    let token = world.exchange("app", &query_of(&back, "code").expect("a code")).is(200).json();
    assert_eq!((&token["patient"], &token["encounter"]), (&json!("bob"), &json!("e1")));
    assert_eq!(token["scope"], "launch patient/*.rs launch/encounter");
}

#[test]
fn a_launch_works_once_for_its_user_and_its_app() {
    let world = World::start();
    world.patient("bob");
    world.put(
        "Encounter/e1",
        &json!({"resourceType": "Encounter", "id": "e1", "status": "finished",
        "class": {"code": "AMB"}, "subject": {"reference": "Patient/bob"}}),
    );
    world.app("app", ClientKind::Public, |_| ());
    world.app("other", ClientKind::Public, |_| ());
    let begin = |body: serde_json::Value| {
        let token = format!("Bearer {}", world.operator());
        let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
        world.server.send("POST", "/auth/launch", &headers, Some(body.to_string().as_bytes()))
    };
    let body = json!({"client_id": "app", "patient": "bob", "encounter": "e1", "intent": "reconcile",
        "fhirContext": [{"reference": "ImagingStudy/1"}], "need_patient_banner": false});
    let begun = begin(body.clone()).is(201).json();
    let word = begun["launch"].as_str().expect("a word").to_owned();
    let url = begun["url"].as_str().expect("an address");
    assert_eq!(query_of(url, "launch").as_deref(), Some(word.as_str()));
    assert_eq!(query_of(url, "iss").as_deref(), Some(world.base.as_str()));

    let asked = |app: &'static str, launch: &str| {
        let mut asked: Vec<(String, String)> = world
            .request(app, "launch openid fhirUser user/*.rs patient/*.rs")
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        asked.push(("launch".into(), launch.into()));
        asked
    };
    let ask = |all: &[(String, String)]| {
        let all: Vec<(&str, &str)> = all.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        world.authorize(&all)
    };
    for wrong in [asked("other", &word), asked("app", "unknown")] {
        assert_eq!(query_of(ask(&wrong).header("location"), "error").as_deref(), Some("invalid_request"));
    }
    let good = asked("app", &word);
    let good: Vec<(&str, &str)> = good.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let back = world.answered(&good, &world.doctor, None);
    assert_eq!(query_of(&back, "error").as_deref(), Some("access_denied"), "another user's launch");
    let back = world.answered(&good, &world.administrator, None);
    let token = world.exchange("app", &query_of(&back, "code").expect("a code")).is(200).json();
    assert_eq!((&token["patient"], &token["encounter"]), (&json!("bob"), &json!("e1")));
    assert_eq!((&token["need_patient_banner"], &token["intent"]), (&json!(false), &json!("reconcile")));
    assert_eq!(token["fhirContext"], json!([{"reference": "ImagingStudy/1"}]));
    assert!(token["smart_style_url"].as_str().expect("a style").ends_with("/auth/style.json"));
    assert_eq!(query_of(world.authorize(&good).header("location"), "error").as_deref(), Some("invalid_request"));

    assert_eq!(world.server.send("POST", "/auth/launch", &[], Some(b"{}")).status, 401);
    for wrong in [
        json!({"client_id": "nobody"}),
        json!({"patient": "nobody"}),
        json!({"patient": "../x"}),
        json!({"fhirContext": [{"reference": "Patient/bob"}]}),
        json!({"fhirContext": ["ImagingStudy/1"]}),
        json!({"unknown": 1}),
    ] {
        assert!([400, 403].contains(&begin(wrong.clone()).status), "{wrong}");
    }
}
