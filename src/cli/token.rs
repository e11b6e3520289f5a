//! `vesta token`: an access token for a user without an app, for whoever works at the command line of the machine that
//! has the data anyway.

use super::client::{print, refused, runtime};
use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::Event;
use clap::Args;

/// A token.
#[derive(Debug, Args)]
pub struct Wanted {
    /// The name that the user signs in with
    user: String,
}

/// Runs the command.
pub fn run(settings: &Settings, wanted: &Wanted) -> Result<(), Fault> {
    let mut authorization = wire::authorization(settings)?;
    let event = Event::token("", "command line").user(&wanted.user);
    authorization.records = wire::telling(&authorization.service, settings, event.clone());
    let base = settings.bases().pop().unwrap_or_default();
    runtime()?.block_on(async {
        match authorization.first_token(&wanted.user, &base).await.map_err(refused)? {
            Some(token) => {
                wire::told(&authorization.service, settings, &authorization.records, event).await?;
                print(&token)
            }
            None => Err(Fault::Store(format!("there is no user '{}'", wanted.user))),
        }
    })
}
