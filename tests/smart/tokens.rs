//! Abuse of the token endpoint and of tokens (C04–C16, C25–C26 of the threat model), and what has to work: the whole
//! way of public and confidential apps, refresh with rotation, introspection, revocation.

use super::world::{BACK, CHALLENGE, VERIFIER, World, basic, query_of, refused};
use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet};
use openidconnect::{ClientId, IssuerUrl, Nonce};
use serde_json::{Value, json};
use vesta::authorization::client::{ClientKind, ClientState};

const PATIENT_SCOPES: &str = "openid fhirUser profile launch/patient patient/*.rs offline_access";

fn started() -> World {
    let world = World::start();
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| ());
    world
}

#[test]
fn the_whole_way_of_a_public_app() {
    let world = started();
    let token = world.tokens("app", PATIENT_SCOPES, &world.amy);
    assert_eq!((&token["token_type"], &token["scope"]), (&json!("Bearer"), &json!(PATIENT_SCOPES)));
    assert!(token["expires_in"].is_number() && token["refresh_token"].is_string());
    assert_eq!((&token["patient"], &token["need_patient_banner"]), (&json!("amy"), &json!(true)));
    let access = token["access_token"].as_str().expect("a token");
    assert_eq!(world.fhir("Patient/amy", access).status, 200);
    let without = world.server.get("Patient/amy");
    without.refuses(401, "login");
    assert!(without.header("www-authenticate").starts_with("Bearer"));
}

#[test]
fn an_id_token_is_verified_by_a_client_library() {
    let world = started();
    let mut asked = world.request("app", PATIENT_SCOPES);
    asked.push(("nonce", "n-1"));
    let back = world.answered(&asked, &world.amy, None);
    let token = world.exchange("app", &query_of(&back, "code").expect("a code")).is(200).json();
    let keys: CoreJsonWebKeySet = serde_json::from_slice(&world.server.get("/auth/jwks.json").body).expect("keys");
    let issuer = IssuerUrl::new(world.base.clone()).expect("an issuer");
    let verifier = CoreIdTokenVerifier::new_public_client(ClientId::new("app".into()), issuer, keys);
    let text = token["id_token"].as_str().expect("an id_token");
    let id_token: CoreIdToken = text.parse().expect("a JWT");
    let claims = id_token.claims(&verifier, &Nonce::new("n-1".into())).expect("valid");
    assert_eq!(claims.subject().as_str(), world.amy.subject);
    assert!(id_token.claims(&verifier, &Nonce::new("n-2".into())).is_err());
    let payload: Value = jsonwebtoken::dangerous::insecure_decode_claims(text).expect("claims");
    assert_eq!(payload["fhirUser"], format!("{}/Patient/amy", world.base));
    // An id_token opens nothing.
    world.fhir("Patient/amy", text).refuses(401, "expired");
}

#[test]
fn a_code_needs_its_verifier_its_client_and_its_address() {
    let world = started();
    world.app("other", ClientKind::Public, |_| ());
    let code = world.code("app", PATIENT_SCOPES, &world.amy);
    let exchange = |client: &str, back: &str, verifier: Option<&str>| {
        let mut all = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", back),
            ("client_id", client),
        ];
        all.extend(verifier.map(|verifier| ("code_verifier", verifier)));
        world.token(&all)
    };
    let wrong = "wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong";
    for verifier in [Some(wrong), Some(""), None, Some(CHALLENGE)] {
        refused(&exchange("app", BACK, verifier), 400, "invalid_grant");
    }
    refused(&exchange("other", BACK, Some(VERIFIER)), 400, "invalid_grant");
    refused(&exchange("app", "https://app.example/other", Some(VERIFIER)), 400, "invalid_grant");
    refused(&exchange("nobody", BACK, Some(VERIFIER)), 401, "invalid_client");
    refused(&world.exchange("app", "unknown"), 400, "invalid_grant");
    exchange("app", BACK, Some(VERIFIER)).is(200);
}

#[test]
fn a_replayed_code_ends_what_was_made_of_it() {
    let world = started();
    let code = world.code("app", PATIENT_SCOPES, &world.amy);
    let token = world.exchange("app", &code).is(200).json();
    let access = token["access_token"].as_str().expect("a token");
    assert_eq!(world.fhir("Patient/amy", access).status, 200);
    refused(&world.exchange("app", &code), 400, "invalid_grant");
    assert_eq!(world.fhir("Patient/amy", access).status, 401);
    refused(&world.refresh("app", token["refresh_token"].as_str().expect("a token")), 400, "invalid_grant");
}

