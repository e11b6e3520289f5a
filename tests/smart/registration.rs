//! Dynamic registration (C24 of the threat model; RFC 7591, RFC 7592).

use super::world::{ASSERTION, BACK, Key, VERIFIER, World, query_of, refused};
use crate::support::Answer;
use serde_json::{Value, json};
use vesta::authorization::client::ClientState;
use vesta::cli::settings::Settings;

fn register(world: &World, body: &Value) -> Answer {
    let headers = [("content-type", "application/json")];
    world.server.send("POST", "/auth/register", &headers, Some(body.to_string().as_bytes()))
}

fn good() -> Value {
    json!({
        "client_name": "An app",
        "redirect_uris": ["https://new.example/cb"],
        "token_endpoint_auth_method": "none",
        "scope": "openid launch/patient patient/*.rs"
    })
}

#[test]
fn a_registration_waits_for_approval() {
    let world = World::start();
    let answer = register(&world, &good());
    answer.is(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let made = answer.json();
    let id = made["client_id"].as_str().expect("an id");
    assert!(made["registration_access_token"].is_string() && made.get("client_secret").is_none());
    let mut asked = world.request(id, "openid");
    asked.retain(|(name, _)| *name != "redirect_uri");
    asked.push(("redirect_uri", "https://new.example/cb"));
    let waiting = world.authorize(&asked);
    assert_eq!((waiting.status, waiting.header("location")), (400, ""));
    world.wait(world.authorization().change_client(id, |client| client.state = ClientState::Active)).expect("approved");
    assert_eq!(world.authorize(&asked).status, 303);
}

#[test]
fn what_a_client_may_not_register() {
    let world = World::start();
    let with = |name: &str, value: Value| {
        let mut body = good();
        body[name] = value;
        body
    };
    for uri in [
        "javascript:alert(1)",
        "data:text/html,x",
        "http://new.example/cb",
        "https://new.example/#x",
        "https://*.example/cb",
        "https://user@new.example/",
        "file:///etc/passwd",
    ] {
        refused(&register(&world, &with("redirect_uris", json!([uri]))), 400, "invalid_redirect_uri");
    }
    refused(&register(&world, &with("redirect_uris", json!([]))), 400, "invalid_redirect_uri");
    for (name, value) in [
        ("redirect_uris", json!("https://new.example/cb")),
        ("redirect_uris", json!(vec!["https://new.example/cb"; 50])),
        ("client_name", json!("x".repeat(3_000))),
        ("client_name", json!("two\nlines")),
        ("token_endpoint_auth_method", json!("tls_client_auth")),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("grant_types", json!(["password"])),
        ("grant_types", json!(["client_credentials"])),
        ("jwks", json!({"keys": []})),
        ("jwks_uri", json!("http://127.0.0.1/jwks.json")),
        ("jwks_uri", json!("https://169.254.169.254/")),
        ("jwks_uri", json!("https://[fd00::1]/jwks.json")),
        ("jwks_uri", json!("https://localhost/jwks.json")),
        ("logo_uri", json!("javascript:alert(1)")),
        ("scope", json!("patient/*.sr")),
    ] {
        refused(&register(&world, &with(name, value)), 400, "invalid_client_metadata");
    }
    refused(&register(&world, &json!([])), 400, "invalid_client_metadata");
    let huge = "x".repeat(1 << 20);
    assert_eq!(register(&world, &with("client_name", json!(huge))).status, 413);
}

#[test]
fn a_registration_is_managed_with_its_own_token() {
    let world = World::start();
    let key = Key::rsa();
    let mut body = good();
    body["token_endpoint_auth_method"] = json!("private_key_jwt");
    body["jwks"] = key.set("k1");
    let made = register(&world, &body).is(201).json();
    let id = made["client_id"].as_str().expect("an id").to_owned();
    let token = format!("Bearer {}", made["registration_access_token"].as_str().expect("a token"));
    let path = format!("/auth/register/{id}");
    let send = |method: &str, token: &str, body: Option<&Value>| {
        let text = body.map(Value::to_string);
        world.server.send(method, &path, &[("authorization", token)], text.as_deref().map(str::as_bytes))
    };
    assert_eq!(send("GET", &token, None).is(200).json()["client_name"], "An app");
    refused(&send("GET", "Bearer wrong", None), 401, "invalid_token");
    world.wait(world.authorization().change_client(&id, |c| c.state = ClientState::Active)).expect("approved");
    body["client_name"] = json!("Another name");
    refused(&send("PUT", &token, Some(&body)), 400, "invalid_request");
    body["client_id"] = json!("another");
    refused(&send("PUT", &token, Some(&body)), 400, "invalid_request");
    body["client_id"] = json!(id);
    body["client_secret"] = json!("made up");
    refused(&send("PUT", &token, Some(&body)), 400, "invalid_request");
    body.as_object_mut().expect("an object").remove("client_secret");
    assert_eq!(send("GET", &token, None).is(200).json()["approved"], true, "what was refused changed nothing");
    let changed = send("PUT", &token, Some(&body)).is(200).json();
    assert_eq!((&changed["client_name"], &changed["approved"]), (&json!("Another name"), &json!(false)));
    assert_eq!(send("DELETE", &token, None).status, 204);
    refused(&send("GET", &token, None), 401, "invalid_token");
}

/// Whoever registers very much fills its own share: others still register, up to the bound of all.
#[test]
fn registrations_that_wait_are_bounded() {
    let trusted_proxy = Some(vec!["127.0.0.0/8".parse().expect("a network")]);
    let world = World::with(Settings { trusted_proxy, ..Settings::default() });
    let body = good().to_string();
    let from = |address: &str| {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
        world.server.send("POST", "/auth/register", &headers, Some(body.as_bytes())).status
    };
    let made = |address: &str| (0..22).filter(|_| from(address) == 201).count();
    assert_eq!(made("192.0.2.1"), 20);
    assert_eq!(from("192.0.2.1"), 429);
    // Of IPv6 the network counts: everybody has very many addresses in it.
    let one_network = (0..22).filter(|n| from(&format!("2001:db8:1:2::{n:x}")) == 201).count();
    assert_eq!(one_network, 20);
    assert_eq!((2..10).map(|n| made(&format!("192.0.2.{n}"))).sum::<usize>(), 160);
    assert_eq!(from("192.0.2.77"), 429, "the bound of all");
}

/// What a client said it would use is kept, shown to who approves, and all that it can use.
#[test]
fn a_client_uses_the_grant_types_that_it_registered() {
    let world = World::start();
    world.patient("amy");
    let key = Key::elliptic();
    let made = |grants: Value| {
        let mut body = good();
        body["token_endpoint_auth_method"] = json!("private_key_jwt");
        body["jwks"] = key.set("k1");
        body["scope"] = json!("offline_access launch/patient patient/*.rs system/*.rs");
        body["redirect_uris"] = json!([BACK]);
        if !grants.is_null() {
            body["grant_types"] = grants;
        }
        let made = register(&world, &body).is(201).json();
        let id = made["client_id"].as_str().expect("an id").to_owned();
        let token = format!("Bearer {}", made["registration_access_token"].as_str().expect("a token"));
        let shown = world.server.get_with(&format!("/auth/register/{id}"), &[("authorization", &token)]).is(200).json();
        assert_eq!(shown["grant_types"], made["grant_types"]);
        let approve = world.authorization().change_client(&id, |client| client.state = ClientState::Active);
        world.wait(approve).expect("approved");
        (id, made["grant_types"].clone())
    };
    let backend = |id: &str| world.backend(&key.assertion(&world, id, |_, _| {}), "system/*.rs");
    let exchange = |id: &str| {
        let back = world.led_back(id, "offline_access launch/patient patient/*.rs", &world.amy, None);
        let code = query_of(&back, "code").unwrap_or_else(|| panic!("no code in {back}"));
        let assertion = key.assertion(&world, id, |_, _| {});
        world.token(&[
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
            ("client_assertion_type", ASSERTION),
            ("client_assertion", &assertion),
        ])
    };
    let (id, grants) = made(json!(["authorization_code"]));
    assert_eq!(grants, json!(["authorization_code"]));
    refused(&backend(&id), 400, "unauthorized_client");
    assert!(exchange(&id).is(200).json().get("refresh_token").is_none());
    let (id, grants) = made(json!(["authorization_code", "client_credentials"]));
    assert_eq!(grants, json!(["authorization_code", "client_credentials"]));
    backend(&id).is(200);
    exchange(&id).is(200);
    let (id, grants) = made(json!(["client_credentials"]));
    assert_eq!(grants, json!(["client_credentials"]));
    backend(&id).is(200);
    let back = world.authorize(&world.request(&id, "patient/*.rs"));
    assert_eq!(query_of(back.header("location"), "error").as_deref(), Some("unauthorized_client"));
    // Who says nothing is an app; a client of before this was kept does what it could.
    let (id, grants) = made(Value::Null);
    assert_eq!(grants, json!(["authorization_code", "refresh_token"]));
    refused(&backend(&id), 400, "unauthorized_client");
    let tokens = exchange(&id).is(200).json();
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
    world.wait(world.authorization().change_client(&id, |client| client.grant_types.clear())).expect("changed");
    backend(&id).is(200);
    // A client for people has somewhere to lead them back to.
    let mut body = good();
    body["token_endpoint_auth_method"] = json!("private_key_jwt");
    body["jwks"] = key.set("k1");
    body["redirect_uris"] = json!([]);
    body["grant_types"] = json!(["client_credentials", "authorization_code"]);
    refused(&register(&world, &body), 400, "invalid_redirect_uri");
}
