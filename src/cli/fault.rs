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
    /// An expression does not parse.
    Expression(String),
    /// An expression failed while it was evaluated.
    Evaluation(String),
    /// A file does not hold what it should.
    Resource(String),
    /// The command ran to its end and found this many things wrong; it has said which.
    Found(u64),
}

impl Fault {
    /// A file cannot be read or written.
    pub fn file(path: &Path, why: std::io::Error) -> Fault {
        Fault::File { path: path.to_owned(), why }
    }

    /// The exit code: 2 if it was asked for wrongly, 3 if an expression failed, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Fault::Settings(_) | Fault::Expression(_) => 2,
            Fault::Evaluation(_) => 3,
            _ => 1,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Settings(why)
            | Fault::Store(why)
            | Fault::Expression(why)
            | Fault::Evaluation(why)
            | Fault::Resource(why) => f.write_str(why),
            Fault::File { path, why } => write!(f, "{}: {why}", path.display()),
            Fault::Server(why) => write!(f, "{why}"),
            Fault::Found(1) => f.write_str("one thing is wrong"),
            Fault::Found(number) => write!(f, "{number} things are wrong"),
        }
    }
}

impl std::error::Error for Fault {}