#[test]
fn of_eight_exchanges_at_once_one_succeeds() {
    let world = started();
    let code = world.code("app", PATIENT_SCOPES, &world.amy);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| world.exchange("app", &code).status)).collect();
        all.into_iter().map(|thread| thread.join().expect("ends")).collect()
    });
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|s| [200, 400].contains(s)), "{statuses:?}");
}

#[test]
fn clients_prove_who_they_are_in_the_way_they_registered() {
    let world = started();
    let secret = world.app("secret", ClientKind::Symmetric, |_| ()).expect("a secret");
    let exchange = |more: &[(&str, &str)], headers: &[(&str, &str)]| {
        let code = world.code("secret", PATIENT_SCOPES, &world.amy);
        let mut all = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        all.extend_from_slice(more);
        world.token_with(&all, headers)
    };
    let header = basic("secret", &secret);
    exchange(&[], &[("authorization", &header)]).is(200);
    exchange(&[("client_id", "secret")], &[("authorization", &header)]).is(200);
    exchange(&[("client_id", "secret"), ("client_secret", &secret)], &[]).is(200);

    let wrong = basic("secret", "wrong");
    let answer = exchange(&[], &[("authorization", &wrong)]);
    refused(&answer, 401, "invalid_client");
    assert!(answer.header("www-authenticate").starts_with("Basic"));
    refused(&exchange(&[("client_id", "secret"), ("client_secret", "wrong")], &[]), 401, "invalid_client");
    refused(&exchange(&[("client_id", "secret")], &[]), 401, "invalid_client");
    refused(&exchange(&[("client_id", "app")], &[("authorization", &header)]), 400, "invalid_request");
    let both = [("client_id", "secret"), ("client_secret", secret.as_str())];
    refused(&exchange(&both, &[("authorization", &header)]), 400, "invalid_request");
    let also = [("client_assertion", "x"), ("client_assertion_type", super::world::ASSERTION)];
    refused(&exchange(&also, &[("authorization", &header)]), 400, "invalid_request");
}

#[test]
fn guessing_a_secret_is_slowed_down() {
    let world = started();
    world.app("secret", ClientKind::Symmetric, |_| ());
    let guess = || world.token(&[("grant_type", "refresh_token"), ("client_id", "secret"), ("client_secret", "guess")]);
    let statuses: Vec<u16> = (0..35).map(|_| guess().status).collect();
    assert_eq!(statuses[0], 401);
    assert_eq!(statuses[34], 429, "{statuses:?}");
}

#[test]
fn a_refresh_rotates_and_a_reuse_ends_the_family() {
    let world = started();
    let first = world.tokens("app", PATIENT_SCOPES, &world.amy);
    let old = first["refresh_token"].as_str().expect("a token");
    let answer = world.refresh("app", old);
    answer.is(200);
    assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
    let second = answer.json();
    assert_eq!(second["scope"], PATIENT_SCOPES);
    assert_eq!(second["patient"], "amy");
    let new = second["refresh_token"].as_str().expect("a token");
    assert_ne!(old, new);
    let access = second["access_token"].as_str().expect("a token");
    assert_eq!(world.fhir("Patient/amy", access).status, 200);
    // A public app need not say who it is; the token tells.
    let silent = world.token(&[("grant_type", "refresh_token"), ("refresh_token", new)]);
    let third = silent.is(200).json();
    let new = third["refresh_token"].as_str().expect("a token");
    refused(&world.refresh("app", old), 400, "invalid_grant");
    refused(&world.refresh("app", new), 400, "invalid_grant");
    assert_eq!(world.fhir("Patient/amy", access).status, 401);
}

