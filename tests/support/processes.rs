//! Server processes of their own: the program itself, told to serve on a free port, with its log in a file.

use super::{Answer, Client};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

/// The base that all processes on one database tell their clients, as if they stood behind one proxy.
pub const BASE: &str = "http://fhir.example.org/fhir";

/// A running server process; killed when this is dropped.
pub struct Process {
    child: Child,
    /// What was said on standard output until it served.
    pub greeting: String,
    client: Client,
    folder: tempfile::TempDir,
}

impl Process {
    /// Starts one on a database.
    pub fn start(uri: &str, arguments: &[&str]) -> Process {
        let folder = tempfile::tempdir().expect("a directory");
        let log = std::fs::File::create(folder.path().join("log")).expect("a file");
        // Free at this moment; whoever takes it meanwhile makes the start fail.
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
        let address = free.to_string();
        let mut child = vesta(uri)
            .args(["--bind", &address, "--base-url", BASE, "--workers", "2", "--log-requests", "false"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("standard output")).lines();
        let mut greeting = String::new();
        for line in lines.by_ref().map_while(Result::ok) {
            let last = line.contains("Stop with Ctrl-C");
            greeting.push_str(&line);
            greeting.push('\n');
            if last {
                break;
            }
        }
        let log = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();
        assert!(greeting.contains("Stop with"), "it does not serve: {greeting}\n{}", log());
        let client = Client::new(&format!("http://{address}/fhir"));
        Process { child, greeting, client, folder }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a lost machine would.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).expect("a log")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The token that is shown on the first start.
    pub fn first_token(&self) -> String {
        let line = self.greeting.lines().find_map(|line| line.trim().strip_prefix("TOKEN="));
        line.expect("a token").to_owned()
    }

    /// A request with a token.
    pub fn with_token(&self, method: &str, path: &str, token: &str, body: Option<&serde_json::Value>) -> Answer {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/fhir+json")];
        let body = body.map(|body| serde_json::to_vec(body).expect("JSON"));
        self.client.send(method, path, &headers[..if body.is_some() { 2 } else { 1 }], body.as_deref())
    }
}

impl std::ops::Deref for Process {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of process {}:\n{}", self.id(), self.log());
        }
    }
}

fn vesta(uri: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesta"));
    command.env_remove("VESTA_STORE").args(["--store", uri]);
    command
}

/// Runs a command of the program on a database.
pub fn run(uri: &str, arguments: &[&str]) -> Output {
    let output = vesta(uri).args(["--base-url", BASE]).args(arguments).output().expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {told}");
    output
}

/// Runs a command that has to fail; gives what it says.
pub fn refused(uri: &str, arguments: &[&str]) -> String {
    let output = vesta(uri).args(["--base-url", BASE]).args(arguments).output().expect("the program runs");
    assert!(!output.status.success(), "{arguments:?} was not refused: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}
