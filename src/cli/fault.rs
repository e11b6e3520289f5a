//! Why a command ended without success, as the user of the command line reads it.

use std::path::{Path, PathBuf};

/// Why a command failed.
#[derive(Debug)]
pub enum Fault {
    /// The settings cannot be used.
    Settings(String),
    /// The data directory cannot be opened or read.
    Store(String),
    /// A file cannot be read or written.
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// The server could not be started or broke down.
    Server(std::io::Error),
    /// The command ran to its end and found this many things wrong; it has said which.
    Found(u64),
}

impl Fault {
    /// A file cannot be read or written.
    pub fn file(path: &Path, why: std::io::Error) -> Fault {
        Fault::File { path: path.to_owned(), why }
    }

    /// The exit code: 2 if it was asked for wrongly, else 1.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Fault::Settings(_)) { 2 } else { 1 }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Settings(why) | Fault::Store(why) => f.write_str(why),
            Fault::File { path, why } => write!(f, "{}: {why}", path.display()),
            Fault::Server(why) => write!(f, "{why}"),
            Fault::Found(1) => f.write_str("one thing is wrong"),
            Fault::Found(number) => write!(f, "{number} things are wrong"),
        }
    }
}

impl std::error::Error for Fault {}
