//! Discovery: the three documents agree with each other and with what is served.

use super::world::World;
use openidconnect::core::{CoreJsonWebKeySet, CoreProviderMetadata};
use serde_json::Value;
use vesta::authorization::client::ClientKind;

fn documents(world: &World) -> (Value, Value, Value) {
    let smart = world.server.get(".well-known/smart-configuration").is(200).json();
    let openid = world.server.get(".well-known/openid-configuration").is(200).json();
    let statement = world.server.get("metadata").is(200).json();
    (smart, openid, statement["rest"][0]["security"].clone())
}

#[test]
fn the_documents_agree() {
    let world = World::start();
    let (smart, openid, security) = documents(&world);
    for (name, value) in smart.as_object().expect("an object") {
        if let Some(other) = openid.get(name) {
            assert_eq!(value, other, "{name}");
        }
    }
    let service = &security["service"][0]["coding"][0];
    assert_eq!(service["code"], "SMART-on-FHIR");
    let uris = security["extension"][0]["extension"].as_array().expect("extensions");
    for (uri, endpoint) in [
        ("authorize", "authorization_endpoint"),
        ("token", "token_endpoint"),
        ("introspect", "introspection_endpoint"),
        ("revoke", "revocation_endpoint"),
        ("register", "registration_endpoint"),
        ("manage", "management_endpoint"),
    ] {
        let found = uris.iter().find(|e| e["url"] == uri).unwrap_or_else(|| panic!("no {uri}"));
        assert_eq!(found["valueUri"], smart[endpoint], "{uri}");
    }
    assert_eq!(smart["issuer"], world.base.as_str());
}

#[test]
fn smart_configuration_says_what_smart_asks() {
    let world = World::start();
    let answer = world.server.get_with(".well-known/smart-configuration", &[("origin", "https://elsewhere.example")]);
    answer.is(200);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    let smart = answer.json();
    let holds = |name: &str, value: &str| smart[name].as_array().expect(name).iter().any(|v| v == value);
    assert!(holds("code_challenge_methods_supported", "S256") && !holds("code_challenge_methods_supported", "plain"));
    for grant in ["authorization_code", "refresh_token", "client_credentials"] {
        assert!(holds("grant_types_supported", grant));
    }
    for algorithm in ["RS384", "ES384"] {
        assert!(holds("token_endpoint_auth_signing_alg_values_supported", algorithm));
    }
    for capability in [
        "launch-ehr",
        "launch-standalone",
        "client-public",
        "client-confidential-symmetric",
        "client-confidential-asymmetric",
        "sso-openid-connect",
        "context-banner",
        "context-style",
        "context-ehr-patient",
        "context-ehr-encounter",
        "context-standalone-patient",
        "permission-offline",
        "permission-patient",
        "permission-user",
        "permission-v1",
        "permission-v2",
        "authorize-post",
    ] {
        assert!(holds("capabilities", capability), "{capability}");
    }
}

#[test]
fn openid_configuration_and_keys_are_read_by_a_client_library() {
    let world = World::start();
    let (_, openid, _) = documents(&world);
    let metadata: CoreProviderMetadata = serde_json::from_value(openid).expect("provider metadata");
    assert_eq!(metadata.issuer().as_str(), world.base);
    let answer = world.server.get("/auth/jwks.json");
    answer.is(200);
    let keys: CoreJsonWebKeySet = serde_json::from_slice(&answer.body).expect("a key set");
    assert_eq!(keys.keys().len(), 2);
    for private in ["\"d\"", "\"p\"", "\"q\"", "PRIVATE"] {
        assert!(!answer.text().contains(private), "{private}");
    }
}

#[test]
fn every_endpoint_that_is_named_answers() {
    let world = World::start();
    let (smart, ..) = documents(&world);
    let root = world.base.strip_suffix("/fhir").expect("a base");
    for (name, method, expected) in [
        ("authorization_endpoint", "GET", 400),
        ("token_endpoint", "POST", 400),
        ("introspection_endpoint", "POST", 401),
        ("revocation_endpoint", "POST", 401),
        ("registration_endpoint", "POST", 400),
        ("jwks_uri", "GET", 200),
        ("user_access_brand_bundle", "GET", 200),
    ] {
        let path = smart[name].as_str().expect(name).strip_prefix(root).expect("of this server");
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let answer = world.server.send(method, path, &form, (method == "POST").then_some(b"".as_slice()));
        assert_eq!(answer.status, expected, "{name}: {}", answer.text());
    }
    assert_eq!(world.server.get("/auth/style.json").is(200).json()["color_text"], "#1d1d1b");
    assert_eq!(world.server.get("/auth/token").status, 405);
    assert_eq!(world.server.get("/auth/nothing").status, 404);
}

