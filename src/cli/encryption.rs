//! `vesta encryption on|off|rotate`: encrypts a store that is plain, decrypts one, or gives it another master key. The
//! server must not be running on the same data directory.

use super::fault::Fault;
use super::settings::Settings;
use super::wire;
use crate::audit::Event;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};

/// What is done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Encrypt everything that is stored with the key of --encryption-key
    ///
    /// Makes a second copy meanwhile. The old, plain file is deleted, not overwritten: what lies on the disk where it
    /// was is the business of the disk.
    On,
    /// Decrypt everything that is stored
    Off,
    /// Give the store another key; the old one, that of --encryption-key, opens it no more
    Rotate {
        /// The new key: file:PATH, env:NAME or command:COMMAND
        #[arg(long, value_name = "KEY")]
        new_key: String,
    },
}

/// Runs one of the commands.
pub fn run(settings: &Settings, command: &Command) -> Result<(), Fault> {
    wire::is_directory(settings)?;
    wire::filled(settings)?;
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {pos} of {len} versions, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut progress = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let mut after = settings.clone();
    let (done, told) = match command {
        Command::On => ("on", format!("{} versions are encrypted now", wire::convert(settings, true, &mut progress)?)),
        Command::Off => {
            let versions = wire::convert(settings, false, &mut progress)?;
            after.encryption_key = None;
            ("off", format!("{versions} versions are not encrypted any more"))
        }
        Command::Rotate { new_key } => {
            let fingerprint = wire::rotate(settings, new_key)?;
            after.encryption_key = Some(new_key.clone());
            (
                "rotate",
                format!("the store is opened by the key with the fingerprint {fingerprint} now, and by no other"),
            )
        }
    };
    bar.finish_and_clear();
    // What was done stands, even if it cannot be told.
    wire::record_at(&after, Event::administration(done, "encryption", &settings.place()))?;
    println!("{told}");
    Ok(())
}
