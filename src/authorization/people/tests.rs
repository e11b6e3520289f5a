//! People against the naive store, with a clock that the tests move.

use super::*;
use crate::access::Role;
use crate::base::Timestamp;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
const ELSEWHERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 9));
const PASSWORD: &str = "four words one password";

struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Relaxed))
    }
}

impl Hands {
    fn forward(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Relaxed);
    }
}

async fn people() -> (Arc<People>, Arc<Hands>) {
    let clock = Arc::new(Hands(AtomicI64::new(1_792_828_800_000_000)));
    let records = crate::interaction::tests::records_in_memory(clock.clone());
    let people = People::new(records, clock.clone(), Lifetimes::default());
    (Arc::new(people), clock)
}

async fn with_user() -> (Arc<People>, Arc<Hands>, User) {
    let (people, clock) = people().await;
    let new = NewUser { password: Some((PASSWORD.into(), false)), ..NewUser::new("asante", Role::Doctor) };
    let user = people.add(new).await.expect("is added");
    (people, clock, user)
}

/// Lets somebody in who has given all that is needed.
async fn whole(people: &People, came: SignedIn) -> String {
    come_in(people, came, false).await
}

/// Lets somebody in whose second factor is still missing.
async fn half(people: &People, came: SignedIn) -> String {
    come_in(people, came, true).await
}

async fn come_in(people: &People, came: SignedIn, halfway: bool) -> String {
    let SignedIn::Known(entrance) = came else { panic!("{came:?}") };
    assert_eq!(entrance.is_halfway(), halfway);
    people.let_in(*entrance, None).await.expect("answers").expect("nobody was faster")
}

#[track_caller]
fn wrong(came: &SignedIn, name: Option<&str>) {
    assert!(matches!(came, SignedIn::Wrong(found) if found.as_deref() == name), "{came:?}");
}

#[track_caller]
fn waits(came: &SignedIn) -> u64 {
    let SignedIn::Wait(seconds) = came else { panic!("{came:?}") };
    *seconds
}

#[tokio::test]
async fn a_name_belongs_to_one_user() {
    let (people, _, _) = with_user().await;
    let again = people.add(NewUser::new(" ASANTE", Role::Nurse)).await.expect_err("taken");
    assert_eq!(again.kind, crate::base::FailureKind::Conflict);
    let racing: Vec<_> = (0..8)
        .map(|_| {
            let people = people.clone();
            tokio::spawn(async move { people.add(NewUser::new("mensah", Role::Nurse)).await.is_ok() })
        })
        .collect();
    let mut added = 0;
    for one in racing {
        added += usize::from(one.await.expect("ends"));
    }
    assert_eq!(added, 1);
    assert_eq!(people.all().await.expect("lists").len(), 2);
}

#[tokio::test]
async fn only_the_right_password_signs_in() {
    let (people, _, user) = with_user().await;
    let token = whole(&people, people.sign_in("Asante", PASSWORD, HERE).await.expect("answers")).await;
    let session = people.session(&token).await.expect("answers").expect("a session");
    assert_eq!((session.user().id.as_str(), session.methods()), (user.id.as_str(), &["pwd".to_owned()][..]));
    for (name, password) in [("asante", "wrong"), ("nobody", PASSWORD), ("", PASSWORD), ("asante", "")] {
        let known = (name == "asante").then_some(name);
        wrong(&people.sign_in(name, password, HERE).await.expect("answers"), known);
    }
    assert!(people.session("something else").await.expect("answers").is_none());
}

