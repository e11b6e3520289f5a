//! The definitions against what the specification says, against the official package and the official examples.
//! The last two are not part of this repository; tests that need them say that they were skipped.

mod elements;
mod schemas;
mod search;
mod tables;

use std::path::PathBuf;

/// A file beside this repository; says so if it is missing.
fn shared(path: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if !path.exists() {
        crate::base::skipped(format_args!("{} is missing", path.display()));
        return None;
    }
    Some(path)
}
