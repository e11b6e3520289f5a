//! `vesta serve`: opens the store, takes the ports, says where to go, and serves until it is told to stop.

use super::aside;
use super::fault::Fault;
use super::settings::Settings;
use super::wire::{self, Wired};
use crate::audit::Event;
use crate::authorization::Authorization;
use crate::authorization::first::{First, SAMPLE};
use crate::base::{Failure, TenantId};
use crate::http::{Server, commands, told_to_stop};
use crate::interaction::{Context, Service};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often what is over is taken away.
const SWEEPING: Duration = Duration::from_secs(60);

/// Serves.
pub fn run(settings: &Settings) -> Result<(), Fault> {
    let Wired { service, definitions, authorization, .. } = wire::open(settings)?;
    actix_web::rt::System::new().block_on(async {
        if let Err(failure) = service.keep_page_links().await {
            tracing::warn!(%failure, "page links will not outlive this process");
        }
        let following = service.clone();
        actix_web::rt::spawn(async move { following.follow().await });
        if settings.database().is_none() {
            let own = (service.clone(), settings.clone());
            let record = move |event| {
                let (service, settings) = own.clone();
                async move { wire::record(&service, &settings, event).await }
            };
            actix_web::rt::spawn(aside::listen(settings.data().to_owned(), record));
        }
        let shared = authorization.clone();
        let told = service.clone();
        let server = Server::bind(service, authorization, definitions, settings.http()).map_err(bind_failed)?;
        let first = match &shared {
            Some(authorization) => {
                let first = begin(authorization, &server.base()).await.map_err(|f| Fault::Store(f.to_string()))?;
                actix_web::rt::spawn(sweep(authorization.clone(), settings.job_lease()));
                let following = authorization.clone();
                actix_web::rt::spawn(async move { following.follow().await });
                first
            }
            None => None,
        };
        let base = server.base();
        tell(&told, &base, "start").await?;
        greet(&server, settings, shared.is_some(), first.as_ref());
        let ended = server.run(told_to_stop()).await.map_err(Fault::Server);
        tell(&told, &base, "stop").await?;
        ended
    })
}

/// Tells the audit trail that the server starts or stops. A server that is killed tells nothing; its next start shows
/// it.
async fn tell(service: &Service, base: &str, what: &'static str) -> Result<(), Fault> {
    let context = Context::open(TenantId::default(), base);
    let event = Event::administration(what, "server", env!("CARGO_PKG_VERSION"));
    service.record(&context, event).await.map_err(|failure| Fault::Store(failure.to_string()))
}

/// Makes what an authorization server cannot be without: signing keys, and on the first start an administrator, an app
/// to try and a token to begin with.
async fn begin(authorization: &Authorization, base: &str) -> Result<Option<First>, Failure> {
    authorization.jwks().await?;
    authorization.people.warm_up().await?;
    authorization.first_start(base).await
}

/// Takes away what is over, for as long as the server runs. Of several server processes one does it.
async fn sweep(authorization: Arc<Authorization>, length: Duration) {
    let process = format!("{}-{}", std::process::id(), uuid::Uuid::new_v4().simple());
    let lease = authorization.lease("sweep", &process, length);
    let (mut held, mut swept) = (false, Instant::now());
    loop {
        actix_web::rt::time::sleep(length / 3).await;
        match lease.hold().await {
            Ok(now) if now != held => {
                held = now;
                tracing::info!(job = "sweep", held, "the job has changed hands");
            }
            Ok(_) => {}
            Err(error) => {
                held = false;
                tracing::warn!(%error, "the lease on a job could not be renewed");
            }
        }
        if held && swept.elapsed() >= SWEEPING {
            swept = Instant::now();
            if let Err(failure) = authorization.sweep().await {
                tracing::warn!(%failure, "what is over could not be taken away");
            }
        }
    }
}

fn bind_failed(error: std::io::Error) -> Fault {
    match error.kind() {
        std::io::ErrorKind::AddrInUse | std::io::ErrorKind::InvalidInput => Fault::Settings(error.to_string()),
        _ => Fault::Server(error),
    }
}

/// What stands on standard output once requests are answered. Nobody has to read it: a closed pipe is no fault.
fn greet(server: &Server, settings: &Settings, guarded: bool, first: Option<&First>) {
    let base = server.base();
    let root = base.split('/').take(3).collect::<Vec<_>>().join("/");
    let mut text = format!(
        "Vesta {} serves FHIR R4 (4.0.1)\n\n  FHIR base  {base}\n  browse     {root}/docs/\n  data       {}{}\n  audit      {}\n",
        env!("CARGO_PKG_VERSION"),
        settings.place(),
        if settings.encryption_key.is_some() { ", encrypted" } else { "" },
        settings.audit_level().name(),
    );
    if let Some(at) = server.metrics_address() {
        text.push_str(&format!("  metrics    http://{at}/metrics\n"));
    }
    if guarded {
        text.push_str(&format!("  sign in    {root}/auth/sign-in\n"));
    } else {
        text.push_str("\nAccess control is off: whoever reaches this port may do everything.\n");
    }
    if let Some(First { name, password, token }) = first {
        text.push_str(&format!(
            "\nThere was no user, so that there is an administrator now. This is shown only once:\n  user       {name}\n  \
             password   {password}\n  app        {SAMPLE} is registered for http://localhost:8000/ and \
             http://localhost:9123/app.html (docs/smart/README.md)\n\n\
             Try next, with a token that holds for an hour:\n  TOKEN={token}\n"
        ));
    } else if guarded {
        text.push_str(
            "\nTry next (a token comes from an app, or, while the server is stopped, from vesta token NAME):\n",
        );
    } else {
        text.push_str("\nTry next:\n");
    }
    for line in commands(&base, guarded).lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text.push_str("\nStop with Ctrl-C.\n");
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
