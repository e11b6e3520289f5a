//! Access tokens of an outside authorization server: what is taken, and what is refused.

use super::issuer::{CLIENT, Issuer, Signer, unsigned};
use super::world::{World, basic, now};
use crate::support::Answer;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use vesta::authorization::client::ClientKind;
use vesta::cli::settings::{IssuerSettings, Settings};

const AUDIENCE: &str = "https://fhir.example/r4";

/// A server that takes the tokens of an issuer, with two patients.
fn world(issuer: &Issuer, change: impl FnOnce(&mut IssuerSettings)) -> World {
    let mut set = IssuerSettings {
        token_issuer: Some(issuer.url.clone()),
        token_audience: Some(AUDIENCE.to_owned()),
        token_role_claim: Some("realm_access.roles".to_owned()),
        token_roles: Some(vec!["medics=doctor".to_owned(), "watchers=auditor".to_owned()]),
        ..IssuerSettings::default()
    };
    change(&mut set);
    let world = World::with(Settings { issuer: set, ..Settings::default() });
    world.patient("amy");
    world.patient("bob");
    world
}

/// The claims of a doctor's token, changed.
fn claims(issuer: &Issuer, change: impl FnOnce(&mut Value)) -> Value {
    let mut claims = json!({
        "iss": issuer.url, "aud": AUDIENCE, "sub": "42", "azp": "app", "jti": "t-1",
        "iat": now(), "nbf": now(), "exp": now() + 300,
        "scope": "openid profile user/*.cruds", "fhirUser": "Practitioner/doc",
        "realm_access": {"roles": ["medics"]},
    });
    change(&mut claims);
    claims
}

fn header(signer: &Signer) -> Value {
    json!({"alg": signer.algorithm(), "typ": "at+jwt", "kid": "k1"})
}

/// A doctor's token, its claims changed.
fn token(issuer: &Issuer, signer: &Signer, change: impl FnOnce(&mut Value)) -> String {
    signer.sign(&header(signer), &claims(issuer, change))
}

/// An answer that says that the token is not valid.
#[track_caller]
fn invalid(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 401, "{what}: {}", answer.text());
    assert!(answer.header("www-authenticate").contains("invalid_token"), "{what}: {:?}", answer.headers);
    assert!(!answer.text().contains("BEGIN") && !answer.text().contains("\"n\""), "{what}: {}", answer.text());
}

#[test]
fn signed_tokens_are_taken_and_mean_what_they_say() {
    let issuer = Issuer::start();
    let signers = ["RS256", "RS384", "ES256", "ES384"].map(Signer::new);
    let world = world(&issuer, |_| {});
    for (number, signer) in signers.iter().enumerate() {
        issuer.publish(&signers.iter().enumerate().map(|(i, s)| s.public(&format!("k{i}"))).collect::<Vec<_>>());
        let header = json!({"alg": signer.algorithm(), "typ": "at+jwt", "kid": format!("k{number}")});
        let doctor = signer.sign(&header, &claims(&issuer, |_| {}));
        world.fhir("Patient/amy", &doctor).is(200);
        assert_eq!(world.fhir("Patient", &doctor).is(200).json()["total"], 2, "{}", signer.algorithm());
        // The same once more comes from memory.
        world.fhir("Patient/amy", &doctor).is(200);
    }
    assert_eq!(issuer.asked("/keys"), 1, "the keys are fetched once");
    let signer = &signers[3];
    let header = json!({"alg": "ES384", "kid": "k3"});
    let amy = claims(&issuer, |claims| {
        claims["scope"] = json!("patient/*.rs");
        claims["fhirUser"] = json!(format!("{AUDIENCE}/Patient/amy"));
        claims["patient"] = json!("amy");
        claims["realm_access"] = json!({"roles": []});
        claims["aud"] = json!(["another", AUDIENCE]);
    });
    let amy = signer.sign(&header, &amy);
    world.fhir("Patient/amy", &amy).is(200);
    world.fhir("Patient/bob", &amy).is(404);
    assert_eq!(world.fhir("Patient", &amy).is(200).json()["entry"].as_array().map(Vec::len), Some(1));
    let only_observations = claims(&issuer, |claims| claims["scope"] = json!("user/Observation.rs"));
    world.fhir("Patient/amy", &signer.sign(&header, &only_observations)).is(403);
    let service = claims(&issuer, |claims| {
        claims["scope"] = json!("system/Patient.rs");
        claims.as_object_mut().expect("an object").remove("fhirUser");
    });
    let service = signer.sign(&header, &service);
    assert_eq!(world.fhir("Patient", &service).is(200).json()["total"], 2);
    world.fhir("Observation", &service).is(403);
}

