//! Where Vesta may listen while it has no access control, and what the command line refuses.

use std::process::{Command, Output};

fn vesta(arguments: &[&str]) -> Output {
    let data = tempfile::tempdir().expect("a directory");
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
    command.arg("--data").arg(data.path()).args(arguments).env_clear().output().expect("runs")
}

#[test]
fn it_does_not_listen_for_other_machines_unless_told_so() {
    let output = vesta(&["--bind", "0.0.0.0:0"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(told.contains("--allow-open-access") && told.contains("no access control"), "{told}");
}

#[test]
fn wrong_settings_are_named() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("vesta.toml");
    std::fs::write(&file, "max-body = \"8MB\"\nbnid = \"127.0.0.1:1\"\n").expect("writes");
    let output = vesta(&["--config", &file.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("bnid"), "{:?}", output);
    assert_eq!(vesta(&["--max-body", "much"]).status.code(), Some(2));
    assert_eq!(vesta(&["--tls-cert", "x.pem"]).status.code(), Some(2));
    assert_eq!(vesta(&["--no-such-flag"]).status.code(), Some(2));
}

#[test]
fn help_names_the_variables_and_gives_examples() {
    let output = vesta(&["--help"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for part in ["VESTA_BIND", "[default: 127.0.0.1:8080]", "Examples:", "import", "export", "--allow-open-access"] {
        assert!(text.contains(part), "{part} is missing");
    }
}
