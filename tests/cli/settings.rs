//! Where Vesta may listen without access control, and how settings are given and refused.

use super::{err, out, vesta};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let data = tempfile::tempdir().expect("a directory");
    vesta(data.path(), arguments)
}

#[test]
fn it_does_not_listen_for_other_machines_unless_told_so() {
    let output = run(&["--bind", "0.0.0.0:0", "--auth", "off"]);
    let told = err(&output);
    assert!(!output.status.success());
    assert!(told.contains("--allow-open-access") && told.contains("access control is off"), "{told}");
    let output = run(&["--bind", "0.0.0.0:0"]);
    assert!(!output.status.success());
    assert!(err(&output).contains("--base-url"), "{}", err(&output));
}

#[test]
fn wrong_settings_are_named() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("vesta.toml");
    std::fs::write(&file, "max-body = \"8MB\"\nbnid = \"127.0.0.1:1\"\n").expect("writes");
    let output = run(&["--config", &file.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("bnid"), "{output:?}");
    assert_eq!(run(&["--config", "/no/such/file"]).status.code(), Some(1));
    assert_eq!(run(&["--max-body", "much"]).status.code(), Some(2));
    for half in ["--tls-cert", "--tls-key"] {
        let output = run(&[half, "x.pem"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(err(&output).contains("HTTPS needs both"), "{output:?}");
    }
    // A certificate in the file whose key was forgotten does not become a server without TLS; whichever half is a flag
    // counts with the other in the file.
    std::fs::write(&file, "tls-cert = \"x.pem\"\n").expect("writes");
    let output = run(&["--config", &file.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(err(&output).contains("HTTPS needs both"), "{output:?}");
    let output = run(&["--config", &file.to_string_lossy(), "--tls-key", "y.pem", "--bind", "127.0.0.1:0"]);
    assert!(!output.status.success() && err(&output).contains("x.pem"), "{output:?}");
    assert_eq!(run(&["--page", "0"]).status.code(), Some(2));
    assert_eq!(run(&["--log-level", "=="]).status.code(), Some(2));
    assert_eq!(run(&["--no-such-flag"]).status.code(), Some(2));
}

/// The base path that a run of `vesta openapi` shows tells which setting won.
#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("vesta.toml");
    std::fs::write(&file, "base-path = \"/of-the-file\"\n").expect("writes");
    let base = |environment: Option<&str>, flag: Option<&str>, config: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
        command.env_clear().arg("openapi");
        if let Some(value) = environment {
            command.env("VESTA_BASE_PATH", value);
        }
        if let Some(value) = flag {
            command.args(["--base-path", value]);
        }
        if config {
            command.arg("--config").arg(&file);
        }
        let text = out(&command.output().expect("runs"));
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        document["servers"][0]["url"].as_str().expect("an address").to_owned()
    };
    assert_eq!(base(None, None, false), "/fhir");
    assert_eq!(base(None, None, true), "/of-the-file");
    assert_eq!(base(Some("/of-the-environment"), None, true), "/of-the-environment");
    assert_eq!(base(Some("/of-the-environment"), Some("/of-the-flag"), true), "/of-the-flag");
}

#[test]
fn help_names_the_variables_and_gives_examples() {
    let text = out(&run(&["--help"]));
    for part in ["VESTA_BIND", "[default: 127.0.0.1:8080]", "Examples:", "import", "export", "--allow-open-access"] {
        assert!(text.contains(part), "{part} is missing");
    }
}

#[test]
fn what_cannot_be_served_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = taken.local_addr().expect("an address").to_string();
    let check = |arguments: &[&str], code: i32, told: &str| {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?} {output:?}");
        assert!(err(&output).contains(told), "{arguments:?} {output:?}");
    };
    check(&["--bind", &at], 2, "--bind");
    check(&["--bind", "127.0.0.1:0", "--metrics-bind", &at], 2, "choose another port with --metrics-bind");
    for wrong in ["not a url", "fhir.example.org/r4", "ftp://fhir.example.org", "https://x/fhir?a=b", "https:///r4"] {
        check(&["--bind", "127.0.0.1:0", "--base-url", wrong], 2, "is no base URL");
    }
}

#[test]
fn a_check_of_nothing_is_not_a_success() {
    let folder = tempfile::tempdir().expect("a directory");
    let none = folder.path().join("none");
    for arguments in [vec!["check"], vec!["export", "out"]] {
        let output = vesta(&none, &arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(err(&output).contains("there are no data in"), "{output:?}");
        assert!(!none.exists(), "nothing is made");
    }
}

/// A key would encrypt nothing in a database: it is refused before anything is asked of that.
#[test]
fn a_key_of_a_directory_is_refused_with_a_database() {
    let folder = tempfile::tempdir().expect("a directory");
    let data = folder.path().join("data");
    let key = folder.path().join("key");
    std::fs::write(&key, "7".repeat(64)).expect("writes");
    let key = format!("file:{}", key.display());
    let database = "mongodb://127.0.0.1:1/x?replicaSet=r&serverSelectionTimeoutMS=100";
    let resource = folder.path().join("p.json");
    std::fs::write(&resource, r#"{"resourceType":"Patient","id":"p"}"#).expect("writes");
    let file = resource.to_string_lossy();
    assert!(vesta(&data, &["--validation", "off", "import", &file]).status.success());
    let commands: [&[&str]; 9] = [
        &["serve", "--bind", "127.0.0.1:0"],
        &["check"],
        &["import", &file],
        &["export", "-"],
        &["backup", "no-file"],
        &["restore", &file],
        &["user", "list"],
        &["encryption", "on"],
        &["encryption", "rotate", "--new-key", &key],
    ];
    for command in commands {
        let output = vesta(&data, &[&["--store", database, "--encryption-key", &key], command].concat());
        assert_eq!(output.status.code(), Some(2), "{command:?}: {output:?}");
        assert!(err(&output).contains("--encryption-key") && err(&output).contains("directories"), "{output:?}");
    }
    let output = vesta(&data, &["--store", database, "encryption", "off"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(vesta(&data, &["check"]).status.success(), "the directory is as it was");
    let output = vesta(&data, &["--store", "mongobd://x/y", "check"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
