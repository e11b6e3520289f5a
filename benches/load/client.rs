//! A plain HTTP/1.1 client on keep-alive connections, closed and open loops, and what they measured.

use crate::server::Server;
use crate::workload::{Call, Workload};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    host: String,
    path: String,
    /// The header with the access token, where there is one.
    authorization: String,
}

/// Status and body of an answer.
pub struct Answer<'c> {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: &'c [u8],
}

impl Connection {
    /// Connects to `http://host:port/path`, to send an access token with each request.
    pub async fn open(base: &str, token: Option<&str>) -> Result<Connection, String> {
        let rest = base.strip_prefix("http://").ok_or("only http:// is measured")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let stream = TcpStream::connect(host).await.map_err(|e| format!("{host}: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        Ok(Connection { stream, buffer: Vec::with_capacity(1 << 16), host: host.to_owned(), path, authorization })
    }

    /// Sends one request and reads its answer whole.
    pub async fn send(&mut self, call: &Call) -> Result<Answer<'_>, String> {
        let mut head = format!(
            "{} {}{} HTTP/1.1\r\nHost: {}\r\nAccept: application/fhir+json\r\n{}",
            call.method, self.path, call.target, self.host, self.authorization
        );
        if let Some(body) = &call.body {
            head.push_str(&format!("Content-Type: application/fhir+json\r\nContent-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(call.body.as_deref().unwrap_or_default().as_bytes());
        self.stream.write_all(&bytes).await.map_err(|e| format!("sending: {e}"))?;
        self.buffer.clear();
        let (status, start, length) = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end]).to_ascii_lowercase();
                let status = head.get(9..12).and_then(|s| s.parse().ok()).ok_or("no status")?;
                let length = head
                    .lines()
                    .find_map(|l| l.strip_prefix("content-length:"))
                    .map_or(Some(0), |l| l.trim().parse().ok())
                    .ok_or("no length")?;
                break (status, end + 4, length);
            }
            self.fill().await?;
        };
        while self.buffer.len() < start + length {
            self.fill().await?;
        }
        Ok(Answer { status, body: &self.buffer[start..start + length] })
    }

    async fn fill(&mut self) -> Result<(), String> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(_) => Ok(()),
            Err(e) => Err(format!("reading: {e}")),
        }
    }
}

fn token_of(server: Option<&Server>) -> Option<String> {
    server?.token.clone()
}

/// What a loop measured.
pub struct Measured {
    /// Requests a second (times [`Workload::weight`] for rows that count resources).
    pub rate: f64,
    /// CPU time of the server for one request, in microseconds.
    pub cpu_micros: Option<f64>,
    /// Sorted latencies in microseconds.
    latencies: Vec<u32>,
}

impl Measured {
    fn new(mut latencies: Vec<u32>, seconds: f64, cpu: Option<Duration>) -> Measured {
        latencies.sort_unstable();
        let count = latencies.len().max(1) as f64;
        Measured { rate: count / seconds, cpu_micros: cpu.map(|c| c.as_secs_f64() * 1e6 / count), latencies }
    }

    fn quantile(&self, q: f64) -> f64 {
        let at = ((self.latencies.len() as f64 * q) as usize).min(self.latencies.len().saturating_sub(1));
        f64::from(self.latencies.get(at).copied().unwrap_or(0)) / 1000.0
    }

    /// One row of the table.
    pub fn print(&self, workload: &Workload, connections: &str, fixed: f64) {
        let weight = workload.weight as f64;
        println!(
            "{:<34} {:>5} {:>10.0} {:>10.1} {:>9.2} {:>9.2} {:>7.0}%",
            workload.name,
            connections,
            self.rate * weight,
            self.cpu_micros.map_or(f64::NAN, |c| c / weight),
            self.quantile(0.5),
            self.quantile(0.99),
            100.0 * self.rate / fixed
        );
    }
}

/// Each connection sends its next request when the answer to the last has come.
pub async fn closed_loop(
    base: &str,
    workload: &'static Workload,
    connections: usize,
    slice: Duration,
    server: Option<&Server>,
) -> Result<Measured, String> {
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let local = tokio::task::LocalSet::new();
    let before = server.map(Server::cpu);
    let start = Instant::now();
    let tasks = local
        .run_until(async {
            let tasks: Vec<_> = (0..connections)
                .map(|n| {
                    let (base, token, latencies) = (base.to_owned(), token_of(server), latencies.clone());
                    tokio::task::spawn_local(async move {
                        let mut connection = Connection::open(&base, token.as_deref()).await?;
                        let mut calls = workload.calls(n as u64);
                        while start.elapsed() < slice {
                            let call = calls.next();
                            let sent = Instant::now();
                            let answer = connection.send(&call).await?;
                            latencies.borrow_mut().push(sent.elapsed().as_micros() as u32);
                            call.check(&answer)?;
                        }
                        Ok::<(), String>(())
                    })
                })
                .collect();
            let mut results = Vec::new();
            for task in tasks {
                results.push(task.await.map_err(|e| e.to_string()));
            }
            results
        })
        .await;
    let seconds = start.elapsed().as_secs_f64();
    for result in tasks {
        result??;
    }
    let cpu = server.zip(before).map(|(s, b)| s.cpu() - b);
    Ok(Measured::new(latencies.take(), seconds, cpu))
}

/// Requests are due at fixed moments whether or not earlier answers have come; latency counts from the due moment.
pub async fn open_loop(
    base: &str,
    workload: &'static Workload,
    rate: f64,
    slice: Duration,
    server: Option<&Server>,
) -> Result<Measured, String> {
    const CONNECTIONS: usize = 64;
    let latencies = Rc::new(RefCell::new(Vec::new()));
    let next = Rc::new(std::cell::Cell::new(0u64));
    let local = tokio::task::LocalSet::new();
    let before = server.map(Server::cpu);
    let start = Instant::now();
    let results = local
        .run_until(async {
            let tasks: Vec<_> = (0..CONNECTIONS)
                .map(|n| {
                    let (base, token) = (base.to_owned(), token_of(server));
                    let (latencies, next) = (latencies.clone(), next.clone());
                    tokio::task::spawn_local(async move {
                        let mut connection = Connection::open(&base, token.as_deref()).await?;
                        let mut calls = workload.calls(1000 + n as u64);
                        loop {
                            let due = start + Duration::from_secs_f64(next.get() as f64 / rate);
                            if due.duration_since(start) >= slice {
                                return Ok::<(), String>(());
                            }
                            next.set(next.get() + 1);
                            if due > Instant::now() {
                                tokio::time::sleep_until(due.into()).await;
                            }
                            let call = calls.next();
                            let answer = connection.send(&call).await?;
                            latencies.borrow_mut().push(due.elapsed().as_micros() as u32);
                            call.check(&answer)?;
                        }
                    })
                })
                .collect();
            let mut results = Vec::new();
            for task in tasks {
                results.push(task.await.map_err(|e| e.to_string()));
            }
            results
        })
        .await;
    let seconds = start.elapsed().as_secs_f64();
    for result in results {
        result??;
    }
    let cpu = server.zip(before).map(|(s, b)| s.cpu() - b);
    Ok(Measured::new(latencies.take(), seconds, cpu))
}
