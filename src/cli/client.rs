//! `vesta client`: the apps and backend services that may ask for tokens. Secrets are made here and shown once.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::Event;
use crate::authorization::Authorization;
use crate::authorization::client::{Client, ClientKind, ClientState};
use crate::authorization::{register, scope};
use crate::base::{Clock, Failure, SystemClock};
use clap::{Args, Subcommand, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

/// What is to be done with clients.
// What stands here is shown as help on the command line, where an address is an address.
#[allow(rustdoc::bare_urls)]
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Register an app or a backend service
    ///
    /// A backend service has no redirect URI and proves who it is with its own key:
    /// vesta client add loader --kind asymmetric --jwks-uri https://loader.example.org/jwks.json --scope system/*.rs
    Add(Added),
    /// List all clients
    List,
    /// Show one client
    Show {
        /// client_id
        id: String,
    },
    /// Approve a client that registered itself, or enable a disabled one
    Approve {
        /// client_id
        id: String,
    },
    /// Disable a client: its tokens end at once
    Disable {
        /// client_id
        id: String,
    },
    /// Give a client a new secret; the old one is worth nothing any more
    NewSecret {
        /// client_id
        id: String,
    },
    /// Delete a client and everything that was granted to it
    Delete {
        /// client_id
        id: String,
    },
}

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// Not at all: an app in a browser or on a telephone
    Public,
    /// By a secret, which is made and shown once
    Symmetric,
    /// By signatures with a key of its own
    Asymmetric,
}

/// A client to be added.
#[derive(Debug, Args)]
pub struct Added {
    /// client_id
    id: String,
    /// Name, as people see it [default: client_id]
    #[arg(long)]
    name: Option<String>,
    /// How it proves who it is
    #[arg(long, value_enum, default_value = "public")]
    kind: Kind,
    /// Where the browser may be led back to; can be given several times
    #[arg(long, value_name = "URL")]
    redirect_uri: Vec<String>,
    /// Where an EHR launch begins
    #[arg(long, value_name = "URL")]
    launch_uri: Option<String>,
    /// Origins of its pages beside those of the redirect URIs
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// File with its public keys (JSON Web Key Set)
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_uri")]
    jwks: Option<PathBuf>,
    /// Where its public keys are
    #[arg(long, value_name = "URL")]
    jwks_uri: Option<String>,
    /// The most that it may ask for
    #[arg(long, value_name = "SCOPES", default_value = USUAL)]
    scope: String,
}

const USUAL: &str = "openid fhirUser profile launch launch/patient launch/encounter offline_access online_access \
                     patient/*.cruds user/*.cruds";

/// Runs a command.
pub fn run(settings: &Settings, command: ClientCommand) -> Result<(), Fault> {
    let mut authorization = wire::authorization(settings)?;
    let event = administration(&command).map(|(done, id)| Event::administration(done, "client", &id));
    if let Some(event) = &event {
        authorization.records = wire::telling(&authorization.service, settings, event.clone());
    }
    runtime()?.block_on(async {
        perform(&authorization, command).await?;
        let Some(event) = event else { return Ok(()) };
        wire::told(&authorization.service, settings, &authorization.records, event).await
    })
}

/// What a command changes, for the audit trail.
fn administration(command: &ClientCommand) -> Option<(&'static str, String)> {
    let (done, id) = match command {
        ClientCommand::List | ClientCommand::Show { .. } => return None,
        ClientCommand::Add(added) => ("create", &added.id),
        ClientCommand::Approve { id } => ("approve", id),
        ClientCommand::Disable { id } => ("disable", id),
        ClientCommand::NewSecret { id } => ("new-secret", id),
        ClientCommand::Delete { id } => ("delete", id),
    };
    Some((done, id.clone()))
}

/// A runtime for a command.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Fault::Server)
}

pub(super) fn refused(failure: Failure) -> Fault {
    Fault::Store(failure.issues.first().map(|issue| issue.diagnostics.clone()).unwrap_or_default())
}

pub(super) fn print(text: &str) -> Result<(), Fault> {
    writeln!(std::io::stdout().lock(), "{text}").map_err(Fault::Server)
}

