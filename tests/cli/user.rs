//! `vesta user`, and the administrator of the first start.

use super::{err, out, vesta};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

#[test]
fn users_are_added_listed_changed_and_deleted() {
    let data = tempfile::tempdir().expect("a directory");
    let run = |arguments: &[&str]| vesta(data.path(), arguments);
    let added = run(&["user", "add", "asante", "--role", "doctor", "--resource", "Practitioner/7"]);
    assert!(added.status.success(), "{}", err(&added));
    let password = out(&added).lines().last().expect("a password").to_owned();
    assert_eq!(password.len(), 29, "{password}");
    let again = run(&["user", "add", "ASANTE", "--role", "nurse"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(err(&again).contains("already"), "{}", err(&again));
    for (arguments, word) in [
        (&["user", "add", "x", "--role", "root"][..], "administrator"),
        (&["user", "add", "x", "--role", "nurse", "--resource", "Observation/1"], "Practitioner/7"),
        (&["user", "add", "x", "--role", "patient"], "Patient"),
        (&["user", "show", "nobody"], "nobody"),
        (&["user", "set", "nobody", "--role", "nurse"], "nobody"),
        (&["user", "set", "asante", "--resource", "Observation/1"], "Practitioner/7"),
    ] {
        let refused = run(arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(err(&refused).contains(word), "{arguments:?}: {}", err(&refused));
    }
    assert_eq!(out(&run(&["user", "list"])), "asante\tdoctor\tPractitioner/7\tenabled\n");
    assert!(run(&["user", "disable", "asante"]).status.success());
    assert_eq!(out(&run(&["user", "list"])), "asante\tdoctor\tPractitioner/7\tdisabled\n");
    assert!(run(&["user", "set", "asante", "--resource", "PractitionerRole/8"]).status.success());
    assert_eq!(out(&run(&["user", "list"])), "asante\tdoctor\tPractitionerRole/8\tdisabled\n");
    assert!(run(&["user", "set", "asante", "--role", "nurse", "--resource", "Practitioner/7"]).status.success());
    assert_eq!(out(&run(&["user", "list"])), "asante\tnurse\tPractitioner/7\tdisabled\n");
    assert!(!run(&["user", "set", "asante"]).status.success(), "nothing to set");
    assert!(run(&["user", "set", "asante", "--role", "doctor"]).status.success());
    assert!(run(&["user", "enable", "asante"]).status.success());

    let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
    command.arg("--data").arg(data.path()).args(["user", "set-password", "asante", "--password-stdin"]).env_clear();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("runs");
    child.stdin.take().expect("open").write_all(b"a password of my own\n").expect("writes");
    let set = child.wait_with_output().expect("ends");
    assert!(set.status.success(), "{}", err(&set));
    assert_eq!(out(&set), "");
    let shown = out(&run(&["user", "show", "asante"]));
    assert!(shown.contains("signs in       by password\n") && !shown.contains("argon2"), "{shown}");
    assert!(run(&["user", "delete", "asante"]).status.success());
    assert_eq!(out(&run(&["user", "list"])), "");
}

#[test]
fn the_first_start_shows_the_administrators_password_once() {
    let data = tempfile::tempdir().expect("a directory");
    let greeting = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        command.arg("--data").arg(data.path()).args(["--auth", "on", "--bind", "127.0.0.1:0"]).env_clear();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("runs");
        let lines = BufReader::new(child.stdout.take().expect("open")).lines();
        let text: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.starts_with("Stop with")).collect();
        child.kill().expect("is there");
        child.wait().expect("ends");
        text.join("\n")
    };
    let first = greeting();
    assert!(first.contains("user       admin") && first.contains("password   "), "{first}");
    // What was made is in the audit trail, with nothing that is secret.
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
    let listed = command.arg("--data").arg(data.path()).args(["audit", "list", "--json"]).env_clear().output();
    let trail = out(&listed.expect("runs"));
    for part in [r#""valueString":"admin""#, r#""valueString":"smart-app""#, r#""valueString":"first start""#] {
        assert!(trail.contains(part), "no {part} in {trail}");
    }
    let password = first.split("password   ").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("one");
    assert!(!trail.contains(password), "{trail}");
    let second = greeting();
    assert!(!second.contains("admin") && !second.contains("password"), "{second}");
}
