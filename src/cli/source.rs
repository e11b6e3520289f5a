//! Files with resources: JSON, XML, NDJSON and tar archives of them, each also packed with gzip or zstd. Gives one
//! JSON text per document or line; what is in it is not looked at.

use super::fault::Fault;
use crate::definitions::Definitions;
use crate::json::Limits;
use crate::xml;
use flate2::read::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// One resource, which may be a Bundle.
pub struct Piece {
    /// Where it came from: `file`, `file:line` or `archive/member`.
    pub origin: String,
    /// Its JSON text, or why there is none.
    pub text: Result<Vec<u8>, String>,
    /// How it was written.
    pub written: Written,
}

/// How a piece was written.
pub enum Written {
    /// As a text of its own.
    Whole,
    /// On a line of a file; the origin has the number.
    Line,
    /// As this XML.
    Xml(Vec<u8>),
}

/// What to read in a pass. What others refer to has to be there before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// Files whose names hold `hospital` or `practitioner`, as those of Synthea do.
    First,
    /// The others.
    Second,
}

impl Pass {
    fn takes(self, name: &str) -> bool {
        let name = name.rsplit('/').next().unwrap_or(name).to_ascii_lowercase();
        let first = name.contains("hospital") || name.contains("practitioner");
        first == (self == Pass::First)
    }
}

/// How a file is to be read, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Xml,
    Lines,
    Tar,
}

/// Ways to pack a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packing {
    None,
    Gzip,
    Zstd,
}

/// Form and packing of a file name; none if it does not look like anything that holds resources.
fn form_of(name: &str) -> Option<(Form, Packing)> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".tgz").map_or(name.clone(), |stem| format!("{stem}.tar.gz"));
    let (stem, packing) = match name.rsplit_once('.') {
        Some((stem, "gz")) => (stem, Packing::Gzip),
        Some((stem, "zst")) => (stem, Packing::Zstd),
        _ => (name.as_str(), Packing::None),
    };
    let form = match stem.rsplit_once('.')?.1 {
        "json" => Form::Json,
        "xml" => Form::Xml,
        "ndjson" | "jsonl" => Form::Lines,
        "tar" => Form::Tar,
        _ => return None,
    };
    Some((form, packing))
}

/// The files of some paths: folders are searched through, for names that can hold resources; what was named
/// explicitly must be one of these.
pub fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Fault> {
    let mut found = Vec::new();
    for path in paths {
        let known = std::fs::metadata(path).map_err(|e| Fault::file(path, e))?;
        if known.is_dir() {
            search(path, &mut found)?;
        } else if path.file_name().is_some_and(|name| form_of(&name.to_string_lossy()).is_some()) {
            found.push(path.clone());
        } else {
            let why = "not a .json, .xml, .ndjson or .tar file (also with .gz or .zst)";
            return Err(Fault::Settings(format!("{}: {why}", path.display())));
        }
    }
    Ok(found)
}

fn search(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Fault> {
    let mut entries = std::fs::read_dir(folder)
        .and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>())
        .map_err(|e| Fault::file(folder, e))?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            search(&entry, found)?;
        } else if entry.file_name().is_some_and(|name| form_of(&name.to_string_lossy()).is_some()) {
            found.push(entry);
        }
    }
    Ok(())
}

/// Reads a file, as far as it belongs to a pass, and hands over its pieces in order.
pub fn read(file: &Path, pass: Pass, schema: &Definitions, each: &mut dyn FnMut(Piece)) -> Result<(), Fault> {
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some((form, packing)) = form_of(&name) else { return Ok(()) };
    if form != Form::Tar && !pass.takes(&name) {
        return Ok(());
    }
    let bytes = BufReader::with_capacity(1 << 18, File::open(file).map_err(|e| Fault::file(file, e))?);
    let origin = file.display().to_string();
    read_as(&origin, form, packing, bytes, pass, schema, each).map_err(|e| Fault::file(file, e))
}

fn read_as(
    origin: &str,
    form: Form,
    packing: Packing,
    bytes: impl Read,
    pass: Pass,
    schema: &Definitions,
    each: &mut dyn FnMut(Piece),
) -> io::Result<()> {
    let mut bytes: Box<dyn BufRead + '_> = match packing {
        Packing::None => Box::new(BufReader::new(bytes)),
        Packing::Gzip => Box::new(BufReader::new(MultiGzDecoder::new(bytes))),
        Packing::Zstd => {
            let mut decoder = zstd::Decoder::new(bytes)?;
            decoder.window_log_max(27)?;
            Box::new(BufReader::new(decoder))
        }
    };
    match form {
        Form::Json => {
            let mut text = Vec::new();
            bytes.read_to_end(&mut text)?;
            each(Piece { origin: origin.to_owned(), text: Ok(without_mark(text)), written: Written::Whole });
        }
        Form::Xml => {
            let mut text = Vec::new();
            bytes.read_to_end(&mut text)?;
            let json = xml::to_json(&text, schema, &Limits::default());
            let json = json.map(String::into_bytes).map_err(|failure| failure.to_string());
            each(Piece { origin: origin.to_owned(), text: json, written: Written::Xml(text) });
        }
        Form::Lines => lines(origin, bytes, each)?,
        Form::Tar => archive(origin, bytes, pass, schema, each)?,
    }
    Ok(())
}

/// The text without the byte order mark that some editors put in front.
fn without_mark(mut text: Vec<u8>) -> Vec<u8> {
    if text.starts_with(b"\xEF\xBB\xBF") {
        text.drain(..3);
    }
    text
}

fn lines(origin: &str, mut bytes: impl BufRead, each: &mut dyn FnMut(Piece)) -> io::Result<()> {
    for number in 1u64.. {
        let mut line = Vec::new();
        if bytes.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        if !line.trim_ascii().is_empty() {
            let origin = format!("{origin}:{number}");
            each(Piece { origin, text: Ok(without_mark(line)), written: Written::Line });
        }
    }
    Ok(())
}

/// The members of a tar archive. They are read, never written anywhere.
fn archive(
    origin: &str,
    bytes: impl Read,
    pass: Pass,
    schema: &Definitions,
    each: &mut dyn FnMut(Piece),
) -> io::Result<()> {
    for member in tar::Archive::new(bytes).entries()? {
        let member = member?;
        let name = member.path()?.display().to_string();
        let Some((form, packing)) = form_of(&name).filter(|(form, _)| *form != Form::Tar && pass.takes(&name)) else {
            continue;
        };
        read_as(&format!("{origin}/{name}"), form, packing, member, pass, schema, each)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_form() {
        let check = |name: &str, expected| assert_eq!(form_of(name), expected, "{name}");
        check("a.json", Some((Form::Json, Packing::None)));
        check("a.NDJSON.gz", Some((Form::Lines, Packing::Gzip)));
        check("a.dev.tar.zst", Some((Form::Tar, Packing::Zstd)));
        check("a.tgz", Some((Form::Tar, Packing::Gzip)));
        check("a.xml", Some((Form::Xml, Packing::None)));
        check("a.txt", None);
        check("json", None);
        assert!(Pass::First.takes("x/0-hospitalInformation1.json"));
        assert!(Pass::Second.takes("practitioners/Aaron.json"));
    }
}
