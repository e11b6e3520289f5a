//! Backend services and client assertions (D01–D12 of the threat model): what is no good signature is no signature.

use super::world::{ASSERTION, BACK, Key, VERIFIER, World, now, refused};
use serde_json::json;
use vesta::authorization::client::ClientKind;

#[test]
fn a_backend_service_gets_a_short_token() {
    let world = World::start();
    for (id, key) in [("rsa", Key::rsa()), ("elliptic", Key::elliptic())] {
        world.service(id, &key);
        let answer = world.backend(&key.assertion(&world, id, |_, _| ()), "system/Patient.rs");
        answer.is(200);
        let token = answer.json();
        assert_eq!((&token["token_type"], &token["scope"]), (&json!("Bearer"), &json!("system/Patient.rs")));
        assert!(token["expires_in"].as_i64().expect("a number") <= 300);
        assert!(token.get("refresh_token").is_none() && token.get("id_token").is_none());
        let access = token["access_token"].as_str().expect("a token");
        assert_eq!(world.fhir("Patient", access).status, 200, "{}", world.fhir("Patient", access).text());
    }
}

#[test]
fn a_backend_service_gets_system_scopes_only() {
    let world = World::start();
    let key = Key::rsa();
    world.service("svc", &key);
    for scope in ["patient/*.rs", "user/*.rs", "openid", "system/*.sr", "system/Nothing.rs", ""] {
        let answer = world.backend(&key.assertion(&world, "svc", |_, _| ()), scope);
        refused(&answer, 400, "invalid_scope");
    }
    let type_ = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    let assertion = key.assertion(&world, "svc", |_, _| ());
    let answer = world.token(&[
        ("grant_type", "client_credentials"),
        ("scope", "system/*.rs"),
        ("client_assertion_type", type_),
        ("client_assertion", &assertion),
    ]);
    refused(&answer, 400, "invalid_request");
}

#[test]
fn an_assertion_has_to_be_right_in_everything() {
    let world = World::start();
    let (key, other) = (Key::rsa(), Key::rsa());
    world.service("svc", &key);
    let refuse = |what: &str, assertion: &str| {
        let answer = world.backend(assertion, "system/*.rs");
        assert!([400, 401, 429].contains(&answer.status), "{what}: {}", answer.text());
        assert_ne!(answer.status, 429, "{what}: too many failures for this test");
        assert!(!answer.text().contains("MII") && !answer.text().contains("\"n\""), "{what}");
    };
    refuse("another key", &other.assertion(&world, "svc", |_, _| ()));
    refuse("far exp", &key.assertion(&world, "svc", |_, c| c["exp"] = json!(now() + 3_600)));
    refuse("past exp", &key.assertion(&world, "svc", |_, c| c["exp"] = json!(now() - 120)));
    refuse("no exp", &key.assertion(&world, "svc", |_, c| drop(c.as_object_mut().expect("claims").remove("exp"))));
    refuse("no jti", &key.assertion(&world, "svc", |_, c| drop(c.as_object_mut().expect("claims").remove("jti"))));
    refuse("empty jti", &key.assertion(&world, "svc", |_, c| c["jti"] = json!("")));
    refuse("wrong aud", &key.assertion(&world, "svc", |_, c| c["aud"] = json!("https://elsewhere.example/token")));
    let also = json!([format!("{}/auth/token", world.base.trim_end_matches("/fhir")), "https://elsewhere.example"]);
    refuse("aud with others", &key.assertion(&world, "svc", |_, c| c["aud"] = also));
    refuse("iss is not sub", &key.assertion(&world, "svc", |_, c| c["iss"] = json!("other")));
    refuse("nbf ahead", &key.assertion(&world, "svc", |_, c| c["nbf"] = json!(now() + 600)));
    refuse("iat ahead", &key.assertion(&world, "svc", |_, c| c["iat"] = json!(now() + 600)));
    refuse("unknown kid", &key.assertion(&world, "svc", |h, _| h["kid"] = json!("../../etc/passwd")));
    refuse("no kid", &key.assertion(&world, "svc", |h, _| drop(h.as_object_mut().expect("header").remove("kid"))));
    refuse("crit", &key.assertion(&world, "svc", |h, _| h["crit"] = json!(["x"])));
    world.backend(&key.assertion(&world, "svc", |_, _| ()), "system/*.rs").is(200);
}

