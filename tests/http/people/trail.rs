//! What the audit trail tells of signing in and of letting apps in: who it was, which app and whose record, what was
//! decided, and how it went. What only shows a page leaves no record.

use super::consent::{allow, ask, exchange, house, sign_in};
use super::{House, PASSWORD, account, run};
use serde_json::Value;
use vesta::access::Role;
use vesta::authorization::consent::Person;
use vesta::authorization::people::NewUser;
use vesta::base::{Clock, SystemClock};

/// Reads the trail as an auditor.
pub struct Watcher<'h> {
    house: &'h House,
    token: String,
    seen: u64,
}

impl<'h> Watcher<'h> {
    pub fn of(house: &'h House) -> Watcher<'h> {
        let user = run(house.authorization.people.add(NewUser::new("auditor", Role::Auditor))).expect("is added");
        let person = Person {
            subject: user.id,
            name: user.name,
            role: "auditor".into(),
            user: None,
            session: None,
            authenticated: SystemClock.now(),
        };
        let token = run(house.authorization.token_for(&person, &["user/*.rs"], &house.server.base, 3_600));
        let mut watcher = Watcher { house, token: format!("Bearer {}", token.expect("a token")), seen: 0 };
        watcher.all_new();
        watcher
    }

    /// The records since the last time, in their order.
    pub fn all_new(&mut self) -> Vec<Value> {
        let bundle = self.house.server.get_with("AuditEvent?_count=500", &[("authorization", &self.token)]);
        let number = |record: &Value| record["id"].as_str().and_then(|id| id.parse().ok()).unwrap_or(0);
        let entries = bundle.is(200).json()["entry"].as_array().cloned().unwrap_or_default();
        let records = entries.into_iter().map(|entry| entry["resource"].clone());
        let mut records: Vec<Value> = records.filter(|record| number(record) > self.seen).collect();
        records.sort_by_key(number);
        self.seen = records.last().map_or(self.seen, number);
        records
    }

    /// The same without what apps and pages read.
    pub fn fresh(&mut self) -> Vec<Told> {
        let all = self.all_new();
        all.iter().filter(|record| record["type"]["code"] != "rest").map(Told::of).collect()
    }
}

/// A record in the words that matter here.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    /// The code of its subtype.
    pub what: String,
    pub outcome: String,
    pub user: Option<String>,
    pub client: Option<String>,
    pub patient: Option<String>,
    /// The details, as `name=value`.
    pub details: Vec<String>,
    /// The reason of an emergency.
    pub emergency: Option<String>,
}

impl Told {
    pub fn of(record: &Value) -> Told {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let agents = record["agent"].as_array().expect("agents");
        let entities = record["entity"].as_array().map(Vec::as_slice).unwrap_or_default();
        let patient = entities.iter().filter_map(|entity| entity["what"]["reference"].as_str());
        let details = entities.iter().filter_map(|entity| entity["detail"].as_array()).flatten();
        let details = details
            .filter_map(|detail| Some(format!("{}={}", detail["type"].as_str()?, detail["valueString"].as_str()?)));
        if let Some(purpose) = record["purposeOfEvent"].get(0) {
            assert_eq!(purpose["coding"][0]["code"], "BTG", "{record}");
        }
        Told {
            what: text(&record["subtype"][0]["code"]).unwrap_or_default(),
            outcome: text(&record["outcome"]).expect("an outcome"),
            user: agents.get(2).and_then(|user| text(&user["altId"])),
            client: text(&agents[0]["who"]["identifier"]["value"]),
            patient: patient.filter_map(|reference| reference.strip_prefix("Patient/")).map(str::to_owned).next(),
            details: details.collect(),
            emergency: text(&record["purposeOfEvent"][0]["text"]),
        }
    }

    pub fn has(&self, detail: &str) -> bool {
        self.details.iter().any(|told| told == detail)
    }
}

/// Of one record: what, how it went, who, which app, whose record.
#[track_caller]
fn one<'t>(told: &'t [Told], what: &str) -> (&'t str, Option<&'t str>, Option<&'t str>, Option<&'t str>) {
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(told[0].what, what, "{told:#?}");
    (&told[0].outcome, told[0].user.as_deref(), told[0].client.as_deref(), told[0].patient.as_deref())
}

const LOGIN: &str = "110122";
const CONSENT: &str = "AuthZ-Consent";
const TOKEN: &str = "ITI-71";

