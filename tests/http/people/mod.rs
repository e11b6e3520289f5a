//! People over HTTP: signing in, the second step, the own account, and what must not be possible there.

pub mod account;
mod admin;
mod consent;
mod emergency;
mod outside;
mod provider;
mod sign_in;
mod trail;

use crate::support::{Answer, TestServer};
use std::collections::BTreeMap;
use std::sync::Arc;
use vesta::access::Role;
use vesta::authorization::Authorization;
use vesta::authorization::people::NewUser;
use vesta::cli::settings::{Auth, Settings};
use vesta::cli::wire;

pub const PASSWORD: &str = "four words one password";

/// A server with some users, and a door to them beside HTTP.
pub struct House {
    pub server: TestServer,
    pub authorization: Arc<Authorization>,
}

impl House {
    pub fn new() -> House {
        House::with(Settings::default())
    }

    pub fn with(settings: Settings) -> House {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let data = tempfile::tempdir().expect("a temporary directory");
        let settings = Settings {
            data: Some(data.path().to_owned()),
            bind: "127.0.0.1:0".parse().ok(),
            workers: Some(2),
            log_requests: Some(false),
            auth: Some(Auth::On),
            ..settings
        };
        let wired = wire::open(&settings).expect("the store opens");
        let authorization = wired.authorization.clone().expect("access control is on");
        let parts = (wired.service, wired.authorization, wired.definitions);
        let server = TestServer::over(settings.http(), data, move || parts);
        let house = House { server, authorization };
        house.add(NewUser {
            resource: Some("Practitioner/asante".into()),
            password: Some((PASSWORD.into(), false)),
            ..NewUser::new("asante", Role::Doctor)
        });
        house
    }

    pub fn add(&self, new: NewUser) {
        run(self.authorization.people.add(new)).expect("is added");
    }

    pub fn browser(&self) -> Browser<'_> {
        Browser::of(&self.server)
    }
}

/// Runs what the test does beside the server.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// What keeps cookies and sends the seal of the page it has seen, as a browser does.
pub struct Browser<'s> {
    server: &'s TestServer,
    pub cookies: BTreeMap<String, String>,
    pub headers: Vec<(&'static str, String)>,
}

impl Browser<'_> {
    pub fn of(server: &TestServer) -> Browser<'_> {
        Browser { server, cookies: BTreeMap::new(), headers: Vec::new() }
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    /// Gets a page and sends its form with these fields.
    pub fn fill(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let seal = seal(&self.get(path).is(200).text());
        let fields: Vec<(&str, &str)> = [("seal", seal.as_str())].into_iter().chain(fields.iter().copied()).collect();
        self.post(path, &fields)
    }

    pub fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let coded =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", coded(name), coded(value))).collect();
        self.send("POST", path, Some(&body.join("&")))
    }

    fn send(&mut self, method: &str, path: &str, body: Option<&str>) -> Answer {
        // Each in a header of its own, as browsers send them by HTTP/2.
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers: Vec<(&str, &str)> = cookies.iter().map(|cookie| ("cookie", cookie.as_str())).collect();
        headers.extend(self.headers.iter().map(|(name, value)| (*name, value.as_str())));
        if body.is_some() {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
        let answer = self.server.send(method, path, &headers, body.map(str::as_bytes));
        for cookie in &answer.set_cookies {
            let (pair, rest) = cookie.split_once(';').expect("attributes");
            assert!(rest.contains("HttpOnly") && rest.contains("SameSite=Lax") && rest.contains("Path=/"), "{cookie}");
            let (name, value) = pair.split_once('=').expect("a pair");
            match value {
                "" => self.cookies.remove(name),
                _ => self.cookies.insert(name.to_owned(), value.to_owned()),
            };
        }
        answer
    }

    /// Signs in and is at the page of the account.
    pub fn sign_in(&mut self, name: &str, password: &str) {
        let answer = self.fill("/auth/sign-in", &[("user", name), ("pass", password)]);
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(answer.header("location"), "/auth/account");
    }

    pub fn is_signed_in(&mut self) -> bool {
        self.get("/auth/account").status == 200
    }
}

/// The seal in the first form of a page.
pub fn seal(page: &str) -> String {
    field(page, "name=\"seal\" value=\"")
}

/// What stands in a page between a text and the next quote.
pub fn field(page: &str, before: &str) -> String {
    let (_, after) = page.split_once(before).unwrap_or_else(|| panic!("no {before} in {page}"));
    after.split('"').next().expect("a quote").to_owned()
}
