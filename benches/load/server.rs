//! The server under test: started as a process of its own on a fresh directory or database, stopped at the end.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub struct Server {
    child: Child,
    data: tempfile::TempDir,
    /// FHIR base URL.
    pub base: String,
    /// The access token that it printed at its first start, where it has access control.
    pub token: Option<String>,
    /// From starting the process to the line that names the base.
    pub started_in: Duration,
}

impl Server {
    /// Starts the binary with a data directory of its own (below `VESTA_BENCH_DIR` or the temporary directory),
    /// or on a database, with open access unless the settings say otherwise.
    pub fn start(binary: &str, database: Option<&str>, settings: &[&str]) -> Result<Server, String> {
        let below = std::env::var_os("VESTA_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
        let data = tempfile::tempdir_in(below).map_err(|e| e.to_string())?;
        let begun = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--bind", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .args(["--log-level", "warn", "--store", database.unwrap_or("embedded")])
            .args(if settings.contains(&"--auth") { &[][..] } else { &["--auth", "off"] })
            .args(settings)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{binary}: {e}"))?;
        let out = child.stdout.take().ok_or("no output")?;
        let mut lines = BufReader::new(out);
        let mut line = String::new();
        let base = loop {
            line.clear();
            if lines.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
                return Err("the server ended before it said its base URL".to_owned());
            }
            if let Some(at) = line.find("http://") {
                break line[at..].split_whitespace().next().unwrap_or_default().trim_end_matches('/').to_owned();
            }
        };
        let started_in = begun.elapsed();
        let mut token = None;
        while settings.contains(&"--auth") && token.is_none() {
            line.clear();
            if lines.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
                return Err("the server ended before it printed a token".to_owned());
            }
            token = line.trim().strip_prefix("TOKEN=").map(str::to_owned);
        }
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            let _ = lines.read_to_end(&mut rest);
        });
        Ok(Server { child, data, base, token, started_in })
    }

    /// Stops the process for a while, or lets it go on.
    pub fn pause(&self, paused: bool) -> Result<(), String> {
        let signal = if paused { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        sent.map_err(|e| e.to_string())?.success().then_some(()).ok_or_else(|| format!("kill {signal} failed"))
    }

    /// CPU time used so far, user and system.
    pub fn cpu(&self) -> Duration {
        cpu_of(self.child.id())
    }

    /// Resident memory in MB.
    pub fn resident_mb(&self) -> u64 {
        std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .unwrap_or_default()
            .lines()
            .find_map(|l| l.strip_prefix("VmRSS:"))
            .and_then(|l| l.trim().trim_end_matches(" kB").trim().parse::<u64>().ok())
            .unwrap_or(0)
            / 1024
    }

    /// Bytes that the data directory takes on disk.
    pub fn disk_bytes(&self) -> u64 {
        fn size(dir: &Path) -> u64 {
            use std::os::unix::fs::MetadataExt;
            std::fs::read_dir(dir).into_iter().flatten().flatten().fold(0, |sum, entry| {
                let Ok(meta) = entry.metadata() else { return sum };
                sum + if meta.is_dir() { size(&entry.path()) } else { meta.blocks() * 512 }
            })
        }
        size(self.data.path())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process, user and system, from `/proc` (ticks of 10 ms).
pub fn cpu_of(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|f| f.parse().ok())
        .collect();
    Duration::from_millis(fields.iter().sum::<u64>() * 10)
}