#[test]
fn a_refresh_gives_no_more_than_was_granted() {
    let world = started();
    world.app("other", ClientKind::Public, |_| ());
    let first = world.tokens("app", "launch/patient patient/Observation.rs offline_access", &world.amy);
    let mut token = first["refresh_token"].as_str().expect("a token").to_owned();
    let refresh = |token: &str, scope: &str, client: &str| {
        world.token(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", client),
            ("scope", scope),
        ])
    };
    for more in ["patient/*.rs", "patient/Observation.cruds", "user/Observation.rs", "openid"] {
        refused(&refresh(&token, more, "app"), 400, "invalid_scope");
    }
    refused(&refresh(&token, "launch/patient", "other"), 400, "invalid_grant");
    // A token of what is no scope would open nothing, and the refresh token would be used up.
    let wide = world.tokens("app", "launch/patient patient/*.rs offline_access", &world.amy);
    let wide = wide["refresh_token"].as_str().expect("a token");
    for no_scope in
        ["patient/Nothing.rs", "patient/Observation.rs patient/Patient.read", "patient/Observation.rs?nothing=1"]
    {
        refused(&refresh(wide, no_scope, "app"), 400, "invalid_scope");
    }
    refresh(wide, "patient/Observation.rs", "app").is(200);
    let less = refresh(&token, "patient/Observation.rs?category=laboratory", "app");
    less.is(200);
    assert_eq!(less.json()["scope"], "patient/Observation.rs?category=laboratory");
    token = less.json()["refresh_token"].as_str().expect("a token").to_owned();
    // Narrowing is for one access token; the grant stays what it was.
    assert_eq!(
        world.refresh("app", &token).is(200).json()["scope"],
        "launch/patient patient/Observation.rs offline_access"
    );
    refused(&world.refresh("app", "nothing"), 400, "invalid_grant");
    let without = world.tokens("app", "launch/patient patient/*.rs", &world.amy);
    assert!(without.get("refresh_token").is_none());
}

#[test]
fn what_is_disabled_works_no_more() {
    let world = started();
    let token = world.tokens("app", PATIENT_SCOPES, &world.amy);
    let access = token["access_token"].as_str().expect("a token");
    assert_eq!(world.fhir("Patient/amy", access).status, 200);
    let disable = world.authorization().change_client("app", |client| client.state = ClientState::Disabled);
    world.wait(disable).expect("changed");
    assert_eq!(world.fhir("Patient/amy", access).status, 401);
    refused(&world.refresh("app", token["refresh_token"].as_str().expect("a token")), 401, "invalid_client");
    assert_eq!(world.authorize(&world.request("app", "openid")).status, 400);

    world.app("second", ClientKind::Public, |_| ());
    let token = world.tokens("second", PATIENT_SCOPES, &world.amy);
    let access = token["access_token"].as_str().expect("a token");
    assert_eq!(world.fhir("Patient/amy", access).status, 200);
    world.wait(world.authorization().people.change(&world.amy.subject, |user| user.disabled = true)).expect("changed");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    assert_eq!(world.fhir("Patient/amy", access).status, 401);
    refused(&world.refresh("second", token["refresh_token"].as_str().expect("a token")), 400, "invalid_grant");
}

