//! The server: its ports, and stopping without dropping anybody. Knows no FHIR.

use super::listener::listen;
use super::metrics::indexing_metrics;
use super::site::{Options, Site};
use crate::authorization::Authorization;
use crate::definitions::Definitions;
use crate::interaction::Service;
use actix_web::dev::{Server as ActixServer, ServerHandle};
use actix_web::http::header;
use actix_web::{App, HttpResponse, HttpServer, web};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A server that has its ports and begins to answer when it is run.
pub struct Server {
    site: Arc<Site>,
    web: ActixServer,
    metrics: Option<ActixServer>,
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
}

impl Server {
    /// Takes the ports. Must be called within an actix system (`actix_web::rt::System`).
    pub fn bind(
        service: Arc<Service>,
        authorization: Option<Arc<Authorization>>,
        definitions: Arc<Definitions>,
        options: Options,
    ) -> io::Result<Server> {
        match authorization {
            Some(_) => refuse_nameless(&options)?,
            None => refuse_open_access(&options)?,
        }
        options.base_url.as_deref().map_or(Ok(()), refuse_bad_base)?;
        let site = Arc::new(Site::new(service, authorization, definitions, options));
        let (web, address) = listen(&site).map_err(|e| taken(e, site.options.bind, "--bind"))?;
        let _ = site.port.set(address.port());
        let (metrics, metrics_address) = match site.options.metrics {
            Some(at) => {
                let listening = listen_for_metrics(&site, at).map_err(|e| taken(e, at, "--metrics-bind"))?;
                (Some(listening.0), Some(listening.1))
            }
            None => (None, None),
        };
        Ok(Server { site, web, metrics, address, metrics_address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where the metrics are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// The FHIR base, as it is from this machine or as it was configured.
    pub fn base(&self) -> String {
        let scheme = if self.site.options.tls.is_some() { "https" } else { "http" };
        let here = format!("{scheme}://{}{}", self.address, self.site.options.base_path);
        self.site.options.base_url.clone().unwrap_or(here)
    }

    /// Answers requests until `stop` is ready. Then new requests get 503, those in flight may end within the grace
    /// period, and the ports are given back.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let Server { site, web, metrics, .. } = self;
        let mut handles = vec![web.handle()];
        let mut running = vec![actix_web::rt::spawn(web)];
        if let Some(metrics) = metrics {
            handles.push(metrics.handle());
            running.push(actix_web::rt::spawn(metrics));
        }
        stop.await;
        tracing::info!(in_flight = site.metrics.in_flight(), "stopping");
        drain(&site).await;
        end(&handles).await;
        for task in running {
            task.await.map_err(io::Error::other)??;
        }
        tracing::info!("stopped");
        Ok(())
    }
}

/// Tokens are made for a name of this server; where others can reach it, that name must not come from a request.
fn refuse_nameless(options: &Options) -> io::Result<()> {
    if options.bind.ip().is_loopback() || options.base_url.is_some() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!(
            "{} can be reached from other machines, so Vesta has to know the address they use: say \
             --base-url https://fhir.example.org/fhir",
            options.bind
        ),
    ))
}

/// Without access control whoever can reach the port can read and write everything.
fn refuse_open_access(options: &Options) -> io::Result<()> {
    if options.bind.ip().is_loopback() || options.allow_open_access {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!(
            "{} can be reached from other machines, and access control is off: everybody there could read and change \
             all data. Bind to 127.0.0.1, or, if something in front of Vesta controls access, say \
             --allow-open-access",
            options.bind
        ),
    ))
}

/// Says which port is not to be had, and how to choose another.
fn taken(error: io::Error, at: SocketAddr, flag: &str) -> io::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            let why = format!("{at} is in use by another program; choose another port with {flag}");
            io::Error::new(error.kind(), why)
        }
        io::ErrorKind::AddrNotAvailable => io::Error::new(error.kind(), format!("{at} is no address of this machine")),
        _ => error,
    }
}

/// All links are made of this address; better none than wrong ones.
fn refuse_bad_base(url: &str) -> io::Result<()> {
    let legal = url.parse::<actix_web::http::Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
            && !url.contains('#')
    });
    match legal {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("'{url}' is no base URL; it looks like https://fhir.example.org/r4"),
        )),
    }
}

fn listen_for_metrics(site: &Arc<Site>, at: SocketAddr) -> io::Result<(ActixServer, SocketAddr)> {
    let shared = site.clone();
    let server = HttpServer::new(move || {
        let site = shared.clone();
        App::new().route(
            "/metrics",
            web::get().to(move || {
                let text = site.metrics.write() + &indexing_metrics(site.service.indexing_progress());
                async move {
                    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4")).body(text)
                }
            }),
        )
    })
    .disable_signals()
    .workers(1)
    .shutdown_timeout(1)
    .bind(at)?;
    let address = server.addrs().first().copied().unwrap_or(at);
    Ok((server.run(), address))
}

/// Waits until nothing is in flight, at most for the grace period. Whoever comes in that time gets 503.
async fn drain(site: &Site) {
    site.begin_to_stop();
    let began = Instant::now();
    while site.metrics.in_flight() > 0 && began.elapsed() < site.options.grace {
        actix_web::rt::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn end(handles: &[ServerHandle]) {
    for handle in handles {
        handle.stop(true).await;
    }
}

/// Ready when the process is told to stop: SIGTERM, SIGINT, or Ctrl-C where there are no signals.
pub async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let (Ok(mut term), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
