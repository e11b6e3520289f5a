//! What one process changes is used by the others.

use super::{Three, until};
use crate::http::profiles::{PROFILE, package};
use crate::smart::world::{BACK, CHALLENGE, VERIFIER, form, query_of};
use crate::support::processes::{BASE, Process, run};
use crate::support::{Answer, json};
use std::time::Duration;
use vesta::access::Role;
use vesta::authorization::Authorization;
use vesta::authorization::client::{Client as App, ClientKind};
use vesta::authorization::consent::{Answer as Consent, Person};
use vesta::authorization::people::NewUser;
use vesta::base::{Clock, SystemClock, TenantId};
use vesta::cli::settings::Settings;
use vesta::cli::wire;
use vesta::store::Lease;

/// Within this a change has to be used everywhere. Generous: the machine that tests may be busy, and what is promised is
/// about a second.
const SOON: Duration = Duration::from_secs(15);

/// People and apps, written by a fourth process: this one.
struct Office {
    authorization: Authorization,
    runtime: tokio::runtime::Runtime,
}

impl Office {
    fn on(uri: &str) -> Office {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let settings = Settings { store: Some(uri.to_owned()), ..Settings::default() };
        let authorization = wire::authorization(&settings).expect("opened");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Office { authorization, runtime }
    }

    fn doctor(&self) -> Person {
        let new = NewUser { resource: Some("Practitioner/doc".to_owned()), ..NewUser::new("doctor", Role::Doctor) };
        let user = self.runtime.block_on(self.authorization.people.add(new)).expect("a new user");
        Person {
            subject: user.id,
            name: user.name,
            role: Role::Doctor.code().to_owned(),
            user: user.resource,
            session: None,
            authenticated: SystemClock.now(),
        }
    }

    fn token(&self, person: &Person) -> String {
        let token = self.authorization.token_for(person, &["user/*.cruds"], BASE, 600);
        self.runtime.block_on(token).expect("a token")
    }

    fn app(&self, id: &str) {
        let mut app = App::new(id, "An app", ClientKind::Public);
        app.redirect_uris = vec![BACK.to_owned()];
        app.scopes = vec!["user/*.rs".to_owned(), "openid".to_owned(), "offline_access".to_owned()];
        self.runtime.block_on(self.authorization.add_client(&app)).expect("a new client");
    }

    fn approve(&self, request: &str, person: &Person, scope: &str) -> String {
        let consent = Consent { scopes: scope.split(' ').map(str::to_owned).collect(), ..Consent::default() };
        self.runtime.block_on(self.authorization.approve_request(request, person, consent)).expect("an answer")
    }
}

fn post_form(process: &Process, path: &str, parameters: &[(&str, &str)]) -> Answer {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    process.send("POST", path, &headers, Some(form(parameters).as_bytes()))
}

/// A policy that is changed by one process holds in the others, and so does a Consent.
#[test]
fn a_policy_that_one_changes_is_kept_by_all() {
    let Some(three) = Three::start(&[]) else { return };
    let root = three.a.first_token();
    let office = Office::on(three.database.uri());
    let doctor = office.token(&office.doctor());
    let patient = json(r#"{"resourceType":"Patient","id":"p","name":[{"family":"Shaw"}]}"#);
    three.a.with_token("PUT", "Patient/p", &root, Some(&patient)).is(201);
    for process in three.all() {
        process.with_token("GET", "Patient/p", &doctor, None).is(200);
    }
    let narrow = json(
        r#"{"resourceType":"Parameters","parameter":[{"name":"role","valueCode":"doctor"},
        {"name":"rule","part":[{"name":"type","valueCode":"Observation"},{"name":"actions","valueCode":"rs"}]}]}"#,
    );
    three.a.with_token("POST", "$access-policy", &root, Some(&narrow)).is(200);
    three.a.with_token("GET", "Patient/p", &doctor, None).is(403);
    for process in [&three.b, &three.c] {
        let took =
            until("the policy holds", SOON, || process.with_token("GET", "Patient/p", &doctor, None).status == 403);
        println!("the policy of A was kept by another after {took:?}");
    }
    let wide = json(
        r#"{"resourceType":"Parameters","parameter":[{"name":"role","valueCode":"doctor"},
        {"name":"rule","part":[{"name":"type","valueCode":"*"},{"name":"actions","valueCode":"cruds"}]}]}"#,
    );
    three.b.with_token("POST", "$access-policy", &root, Some(&wide)).is(200);
    for process in three.all() {
        until("the policy is wide again", SOON, || process.with_token("GET", "Patient/p", &doctor, None).status == 200);
    }
    // A Consent of the patient that denies everything to everybody.
    let consent = json(
        r#"{"resourceType":"Consent","status":"active","patient":{"reference":"Patient/p"},
        "scope":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}]},
        "category":[{"coding":[{"system":"http://loinc.org","code":"59284-0"}]}],
        "policyRule":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"OPTOUT"}]},
        "provision":{"type":"deny"}}"#,
    );
    three.c.with_token("POST", "Consent", &root, Some(&consent)).is(201);
    for process in three.all() {
        until("the Consent is kept", SOON, || process.with_token("GET", "Patient/p", &doctor, None).status != 200);
    }
}

