//! `vesta store indexes`: which indexes Vesta makes in a database, for those who look after it.

use super::fault::Fault;
use super::wire;
use clap::Subcommand;

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// List the indexes that Vesta makes in a MongoDB database, besides those on _id
    Indexes,
}

/// Prints a line for each index: collection, name, keys.
pub fn run(command: &StoreCommand) -> Result<(), Fault> {
    let StoreCommand::Indexes = command;
    for [collection, name, keys] in wire::indexes()? {
        println!("{collection}\t{name}\t{keys}");
    }
    Ok(())
}