#[tokio::test]
async fn guessing_has_to_wait_and_locks_out_nobody_else() {
    let (people, clock, _) = with_user().await;
    for name in ["asante", "nobody"] {
        for _ in 0..=lockout::FREE_OF_NAME {
            let known = (name == "asante").then_some(name);
            wrong(&people.sign_in(name, "wrong", HERE).await.expect("answers"), known);
        }
        assert_eq!(waits(&people.sign_in(name, PASSWORD, HERE).await.expect("answers")), 3, "{name}");
    }
    whole(&people, people.sign_in("asante", PASSWORD, ELSEWHERE).await.expect("answers")).await;
    clock.forward(3);
    whole(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    wrong(&people.sign_in("asante", "wrong", HERE).await.expect("answers"), Some("asante"));
}

#[tokio::test]
async fn whoever_guesses_many_names_holds_up_nobody_who_works_there() {
    let (people, clock, _) = with_user().await;
    let new = NewUser { password: Some((PASSWORD.into(), false)), ..NewUser::new("mensah", Role::Nurse) };
    people.add(new).await.expect("is added");
    whole(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    for number in 0..=lockout::FREE_OF_ADDRESS {
        let came = people.sign_in(&format!("nobody{number}"), "wrong", HERE).await.expect("answers");
        wrong(&came, None);
    }
    waits(&people.sign_in("somebody", "wrong", HERE).await.expect("answers"));
    waits(&people.sign_in("mensah", PASSWORD, HERE).await.expect("answers"));
    whole(&people, people.sign_in("mensah", PASSWORD, ELSEWHERE).await.expect("answers")).await;
    // Whoever has signed in here before may, and guesses of that name still have to wait.
    clock.forward(1);
    for _ in 0..=lockout::FREE_OF_NAME {
        wrong(&people.sign_in("asante", "wrong", HERE).await.expect("answers"), Some("asante"));
    }
    waits(&people.sign_in("asante", PASSWORD, HERE).await.expect("answers"));
    clock.forward(60);
    whole(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
}

#[tokio::test]
async fn many_guesses_at_once_are_counted() {
    let (people, _, _) = with_user().await;
    let guesses: Vec<_> = (0..20)
        .map(|_| {
            let people = people.clone();
            tokio::spawn(async move { people.sign_in("asante", "wrong", HERE).await.expect("answers") })
        })
        .collect();
    let mut tried = 0;
    for one in guesses {
        tried += u32::from(matches!(one.await.expect("ends"), SignedIn::Wrong(_)));
    }
    assert!(tried <= lockout::FREE_OF_NAME + 1, "{tried} were tried");
}

#[tokio::test]
async fn sessions_end_by_themselves() {
    let (people, clock, _) = with_user().await;
    let token = whole(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    clock.forward(29 * 60);
    assert!(people.session(&token).await.expect("answers").is_some());
    clock.forward(29 * 60);
    assert!(people.session(&token).await.expect("answers").is_some(), "it was used");
    clock.forward(31 * 60);
    assert!(people.session(&token).await.expect("answers").is_none(), "idle for too long");

    let token = whole(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    for _ in 0..35 {
        clock.forward(20 * 60);
        assert!(people.session(&token).await.expect("answers").is_some());
    }
    clock.forward(20 * 60);
    assert!(people.session(&token).await.expect("answers").is_none(), "twelve hours");
}

#[tokio::test]
async fn a_new_password_or_a_disabled_user_ends_sessions() {
    let (people, _, user) = with_user().await;
    let first = whole(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    let second = whole(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    let session = people.session(&first).await.expect("answers").expect("a session");
    let refused = people.change_password(&session, "wrong", "another good one", HERE).await.expect("answers");
    assert_eq!(refused, Err(Refusal::Wrong));
    let weak = people.change_password(&session, PASSWORD, "asante-asante", HERE).await.expect("answers");
    assert_eq!(weak, Err(Refusal::Weak(password::Weakness::Named)));
    let changed = people.change_password(&session, PASSWORD, "another good one", HERE).await.expect("answers");
    let third = changed.expect("changed");
    for (token, alive) in [(&first, false), (&second, false), (&third, true)] {
        assert_eq!(people.session(token).await.expect("answers").is_some(), alive);
    }
    people.set_disabled(&user, true).await.expect("disables");
    assert!(people.session(&third).await.expect("answers").is_none());
    wrong(&people.sign_in("asante", "another good one", HERE).await.expect("answers"), Some("asante"));
    people.set_disabled(&user, false).await.expect("enables");
    assert!(people.session(&third).await.expect("answers").is_none(), "a session does not come back");
    whole(&people, people.sign_in("asante", "another good one", HERE).await.expect("answers")).await;
}

#[tokio::test]
async fn a_second_factor_is_asked_for_and_each_code_is_good_once() {
    let (people, clock, user) = with_user().await;
    let token = whole(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    let session = people.session(&token).await.expect("answers").expect("a session");
    let shared = people.begin_second_factor(&session).await.expect("begins");
    let session = people.session(&token).await.expect("answers").expect("a session");
    assert_eq!(people.begin_second_factor(&session).await.expect("goes on"), shared, "a reload shows the same key");
    let code = shared.code(clock.now()).expect("a code");
    let refused = people.confirm_second_factor(&session, PASSWORD, "000000", HERE).await.expect("answers");
    assert_eq!(refused, Err(Refusal::WrongCode));
    let codes = people.confirm_second_factor(&session, PASSWORD, &code, HERE).await.expect("answers").expect("right");
    assert_eq!(codes.len(), 10);
    let stored = people.user(&user.id).await.expect("answers").expect("there");
    assert!(!stored.recovery.contains(&codes[0]), "only hashes are stored");

    let token = half(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    assert!(people.session(&token).await.expect("answers").is_none(), "halfway is not signed in");
    let session = people.halfway(&token).await.expect("answers").expect("halfway");
    // Used at the set-up.
    wrong(&people.second_factor(&session, &code).await.expect("answers"), Some("asante"));
    clock.forward(30);
    let code = shared.code(clock.now()).expect("a code");
    let done = whole(&people, people.second_factor(&session, &code).await.expect("answers")).await;
    let session = people.session(&done).await.expect("answers").expect("a session");
    assert_eq!(session.methods(), ["pwd", "otp", "mfa"]);
    assert!(people.halfway(&token).await.expect("answers").is_none(), "the half session is gone");

    for (attempt, right) in [(codes[3].to_uppercase(), true), (codes[3].clone(), false), ("aaaa".into(), false)] {
        let token = half(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
        let session = people.halfway(&token).await.expect("answers").expect("halfway");
        let came = people.second_factor(&session, &attempt).await.expect("answers");
        match right {
            true => drop(whole(&people, came).await),
            false => wrong(&came, Some("asante")),
        }
    }
}

#[tokio::test]
async fn codes_cannot_be_guessed_in_bulk() {
    let (people, clock, user) = with_user().await;
    people.change(&user.id, |user| user.totp = totp::Shared::new().ok()).await.expect("changes");
    let token = half(&people, people.sign_in("asante", PASSWORD, HERE).await.expect("answers")).await;
    let session = people.halfway(&token).await.expect("answers").expect("halfway");
    let mut answers = Vec::new();
    for _ in 0..8 {
        answers.push(people.second_factor(&session, "000000").await.expect("answers"));
    }
    waits(&answers[7]);
    clock.forward(11 * 60);
    assert!(people.halfway(&token).await.expect("answers").is_none(), "the half session is over");
}

#[tokio::test]
async fn the_first_administrator_is_made_once() {
    let (people, _) = people().await;
    let (name, password) = people.first().await.expect("answers").expect("made");
    whole(&people, people.sign_in(&name, &password, HERE).await.expect("answers")).await;
    assert!(people.first().await.expect("answers").is_none());
    let stored = people.named("admin").await.expect("answers").expect("there");
    assert!(!format!("{stored:?}").contains(&password));
}