/// A code of A is exchanged at B, its token is used at C; revoked at A, it is refused by all. A user that is disabled
/// is refused, and a client that is taken away.
#[test]
fn a_token_that_one_revokes_is_refused_by_all() {
    let Some(three) = Three::start(&[]) else { return };
    let office = Office::on(three.database.uri());
    let doctor = office.doctor();
    office.app("app");
    let scope = "user/*.rs";
    let request = form(&[
        ("response_type", "code"),
        ("client_id", "app"),
        ("redirect_uri", BACK),
        ("scope", scope),
        ("state", "s"),
        ("aud", BASE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ]);
    let tokens = || {
        let asked = three.a.get(&format!("/auth/authorize?{request}"));
        asked.is(303);
        let id = query_of(asked.header("location"), "request").expect("a request");
        let code = query_of(&office.approve(&id, &doctor, scope), "code").expect("a code");
        let exchanged = post_form(
            &three.b,
            "/auth/token",
            &[
                ("grant_type", "authorization_code"),
                ("code", &code),
                ("redirect_uri", BACK),
                ("client_id", "app"),
                ("code_verifier", VERIFIER),
            ],
        );
        exchanged.is(200).json()["access_token"].as_str().expect("a token").to_owned()
    };
    let holds = |token: &str| three.all().map(|p| p.with_token("GET", "Patient", token, None).status);
    let token = tokens();
    assert_eq!(holds(&token), [200; 3]);
    post_form(&three.a, "/auth/revoke", &[("token", &token), ("client_id", "app")]).is(200);
    until("a revoked token is refused", SOON, || holds(&token) == [401; 3]);

    let token = tokens();
    assert_eq!(holds(&token), [200; 3]);
    run(three.database.uri(), &["user", "disable", "doctor"]);
    until("the token of a disabled user is refused", SOON, || holds(&token) == [401; 3]);
    run(three.database.uri(), &["user", "enable", "doctor"]);
    until("and holds again", SOON, || holds(&token) == [200; 3]);
    run(three.database.uri(), &["client", "disable", "app"]);
    until("the token of a client that is disabled is refused", SOON, || holds(&token) == [401; 3]);
}

/// Keys are rotated once for all, and every process publishes what another signs with.
#[test]
fn a_key_that_one_makes_is_published_by_all() {
    let Some(three) = Three::start(&[]) else { return };
    let published = |process: &Process| {
        let keys = process.get("/auth/jwks.json").is(200).json();
        let keys = keys["keys"].as_array().expect("keys").iter();
        let mut ids: Vec<String> = keys.map(|key| key["kid"].as_str().expect("an id").to_owned()).collect();
        ids.sort();
        ids
    };
    let before = published(&three.a);
    assert_eq!(before.len(), 2, "three starts made one key of each kind");
    assert!(three.all().iter().all(|p| published(p) == before));
    run(three.database.uri(), &["key", "rotate", "es256"]);
    for process in three.all() {
        let took = until("the new key is published", SOON, || published(process).len() == 3);
        println!("published after {took:?}");
    }
    let after = published(&three.a);
    assert!(before.iter().all(|id| after.contains(id)), "what the old one signed is still judged");
    assert!(three.all().iter().all(|p| published(p) == after));
}

/// Terminology and packages that are given to one are used by the others.
#[test]
fn definitions_that_one_is_given_are_used_by_all() {
    let Some(three) = Three::start(&["--auth", "off", "--validation", "full"]) else { return };
    let system = json(
        r#"{"resourceType":"CodeSystem","url":"http://example.org/colours","status":"active","content":"complete",
        "concept":[{"code":"red","display":"Red"},{"code":"blue","display":"Blue"}]}"#,
    );
    three.a.create(&system);
    let set = json(
        r#"{"resourceType":"ValueSet","url":"http://example.org/all-colours","status":"active",
        "compose":{"include":[{"system":"http://example.org/colours"}]}}"#,
    );
    three.b.create(&set);
    for process in three.all() {
        let expanded = process.get("ValueSet/$expand?url=http://example.org/all-colours");
        assert_eq!(expanded.is(200).json()["expansion"]["contains"].as_array().map(Vec::len), Some(2));
    }
    let tgz = [("content-type", "application/octet-stream")];
    three.a.send("POST", "$package-add", &tgz, Some(&package())).is(200);
    let listed = |process: &Process| process.get("$package-list").text().contains("org.example.test");
    let nameless = json(&format!(r#"{{"resourceType":"Patient","meta":{{"profile":["{PROFILE}"]}}}}"#));
    for process in three.all() {
        let took = until("the package is used", SOON, || {
            listed(process) && process.put("POST", "Patient", &nameless).status == 422
        });
        println!("a package was used after {took:?}");
    }
    three.c.send("POST", "$package-remove?name=org.example.test&version=1.0.0", &[], None).is(200);
    for process in three.all() {
        until("the package is gone", SOON, || !listed(process));
    }
}

/// One process does the job; when it is killed another does.
#[test]
fn a_job_runs_on_one_process_and_moves_when_that_dies() {
    let Some(mut three) = Three::start(&["--job-lease", "3s"]) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let store = super::store(three.database.uri());
    let holder = || -> Option<u32> {
        let holder = runtime.block_on(Lease::holder(&store, TenantId::default(), "sweep")).expect("read")?;
        holder.split('-').next().and_then(|id| id.parse().ok())
    };
    let mut first = None;
    until("somebody has the job", SOON, || {
        first = holder();
        first.is_some()
    });
    let first = first.expect("one");
    let ids = three.all().map(Process::id);
    assert!(ids.contains(&first));
    for _ in 0..20 {
        assert_eq!(holder(), Some(first), "it stays where it is as long as its process lives");
        std::thread::sleep(Duration::from_millis(200));
    }
    let dying = [&mut three.a, &mut three.b, &mut three.c].into_iter().find(|p| p.id() == first);
    dying.expect("one of the three").kill();
    let took = until("another has the job", Duration::from_secs(80), || holder().is_some_and(|now| now != first));
    println!("another process had the job {took:?} after the first was killed");
    assert!(holder().is_some_and(|now| ids.contains(&now)));
}
