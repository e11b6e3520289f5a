//! The files of a release: found by name below a folder, read line by line.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

/// Files looked at below a folder, at most.
const MOST: usize = 10_000;
/// Folders within folders, at most.
const DEEPEST: usize = 8;

/// The files below a folder.
pub struct Files(Vec<PathBuf>);

/// Rows of a file.
pub type Rows = csv::Reader<BufReader<File>>;

impl Files {
    /// Looks for files. Links are not followed.
    pub fn below(folder: &Path) -> Result<Files, String> {
        let mut found = Vec::new();
        let mut open = vec![(folder.to_owned(), 0)];
        while let Some((at, depth)) = open.pop() {
            let told = |e: std::io::Error| format!("{}: {e}", at.display());
            for entry in std::fs::read_dir(&at).map_err(told)? {
                let entry = entry.map_err(told)?;
                let kind = entry.file_type().map_err(told)?;
                if kind.is_dir() && depth < DEEPEST {
                    open.push((entry.path(), depth + 1));
                } else if kind.is_file() {
                    found.push(entry.path());
                }
                if found.len() > MOST {
                    return Err(format!("{}: more than {MOST} files are below it", folder.display()));
                }
            }
        }
        found.sort();
        Ok(Files(found))
    }

    /// The file whose name begins so and holds something.
    pub fn find(&self, begin: &str, part: &str) -> Option<&Path> {
        self.all(begin, part).into_iter().next()
    }

    /// All such files.
    pub fn all(&self, begin: &str, part: &str) -> Vec<&Path> {
        let fits = |path: &&Path| {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            name.starts_with(begin) && name.contains(part)
        };
        self.0.iter().map(PathBuf::as_path).filter(fits).collect()
    }

    /// The file of a name, whatever its case.
    pub fn named(&self, name: &str) -> Option<&Path> {
        let fits =
            |path: &&PathBuf| path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.eq_ignore_ascii_case(name));
        self.0.iter().find(fits).map(PathBuf::as_path)
    }
}

fn rows(path: &Path, builder: &csv::ReaderBuilder) -> Result<Rows, String> {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(builder.from_reader(BufReader::with_capacity(1 << 16, file)))
}

/// A file of fields between commas, quoted where needed, with a line of names.
pub fn commas(path: &Path) -> Result<Rows, String> {
    rows(path, csv::ReaderBuilder::new().flexible(true))
}

/// A file of fields between tabs, never quoted, with a line of names.
pub fn tabs(path: &Path) -> Result<Rows, String> {
    rows(path, csv::ReaderBuilder::new().delimiter(b'\t').quoting(false).flexible(true))
}

/// A file of fields between upright lines, never quoted, without names.
pub fn pipes(path: &Path) -> Result<Rows, String> {
    rows(path, csv::ReaderBuilder::new().delimiter(b'|').quoting(false).has_headers(false).flexible(true))
}

/// Goes through the rows of a file, with the fields of the names that are asked for, in that order.
pub fn each_row<const N: usize>(
    path: &Path,
    mut rows: Rows,
    names: [&str; N],
    mut tell: impl FnMut([&str; N]) -> Result<(), String>,
) -> Result<(), String> {
    let headers = rows.headers().map_err(|e| format!("{}: {e}", path.display()))?.clone();
    let mut places = [0; N];
    for (place, name) in places.iter_mut().zip(names) {
        // A byte order mark stands before the first name of some files.
        let found = headers.iter().position(|h| h.trim_start_matches('\u{feff}').eq_ignore_ascii_case(name));
        *place = found.ok_or_else(|| format!("{}: the column {name} is missing", path.display()))?;
    }
    each_place(path, rows, places, &mut tell)
}

/// Goes through the rows of a file, with the fields at some places, in that order.
pub fn each_place<const N: usize>(
    path: &Path,
    mut rows: Rows,
    places: [usize; N],
    mut tell: impl FnMut([&str; N]) -> Result<(), String>,
) -> Result<(), String> {
    let mut row = csv::StringRecord::new();
    let told = |line: Option<u64>, why: String| format!("{}: line {}: {why}", path.display(), line.unwrap_or(0));
    loop {
        let line = rows.position().line();
        match rows.read_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => return Err(told(Some(line), error.to_string())),
        }
        let fields = places.map(|place| row.get(place).unwrap_or_default());
        tell(fields).map_err(|why| told(row.position().map(csv::Position::line), why))?;
    }
}