#[test]
fn what_the_issuer_did_not_sign_for_this_server_is_refused() {
    let issuer = Issuer::start();
    let (rsa, elliptic, stranger) = (Signer::new("RS256"), Signer::new("ES256"), Signer::new("RS256"));
    issuer.publish(&[rsa.public("k1"), elliptic.public("k2")]);
    let world = world(&issuer, |_| {});
    world.fhir("Patient/amy", &token(&issuer, &rsa, |_| {})).is(200);
    let good = claims(&issuer, |_| {});
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);

    let none = |alg: &str| format!("{}.", unsigned(&json!({"alg": alg, "typ": "at+jwt", "kid": "k1"}), &good));
    let shared = |secret: &[u8]| {
        let text = unsigned(&json!({"alg": "HS256", "typ": "at+jwt", "kid": "k1"}), &good);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let public = rsa.public("k1");
    let with = |signer: &Signer, change: &dyn Fn(&mut Value)| {
        let mut header = header(signer);
        change(&mut header);
        signer.sign(&header, &good)
    };
    let changed = {
        let token = token(&issuer, &rsa, |_| {});
        let parts: Vec<&str> = token.split('.').collect();
        let more = claims(&issuer, |claims| claims["scope"] = json!("user/*.cruds system/*.cruds"));
        format!("{}.{}.{}", parts[0], part(&more.to_string()), parts[2])
    };
    let zeros = {
        let text = unsigned(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "k2"}), &good);
        format!("{text}.{}", URL_SAFE_NO_PAD.encode([0; 64]))
    };
    let whole = token(&issuer, &rsa, |_| {});
    for (what, token) in [
        ("alg none", none("none")),
        ("alg NONE", none("NONE")),
        ("HS256 with the modulus", shared(public["n"].as_str().expect("a modulus").as_bytes())),
        ("HS256 with the public key", shared(public.to_string().as_bytes())),
        ("RS512", with(&rsa, &|header| header["alg"] = json!("RS512"))),
        ("PS256", with(&rsa, &|header| header["alg"] = json!("PS256"))),
        ("another algorithm than the key's", with(&rsa, &|header| header["alg"] = json!("RS384"))),
        ("the key of another algorithm", with(&rsa, &|header| header["kid"] = json!("k2"))),
        ("no kid", with(&rsa, &|header| drop(header.as_object_mut().map(|h| h.remove("kid"))))),
        ("a path as kid", with(&rsa, &|header| header["kid"] = json!("../../etc/passwd"))),
        ("a critical header", with(&rsa, &|header| header["crit"] = json!(["exp"]))),
        ("an id_token by its type", with(&rsa, &|header| header["typ"] = json!("logout+jwt"))),
        ("its own key", with(&stranger, &|header| header["jwk"] = stranger.public("k1"))),
        ("its own address of keys", with(&stranger, &|header| header["jku"] = json!("https://evil.example/k"))),
        ("the key of a stranger", with(&stranger, &|_| {})),
        ("changed claims", changed),
        ("a signature of zeros", zeros),
        ("bytes after the signature", format!("{whole}AAAA")),
        ("a fourth part", format!("{whole}.AAAA")),
        ("padding", format!("{whole}==")),
        ("half a token", whole[..whole.len() / 2].to_owned()),
    ] {
        invalid(&world.fhir("Patient/amy", &token), what);
    }
    invalid(&world.fhir("Patient/amy", &format!("a.{}.c", "b".repeat(20_000))), "a long token");
    assert_eq!(issuer.asked("/keys"), 1);
}

#[test]
fn claims_that_do_not_fit_are_refused() {
    let issuer = Issuer::start();
    let signer = Signer::new("ES384");
    issuer.publish(&[signer.public("k1")]);
    let world = world(&issuer, |_| {});
    let remove = |claims: &mut Value, name: &str| drop(claims.as_object_mut().map(|all| all.remove(name)));
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(&str, Change<'_>); 19] = [
        ("another issuer", &|c| c["iss"] = json!("https://issuer.example")),
        ("the issuer with a slash", &|c| c["iss"] = json!(format!("{}/", issuer.url))),
        ("no issuer", &|c| remove(c, "iss")),
        ("another audience", &|c| c["aud"] = json!("https://fhir.example/r5")),
        ("an audience that begins so", &|c| c["aud"] = json!(format!("{AUDIENCE}/x"))),
        ("others only", &|c| c["aud"] = json!(["app", "account"])),
        ("no audience", &|c| remove(c, "aud")),
        ("over", &|c| c["exp"] = json!(now() - 1)),
        ("no end", &|c| remove(c, "exp")),
        ("an end that is no number", &|c| c["exp"] = json!("tomorrow")),
        ("not yet", &|c| c["nbf"] = json!(now() + 300)),
        ("made in the future", &|c| c["iat"] = json!(now() + 300)),
        ("bound to a key", &|c| c["cnf"] = json!({"jkt": "x"})),
        ("an id_token", &|c| c["typ"] = json!("ID")),
        ("nobody's", &|c| ["sub", "azp"].iter().for_each(|name| remove(c, name))),
        ("no role that is known", &|c| c["realm_access"] = json!({"roles": ["administrator", "doctor"]})),
        ("mixed scopes", &|c| c["scope"] = json!("user/*.rs user/*.read")),
        ("a user elsewhere", &|c| c["fhirUser"] = json!("https://elsewhere.example/Practitioner/doc")),
        ("a system with a user", &|c| c["scope"] = json!("system/*.rs")),
    ];
    for (what, change) in cases {
        invalid(&world.fhir("Patient/amy", &token(&issuer, &signer, change)), what);
    }
    world.fhir("Patient/amy", &token(&issuer, &signer, |_| {})).is(200);
    // No scopes are no rights, and what is refused is the request, not the token.
    world.fhir("Patient/amy", &token(&issuer, &signer, |c| c["scope"] = json!("openid email"))).is(403);
}

