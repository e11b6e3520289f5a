//! `vesta store`: what concerns the store itself, for those who look after it: its indexes in a database, and copying it
//! into another engine, directory, database or encryption.

use super::fault::Fault;
use super::progress::Steps;
use super::settings::Settings;
use super::wire;
use clap::Subcommand;

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// List the indexes that Vesta makes in a MongoDB database, besides those on _id; with --store mongodb://… also
    /// whether they are there, which others, and how many in all
    Indexes,
    /// Copy everything into a new store: history, change log, audit trail, accounts, keys, packages
    ///
    /// FROM and TO are directories or connection strings (mongodb://…). TO must be empty, or a copy of FROM that was
    /// ended: the same command goes on with it. Both sides are read again and compared at the end. What is written to
    /// FROM after the copy began is not in it: stop its servers first.
    Copy {
        /// Directory or connection string of what is copied
        from: String,
        /// Directory or connection string of the copy
        to: String,
        /// Key that opens FROM, if it is an encrypted directory: file:PATH, env:NAME or command:COMMAND [default:
        /// --encryption-key]
        #[arg(long, value_name = "KEY")]
        from_key: Option<String>,
        /// Encrypt TO, if it is a directory, with this key
        #[arg(long, value_name = "KEY")]
        to_key: Option<String>,
    },
}

/// Runs one of the commands.
pub fn run(settings: &Settings, command: &StoreCommand) -> Result<(), Fault> {
    match command {
        StoreCommand::Indexes => {
            for row in wire::indexes(settings)? {
                println!("{}", row.join("\t").trim_end());
            }
            Ok(())
        }
        StoreCommand::Copy { from, to, from_key, to_key } => {
            let from_key = from_key.as_deref().or(settings.encryption_key.as_deref());
            let mut steps = Steps::of("versions");
            let sides = [(from.as_str(), from_key), (to.as_str(), to_key.as_deref())];
            let done = wire::moving::copy(settings, sides, &mut |step, done, all| steps.tell(step, done, all))?;
            steps.end();
            println!(
                "{} versions, {} audit records and {} items are the same in both{}",
                done.versions,
                done.records,
                done.items,
                if done.kept > 0 { format!("; {} were there from an earlier run", done.kept) } else { String::new() }
            );
            Ok(())
        }
    }
}
