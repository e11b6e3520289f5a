//! What ends, and what must not begin again: codes after a minute, assertions after a restart and at another process,
//! keys that their owner has taken away; and that the log tells nothing of it all.

use super::world::{BACK, Key, VERIFIER, World, form, now, refused};
use crate::support::{Client, TestServer};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use vesta::authorization::Authorization;
use vesta::authorization::client::ClientKind;
use vesta::base::{Clock, SystemClock, Timestamp};
use vesta::cli::settings::{Auth, Settings};
use vesta::cli::wire::{self, Wired};

/// A clock that the test can put forward, in seconds.
struct Ahead(AtomicI64);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp(SystemClock.now().0 + self.0.load(Ordering::SeqCst) * 1_000_000)
    }
}

#[test]
fn c07_a_code_ends_after_a_minute() {
    let clock = Arc::new(Ahead(AtomicI64::new(0)));
    let world = World::at(clock.clone());
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| {});
    let scope = "launch/patient patient/*.rs";
    for (seconds, expected) in [(0, 200), (50, 200), (61, 400), (600, 400)] {
        clock.0.store(0, Ordering::SeqCst);
        let code = world.code("app", scope, &world.amy);
        clock.0.store(seconds, Ordering::SeqCst);
        let answer = world.exchange("app", &code);
        assert_eq!(answer.status, expected, "after {seconds} s: {}", answer.text());
        if expected == 400 {
            refused(&answer, 400, "invalid_grant");
        }
    }
}

#[test]
fn c17_a_launch_ends_after_five_minutes() {
    let clock = Arc::new(Ahead(AtomicI64::new(0)));
    let world = World::at(clock.clone());
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| {});
    for (seconds, begins) in [(290, true), (301, false)] {
        clock.0.store(0, Ordering::SeqCst);
        let begun = world.launch(&world.doctor, &json!({"patient": "amy"})).is(201).json();
        let word = begun["launch"].as_str().expect("a word");
        let mut asked = world.request("app", "launch patient/*.rs");
        asked.push(("launch", word));
        clock.0.store(seconds, Ordering::SeqCst);
        let back = world.authorize(&asked).header("location").to_owned();
        assert_eq!(!back.contains("error=invalid%5Frequest"), begins, "after {seconds} s: {back}");
    }
}

#[test]
fn registrations_that_nobody_approves_are_forgotten() {
    let clock = Arc::new(Ahead(AtomicI64::new(0)));
    let world = World::at(clock.clone());
    let body = json!({"redirect_uris": ["https://new.example/cb"], "token_endpoint_auth_method": "none"});
    let register = || {
        let media = [("content-type", "application/json")];
        world.server.send("POST", "/auth/register", &media, Some(body.to_string().as_bytes()))
    };
    // One that was approved and has changed since goes on to wait.
    let made = register().is(201).json();
    let id = made["client_id"].as_str().expect("an id");
    let token = format!("Bearer {}", made["registration_access_token"].as_str().expect("a token"));
    let approve =
        world.authorization().change_client(id, |c| c.state = vesta::authorization::client::ClientState::Active);
    world.wait(approve).expect("approved");
    let mut next = body.clone();
    next["client_id"] = json!(id);
    let path = format!("/auth/register/{id}");
    world.server.send("PUT", &path, &[("authorization", &token)], Some(next.to_string().as_bytes())).is(200);
    while register().status == 201 {}
    assert_eq!(register().status, 429);
    clock.0.store(6 * 86_400, Ordering::SeqCst);
    assert_eq!(register().status, 429);
    clock.0.store(7 * 86_400 + 60, Ordering::SeqCst);
    assert_eq!(register().status, 201);
    assert_eq!(world.server.send("GET", &path, &[("authorization", &token)], None).status, 200);
}

#[test]
fn c14_access_tokens_end_by_themselves() {
    let clock = Arc::new(Ahead(AtomicI64::new(0)));
    let world = World::at(clock.clone());
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| {});
    let tokens = world.tokens("app", "launch/patient patient/*.rs", &world.amy);
    let (token, seconds) = (tokens["access_token"].as_str().expect("a token"), &tokens["expires_in"]);
    clock.0.store(seconds.as_i64().expect("a number") - 5, Ordering::SeqCst);
    world.fhir("Patient/amy", token).is(200);
    clock.0.store(seconds.as_i64().expect("a number") + 1, Ordering::SeqCst);
    let answer = world.fhir("Patient/amy", token);
    answer.is(401);
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{:?}", answer.headers);
}

#[test]
fn c15_too_small_a_scope_is_told_as_such() {
    let world = World::start();
    world.patient("amy");
    world.app("app", ClientKind::Public, |_| {});
    let tokens = world.tokens("app", "launch/patient patient/Observation.rs", &world.amy);
    let token = tokens["access_token"].as_str().expect("a token");
    for path in ["Patient/amy", "Patient", "Patient/nobody", "Condition"] {
        let answer = world.fhir(path, token);
        answer.is(403);
        assert!(answer.header("www-authenticate").contains("error=\"insufficient_scope\""), "{:?}", answer.headers);
    }
}