/// Until something is true, and not for ever.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn keys_come_and_go_with_the_issuer() {
    let issuer = Issuer::start();
    let (first, second) = (Signer::new("ES256"), Signer::new("ES256"));
    issuer.publish(&[first.public("k1")]);
    let world = world(&issuer, |set| set.token_pause = "1ms".parse().ok());
    world.fhir("Patient/amy", &token(&issuer, &first, |_| {})).is(200);
    // A new key is found, though the set that is there may be kept for an hour.
    issuer.publish(&[first.public("k1"), second.public("k2")]);
    let header = json!({"alg": "ES256", "kid": "k2"});
    let newer = second.sign(&header, &claims(&issuer, |_| {}));
    until("the new key is found", || world.fhir("Patient/amy", &newer).status == 200);
    world.fhir("Patient/amy", &token(&issuer, &first, |_| {})).is(200);
    // A key that was taken away counts until the set is too old, and no longer.
    issuer.change(|state| state.cache = "no-store".to_owned());
    issuer.publish(&[second.public("k2"), Signer::new("ES256").public("k3")]);
    let third = Signer::new("ES256").sign(&json!({"alg": "ES256", "kid": "k3"}), &claims(&issuer, |_| {}));
    let old = token(&issuer, &first, |_| {});
    until("the old key is gone", || {
        world.fhir("Patient/amy", &third).is(401);
        world.fhir("Patient/amy", &old).status == 401
    });
    world.fhir("Patient/amy", &newer).is(200);
    // Without the issuer what is known holds for as long as it may be kept, then nothing does.
    issuer.change(|state| state.down = true);
    until("nothing is accepted any more", || world.fhir("Patient/amy", &newer).status == 503);
    issuer.change(|state| state.down = false);
    until("it is back", || world.fhir("Patient/amy", &newer).status == 200);
}

#[test]
fn a_flood_of_unknown_keys_is_not_passed_on() {
    let issuer = Issuer::start();
    let signer = Signer::new("ES256");
    issuer.publish(&[signer.public("k1")]);
    // Longer than any test.
    let world = world(&issuer, |set| set.token_pause = "1h".parse().ok());
    for number in 0..40 {
        let header = json!({"alg": "ES256", "kid": format!("made-up-{number}")});
        invalid(&world.fhir("Patient/amy", &signer.sign(&header, &claims(&issuer, |_| {}))), "made up");
    }
    assert_eq!(issuer.asked("/keys"), 1);
    world.fhir("Patient/amy", &token(&issuer, &signer, |_| {})).is(200);
}

#[test]
fn an_issuer_that_does_not_answer_opens_nothing() {
    let issuer = Issuer::start();
    let signer = Signer::new("ES256");
    issuer.publish(&[signer.public("k1")]);
    issuer.change(|state| state.down = true);
    let world = world(&issuer, |set| set.token_pause = "1ms".parse().ok());
    let good = token(&issuer, &signer, |_| {});
    world.fhir("Patient/amy", &good).refuses(503, "transient");
    let answer = world.server.get(".well-known/smart-configuration");
    assert_eq!(answer.status, 503, "{}", answer.text());
    // The own users come in all the same.
    world.fhir("Patient/amy", &world.operator()).is(200);
    issuer.change(|state| state.down = false);
    until("it is there", || world.fhir("Patient/amy", &good).status == 200);

    let other = Issuer::start();
    other.publish(&[signer.public("k1")]);
    other.change(|state| state.impostor = true);
    let world = self::world(&other, |_| {});
    world.fhir("Patient/amy", &token(&other, &signer, |_| {})).refuses(503, "transient");
    assert_eq!(other.asked("/keys"), 0, "metadata of somebody else lead nowhere");
}

