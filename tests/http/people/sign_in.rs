//! Signing in: C19, C20, C23, C28 and H01 of the abuse cases, languages, headers, and that a page holds no trap.

use super::{House, PASSWORD, run, seal};
use std::time::Instant;
use vesta::access::Role;
use vesta::authorization::people::NewUser;
use vesta::cli::settings::Settings;

#[test]
fn whoever_knows_the_password_signs_in_and_out() {
    let house = House::new();
    let mut browser = house.browser();
    let answer = browser.get("/auth/account");
    assert_eq!((answer.status, answer.header("location")), (303, "/auth/sign-in?next=account"));
    browser.sign_in("Asante", PASSWORD);
    let page = browser.get("/auth/account").is(200).text();
    assert!(page.contains("Doctor") && page.contains("asante"), "{page}");
    let before = browser.cookies.clone();
    let out = browser.fill("/auth/sign-out", &[]);
    assert_eq!((out.status, out.header("location")), (303, "/auth/signed-out"));
    browser.get("/auth/signed-out").is(200);
    assert!(!browser.is_signed_in());
    browser.cookies = before;
    assert!(!browser.is_signed_in(), "the old cookie opens nothing");
}

#[test]
fn pages_have_strict_headers_and_stand_alone() {
    let house = House::new();
    let mut browser = house.browser();
    browser.sign_in("asante", PASSWORD);
    for path in [
        "/auth/sign-in?request=x",
        "/auth/account",
        "/auth/password",
        "/auth/authenticator",
        "/auth/apps",
        "/auth/sign-out",
        "/auth/signed-out",
    ] {
        let answer = browser.get(path);
        let policy = answer.header("content-security-policy").to_owned();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("base-uri 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
        let page = answer.text();
        assert!(page.contains("<html lang=\"en\">") && page.contains("<h1>"), "{path}: {page}");
        for outside in ["src=\"http", "href=\"http", "url(", "@import", " style=\"", " onclick"] {
            assert!(!page.contains(outside), "{path} holds {outside}");
        }
        for input in page.split("<input ").skip(1).map(|rest| rest.split('>').next().unwrap_or_default()) {
            if input.contains("hidden") || input.contains("checkbox") {
                continue;
            }
            let id = super::field(input, "id=\"");
            assert!(page.contains(&format!("<label for=\"{id}\">")), "{path}: {id} has no label");
        }
    }
}

#[test]
fn both_languages_are_spoken() {
    let house = House::new();
    let mut browser = house.browser();
    browser.headers.push(("accept-language", "fr-CH, en;q=0.5".into()));
    let page = browser.get("/auth/sign-in").is(200).text();
    assert!(page.contains("<html lang=\"fr\">") && page.contains("Se connecter"), "{page}");
    let page = browser.get("/auth/sign-in?lang=en&next=apps").is(200).text();
    assert!(
        page.contains("<html lang=\"en\">") && page.contains("href=\"/auth/sign-in?next=apps&amp;lang=fr\""),
        "{page}"
    );
    assert!(browser.get("/auth/sign-in").text().contains("<html lang=\"en\">"), "the choice is remembered");
}

#[test]
fn c19_a_form_from_elsewhere_is_refused() {
    let house = House::new();
    let right = [("user", "asante"), ("pass", PASSWORD)];
    let mut browser = house.browser();
    browser.post("/auth/sign-in", &right).is(403);
    let seal = seal(&browser.get("/auth/sign-in").text());
    let mut other = house.browser();
    other.get("/auth/sign-in").is(200);
    other.post("/auth/sign-in", &[("seal", &seal), right[0], right[1]]).is(403);
    assert!(!other.is_signed_in());
    browser.sign_in("asante", PASSWORD);
    for (path, field) in [
        ("/auth/sign-out", ("do", "x")),
        ("/auth/password", ("new", "x")),
        ("/auth/apps", ("app", "x")),
        ("/auth/authenticator", ("code", "x")),
        ("/auth/consent?request=x", ("decision", "allow")),
        ("/auth/patient?request=x", ("patient", "x")),
    ] {
        browser.post(path, &[field]).is(403);
        browser.post(path, &[field, ("seal", "x")]).is(403);
    }
    assert!(browser.is_signed_in());
}

#[test]
fn c20_guessing_is_slowed_down_for_the_guesser_only_and_tells_nothing() {
    let house = House::new();
    let mut pages = Vec::new();
    for name in ["asante", "nobody"] {
        let mut browser = house.browser();
        let mut statuses = Vec::new();
        for _ in 0..8 {
            let answer = browser.fill("/auth/sign-in", &[("user", name), ("pass", "wrong")]);
            statuses.push(answer.status);
            pages.push((answer.status, answer.text().replace(name, "NAME").replace(&seal(&answer.text()), "SEAL")));
        }
        assert_eq!(statuses, [403, 403, 403, 403, 403, 403, 429, 429], "{name}");
        let right = browser.fill("/auth/sign-in", &[("user", name), ("pass", PASSWORD)]);
        assert_eq!(right.status, 429, "the right password has to wait, too");
    }
    assert_eq!(pages[0], pages[8], "known and unknown names are answered alike");
    // Another name from the same place is not held up.
    house.add(NewUser { password: Some((PASSWORD.into(), false)), ..NewUser::new("mensah", Role::Nurse) });
    house.browser().sign_in("mensah", PASSWORD);
}

#[test]
fn c20_behind_a_proxy_each_client_is_counted_for_itself() {
    for (proxy, held_up) in [(Some("127.0.0.0/8"), false), (Some("10.0.0.0/8"), true), (None, true)] {
        let trusted_proxy = proxy.map(|network| vec![network.parse().expect("a network")]);
        let house = House::with(Settings { trusted_proxy, ..Settings::default() });
        let from = |address: &str| {
            let mut browser = house.browser();
            // What the client made up stands in front of what the proxy adds.
            browser.headers.push(("x-forwarded-for", format!("198.51.100.77, {address}")));
            browser
        };
        let mut guesser = from("192.0.2.1");
        for _ in 0..6 {
            guesser.fill("/auth/sign-in", &[("user", "asante"), ("pass", "wrong")]).is(403);
        }
        assert_eq!(guesser.fill("/auth/sign-in", &[("user", "asante"), ("pass", PASSWORD)]).status, 429);
        let answer = from("192.0.2.2").fill("/auth/sign-in", &[("user", "asante"), ("pass", PASSWORD)]);
        assert_eq!(answer.status, if held_up { 429 } else { 303 }, "{proxy:?}");
    }
}

#[test]
fn c20_unknown_names_take_as_long_as_known_ones() {
    let house = House::new();
    run(house.authorization.people.warm_up()).expect("prepares");
    let took = |name: &str| {
        let mut browser = house.browser();
        let seal = seal(&browser.get("/auth/sign-in").text());
        let began = Instant::now();
        browser.post("/auth/sign-in", &[("seal", &seal), ("user", name), ("pass", "wrong")]).is(403);
        began.elapsed().as_micros()
    };
    let (mut known, mut unknown) = (u128::MAX, u128::MAX);
    for i in 0..5 {
        known = known.min(took("asante"));
        unknown = unknown.min(took(&format!("nobody{i}")));
    }
    // Without the hash for nobody the one would take a fiftieth of the other; the rest is noise of a busy machine.
    assert!(known.max(unknown) < known.min(unknown) * 4, "known {known} µs, unknown {unknown} µs");
}

#[test]
fn c23_nobody_is_led_elsewhere() {
    let house = House::new();
    for next in
        ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "apps/../../evil", ""]
    {
        let mut browser = house.browser();
        let coded = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC).to_string();
        let answer = browser
            .fill(&format!("/auth/sign-in?next={coded}&return_to={coded}"), &[("user", "asante"), ("pass", PASSWORD)]);
        assert_eq!((answer.status, answer.header("location")), (303, "/auth/account"), "{next}");
    }
    let answer = house.browser().fill("/auth/sign-in?next=apps", &[("user", "asante"), ("pass", PASSWORD)]);
    assert_eq!(answer.header("location"), "/auth/apps");
}