async fn perform(authorization: &Authorization, command: ClientCommand) -> Result<(), Fault> {
    match command {
        ClientCommand::Add(added) => add(authorization, added).await,
        ClientCommand::List => {
            for client in authorization.all_clients().await.map_err(refused)? {
                print(&line(&client))?;
            }
            Ok(())
        }
        ClientCommand::Show { id } => {
            let client = authorization.client(&id).await.map_err(refused)?.ok_or_else(|| unknown(&id))?;
            // The digests are of no use to anybody who reads.
            let shown = Client { secret: None, registration: None, ..(*client).clone() };
            print(&serde_json::to_string_pretty(&shown).map_err(|e| Fault::Store(e.to_string()))?)
        }
        ClientCommand::Approve { id } => change(authorization, &id, |c| c.state = ClientState::Active).await.map(drop),
        ClientCommand::Disable { id } => {
            change(authorization, &id, |client| client.state = ClientState::Disabled).await.map(drop)
        }
        ClientCommand::NewSecret { id } => {
            let mut with_secret = Client::new("", "", ClientKind::Symmetric);
            let made = with_secret.make_secret();
            let found = authorization.client(&id).await.map_err(refused)?.ok_or_else(|| unknown(&id))?;
            if found.kind != ClientKind::Symmetric {
                return Err(Fault::Settings(format!("'{id}' is not a client with a secret")));
            }
            change(authorization, &id, |client| client.secret.clone_from(&with_secret.secret)).await?;
            shown_once(&made)
        }
        ClientCommand::Delete { id } => match authorization.delete_client(&id).await.map_err(refused)? {
            true => authorization.revoke_client(&id).await.map_err(refused),
            false => Err(unknown(&id)),
        },
    }
}

async fn add(authorization: &Authorization, added: Added) -> Result<(), Fault> {
    let kind = match added.kind {
        Kind::Public => ClientKind::Public,
        Kind::Symmetric => ClientKind::Symmetric,
        Kind::Asymmetric => ClientKind::Asymmetric,
    };
    for uri in added.redirect_uri.iter().chain(&added.launch_uri) {
        register::check_redirect_uri(uri).map_err(|why| Fault::Settings(format!("{uri}: {}", why.description)))?;
    }
    let legal = added.id.len() <= 200 && added.id.bytes().all(|b| b.is_ascii_graphic());
    if added.id.is_empty() || !legal {
        return Err(Fault::Settings("a client_id has 1 to 200 visible ASCII characters".to_owned()));
    }
    let mut client = Client::new(&added.id, added.name.as_deref().unwrap_or(&added.id), kind);
    client.scopes = scope::list(&added.scope).map_err(|scope| Fault::Settings(format!("'{scope}' is no scope")))?;
    client.redirect_uris = added.redirect_uri;
    client.launch_uri = added.launch_uri;
    client.origins = added.origin;
    client.jwks_uri = added.jwks_uri;
    client.created = SystemClock.now().0 / 1_000_000;
    if let Some(file) = &added.jwks {
        let text = std::fs::read_to_string(file).map_err(|e| Fault::file(file, e))?;
        let keys = serde_json::from_str(&text).map_err(|e| Fault::Resource(format!("{}: {e}", file.display())))?;
        if !crate::authorization::keys_are_usable(&keys) {
            let why = "no public key for RS384 or ES384 with a kid is in it (or a private one)";
            return Err(Fault::Resource(format!("{}: {why}", file.display())));
        }
        client.jwks = Some(keys);
    }
    if kind == ClientKind::Asymmetric && client.jwks.is_none() && client.jwks_uri.is_none() {
        return Err(Fault::Settings("an asymmetric client needs --jwks or --jwks-uri".to_owned()));
    }
    if client.redirect_uris.is_empty() && kind != ClientKind::Asymmetric {
        return Err(Fault::Settings("an app needs --redirect-uri".to_owned()));
    }
    let made = (kind == ClientKind::Symmetric).then(|| client.make_secret());
    authorization.add_client(&client).await.map_err(refused)?;
    print(&format!("registered {}", client.id))?;
    made.map_or(Ok(()), |made| shown_once(&made))
}

fn shown_once(made: &str) -> Result<(), Fault> {
    print(&format!("client_secret {made}\n(shown only now; only a digest is kept)"))
}

async fn change(authorization: &Authorization, id: &str, change: impl Fn(&mut Client)) -> Result<Client, Fault> {
    let changed = authorization.change_client(id, change).await.map_err(refused)?;
    changed.ok_or_else(|| unknown(id))
}

fn unknown(id: &str) -> Fault {
    Fault::Store(format!("there is no client '{id}'"))
}

fn line(client: &Client) -> String {
    let kind = format!("{:?}", client.kind).to_lowercase();
    let state = format!("{:?}", client.state).to_lowercase();
    format!("{}\t{kind}\t{state}\t{}", client.id, client.name)
}