#[test]
fn signing_in_is_told_of_whom_and_how_it_went() {
    let house = House::new();
    let mut watcher = Watcher::of(&house);
    let mut browser = house.browser();
    browser.get("/auth/sign-in").is(200);
    browser.fill("/auth/sign-in", &[("user", "asante"), ("pass", "wrong")]).is(403);
    assert_eq!(one(&watcher.fresh(), LOGIN), ("8", Some("asante"), None, None));
    browser.sign_in("asante", PASSWORD);
    assert_eq!(one(&watcher.fresh(), LOGIN), ("0", Some("asante"), None, None));
    // Who tries to sign in while somebody else is signed in is not that one.
    let seal = super::seal(&browser.get("/auth/sign-out").text());
    browser.post("/auth/sign-in", &[("seal", &seal), ("user", "mallory"), ("pass", "wrong")]).is(403);
    assert_eq!(one(&watcher.fresh(), LOGIN), ("8", Some("mallory"), None, None));

    let key = account::set_up(&mut browser);
    let told = watcher.fresh();
    assert_eq!((told.len(), told[0].user.as_deref(), told[0].outcome.as_str()), (1, Some("asante"), "0"), "{told:#?}");
    let mut other = house.browser();
    other.fill("/auth/sign-in", &[("user", "asante"), ("pass", PASSWORD)]).is(303);
    assert_eq!(one(&watcher.fresh(), LOGIN), ("4", Some("asante"), None, None), "that was only the half of it");
    other.fill("/auth/second-factor", &[("code", "000000")]).is(403);
    assert_eq!(one(&watcher.fresh(), LOGIN), ("8", Some("asante"), None, None));
    other.fill("/auth/second-factor", &[("code", &account::code(&key, 1))]).is(303);
    let told = watcher.fresh();
    assert_eq!(one(&told, LOGIN), ("0", Some("asante"), None, None));
    assert!(told[0].has("means=second factor"), "{told:#?}");
    other.fill("/auth/sign-out", &[]).is(303);
    assert_eq!(one(&watcher.fresh(), "110123"), ("0", Some("asante"), None, None));
    // Without a session nothing is done, though the browser is led on as if it were.
    let seal = super::seal(&other.get("/auth/sign-in").text());
    other.post("/auth/apps", &[("seal", &seal), ("app", "chart")]).is(303);
    assert_eq!(one(&watcher.fresh(), CONSENT), ("8", None, Some("chart"), None));
}

