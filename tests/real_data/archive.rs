//! The JSON files of a `.tar.zst`.

use std::io::Read;
use std::path::Path;

/// Name and content of every JSON file of the archive, in order of the names.
pub fn json_files(path: &Path) -> Vec<(String, Vec<u8>)> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut decoder = zstd::Decoder::new(file).expect("zstd");
    decoder.window_log_max(27).expect("a window of 128 MB");
    let mut archive = tar::Archive::new(decoder);
    let mut files = Vec::new();
    for entry in archive.entries().expect("a tar archive") {
        let mut entry = entry.expect("a whole entry");
        let name = entry.path().expect("a name").file_name().expect("a file name").to_string_lossy().into_owned();
        if name.ends_with(".json") {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("a whole file");
            files.push((name, content));
        }
    }
    files.sort();
    files
}