#[test]
fn tokens_count_only_in_the_header() {
    let world = started();
    let token = world.tokens("app", PATIENT_SCOPES, &world.amy);
    let access = token["access_token"].as_str().expect("a token");
    world.server.get(&format!("Patient/amy?access_token={access}")).refuses(401, "login");
    let form = format!("access_token={access}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(world.server.send("POST", "Patient/_search", &headers, Some(form.as_bytes())).status, 401);
    for wrong in ["Bearer", "Bearer ", "Basic abc", "bearer nothing", "Token x"] {
        assert_eq!(world.server.get_with("Patient/amy", &[("authorization", wrong)]).status, 401, "{wrong}");
    }
    let answer = world.fhir("Patient/amy", "nothing");
    answer.refuses(401, "expired");
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
    // What is public asks nobody, also with a token that is worth nothing.
    world.fhir("metadata", "nothing").is(200);
    world.fhir(".well-known/smart-configuration", "nothing").is(200);
    for path in ["", "_history", "Patient", "Patient/$validate", "Patient/amy/_history/1", "Patient/amy/$everything"] {
        assert_eq!(world.server.get(path).status, 401, "{path}");
    }
}

#[test]
fn introspection_tells_a_client_about_its_own_tokens() {
    let world = started();
    let secret = world.app("secret", ClientKind::Symmetric, |_| ()).expect("a secret");
    world.app("foreign", ClientKind::Symmetric, |app| app.secret = Some(super::world::digest_of("s3")));
    let header = basic("secret", &secret);
    let code = world.code("secret", PATIENT_SCOPES, &world.amy);
    let token = world
        .token_with(
            &[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", BACK),
                ("code_verifier", VERIFIER),
            ],
            &[("authorization", &header)],
        )
        .is(200)
        .json();
    let access = token["access_token"].as_str().expect("a token");
    let ask =
        |token: &str, header: &str| world.post("/auth/introspect", &[("token", token)], &[("authorization", header)]);
    let told = ask(access, &header).is(200).json();
    assert_eq!((&told["active"], &told["client_id"]), (&json!(true), &json!("secret")));
    assert_eq!((&told["scope"], &told["patient"]), (&token["scope"], &json!("amy")));
    assert!(told["exp"].is_number());
    assert_eq!((&told["sub"], &told["iss"]), (&json!(world.amy.subject), &json!(world.base)));
    assert_eq!(told["fhirUser"], format!("{}/Patient/amy", world.base));
    assert_eq!(ask("nothing", &header).is(200).json(), json!({"active": false}));
    assert_eq!(ask(access, &basic("foreign", "s3")).is(200).json(), json!({"active": false}));
    refused(&world.post("/auth/introspect", &[("token", access)], &[]), 401, "invalid_client");
    // A token of the command line is of no client.
    let operator = world.operator();
    let told = ask(&operator, &format!("Bearer {operator}")).is(200).json();
    assert!(told["active"] == true && told.get("client_id").is_none(), "{told}");
    refused(&world.post("/auth/introspect", &[("token", access), ("client_id", "app")], &[]), 401, "invalid_client");
    // The bearer of a token of the same user may ask, too.
    assert_eq!(ask(access, &format!("Bearer {access}")).is(200).json()["active"], true);
    refused(&ask(access, "Bearer nothing"), 401, "invalid_token");
}

#[test]
fn revocation_holds_at_once_and_only_for_own_tokens() {
    let world = started();
    world.app("other", ClientKind::Public, |_| ());
    let token = world.tokens("app", PATIENT_SCOPES, &world.amy);
    let (access, refresh) =
        (token["access_token"].as_str().expect("one"), token["refresh_token"].as_str().expect("one"));
    let revoke =
        |token: &str, client: &str| world.post("/auth/revoke", &[("token", token), ("client_id", client)], &[]);
    assert_eq!(revoke(access, "other").status, 200);
    assert_eq!(world.fhir("Patient/amy", access).status, 200);
    assert_eq!(revoke("nothing", "app").status, 200);
    assert_eq!(revoke(refresh, "app").status, 200);
    assert_eq!(world.fhir("Patient/amy", access).status, 401);
    refused(&world.refresh("app", refresh), 400, "invalid_grant");

    // By the user, in "my apps".
    let token = world.tokens("app", PATIENT_SCOPES, &world.amy);
    let access = token["access_token"].as_str().expect("one");
    assert_eq!(world.fhir("Patient/amy", access).status, 200);
    assert_eq!(world.wait(world.authorization().grants_of(&world.amy.subject)).expect("grants").len(), 1);
    world.wait(world.authorization().revoke_app_of(&world.amy.subject, "app")).expect("revoked");
    assert_eq!(world.fhir("Patient/amy", access).status, 401);
}

#[test]
fn other_ways_of_asking_for_a_token_are_refused() {
    let world = started();
    let ask = |grant: &str| world.token(&[("grant_type", grant), ("client_id", "app")]);
    for grant in ["password", "implicit", "urn:ietf:params:oauth:grant-type:jwt-bearer", "nothing"] {
        refused(&ask(grant), 400, "unsupported_grant_type");
    }
    refused(&world.token(&[("client_id", "app")]), 400, "invalid_request");
    refused(&ask("client_credentials"), 400, "unauthorized_client");
    let twice = [("grant_type", "refresh_token"), ("grant_type", "refresh_token"), ("client_id", "app")];
    refused(&world.token(&twice), 400, "invalid_request");
    let answer = world.token_with(&[("grant_type", "refresh_token"), ("client_id", "app")], &[("origin", "null")]);
    refused(&answer, 400, "invalid_request");
    assert_eq!(answer.header("access-control-allow-origin"), "");
}

#[test]
fn a_token_made_for_an_operator_ends() {
    let world = World::start();
    let brief = world.authorization().token_for(&world.administrator, &["user/*.rs"], &world.base, 0);
    let token = world.wait(brief).expect("a token");
    assert_eq!(world.fhir("Patient", &token).status, 401);
}