#[test]
fn tokens_that_only_the_issuer_can_read_are_asked_about() {
    let issuer = Issuer::start();
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{}\n", CLIENT.1)).expect("writes");
    let world = world(&issuer, |set| {
        set.token_introspection = Some("discover".to_owned());
        set.token_client_id = Some(CLIENT.0.to_owned());
        set.token_client_secret_file = Some(secret);
        set.token_pause = "1ms".parse().ok();
    });
    let say = |token: &str, change: &dyn Fn(&mut Value)| {
        let told = claims(&issuer, |claims| {
            claims["active"] = json!(true);
            change(claims);
        });
        issuer.change(|state| drop(state.tokens.insert(token.to_owned(), told)));
    };
    say("good", &|_| {});
    world.fhir("Patient/amy", "good").is(200);
    world.fhir("Patient/bob", "good").is(200);
    assert_eq!(issuer.asked("/introspect"), 1, "what was said is kept for a moment");
    // Nothing outlives the end of the token.
    say("brief", &|claims| claims["exp"] = json!(now() + 2));
    world.fhir("Patient/amy", "brief").is(200);
    until("it is over", || world.fhir("Patient/amy", "brief").status == 401);
    say("for-another", &|claims| claims["aud"] = json!("https://other.example"));
    say("of-another", &|claims| claims["iss"] = json!("https://other.example"));
    say("over", &|claims| claims["exp"] = json!(now() - 10));
    say("not-active", &|claims| claims["active"] = json!(false));
    say("nearly", &|claims| claims["active"] = json!("true"));
    for token in ["for-another", "of-another", "over", "not-active", "nearly", "unknown"] {
        invalid(&world.fhir("Patient/amy", token), token);
    }
    issuer.change(|state| state.down = true);
    world.fhir("Patient/amy", "another").refuses(503, "transient");
    world.fhir("Patient/amy", &world.operator()).is(200);
}

#[test]
fn such_tokens_open_nothing_of_the_own_authorization_server() {
    let issuer = Issuer::start();
    let signer = Signer::new("RS256");
    issuer.publish(&[signer.public("k1")]);
    let world = world(&issuer, |_| {});
    let secret = world.app("resource-server", ClientKind::Symmetric, |app| app.scopes = vec!["system/*.rs".into()]);
    let good = token(&issuer, &signer, |_| {});
    world.fhir("Patient/amy", &good).is(200);
    let bearer = format!("Bearer {good}");
    let answer = world.post("/auth/introspect", &[("token", &good)], &[("authorization", &bearer)]);
    assert_eq!(answer.status, 401, "{}", answer.text());
    let proof = basic("resource-server", &secret.expect("a secret"));
    let answer = world.post("/auth/introspect", &[("token", &good)], &[("authorization", &proof)]);
    assert_eq!(answer.json(), json!({"active": false}));
    let launch = world.server.send(
        "POST",
        "/auth/launch",
        &[("authorization", &bearer), ("content-type", "application/json")],
        Some(br#"{"client_id":"resource-server","patient":"amy"}"#),
    );
    assert_eq!(launch.status, 401, "{}", launch.text());
    // What is refused leaves a record, and so does what is done.
    let auditor = token(&issuer, &signer, |claims| claims["realm_access"] = json!({"roles": ["watchers"]}));
    invalid(&world.fhir("Patient/bob", &format!("{good}x")), "a changed token");
    let records = world.fhir("AuditEvent?_count=1000", &auditor).is(200).text();
    assert!(records.contains(&format!("{}#42", issuer.url)), "the user is named");
}

#[test]
fn discovery_names_the_issuer() {
    let issuer = Issuer::start();
    let world = world(&issuer, |_| {});
    let smart = world.server.get(".well-known/smart-configuration").is(200).json();
    assert_eq!(smart["issuer"], issuer.url.as_str());
    assert_eq!(smart["token_endpoint"], format!("{}/token", issuer.url));
    assert_eq!(smart["authorization_endpoint"], format!("{}/authorize", issuer.url));
    let capabilities: Vec<&str> =
        smart["capabilities"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(capabilities.contains(&"launch-standalone") && capabilities.contains(&"permission-v2"), "{smart}");
    assert!(capabilities.contains(&"permission-offline"), "what the issuer does is its own to say: {smart}");
    assert!(smart.get("secret_of_ours").is_none());
    assert_eq!(world.server.get(".well-known/openid-configuration").status, 404);
    let security = world.server.get("metadata").is(200).json()["rest"][0]["security"].clone();
    assert!(security["description"].as_str().expect("a text").contains(&issuer.url), "{security}");
    assert!(security.get("extension").is_none(), "{security}");
}