#[test]
fn tricks_with_the_form_of_a_token() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let world = World::start();
    let (key, attacker) = (Key::rsa(), Key::rsa());
    world.service("svc", &key);
    world.service("ec", &Key::elliptic());
    let refuse = |what: &str, assertion: &str| {
        let status = world.backend(assertion, "system/*.rs").status;
        assert!([400, 401].contains(&status), "{what}: {status}");
    };
    let good = key.assertion(&world, "svc", |_, _| ());
    let parts: Vec<&str> = good.split('.').collect();
    let header = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    for alg in ["none", "None", "HS256", "HS384", "RS256", "PS384", "EdDSA"] {
        let none = header(json!({"alg": alg, "typ": "JWT", "kid": "k1"}));
        refuse(alg, &format!("{none}.{}.", parts[1]));
        refuse(alg, &format!("{none}.{}.{}", parts[1], parts[2]));
    }
    // HS256 with the public key as the secret.
    let secret = key.public("k1")["n"].as_str().expect("a modulus").to_owned();
    let hs = header(json!({"alg": "HS256", "kid": "k1"}));
    let mac = aws_lc_rs::hmac::sign(
        &aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes()),
        format!("{hs}.{}", parts[1]).as_bytes(),
    );
    refuse("HS256 by the public key", &format!("{hs}.{}.{}", parts[1], URL_SAFE_NO_PAD.encode(mac)));
    // Keys that the token brings along.
    refuse("jwk", &attacker.assertion(&world, "svc", |h, _| h["jwk"] = attacker.public("k1")));
    refuse("jku", &attacker.assertion(&world, "svc", |h, _| h["jku"] = json!("https://evil.example/jwks.json")));
    refuse("x5u", &attacker.assertion(&world, "svc", |h, _| h["x5u"] = json!("https://evil.example/x.pem")));
    // Signatures of zeros, trailing bytes, another alphabet.
    let zeros = header(json!({"alg": "ES384", "kid": "k1"}));
    let claims = json!({"iss": "ec", "sub": "ec", "aud": format!("{}/auth/token", world.base.trim_end_matches("/fhir")),
        "exp": now() + 200, "jti": "z"});
    refuse("zeros", &format!("{zeros}.{}.{}", header(claims), URL_SAFE_NO_PAD.encode([0; 96])));
    refuse("trailing", &format!("{good}AA"));
    refuse("a fourth part", &format!("{good}.x"));
    refuse("padding", &format!("{good}=="));
    refuse("not base64", &good.replace('.', "!."));
    refuse("empty", "..");
    refuse("huge", &format!("{}.{}.{}", parts[0], "A".repeat(200_000), parts[2]));
    let double = format!(
        "{{\"iss\":\"svc\",\"iss\":\"other\",\"sub\":\"svc\",\"aud\":\"x\",\"exp\":{},\"jti\":\"d\"}}",
        now() + 100
    );
    refuse("a claim twice, not signed", &format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(double), parts[2]));
    world.backend(&good, "system/*.rs").is(200);
}

#[test]
fn tricks_that_are_signed_or_hidden() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    let world = World::start();
    let (key, attacker) = (Key::rsa(), Key::rsa());
    world.service("svc", &key);
    let refuse = |what: &str, assertion: &str| {
        let status = world.backend(assertion, "system/*.rs").status;
        assert!([400, 401].contains(&status), "{what}: {status}");
    };
    // D03: certificates that the token brings along.
    let chain = json!([STANDARD.encode("a certificate of the attacker")]);
    refuse("x5c", &attacker.assertion(&world, "svc", |h, _| h["x5c"] = chain));
    // D11: a claim twice, with a good signature. Readers differ in which of the two they take.
    let aud = format!("{}/auth/token", world.base.trim_end_matches("/fhir"));
    let header = json!({"alg": "RS384", "typ": "JWT", "kid": "k1"}).to_string();
    for (number, (name, first, second)) in
        [("iss", "other", "svc"), ("sub", "svc", "svc"), ("aud", "x", aud.as_str())].iter().enumerate()
    {
        let others = [("iss", "svc"), ("sub", "svc"), ("aud", aud.as_str())].into_iter().filter(|(n, _)| n != name);
        let others: String = others.map(|(n, v)| format!(",\"{n}\":\"{v}\"")).collect();
        let end = now() + 100;
        let claims = |twice: &str| format!("{{{twice}{others},\"exp\":{end},\"jti\":\"twice-{number}\"}}");
        refuse(name, &key.sign_text(&header, &claims(&format!("\"{name}\":\"{first}\",\"{name}\":\"{second}\""))));
        // Once it is all right.
        world.backend(&key.sign_text(&header, &claims(&format!("\"{name}\":\"{second}\""))), "system/*.rs").is(200);
    }
    // D07: the same bytes, written otherwise: four bits of the last character mean nothing.
    let good = key.assertion(&world, "svc", |_, _| ());
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (head, last) = good.split_at(good.len() - 1);
    let place = letters.find(last).expect("a letter of base64url");
    assert_eq!(place % 16, 0, "256 bytes end with four bits of nothing");
    refuse("not canonical", &format!("{head}{}", &letters[place + 1..place + 2]));
    // D12: encrypted, and one inside another.
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let sealed = part(r#"{"alg":"RSA-OAEP","enc":"A256GCM","kid":"k1","cty":"JWT"}"#);
    refuse("encrypted", &format!("{sealed}.{}.{}.{}.{}", part("key"), part("iv"), part(&good), part("tag")));
    refuse(
        "nested",
        &key.sign_text(&json!({"alg": "RS384", "kid": "k1", "cty": "JWT"}).to_string(), &format!("\"{good}\"")),
    );
    world.backend(&good, "system/*.rs").is(200);
}

