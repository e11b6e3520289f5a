//! What all requests of a server share: the service, the addresses, the bounds, the counters. Made once at the start.

use super::encoding::Kept;
use super::forwarded::{self, Network};
use super::held::Held;
use super::limits::Limits;
use super::metrics::Metrics;
use super::openapi;
use crate::authorization::Authorization;
use crate::definitions::Definitions;
use crate::interaction::Service;
use actix_web::HttpRequest;
use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap};
use bytes::Bytes;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Certificate chain and private key, both PEM files.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The certificate and those between it and the root.
    pub certificates: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// How a server is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Whether it may listen where other machines can reach it, though access control is off.
    pub allow_open_access: bool,
    /// Path of the FHIR base, such as `/fhir`; empty for the root.
    pub base_path: String,
    /// The FHIR base as clients see it, where that cannot be told from the request (behind a proxy).
    pub base_url: Option<String>,
    /// Proxies whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<Network>,
    /// TLS, or none.
    pub tls: Option<TlsFiles>,
    /// Where the metrics are served, or nowhere.
    pub metrics: Option<SocketAddr>,
    /// Worker threads; 0: one for each processor.
    pub workers: usize,
    /// Bounds of a request.
    pub limits: Limits,
    /// How long requests in flight may go on after the order to stop.
    pub grace: Duration,
    /// Whether a line is logged for each request, and not only for those that failed.
    pub log_requests: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_open_access: false,
            base_path: "/fhir".into(),
            base_url: None,
            trusted_proxies: Vec::new(),
            tls: None,
            metrics: None,
            workers: 0,
            limits: Limits::default(),
            grace: Duration::from_secs(30),
            log_requests: false,
        }
    }
}

/// What all requests share.
pub struct Site {
    /// Answers the interactions.
    pub service: Arc<Service>,
    /// Knows who asks; none where access control is off.
    pub authorization: Option<Arc<Authorization>>,
    /// The definitions, for XML and the OpenAPI document.
    pub definitions: Arc<Definitions>,
    /// The options.
    pub options: Options,
    /// The counters.
    pub metrics: Metrics,
    /// The bodies of all requests.
    pub held: Arc<Held>,
    /// Bodies that may be unpacked at the same time: one for each processor, for more would only need more memory.
    pub unpacking: Arc<Semaphore>,
    /// Packed forms of what the server declares.
    pub packed: Kept,
    /// The port, once it is taken.
    pub port: OnceLock<u16>,
    stopping: AtomicBool,
    openapi: OnceLock<Bytes>,
}

impl Site {
    /// The shared part of a server.
    pub fn new(
        service: Arc<Service>,
        authorization: Option<Arc<Authorization>>,
        definitions: Arc<Definitions>,
        mut options: Options,
    ) -> Self {
        let path = options.base_path.trim_matches('/');
        options.base_path = if path.is_empty() { String::new() } else { format!("/{path}") };
        options.base_url = options.base_url.map(|url| url.trim_end_matches('/').to_owned());
        let held = Held::new(options.limits.bodies);
        Site {
            service,
            authorization,
            definitions,
            held,
            options,
            metrics: Metrics::default(),
            unpacking: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(2, usize::from))),
            packed: Kept::default(),
            port: OnceLock::new(),
            stopping: AtomicBool::new(false),
            openapi: OnceLock::new(),
        }
    }

    /// Whether the server has been told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    /// From now on new requests are refused.
    pub fn begin_to_stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    /// The OpenAPI document as JSON; made when it is first asked for.
    pub fn openapi(&self) -> Bytes {
        let described = openapi::Described {
            definitions: &self.definitions,
            base_path: &self.options.base_path,
            trail: self.service.keeps_events(),
            guarded: self.authorization.is_some(),
        };
        self.openapi.get_or_init(|| openapi::document(described).into()).clone()
    }

    /// Where a request comes from.
    pub fn remote(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr().map(|peer| peer.ip());
        forwarded::remote(peer, request.headers(), &self.options.trusted_proxies)
    }

    /// The FHIR base as the client sees it, without a slash at the end: the configured one, else by the Host header.
    /// `None` if that header holds what no host name does.
    pub fn base(&self, headers: &HeaderMap, uri: &Uri) -> Option<String> {
        if let Some(url) = &self.options.base_url {
            return Some(url.clone());
        }
        let scheme = if self.options.tls.is_some() { "https://" } else { "http://" };
        let path = &self.options.base_path;
        let named = headers.get(HOST).map(|h| h.as_bytes()).or(uri.authority().map(|a| a.as_str().as_bytes()));
        let Some(host) = named else {
            return Some(format!("{scheme}{}{path}", self.options.bind));
        };
        let host = std::str::from_utf8(host).ok().filter(|h| is_host(h))?;
        let mut base = String::with_capacity(scheme.len() + host.len() + path.len());
        base.push_str(scheme);
        base.push_str(host);
        base.push_str(path);
        Some(base)
    }

    /// The FHIR base by a name that is certainly ours, whatever the Host header says: tokens are made for it. Without
    /// a configured one the server listens on loopback only, and then it is one of the names of this machine.
    pub fn own_base(&self, headers: &HeaderMap, uri: &Uri) -> String {
        if let Some(url) = &self.options.base_url {
            return url.clone();
        }
        let scheme = if self.options.tls.is_some() { "https" } else { "http" };
        let (path, bind) = (&self.options.base_path, self.options.bind);
        let port = self.port.get().copied().unwrap_or(bind.port());
        let local = format!("localhost:{port}");
        // HTTP/2 has the name in the address.
        let named = headers.get(HOST).and_then(|host| host.to_str().ok()).or(uri.authority().map(|a| a.as_str()));
        if bind.ip().is_loopback() && named.is_some_and(|host| host.eq_ignore_ascii_case(&local)) {
            return format!("{scheme}://{local}{path}");
        }
        format!("{scheme}://{}{path}", SocketAddr::new(bind.ip(), port))
    }
}

/// Whether a text can be a host name or address with or without a port.
fn is_host(text: &str) -> bool {
    (1..=255).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'_' | b'[' | b']'))
}
