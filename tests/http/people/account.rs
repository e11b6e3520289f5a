//! The own account: password, authenticator app, recovery codes.

use super::{Browser, House, PASSWORD, field, run};
use std::time::{SystemTime, UNIX_EPOCH};
use vesta::access::Role;
use vesta::authorization::people::NewUser;

/// The code of an app for a key as it is shown.
pub fn code(key: &str, steps_later: u64) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let (mut bytes, mut held, mut bits) = (Vec::new(), 0u32, 0);
    for c in key.bytes().filter(|c| *c != b' ') {
        held = held << 5 | letters.iter().position(|l| *l == c).expect("base 32") as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 255) as u8);
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let bytes: [u8; 20] = bytes.try_into().expect("160 bits");
    let totp = totp_rs::Builder::new().with_secret(totp_rs::Secret::new_stack(bytes)).build().expect("legal");
    totp.generate(now + 30 * steps_later).to_string()
}

/// Sets up an authenticator app; its key.
pub fn set_up(browser: &mut Browser<'_>) -> String {
    let page = browser.get("/auth/authenticator").is(200).text();
    let key = page.split("<code class=\"key\">").nth(1).and_then(|p| p.split('<').next()).expect("a key").to_owned();
    browser.fill("/auth/authenticator", &[("pass", PASSWORD), ("code", &code(&key, 0))]).is(200);
    key
}

#[test]
fn a_second_step_is_set_up_asked_for_and_given_up() {
    let house = House::new();
    let mut browser = house.browser();
    browser.sign_in("asante", PASSWORD);
    let page = browser.get("/auth/authenticator").is(200).text();
    let key = page.split("<code class=\"key\">").nth(1).and_then(|p| p.split('<').next()).expect("a key").to_owned();
    assert!(page.contains("<svg class=\"qr\""), "{page}");
    browser.fill("/auth/authenticator", &[("pass", "wrong"), ("code", &code(&key, 0))]).is(403);
    browser.fill("/auth/authenticator", &[("pass", PASSWORD), ("code", "123")]).is(403);
    let page = browser.fill("/auth/authenticator", &[("pass", PASSWORD), ("code", &code(&key, 0))]).is(200).text();
    let codes: Vec<&str> = page.split("<li><code>").skip(1).filter_map(|p| p.split('<').next()).collect();
    assert_eq!(codes.len(), 10, "{page}");

    let mut other = house.browser();
    let answer = other.fill("/auth/sign-in?next=apps", &[("user", "asante"), ("pass", PASSWORD)]);
    assert_eq!(answer.header("location"), "/auth/second-factor?next=apps");
    assert!(!other.is_signed_in(), "the password alone is not enough");
    other.fill("/auth/second-factor?next=apps", &[("code", "000000")]).is(403);
    let answer = other.fill("/auth/second-factor?next=apps", &[("code", &code(&key, 1))]);
    assert_eq!((answer.status, answer.header("location")), (303, "/auth/apps"));
    assert!(other.is_signed_in());

    for (attempt, status) in [(codes[0], 303), (codes[0], 403)] {
        let mut other = house.browser();
        other.fill("/auth/sign-in", &[("user", "asante"), ("pass", PASSWORD)]).is(303);
        other.fill("/auth/second-factor", &[("code", attempt)]).is(status);
    }
    browser.fill("/auth/authenticator", &[("pass", "wrong")]).is(403);
    let answer = browser.fill("/auth/authenticator", &[("pass", PASSWORD)]);
    assert_eq!(answer.header("location"), "/auth/account?done=removed");
    house.browser().sign_in("asante", PASSWORD);
}

#[test]
fn a_password_is_changed_and_other_browsers_are_out() {
    let house = House::new();
    let (mut here, mut there) = (house.browser(), house.browser());
    here.sign_in("asante", PASSWORD);
    there.sign_in("asante", PASSWORD);
    let new = "another good password";
    let check = |fields: [&str; 3], status: u16, browser: &mut super::Browser<'_>| {
        let [old, new, again] = fields;
        browser.fill("/auth/password", &[("pass", old), ("new", new), ("again", again)]).is(status);
    };
    check(["wrong", new, new], 403, &mut here);
    check([PASSWORD, new, "different"], 400, &mut here);
    check([PASSWORD, "short", "short"], 400, &mut here);
    check([PASSWORD, "asante-asante", "asante-asante"], 400, &mut here);
    check([PASSWORD, new, new], 303, &mut here);
    assert!(here.is_signed_in());
    assert!(!there.is_signed_in());
    there.sign_in("asante", new);
}

#[test]
fn a_password_of_somebody_else_has_to_be_changed_first() {
    let house = House::new();
    house.add(NewUser { password: Some((PASSWORD.into(), true)), ..NewUser::new("mensah", Role::Nurse) });
    let mut browser = house.browser();
    let answer = browser.fill("/auth/sign-in?next=apps", &[("user", "mensah"), ("pass", PASSWORD)]);
    assert_eq!(answer.header("location"), "/auth/password?next=apps");
    assert_eq!(browser.get("/auth/apps").header("location"), "/auth/password");
    let new = "one that only I know";
    let answer = browser.fill("/auth/password?next=apps", &[("pass", PASSWORD), ("new", new), ("again", new)]);
    assert_eq!(answer.header("location"), "/auth/apps");
    browser.get("/auth/apps").is(200);
}

#[test]
fn passkeys_are_offered_where_they_can_be() {
    let house = House::new();
    let mut browser = house.browser();
    assert!(!browser.get("/auth/sign-in").text().contains("passkey"), "an address of numbers has none");
    let port = house.server.address().rsplit_once(':').expect("a port").1.to_owned();
    browser.headers.push(("host", format!("localhost:{port}")));
    assert!(browser.get("/auth/sign-in").text().contains("passkey"));
    browser.sign_in("asante", PASSWORD);
    browser.fill("/auth/passkeys", &[("do", "begin"), ("pass", "wrong")]).is(403);
    let page = browser.fill("/auth/passkeys", &[("do", "begin"), ("pass", PASSWORD)]).is(200).text();
    assert_eq!(field(&page, "data-party=\""), "localhost");
    assert!(page.contains("<script>"), "{page}");
    let challenge = field(&page, "data-challenge=\"");
    for forged in ["", "AAAA", "bm90IGNib3I"] {
        browser
            .fill("/auth/passkeys", &[("challenge", &challenge), ("client", forged), ("attestation", forged)])
            .is(403);
    }
    let user = run(house.authorization.people.named("asante")).expect("answers").expect("there");
    assert!(user.passkeys.is_empty());
}
