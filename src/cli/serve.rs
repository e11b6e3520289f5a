//! `vesta serve`: opens the store, takes the ports, says where to go, and serves until it is told to stop.

use super::fault::Fault;
use super::settings::Settings;
use super::wire::{self, Wired};
use crate::authorization::people::People;
use crate::base::Failure;
use crate::http::{Server, told_to_stop};
use std::io::Write;

/// Serves.
pub fn run(settings: &Settings) -> Result<(), Fault> {
    let Wired { service, definitions, authorization, .. } = wire::open(settings)?;
    actix_web::rt::System::new().block_on(async {
        let first = match &authorization {
            Some(authorization) => first_user(&authorization.people).await?,
            None => None,
        };
        let server = Server::bind(service, authorization, definitions, settings.http()).map_err(bind_failed)?;
        greet(&server, settings, first.as_ref());
        server.run(told_to_stop()).await.map_err(Fault::Server)
    })
}

/// Without any user an administrator is made; its password is shown now and never again.
async fn first_user(people: &People) -> Result<Option<(String, String)>, Fault> {
    let told = |failure: Failure| Fault::Store(failure.to_string());
    people.warm_up().await.map_err(told)?;
    people.first().await.map_err(told)
}

fn bind_failed(error: std::io::Error) -> Fault {
    match error.kind() {
        std::io::ErrorKind::AddrInUse | std::io::ErrorKind::InvalidInput => Fault::Settings(error.to_string()),
        _ => Fault::Server(error),
    }
}

/// What stands on standard output once requests are answered. Nobody has to read it: a closed pipe is no fault.
fn greet(server: &Server, settings: &Settings, first: Option<&(String, String)>) {
    let base = server.base();
    let root = base.split('/').take(3).collect::<Vec<_>>().join("/");
    let mut text = format!(
        "Vesta {} serves FHIR R4 (4.0.1)\n\n  FHIR base  {base}\n  browse     {root}/docs/\n  data       {}{}\n  audit      {}\n",
        env!("CARGO_PKG_VERSION"),
        settings.data().display(),
        if settings.encryption_key.is_some() { ", encrypted" } else { "" },
        settings.audit_level().name(),
    );
    if let Some(at) = server.metrics_address() {
        text.push_str(&format!("  metrics    http://{at}/metrics\n"));
    }
    if let Some((name, password)) = first {
        text.push_str(&format!(
            "\nThere was no user, so that there is an administrator now. The password is shown only this once:\n  user       \
             {name}\n  password   {password}\n  sign in    {root}/auth/sign-in\n"
        ));
    }
    text.push_str(&format!(
        "\nTry next:\n  curl '{base}/metadata?_pretty=true'\n  curl -X POST '{base}/Patient' \
         -H 'Content-Type: application/fhir+json' \\\n       \
         -d '{{\"resourceType\":\"Patient\",\"name\":[{{\"family\":\"Shaw\",\"given\":[\"Amy\"]}}],\"birthDate\":\"1987-02-20\"}}'\n  \
         curl '{base}/Patient?name=shaw&_pretty=true'\n\nStop with Ctrl-C.\n"
    ));
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
