//! `vesta audit` and `vesta encryption` as they are used from a shell.

use crate::cli::{err, out, vesta};
use serde_json::json;
use std::path::Path;

/// A data directory with some records, made by importing with the audit trail on.
fn fill(data: &Path, files: &Path, more: &[&str]) {
    let patient = json!({"resourceType": "Patient", "id": "p1", "name": [{"family": "Shaw"}]});
    let other = json!({"resourceType": "Patient", "id": "p2", "name": [{"family": "Wilhelmina-Roe"}]});
    std::fs::write(files.join("a.ndjson"), format!("{patient}\n{other}\n")).expect("written");
    let files = files.to_string_lossy();
    let imported = vesta(data, &[&["--audit", "all"], more, &["import", &*files]].concat());
    assert!(imported.status.success(), "{}{}", out(&imported), err(&imported));
}

#[test]
fn the_trail_is_verified_listed_and_vouched_for() {
    let (data, files) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    fill(data.path(), files.path(), &[]);
    let verified = vesta(data.path(), &["audit", "verify"]);
    assert!(verified.status.success(), "{}", err(&verified));
    assert!(out(&verified).starts_with("2 records, the last 2 of "), "{}", out(&verified));
    let listed = vesta(data.path(), &["audit", "list"]);
    let text = out(&listed);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.contains("\tupdate\tanonymous\tPatient/p1"), "{text}");
    let one = vesta(data.path(), &["audit", "list", "--patient", "p2", "--json"]);
    let event: serde_json::Value = serde_json::from_str(out(&one).trim()).expect("one AuditEvent");
    assert_eq!((event["resourceType"].as_str(), event["action"].as_str()), (Some("AuditEvent"), Some("U")));
    assert_eq!(out(&vesta(data.path(), &["audit", "list", "--failed"])), "");

    let checkpoint = vesta(data.path(), &["--audit", "all", "audit", "checkpoint"]);
    assert!(checkpoint.status.success(), "{}", err(&checkpoint));
    let file = files.path().join("checkpoint.json");
    std::fs::write(&file, &checkpoint.stdout).expect("written");
    let name = file.to_string_lossy().into_owned();
    let verified = vesta(data.path(), &["audit", "verify", "--checkpoint", &name]);
    assert!(verified.status.success() && out(&verified).contains("1 checkpoints vouch for"), "{}", out(&verified));
    // Somebody writes another number into it.
    let forged = out(&checkpoint).replace("\"records\": 3", "\"records\": 2");
    assert_ne!(forged, out(&checkpoint));
    std::fs::write(&file, forged).expect("written");
    let refused = vesta(data.path(), &["audit", "verify", "--checkpoint", &name]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(err(&refused).contains("it was changed"), "{}", err(&refused));
    std::fs::write(&file, "no checkpoint").expect("written");
    assert_eq!(vesta(data.path(), &["audit", "verify", "--checkpoint", &name]).status.code(), Some(2));

    // The checkpoint of one store does not fit another.
    std::fs::write(&file, &checkpoint.stdout).expect("written");
    let (other, lines) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    fill(other.path(), lines.path(), &[]);
    let refused = vesta(other.path(), &["audit", "verify", "--checkpoint", &name]);
    assert_eq!(refused.status.code(), Some(1), "{}", out(&refused));
    assert!(out(&refused).contains("NOT SOUND"), "{}", out(&refused));
}

#[test]
fn a_store_is_encrypted_at_the_command_line() {
    let (data, files) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    let key = |name: &str, byte: u8| {
        let path = files.path().join(name);
        std::fs::write(&path, [byte; 32]).expect("written");
        format!("file:{}", path.display())
    };
    let (one, two) = (key("one", 1), key("two", 2));
    let lines = tempfile::tempdir().expect("one");
    fill(data.path(), lines.path(), &[]);
    let holds = || {
        let bytes = std::fs::read(data.path().join("truth/data.mdb")).expect("readable");
        memchr::memmem::find(&bytes, b"Wilhelmina-Roe").is_some()
    };
    assert!(holds());
    let refused = vesta(data.path(), &["--encryption-key", &one, "check"]);
    assert!(err(&refused).contains("vesta encryption on"), "{}", err(&refused));
    let done = vesta(data.path(), &["--encryption-key", &one, "encryption", "on"]);
    assert!(done.status.success(), "{}", err(&done));
    assert!(!holds());
    assert!(err(&vesta(data.path(), &["check"])).contains("--encryption-key"));
    assert!(vesta(data.path(), &["--encryption-key", &one, "check"]).status.success());
    assert!(vesta(data.path(), &["--encryption-key", &one, "audit", "verify"]).status.success());
    let done = vesta(data.path(), &["--encryption-key", &one, "encryption", "rotate", "--new-key", &two]);
    assert!(done.status.success(), "{}", err(&done));
    let refused = vesta(data.path(), &["--encryption-key", &one, "check"]);
    assert!(err(&refused).contains("does not open"), "{}", err(&refused));
    let exported = files.path().join("out");
    let name = exported.to_string_lossy().into_owned();
    assert!(vesta(data.path(), &["--encryption-key", &two, "export", &name]).status.success());
    assert!(std::fs::read_to_string(exported.join("Patient.ndjson")).expect("text").contains("Wilhelmina-Roe"));
    assert!(vesta(data.path(), &["--encryption-key", &two, "encryption", "off"]).status.success());
    assert!(holds() && vesta(data.path(), &["check"]).status.success());
    let listed = out(&vesta(data.path(), &["audit", "list", "--json", "--limit", "100"]));
    for done in ["on", "rotate", "off"] {
        let told = format!("{{\"type\":\"action\",\"valueString\":\"{done}\"}},{{\"type\":\"encryption\"");
        assert_eq!(listed.matches(&told).count(), 1, "{done}: {listed}");
    }
}

