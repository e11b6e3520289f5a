//! What people do with their own accounts is told in the commit that does it: if the trail cannot be written, it is not
//! done.

use super::full::{Switch, server_over};
use crate::http::people::account::{code, set_up};
use crate::http::people::{Browser, PASSWORD, field, run, seal};
use crate::support::{Answer, Device, TestServer};
use std::sync::Arc;
use vesta::access::Role;
use vesta::authorization::people::{NewUser, User};

/// A server with one user, and the switch that takes its trail away.
struct House {
    switch: Arc<Switch>,
    server: TestServer,
}

impl House {
    fn new() -> House {
        let switch = Arc::new(Switch::default());
        let house = House { server: server_over(&switch, true), switch };
        let new = NewUser { password: Some((PASSWORD.into(), false)), ..NewUser::new("asante", Role::Doctor) };
        run(house.people().add(new)).expect("is added");
        house
    }

    fn people(&self) -> &vesta::authorization::people::People {
        &self.server.authorization.as_ref().expect("access control is on").people
    }

    fn user(&self) -> User {
        run(self.people().named("asante")).expect("answers").expect("there")
    }

    /// Does something without a trail, which must fail and write nothing of accounts and sessions; then with one.
    #[track_caller]
    fn told(&self, browser: &mut Browser<'_>, mut act: impl FnMut(&mut Browser<'_>) -> Answer) -> Answer {
        let cookies = browser.cookies.clone();
        let before = format!("{:?}", self.user());
        self.switch.set(true);
        let refused = act(browser);
        // What is counted and asked beside it is no change of the account.
        let written: Vec<_> =
            self.switch.written().into_iter().filter(|c| !["sign-in-tries", "passkey-challenge"].contains(c)).collect();
        assert_eq!((refused.status, written), (503, Vec::new()), "{}", refused.text());
        assert_eq!(format!("{:?}", self.user()), before, "the account is as it was");
        assert_eq!(browser.cookies, cookies, "the browser is where it was");
        self.switch.set(false);
        act(browser)
    }
}

#[test]
fn without_a_trail_nobody_signs_in_or_out() {
    let house = House::new();
    let mut browser = Browser::of(&house.server);
    browser.get("/auth/sign-in").is(200);
    let sign_in = [("user", "asante"), ("pass", PASSWORD)];
    assert_eq!(house.told(&mut browser, |b| b.fill("/auth/sign-in", &sign_in)).status, 303);
    assert!(browser.is_signed_in());
    let key = set_up(&mut browser);
    assert_eq!(house.told(&mut browser, |b| b.fill("/auth/sign-out", &[])).status, 303);
    assert!(!browser.is_signed_in());
    // Half a session is one, too; and a code that was not of use is not used up.
    assert_eq!(house.told(&mut browser, |b| b.fill("/auth/sign-in", &sign_in)).status, 303);
    let code = code(&key, 1);
    assert_eq!(house.told(&mut browser, |b| b.fill("/auth/second-factor", &[("code", &code)])).status, 303);
    assert!(browser.is_signed_in());
}

#[test]
fn without_a_trail_nobody_changes_the_own_account() {
    let house = House::new();
    let mut browser = Browser::of(&house.server);
    browser.sign_in("asante", PASSWORD);
    let new = "another good password";
    let change = [("pass", PASSWORD), ("new", new), ("again", new)];
    assert_eq!(house.told(&mut browser, |b| b.fill("/auth/password", &change)).status, 303);
    let page = browser.get("/auth/authenticator").is(200).text();
    let key = page.split("<code class=\"key\">").nth(1).and_then(|p| p.split('<').next()).expect("a key").to_owned();
    let confirm = [("pass", new), ("code", &code(&key, 0))];
    let shown = house.told(&mut browser, |b| b.fill("/auth/authenticator", &confirm));
    assert_eq!(shown.is(200).text().matches("<li><code>").count(), 10, "{}", shown.text());
    assert!(house.user().has_second_factor());
    assert_eq!(house.told(&mut browser, |b| b.fill("/auth/authenticator", &[("pass", new)])).status, 303);
    assert!(!house.user().has_second_factor());
}

#[test]
fn without_a_trail_no_passkey_is_added_used_or_removed() {
    let house = House::new();
    let port = house.server.address().rsplit_once(':').expect("a port").1.to_owned();
    let mut browser = Browser::of(&house.server);
    browser.headers.push(("host", format!("localhost:{port}")));
    browser.sign_in("asante", PASSWORD);
    let mut device = Device::at(&format!("http://localhost:{port}"));
    let page = browser.fill("/auth/passkeys", &[("do", "begin"), ("pass", PASSWORD)]).is(200).text();
    let (challenge, handle) = (field(&page, "data-challenge=\""), field(&page, "data-handle=\""));
    let made = device.create(&challenge);
    let made: Vec<(&str, &str)> = made.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let added = house.told(&mut browser, |b| b.fill("/auth/passkeys", &made));
    assert_eq!(added.header("location"), "/auth/passkeys?done=added", "{}", added.text());

    let mut other = Browser::of(&house.server);
    other.headers.clone_from(&browser.headers);
    let first = seal(&other.get("/auth/sign-in").is(200).text());
    let page = other.post("/auth/passkey", &[("seal", &first), ("do", "begin")]).is(200).text();
    let (seal, challenge) = (seal(&page), field(&page, "data-challenge=\""));
    let sent = device.get(&challenge, &handle);
    let sent: Vec<(&str, &str)> =
        [("seal", seal.as_str())].into_iter().chain(sent.iter().map(|(name, value)| (*name, value.as_str()))).collect();
    assert_eq!(house.told(&mut other, |b| b.post("/auth/passkey", &sent)).status, 303);
    assert!(other.is_signed_in());
    // The challenge is good once.
    other.post("/auth/passkey", &sent).is(403);

    let id = device.id();
    assert_eq!(house.told(&mut browser, |b| b.fill("/auth/passkeys", &[("remove", &id)])).status, 303);
    assert!(house.user().passkeys.is_empty());
}