#[test]
fn what_people_type_stays_text() {
    let house = House::new();
    let answer = house.browser().fill("/auth/sign-in", &[("user", "\"><script>alert(1)</script>"), ("pass", "x")]);
    let page = answer.is(403).text();
    assert!(!page.contains("<script") && page.contains("&lt;script&gt;"), "{page}");
    house.browser().get("/auth/nowhere").is(404);
    house.browser().get("/auth/sign-in/").is(200);
}

#[test]
fn h01_the_first_administrator_has_a_random_password_that_is_not_kept() {
    let house = House::new();
    assert!(run(house.authorization.people.first()).expect("answers").is_none(), "there are users");
    let people = &house.authorization.people;
    let asante = run(people.named("asante")).expect("answers").expect("there");
    run(people.delete(&asante)).expect("deletes");
    let (name, password) = run(people.first()).expect("answers").expect("made");
    house.browser().sign_in(&name, &password);
    for guess in ["admin", "password", "vesta", ""] {
        house.browser().fill("/auth/sign-in", &[("user", "admin"), ("pass", guess)]).is(403);
    }
}

#[test]
fn a_disabled_or_deleted_user_is_out_at_once() {
    let house = House::new();
    let mut browser = house.browser();
    browser.sign_in("asante", PASSWORD);
    let people = &house.authorization.people;
    let user = run(people.named("asante")).expect("answers").expect("there");
    run(people.set_disabled(&user, true)).expect("disables");
    assert!(!browser.is_signed_in());
    browser.fill("/auth/sign-in", &[("user", "asante"), ("pass", PASSWORD)]).is(403);
    run(people.delete(&user)).expect("deletes");
    assert!(!browser.is_signed_in());
}