#[test]
fn commands_and_the_server_tell_what_they_did() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    let (data, files) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("one"));
    let mut server = Command::new(env!("CARGO_BIN_EXE_vesta"))
        .args(["--bind", "127.0.0.1:0", "--log-level", "error", "--data"])
        .arg(data.path())
        .env_clear()
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(server.stdout.take().expect("output"));
    let mut said = String::new();
    while !said.contains("Stop with Ctrl-C") {
        assert_ne!(lines.read_line(&mut said).expect("readable"), 0, "{said}");
    }
    // While it runs the commands say where it is done instead.
    for command in [&["user", "list"][..], &["client", "list"], &["key", "list"]] {
        let refused = vesta(data.path(), command);
        assert_eq!(refused.status.code(), Some(1), "{command:?}");
        assert!(err(&refused).contains("/auth/admin"), "{command:?}: {}", err(&refused));
    }
    assert!(Command::new("kill").args(["-TERM", &server.id().to_string()]).status().expect("kill").success());
    assert!(server.wait().expect("ends").success());

    let run = |arguments: &[&str]| {
        let done = vesta(data.path(), arguments);
        assert!(done.status.success(), "{arguments:?}: {}", err(&done));
    };
    let folder = files.path().join("out");
    run(&["client", "add", "new-app", "--redirect-uri", "https://app.example/cb"]);
    run(&["client", "disable", "new-app"]);
    run(&["client", "approve", "new-app"]);
    run(&["client", "delete", "new-app"]);
    run(&["client", "list"]);
    run(&["key", "rotate", "es256"]);
    run(&["key", "list"]);
    run(&["token", "admin"]);
    run(&["export", &folder.to_string_lossy()]);
    run(&["backup", &files.path().join("all.backup").to_string_lossy()]);
    run(&["user", "add", "nurse-1", "--role", "nurse"]);
    run(&["user", "disable", "nurse-1"]);
    run(&["user", "set", "nurse-1", "--role", "doctor"]);
    run(&["user", "list"]);
    let listed = vesta(data.path(), &["audit", "list", "--json", "--limit", "100"]);
    assert!(listed.status.success(), "{}", err(&listed));
    let details: Vec<String> = out(&listed)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .flat_map(|event| event["entity"].as_array().cloned().unwrap_or_default())
        .filter_map(|entity| {
            let details = entity["detail"].as_array()?.clone();
            let shown = details.iter().map(|d| format!("{}={}", d["type"], d["valueString"]).replace('"', ""));
            Some(shown.collect::<Vec<_>>().join(" "))
        })
        .collect();
    let count = |what: &str| details.iter().filter(|told| told.starts_with(what)).count();
    for what in [
        "action=start server=",
        "action=stop server=",
        "action=create client=new-app by=command line",
        "action=disable client=new-app",
        "action=approve client=new-app",
        "action=delete client=new-app",
        "action=rotate key=ES256",
        "grant=command line",
        "export=backup to",
        "action=create account=nurse-1 by=command line",
        "action=disable account=nurse-1 by=command line",
        "action=change account=nurse-1 role-before=nurse role=doctor by=command line",
    ] {
        assert_eq!(count(what), 1, "{what}: {details:#?}");
    }
    assert_eq!(count("export="), 2, "the export and the backup: {details:#?}");
    let plain = out(&vesta(data.path(), &["audit", "list", "--limit", "100"]));
    assert!(plain.lines().any(|line| line.contains("action=disable account=nurse-1")), "{plain}");
    assert!(vesta(data.path(), &["audit", "verify"]).status.success());
}
