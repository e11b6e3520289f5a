//! Stands between a server and the outside terminology server that it asks: notes what is asked, passes it on, or hangs up.

use crate::support::Client;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What was asked: the address without the host, and the body.
pub type Asked = (String, String);

struct State {
    behind: String,
    asked: Mutex<Vec<Asked>>,
    hangs_up: AtomicBool,
    stopped: AtomicBool,
}

/// A terminology server with an ear.
pub struct Between {
    pub base: String,
    state: Arc<State>,
}

impl Between {
    /// Before the server with this base.
    pub fn before(behind: &str) -> Between {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let base = format!("http://{}/fhir", listener.local_addr().expect("its address"));
        let state = Arc::new(State {
            behind: behind.to_owned(),
            asked: Mutex::default(),
            hangs_up: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let state = shared.clone();
                std::thread::spawn(move || {
                    if !state.hangs_up.load(Ordering::SeqCst) {
                        let _ = state.answer(stream);
                    }
                });
            }
        });
        Between { base, state }
    }

    /// What was asked since the last time, in the order of arrival.
    pub fn heard(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether whoever calls is cut off.
    pub fn hangs_up(&self, hangs_up: bool) {
        self.state.hangs_up.store(hangs_up, Ordering::SeqCst);
    }
}

impl Drop for Between {
    fn drop(&mut self) {
        self.state.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.base.split('/').nth(2).unwrap_or_default());
    }
}

impl State {
    /// Answers one request and closes the connection.
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let text = String::from_utf8_lossy(&body).into_owned();
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push((path.to_owned(), text));
        let headers = [("content-type", "application/fhir+json"), ("accept", "application/fhir+json")];
        let client = Client::new(&self.behind);
        let answer = client.send(method, path, &headers, Some(&body).filter(|b| !b.is_empty()).map(|b| &**b));
        let mut stream = stream;
        write!(
            stream,
            "HTTP/1.1 {} X\r\ncontent-type: application/fhir+json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            answer.status,
            answer.body.len()
        )?;
        stream.write_all(&answer.body)
    }
}

/// All texts in what was posted, without names of properties: what the other learned.
pub fn learned(asked: &[Asked]) -> Vec<String> {
    fn texts(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::String(text) => into.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| texts(item, into)),
            Value::Object(entries) => entries.values().for_each(|value| texts(value, into)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    for (_, body) in asked {
        texts(&serde_json::from_str(body).unwrap_or_default(), &mut all);
    }
    all.sort();
    all.dedup();
    all
}