#[test]
fn a_passkey_that_is_refused_names_whose_it_would_be_and_only_in_the_trail() {
    use crate::support::Device;
    let house = House::new();
    house.add(NewUser { password: Some((PASSWORD.into(), false)), ..NewUser::new("mensah", Role::Nurse) });
    let mensah = run(house.authorization.people.named("mensah")).expect("answers").expect("there");
    run(house.authorization.people.set_disabled(&mensah, true)).expect("is disabled");
    let asante = run(house.authorization.people.named("asante")).expect("answers").expect("there");
    let handles = [asante, mensah].map(|user| vesta::authorization::people::handle(&user));
    let mut watcher = Watcher::of(&house);
    let port = house.server.address().rsplit_once(':').expect("a port").1.to_owned();
    let mut browser = house.browser();
    browser.headers.push(("host", format!("localhost:{port}")));
    let mut device = Device::at(&format!("http://localhost:{port}"));
    let unknown = "MDAwMDAwMDAtMDAwMC00MDAwLTgwMDAtMDAwMDAwMDAwMDAw";
    let cases = [
        (handles[0].as_str(), Some("asante")),
        (handles[1].as_str(), Some("mensah")),
        (unknown, None),
        ("", None),
        ("%", None),
    ];
    let mut answers = Vec::new();
    for (handle, user) in cases {
        let seal = super::seal(&browser.get("/auth/sign-in").is(200).text());
        let page = browser.post("/auth/passkey", &[("seal", &seal), ("do", "begin")]).is(200).text();
        let (seal, challenge) = (super::seal(&page), super::field(&page, "data-challenge=\""));
        assert_eq!(watcher.fresh(), [], "nobody has tried yet");
        let sent = device.get(&challenge, handle);
        let mut fields: Vec<(&str, &str)> = sent.iter().map(|(name, value)| (*name, value.as_str())).collect();
        fields.push(("seal", &seal));
        let refused = browser.post("/auth/passkey", &fields).is(403).text();
        assert_eq!(one(&watcher.fresh(), LOGIN), ("8", user, None, None), "{handle}");
        let next = super::field(&refused, "data-challenge=\"");
        answers.push(refused.replace(&next, "").replace(&super::seal(&refused), ""));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

#[test]
fn letting_an_app_in_is_told_with_user_app_patient_and_decision() {
    let house = house();
    let mut watcher = Watcher::of(&house);
    let mut browser = house.browser();
    let place = ask(&house, &mut browser, "launch/patient openid offline_access patient/Patient.rs", "");
    assert_eq!(watcher.fresh(), [], "an app's request that is all right is told with its answer");
    let place = sign_in(&mut browser, &place, "asante");
    watcher.fresh();
    let consent = browser.fill(&place, &[("patient", "amy")]).header("location").to_owned();
    let back = allow(&mut browser, &consent, &[], &[]);
    let told = watcher.fresh();
    assert_eq!(one(&told, CONSENT), ("0", Some("asante"), Some("chart"), Some("amy")));
    let scope = "scope=launch/patient openid offline_access patient/Patient.rs";
    assert!(told[0].has("decision=granted") && told[0].has(scope), "{told:#?}");
    let tokens = exchange(&house, back.header("location"));
    let told = watcher.fresh();
    assert_eq!(one(&told, TOKEN), ("0", Some("asante"), Some("chart"), Some("amy")));
    assert!(told[0].has("grant=authorization_code") && told[0].has(scope), "{told:#?}");
    let media = [("content-type", "application/x-www-form-urlencoded")];
    let refresh = format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().expect("one"));
    house.server.send("POST", "/auth/token", &media, Some(refresh.as_bytes())).is(200);
    assert_eq!(one(&watcher.fresh(), TOKEN), ("0", Some("asante"), Some("chart"), Some("amy")), "the token tells");
    // Somebody uses it again.
    house.server.send("POST", "/auth/token", &media, Some(refresh.as_bytes())).is(400);
    assert_eq!(one(&watcher.fresh(), TOKEN), ("4", Some("asante"), Some("chart"), Some("amy")));

    let place = ask(&house, &mut browser, "openid user/Patient.rs", "");
    let consent = browser.get(&place).header("location").to_owned();
    browser.fill(&consent, &[("decision", "deny")]).is(303);
    let told = watcher.fresh();
    assert_eq!(one(&told, CONSENT), ("4", Some("asante"), Some("chart"), None));
    assert!(told[0].has("decision=denied"), "{told:#?}");

    let place = ask(&house, &mut browser, "openid offline_access user/Patient.rs", "");
    let consent = browser.get(&place).header("location").to_owned();
    let back = allow(&mut browser, &consent, &[], &[]);
    exchange(&house, back.header("location"));
    watcher.fresh();
    browser.fill("/auth/apps", &[("app", "chart")]).is(303);
    let told = watcher.fresh();
    assert_eq!(one(&told, CONSENT), ("0", Some("asante"), Some("chart"), None));
    assert!(told[0].has("decision=revoked"), "{told:#?}");
}

#[test]
fn an_apps_request_that_is_refused_is_told_with_the_reason() {
    let house = house();
    let mut watcher = Watcher::of(&house);
    let mut browser = house.browser();
    browser.get("/auth/authorize?client_id=chart&redirect_uri=https%3A%2F%2Fevil.example").is(400);
    assert_eq!(one(&watcher.fresh(), CONSENT), ("4", None, Some("chart"), None));
    // The app is told by the address that the browser is led to, as if all were well.
    let back = ask(&house, &mut browser, "openid user/Patient.rs", "&prompt=none");
    assert!(back.contains("error=login"), "{back}");
    assert_eq!(one(&watcher.fresh(), CONSENT), ("4", None, Some("chart"), None));
    let form = [("client_id", "chart"), ("redirect_uri", "https://app.example/cb"), ("response_type", "token")];
    browser.post("/auth/authorize", &form).is(303);
    assert_eq!(one(&watcher.fresh(), CONSENT), ("4", None, Some("chart"), None));
}

#[test]
fn a_client_that_goes_away_stops_no_record() {
    use std::io::Write;
    let house = House::new();
    let mut watcher = Watcher::of(&house);
    let mut browser = house.browser();
    let seal = super::seal(&browser.get("/auth/sign-in").is(200).text());
    let cookies: Vec<String> = browser.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let body = format!("seal={seal}&user=asante&pass=wrong");
    let host = house.server.base.split('/').nth(2).expect("a host");
    let mut stream = std::net::TcpStream::connect(host).expect("connects");
    let head = format!(
        "POST /auth/sign-in HTTP/1.1\r\nhost: {host}\r\ncookie: {}\r\ncontent-length: {}\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n",
        cookies.join("; "),
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).expect("is sent");
    // Comparing the password takes longer than this.
    std::thread::sleep(std::time::Duration::from_millis(20));
    drop(stream);
    let told = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        Some(watcher.fresh()).filter(|told| !told.is_empty())
    });
    assert_eq!(one(&told.expect("a record"), LOGIN), ("8", Some("asante"), None, None));
}