#[test]
fn id_tokens_are_signed_as_declared() {
    use base64::Engine;
    let world = World::start();
    world.app("app", ClientKind::Public, |_| ());
    let declared = world.server.get(".well-known/openid-configuration").is(200).json();
    let declared = &declared["id_token_signing_alg_values_supported"];
    let token = world.tokens("app", "openid fhirUser", &world.doctor);
    let head = token["id_token"].as_str().and_then(|token| token.split('.').next()).expect("a head").to_owned();
    let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).expect("base64url");
    let head: serde_json::Value = serde_json::from_slice(&head).expect("JSON");
    assert_eq!(*declared, serde_json::json!([head["alg"]]), "that one and no other");
}

#[test]
fn the_brand_bundle_is_whole() {
    let world = World::start();
    let bundle = world.server.get("/auth/brands.json").is(200).json();
    assert_eq!(bundle["type"], "collection");
    let entries = bundle["entry"].as_array().expect("entries");
    let of = |kind: &str| {
        entries
            .iter()
            .map(|e| &e["resource"])
            .find(|r| r["resourceType"] == kind)
            .unwrap_or_else(|| panic!("no {kind}"))
    };
    let (organization, endpoint) = (of("Organization"), of("Endpoint"));
    assert_eq!(organization["endpoint"][0]["reference"], "Endpoint/vesta");
    assert_eq!(endpoint["managingOrganization"]["reference"], "Organization/vesta");
    assert_eq!(endpoint["address"], world.base.as_str());
}

#[test]
fn pages_of_registered_apps_may_call_the_token_endpoint() {
    let world = World::start();
    world.app("cors", ClientKind::Public, |app| app.origins = vec!["https://other.example".to_owned()]);
    let preflight = |origin: &str| {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ];
        world.server.send("OPTIONS", "/auth/token", &headers, None)
    };
    for origin in ["https://app.example", "https://other.example"] {
        let answer = preflight(origin);
        assert_eq!(answer.header("access-control-allow-origin"), origin);
        assert!(answer.header("access-control-allow-headers").contains("authorization"));
        assert_eq!(answer.header("access-control-allow-credentials"), "");
        let token = world.token_with(&[("grant_type", "nothing")], &[("origin", origin)]);
        assert_eq!(token.header("access-control-allow-origin"), origin);
    }
    for origin in ["https://elsewhere.example", "https://app.example.evil", "null"] {
        assert_eq!(preflight(origin).header("access-control-allow-origin"), "", "{origin}");
    }
}

#[test]
fn signing_keys_rotate_with_overlap() {
    use vesta::authorization::keys::Algorithm;
    let world = World::start();
    let kids = || {
        let keys = world.server.get("/auth/jwks.json").json();
        let all = keys["keys"].as_array().expect("keys").clone();
        all.iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect::<Vec<_>>()
    };
    let before = kids();
    world.wait(world.authorization().rotate_key(Algorithm::RS256)).expect("rotates");
    let after = kids();
    assert_eq!(after.len(), before.len() + 1);
    assert!(before.iter().all(|kid| after.contains(kid)), "the old key stays for what it has signed");
    let signing = world.wait(world.authorization().signing_key(Algorithm::RS256)).expect("a key");
    assert!(!before.contains(&signing.id));
}

#[test]
fn what_is_allowed_at_an_address_is_said() {
    let world = World::start();
    for (path, methods) in [
        ("/auth/token", "POST, OPTIONS"),
        ("/auth/register", "POST, OPTIONS"),
        ("/auth/register/x", "GET, HEAD, PUT, DELETE, OPTIONS"),
        ("/auth/authorize", "GET, HEAD, POST, OPTIONS"),
        ("/auth/sign-in", "GET, HEAD, POST, OPTIONS"),
        ("/auth/jwks.json", "GET, HEAD, OPTIONS"),
    ] {
        let options = world.server.send("OPTIONS", path, &[], None);
        assert_eq!((options.status, options.header("allow")), (204, methods), "{path}");
        let refused = world.server.send("PATCH", path, &[], None);
        assert_eq!((refused.status, refused.header("allow")), (405, methods), "{path}");
    }
    let wrong = world.server.get("/auth/token");
    assert_eq!((wrong.status, wrong.header("allow")), (405, "POST, OPTIONS"));
    assert_eq!(world.server.get("/auth/nothing").status, 404);
}