#[test]
fn weak_keys_and_doubtful_sets_are_no_keys() {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let world = World::start();
    let key = Key::rsa();
    world.app("double", ClientKind::Asymmetric, |app| {
        app.redirect_uris.clear();
        app.scopes = vec!["system/*.rs".into()];
        app.jwks = Some(json!({"keys": [key.public("k1"), Key::rsa().public("k1")]}));
    });
    refused(&world.backend(&key.assertion(&world, "double", |_, _| ()), "system/*.rs"), 401, "invalid_client");
    // A curve that does not belong to the algorithm.
    let small = Key::Elliptic(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"));
    let mut public = Key::elliptic().public("k1");
    public["crv"] = json!("P-256");
    assert!(!vesta::authorization::keys_are_usable(&json!({"keys": [public]})));
    drop(small);
    // D06: a point that is not on the curve verifies nothing, whoever has the private half of the one it was made of.
    let honest = Key::elliptic();
    let mut off = honest.public("k1");
    off["y"] = off["x"].clone();
    world.app("off", ClientKind::Asymmetric, |app| {
        app.redirect_uris.clear();
        app.scopes = vec!["system/*.rs".into()];
        app.jwks = Some(json!({"keys": [off]}));
    });
    refused(&world.backend(&honest.assertion(&world, "off", |_, _| ()), "system/*.rs"), 401, "invalid_client");
    let mut short = key.public("k1");
    short["n"] = json!("AQAB");
    assert!(!vesta::authorization::keys_are_usable(&json!({"keys": [short]})));
    let mut private = key.public("k1");
    private["d"] = json!("AQAB");
    assert!(!vesta::authorization::keys_are_usable(&json!({"keys": [private]})));
    assert!(vesta::authorization::keys_are_usable(&key.set("k1")));
}

#[test]
fn an_assertion_works_once_also_at_the_same_time() {
    let world = World::start();
    let key = Key::elliptic();
    world.service("svc", &key);
    let assertion = key.assertion(&world, "svc", |_, _| ());
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| world.backend(&assertion, "system/*.rs").status)).collect();
        all.into_iter().map(|thread| thread.join().expect("ends")).collect()
    });
    assert_eq!(statuses.iter().filter(|s| **s == 200).count(), 1, "{statuses:?}");
    refused(&world.backend(&assertion, "system/*.rs"), 401, "invalid_client");
}

#[test]
fn an_app_with_a_key_of_its_own_exchanges_a_code() {
    let world = World::start();
    world.patient("amy");
    let key = Key::rsa();
    world.app("keyed", ClientKind::Asymmetric, |app| app.jwks = Some(key.set("k1")));
    let code = world.code("keyed", "launch/patient patient/*.rs offline_access", &world.amy);
    let exchange = |more: &[(&str, &str)]| {
        let mut all = vec![
            ("grant_type", "authorization_code"),
            ("code", code.as_str()),
            ("redirect_uri", BACK),
            ("code_verifier", VERIFIER),
        ];
        all.extend_from_slice(more);
        world.token(&all)
    };
    // It does not get by as a public client, nor with a secret.
    refused(&exchange(&[("client_id", "keyed")]), 401, "invalid_client");
    refused(&exchange(&[("client_id", "keyed"), ("client_secret", "x")]), 401, "invalid_client");
    let assertion = key.assertion(&world, "keyed", |_, _| ());
    exchange(&[("client_assertion_type", ASSERTION), ("client_assertion", &assertion)]).is(200);
}

#[test]
fn keys_by_address_are_fetched_and_kept_for_their_time() {
    use std::io::{Read, Write};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    let key = Key::elliptic();
    let (count, set) = (Arc::new(AtomicUsize::new(0)), key.set("k1").to_string());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let counted = count.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 4_096];
            let _ = stream.read(&mut buffer);
            counted.fetch_add(1, Ordering::SeqCst);
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: max-age=60\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{set}", set.len());
        }
    });
    let url = format!("http://127.0.0.1:{port}/jwks.json");
    let register = |world: &World| {
        world.app("svc", ClientKind::Asymmetric, |app| {
            app.redirect_uris.clear();
            app.scopes = vec!["system/*.rs".into()];
            app.jwks_uri = Some(url.clone());
        });
    };
    // Only a server that is told so asks this machine itself.
    let strict = World::start();
    register(&strict);
    refused(&strict.backend(&key.assertion(&strict, "svc", |_, _| ()), "system/*.rs"), 401, "invalid_client");
    assert_eq!(count.load(Ordering::SeqCst), 0);

    let settings = vesta::cli::settings::Settings { fetch_from_loopback: Some(true), ..Default::default() };
    let world = World::with(settings);
    register(&world);
    for _ in 0..3 {
        world.backend(&key.assertion(&world, "svc", |_, _| ()), "system/*.rs").is(200);
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    // A flood of unknown keys leads to no flood of fetches.
    for _ in 0..5 {
        let unknown = key.assertion(&world, "svc", |h, _| h["kid"] = json!("k2"));
        assert_eq!(world.backend(&unknown, "system/*.rs").status, 401);
    }
    assert!(count.load(Ordering::SeqCst) <= 2, "{}", count.load(Ordering::SeqCst));
}