#[test]
fn d08_times_that_are_too_far_off_are_refused() {
    let world = World::start();
    let key = Key::elliptic();
    world.service("svc", &key);
    let of = |name: &str, seconds: i64| key.assertion(&world, "svc", |_, claims| claims[name] = json!(now() + seconds));
    for (name, seconds) in [("exp", -61), ("exp", -3_600), ("exp", 420), ("nbf", 120), ("iat", 120), ("iat", 86_400)] {
        refused(&world.backend(&of(name, seconds), "system/*.rs"), 401, "invalid_client");
    }
    for (name, seconds) in [("exp", 250), ("nbf", -10), ("iat", -10), ("iat", 20)] {
        world.backend(&of(name, seconds), "system/*.rs").is(200);
    }
    for claim in ["exp", "iat", "nbf"] {
        let odd = key.assertion(&world, "svc", |_, claims| claims[claim] = json!("soon"));
        refused(&world.backend(&odd, "system/*.rs"), 401, "invalid_client");
    }
}

/// Servers of one name over one data directory, as they are after a restart, or beside each other.
fn settings(data: &Path) -> Settings {
    Settings {
        data: Some(data.to_owned()),
        bind: "127.0.0.1:0".parse().ok(),
        base_url: Some("http://localhost/fhir".to_owned()),
        auth: Some(Auth::On),
        workers: Some(1),
        log_requests: Some(false),
        ..Settings::default()
    }
}

fn server(wired: &Wired, settings: &Settings) -> TestServer {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authorization = Authorization::new(wired.service.clone(), Arc::new(SystemClock), settings.authorization());
    let parts = (wired.service.clone(), Some(Arc::new(authorization)), wired.definitions.clone());
    TestServer::over(settings.http(), tempfile::tempdir().expect("a directory"), move || parts)
}

fn assertion(key: &Key) -> String {
    let claims =
        json!({"iss": "svc", "sub": "svc", "aud": "http://localhost/auth/token", "exp": now() + 240, "jti": "once"});
    key.sign(&json!({"alg": key.algorithm(), "typ": "JWT", "kid": "k1"}), &claims)
}

fn ask(server: &TestServer, assertion: &str) -> u16 {
    let client = Client::new(&format!("http://{}/fhir", server.listens));
    let form = form(&[
        ("grant_type", "client_credentials"),
        ("scope", "system/*.rs"),
        ("client_assertion_type", super::world::ASSERTION),
        ("client_assertion", assertion),
    ]);
    let media = [("content-type", "application/x-www-form-urlencoded")];
    client.send("POST", "/auth/token", &media, Some(form.as_bytes())).status
}

fn register(server: &TestServer, key: &Key) {
    use vesta::authorization::client::Client as App;
    let mut app = App::new("svc", "svc", ClientKind::Asymmetric);
    app.scopes = vec!["system/*.rs".to_owned()];
    app.jwks = Some(key.set("k1"));
    let authorization = server.authorization.as_ref().expect("access control is on");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(authorization.add_client(&app)).expect("a new client");
}

#[test]
fn d10_an_assertion_works_once_also_after_a_restart_and_at_another_process() {
    let data = tempfile::tempdir().expect("a directory");
    let settings = settings(data.path());
    let key = Key::elliptic();
    let used = assertion(&key);
    {
        let wired = wire::open(&settings).expect("the store opens");
        // Two that share nothing but the store.
        let (one, other) = (server(&wired, &settings), server(&wired, &settings));
        register(&one, &key);
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let ask = |server: &'_ TestServer| ask(server, &used);
            let all: Vec<_> = [&one, &other, &one, &other, &one, &other, &one, &other]
                .map(|server| scope.spawn(move || ask(server)))
                .into_iter()
                .collect();
            all.into_iter().map(|thread| thread.join().expect("ends")).collect()
        });
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    }
    let wired = wire::open(&settings).expect("the store opens again");
    let again = server(&wired, &settings);
    assert_eq!(ask(&again, &used), 401);
    let mut fresh = json!({"iss": "svc", "sub": "svc", "aud": "http://localhost/auth/token", "exp": now() + 240});
    fresh["jti"] = json!("another");
    let fresh = key.sign(&json!({"alg": key.algorithm(), "typ": "JWT", "kid": "k1"}), &fresh);
    assert_eq!(ask(&again, &fresh), 200);
}

/// A place where a client publishes its keys.
fn publish(set: Value) -> (String, Arc<Mutex<Value>>) {
    let shared = Arc::new(Mutex::new(set));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/jwks.json", listener.local_addr().expect("an address"));
    let answered = shared.clone();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut buffer = [0; 4_096];
            let _ = stream.read(&mut buffer);
            let set = answered.lock().expect("free").to_string();
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncache-control: no-cache\r\nconnection: close";
            let _ = write!(stream, "{head}\r\ncontent-length: {}\r\n\r\n{set}", set.len());
        }
    });
    (url, shared)
}

