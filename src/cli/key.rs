//! `vesta key`: the keys that id_tokens are signed with. Private parts are never shown.

use super::client::{print, refused, runtime};
use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::Event;
use crate::authorization::keys::Algorithm;
use clap::{Subcommand, ValueEnum};

/// What is to be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// List the keys that are published
    List,
    /// Make a new key, which signs from now on; the one before stays published for two days
    Rotate {
        /// Which key
        #[arg(value_enum, default_value = "rs256")]
        algorithm: Which,
    },
}

/// An algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Which {
    Rs256,
    Es256,
}

/// Runs a command.
pub fn run(settings: &Settings, command: KeyCommand) -> Result<(), Fault> {
    let mut authorization = wire::authorization(settings)?;
    runtime()?.block_on(async {
        match command {
            KeyCommand::List => {
                for key in authorization.signing_keys().await.map_err(refused)? {
                    let state = match key.ends {
                        Some(end) => format!("published until {}", end.to_instant()),
                        None => "signs".to_owned(),
                    };
                    print(&format!("{}\t{}\t{}\t{state}", key.id, key.algorithm.name(), key.made.to_instant()))?;
                }
                Ok(())
            }
            KeyCommand::Rotate { algorithm } => {
                let algorithm = match algorithm {
                    Which::Rs256 => Algorithm::RS256,
                    Which::Es256 => Algorithm::ES256,
                };
                let event = Event::administration("rotate", "key", algorithm.name());
                authorization.records = wire::telling(&authorization.service, settings, event.clone());
                authorization.rotate_key(algorithm).await.map_err(refused)?;
                wire::told(&authorization.service, settings, &authorization.records, event).await
            }
        }
    })
}
