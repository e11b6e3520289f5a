//! Configuration and leakage (H01–H04 of the threat model), and what must outlive a process.

use super::world::{World, form};
use vesta::access::Role;
use vesta::authorization::client::ClientKind;
use vesta::authorization::consent::Person;
use vesta::authorization::people::NewUser;
use vesta::base::Timestamp;
use vesta::cli::settings::{Auth, Settings};
use vesta::http::Server;

fn bind(settings: Settings) -> Result<(), String> {
    let data = tempfile::tempdir().expect("a directory");
    let settings = Settings { data: Some(data.path().to_owned()), ..settings };
    let wired = vesta::cli::wire::open(&settings).expect("the store opens");
    actix_web::rt::System::new().block_on(async {
        let bound = Server::bind(wired.service, wired.authorization, wired.definitions, settings.http());
        bound.map(drop).map_err(|e| e.to_string())
    })
}

#[test]
fn a_server_that_others_reach_is_not_open_and_has_a_name() {
    let anywhere = || Some("0.0.0.0:0".parse().expect("an address"));
    let open = Settings { auth: Some(Auth::Off), bind: anywhere(), ..Settings::default() };
    assert!(bind(open).expect_err("refused").contains("--allow-open-access"));
    let nameless = Settings { auth: Some(Auth::On), bind: anywhere(), ..Settings::default() };
    assert!(bind(nameless).expect_err("refused").contains("--base-url"));
    let named = Settings {
        auth: Some(Auth::On),
        bind: anywhere(),
        base_url: Some("https://fhir.example.org/fhir".into()),
        ..Settings::default()
    };
    bind(named).expect("binds");
}

#[test]
fn addresses_do_not_come_from_the_host_header() {
    let world = World::start();
    let answer = world.server.get_with(".well-known/smart-configuration", &[("host", "evil.example")]);
    answer.is(200);
    assert!(!answer.text().contains("evil.example"), "{}", answer.text());
    let forwarded = [("x-forwarded-host", "evil.example"), ("forwarded", "host=evil.example")];
    assert!(!world.server.get_with(".well-known/smart-configuration", &forwarded).text().contains("evil.example"));
}

#[test]
fn no_cookies_across_origins() {
    let world = World::start();
    for path in ["metadata", ".well-known/smart-configuration", "/auth/jwks.json", "/auth/token", "Patient"] {
        let answer = world.server.get_with(path, &[("origin", "https://evil.example"), ("cookie", "a=b")]);
        assert_eq!(answer.header("access-control-allow-credentials"), "", "{path}");
    }
}

#[test]
fn errors_tell_nothing_of_the_inside() {
    let world = World::start();
    world.app("app", ClientKind::Public, |_| ());
    let odd = [
        world.server.get("/auth/authorize?client_id=%00%ff&x=%"),
        world.server.get("/auth/../fhir/metadata"),
        world.server.get("/auth/%2e%2e/x"),
        world.server.get("/auth/register/..%2f..%2fx"),
        world.post(
            "/auth/token",
            &[("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", "\0.\0")],
            &[],
        ),
        world.post("/auth/token", &[("grant_type", "authorization_code"), ("client_id", &"x".repeat(5_000))], &[]),
        world.server.send("POST", "/auth/token", &[("content-type", "application/json")], Some(b"{\"grant_type\":1}")),
        world.server.send("PATCH", "/auth/token", &[], Some(form(&[("a", "b")]).as_bytes())),
    ];
    for answer in odd {
        assert!((400..500).contains(&answer.status), "{} {}", answer.status, answer.text());
        for inside in ["src/", ".rs", "panicked", "lmdb", "LMDB", "/home", "/tmp"] {
            assert!(!answer.text().contains(inside), "{inside}: {}", answer.text());
        }
    }
}

#[test]
fn nothing_is_forgotten_by_a_restart() {
    let data = tempfile::tempdir().expect("a directory");
    let open = || {
        let settings = Settings { auth: Some(Auth::On), data: Some(data.path().to_owned()), ..Settings::default() };
        vesta::cli::wire::open(&settings).expect("the store opens")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let base = "http://127.0.0.1:8080/fhir";
    let (token, keys) = {
        let wired = open();
        let authorization = wired.authorization.expect("access control is on");
        runtime.block_on(async {
            let new = NewUser::new("operator", Role::Administrator);
            let user = authorization.people.add(new).await.expect("a new user");
            let person = Person {
                subject: user.id,
                name: user.name,
                role: "administrator".into(),
                user: None,
                session: None,
                authenticated: Timestamp(0),
            };
            let token = authorization.token_for(&person, &["user/*.rs"], base, 600).await.expect("a token");
            (token, authorization.jwks().await.expect("keys"))
        })
    };
    let wired = open();
    let authorization = wired.authorization.expect("access control is on");
    runtime.block_on(async {
        assert!(authorization.token(&token).await.expect("readable").is_some());
        assert_eq!(authorization.jwks().await.expect("keys"), keys);
    });
}