#[test]
fn d14_d15_keys_of_a_client_come_and_go_with_what_it_publishes() {
    let (old, new) = (Key::elliptic(), Key::elliptic());
    let (url, published) = publish(json!({"keys": [old.public("k1")]}));
    let world = World::with(Settings { fetch_from_loopback: Some(true), ..Settings::default() });
    world.app("svc", ClientKind::Asymmetric, |app| {
        app.redirect_uris.clear();
        app.scopes = vec!["system/*.rs".into()];
        app.jwks_uri = Some(url);
    });
    let by = |key: &Key, kid: &str| {
        let assertion = key.assertion(&world, "svc", |header, _| header["kid"] = json!(kid));
        world.backend(&assertion, "system/*.rs").status
    };
    let until = |what: &str, holds: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(30), "{what}");
            std::thread::sleep(Duration::from_millis(400));
        }
    };
    assert_eq!(by(&old, "k1"), 200);
    *published.lock().expect("free") = json!({"keys": [old.public("k1"), new.public("k2")]});
    until("the new key is found", &|| by(&new, "k2") == 200);
    assert_eq!(by(&old, "k1"), 200, "the old one is still published");
    *published.lock().expect("free") = json!({"keys": [new.public("k2")]});
    until("the old key is gone", &|| by(&old, "k1") == 401);
    assert_eq!(by(&new, "k2"), 200);
}

#[test]
fn h04_the_log_tells_no_secrets_and_nothing_of_patients() {
    let data = tempfile::tempdir().expect("a directory");
    let mut child = Command::new(env!("CARGO_BIN_EXE_vesta"))
        .args(["--bind", "127.0.0.1:0", "--log-level", "trace", "--data"])
        .arg(data.path())
        .env_clear()
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = String::new();
    let mut lines = BufReader::new(child.stdout.take().expect("standard output"));
    while !said.contains("Stop with Ctrl-C") {
        assert_ne!(lines.read_line(&mut said).expect("readable"), 0, "{said}");
    }
    let log = child.stderr.take().expect("standard error");
    let log = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = BufReader::new(log).read_to_string(&mut text);
        text
    });
    let told = |name: &str| {
        let line =
            said.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {said}"));
        line.trim().to_owned()
    };
    let (base, password, token) = (told("FHIR base"), told("password"), told("TOKEN="));
    let client = Client::new(&base);
    let bearer = format!("Bearer {token}");
    let sent = |method: &str, path: &str, media: &str, body: &[u8]| {
        client.send(method, path, &[("authorization", &bearer), ("content-type", media)], Some(body))
    };
    let patient = br#"{"resourceType":"Patient","name":[{"family":"Wilhelmina-Roe"}]}"#;
    sent("POST", "Patient", "application/fhir+json", patient).is(201);
    client
        .get_with("Patient?name=Wilhelmina-Roe&identifier=urn:mrn|4711-secret", &[("authorization", &bearer)])
        .is(200);
    client.get_with("Patient/Wilhelmina-Roe", &[("authorization", &bearer)]).is(404);
    client.get_with("Patient?name=Wilhelmina-Roe", &[("authorization", "Bearer stolen-token-value")]).is(401);
    client.get("Patient?access_token=token-in-the-query").is(401);
    sent("POST", "Patient", "application/fhir+json", br#"{"resourceType":"Patient","Wilhelmina-Roe":}"#).is(400);
    let form = form(&[
        ("grant_type", "authorization_code"),
        ("code", "code-that-was-sent"),
        ("code_verifier", VERIFIER),
        ("redirect_uri", BACK),
        ("client_id", "smart-app"),
        ("client_secret", "secret-of-a-client"),
    ]);
    let media = "application/x-www-form-urlencoded";
    client.send("POST", "/auth/token", &[("content-type", media)], Some(form.as_bytes()));
    client.send("POST", "/auth/sign-in", &[("content-type", media)], Some(b"user=admin&pass=hunter2-typed"));
    let odd = [("user-agent", "agent-of-somebody"), ("authorization", bearer.as_str())];
    client.get_with("metadata", &odd).is(200);
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill").success());
    assert!(child.wait().expect("ends").success());
    let log = log.join().expect("read");
    assert!(log.contains("request"), "there is a log: {log}");
    for secret in [
        token.as_str(),
        &password,
        VERIFIER,
        "stolen-token-value",
        "token-in-the-query",
        "code-that-was-sent",
        "secret-of-a-client",
        "hunter2-typed",
        "Wilhelmina-Roe",
        "4711-secret",
        "agent-of-somebody",
        "PRIVATE KEY",
    ] {
        let at = log.lines().find(|line| line.contains(secret));
        assert!(at.is_none(), "the log holds {secret}: {at:?}");
    }
}
